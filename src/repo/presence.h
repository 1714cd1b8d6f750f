#ifndef REPO_PRESENCE_H
#define REPO_PRESENCE_H

#include "repo/manifest.h"
#include "store/store.h"

/*
 * Which packs of a manifest's table lie on a store, with the size they must have: there[i] is about
 * pack[i]. Bytes are not looked at.
 */
int presence_check(struct store *s, const struct manifest *m, bool *there, struct err *e);

#endif
