#ifndef REPO_PROVE_H
#define REPO_PROVE_H

#include <stdbool.h>

#include "repo/list.h"
#include "repo/repo.h"

/*
 * Beyond its packs being good: that a snapshot can be read on this tier alone. Every list chunk and
 * map is read, every id that a map or line gives is the one that the pack's index has at that
 * place, with the length that the file's size asks for, and every file's id is the one its maps
 * make. No contents are read: scrub_pack() does that.
 */
struct prove_options {
	bool (*interrupted)(void *arg); /* asked at each entry; may be NULL */
	/* What else an entry must be; may be NULL. -1 with e set: then it is none. */
	int (*entry)(void *arg, const struct entry *en, struct err *e);
	void *arg;
};
/* ERR_CORRUPT names the path. ERR_CANCELLED. */
int prove_contents(const struct repo *r, struct tier *t, const char *snap,
    const struct prove_options *o, struct err *e);

#endif
