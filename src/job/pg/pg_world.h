#ifndef JOB_PG_WORLD_H
#define JOB_PG_WORLD_H

#include "job/session.h"
#include "job/wal/wal_source.h"
#include "job/watch.h"
#include "repo/walread.h"
#include "source/pg/pg_line.h"
#include "source/pg/pg_target.h"

/*
 * All there is of a PostgreSQL source on the tiers that answer: its base backups, and the WAL
 * behind them along the timelines. From this a restore chooses, and a refusal says what would be
 * possible.
 */
struct pg_world_base {
	char name[LAYOUT_NAME]; /* snap/... */
	struct tier *on;	/* the nearest that lists it */
	uint64_t sysid, segment_size;
	uint32_t epoch;
	bool standby; /* read from one: its clock says nothing of the WAL */
};

/* A timeline that there is WAL or a history of. */
struct pg_world_line {
	uint32_t tli;
	struct pg_history history;
	struct err why;	     /* kind != ERR_NONE: its history is missing or cannot be read */
	struct lsn_set have; /* on the tiers */
	uint64_t end;	     /* of its WAL, with the spool; 0: none */
	enum pg_line_role role;
};

struct pg_world {
	struct session *session;
	const struct watch *watch;
	char source[64];
	struct tier *tier[WAL_SOURCE_TIERS]; /* that answered */
	size_t tiers;
	struct buf tier_names; /* "local, regional" */
	struct buf places;     /* of the WAL: those, and the spool where it alone has some of it */
	struct wal_place place;
	uint64_t segment_size;
	struct walread *read;
	uint32_t active;    /* timeline, by the coordination place; 0: not known */
	struct err unknown; /* kind != ERR_NONE: that place does not answer */
	struct pg_world_line *line;
	size_t lines;
	struct pg_history history; /* of the timeline that was chosen */
	struct lsn_set have;	   /* on the way to it */
	/*
	 * The spool of this host, where it may be used, and what of `have` it alone has: each on a
	 * timeline.
	 */
	char *spool_path;
	struct spool_dir spool;
	struct pg_world_spooled {
		uint32_t tli;
		uint64_t from, to;
	} *spooled;
	size_t spooleds;

	struct pg_target_base *base; /* their ids are those of `about` */
	struct pg_world_base *about; /* of the same index */
	size_t bases;
	/* One that is listed, and was asked for, and cannot be read: silence before any other reason. */
	struct err unusable;
	struct pg_target_gap *gap;
	size_t gaps, gap_room;
	uint64_t frontier, last,
	    last_end; /* last: start of the last complete record, and its end */
	int64_t frontier_ns; /* at least until then the server had no more than that */
	int64_t commit_ns;   /* of the last commit before it; 0: not known */
	bool commit_known;   /* or it is known that there is none in the newest stretch */
	bool cold_gap;	     /* what would tell the times of a gap lies in an archive */
	struct err cold; /* kind ERR_FROZEN: the newest WAL lies in an archive, so `last` is not known */
	uint64_t unread; /* there a question to the log ended, because it cannot be read */
};

struct pg_world_options {
	const char *source;
	struct tier *tier; /* only this one; NULL: all of the source */
	const char *base;  /* name of a snapshot that must be among the bases; NULL: any */
	bool base_end; /* and nothing behind its own end is wanted */
	uint32_t timeline; /* that is the database, whatever is active; 0: as pg_line.h decides */
	bool spool; /* what only the spool of this host has counts, too */
};
/*
 * pg_world_done() in any case. What is lost by a tier that is away is not told: the caller has
 * warned of it. Lines of timelines beside the one that was chosen are told as warnings. ERR_REFUSED:
 * which one is the database is not known.
 */
int pg_world_load(struct session *s, const struct pg_world_options *o, const struct watch *w,
    struct pg_world *ret, struct err *e);
void pg_world_done(struct pg_world *w);
/* What this host received and none of the tiers asked has, where the spool was not to count. */
void pg_world_tell_of_spool(struct pg_world *w);

/*
 * Looks up what the log has of the target, and decides: pg_target_choose(). ERR_FROZEN: what has to be
 * read for that lies in an archive, from w->unread on.
 */
int pg_world_choose(
    struct pg_world *w, const struct pg_target *want, struct pg_target_plan *ret, struct err *e);
/*
 * Then: which base it will be, and up to where the log will have to be read (ret->until), without a
 * look into it; of a time, that it is met at `until`. Nothing else of *ret is set.
 */
int pg_world_guess(struct pg_world *w, const struct pg_target *want, uint64_t until,
    struct pg_target_plan *ret, struct err *e);
/*
 * Where a recovery to that plan will have ended: behind its last record. -1 when the WAL cannot be
 * read.
 */
int
pg_world_end(struct pg_world *w, const struct pg_target_plan *plan, uint64_t *ret, struct err *e);
/*
 * The highest max_prepared_transactions that the log between the two says a server was started with;
 * 0: none, or that is more log than is read for it.
 */
int64_t pg_world_prepared(struct pg_world *w, uint64_t from, uint64_t to);

#endif
