#ifndef REPO_CATALOG_H
#define REPO_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/manifest.h"

/*
 * What a host remembers of the snapshots it has seen: one small file each in DIR/<source>/, where
 * DIR is `state`/catalog. A cache: it may be deleted at any time, and expire, gc, restore and the
 * choice of a parent never ask it. A snapshot is the same on all tiers, so an entry names none.
 */
struct catalog_facts {
	bool partial;
	uint64_t sequence, entries, files, bytes, read_bytes, stored_new;
	int64_t started_ns, finished_ns, compared_ns;
};

void catalog_facts(const struct manifest *m, struct catalog_facts *ret);
/* id: "vol.uploads/20261121T020000Z-1a2b3c4d". Makes DIR when it is not there. */
int catalog_put(const char *dir, const char *id, const struct catalog_facts *facts, struct err *e);
/* 1, or 0 when it is not known or cannot be read: the manifest knows. */
int catalog_get(const char *dir, const char *id, struct catalog_facts *ret);
/* Calls back with the id of each snapshot of the source that is known, in no order. */
void catalog_each(const char *dir, const char *source, void (*seen)(void *arg, const char *id),
    void *arg);
/* Forgets what `exists` says is on no tier any more. Returns how many went; best effort. */
unsigned catalog_prune(const char *dir, bool (*exists)(void *arg, const char *id), void *arg);

#endif
