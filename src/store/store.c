/*
 * Patience, once for all drivers. A driver tries once; here a store that does not answer is tried
 * again, and the doubt that leaves is settled: the try that failed may have taken effect. So a
 * put that meets its name taken after a failed try compares the bytes, and a delete that then
 * finds nothing has deleted. How long, and what is waited for, is patience.c's.
 */
#include "store/store.h"

#include <limits.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/patience.h"
#include "store/sum.h"

/* A store that asks for more is asked again after this. */
#define REST_MOST_NS (30 * CLOCK_S)
/* What is said to be back and is not, again and again: the store contradicts itself. */
#define THAWS_MOST 4

const struct store_rule *
store_rule_of(const struct store_options *o, const char *name)
{
	for (const struct store_rule *r = o->rule; r != NULL && r->prefix != NULL; r++)
		if (strncmp(r->prefix, name, strlen(r->prefix)) == 0)
			return r;
	return NULL;
}

static bool
char_valid(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    c == '.' || c == '_' || c == '-';
}

bool
store_name_valid(const char *name)
{
	const char *part = name, *c;

	if (strnlen(name, STORE_NAME_MAX + 1) > STORE_NAME_MAX || strncmp(name, "tmp/", 4) == 0)
		return false;
	for (;;) {
		for (c = part; char_valid(*c); c++)
			continue;
		if (c == part || c - part > NAME_MAX || (*c != '/' && *c != '\0'))
			return false;
		if (*part == '.')
			return false;
		if (*c == '\0')
			return true;
		part = c + 1;
	}
}

static int
name_check(const char *name, struct err *e)
{
	if (store_name_valid(name))
		return 0;
	return err_set(e, ERR_BUG, "'%s' is not the name of an object", name);
}

/* NULL: there is none for that url, or none of that name. */
static const struct store_ops *
backend_of(const struct store_options *o)
{
	const char *end = strstr(o->url, "://");
	size_t len = end == NULL ? 0 : (size_t)(end - o->url);

	for (size_t i = 0; store_backends[i] != NULL && len > 0; i++) {
		const struct store_ops *ops = store_backends[i];

		if (strlen(ops->scheme) == len && memcmp(ops->scheme, o->url, len) == 0 &&
		    (o->driver == NULL || strcmp(o->driver, ops->name) == 0))
			return ops;
	}
	return NULL;
}

bool
store_far(const struct store_options *o)
{
	const struct store_ops *ops = backend_of(o);

	return ops != NULL && ops->far;
}

int
store_open(const struct store_options *o, struct store **ret, struct err *e)
{
	const struct store_ops *ops = backend_of(o);

	if (ops != NULL && o->as_of_ns != 0 && !ops->looks_back)
		return err_set(e, ERR_UNSUPPORTED, "'%s' cannot be looked at as it was: by driver %s only "
		    "what is there now is seen", o->url, ops->name);
	if (ops != NULL)
		return ops->open(o, ret, e);
	if (o->driver != NULL)
		return err_set(e, ERR_CONFIG, "'%s': driver %s is not for this url", o->url, o->driver);
	err_set(e, ERR_CONFIG, "'%s': no storage backend for this url", o->url);
	for (size_t i = 0; store_backends[i] != NULL; i++)
		err_line(e, "known", "%s://", store_backends[i]->scheme);
	return -1;
}

void
store_stop_when(struct store *s, bool (*stop)(void *arg), void *arg)
{
	s->stop = stop;
	s->stop_arg = arg;
}

void
store_hurry_when(struct store *s, bool (*hurry)(void *arg), void *arg)
{
	s->hurry = hurry;
	s->hurry_arg = arg;
}

bool
store_stopped(const struct store *s)
{
	return s->stop != NULL && s->stop(s->stop_arg);
}

bool
store_hurries(const struct store *s)
{
	return s->hurry != NULL && s->hurry(s->hurry_arg);
}

void
store_slow_down(struct store *s, int64_t ns)
{
	int64_t until = clock_boot_ns() + (ns < REST_MOST_NS ? ns : REST_MOST_NS), old = s->rest_ns;

	while (until > old && !atomic_compare_exchange_weak(&s->rest_ns, &old, until))
		continue;
}

void
store_when_frozen(struct store *s, store_frozen *frozen, void *arg)
{
	s->frozen = frozen;
	s->frozen_arg = arg;
}

void
store_close(struct store *s)
{
	if (s != NULL)
		s->ops->close(s);
}

/* 1 when the object holds exactly these bytes, 0 when others or none. */
static int
holds(struct store *s, const char *name, const void *data, size_t len, struct err *e)
{
	uint8_t sha[DIGEST_LEN], own[DIGEST_LEN];
	struct store_stat st;
	struct buf there;
	int rc;

	rc = store_stat(s, name, &st, e);
	if (rc != 1 || st.size != len)
		return rc == -1 ? -1 : 0;
	buf_init(&there, len);
	rc = sum_of(s, name, &there, sha, e);
	buf_done(&there);
	if (rc == -1)
		return -1;
	digest_sha256(data, len, own);
	return digest_equal(sha, own, DIGEST_LEN);
}

