/*
 * Keys that wrap keys. AES key wrap needs no nonce and has a check of its own, so a wrong outer
 * key is told from a damaged object only by the signature around it; both are ERR_KEY here and
 * the caller knows more. The escrow recipient is RSA-OAEP because its private half must open with
 * nothing but the openssl command, years from now, on a machine without ffdr.
 */
#include "filter/key.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <string.h>

#include "filter/crypt.h"
#include "filter/digest.h"

/* 128 MiB and about half a second: as much as the smallest pod can spare. */
#define SCRYPT_N (UINT64_C(1) << 17)
#define SCRYPT_R 8
#define SCRYPT_P 1
#define SCRYPT_MEMORY (UINT64_C(256) << 20) /* libcrypto's own limit of 32 MiB would refuse N */

#define ESCROW_BITS_LEAST 3072 /* 128 bit of security, what AES-256 keys may hang on for decades */
#define ESCROW_BITS 4096

void
key_random(void *out, size_t n)
{
	crypt_must(n <= INT_MAX && RAND_bytes(out, (int)n) == 1, "random bytes");
}

void
key_wipe(void *p, size_t n)
{
	OPENSSL_cleanse(p, n);
}

/* Runs RFC 3394 one way; false when the check inside does not fit. */
static bool
wrap_run(bool wrap, const uint8_t kek[KEY_LEN], const uint8_t *in, size_t n, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len = 0;
	bool ok;

	crypt_must(ctx != NULL, "a cipher context");
	EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	crypt_must(EVP_CipherInit_ex(ctx, EVP_aes_256_wrap(), NULL, kek, NULL, wrap) == 1,
	    "AES key wrap");
	ok = EVP_CipherUpdate(ctx, out, &len, in, (int)n) == 1 &&
	    len == (wrap ? KEY_WRAPPED : KEY_LEN);
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

void
key_wrap(const uint8_t kek[KEY_LEN], const uint8_t key[KEY_LEN], uint8_t out[KEY_WRAPPED])
{
	crypt_must(wrap_run(true, kek, key, KEY_LEN, out), "AES key wrap");
}

int
key_unwrap(const uint8_t kek[KEY_LEN], const uint8_t wrapped[KEY_WRAPPED], uint8_t out[KEY_LEN],
    struct err *e)
{
	uint8_t room[KEY_WRAPPED]; /* libcrypto may write a block more than comes out */
	int rc = -1;

	if (wrap_run(false, kek, wrapped, KEY_WRAPPED, room)) {
		memcpy(out, room, KEY_LEN);
		rc = 0;
	} else {
		crypt_why();
		err_set(e, ERR_KEY, "wrapped key does not open: the key-encryption key is another "
		    "one");
	}
	key_wipe(room, sizeof(room));
	return rc;
}

int
key_from_passphrase(const char *pass, size_t n, const uint8_t salt[KEY_SALT], uint8_t kek[KEY_LEN],
    struct err *e)
{
	if (n == 0)
		return err_set(e, ERR_KEY, "the passphrase is empty");
	if (EVP_PBE_scrypt(pass, n, salt, KEY_SALT, SCRYPT_N, SCRYPT_R, SCRYPT_P, SCRYPT_MEMORY,
	    kek, KEY_LEN) != 1)
		return err_set(e, ERR_KEY, "no key from the passphrase: %s (scrypt needs 128 MiB "
		    "of memory)", crypt_why());
	return 0;
}

/* An RSA key of enough bits. */
static int
escrow_parse(const char *pem, EVP_PKEY **ret, bool *is_private, struct err *e)
{
	EVP_PKEY *key = NULL;
	int bits;

	if (crypt_pem(pem, strlen(pem), &key, is_private, e) == -1)
		return err_in(e, "escrow key");
	if (!EVP_PKEY_is_a(key, "RSA")) {
		err_set(e, ERR_KEY, "expected an RSA key, as the escrow key is, found %s",
		    EVP_PKEY_get0_type_name(key));
		EVP_PKEY_free(key);
		return -1;
	}
	bits = EVP_PKEY_get_bits(key);
	if (bits < ESCROW_BITS_LEAST) {
		EVP_PKEY_free(key);
		return err_set(e, ERR_KEY, "escrow key: RSA of %d bits, expected %d or more", bits,
		    ESCROW_BITS_LEAST);
	}
	*ret = key;
	return 0;
}

static bool
oaep_set(EVP_PKEY_CTX *ctx)
{
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) == 1 &&
	    EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1;
}

