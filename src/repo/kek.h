#ifndef REPO_KEK_H
#define REPO_KEK_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "filter/key.h"

/*
 * What opens key objects: a key-encryption key of 32 bytes, a passphrase, or the escrow's private
 * half. All wrap in their own way and name themselves as recipient of a key object.
 */
enum kek_kind { KEK_KEY, KEK_PASSPHRASE, KEK_ESCROW };
struct kek {
	enum kek_kind kind;
	struct buf secret; /* 32 bytes; the passphrase; PEM */
};

#define KEK_RECIPIENT 18    /* k, p or e, 16 hex digits, NUL */
#define KEK_WRAPPED_MAX 2048 /* RSA of 16,384 bits */

/* Bytes of a key file: 32 raw bytes, or 64 hex digits with or without a newline. ERR_KEY else. */
int kek_from_bytes(const struct buf *bytes, struct kek *ret, struct err *e);
void kek_done(struct kek *k); /* wipes */

/*
 * A kek ready for use: a passphrase costs half a second and 128 MiB, so it is stretched once and
 * kept. `salt` is only looked at for a passphrase. pem is borrowed from the kek or the caller.
 */
struct kek_ready {
	enum kek_kind kind;
	uint8_t key[KEY_LEN];	    /* KEK_KEY, KEK_PASSPHRASE */
	uint8_t salt[KEY_SALT];	    /* KEK_PASSPHRASE */
	const char *pem;	    /* KEK_ESCROW */
	char recipient[KEK_RECIPIENT];
};
int kek_prepare(const struct kek *k, const uint8_t salt[KEY_SALT], struct kek_ready *ret,
    struct err *e);
/* The escrow recipient by its public (or private) PEM. */
int kek_prepare_escrow(const char *pem, struct kek_ready *ret, struct err *e);
void kek_ready_done(struct kek_ready *r); /* wipes */

/*
 * A key of KEY_LEN bytes to wrapped bytes (appended) and back. ERR_KEY when the kek is another
 * one.
 */
int kek_wrap(const struct kek_ready *r, const uint8_t key[KEY_LEN], struct buf *out, struct err *e);
int kek_unwrap(const struct kek_ready *r, const struct buf *wrapped, uint8_t key[KEY_LEN],
    struct err *e);
/* "aes-wrap", "scrypt", "rsa-oaep" */
const char *kek_kind_word(enum kek_kind kind);

#endif
