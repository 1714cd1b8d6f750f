/*
 * A record is written once and never changed; a later one about the same thing outweighs it. So a
 * hold is taken off by another record, two hosts never fight over one, and what was said stays on
 * the tier, signed. The price is that reading means listing and opening all of a kind; there are
 * few.
 *
 * A hold is told to every tier, and read from all of them: a tier that lost its record would else
 * let go of what a person has pinned, and nobody would see it.
 */
#include "repo/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "repo/object.h"

/* Frames, index and trailer of a record beside its text. */
#define AROUND 65536

int
record_put_as(const struct repo *r, struct store *to, const char *name, const struct buf *text,
    struct err *e)
{
	struct object_builder b;
	uint8_t sha[LAYOUT_SHA];
	int rc = -1;

	object_build(&b, OBJECT_RECORD, RECORD_LIST_MAX + AROUND);
	object_add_name(&b, r->keys, name);
	object_add_text(&b, r->keys, text->data, text->len);
	if (object_seal(&b, r->keys, name, sha, e) == 0)
		rc = store_put(to, name, b.bytes.data, b.bytes.len, STORE_NEW, e);
	object_build_done(&b);
	return rc;
}

int
record_put(const struct repo *r, struct store *to, const char *kind, const char *source,
    int64_t time_ns, const struct buf *text, char name[LAYOUT_NAME], struct err *e)
{
	struct layout_snap part;
	int rc;

	layout_record_new(kind, source, time_ns, name);
	if (layout_snap_parse(name, &part) == -1)
		return err_set(e, ERR_BUG, "'%s' is no name of a record", name);
	if (text->len > RECORD_MAX)
		return err_set(e, ERR_FULL, "a record of %zu bytes, at most %u are allowed",
		    text->len, RECORD_MAX);
	rc = record_put_as(r, to, name, text, e);
	if (rc == 0)
		return err_set(e, ERR_EXISTS, "'%s' is there already", name);
	return rc == -1 ? err_in(e, "record '%s'", name) : 0;
}

int
record_get(const struct repo *r, struct store *from, const char *name, struct buf *text,
    struct err *e)
{
	struct buf bytes;
	int rc = -1;

	buf_init(&bytes, RECORD_LIST_MAX + AROUND);
	if (store_get(from, name, &bytes, e) == 0 &&
	    object_read_signed(&bytes, OBJECT_RECORD, name, r->keys, FRAME_TEXT, text, e) == 0)
		rc = 0;
	else
		err_in(e, "record '%s'", name);
	buf_done(&bytes);
	return rc;
}

int
record_judge(const struct repo *r, const char *name, const struct buf *bytes, struct err *e)
{
	struct buf text;
	int rc;

	buf_init(&text, RECORD_LIST_MAX);
	rc = object_read_signed(bytes, OBJECT_RECORD, name, r->keys, FRAME_TEXT, &text, e);
	buf_done(&text);
	return rc;
}

int
record_value(const struct buf *text, const char *key, char *out, size_t room)
{
	const char *p = buf_str(text), *end = p + text->len;
	size_t n = strlen(key);

	while (p < end) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		size_t len = (size_t)((stop == NULL ? end : stop) - p);

		if (len > n && memcmp(p, key, n) == 0 && p[n] == ' ') {
			if (len - n - 1 >= room || memchr(p, '\0', len) != NULL)
				return 0;
			memcpy(out, p + n + 1, len - n - 1);
			out[len - n - 1] = '\0';
			return 1;
		}
		p += len + 1;
	}
	return 0;
}

/* ---- all of a kind ---- */

static void
push(struct record_names *l, const char *name)
{
	l->name = mem_grow(l->name, &l->room, l->count + 1, sizeof(*l->name));
	memset(l->name[l->count], 0, sizeof(*l->name));
	memcpy(l->name[l->count++], name, strlen(name) + 1);
}

