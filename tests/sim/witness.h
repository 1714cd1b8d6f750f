#ifndef TESTS_SIM_WITNESS_H
#define TESTS_SIM_WITNESS_H

#include "repo/repo.h"
#include "tests/sim/model.h"

/*
 * Sees every change of a tier, at once, and knows what each snapshot must hold. The first broken
 * promise stops the world.
 */
struct witness_written {
	char name[LAYOUT_NAME];
	bool partial;
	unsigned had; /* bit i: tier i has, or had it */
	struct model_tree tree;
	struct witness_written *next;
};
/*
 * What the host of that name is writing now: filled into *ret; false when there is none of that
 * name.
 */
typedef bool witness_who(const char *host, struct witness_written *ret);

/* Both borrowed until witness_end(). */
void witness_begin(const struct repo *r, witness_who *who);
void witness_end(void);
/*
 * From now on each tier promises to keep, of all that is backed up anywhere, what is younger than
 * keep_ns[tier]: a manifest that leaves a tier before another one had it breaks that. Borrowed; NULL:
 * each tier is for itself.
 */
void witness_promise(const int64_t *keep_ns);
/* A world_changed. */
void witness_changed(void *arg, unsigned tier, const char *name, const void *data, size_t n);
/* NULL: nobody wrote a snapshot of that name. */
const struct witness_written *witness_find(const char *name);
/*
 * Every complete snapshot on every tier restores, from that tier alone. Returns how many were read.
 */
unsigned witness_restore_all(void);

/* A promise is broken; only the first time counts. */
void witness_violated(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
const char *witness_violation(void); /* "" while all is well */

#endif
