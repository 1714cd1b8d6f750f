/*
 * Ed25519 signs in one shot and has no options to get wrong. A private key also is its public
 * one, so both are one type, and who may only check gets a key that cannot sign. Checking takes
 * the bare 32 bytes, because that is what `repo/` lists.
 */
#include "filter/sign.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "filter/crypt.h"
#include "filter/digest.h"

struct sign_key {
	EVP_PKEY *pkey;
	bool is_private;
	uint8_t public[SIGN_PUB];
};

/* Takes pkey. */
static struct sign_key *
key_of(EVP_PKEY *pkey, bool is_private)
{
	struct sign_key *k = xcalloc(1, sizeof(*k));
	size_t len = sizeof(k->public);

	k->pkey = pkey;
	k->is_private = is_private;
	crypt_must(EVP_PKEY_get_raw_public_key(pkey, k->public, &len) == 1 && len == SIGN_PUB,
	    "a public key of Ed25519");
	return k;
}

int
sign_key_parse(const char *pem, size_t n, struct sign_key **ret, struct err *e)
{
	EVP_PKEY *pkey = NULL;
	bool is_private = false;

	if (crypt_pem(pem, n, &pkey, &is_private, e) == -1)
		return err_in(e, "signing key");
	if (!EVP_PKEY_is_a(pkey, "ED25519")) {
		err_set(e, ERR_KEY, "signing key: expected Ed25519, found %s",
		    EVP_PKEY_get0_type_name(pkey));
		err_line(e, "fix", "openssl genpkey -algorithm ed25519 makes one");
		EVP_PKEY_free(pkey);
		return -1;
	}
	*ret = key_of(pkey, is_private);
	return 0;
}

struct sign_key *
sign_key_make(struct buf *pem)
{
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	crypt_must(pkey != NULL, "a pair of Ed25519");
	crypt_pem_write(pkey, true, pem);
	return key_of(pkey, true);
}

void
sign_key_free(struct sign_key *k)
{
	if (k == NULL)
		return;
	EVP_PKEY_free(k->pkey);
	free(k);
}

int
sign_key_is_private(const struct sign_key *k)
{
	return k->is_private;
}

const uint8_t *
sign_key_public(const struct sign_key *k)
{
	return k->public;
}

void
sign_key_id(const uint8_t pub[SIGN_PUB], uint8_t id[SIGN_ID])
{
	uint8_t sha[DIGEST_LEN];

	digest_sha256(pub, SIGN_PUB, sha);
	memcpy(id, sha, SIGN_ID);
}

int
sign_make(const struct sign_key *k, const void *msg, size_t n, uint8_t sig[SIGN_LEN], struct err *e)
{
	EVP_MD_CTX *ctx;
	size_t len = SIGN_LEN;

	if (!k->is_private)
		return err_set(e, ERR_KEY, "cannot sign with a public key: [keys] signing must "
		    "name the private one");
	ctx = EVP_MD_CTX_new();
	crypt_must(ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, k->pkey) == 1 &&
	    EVP_DigestSign(ctx, sig, &len, msg, n) == 1 && len == SIGN_LEN, "a signature");
	EVP_MD_CTX_free(ctx);
	return 0;
}

int
sign_check(const uint8_t pub[SIGN_PUB], const void *msg, size_t n, const uint8_t sig[SIGN_LEN],
    struct err *e)
{
	EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, pub, SIGN_PUB);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool fits;

	crypt_must(pkey != NULL && ctx != NULL &&
	    EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1, "checking a signature");
	fits = EVP_DigestVerify(ctx, sig, SIGN_LEN, msg, n) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	if (fits)
		return 0;
	crypt_why();
	return err_set(e, ERR_CORRUPT, "signature does not fit the bytes");
}