static int
add_name(void *arg, const struct store_entry *entry, struct err *e)
{
	struct record_names *l = arg;
	struct layout_snap part;

	if (layout_snap_parse(entry->name, &part) == -1)
		return err_set(e, ERR_CORRUPT, "'%s' is no name of a record", entry->name);
	push(l, entry->name);
	return 0;
}

/* Whatever it is called. */
static int
add_any(void *arg, const struct store_entry *entry, struct err *e)
{
	struct record_names *l = arg;

	(void)e;
	if (strlen(entry->name) < LAYOUT_NAME)
		push(l, entry->name);
	return 0;
}

int
record_list(struct store *s, const char *prefix, struct record_names *l, struct err *e)
{
	return store_list(s, prefix, NULL, add_name, l, e);
}

/* ---- holds ---- */

struct hold {
	struct record_hold is;
	const char *name; /* of its record: the later of two in one second */
	int64_t time_ns;
	bool on;
};
struct hold_table {
	struct hold *item;
	size_t count, room;
};

static int
see_hold(struct hold_table *t, const char *name, const struct buf *text, struct err *e)
{
	struct hold h = { .name = name };
	struct layout_snap part;
	char state[8];
	size_t i;

	if (layout_snap_parse(name, &part) == -1 ||
	    record_value(text, "snapshot", h.is.id, sizeof(h.is.id)) != 1 ||
	    record_value(text, "state", state, sizeof(state)) != 1 ||
	    (strcmp(state, "on") != 0 && strcmp(state, "off") != 0))
		return err_set(e, ERR_CORRUPT,
		    "record '%s': expected 'snapshot ID' and 'state on' or 'state off'", name);
	record_value(text, "by", h.is.by, sizeof(h.is.by));
	record_value(text, "why", h.is.why, sizeof(h.is.why));
	h.time_ns = part.time_ns;
	h.on = strcmp(state, "on") == 0;
	for (i = 0; i < t->count && strcmp(t->item[i].is.id, h.is.id) != 0; i++)
		;
	if (i == t->count) {
		t->item = mem_grow(t->item, &t->room, t->count + 1, sizeof(*t->item));
		t->item[t->count++] = h;
	} else if (h.time_ns > t->item[i].time_ns || (h.time_ns == t->item[i].time_ns &&
	    strcmp(name, t->item[i].name) > 0)) {
		t->item[i] = h;
	}
	return 0;
}