int
store_put_known(struct store *s, const char *name, const void *data, size_t len, const uint8_t *sha,
    enum store_put how, struct err *e)
{
	struct patience p;
	int64_t begin;
	int rc;

	e = patience_err(&p, e);
	if (name_check(name, e) == -1)
		return -1;
	if (len > STORE_OBJECT_MAX)
		return err_set(e, ERR_BUG, "'%s': %zu bytes are more than an object holds", name,
		    len);
	if (store_stopped(s))
		return err_set(e, ERR_CANCELLED, "stopped before '%s' was put", name);
	patience_begin(&p, strncmp(name, "snap/", 5) == 0 ? PATIENCE_COMMIT_NS : PATIENCE_NS);
	do {
		begin = patience_try(s);
		rc = s->ops->put(s, name, data, len, sha, how, e);
		patience_pay(s, begin, len);
	} while (rc == -1 && patience_wait(s, &p, e));
	if (rc == 0 && p.failed > 0) /* by somebody else, or by the try that failed? */
		rc = holds(s, name, data, len, e);
	return rc;
}

int
store_put(struct store *s, const char *name, const void *data, size_t len, enum store_put how,
    struct err *e)
{
	return store_put_known(s, name, data, len, NULL, how, e);
}

static int
get_now(struct store *s, const char *name, uint64_t off, uint64_t len, struct buf *out, struct err *e)
{
	size_t start = out->len;
	struct patience p;
	int64_t begin;
	int rc;

	e = patience_err(&p, e);
	if (name_check(name, e) == -1 || buf_check(out, name, e) == -1)
		return -1;
	patience_begin(&p, PATIENCE_NS);
	do {
		buf_cut(out, start);
		begin = patience_try(s);
		rc = s->ops->get(s, name, off, len, out, e);
		patience_pay(s, begin, out->len - start);
	} while (rc == -1 && patience_wait(s, &p, e));
	if (rc == 0)
		rc = buf_check(out, name, e);
	if (rc == -1)
		buf_cut(out, start);
	return rc;
}

int
store_get_range(struct store *s, const char *name, uint64_t off, uint64_t len, struct buf *out,
    struct err *e)
{
	struct err unasked = { 0 };
	int rc = -1;

	e = e == NULL ? &unasked : e;
	for (int try = 0; try < THAWS_MOST && rc == -1; try++) {
		rc = get_now(s, name, off, len, out, e);
		if (rc == 0 || e->kind != ERR_FROZEN)
			break;
		if (s->frozen == NULL)
			return err_line(e, "fix", "it lies in an archive: packs and bundles of WAL are "
			    "ordered back by `ffdr restore --yes-thaw`, anything else by the store's own "
			    "tools (restore-object)");
		if (s->frozen(s->frozen_arg, s, name, e) == -1)
			break;
	}
	return rc;
}

int
store_get(struct store *s, const char *name, struct buf *out, struct err *e)
{
	return store_get_range(s, name, 0, 0, out, e);
}

int
store_stat(struct store *s, const char *name, struct store_stat *ret, struct err *e)
{
	struct patience p;
	int rc = 0;

	e = patience_err(&p, e);
	if (name_check(name, e) == -1)
		return -1;
	patience_begin(&p, PATIENCE_NS);
	while (patience_next(s, &p, rc, e))
		rc = s->ops->stat(s, name, ret, e);
	return rc;
}

/* What stands between a driver's listing and the caller's function. */
struct listing {
	store_seen *seen;
	void *arg;
	char last[STORE_NAME_MAX + 1]; /* "" before the first */
	bool ended;		       /* by the caller: its error is not the store's */
	bool moved;		       /* something came in this try */
};

/* Systems leave such beside our objects (.nfs..., .DS_Store): they are no objects. */
static bool
hidden(const char *name)
{
	return name[0] == '.' || strstr(name, "/.") != NULL;
}

/* Nothing above survives a listing that leaves out or repeats names, so the order is checked. */
static int
listing_seen(void *arg, const struct store_entry *entry, struct err *e)
{
	struct listing *l = arg;

	if (hidden(entry->name))
		return 0;
	if (!store_name_valid(entry->name) || strcmp(entry->name, l->last) <= 0)
		return err_set(e, ERR_CORRUPT, "the store lists '%s' after '%s'", entry->name,
		    l->last);
	memcpy(l->last, entry->name, strlen(entry->name) + 1);
	l->moved = true;
	if (l->seen(l->arg, entry, e) == 0)
		return 0;
	l->ended = true;
	return -1;
}

/* Some stores give nothing at all after a name that does not begin with the prefix. */
static int
list_from(struct store *s, const char *prefix, struct listing *l, struct err *e)
{
	const char *after = l->last;

	if (strncmp(after, prefix, strlen(prefix)) != 0) {
		if (strcmp(after, prefix) > 0)
			return 0;
		after = "";
	}
	return s->ops->list(s, prefix, *after == '\0' ? NULL : after, listing_seen, l, e);
}

int
store_list(struct store *s, const char *prefix, const char *after, store_seen *seen, void *arg,
    struct err *e)
{
	struct listing l = { .seen = seen, .arg = arg };
	struct patience p;
	int rc;

