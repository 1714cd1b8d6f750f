/*
 * A push that fails is known to the server alone: it keeps the segment, tries again for ever, and
 * fills its disk. What is on the tiers looks well meanwhile, for nothing there says what is missing
 * behind it.
 */
#include "job/wal/wal_archiver.h"

#include <stdio.h>
#include <string.h>

/* Nothing that is not there yet is a failure: a NULL time compares as older. */
static const char query[] =
    "SELECT (current_setting('archive_mode') <> 'off' "
    "AND position('wal push' IN current_setting('archive_command')) > 0)::int, "
    "(last_failed_time > coalesce(last_archived_time, '-infinity'))::int, failed_count, "
    "greatest(floor(extract(epoch FROM now() - last_failed_time) * 1000), 0)::bigint, "
    "last_failed_wal FROM pg_stat_archiver";

static int
take(const struct pg_rows *r, struct wal_archiver *ret, struct err *e)
{
	uint64_t pushes = 0, fails = 0, count = 0, ago = 0;

	if (pg_conn_value_u64(r, 0, 0, &pushes, e) == -1 ||
	    pg_conn_value_u64(r, 0, 1, &fails, e) == -1 ||
	    pg_conn_value_u64(r, 0, 2, &count, e) == -1 ||
	    pg_conn_value_u64(r, 0, 3, &ago, e) == -1)
		return -1;
	ret->pushes |= pushes > 0;
	ret->fails = ret->pushes && fails > 0;
	ret->count = (int64_t)count;
	ret->ago_ms = (int64_t)ago;
	if (pg_conn_value(r, 0, 4, NULL))
		snprintf(ret->file, sizeof(ret->file), "%s", pg_conn_value(r, 0, 4, NULL));
	return 0;
}

int
wal_archiver_ask(struct pg_conn *c, bool must, struct wal_archiver *ret, struct err *e)
{
	struct pg_rows *rows = NULL;
	int rc;

	*ret = (struct wal_archiver){ .pushes = must };
	rc = pg_conn_row(c, query, NULL, 0, &rows, e);
	if (rc == 0)
		rc = take(rows, ret, e);
	pg_conn_rows_free(rows);
	return rc;
}
