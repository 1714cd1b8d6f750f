#ifndef JOB_WAL_LOOK_H
#define JOB_WAL_LOOK_H

#include "job/pg/pg_facts.h"
#include "job/wal/wal_source.h"
#include "job/watch.h"
#include "repo/wal_beat.h"
#include "source/pg/pg_history.h"

/*
 * How far the WAL of a source has got: what its server says, and what each tier that receives WAL
 * has. Everything may be away and is then said to be not known; nothing of it is an error. From
 * this `wal status` and `exposure` are told.
 */
struct wal_look_server {
	bool reached;
	struct err why; /* it was not */
	uint64_t sysid, flush;
	uint32_t tli;
	bool standby;
	struct pg_history history; /* of its timeline; without steps where it could not be had */
	struct pg_conn *conn; /* while the look lives */
};

struct wal_look_base {
	char id[96];
	struct pg_facts facts;
	int64_t begun_ns; /* by the store's clock */
};

struct wal_look_tier {
	struct tier *tier;
	bool off_host;
	struct err why; /* kind != ERR_NONE: all below is not known */
	int64_t now_ns;	  /* its clock when all was read, as it tells it */
	int64_t blur_ns;  /* it may have been so much later */
	int64_t asked_ns; /* when; boot time */

	uint32_t tli;	   /* the newest timeline there; 0: no WAL at all */
	uint64_t frontier; /* the end of its newest stretch */
	struct pg_history history; /* of that timeline, as it lies there */
	/* On the way to that timeline, each one's own stretch joined to the next. */
	struct lsn_set have;
	bool based;
	struct wal_look_base oldest, newest; /* base backups there that lie on the way */
	uint64_t reach; /* a recovery from the newest one gets so far; 0: there is none */

	bool sampled, beaten; /* of the place that is looked at */
	bool stray;	      /* the newest sample of all is of another: somebody ships there */
	struct wal_sample durable; /* the newest one whose LSN a recovery reaches */
	struct wal_beat beat;	   /* the newest of all */
	/* So long another tier has had what this one lacks; only where no beat is kept; 0: not known */
	int64_t late_ns;
};

struct wal_look {
	struct wal_source w;
	struct err coord; /* kind != ERR_NONE: the place does not answer */
	bool placed; /* it is known where the WAL is kept: as pinned, or else by what lies there */
	struct wal_place place;
	struct wal_look_server server;
	struct wal_look_tier tier[WAL_SOURCE_TIERS];
	size_t tiers;
};

/* wal_look_done() in any case. -1: the source has no tier for WAL (ERR_CONFIG), or what is stored
 * cannot be believed. */
int wal_look_load(struct session *s, const struct conf_source *source, const struct watch *w,
		  struct wal_look *ret, struct err *e);
void wal_look_done(struct wal_look *l);

/*
 * Up to where that tier and the server have one and the same history, UINT64_MAX: wholly. What the
 * server has beyond is not there, whatever LSN the tier has.
 */
uint64_t wal_look_common(const struct wal_look *l, const struct wal_look_tier *t);
/* A server that has less than a tier of the same history was set back. */
bool wal_look_set_back(const struct wal_look *l, const struct wal_look_tier *t);
/* So many bytes that the server has written are not there; 0 also where that is not known. */
uint64_t wal_look_behind(const struct wal_look *l, const struct wal_look_tier *t);
/* The newest sample that any tier has; false: there is none. */
bool wal_look_newest(const struct wal_look *l, struct wal_beat *ret);

#endif
