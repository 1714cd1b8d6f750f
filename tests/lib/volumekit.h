#ifndef TESTS_LIB_VOLUMEKIT_H
#define TESTS_LIB_VOLUMEKIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "repo/repo.h"
#include "source/tree.h"
#include "source/volume.h"

/*
 * A volume, a repository on a file tier, and a target to restore to, new for each test. Failures in
 * here fail the test. The number of workers changes from call to call.
 */
#define VOLUMEKIT_SOURCE "vol.test"

struct volumekit {
	const char *top; /* all else lies below */
	char *volume, *target;
	struct tier tier;
	struct tier_set set;
	struct repo *repo;
	char last[LAYOUT_NAME]; /* the newest snapshot made */
	struct volume_report seen;
	struct tree_report made;
	char warned[4000]; /* all warnings, one a line */
	int stop_after;	   /* questions until the answer is stop; 0: never */
	bool sync;	   /* restores are made durable, which costs time */
	struct err e;
};
extern struct volumekit volumekit;

/* For cmocka_unit_test_setup_teardown. */
int volumekit_begin(void **state);
int volumekit_end(void **state);

struct volumekit_how {
	bool by_stat, no_parent;
	int64_t skew_ns; /* by which the tier's clock is another than the host's */
	const char *const *exclude;
	size_t excludes;
	const char *before, *after;
	bool (*stop)(void *arg); /* NULL: by stop_after */
	int64_t longest_ns;	 /* as in writer_options */
	size_t line_max;
	struct manifest *ret;	 /* NULL, or where the manifest goes */
};
/* Captures and, unless that failed, commits; what volume_capture said. */
int volumekit_backup(const struct volumekit_how *how);
/* Restores `last` to the target; what tree_restore said. */
int volumekit_restore_with(const struct tree_options *o);
void volumekit_restore(bool delta);

void volumekit_same(const char *a, const char *b); /* asserts, by treecmp */
void volumekit_put(const char *dir, const char *name, const char *text);
bool volumekit_has(const char *dir, const char *name);
/* What system() says to a command made by printf. */
int volumekit_sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* How many seeds: FFDR_TEST_SEEDS asks for more than the usual. */
uint64_t volumekit_seeds(uint64_t usual);
/* Callbacks of options. */
void volumekit_warn(void *arg, const char *text);
bool volumekit_stop(void *arg);

#endif
