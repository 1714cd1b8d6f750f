/*
 * A promise about time can only be judged by what was measured, and a restore for practice measures
 * it and leaves a record. What grew since is more work at the same rate, so the prediction grows
 * with it; it never shrinks below what was seen, for the next restore may meet a slower day.
 *
 * What would surprise: a restore of a few files says nothing about one of a terabyte. Scaled up it
 * would be an alarm about nothing, so it is not known then, and the way to know is another proof. And
 * records are read from the newest on, only as far as they can be about that snapshot: a year of
 * proofs is hundreds.
 */
#include "job/proved.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "job/rehearse.h"

/* A proof is younger than its snapshot, by clocks that may be a day apart. */
#define APART_NS (24 * LAYOUT_HOUR_NS)
/* So many records behind those the newest restore is looked for: each is an object to fetch. */
#define BACK_MOST 100

struct seeing {
	const char *id;
	int64_t from_ns; /* before it there is nothing about that snapshot */
	unsigned back;	 /* records from before that were looked at */
	bool enough;
	struct proved *ret;
	int64_t restored_ns;
	record_unread *unread;
};

static int
good_seen(void *arg, const struct record_proved *of)
{
	const int level = of->level;
	const int64_t time_ns = of->time_ns;
	struct seeing *s = arg;
	struct proved *p = s->ret;

	if (time_ns < s->from_ns && (p->restored[0] || s->back++ == BACK_MOST)) {
		s->enough = true;
		return -1;
	}
	if (time_ns > p->last_ns) {
		p->last_ns = time_ns;
		p->last_level = level;
	}
	if (level == REHEARSE_LEVEL && time_ns > s->restored_ns) {
		s->restored_ns = time_ns;
		snprintf(p->restored, sizeof(p->restored), "%s", of->name);
	}
	if (strcmp(of->id, s->id) == 0 && (level > p->level ||
	    (level == p->level && time_ns > p->time_ns))) {
		p->level = level;
		p->time_ns = time_ns;
	}
	return 0;
}

static int
bad_seen(void *arg, const struct record_proved *p)
{
	struct seeing *s = arg;

	if (strcmp(p->id, s->id) == 0 && p->time_ns > s->ret->broken_ns) {
		s->ret->broken = p->level;
		s->ret->broken_ns = p->time_ns;
	}
	return 0;
}

static void
bad_record(void *arg, const char *name, const struct err *why)
{
	const struct seeing *s = arg;

	s->ret->untold = s->ret->untold || tier_leaves_open(why->kind);
	s->unread(NULL, name, why);
}

int
proved_read(const struct repo *r, struct tier *t, const struct layout_snap *snap,
    record_unread *unread, struct proved *ret, struct err *e)
{
	struct seeing s = { .id = snap->id, .ret = ret, .unread = unread,
		.from_ns = snap->time_ns - APART_NS };
	int rc;

	*ret = (struct proved){ .level = -1, .broken = -1, .last_level = -1 };
	/* Named in the future, it was verified before its time. */
	if (snap->time_ns > clock_real_ns())
		s.from_ns = INT64_MIN;
	rc = record_proofs_back(r, t->store, RECORD_VERIFIED, snap->source, good_seen, bad_record, &s,
	    e);
	if (rc == -1 && s.enough) {
		err_clear(e);
		rc = 0;
	}
	if (rc == 0)
		rc = record_proofs(r, t->store, RECORD_BROKEN, snap->source, bad_seen, bad_record, &s,
		    e);
	/* By a look that goes as far, later: then it was mended. */
	if (ret->level >= ret->broken && ret->time_ns >= ret->broken_ns)
		ret->broken = -1;
	return rc;
}

/* ---- how long it took ---- */

/* A number of the record; -1: it has none. */
static int64_t
number(const struct buf *text, const char *key)
{
	char value[24], *end;
	long long n;

	if (record_value(text, key, value, sizeof(value)) != 1)
		return -1;
	n = strtoll(value, &end, 10);
	return *end == '\0' && end != value && n >= 0 ? n : -1;
}

int
proved_pace(const struct repo *r, struct tier *t, const struct proved *p,
    struct proved_pace *ret, struct err *e)
{
	struct layout_snap part;
	struct buf text;
	int64_t bytes, ms;
	int rc;

	*ret = (struct proved_pace){ 0 };
	if (!p->restored[0] || layout_snap_parse(p->restored, &part) == -1)
		return 0;
	buf_init(&text, RECORD_MAX);
	rc = record_get(r, t->store, p->restored, &text, e);
	bytes = number(&text, "bytes");
	ms = number(&text, "restore-ms");
	if (rc == 0 && bytes >= 0 && ms >= 0 &&
	    record_value(&text, "snapshot", ret->id, sizeof(ret->id)) == 1) {
		ret->known = true;
		ret->time_ns = part.time_ns;
		ret->bytes = (uint64_t)bytes;
		ret->restore_ms = ms;
		ms = number(&text, "recovery-ms");
		bytes = number(&text, "wal-bytes");
		ret->recovery_ms = ms > 0 ? ms : 0;
		ret->wal_bytes = bytes > 0 ? (uint64_t)bytes : 0;
	}
	buf_done(&text);
	return rc;
}

/* What took so long for `then` bytes takes for `now`; -1: nobody knows. */
static int64_t
scaled(int64_t ms, uint64_t then, uint64_t now)
{
	if (now <= then || now <= PROVED_SMALL_BYTES)
		return ms;
	if (then >= PROVED_RATE_BYTES)
		return (int64_t)((double)ms * ((double)now / (double)then));
	return now / 2 <= then ? 2 * ms : -1;
}

int64_t
proved_predict(const struct proved_pace *p, uint64_t bytes, uint64_t wal_bytes)
{
	int64_t restore = p->known ? scaled(p->restore_ms, p->bytes, bytes) : -1;
	int64_t recovery = p->known ? scaled(p->recovery_ms, p->wal_bytes, wal_bytes) : -1;

	return restore == -1 || recovery == -1 ? -1 : restore + recovery;
}