	e = patience_err(&p, e);
	if (after != NULL && strlen(after) > STORE_NAME_MAX)
		return err_set(e, ERR_BUG, "'%s' is not the name of an object", after);
	if (after != NULL)
		memcpy(l.last, after, strlen(after) + 1);
	patience_begin(&p, PATIENCE_NS);
	do {
		l.moved = false;
		patience_try(s);
		rc = list_from(s, prefix, &l, e);
		if (l.moved) /* a long listing may fail now and then, as long as it gets on */
			patience_begin(&p, PATIENCE_NS);
	} while (rc == -1 && !l.ended && patience_wait(s, &p, e));
	return rc;
}

static int
first_seen(void *arg, const struct store_entry *entry, struct err *e)
{
	(void)entry;
	*(bool *)arg = true;
	return err_set(e, ERR_CANCELLED, "one is enough");
}

int
store_any(struct store *s, const char *prefix, struct err *e)
{
	struct err why = { 0 };
	bool any = false;

	if (store_list(s, prefix, NULL, first_seen, &any, &why) == 0 || any)
		return any;
	if (e != NULL)
		*e = why;
	return -1;
}

int
store_del(struct store *s, const char *name, struct err *e)
{
	struct patience p;
	int rc = 0;

	e = patience_err(&p, e);
	if (name_check(name, e) == -1)
		return -1;
	patience_begin(&p, PATIENCE_NS);
	while (patience_next(s, &p, rc, e))
		rc = s->ops->del(s, name, e);
	if (rc == 0 && p.failed > 0)
		rc = 1; /* the failed try did it */
	return rc;
}

int
store_clock(struct store *s, int64_t *ret_ns, struct err *e)
{
	struct patience p;
	int rc = 0;

	e = patience_err(&p, e);
	patience_begin(&p, PATIENCE_NS);
	while (patience_next(s, &p, rc, e))
		rc = s->ops->clock(s, ret_ns, e);
	return rc;
}

int
store_clock_within(struct store *s, int64_t *ret_ns, int64_t *blur_ns, struct err *e)
{
	const int64_t began = clock_boot_ns();
	int rc = store_clock(s, ret_ns, e);

	*blur_ns = s->ops->tick_ns + clock_boot_ns() - began;
	return rc;
}

int
store_clock_lately(struct store *s, int64_t *ret_ns, struct err *e)
{
	if (s->ops->clock_lately != NULL && s->ops->clock_lately(s, ret_ns))
		return 0;
	return store_clock(s, ret_ns, e);
}

int
store_relock(struct store *s, const char *name, int64_t slack_ms, struct err *e)
{
	const struct store_rule *rule = store_rule_of(&s->options, name);
	struct patience p;
	int rc = 0;

	e = patience_err(&p, e);
	if (name_check(name, e) == -1)
		return -1;
	if (s->ops->relock == NULL || s->options.lock == STORE_LOCK_NONE || rule == NULL ||
	    rule->lock_ms <= slack_ms)
		return 0;
	patience_begin(&p, PATIENCE_NS);
	while (patience_next(s, &p, rc, e))
		rc = s->ops->relock(s, name, slack_ms, e);
	return rc;
}

int
store_probe(struct store *s, const char *place, struct store_abilities *ret, struct err *e)
{
	struct patience p;
	int rc = 0;

	e = patience_err(&p, e);
	if (name_check(place, e) == -1)
		return -1;
	patience_begin(&p, PATIENCE_NS);
	while (patience_next(s, &p, rc, e)) {
		*ret = (struct store_abilities){ 0 };
		rc = s->ops->probe(s, place, ret, e);
	}
	return rc;
}

/* Where nothing has to be ordered: what is there can be read. */
static int
plainly_there(struct store *s, const char *name, struct store_cold *ret, struct err *e)
{
	struct store_stat st;
	int rc = s->ops->stat(s, name, &st, e);

	if (rc == 1)
		*ret = (struct store_cold){ .state = STORE_READABLE, .size = st.size };
	return rc;
}

int
store_cold(struct store *s, const char *name, struct store_cold *ret, struct err *e)
{
	struct patience p;
	int rc = 0;

	e = patience_err(&p, e);
	if (name_check(name, e) == -1)
		return -1;
	patience_begin(&p, PATIENCE_NS);
	while (patience_next(s, &p, rc, e)) {
		*ret = (struct store_cold){ 0 };
		rc = s->ops->cold == NULL ? plainly_there(s, name, ret, e) :
					    s->ops->cold(s, name, ret, e);
	}
	return rc;
}

int
store_thaw(struct store *s, const char *name, enum store_speed speed, unsigned days, struct err *e)
{
	struct patience p;
	int rc = 0;

	e = patience_err(&p, e);
	if (name_check(name, e) == -1)
		return -1;
	if (s->ops->thaw == NULL)
		return 0;
	patience_begin(&p, PATIENCE_NS);
	while (patience_next(s, &p, rc, e))
		rc = s->ops->thaw(s, name, speed, days, e);
	return rc;
}
