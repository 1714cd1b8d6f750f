/*
 * Three kinds of outer key, one shape: prepare, wrap, unwrap. A recipient's name is made from the
 * key itself (or the public half), so that a host finds its own key object by name, and so that a
 * wrong key is told from a damaged object: the name says "for you" or "for somebody else" before
 * anything is tried.
 */
#include "repo/kek.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "filter/digest.h"

#define RECIPIENT_BYTES 8

int
kek_from_bytes(const struct buf *bytes, struct kek *ret, struct err *e)
{
	const char *text = buf_str(bytes);
	size_t n = bytes->len;
	uint8_t key[KEY_LEN];
	int rc = 0;

	if (n == 2 * KEY_LEN + 1 && text[n - 1] == '\n')
		n--;
	if (n == KEY_LEN)
		memcpy(key, bytes->data, KEY_LEN);
	else if (n != 2 * KEY_LEN || text_unhex(text, key, KEY_LEN) == -1)
		rc = err_set(e, ERR_KEY, "key-encryption key has %zu bytes, expected 32 raw bytes "
		    "or 64 lower case hex digits", bytes->len);
	if (rc == 0) {
		ret->kind = KEK_KEY;
		buf_init(&ret->secret, KEY_LEN);
		buf_add(&ret->secret, key, KEY_LEN);
	}
	key_wipe(key, sizeof(key));
	return rc;
}

void
kek_done(struct kek *k)
{
	if (k->secret.data != NULL)
		key_wipe(k->secret.data, k->secret.room);
	buf_done(&k->secret);
}

static void
name_recipient(char letter, const uint8_t id[RECIPIENT_BYTES], char out[KEK_RECIPIENT])
{
	out[0] = letter;
	text_hex(id, RECIPIENT_BYTES, out + 1);
}

/* letter || first 8 bytes of sha256("ffdr/kek" || key) */
static void
name_by_key(char letter, struct kek_ready *r)
{
	struct digest *d = digest_new();
	uint8_t sha[DIGEST_LEN];

	digest_add(d, "ffdr/kek", strlen("ffdr/kek"));
	digest_add(d, r->key, KEY_LEN);
	digest_end(d, sha);
	digest_free(d);
	name_recipient(letter, sha, r->recipient);
}

int
kek_prepare_escrow(const char *pem, struct kek_ready *ret, struct err *e)
{
	uint8_t id[RECIPIENT_BYTES];

	if (key_escrow_id(pem, id, e) == -1)
		return -1;
	*ret = (struct kek_ready){ .kind = KEK_ESCROW, .pem = pem };
	name_recipient('e', id, ret->recipient);
	return 0;
}

int
kek_prepare(const struct kek *k, const uint8_t salt[KEY_SALT], struct kek_ready *ret, struct err *e)
{
	struct kek_ready r = { .kind = k->kind };

	if (k->kind == KEK_ESCROW)
		return kek_prepare_escrow(buf_str(&k->secret), ret, e);
	if (k->kind == KEK_KEY) {
		if (k->secret.len != KEY_LEN)
			return err_set(e, ERR_KEY, "key-encryption key has %zu bytes, expected %d",
			    k->secret.len, KEY_LEN);
		memcpy(r.key, k->secret.data, KEY_LEN);
		name_by_key('k', &r);
	} else {
		memcpy(r.salt, salt, KEY_SALT);
		if (key_from_passphrase(buf_str(&k->secret), k->secret.len, salt, r.key, e) == -1)
			return -1;
		name_by_key('p', &r);
	}
	*ret = r;
	key_wipe(&r, sizeof(r));
	return 0;
}

void
kek_ready_done(struct kek_ready *r)
{
	key_wipe(r, sizeof(*r));
}

int
kek_wrap(const struct kek_ready *r, const uint8_t key[KEY_LEN], struct buf *out, struct err *e)
{
	uint8_t wrapped[KEY_WRAPPED];

	if (r->kind == KEK_ESCROW)
		return key_escrow_wrap(r->pem, key, KEY_LEN, out, e);
	key_wrap(r->key, key, wrapped);
	buf_add(out, wrapped, sizeof(wrapped));
	return 0;
}

int
kek_unwrap(const struct kek_ready *r, const struct buf *wrapped, uint8_t key[KEY_LEN],
    struct err *e)
{
	struct buf plain;
	int rc = -1;

	if (r->kind != KEK_ESCROW) {
		if (wrapped->len != KEY_WRAPPED)
			return err_set(e, ERR_CORRUPT, "wrapped key has %zu bytes, expected %d",
			    wrapped->len, KEY_WRAPPED);
		return key_unwrap(r->key, wrapped->data, key, e);
	}
	buf_init(&plain, KEK_WRAPPED_MAX);
	if (key_escrow_unwrap(r->pem, wrapped->data, wrapped->len, &plain, e) == -1)
		goto out;
	if (plain.len != KEY_LEN) {
		err_set(e, ERR_KEY, "escrowed key has %zu bytes, expected %d", plain.len, KEY_LEN);
		goto out;
	}
	memcpy(key, plain.data, KEY_LEN);
	rc = 0;
out:
	if (plain.data != NULL)
		key_wipe(plain.data, plain.room);
	buf_done(&plain);
	return rc;
}

const char *
kek_kind_word(enum kek_kind kind)
{
	static const char *const word[] = {
		[KEK_KEY] = "aes-wrap",
		[KEK_PASSPHRASE] = "scrypt",
		[KEK_ESCROW] = "rsa-oaep",
	};

	return word[kind];
}
