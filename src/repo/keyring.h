#ifndef REPO_KEYRING_H
#define REPO_KEYRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "filter/digest.h"
#include "filter/sign.h"
#include "repo/kek.h"
#include "repo/layout.h"

/*
 * The keys of one repository in memory: a data key per epoch, the id key, who may sign. Read only
 * after loading, shared by all workers. Key objects (key/<epoch>.<recipient>) are clear signed
 * texts around wrapped keys.
 */
struct keyring_epoch {
	uint8_t epoch[LAYOUT_EPOCH]; /* first 4 bytes of SHA-256("ffdr/epoch" + data key) */
	uint8_t data[32];
	uint8_t salt[32]; /* HKDF(data key, "ffdr/salt") */
	int64_t created_ns;
	bool whole;	 /* some tier has a key object of it for each who shall open it */
	bool everywhere; /* and so has every tier that answers: may seal */
};

struct keyring_signer {
	uint8_t id[SIGN_ID];
	uint8_t pub[SIGN_PUB];
	int64_t from_ns;
};

struct keyring_pass; /* a passphrase that was stretched already */

struct keyring {
	uint8_t repo_id[LAYOUT_REPO_ID];
	bool has_id; /* the id key is known */
	struct digest_idkey id;
	struct keyring_epoch *epoch; /* by creation, newest last */
	size_t epochs;
	struct keyring_signer *signer;
	size_t signers;
	struct sign_key *sign; /* owned; NULL or public only on a host that only reads */
	struct keyring_pass *pass;
	size_t passes;
};

#define KEYRING_TEXT_MAX (16u << 10) /* no key object is longer */

struct keyring *keyring_new(const uint8_t repo_id[LAYOUT_REPO_ID]);
/*
 * Another one of the same repository that knows who may sign and holds no key yet: for proving what
 * a key object opens by itself. Passphrases stay stretched.
 */
struct keyring *keyring_new_like(const struct keyring *k);
void keyring_free(struct keyring *k); /* wipes */
void keyring_add_signer(struct keyring *k, const uint8_t pub[SIGN_PUB], int64_t from_ns);
const struct keyring_epoch *keyring_find(const struct keyring *k,
    const uint8_t epoch[LAYOUT_EPOCH]); /* NULL: unknown */
/*
 * The one that seals: the newest that is everywhere, else the newest that is whole, else the newest;
 * NULL when there is none.
 */
const struct keyring_epoch *keyring_current(const struct keyring *k);
const struct keyring_signer *keyring_signer(const struct keyring *k, const uint8_t id[SIGN_ID]);
/* Signs with the repository's key; ERR_KEY when this host has only the public half. */
int keyring_sign(const struct keyring *k, const void *msg, size_t n, uint8_t sig[SIGN_LEN],
    struct err *e);

/*
 * Makes a new epoch (random data key), not yet everywhere; the first call also makes the id key.
 * Returns it.
 */
struct keyring_epoch *keyring_add_epoch(struct keyring *k, int64_t now_ns);
/* Forgets an epoch whose key objects could not be stored. */
void keyring_drop_epoch(struct keyring *k, const uint8_t epoch[LAYOUT_EPOCH]);
void keyring_set_everywhere(struct keyring *k, const uint8_t epoch[LAYOUT_EPOCH]);

/*
 * Text of the key object for one epoch and one recipient, and its name. escrow_pem != NULL: for
 * the escrow (kek may then be NULL), else for kek. A passphrase keeps the salt it was opened or
 * wrapped with before.
 */
int keyring_object(struct keyring *k, const struct keyring_epoch *ep, const struct kek *kek,
    const char *escrow_pem, char name[LAYOUT_NAME], struct buf *text, struct err *e);
/*
 * Takes a key object in: 1 opened, 0 it is for another recipient, -1 bad (signature, form, wrong
 * key under our id).
 */
int keyring_take(struct keyring *k, const struct kek *kek, const char *name, const struct buf *text,
    struct err *e);
/* Only form, repository, name and signature of a key object; for any recipient. */
int keyring_check(const struct keyring *k, const char *name, const struct buf *text, struct err *e);
/* The name our kek has as recipient; for a passphrase as far as it is known, else "". */
int keyring_recipient(const struct keyring *k, const struct kek *kek, char out[KEK_RECIPIENT],
    struct err *e);

#endif
