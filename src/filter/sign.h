#ifndef FILTER_SIGN_H
#define FILTER_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Ed25519. A key id is the first 8 bytes of SHA-256 of the 32-byte public key. */
#define SIGN_LEN 64
#define SIGN_PUB 32
#define SIGN_ID 8

struct sign_key; /* a private (or only public) key */
int sign_key_parse(const char *pem, size_t n, struct sign_key **ret, struct err *e);
/* new pair; private PEM (PKCS#8) appended to pem */
struct sign_key *sign_key_make(struct buf *pem);
void sign_key_free(struct sign_key *k);
int sign_key_is_private(const struct sign_key *k);
const uint8_t *sign_key_public(const struct sign_key *k); /* SIGN_PUB bytes */
void sign_key_id(const uint8_t pub[SIGN_PUB], uint8_t id[SIGN_ID]);

/* ERR_KEY when only the public half is there. */
int sign_make(const struct sign_key *k, const void *msg, size_t n, uint8_t sig[SIGN_LEN],
    struct err *e);
int sign_check(const uint8_t pub[SIGN_PUB], const void *msg, size_t n, const uint8_t sig[SIGN_LEN],
    struct err *e); /* ERR_CORRUPT when it does not fit */

#endif
