/*
 * Objects in an array sorted by name: small stores, many of them, all deterministic. The listing
 * looks for the next greater name each time, so it stays right when the hook changes the array
 * under it.
 */
#include "tests/lib/memstore.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "filter/digest.h"

struct object {
	char *name;
	uint8_t *data;
	size_t len;
	int64_t time_ns;
};

/* What all handles share. */
struct contents {
	struct object *object; /* sorted by name */
	size_t count;
	size_t room;
	unsigned handles;
	int64_t skew_ns;
	bool away;
	const char *frozen;
	bool summed;
};

struct memstore {
	struct store store;
	struct contents *c;
	memstore_before *before;
	void *arg;
};

static struct memstore *
mem_of(struct store *s)
{
	return (struct memstore *)s;
}

/* The first object whose name is not less than name (or greater, when past). */
static size_t
seek(const struct contents *c, const char *name, bool past)
{
	size_t low = 0, high = c->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(c->object[mid].name, name);

		if (order < 0 || (past && order == 0))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct object *
find(const struct contents *c, const char *name)
{
	size_t i = seek(c, name, false);

	return i < c->count && strcmp(c->object[i].name, name) == 0 ? &c->object[i] : NULL;
}

static bool
is_frozen(const struct contents *c, const char *name)
{
	return c->frozen != NULL && strncmp(name, c->frozen, strlen(c->frozen)) == 0;
}

static void
drop(struct contents *c, struct object *o)
{
	size_t i = (size_t)(o - c->object);

	free(o->name);
	free(o->data);
	memmove(o, o + 1, (c->count - i - 1) * sizeof(*o));
	c->count--;
}

static int
enter(struct store *s, const char *op, const char *name, struct err *e)
{
	struct memstore *m = mem_of(s);

	if (m->before != NULL)
		m->before(m->arg, op, name);
	return m->c->away ? err_set(e, ERR_REMOTE, "the store in memory is away") : 0;
}

static int64_t
now_ns(const struct contents *c)
{
	return clock_real_ns() + c->skew_ns;
}

static int
mem_open(const struct store_options *o, struct store **ret, struct err *e)
{
	struct memstore *m = xcalloc(1, sizeof(*m));

	(void)e;
	m->store.ops = &memstore_ops;
	m->store.options = *o;
	m->c = xcalloc(1, sizeof(*m->c));
	m->c->handles = 1;
	*ret = &m->store;
	return 0;
}

static int
mem_put(struct store *s, const char *name, const void *data, size_t len,
    const uint8_t *sha, enum store_put how, struct err *e)
{
	struct contents *c = mem_of(s)->c;
	struct object *o;
	size_t at;

	(void)sha;
	if (enter(s, "put", name, e) == -1)
		return -1;
	o = find(c, name);
	if (o != NULL && how == STORE_NEW)
		return 0;
	if (o != NULL)
		drop(c, o);
	c->object = mem_grow(c->object, &c->room, c->count + 1, sizeof(*c->object));
	at = seek(c, name, false);
	memmove(&c->object[at + 1], &c->object[at], (c->count - at) * sizeof(*c->object));
	c->count++;
	c->object[at] = (struct object){
		.name = xstrdup(name),
		.data = len == 0 ? NULL : xmemdup(data, len),
		.len = len,
		.time_ns = now_ns(c),
	};
	return 1;
}

static int
mem_get(struct store *s, const char *name, uint64_t off, uint64_t len, struct buf *out,
    struct err *e)
{
	const struct object *o;

	if (enter(s, "get", name, e) == -1)
		return -1;
	o = find(mem_of(s)->c, name);
	if (o == NULL)
		return err_set(e, ERR_NOTFOUND, "'%s' is not in the store in memory", name);
	if (is_frozen(mem_of(s)->c, name))
		return err_set(e, ERR_FROZEN, "'%s' is frozen", name);
	if (off > o->len || len > o->len - off)
		return err_set(e, ERR_CORRUPT, "'%s' has %zu bytes, expected %llu or more", name,
		    o->len, (unsigned long long)(off + len));
	if (len == 0)
		len = o->len - off;
	if (len > 0)
		buf_add(out, o->data + off, len);
	return buf_check(out, name, e);
}

static int
mem_stat(struct store *s, const char *name, struct store_stat *ret, struct err *e)
{
	const struct object *o;

	if (enter(s, "stat", name, e) == -1)
		return -1;
	o = find(mem_of(s)->c, name);
	if (o == NULL)
		return 0;
	*ret = (struct store_stat){ .size = o->len, .time_ns = o->time_ns };
	return 1;
}

static int
mem_cold(struct store *s, const char *name, struct store_cold *ret, struct err *e)
{
	const struct object *o;

	if (enter(s, "cold", name, e) == -1)
		return -1;
	o = find(mem_of(s)->c, name);
	if (o == NULL)
		return 0;
	ret->state = is_frozen(mem_of(s)->c, name) ? STORE_FROZEN : STORE_READABLE;
	ret->size = o->len;
	ret->summed = mem_of(s)->c->summed;
	if (ret->summed)
		digest_sha256(o->data, o->len, ret->sha);
	return 1;
}

static int
mem_list(struct store *s, const char *prefix, const char *after, store_seen *seen, void *arg,
    struct err *e)
{
	struct contents *c = mem_of(s)->c;
	char last[STORE_NAME_MAX + 1] = "";
	size_t at;

	if (enter(s, "list", prefix, e) == -1)
		return -1;
	at = after != NULL && strcmp(after, prefix) >= 0 ? seek(c, after, true) :
	    seek(c, prefix, false);
	while (at < c->count && strncmp(c->object[at].name, prefix, strlen(prefix)) == 0) {
		struct store_entry entry;

		memcpy(last, c->object[at].name, strlen(c->object[at].name) + 1);
		if (enter(s, "entry", last, e) == -1)
			return -1;
		at = seek(c, last, false); /* the hook may have moved it, or taken it away */
		if (at < c->count && strcmp(c->object[at].name, last) == 0) {
			entry = (struct store_entry){ .name = last, .size = c->object[at].len,
				.time_ns = c->object[at].time_ns };
			if (seen(arg, &entry, e) == -1)
				return -1;
		}
		at = seek(c, last, true);
	}
	return 0;
}

static int
mem_del(struct store *s, const char *name, struct err *e)
{
	struct object *o;

	if (enter(s, "del", name, e) == -1)
		return -1;
	o = find(mem_of(s)->c, name);
	if (o == NULL)
		return 0;
	drop(mem_of(s)->c, o);
	return 1;
}

static int
mem_clock(struct store *s, int64_t *ret_ns, struct err *e)
{
	if (enter(s, "clock", "", e) == -1)
		return -1;
	*ret_ns = now_ns(mem_of(s)->c);
	return 0;
}

static void
mem_close(struct store *s)
{
	struct contents *c = mem_of(s)->c;

	if (--c->handles == 0) {
		while (c->count > 0)
			drop(c, &c->object[c->count - 1]);
		free(c->object);
		free(c);
	}
	free(s);
}

static int
mem_probe(struct store *s, const char *place, struct store_abilities *ret, struct err *e)
{
	ret->exclusive.can = STORE_CAN;
	return enter(s, "probe", place, e);
}

const struct store_ops memstore_ops = {
	.scheme = "memory",
	.name = "memory",
	.open = mem_open,
	.put = mem_put,
	.get = mem_get,
	.stat = mem_stat,
	.list = mem_list,
	.del = mem_del,
	.clock = mem_clock,
	.probe = mem_probe,
	.cold = mem_cold,
	.close = mem_close,
};

struct store *
memstore_new(void)
{
	struct store_options o = { .url = "memory://" };
	struct store *s = NULL;

	mem_open(&o, &s, NULL);
	return s;
}

struct store *
memstore_share(struct store *s)
{
	struct memstore *m = xmemdup(mem_of(s), sizeof(*m));

	m->before = NULL;
	m->arg = NULL;
	m->c->handles++;
	return &m->store;
}

void
memstore_hook(struct store *s, memstore_before *before, void *arg)
{
	mem_of(s)->before = before;
	mem_of(s)->arg = arg;
}

void
memstore_skew(struct store *s, int64_t ns)
{
	mem_of(s)->c->skew_ns = ns;
}

void
memstore_away(struct store *s, bool away)
{
	mem_of(s)->c->away = away;
}

void
memstore_freeze(struct store *s, const char *prefix, bool summed)
{
	mem_of(s)->c->frozen = prefix;
	mem_of(s)->c->summed = summed;
}

size_t
memstore_count(const struct store *s)
{
	return ((const struct memstore *)s)->c->count;
}

uint8_t *
memstore_bytes(struct store *s, const char *name, size_t *ret_len)
{
	struct object *o = find(mem_of(s)->c, name);

	if (o == NULL)
		return NULL;
	if (ret_len != NULL)
		*ret_len = o->len;
	return o->data;
}

void
memstore_set_time(struct store *s, const char *name, int64_t time_ns)
{
	struct object *o = find(mem_of(s)->c, name);

	if (o != NULL)
		o->time_ns = time_ns;
}

void
memstore_cut(struct store *s, const char *name, size_t len)
{
	struct object *o = find(mem_of(s)->c, name);

	if (o != NULL && len < o->len)
		o->len = len;
}

void
memstore_drop(struct store *s, const char *name)
{
	struct object *o = find(mem_of(s)->c, name);

	if (o != NULL)
		drop(mem_of(s)->c, o);
}
