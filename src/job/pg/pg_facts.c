/*
 * The details of a manifest are words that a source wrote about itself, and everything that keeps,
 * copies or deletes WAL rests on a few of them. So they are read in one place, and one that is
 * missing or makes no sense is an error and never a zero: a base backup that "starts at 0" would
 * keep everything, one that is passed over would let go of its WAL.
 */
#include "job/pg/pg_facts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/lsn.h"

#define VALUE_MAX 64

static int
text_of(const struct manifest *m, const char *key, struct buf *value)
{
	size_t at = 0;

	buf_reset(value);
	return manifest_detail(m, &at, key, value);
}

static int
number(const struct manifest *m, const char *key, uint64_t most, uint64_t *ret, struct err *e)
{
	struct buf value;
	char *end = NULL;
	int rc = -1;

	buf_init(&value, VALUE_MAX);
	if (text_of(m, key, &value) == 1 && value.len > 0) {
		*ret = strtoull(buf_str(&value), &end, 10);
		rc = *end == '\0' && *ret <= most ? 0 : -1;
	}
	buf_done(&value);
	return rc == -1 ? err_set(e, ERR_CORRUPT, "'%s' does not say its %s", m->name, key) : 0;
}

static int
place(const struct manifest *m, const char *key, uint64_t *ret, struct err *e)
{
	struct buf value;
	int rc = -1;

	buf_init(&value, VALUE_MAX);
	if (text_of(m, key, &value) == 1)
		rc = lsn_parse(buf_str(&value), ret);
	buf_done(&value);
	return rc == -1 ? err_set(e, ERR_CORRUPT, "'%s' does not say its %s", m->name, key) : 0;
}

static bool
is_of_standby(const struct manifest *m)
{
	struct buf value;
	bool is;

	buf_init(&value, VALUE_MAX);
	is = text_of(m, "from-standby", &value) == 1 && strcmp(buf_str(&value), "yes") == 0;
	buf_done(&value);
	return is;
}

int
pg_facts_read(const struct manifest *m, struct pg_facts *ret, struct err *e)
{
	uint64_t epoch, start_tli, stop_tli, stop_us;
	struct buf value;
	int got;

	buf_init(&value, VALUE_MAX);
	got = m->partial ? 0 : text_of(m, "system-id", &value);
	buf_done(&value);
	if (got == 0)
		return 0;
	*ret = (struct pg_facts){ .ready_ns = m->finished_ns };
	if (number(m, "system-id", UINT64_MAX, &ret->sysid, e) == -1 ||
	    number(m, "segment-size", UINT64_MAX, &ret->segment_size, e) == -1 ||
	    number(m, "epoch", UINT32_MAX, &epoch, e) == -1 ||
	    number(m, "start-timeline", UINT32_MAX, &start_tli, e) == -1 ||
	    number(m, "stop-timeline", UINT32_MAX, &stop_tli, e) == -1 ||
	    place(m, "start-lsn", &ret->start, e) == -1 ||
	    place(m, "stop-lsn", &ret->stop, e) == -1)
		return -1;
	ret->stop_ns = ret->ready_ns;
	if (number(m, "stop-time", INT64_MAX / 1000, &stop_us, NULL) == 0 && stop_us > 0)
		ret->stop_ns = (int64_t)stop_us * 1000;
	ret->standby = is_of_standby(m);
	ret->epoch = (uint32_t)epoch;
	ret->start_tli = (uint32_t)start_tli;
	ret->stop_tli = (uint32_t)stop_tli;
	if (!lsn_segment_valid(ret->segment_size) || ret->start > ret->stop || start_tli == 0 ||
	    start_tli > stop_tli)
		return err_set(e, ERR_CORRUPT, "'%s' says a place in the log that cannot be",
			       m->name);
	return 1;
}
