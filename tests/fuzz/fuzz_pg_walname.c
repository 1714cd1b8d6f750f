/*
 * Any file name. What is taken for one of PostgreSQL's must be made again from its parts, byte for
 * byte, and its place must lead back to it.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "source/pg/pg_walname.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(int condition)
{
	if (!condition)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *name = xstrndup((const char *)data, n), text[PG_WALNAME_TEXT];
	struct pg_walname parts, again;
	struct err e;
	uint64_t lsn;

	if (pg_walname_parse(name, &parts) != PG_WALNAME_OTHER) {
		must(strcmp(pg_walname_text(&parts, text), name) == 0);
		must(parts.timeline > 0);
		for (uint64_t size = UINT64_C(1) << 20; size <= UINT64_C(1) << 30; size <<= 1) {
			if (parts.kind == PG_WALNAME_HISTORY ||
			    pg_walname_start(&parts, size, &lsn, &e) == -1)
				continue;
			pg_walname_of(parts.timeline, lsn + size - 1, size, &again);
			must(again.high == parts.high && again.low == parts.low);
		}
	} else {
		must(parts.kind == PG_WALNAME_OTHER);
	}
	free(name);
	return 0;
}
