/*
 * The clear texts of a repository: the input as repo/<n>, and as a key object. A key object is
 * read as it is, and once more with the last two lines replaced by our own signature, so that
 * what is behind the signature's check is reached.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "repo/identity.h"
#include "repo/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct keyring *keys;
static struct kek kek = { .kind = KEK_KEY };

static void
prepare(void)
{
	static const uint8_t id[LAYOUT_REPO_ID];
	struct buf pem;

	buf_init(&pem, 4096);
	keys = keyring_new(id);
	keys->sign = sign_key_make(&pem);
	keyring_add_signer(keys, sign_key_public(keys->sign), 0);
	buf_done(&pem);
	buf_init(&kek.secret, 32);
	buf_add(&kek.secret, "0123456789abcdef0123456789abcdef", 32);
}

/* The name that the text claims, and our signature under it. */
static void
take_signed(const struct buf *input)
{
	const char *end = memmem(buf_str(input), input->len, "\nsigner ", 8);
	char epoch[16] = "", recipient[32] = "", hex[TEXT_HEX(SIGN_LEN)], name[LAYOUT_NAME];
	uint8_t sha[DIGEST_LEN], sig[SIGN_LEN], id[SIGN_ID];
	struct buf text, msg;
	struct err e = { 0 };

	if (end == NULL)
		return;
	buf_init(&text, KEYRING_TEXT_MAX * 2);
	buf_init(&msg, 1000);
	record_value(input, "epoch", epoch, sizeof(epoch));
	record_value(input, "recipient", recipient, sizeof(recipient));
	snprintf(name, sizeof(name), "key/%s.%s", epoch, recipient);
	sign_key_id(sign_key_public(keys->sign), id);
	buf_add(&text, input->data, (size_t)(end + 1 - buf_str(input)));
	buf_addf(&text, "signer %s\n", text_hex(id, SIGN_ID, hex));
	digest_sha256(text.data, text.len, sha);
	buf_adds(&msg, "ffdr-K");
	buf_adds(&msg, name);
	buf_add(&msg, sha, sizeof(sha));
	if (keyring_sign(keys, msg.data, msg.len, sig, &e) == -1)
		abort();
	buf_addf(&text, "signature %s\n", text_hex(sig, SIGN_LEN, hex));
	if (keyring_take(keys, &kek, name, &text, &e) == 1)
		abort(); /* nobody wrapped anything for this kek */
	buf_done(&text);
	buf_done(&msg);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct identity it;
	struct err e = { 0 };
	struct buf text;

	if (keys == NULL)
		prepare();
	if (n > KEYRING_TEXT_MAX)
		return 0;
	buf_init(&text, KEYRING_TEXT_MAX);
	buf_add(&text, data, n);
	if (identity_parse(&text, &it, &e) == 0) {
		if (it.signers == 0 || it.signatures == 0)
			abort();
		identity_check(&it, NULL, &e);
		identity_check(&it, &it, &e);
		identity_done(&it);
	}
	if (keyring_take(keys, &kek, "key/00000000.k0000000000000000", &text, &e) == 1)
		abort();
	/* A passphrase would cost half a second an input. */
	if (memmem(data, n, "kind scrypt", 11) == NULL)
		take_signed(&text);
	buf_done(&text);
	return 0;
}
