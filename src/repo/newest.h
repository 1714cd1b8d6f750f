#ifndef REPO_NEWEST_H
#define REPO_NEWEST_H

#include "repo/layout.h"
#include "store/tier.h"

/*
 * What this host remembers of the tiers: which snapshot of a source it last saw as the newest
 * there, by committing, copying or verifying it. A small file each, DIR/<tier>/<source>, DIR being
 * `state`/newest. A memory may be removed at any time: nothing is held against the tier then.
 */
struct newest_missing {
	char id[96];	     /* "vol.uploads/20261121T020000Z-1a2b3c4d" */
	uint64_t sequence;
	struct err why;	     /* ERR_NOTFOUND, with the way out; reads well behind the id */
};

/*
 * Is what lies on the tier under that name ("snap/...") a snapshot, its manifest whole and signed? 1,
 * also where it cannot be opened here; 0 with the reason: anybody who can write there may have put it, and
 * it may be thrown away; -1 nobody can tell now, as where it lies in an archive or another version made it.
 * Asked only where the remembered one is gone and newer names are there.
 */
struct newest_judge {
	int (*sound)(void *arg, const struct tier *t, const char *name, struct err *e);
	void *arg;
};

/*
 * That snapshot is on the tier. One that is not newer than what is remembered changes nothing. One
 * that takes the place of a newest that is gone does not make that good: the missing one is
 * remembered further on, until it is there again or newest_forget().
 */
int newest_remember(const char *dir, const struct tier *t, const char *id, uint64_t sequence,
    const struct newest_judge *judge, struct err *e);
/*
 * 1 the remembered one is there or was outlived by a sound one, or none is remembered; 0 it is
 * missing: *ret; -1 the tier could not be listed, or the file not be read, or what is newer not be
 * judged. `all` is looked through for another copy.
 */
int newest_check(const char *dir, const struct tier_set *all, const struct tier *t,
    const char *source, const struct newest_judge *judge, struct newest_missing *ret, struct err *e);
/* 1 and which is remembered as the newest on the tier of that name; 0 none; -1 not to be read. */
int newest_remembered(const char *dir, const char *tier, const char *source, char id[96],
    struct err *e);
/* Calls back for every source of which something is remembered on the tier of that name. */
void newest_sources(const char *dir, const char *tier, void (*seen)(void *arg, const char *source),
    void *arg);
/* What a person let go is not missed: only this snapshot, or with id NULL all of that source. */
int newest_forget(const char *dir, const char *tier, const char *source, const char *id,
    struct err *e);

#endif
