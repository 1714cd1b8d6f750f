#ifndef JOB_WAL_STATUS_H
#define JOB_WAL_STATUS_H

#include "coord/lease.h"
#include "job/alarms.h"
#include "job/wal/wal_look.h"
#include "repo/wal_gap.h"
#include "source/pg/pg_slot.h"

/*
 * Is the WAL of a source where it should be? All that can be learned, with what needs attention in
 * words. Whatever is away is said as not known.
 */
enum wal_status_role { WAL_STATUS_OWN, WAL_STATUS_HOLD, WAL_STATUS_OTHER };
struct wal_status_slot {
	char name[PG_SLOT_NAME];
	enum wal_status_role role;
	bool there;
	struct pg_slot slot;
};

struct wal_status_tier {
	int owed; /* objects that it is still to get; -1: not known */
	/* What is missing between the start of its oldest base backup and its frontier. */
	struct lsn_set holes;
};

struct wal_status_gap {
	struct wal_gap gap;
	bool open; /* a tier's base backups would need it, and no tier has it */
};

struct wal_status {
	struct wal_look look;
	bool streams; /* a receiver brings it, not archive_command */
	int64_t ship_every_ns;

	struct err slots_why; /* kind != ERR_NONE: they are not known */
	struct wal_status_slot *slot;
	size_t slots;

	int leased; /* 1, 0 nobody has it, -1 not known */
	struct lease_text lease;

	struct err gaps_why;
	struct wal_status_gap *gap; /* oldest first */
	size_t gaps;

	struct err spool_why;
	uint64_t spooled, backlog; /* of this host */
	uint64_t spool_room;	   /* on its disk; UINT64_MAX: not known */
	uint64_t spool_end;	   /* of the newest timeline; 0: nothing there */

	struct wal_status_tier tier[WAL_SOURCE_TIERS]; /* of the index of look.tier */

	struct alarms alarms;
};

/* wal_status_done() in any case; -1 as wal_look_load(). */
int wal_status_load(struct session *s, const struct conf_source *source, const struct watch *w,
		    struct wal_status *ret, struct err *e);
void wal_status_done(struct wal_status *s);
/* "own", "hold", "other" */
const char *wal_status_role_word(enum wal_status_role r);

/* Slots of hosts of ours on that server: names that begin with ffdr_, and the one of this host;
 * those of a run are none. */
int wal_status_slots(struct pg_conn *c, const char *own, struct wal_status_slot **ret,
		     size_t *count, struct err *e);

#endif
