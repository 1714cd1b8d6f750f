#ifndef JOB_THAW_PARTS_H
#define JOB_THAW_PARTS_H

#include <pthread.h>

#include "filter/pool.h"
#include "job/thaw.h"
#include "job/thaw_plan.h"

/* What thaw.c, thaw_which.c and thaw_ask.c share. */
struct thaw {
	struct session *s;
	const struct thaw_wish *wish;
	const struct watch *watch;
	struct tier *never;
	thaw_line *preview;
	void *preview_arg;
	struct tier **order; /* who is asked, in turn */
	_Atomic bool *mute;  /* does not answer: it is not waited for at every pack */
	size_t tiers;
	struct thaw_pack *pack; /* those that were asked for last */
	size_t packs;
	struct wal_thaw *log; /* bundles that come with them, in the end of the table; NULL: none */
	struct wal_thaw_bundle *own; /* of what was named; else NULL */
	bool agreed; /* it may cost something */
	int64_t waited_ns; /* as thaw_waited() says */
	pthread_mutex_t lock;
};

/* The table from there on: from what the tiers say to what can be read. */
int thaw_bring(struct thaw *t, size_t from, struct err *e);
struct thaw_pack *thaw_find(struct thaw *t, const char *name);

/* One pack, asked for in a thread of its own. */
struct thaw_ask {
	struct thaw *t;
	struct thaw_pack *pack;
	enum store_speed speed;
	unsigned days;
	struct err err;
};

/* Work of a thread: where it is best read from; orders it there; looks what came of that. */
void thaw_ask_look(void *task);
void thaw_ask_order(void *task);
void thaw_ask_confirm(void *task);
/* Does that for each pack from `from` on that `want` (NULL: every) chooses; `what` is told, or NULL. */
typedef bool thaw_ask_want(const struct thaw_pack *p);
int thaw_ask_all(struct thaw *t, const char *what, size_t from, pool_work *work, thaw_ask_want *want,
    struct err *e);
/* For one, here. */
int thaw_ask_one(struct thaw *t, struct thaw_pack *p, pool_work *work, struct err *e);

#endif
