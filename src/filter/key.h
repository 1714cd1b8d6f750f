#ifndef FILTER_KEY_H
#define FILTER_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Wrapping of the repository's 32-byte keys: AES key wrap (RFC 3394) under a key-encryption key,
 * RSA-OAEP (SHA-256) for an escrow recipient, scrypt for a passphrase. No I/O: callers bring the
 * bytes.
 */
#define KEY_LEN 32
#define KEY_WRAPPED 40 /* RFC 3394 adds 8 */
#define KEY_SALT 32

void key_random(void *out, size_t n); /* dies when the system has no randomness */
void key_wipe(void *p, size_t n);

void key_wrap(const uint8_t kek[KEY_LEN], const uint8_t key[KEY_LEN], uint8_t out[KEY_WRAPPED]);
/* ERR_KEY when the key-encryption key is another one. */
int key_unwrap(const uint8_t kek[KEY_LEN], const uint8_t wrapped[KEY_WRAPPED], uint8_t out[KEY_LEN],
    struct err *e);

/* N = 2^17, r = 8, p = 1 (128 MiB), the memory limit of OpenSSL raised for it. */
int key_from_passphrase(const char *pass, size_t n, const uint8_t salt[KEY_SALT],
    uint8_t kek[KEY_LEN], struct err *e);

/* PEM public key; ERR_KEY unless RSA of 3072 bits or more. */
int key_escrow_wrap(const char *pem, const void *secret, size_t n, struct buf *out, struct err *e);
int key_escrow_unwrap(const char *private_pem, const void *in, size_t n, struct buf *out,
    struct err *e);
/* First 8 bytes of SHA-256 of the DER public key. Works on private PEM too. */
int key_escrow_id(const char *pem, uint8_t id[8], struct err *e);
/* The public half of a private PEM. */
int key_escrow_public(const char *private_pem, struct buf *public_pem, struct err *e);
/* A new RSA-4096 pair as two PEM texts. */
int key_escrow_make(struct buf *public_pem, struct buf *private_pem, struct err *e);

#endif