int
key_escrow_wrap(const char *pem, const void *secret, size_t n, struct buf *out, struct err *e)
{
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *ctx = NULL;
	uint8_t sealed[2048]; /* RSA of 16,384 bits, the most libcrypto does */
	size_t len = sizeof(sealed);
	int rc = -1;

	if (escrow_parse(pem, &key, NULL, e) == -1)
		goto out;
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	crypt_must(ctx != NULL && EVP_PKEY_encrypt_init(ctx) == 1 && oaep_set(ctx), "RSA-OAEP");
	if (EVP_PKEY_encrypt(ctx, sealed, &len, secret, n) != 1) {
		err_set(e, ERR_KEY, "escrow key cannot hold %zu bytes: %s", n, crypt_why());
		goto out;
	}
	buf_add(out, sealed, len);
	rc = 0;
out:
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	return rc;
}

int
key_escrow_unwrap(const char *private_pem, const void *in, size_t n, struct buf *out, struct err *e)
{
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *ctx = NULL;
	uint8_t plain[2048];
	size_t len = sizeof(plain);
	bool is_private = false;
	int rc = -1;

	if (escrow_parse(private_pem, &key, &is_private, e) == -1)
		goto out;
	if (!is_private) {
		err_set(e, ERR_KEY, "escrow key: this is the public half, expected the private one "
		    "from the safe");
		goto out;
	}
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	crypt_must(ctx != NULL && EVP_PKEY_decrypt_init(ctx) == 1 && oaep_set(ctx), "RSA-OAEP");
	if (EVP_PKEY_decrypt(ctx, plain, &len, in, n) != 1) {
		crypt_why();
		err_set(e, ERR_KEY, "wrapped key does not open: it was wrapped for another escrow "
		    "key");
		goto out;
	}
	buf_add(out, plain, len);
	rc = 0;
out:
	key_wipe(plain, sizeof(plain));
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	return rc;
}

int
key_escrow_id(const char *pem, uint8_t id[8], struct err *e)
{
	EVP_PKEY *key = NULL;
	uint8_t sha[DIGEST_LEN];
	uint8_t *der = NULL;
	int len;

	if (escrow_parse(pem, &key, NULL, e) == -1)
		return -1;
	len = i2d_PUBKEY(key, &der);
	crypt_must(len > 0, "DER of a public key");
	digest_sha256(der, (size_t)len, sha);
	memcpy(id, sha, 8);
	OPENSSL_free(der);
	EVP_PKEY_free(key);
	return 0;
}

int
key_escrow_public(const char *private_pem, struct buf *public_pem, struct err *e)
{
	EVP_PKEY *key = NULL;
	bool is_private = false;
	int rc = -1;

	if (escrow_parse(private_pem, &key, &is_private, e) == -1)
		return -1;
	if (is_private) {
		crypt_pem_write(key, false, public_pem);
		rc = buf_check(public_pem, "public key", e);
	} else {
		err_set(e, ERR_KEY, "this is a public key, expected the private half");
	}
	EVP_PKEY_free(key);
	return rc;
}

int
key_escrow_make(struct buf *public_pem, struct buf *private_pem, struct err *e)
{
	EVP_PKEY *key = EVP_RSA_gen(ESCROW_BITS);
	int rc;

	if (key == NULL)
		return err_set(e, ERR_KEY, "no RSA key: %s", crypt_why());
	crypt_pem_write(key, false, public_pem);
	crypt_pem_write(key, true, private_pem);
	rc = buf_check(public_pem, "public key", e);
	if (rc == 0)
		rc = buf_check(private_pem, "private key", e);
	EVP_PKEY_free(key);
	return rc;
}
