#ifndef JOB_WAL_EXPIRE_PARTS_H
#define JOB_WAL_EXPIRE_PARTS_H

#include "job/wal/wal_expire.h"
#include "job/wal/wal_shelf.h"
#include "job/wal/wal_source.h"

/* What wal_expire.c, which finds the base backups that count, and wal_expire_go.c, which removes,
 * share. */
struct wal_expire_known {
	struct wal_keep_base base;
	char id[96];
	bool is_base; /* one that can be restored */
};

/* A snapshot on the tier, or the copy of one under way. */
struct wal_expire_name {
	char name[LAYOUT_NAME];
	char snap[LAYOUT_NAME];
};

struct wal_expire {
	struct session *s;
	struct tier *tier;
	char source[64];
	struct wal_shelf_options so;
	struct tier *tiers[WAL_SOURCE_TIERS];
	struct wal_shelf shelf;
	bool shelved;

	struct wal_expire_known *own; /* of the tier, in the order of the prune report */
	size_t owns, own_room;
	struct wal_expire_known *base; /* that count */
	size_t bases, base_room;
	struct wal_expire_name *name;
	size_t names, name_room;
};

/* wal_expire.c */
int wal_expire_list(struct wal_expire *w, struct err *e); /* into name, emptied first */
/* wal_expire_go.c */
int wal_expire_go(struct wal_expire *w, const struct wal_keep *k,
		  const struct wal_expire_rules *rules, struct wal_expire_report *ret,
		  struct err *e);

#endif
