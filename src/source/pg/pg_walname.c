/*
 * An archive is found by names alone, and a name that is nearly right is poison: a file under it
 * would be handed to a recovery as WAL. So the digits are read leniently and the name is ours only
 * when making it again from what was read gives the same bytes.
 *
 * What would surprise: the last eight digits of a segment do not run to FFFFFFFF. They count
 * segments inside 4 GiB, so for 16 MiB they end at 000000FF; without the segment size a name says
 * no LSN.
 */
#include "source/pg/pg_walname.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define XLOGID (UINT64_C(1) << 32) /* bytes that `high` counts */
#define X8 "%08" PRIX32
#define R8 "%8" SCNx32

const char *
pg_walname_text(const struct pg_walname *n, char *out)
{
	static const char *const suffix[] = {
		[PG_WALNAME_SEGMENT] = "",
		[PG_WALNAME_PARTIAL] = ".partial",
	};

	if (n->kind == PG_WALNAME_HISTORY)
		snprintf(out, PG_WALNAME_TEXT, X8 ".history", n->timeline);
	else if (n->kind == PG_WALNAME_BACKUP)
		snprintf(out, PG_WALNAME_TEXT, X8 X8 X8 "." X8 ".backup", n->timeline, n->high,
		    n->low, n->offset);
	else
		snprintf(out, PG_WALNAME_TEXT, X8 X8 X8 "%s", n->timeline, n->high, n->low,
		    suffix[n->kind]);
	return out;
}

enum pg_walname_kind
pg_walname_parse(const char *name, struct pg_walname *ret)
{
	static const enum pg_walname_kind kinds[] = { PG_WALNAME_OTHER, PG_WALNAME_HISTORY,
		PG_WALNAME_OTHER, PG_WALNAME_SEGMENT, PG_WALNAME_BACKUP };
	struct pg_walname n = { PG_WALNAME_OTHER, 0, 0, 0, 0 };
	char again[PG_WALNAME_TEXT];
	int numbers;

	*ret = n;
	numbers = sscanf(name, R8 R8 R8 "." R8, &n.timeline, &n.high, &n.low, &n.offset);
	n.kind = kinds[numbers < 0 ? 0 : numbers];
	if (n.kind == PG_WALNAME_SEGMENT && strchr(name, '.'))
		n.kind = PG_WALNAME_PARTIAL;
	if (n.kind == PG_WALNAME_OTHER || n.timeline == 0 ||
	    strcmp(pg_walname_text(&n, again), name) != 0)
		return PG_WALNAME_OTHER;
	*ret = n;
	return n.kind;
}

int
pg_walname_start(const struct pg_walname *n, uint64_t seg_size, uint64_t *ret_lsn, struct err *e)
{
	char text[PG_WALNAME_TEXT];

	if (n->low >= XLOGID / seg_size)
		return err_set(e, ERR_CORRUPT,
		    "'%s' is no segment of %" PRIu64 " MiB, expected at most %08" PRIX64
		    " at its end", pg_walname_text(n, text), seg_size >> 20, XLOGID / seg_size - 1);
	*ret_lsn = n->high * XLOGID + n->low * seg_size;
	return 0;
}

void
pg_walname_of(uint32_t timeline, uint64_t lsn, uint64_t seg_size, struct pg_walname *ret)
{
	*ret = (struct pg_walname){ PG_WALNAME_SEGMENT, timeline, (uint32_t)(lsn / XLOGID),
		(uint32_t)(lsn % XLOGID / seg_size), 0 };
}

const char *
pg_walname_segment(uint32_t timeline, uint64_t lsn, uint64_t seg_size, char *out)
{
	struct pg_walname n;

	pg_walname_of(timeline, lsn, seg_size, &n);
	return pg_walname_text(&n, out);
}

const char *
pg_walname_history(uint32_t timeline, char *out)
{
	struct pg_walname n = { PG_WALNAME_HISTORY, timeline, 0, 0, 0 };

	return pg_walname_text(&n, out);
}
