#ifndef STORE_TIER_H
#define STORE_TIER_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

/*
 * The tiers of a configuration in its order, each with its store once opened. All hold one repository,
 * so any object may be read from any of them: from the nearest, which is not always the first.
 */
/* What was found of one that is closed. */
enum tier_found {
	TIER_SILENT, /* nothing: it does not answer */
	TIER_REFUSED, /* nothing: it answers, and does not say what it holds, or whose it is */
	TIER_OTHER,  /* it answers, and holds no repository, or another one */
	TIER_RUINED, /* it answers; ours is gone from there, or whatever says that it is ours */
};

struct tier {
	const char *name; /* "local"; borrowed */
	struct store_options options;
	int64_t keep_ms;
	int64_t rpo_ms; /* 0: none */
	int64_t rto_ms;
	int64_t takes_ms; /* period it takes one snapshot of: 0 = all, 1 h, 1 d, 1 w */
	enum store_speed thaw;	/* how what lies in an archive is ordered back */
	unsigned thaw_days;	/* and for how long */
	struct store *store; /* NULL: not opened, or away */
	bool barred; /* with its reason in `why`: tier_open_all() leaves it away */
	/* Did not answer a moment ago, as `why` says: who lists it next takes that for the answer, once. */
	bool silent;
	bool mute; /* the last tier_get() learnt nothing from it: away, silent or refused */
	/* kind != ERR_NONE: why it is away, or did not tell what it was asked last (tier_untold()) */
	struct err why;
	enum tier_found found; /* of use only while it is closed */
	/* How near it is: the lower the nearer; of equal ones the one that stands before. */
	unsigned rank;
	bool archive; /* what lies there has to be ordered back before it is read */
	bool last; /* only when no other has it: an archive, where a look costs hours and money */
	void *held; /* what the options point to, of who made the tier; NULL */
};

struct tier_set {
	struct tier *tier;
	size_t count;
};

/*
 * Opens what is not open yet; a tier that cannot be opened keeps its reason in `why`. Returns how
 * many are open.
 */
size_t tier_open_all(struct tier_set *set);
/* The same, but one that did not answer before is not waited for again. */
size_t tier_open_rest(struct tier_set *set);
/*
 * Calls back for every open tier, the i-th of the set. Several that are far (store_ops) are asked at
 * once, from threads: so those that are silent take the time of one. There `work` may change its own
 * tier and what belongs to it alone; what follows for all is decided when this has returned.
 */
typedef void tier_work(void *arg, struct tier *t, size_t i);
void tier_each(struct tier_set *set, tier_work *work, void *arg);
void tier_close_all(struct tier_set *set);
/*
 * What a tier did not tell is not known: it is neither there nor absent. Is it with this one, which is
 * open and kept back nothing it was asked? And does it answer, be it with a refusal?
 */
bool tier_tells(const struct tier *t);
bool tier_answers(const struct tier *t);
/* It fell silent, or refused what it was asked; where it is closed for that, `found` says which. */
void tier_untold(struct tier *t, const struct err *why);
/*
 * May what a store failed with so be there all the same, and whole? Else it said that there is none, or
 * what it has is no good.
 */
bool tier_leaves_open(enum err_kind kind);
/* The directory of a file: tier, borrowed from its url; NULL for other kinds of tiers. */
const char *tier_dir(const char *url);
struct tier *tier_find(const struct tier_set *set, const char *name);
/* The i-th nearest, i < count. */
struct tier *tier_near(const struct tier_set *set, size_t i);
/*
 * The i-th to be asked: `first` (NULL: none), unless it is one for the last, then the others, nearest
 * first; NULL: there are not so many.
 */
struct tier *tier_turn(const struct tier_set *set, struct tier *first, size_t i);

/*
 * Reads an object from the first tier of the set that has it whole: `first` is asked first (may
 * be NULL), then the others, nearest first. `good` judges the bytes (NULL: any); a tier whose copy it
 * refuses is passed over. *from tells who gave it (may be NULL). A tier that did not answer
 * lately is asked last. When all fail, out is as before and e tells each tier's answer on a line
 * of its own; ERR_NOTFOUND only when every tier answered that. Another kind is that of the answer which
 * tells most, and not all need to have answered: `mute` of each tells. `good` sees all of out: hand
 * an empty one.
 */
typedef int tier_judge(void *arg, const char *name, const struct buf *bytes, struct err *e);
int tier_get(struct tier_set *set, struct tier *first, const char *name, struct buf *out,
    tier_judge *good, void *arg, struct tier **from, struct err *e);
/*
 * May it have what could not be had, for all that is known? It was mute, or is away, or did not answer
 * when it was asked last. While there is such a one, damage on the others is not the end of an object.
 */
bool tier_may_have(const struct tier *t);

#endif
