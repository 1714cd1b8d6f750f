/*
 * A receiver is told what the server has flushed; who pushes a segment is not, and by then the server
 * has written more. What it can say for sure is older: when the last commit in it was made. All that
 * was committed up to then is in it or before it, so the moment bounds what would be lost.
 *
 * The last in the order of the log counts, not the latest: where the server's clock was set back the
 * older time claims less. The records are read from the end, in steps that grow, for a server waits.
 */
#include "job/wal/wal_push_sample.h"

#include "base/clock.h"
#include "source/pg/pg_commit.h"
#include "source/pg/pg_walrecord.h"

#define FIRST_LOOK (256u << 10)

static int
see(void *arg, const struct pg_walrecord *r, struct err *e)
{
	struct pg_commit *last = arg, c;
	const int got = pg_commit_read(r, &c, e);

	if (got == 1 && c.kind == PG_COMMIT_DONE)
		*last = c;
	return got == -1 ? -1 : 0;
}

/* The last commit of the last `n` bytes. */
static bool
look(const struct wal_push_sample_of *of, size_t n, struct pg_commit *ret)
{
	const struct pg_walrecord_options o = {
		.lsn = of->lsn + of->n - n,
		.seg_size = of->segment_size,
		.sysid = of->sysid,
		.wanted = PG_WALRECORD_COMMITS,
	};
	struct pg_walrecords *walk = pg_walrecord_new(&o, see, ret);
	struct err why = { 0 };
	int rc;

	*ret = (struct pg_commit){ .time_ns = 0 };
	rc = pg_walrecord_feed(walk, of->bytes + of->n - n, n, &why);
	pg_walrecord_free(walk);
	return rc != -1 && ret->time_ns > 0;
}

static bool
last_commit(const struct wal_push_sample_of *of, struct pg_commit *ret)
{
	for (size_t n = FIRST_LOOK; n < of->n; n *= 4)
		if (look(of, n, ret))
			return true;
	return look(of, of->n, ret);
}

/* By how much the tier's clock that is furthest behind is ahead of ours. */
static bool
find_shift(struct tier *const *tier, size_t tiers, int64_t now, int64_t *ret)
{
	bool found = false;

	for (size_t i = 0; i < tiers; i++) {
		int64_t there;

		if (!tier[i]->store || store_clock_lately(tier[i]->store, &there, NULL) == -1)
			continue;
		if (!found || there - now < *ret)
			*ret = there - now;
		found = true;
	}
	return found;
}

bool
wal_push_sample(const struct wal_push_sample_of *of, struct tier *const *tier, size_t tiers,
    struct wal_sample *ret)
{
	const int64_t now = clock_real_ns();
	struct pg_commit c;
	int64_t shift;

	/* A commit of the future: the server's clock is not the one here. */
	if (!last_commit(of, &c) || c.time_ns > now || !find_shift(tier, tiers, now, &shift))
		return false;
	*ret = (struct wal_sample){
		.time_ns = c.time_ns + shift, .flush_lsn = c.end, .last_commit_ns = c.time_ns
	};
	return true;
}
