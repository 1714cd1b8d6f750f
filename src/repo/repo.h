#ifndef REPO_REPO_H
#define REPO_REPO_H

#include <stdint.h>

#include "repo/keyring.h"
#include "repo/repo_chain.h"
#include "store/tier.h"

/*
 * One repository over all tiers: its identity and numbers (repo/<n>), its keys, its tiers. Opened
 * once per run; const from then on but for tiers going away.
 */
struct repo {
	uint8_t id[LAYOUT_REPO_ID];
	unsigned number; /* n of the repo/<n> in force */
	int64_t horizon_ns;
	uint32_t pack_size;
	struct keyring *keys;
	struct repo_chain chain;
	struct tier_set *tiers; /* borrowed */
	char *escrow_pem; /* public key of the escrow, owned; NULL: none, or it could not be read */
	/* Its recipient; "e": it could not be read, so any escrow's counts; "": there is none. */
	char escrow[KEK_RECIPIENT];
	/* That of the kek it was opened by; "": not known, or it was the escrow's private half. */
	char kek[KEK_RECIPIENT];
	char *clock_path; /* file in `state` that remembers this host's clock; NULL: none */
};

struct repo_options {
	int64_t horizon_ms;
	uint64_t pack_size;
	const struct kek *kek;
	const char *escrow_pem; /* NULL: none */
	bool escrow_unread;	/* there is one, and it could not be read */
	struct sign_key *sign;	/* taken over by the repo's keyring on success */
	/* File in `state` that remembers repository id and highest repo/<n> seen; NULL: none. */
	const char *pin_path;
	/*
	 * repo_open(): tiers are looked at as they were, so nothing of it is remembered, and a tier
	 * among them that is as it is stays open when it is empty, or held it then: it is to be filled.
	 */
	bool past;
};

/*
 * Looks at every tier first: all empty -> makes repository and keys on all; one holds a
 * repository -> the others adopt it; two differ, one is away, or one holds packs without saying
 * whose -> ERR_REFUSED. Key objects that are missing for o->kek or o->escrow_pem are made. Keys
 * are on every tier and read back before this returns. *made counts tiers that got something.
 * ERR_BUSY: another host's init was faster, run again.
 */
int repo_init(struct tier_set *tiers, const struct repo_options *o, unsigned *made,
    struct repo **ret, struct err *e);
/*
 * Opens from the reachable tiers. ERR_NOTFOUND: no repository, run init; ERR_KEY, ERR_CORRUPT
 * (forged), ERR_REFUSED (rolled back, two repositories and nothing tells which is ours), ERR_REMOTE
 * (no tier answers). A tier that holds no repository, or another one than ours (repo_ours.h), is
 * closed and its `why` tells it. One that has lost repo/ but holds key objects of this repository
 * stays open: repo_spread() heals it.
 */
int repo_open(struct tier_set *tiers, const struct repo_options *o, struct repo **ret,
    struct err *e);
void repo_free(struct repo *r);
/* When that recipient was replaced, which every repo/<n> from then on says; 0: it was not. */
int64_t repo_replaced(const struct repo *r, const char *recipient);
/* ERR_REFUSED when the kek or the escrow of this host is one that was replaced. */
int repo_check_replaced(const struct repo *r, struct err *e);

/*
 * New data key epoch, whose name is told; its key objects on every tier, read back, before it is
 * used. One that a call of more than a minute ago has left half made is finished instead. Of hosts
 * that rotate at once each makes its own; the newest of them seals. All of these want every tier
 * reachable (else ERR_REMOTE) and the private signing key.
 */
int repo_rotate_data(struct repo *r, const struct repo_options *o, uint8_t epoch[LAYOUT_EPOCH],
    struct err *e);
/*
 * Rewraps every epoch's key for a new kek (and escrow), reads back, writes down in repo/<n+1> that
 * the old kek was replaced, then removes its objects. ERR_REFUSED when both are the same, or the
 * new one was replaced before.
 */
int repo_rotate_kek(struct repo *r, const struct kek *old_kek, const struct kek *new_kek,
    const char *escrow_pem, struct err *e);
/*
 * The same for the escrow: wraps every epoch for the new public half, which repo/<n+1> and then the
 * removal of the old one's objects follow. Where r had no escrow one is added.
 */
int repo_rotate_escrow(struct repo *r, const struct kek *kek, const char *new_pem, struct err *e);
/*
 * repo/<n+1> that adds a signer, signed by the old and the new key. new_key stays the caller's; r
 * goes on signing with the old. Where the key was added before and some tier does not know it yet,
 * that is finished; ERR_EXISTS when all know it.
 */
int repo_rotate_signer(struct repo *r, struct sign_key *new_key, struct err *e);
/*
 * The way out of a tier that has objects of ours and no repo/: always -1. And of one that has nothing
 * any more: false, and nothing is added, where its store shows no past. The tier is open.
 */
int repo_tell_stray(const struct tier *t, struct err *e);
bool repo_tell_emptied(const struct tier *t, const char *label, struct err *e);
/*
 * A tier that was away when the repository was opened: opened, if it holds this one. The tier is only
 * read, so a worker may ask. *ret is the caller's.
 */
int repo_reach(const struct repo *r, const struct tier *t, struct store **ret, struct err *e);
/*
 * Brings repo/ and key/ objects that one tier lacks from others; what copy and init call, and
 * what a backup calls before it writes to a tier. An epoch that no tier has wrapped for the escrow
 * is, where this host may sign. 1 something was brought or made, 0 all was there, -1.
 */
int repo_spread(struct repo *r, struct tier *to, struct err *e);

#endif
