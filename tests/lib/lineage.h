#ifndef TESTS_LIB_LINEAGE_H
#define TESTS_LIB_LINEAGE_H

#include "tests/lib/testrepo.h"

/*
 * One source that is backed up again and again on one tier in memory, under a clock of ours; its
 * two newest snapshots are at hand. One at a time, in the open.
 */
struct lineage {
	struct testrepo repo;
	struct manifest newest, before;
};
extern struct lineage lineage;

/* For cmocka_unit_test_setup_teardown. */
int lineage_setup(void **state);
int lineage_teardown(void **state);
/* A snapshot that much later becomes the newest. */
void lineage_next(int64_t later_ns);

#endif
