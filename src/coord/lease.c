/*
 * Leases. Every change is a swap against what was read, so of many takers one wins. Two things make
 * it sound with clocks that differ and answers that are lost: a taker waits `skew` beyond the end
 * that the holder wrote, while the holder itself stops at that end by a clock that nobody can set;
 * and after a write whose answer was lost, holder and attempt in the text tell whether it was ours.
 *
 * Given back is a text, too, for a name that is deleted could be made by a writer whose answer is
 * late.
 */
#include "coord/lease.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "coord/fields.h"

/* Each failed try means that somebody else's succeeded. */
#define TRIES 16
#define MEMBER(m) offsetof(struct lease_text, m), sizeof(((struct lease_text *)0)->m)

static const struct fields held_fields[] = {
	{ "holder", FIELDS_TEXT, MEMBER(holder) },
	{ "host", FIELDS_TEXT, MEMBER(host) },
	{ "pid", FIELDS_U64, MEMBER(pid) },
	{ "purpose", FIELDS_TEXT, MEMBER(purpose) },
	{ "until", FIELDS_TIME, MEMBER(until_ns) },
	{ "attempt", FIELDS_U64, MEMBER(attempt) },
	{ NULL, FIELDS_TEXT, 0, 0 },
};
static const struct fields free_fields[] = {
	{ "free", FIELDS_U64, MEMBER(attempt) },
	{ NULL, FIELDS_TEXT, 0, 0 },
};

void
lease_text_write(const struct lease_text *t, struct buf *out)
{
	fields_write(t->free ? free_fields : held_fields, t, out);
}

int
lease_text_read(const struct buf *text, struct lease_text *ret, struct err *e)
{
	struct lease_text t = { .free = strncmp(buf_str(text), "free ", strlen("free ")) == 0 };

	if (fields_read(t.free ? free_fields : held_fields, text, &t, e) == -1)
		return -1;
	*ret = t;
	return 0;
}

/* What the place says: 1; 0 the name is new; -1. */
static int
look(struct coord *c, const char *name, struct lease_text *ret, char etag[COORD_ETAG],
    struct err *e)
{
	struct buf text;
	int rc;

	*ret = (struct lease_text){ .free = true };
	buf_init(&text, COORD_MAX);
	rc = coord_get(c, name, &text, etag, e);
	if (rc == 1 && lease_text_read(&text, ret, e) == -1)
		rc = -1;
	buf_done(&text);
	return rc == -1 ? err_in(e, "lease '%s'", name) : rc;
}

/* 1 written over etag ("": made), 0 somebody was faster, -1. */
static int
write_text(struct coord *c, const char *name, const struct lease_text *t, char etag[COORD_ETAG],
    struct err *e)
{
	struct buf text;
	int rc;

	buf_init(&text, COORD_MAX);
	lease_text_write(t, &text);
	rc = etag[0] == '\0' ? coord_create(c, name, text.data, text.len, etag, e) :
	    coord_swap(c, name, etag, text.data, text.len, e);
	buf_done(&text);
	return rc == -1 ? err_in(e, "lease '%s'", name) : rc;
}

static bool
is_over(const struct lease_text *t, const struct lease_times *times)
{
	return t->free ||
	    clock_real_ns() > t->until_ns + times->skew_ms * CLOCK_MS;
}

/* A new end for the text, and how long it is good for us. */
static int64_t
extend(struct lease_text *t, const struct lease_times *times)
{
	int64_t ttl = times->ttl_ms * CLOCK_MS, boot = clock_boot_ns();

	t->until_ns = clock_real_ns() + ttl;
	return boot + ttl;
}

int
lease_take(struct coord *c, const char *name, const struct lease_text *want,
    const struct lease_times *times, struct lease *ret, struct lease_text *other, struct err *e)
{
	struct lease l = { .coord = c, .times = *times };

	if (strlen(name) >= sizeof(l.name))
		return err_set(e, ERR_BUG, "lease '%s': the name is too long", name);
	memcpy(l.name, name, strlen(name) + 1);
	for (int i = 0; i < TRIES; i++) {
		struct lease_text there;
		int rc;

		l.etag[0] = '\0';
		if (look(c, name, &there, l.etag, e) == -1)
			return -1;
		if (!is_over(&there, times) && strcmp(there.holder, want->holder) != 0) {
			if (other != NULL)
				*other = there;
			return 0;
		}
		l.text = *want;
		l.text.free = false;
		l.text.attempt = there.attempt + 1;
		l.good_boot_ns = extend(&l.text, times);
		rc = write_text(c, name, &l.text, l.etag, e);
		if (rc == 1)
			*ret = l;
		if (rc != 0)
			return rc;
	}
	return err_set(e, ERR_BUSY, "lease '%s' changes hands faster than it can be read", name);
}

/* Does the place still say that it is this taking of ours? */
static bool
is_ours(const struct lease *l, const struct lease_text *there)
{
	return !there->free && there->attempt == l->text.attempt &&
	    strcmp(there->holder, l->text.holder) == 0;
}

/* Writes t over what is ours: 1; 0 it is not ours any more, and *there is what is there; -1. */
static int
change(struct lease *l, const struct lease_text *t, struct lease_text *there, struct err *e)
{
	int rc = write_text(l->coord, l->name, t, l->etag, e);
	char etag[COORD_ETAG] = "";

	if (rc != 0)
		return rc;
	/* The answer to a write of ours may have been lost. */
	if (look(l->coord, l->name, there, etag, e) == -1)
		return -1;
	if (!is_ours(l, there))
		return 0; /* and l keeps its old etag: it must never fit what is another's */
	memcpy(l->etag, etag, sizeof(etag));
	return write_text(l->coord, l->name, t, l->etag, e);
}

int
lease_renew(struct lease *l, struct err *e)
{
	struct lease_text t = l->text, there = { 0 };
	int64_t good = extend(&t, &l->times);
	int rc = change(l, &t, &there, e);

	if (rc == 1) {
		l->text = t;
		l->good_boot_ns = good;
		return 0;
	}
	if (rc == -1)
		return -1;
	l->good_boot_ns = 0;
	if (there.free)
		return err_set(e, ERR_STALE, "lease '%s' was lost: somebody gave it back", l->name);
	return err_set(e, ERR_STALE, "lease '%s' was lost: '%s' on '%s' has it (process %" PRIu64
	    ", %s)", l->name, there.holder, there.host, there.pid, there.purpose);
}

bool
lease_good(const struct lease *l)
{
	return clock_boot_ns() < l->good_boot_ns;
}

int
lease_release(struct lease *l, struct err *e)
{
	struct lease_text t = { .free = true, .attempt = l->text.attempt }, there;
	int rc = change(l, &t, &there, e);

	l->good_boot_ns = 0;
	if (rc != -1)
		l->etag[0] = '\0'; /* a renewal must not bring it back */
	return rc == -1 ? -1 : 0;
}

int
lease_look(struct coord *c, const char *name, const struct lease_times *times,
    struct lease_text *ret, struct err *e)
{
	char etag[COORD_ETAG];
	int rc = look(c, name, ret, etag, e);

	return rc == 1 && is_over(ret, times) ? 0 : rc;
}
