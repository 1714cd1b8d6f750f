#ifndef JOB_STATUS_H
#define JOB_STATUS_H

#include "job/alarms.h"
#include "job/exposure.h"
#include "job/inventory.h"
#include "job/proved.h"
#include "job/session.h"
#include "job/watch.h"

/*
 * Are we safe? Each tier of each source against what it promises: how much would be lost (rpo), how
 * long a restore would take (rto), what it has not got yet.
 */
enum status_verdict {
	STATUS_NONE, /* nothing is promised */
	STATUS_KEPT,
	STATUS_MISSED, /* late for an rpo, exceeded for an rto */
	STATUS_UNKNOWN,
};

struct status_line {
	char source[64];
	const char *tier, *site; /* borrowed from the configuration */
	bool answers;
	bool open;	     /* and kept nothing back: all else is not known where it did */
	bool wal;	     /* what would be lost is told by its WAL, else by its newest snapshot */
	struct exposure is;  /* what would be lost if only this tier were left */
	struct err why;	     /* kind != ERR_NONE: why that is not known */
	bool behind_known;   /* how much older it is than the first tier of the source */
	int64_t behind_ns;
	int64_t rpo_ns;	     /* 0: none is promised */
	enum status_verdict rpo;

	bool newest_known;
	char newest[96];     /* the newest complete snapshot there; "": none, or not known */
	int64_t begun_ns;    /* when it was begun */
	uint64_t bytes;	     /* of all files in it */
	uint64_t replay;     /* of WAL, that a recovery from it reads; 0: not known */

	int owed;	     /* snapshots that a copy would bring now; -1: not known */
	int64_t owed_ns;     /* for how long the oldest of them has been waiting */
	bool owed_late;	     /* that is too long */

	struct proved proved; /* of the newest */
	bool proved_known;    /* the tier was asked for that, and has told it */
	struct proved_pace pace;
	int64_t predicted_ms; /* that a restore of the newest would take; -1: not known */
	int64_t rto_ms;	     /* 0: none is promised */
	enum status_verdict rto;
};

struct status_tier {
	const char *tier, *site;
	bool answers;
	struct err why; /* kind != ERR_NONE: why it does not answer, or cannot be used as it is */
	int owed_wal;	/* objects of WAL that were acknowledged while it was away; -1: not known */
};

struct status {
	struct status_line *line; /* by source, then in the order of its tiers */
	size_t count, room;
	struct status_tier *tier; /* all of the configuration */
	size_t tiers, sources;
	struct alarms alarms;
};

/*
 * Of n sources, or of all that are configured where n is 0. What is away is told as not known.
 * status_done() in any case; -1: who looks on asked to stop.
 */
int status_load(struct session *s, const struct conf_source *const *source, size_t n,
    const struct watch *w, struct status *ret, struct err *e);
void status_done(struct status *s);

/*
 * Of a line with source, tier, replay and rto_ms: the newest snapshot that inv has of it there, what
 * is known of that, and whether the rto is kept. -1: what was verified cannot be read.
 */
int status_restore(struct session *s, struct status_line *l, struct inventory *inv,
    const struct watch *w, struct err *e);

/* Pure: is the promise kept? */
enum status_verdict status_judge_rpo(const struct exposure *is, int64_t rpo_ns);
enum status_verdict status_judge_rto(int64_t predicted_ms, int64_t rto_ms);

#endif
