/*
 * Samples say what was known when; exposure is reckoned from them, so they are signed records like
 * any other. A beat is overwritten in place: it is worth nothing once there is a newer one, and one
 * name can be read without a listing. Microseconds, because that is what servers count in.
 */
#include "repo/wal_beat.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "repo/lines.h"
#include "repo/object.h"
#include "repo/record.h"

#define US INT64_C(1000)
#define US_MOST ((uint64_t)(INT64_MAX / US))

void
wal_beat_sample_text(const struct wal_sample *s, struct buf *out)
{
	buf_addf(out, "time %" PRId64 "\n", s->time_ns / US);
	lines_add_lsn(out, "flush", s->flush_lsn);
	buf_addf(out, "last-commit %" PRId64 "\ncommits %" PRIu64 "\n", s->last_commit_ns / US,
	    s->commits);
}

int
wal_beat_sample_take(struct lines *l, struct wal_sample *ret, struct err *e)
{
	uint64_t time_us, commit_us;
	struct wal_sample s = { 0 };

	if (lines_take_number(l, "time", US_MOST, &time_us, e) == -1 ||
	    lines_take_lsn(l, "flush", &s.flush_lsn, e) == -1 ||
	    lines_take_number(l, "last-commit", US_MOST, &commit_us, e) == -1 ||
	    lines_take_number(l, "commits", UINT64_MAX, &s.commits, e) == -1)
		return -1;
	s.time_ns = (int64_t)time_us * US;
	s.last_commit_ns = (int64_t)commit_us * US;
	*ret = s;
	return 0;
}

static int
parse(const struct buf *text, struct wal_beat *b, struct err *e)
{
	uint64_t epoch, tli;
	struct lines l;

	lines_set(&l, text);
	if (lines_take_number(&l, "system-id", UINT64_MAX, &b->place.sysid, e) == -1 ||
	    lines_take_number(&l, "epoch", UINT32_MAX, &epoch, e) == -1 ||
	    lines_take_number(&l, "timeline", UINT32_MAX, &tli, e) == -1 ||
	    lines_take_text(&l, "host", b->host, sizeof(b->host), e) == -1 ||
	    wal_beat_sample_take(&l, &b->sample, e) == -1 || lines_end(&l, e) == -1)
		return -1;
	b->place.epoch = (uint32_t)epoch;
	b->tli = (uint32_t)tli;
	return 0;
}

bool
wal_beat_kept(const struct tier *t)
{
	return t->options.lock == STORE_LOCK_NONE && !t->archive;
}

int
wal_beat_put(const struct repo *r, struct store *to, const struct wal_beat *b, struct err *e)
{
	char name[LAYOUT_NAME];
	uint8_t sha[LAYOUT_SHA];
	struct object_builder o;
	struct buf text;
	int rc = -1;

	layout_wal_beat(b->place.source, name);
	buf_init(&text, RECORD_MAX);
	buf_addf(&text, "system-id %" PRIu64 "\nepoch %u\ntimeline %u\n", b->place.sysid,
	    b->place.epoch, b->tli);
	lines_add_text(&text, "host", b->host);
	wal_beat_sample_text(&b->sample, &text);
	object_build(&o, OBJECT_RECORD, RECORD_MAX);
	object_add_name(&o, r->keys, name);
	object_add_text(&o, r->keys, text.data, text.len);
	if (object_seal(&o, r->keys, name, sha, e) == 0 &&
	    store_put(to, name, o.bytes.data, o.bytes.len, STORE_REPLACE, e) != -1)
		rc = 0;
	object_build_done(&o);
	buf_done(&text);
	return rc;
}

int
wal_beat_get(const struct repo *r, struct store *from, const char *source, struct wal_beat *ret,
    struct err *e)
{
	char name[LAYOUT_NAME];
	struct wal_beat b = { 0 };
	struct err unwanted;
	struct buf text;
	int rc = -1;

	if (e == NULL)
		e = &unwanted;
	snprintf(b.place.source, sizeof(b.place.source), "%s", source);
	layout_wal_beat(source, name);
	buf_init(&text, RECORD_MAX);
	if (record_get(r, from, name, &text, e) == -1) {
		if (e->kind == ERR_NOTFOUND) {
			err_clear(e);
			rc = 0;
		}
	} else if (parse(&text, &b, e) == -1) {
		err_in(e, "'%s'", name);
	} else {
		*ret = b;
		rc = 1;
	}
	buf_done(&text);
	return rc;
}
