#ifndef FILTER_CRYPT_H
#define FILTER_CRYPT_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* What the files over libcrypto share. Only src/filter includes this. */

/*
 * For calls that, with the arguments we give, fail only without memory or with a broken library:
 * not ok dies as xmalloc does, naming `what`.
 */
void crypt_must(bool ok, const char *what);

/* Why libcrypto refused, in its words (static per thread); empties its error queue. */
const char *crypt_why(void);

/*
 * The first key of a PEM text, private or public; the caller frees it. Never asks for a passphrase:
 * an encrypted key is ERR_KEY. *is_private may be NULL.
 */
int crypt_pem(const char *pem, size_t n, EVP_PKEY **ret, bool *is_private, struct err *e);

/* Appends a key as PEM: PKCS#8 when is_private, else PUBLIC KEY. */
void crypt_pem_write(EVP_PKEY *key, bool is_private, struct buf *out);

#endif
