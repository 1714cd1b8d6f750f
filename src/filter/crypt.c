/*
 * The common ground of the files that use libcrypto. Two things need one answer: what to do when
 * a call fails that has no reason to (die: half of a cipher is worse than no process), and how a
 * PEM text becomes a key. libcrypto asks for a missing passphrase on the terminal by itself,
 * which would hang a job of the night; so the question is answered with "none" here.
 */
#include "filter/crypt.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

void
crypt_must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "ffdr: libcrypto cannot do %s: %s\n", what, crypt_why());
	abort();
}

const char *
crypt_why(void)
{
	static _Thread_local char text[200];
	unsigned long code = ERR_peek_last_error();
	const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);

	snprintf(text, sizeof(text), "%s", reason == NULL ? "no reason given" : reason);
	ERR_clear_error();
	return text;
}

static int
no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

int
crypt_pem(const char *pem, size_t n, EVP_PKEY **ret, bool *is_private, struct err *e)
{
	BIO *bio;
	EVP_PKEY *key;
	bool private = false;

	if (n > INT_MAX)
		return err_set(e, ERR_KEY, "a key of %zu bytes is none", n);
	bio = BIO_new_mem_buf(pem, (int)n);
	crypt_must(bio != NULL, "a memory BIO");
	key = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
	if (key == NULL) {
		ERR_clear_error();
		crypt_must(BIO_reset(bio) == 1, "a rewind");
		key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
		private = true;
	}
	BIO_free(bio);
	if (key == NULL) {
		err_set(e, ERR_KEY, "not a usable key: expected PEM, PUBLIC KEY or PRIVATE KEY "
		    "without a passphrase (%s)", crypt_why());
		return err_line(e, "fix", "openssl pkey -in FILE shows what it is, and with -out "
		    "takes a passphrase off");
	}
	if (is_private != NULL)
		*is_private = private;
	*ret = key;
	return 0;
}

void
crypt_pem_write(EVP_PKEY *key, bool is_private, struct buf *out)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long len;

	crypt_must(bio != NULL, "a memory BIO");
	crypt_must((is_private ?
	    PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) :
	    PEM_write_bio_PUBKEY(bio, key)) == 1, "PEM");
	len = BIO_get_mem_data(bio, &text);
	buf_add(out, text, (size_t)len);
	OPENSSL_cleanse(text, (size_t)len);
	BIO_free(bio);
}
