#ifndef REPO_REPO_LOCK_H
#define REPO_REPO_LOCK_H

#include "repo/repo.h"

/*
 * On a tier that locks: the locks of repo/ and of the keys of the epoch in use go on, so that they outlast
 * what is sealed from now on. For whoever writes there; it is done about once a day, whoever does it.
 * How many went on, or -1.
 */
int repo_lock_renew(const struct repo *r, struct tier *t, struct err *e);

#endif
