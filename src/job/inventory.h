#ifndef JOB_INVENTORY_H
#define JOB_INVENTORY_H

#include "base/opt.h"
#include "job/session.h"
#include "job/watch.h"
#include "repo/catalog.h"
#include "repo/layout.h"
#include "repo/record.h"
#include "repo/snapshot.h"

/*
 * What lies where: a row for each snapshot that any reachable tier lists. Facts come from this
 * host's catalog, so no manifest is opened and no key is needed; with `refresh` the unknown ones
 * are opened.
 */
struct inventory_item {
	char name[LAYOUT_NAME];
	struct layout_snap part;
	uint64_t on; /* bit i: session.tiers.tier[i] has it */
	int64_t stored_ns; /* the earliest on any of them */
	bool known;
	bool bad; /* its manifest was opened on every tier that has it, in vain, and that was told */
	bool untold; /* and may be sound all the same: it was refused, or the tier fell silent */
	struct catalog_facts facts;
};
struct inventory {
	struct inventory_item *item; /* by source, then time */
	size_t count, room;
	size_t unknown;	 /* rows without facts */
	size_t away;	 /* tiers that could not be asked */
	uint64_t mute;	 /* bit i: session.tiers.tier[i] is one of those */
	unsigned opened; /* manifests read by refresh */
};

struct inventory_options {
	const char *const *source; /* full names; none: all */
	size_t sources;
	struct tier *tier; /* only this one, NULL: all that answer */
	bool refresh;	   /* the session has its repository open */
	bool names_only;   /* no facts */
	bool once;	   /* a tier that fell silent before is not waited for again */
};
#define INVENTORY_TIERS 64 /* bits in `on` */

int inventory_read(struct session *s, const struct inventory_options *o, const struct watch *w,
    struct inventory *ret, struct err *e);
void inventory_done(struct inventory *inv);
/* The facts of one row, from its manifest where the catalog has not got it: the repository is open. */
void inventory_learn(struct session *s, struct inventory_item *item, const struct watch *w);
/* The time that it is judged by: expire_time() of its name and of when it was stored. */
int64_t inventory_time(const struct inventory_item *it, int64_t now_ns);

/*
 * What is held, by the records on the tiers that answer. Where there are none, no key is needed to
 * know it; else the repository of the session is opened now. record_holds_done() in any case.
 */
int inventory_holds(struct session *s, struct record_holds *ret, struct err *e);

/*
 * What is to be told of a listing with a name that is none of a snapshot; NULL: there is none.
 * Caller frees.
 */
#define INVENTORY_STRANGE_FIX "move it elsewhere: until then nothing expires and nothing is " \
	"collected there"
char *inventory_strange(const struct tier *t, const struct snapshot_list *l);

/* Where the catalog of this configuration lies. Caller frees. */
char *inventory_catalog(const struct session *s);
/* "local, dr" of the bits; the caller frees. */
char *inventory_tiers(const struct session *s, uint64_t on);
/* Which tiers list this snapshot (bits as in `on`); those that do not answer count as not. */
uint64_t inventory_where(struct session *s, const char *name);

#endif
