#ifndef JOB_WAL_EXPIRE_H
#define JOB_WAL_EXPIRE_H

#include "job/session.h"
#include "job/wal/wal_keep.h"
#include "job/watch.h"
#include "repo/prune.h"

/*
 * The part of an expiry that is about WAL: which base backups of a tier must stay because a
 *timeline of the window grows out of them, and, once it is known which stay, which WAL there nobody
 *needs any more.
 *
 *	wal_expire_new
 *	prune_source() with wal_expire_seen and wal_expire_roots as its `seen` and `roots`
 *	wal_expire_run
 */
struct wal_expire;

struct wal_expire *wal_expire_new(struct session *s, struct tier *t, const char *source);
void wal_expire_free(struct wal_expire *w);
/* For prune_options; `own` is the struct wal_expire. */
int wal_expire_seen(void *own, size_t i, const struct manifest *m, struct err *e);
int wal_expire_roots(void *own, struct expire_item *item, size_t n, int64_t window_ns,
		     struct err *e);

/* Objects of one timeline (tli 0: of none) that share a reason. */
struct wal_expire_group {
	struct wal_place place;
	uint32_t tli;
	enum wal_keep_reason reason;
	size_t objects;
	uint64_t bytes;
	uint64_t from, to; /* of pieces; 0: there is none among them */
	char by[96];	   /* the first base backup that needs them; "" */
};

struct wal_expire_report {
	struct wal_expire_group *group;
	size_t count, room;
	size_t going, gone; /* objects */
	uint64_t bytes;	    /* of those that go */
	/* kind != ERR_NONE: not judged this time, and why; nothing goes then */
	struct err not_judged;
};

struct wal_expire_rules {
	int64_t keep_ns; /* as prune_options: -1 forever */
	bool retire, dry_run;
	bool (*interrupted)(void *arg);
	void *arg;
};
/*
 * done: what prune_source() came to; NULL: the tier has no snapshot of the source. A tier that is
 * away whose base backups may need this one's WAL is `not_judged`; what cannot be read is an error.
 * wal_expire_done() in any case.
 */
int wal_expire_run(struct wal_expire *w, const struct prune_report *done,
		   const struct wal_expire_rules *rules, struct wal_expire_report *ret,
		   struct err *e);
void wal_expire_done(struct wal_expire_report *r);

#endif