static int
skip_strange(void *arg, const struct store_entry *entry, struct err *e)
{
	struct layout_snap part;

	return layout_snap_parse(entry->name, &part) == -1 ? 0 : add_name(arg, entry, e);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool
has_name(const struct record_names *l, size_t count, const char *name)
{
	return count > 0 && bsearch(name, l->name, count, sizeof(*l->name), by_name) != NULL;
}

/*
 * The names of all hold records: t's first, in order, *own of them; then what only others have.
 * Strange names on another tier are that tier's business, and so is its silence.
 */
static int
list_holds(const struct repo *r, const struct tier *t, struct record_names *l, size_t *own, struct err *e)
{
	*own = 0;
	if (t != NULL && record_list(t->store, "rec/hold/", l, e) == -1)
		return -1;
	*own = l->count;
	for (size_t i = 0; i < r->tiers->count; i++) {
		struct tier *other = &r->tiers->tier[i];
		struct record_names more = { 0 };

		if (other == t || other->store == NULL)
			continue;
		if (store_list(other->store, "rec/hold/", NULL, skip_strange, &more, &other->why) == 0)
			err_clear(&other->why);
		for (size_t k = 0; k < more.count; k++) {
			if (has_name(l, *own, more.name[k]))
				continue;
			l->name = mem_grow(l->name, &l->room, l->count + 1, sizeof(*l->name));
			memcpy(l->name[l->count++], more.name[k], LAYOUT_NAME);
		}
		free(more.name);
	}
	return 0;
}

struct judging {
	const struct repo *r;
	struct buf *text;
};

static int
judge_record(void *arg, const char *name, const struct buf *bytes, struct err *e)
{
	const struct judging *j = arg;

	buf_reset(j->text);
	return object_read_signed(bytes, OBJECT_RECORD, name, j->r->keys, FRAME_TEXT, j->text, e);
}

/* The record from whichever tier has it readable. */
static int
get_hold(const struct repo *r, struct tier *t, const char *name, struct buf *bytes,
    struct buf *text, struct err *e)
{
	struct judging j = { .r = r, .text = text };

	buf_reset(bytes);
	return tier_get(r->tiers, t, name, bytes, judge_record, &j, NULL, e);
}

static void
digest_names(const struct record_names *l, uint8_t out[DIGEST_LEN])
{
	digest_sha256(l->name, l->count * sizeof(*l->name), out);
}

/* What the listed records say; the first `own` of them lie on the tier that is asked. */
static int
read_holds(const struct repo *r, struct tier *t, const struct record_names *l, size_t own,
    struct record_holds *ret, struct err *e)
{
	struct hold_table table = { 0 };
	struct buf bytes, text;
	int rc = 0;

	*ret = (struct record_holds){ 0 };
	digest_names(l, ret->names);
	buf_init(&bytes, RECORD_LIST_MAX + AROUND);
	buf_init(&text, RECORD_MAX);
	for (size_t i = 0; i < l->count && rc == 0; i++) {
		rc = get_hold(r, t, l->name[i], &bytes, &text, e);
		if (rc == 0)
			rc = see_hold(&table, l->name[i], &text, e);
		if (rc == -1 && e != NULL && e->kind != ERR_REMOTE)
			err_line(e, "fix", "it may be a hold, so nothing goes: `ffdr verify --repair`; "
			    "where no tier has it good, move it away on each, and `ffdr hold` what is "
			    "to stay");
	}
	ret->hold = xcalloc(table.count + 1, sizeof(*ret->hold));
	for (size_t i = 0; i < table.count && rc == 0; i++)
		if (table.item[i].on)
			ret->hold[ret->count++] = table.item[i].is;
	ret->missing = xcalloc(l->count - own + 1, sizeof(*ret->missing));
	for (size_t i = own; i < l->count && rc == 0; i++)
		memcpy(ret->missing[ret->missings++], l->name[i], LAYOUT_NAME);
	free(table.item);
	buf_done(&bytes);
	buf_done(&text);
	return rc;
}

int
record_holds(const struct repo *r, struct tier *t, struct record_holds *ret, struct err *e)
{
	struct record_names l = { 0 };
	size_t own;
	int rc;

	*ret = (struct record_holds){ 0 };
	rc = list_holds(r, t, &l, &own, e);
	if (rc == 0)
		rc = read_holds(r, t, &l, own, ret, e);
	free(l.name);
	return rc;
}

int
record_holds_again(const struct repo *r, struct tier *t, struct record_holds *h, struct err *e)
{
	uint8_t names[DIGEST_LEN];
	struct record_names l = { 0 };
	size_t own;
	int rc;

	rc = list_holds(r, t, &l, &own, e);
	digest_names(&l, names);
	if (rc == 0 && memcmp(names, h->names, sizeof(names)) != 0) {
		record_holds_done(h);
		rc = read_holds(r, t, &l, own, h, e) == -1 ? -1 : 1;
	}
	free(l.name);
	return rc;
}

int
record_holds_bring(const struct repo *r, struct tier *t, const struct record_holds *h,
    struct err *e)
{
	struct buf bytes, text;
	int brought = 0, rc = 0;

	buf_init(&bytes, RECORD_LIST_MAX + AROUND);
	buf_init(&text, RECORD_MAX);
	for (size_t i = 0; i < h->missings && rc != -1; i++) {
		rc = get_hold(r, t, h->missing[i], &bytes, &text, e);
		if (rc != -1)
			rc = store_put(t->store, h->missing[i], bytes.data, bytes.len, STORE_NEW, e);
		brought += rc == 1;
	}
	buf_done(&bytes);
	buf_done(&text);
	return rc == -1 ? err_in(e, "bring the records of holds to '%s'", t->name) : brought;
}

int
record_holds_unread(const struct repo *r, const struct tier *t, record_unread *unread, void *arg,
    struct err *e)
{
	struct hold_table table = { 0 };
	struct record_names l = { 0 };
	struct buf text;
	int rc;

	buf_init(&text, RECORD_MAX);
	rc = store_list(t->store, "rec/hold/", NULL, add_any, &l, e);
	for (size_t i = 0; i < l.count && rc == 0; i++) {
		struct err why = { 0 };

		buf_reset(&text);
		if (record_get(r, t->store, l.name[i], &text, &why) == 0)
			see_hold(&table, l.name[i], &text, &why);
		if (why.kind == ERR_REMOTE) {
			*e = why;
			rc = -1;
		} else if (why.kind != ERR_NONE && why.kind != ERR_NOTFOUND) {
			unread(arg, l.name[i], &why);
		}
	}
	free(table.item);
	free(l.name);
	buf_done(&text);
	return rc;
}

void
record_holds_done(struct record_holds *h)
{
	free(h->hold);
	free(h->missing);
	*h = (struct record_holds){ 0 };
}

const struct record_hold *
record_held(const struct record_holds *h, const char *id)
{
	for (size_t i = 0; i < h->count; i++)
		if (strcmp(h->hold[i].id, id) == 0)
			return &h->hold[i];
	return NULL;
}

/* ---- proofs ---- */

/* 1 and the digit; 0: there is no such line, -1: another value. */
static int
digit(const struct buf *text, const char *key, int *ret)
{
	char value[4];

	if (record_value(text, key, value, sizeof(value)) != 1)
		return 0;
	if (value[0] < '0' || value[0] > '9' || value[1] != '\0')
		return -1;
	*ret = value[0] - '0';
	return 1;
}

static int
tell_proof(const char *name, const struct buf *text, record_proof *seen, void *arg, struct err *e)
{
	struct record_proved p = { .name = name };
	struct layout_snap part;
	char id[96];

	if (layout_snap_parse(name, &part) == -1)
		return err_set(e, ERR_CORRUPT, "'%s' is no name of a record", name);
	if (record_value(text, "snapshot", id, sizeof(id)) != 1 ||
	    digit(text, "level", &p.level) != 1)
		return err_set(e, ERR_CORRUPT, "record '%s': expected 'snapshot ID' and 'level N'", name);
	p.id = id;
	p.time_ns = part.time_ns;
	if (digit(text, "asked", &p.asked) != 1 || p.asked < p.level)
		p.asked = p.level;
	if (seen(arg, &p) == -1)
		return err_set(e, ERR_CANCELLED, "ended by who asked");
	return 0;
}

static int
one_proof(const struct repo *r, struct store *s, const char *name, record_proof *seen,
    record_unread *unread, void *arg, struct err *e)
{
	struct layout_snap part;
	struct err why = { 0 };
	struct buf text;
	int rc = 0;

	buf_init(&text, RECORD_MAX);
	/* A stray file is not opened: it may be anything. */
	if (layout_snap_parse(name, &part) == 0)
		rc = record_get(r, s, name, &text, &why);
	if (rc == 0)
		rc = tell_proof(name, &text, seen, arg, &why);
	buf_done(&text);
	if (rc == 0 || why.kind == ERR_NOTFOUND) /* tidied away since the listing */
		return 0;
	if (why.kind == ERR_REMOTE || why.kind == ERR_CANCELLED) {
		*e = why;
		return -1;
	}
	if (unread != NULL)
		unread(arg, name, &why);
	return 0;
}

static int
list_proofs(struct store *s, const char *kind, const char *source, struct record_names *l,
    struct err *e)
{
	char prefix[LAYOUT_NAME];

	snprintf(prefix, sizeof(prefix), "rec/%s/%s/", kind, source);
	return store_list(s, prefix, NULL, add_any, l, e);
}

int
record_proofs(const struct repo *r, struct store *s, const char *kind, const char *source,
    record_proof *seen, record_unread *unread, void *arg, struct err *e)
{
	struct record_names l = { 0 };
	int rc = list_proofs(s, kind, source, &l, e);

	for (size_t i = 0; i < l.count && rc == 0; i++)
		rc = one_proof(r, s, l.name[i], seen, unread, arg, e);
	free(l.name);
	return rc;
}

int
record_proofs_back(const struct repo *r, struct store *s, const char *kind, const char *source,
    record_proof *seen, record_unread *unread, void *arg, struct err *e)
{
	struct record_names l = { 0 };
	int rc = list_proofs(s, kind, source, &l, e);

	for (size_t i = l.count; i > 0 && rc == 0; i--)
		rc = one_proof(r, s, l.name[i - 1], seen, unread, arg, e);
	free(l.name);
	return rc;
}

/* ---- what was let go of ---- */

struct run {
	char name[LAYOUT_NAME];
	int64_t time_ns;
};
struct runs {
	struct run *item;
	size_t count, room;
};

/*
 * By when it was stored, too: a record that was made while a clock was ahead has a name from the
 * future, and must not speak of all that is made until then. One that was stored in the future by
 * the tier as well says nothing.
 */
static int
add_run(void *arg, const struct store_entry *entry, struct err *e)
{
	struct runs *l = arg;
	struct layout_snap part;
	int64_t time_ns;

	(void)e;
	if (layout_snap_parse(entry->name, &part) == -1)
		return 0;
	time_ns = entry->time_ns < part.time_ns ? entry->time_ns : part.time_ns;
	if (time_ns > clock_real_ns() + LAYOUT_SKEW_NS)
		return 0;
	l->item = mem_grow(l->item, &l->room, l->count + 1, sizeof(*l->item));
	l->item[l->count].time_ns = time_ns;
	snprintf(l->item[l->count++].name, LAYOUT_NAME, "%s", entry->name);
	return 0;
}

/*
 * Does it say so of this tier? The objects of all tiers have the same names, so a record can be
 * carried to another one, where nobody let go of anything.
 */
static bool
says_gone(const struct repo *r, const struct tier *t, const struct run *run,
    const struct layout_snap *snap)
{
	char what[32], tier[256], object[LAYOUT_NAME], full[LAYOUT_NAME];
	struct buf text;
	bool gone = false;

	buf_init(&text, RECORD_MAX);
	/*
	 * An earlier end of the source says nothing of what came after it, or in the same second.
	 */
	if (run->time_ns <= snap->time_ns || record_get(r, t->store, run->name, &text, NULL) == -1 ||
	    record_value(&text, "what", what, sizeof(what)) != 1 ||
	    record_value(&text, "tier", tier, sizeof(tier)) != 1 || strcmp(tier, t->name) != 0 ||
	    record_value(&text, "object", object, sizeof(object)) != 1)
		goto out;
	snprintf(full, sizeof(full), "snap/%s", snap->id);
	gone = (strcmp(what, RECORD_RETIRE) == 0 && strcmp(object, snap->source) == 0) ||
	    (strcmp(what, RECORD_DISCARD) == 0 && strcmp(object, full) == 0);
out:
	buf_done(&text);
	return gone;
}

bool
record_let_go(const struct repo *r, const struct tier *t, const char *id)
{
	char name[LAYOUT_NAME], prefix[LAYOUT_NAME];
	struct layout_snap snap;
	struct runs l = { 0 };
	bool gone = false;

	snprintf(name, sizeof(name), "snap/%s", id);
	if (layout_snap_parse(name, &snap) == -1)
		return false;
	snprintf(prefix, sizeof(prefix), "rec/" RECORD_RUN "/%s/", snap.source);
	if (store_list(t->store, prefix, NULL, add_run, &l, NULL) == 0)
		for (size_t i = l.count; i > 0 && !gone; i--)
			gone = says_gone(r, t, &l.item[i - 1], &snap);
	free(l.item);
	return gone;
}
