/*
 * A history file says from which timelines a server's past is put together. PostgreSQL follows it
 * blindly: with a line lost it recovers another past without a word. So every line must be
 * right, and the numbers and LSNs must rise.
 *
 * What would surprise: two steps may end at the same LSN. Whoever promotes twice before anything
 * is written gets a timeline that has no byte of its own.
 */
#include "source/pg/pg_history.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/lsn.h"
#include "base/mem.h"

void
pg_history_init(struct pg_history *h, uint32_t timeline)
{
	*h = (struct pg_history){ .timeline = timeline };
}

void
pg_history_done(struct pg_history *h)
{
	free(h->step);
	pg_history_init(h, h->timeline);
}

/* A number below 2^32; behind its last digit, or NULL when it is none. */
static const char *
read_number(const char *p, const char *end, int base, uint32_t *ret)
{
	uint64_t v = 0;
	const char *from = p;

	for (; p < end && isxdigit((unsigned char)*p); p++) {
		int digit = *p <= '9' ? *p - '0' : (*p | 0x20) - 'a' + 10;

		if (digit >= base)
			return NULL;
		v = v * (unsigned)base + (unsigned)digit;
		if (v > UINT32_MAX)
			return NULL;
	}
	*ret = (uint32_t)v;
	return p == from ? NULL : p;
}

static const char *
skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
		p++;
	return p;
}

/* `timeline LSN reason`; 1, 0 when the line says nothing, -1. */
static int
read_line(const char *p, const char *end, struct pg_history_step *ret)
{
	uint32_t high, low;
	const char *at;

	p = skip_blanks(p, end);
	if (p == end || *p == '#')
		return 0;
	p = read_number(p, end, 10, &ret->timeline);
	if (!p)
		return -1;
	at = skip_blanks(p, end);
	if (at == p)
		return -1;
	p = read_number(at, end, 16, &high);
	if (!p || p == end || *p != '/')
		return -1;
	p = read_number(p + 1, end, 16, &low);
	if (!p || (p < end && skip_blanks(p, end) == p))
		return -1;
	ret->end = (uint64_t)high << 32 | low;
	return 1;
}

/* Does the step go on from the last one, on the way to h->timeline? */
static int
check_step(const struct pg_history *h, const struct pg_history_step *s, struct err *e)
{
	const struct pg_history_step *last = h->count ? &h->step[h->count - 1] : NULL;
	char is[LSN_TEXT], before[LSN_TEXT];

	if (s->timeline == 0 || s->timeline >= h->timeline)
		return err_set(e, ERR_CORRUPT, "timeline %" PRIu32 " is no ancestor of %" PRIu32,
		    s->timeline, h->timeline);
	if (last && s->timeline <= last->timeline)
		return err_set(e, ERR_CORRUPT,
		    "timeline %" PRIu32 " behind %" PRIu32 ", expected a higher one", s->timeline,
		    last->timeline);
	if (s->end == 0 || (last && s->end < last->end))
		return err_set(e, ERR_CORRUPT,
		    "timeline %" PRIu32 " is left at %s, expected not before %s", s->timeline,
		    lsn_text(s->end, is), lsn_text(last ? last->end : 1, before));
	return 0;
}

int
pg_history_parse(uint32_t timeline, const char *text, size_t n, struct pg_history *h,
    struct err *e)
{
	const char *p = text, *end = text + n, *eol;
	struct pg_history_step s;
	size_t room = 0;
	int rc;

	pg_history_done(h);
	pg_history_init(h, timeline);
	if (n > PG_HISTORY_MAX)
		return err_set(e, ERR_CORRUPT, "the history of timeline %" PRIu32 " has %zu bytes",
		    timeline, n);
	for (size_t number = 1; p < end; number++, p = eol < end ? eol + 1 : end) {
		eol = memchr(p, '\n', (size_t)(end - p));
		if (!eol)
			eol = end;
		rc = read_line(p, eol, &s);
		if (rc == 0)
			continue;
		if (rc == -1)
			err_set(e, ERR_CORRUPT, "expected 'timeline LSN reason'");
		else if (check_step(h, &s, e) == -1)
			rc = -1;
		if (rc == -1) {
			pg_history_done(h);
			return err_in(e, "history of timeline %" PRIu32 ", line %zu", timeline,
			    number);
		}
		h->step = mem_grow(h->step, &room, h->count + 1, sizeof(*h->step));
		h->step[h->count++] = s;
	}
	if (h->count > 0)
		return 0;
	return err_set(e, ERR_CORRUPT, "the history of timeline %" PRIu32 " names no ancestor",
	    timeline);
}

uint32_t
pg_history_at(const struct pg_history *h, uint64_t lsn)
{
	for (size_t i = 0; i < h->count; i++)
		if (lsn < h->step[i].end)
			return h->step[i].timeline;
	return h->timeline;
}

bool
pg_history_span(const struct pg_history *h, uint32_t timeline, uint64_t *from, uint64_t *to)
{
	size_t i = 0;

	while (i < h->count && h->step[i].timeline != timeline)
		i++;
	if (i == h->count && timeline != h->timeline)
		return false;
	*from = i > 0 ? h->step[i - 1].end : 0;
	*to = i < h->count ? h->step[i].end : UINT64_MAX;
	return true;
}

bool
pg_history_covers(const struct pg_history *h, uint32_t timeline, uint64_t lsn)
{
	uint64_t from, to;

	return pg_history_span(h, timeline, &from, &to) && lsn <= to;
}

bool
pg_history_extends(const struct pg_history *h, const struct pg_history *old)
{
	if (old->count > h->count ||
	    (old->count == h->count && old->timeline != h->timeline) ||
	    (old->count < h->count && old->timeline != h->step[old->count].timeline))
		return false;
	for (size_t i = 0; i < old->count; i++)
		if (old->step[i].timeline != h->step[i].timeline ||
		    old->step[i].end != h->step[i].end)
			return false;
	return true;
}

/* The i-th timeline from the oldest on, h->count being its own. */
static struct pg_history_step
step_of(const struct pg_history *h, size_t i)
{
	return i < h->count ? h->step[i] : (struct pg_history_step){ h->timeline, UINT64_MAX };
}

uint64_t
pg_history_common(const struct pg_history *a, const struct pg_history *b)
{
	uint64_t end = 0;

	for (size_t i = 0; i <= a->count && i <= b->count; i++) {
		const struct pg_history_step x = step_of(a, i), y = step_of(b, i);

		if (x.timeline != y.timeline)
			return end;
		end = x.end < y.end ? x.end : y.end;
		if (x.end != y.end)
			return end;
	}
	return end;
}
