#ifndef REPO_REPO_NEXT_H
#define REPO_REPO_NEXT_H

#include "repo/repo.h"

/* The repository object that follows the highest one, on every tier. All of them must be open. */
struct repo_change {
	struct sign_key *signer; /* may sign from now on; NULL: none is added */
	const char *replaced;	 /* a recipient that no key object is made for any more; NULL: none */
};
/*
 * ERR_BUSY: another host was faster, the same once more goes on after it. ERR_KEY: we cannot sign.
 * r knows of it afterwards.
 */
int repo_next(struct repo *r, const struct repo_change *c, struct err *e);
/*
 * The highest one to every tier, one that was made at the same time and does not count set aside
 * there, and what else a tier lacks. 1 something was brought, 0 nothing, -1.
 */
int repo_next_settle(struct repo *r, struct err *e);

#endif
