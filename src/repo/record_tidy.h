#ifndef REPO_RECORD_TIDY_H
#define REPO_RECORD_TIDY_H

#include "repo/repo.h"

/*
 * Proofs (rec/verified, rec/broken) that say nothing any more: of a snapshot that is gone, or with
 * a newer one of the same kind about the same snapshot at the same level. All else that is recorded
 * stays.
 */
struct record_tidying {
	const char *source;
	int64_t before_ns; /* younger ones stay: what they speak of may only just have come */
	bool (*there)(void *arg, const char *id); /* is that snapshot on the tier? */
	void *arg;
};
/* How many were removed; -1, what was not removed yet stays. */
int record_tidy(const struct repo *r, struct store *s, const struct record_tidying *how,
    struct err *e);

#endif
