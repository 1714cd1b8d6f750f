/*
 * The hash at the end lets a scrub without any key tell damage from soundness. The signature is
 * over that hash, the type and the name: an attacker with the data key but without the signing
 * key cannot make a manifest, and a true one that is offered under another name, or as an object
 * of another type, does not fit.
 */
#include "repo/object_trailer.h"

#include "base/text.h"

#define SIGNED_MAX (LAYOUT_NAME + 64)

size_t
object_trailer(enum object_type type)
{
	switch (type) {
	case OBJECT_MANIFEST:
	case OBJECT_RECORD:
		return DIGEST_LEN + SIGN_ID + SIGN_LEN;
	case OBJECT_WAL:
		return DIGEST_LEN;
	default:
		return 0;
	}
}

/* "ffdr-" || type || name || hash */
static void
signed_text(enum object_type type, const char *name, const uint8_t sha[DIGEST_LEN], struct buf *out)
{
	buf_init(out, SIGNED_MAX);
	buf_adds(out, "ffdr-");
	buf_addc(out, (char)type);
	buf_adds(out, name);
	buf_add(out, sha, DIGEST_LEN);
}

int
object_trailer_add(struct buf *bytes, enum object_type type, const struct keyring *k,
    const char *name, const uint8_t sha[DIGEST_LEN], struct err *e)
{
	uint8_t id[SIGN_ID], sig[SIGN_LEN];
	struct buf msg;
	int rc;

	buf_add(bytes, sha, DIGEST_LEN);
	if (object_trailer(type) > DIGEST_LEN) {
		signed_text(type, name, sha, &msg);
		rc = keyring_sign(k, msg.data, msg.len, sig, e);
		buf_done(&msg);
		if (rc == -1)
			return -1;
		sign_key_id(sign_key_public(k->sign), id);
		buf_add(bytes, id, SIGN_ID);
		buf_add(bytes, sig, SIGN_LEN);
	}
	return buf_check(bytes, object_type_word(type), e);
}

int
object_trailer_check(const struct buf *bytes, enum object_type type, const struct keyring *k,
    const char *name, struct err *e)
{
	const uint8_t *sha = bytes->data + bytes->len - object_trailer(type);
	const uint8_t *id = sha + DIGEST_LEN, *sig = id + SIGN_ID;
	const struct keyring_signer *signer = keyring_signer(k, id);
	char hex[TEXT_HEX(SIGN_ID)];
	struct buf msg;
	int rc;

	if (signer == NULL) {
		err_set(e, ERR_KEY, "signed by %s, whom the repository does not list",
		    text_hex(id, SIGN_ID, hex));
		return err_line(e, "fix", "if that key is yours, its host has a newer repo/<n>: "
		    "let 'ffdr copy' bring it here");
	}
	signed_text(type, name, sha, &msg);
	rc = sign_check(signer->pub, msg.data, msg.len, sig, NULL);
	buf_done(&msg);
	if (rc == -1)
		return err_set(e, ERR_CORRUPT, "signature of the %s does not fit this name: it was "
		    "stored under another one, or forged", object_type_word(type));
	return 0;
}
