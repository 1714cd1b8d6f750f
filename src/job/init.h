#ifndef JOB_INIT_H
#define JOB_INIT_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"
#include "filter/sign.h"
#include "job/watch.h"
#include "repo/layout.h"

/*
 * The first step: keys, directories of tiers, the repository. May be repeated: what is there stays
 * as it is, nothing is ever overwritten.
 */
struct init_item {
	char *what; /* "key-encryption key" */
	char *path;
	bool made;  /* by this run */
};

struct init_report {
	struct init_item *item; /* keys and directories */
	size_t items, room;
	unsigned made_tiers;	/* tiers that got the repository or keys of it */
	bool made_repo;		/* no tier had one before */
	uint8_t repo_id[LAYOUT_REPO_ID];
	uint8_t signer[SIGN_PUB];
	char *escrow_private;	/* where the private half lies and must not stay, or NULL */
};

/* *ret is to be freed by init_done() also after -1: what was made until then is in it. */
int init_run(const struct conf *c, const struct watch *w, struct init_report *ret, struct err *e);
void init_done(struct init_report *r);

/*
 * Where the private half of an escrow key lies after init: beside the public one. Caller frees;
 * NULL: there is none.
 */
char *init_escrow_private(const struct conf *c);
/*
 * The pair whose public half `ref` names, made where it is not there: 1 made, 0 something is there
 * already, -1. *private_path: where its private half lies now, NULL: not here; caller frees.
 */
int init_make_escrow(const struct conf *c, const char *ref, char **private_path, struct err *e);

/*
 * Writes a new key where a file: or credential: reference says: a kek (32 random bytes in hex) or
 * an Ed25519 signing key. 1 made, 0 something is there already, -1.
 */
enum init_key { INIT_KEK, INIT_SIGNING, INIT_ESCROW /* a pair: not for init_make_key() */ };
int init_make_key(const struct conf *c, enum init_key which, const char *ref, struct err *e);

#endif
