/*
 * Patience, once for all drivers. A driver tries once; here a store that does not answer is tried
 * again, and the doubt that leaves is settled: the try that failed may have taken effect. So a
 * put that meets its name taken after a failed try compares the bytes, and a delete that then
 * finds nothing has deleted. The rate is kept by paying for bytes after they moved, with a second
 * of credit, so that it holds on average and a single object may go at full speed.
 *
 * Pauses are spread by a hash of the clock, not by a random number: hosts that failed together
 * still drift apart, and a simulation with its own clock repeats exactly.
 */
#include "store/store.h"

#include <limits.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/sum.h"

#define PATIENCE_NS (30 * CLOCK_S)
/* A manifest is the work of hours; but one that comes later than this must not come at all. */
#define PATIENCE_COMMIT_NS (1800 * CLOCK_S)
#define PAUSE_FIRST_NS (100 * CLOCK_MS)
#define PAUSE_MOST_NS (10 * CLOCK_S)
#define CREDIT_NS CLOCK_S /* unused rate that may be used later */
/* Between two looks, in a pause, at whether to stop: a person waits for it. */
#define LOOK_NS (200 * CLOCK_MS)
/* A store that asks for more is asked again after this. */
#define REST_MOST_NS (30 * CLOCK_S)
/* However long the first took: one that stalled is no reason to give up. */
#define TRIES_LEAST 2
/* What is said to be back and is not, again and again: the store contradicts itself. */
#define THAWS_MOST 4

struct patience {
	struct err unasked; /* what went wrong when the caller does not want to know: we must */
	int64_t limit_ns;
	int64_t end_ns;
	int64_t pause_ns;
	unsigned failed; /* tries so far */
	bool begun;
};

static void
patience_begin(struct patience *p, int64_t limit_ns)
{
	p->limit_ns = limit_ns;
	p->end_ns = clock_boot_ns() + limit_ns;
	p->pause_ns = PAUSE_FIRST_NS;
	p->failed = 0;
	p->begun = false;
}

/* A caller may give no error, but its kind decides here. */
static struct err *
asked(struct patience *p, struct err *e)
{
	p->unasked.kind = ERR_NONE;
	return e == NULL ? &p->unasked : e;
}

/* Between half of the pause and all of it. */
static int64_t
spread(int64_t pause_ns)
{
	uint64_t x = (uint64_t)clock_real_ns();

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	x ^= x >> 31;
	return pause_ns / 2 + (int64_t)(x % (uint64_t)(pause_ns / 2 + 1));
}

static bool
stopped(const struct store *s)
{
	return s->stop != NULL && s->stop(s->stop_arg);
}

static void
pause_for(const struct store *s, int64_t ns)
{
	const int64_t most = s->stop == NULL ? ns : LOOK_NS;

	for (; ns > 0 && !stopped(s); ns -= most)
		clock_sleep_ns(ns < most ? ns : most);
}

/* After a failed try: true when there shall be another one, now. */
static bool
patience_wait(const struct store *s, struct patience *p, struct err *e)
{
	int64_t pause = spread(p->pause_ns);

	p->failed++;
	if (e->kind != ERR_REMOTE)
		return false;
	if (p->failed >= TRIES_LEAST && clock_boot_ns() + pause >= p->end_ns) {
		err_line(e, "tried", "%u times in %lld s", p->failed,
		    (long long)(p->limit_ns / CLOCK_S));
		return false;
	}
	pause_for(s, pause);
	if (stopped(s)) {
		e->kind = ERR_CANCELLED;
		err_in(e, "stopped waiting");
		return false;
	}
	p->pause_ns *= 2;
	if (p->pause_ns > PAUSE_MOST_NS)
		p->pause_ns = PAUSE_MOST_NS;
	return true;
}

void
store_slow_down(struct store *s, int64_t ns)
{
	int64_t until = clock_boot_ns() + (ns < REST_MOST_NS ? ns : REST_MOST_NS), old = s->rest_ns;

	while (until > old && !atomic_compare_exchange_weak(&s->rest_ns, &old, until))
		continue;
}

/* Also before a first try: what another thread was told holds for all. */
static int64_t
begin_try(struct store *s)
{
	int64_t now = clock_boot_ns(), rest = s->rest_ns;

	if (rest <= now)
		return now;
	pause_for(s, rest - now);
	return clock_boot_ns();
}

/* Shall it be tried, for the first time or after a failure? rc is how the last try ended. */
static bool
next_try(struct store *s, struct patience *p, int rc, struct err *e)
{
	if (p->begun && (rc != -1 || !patience_wait(s, p, e)))
		return false;
	p->begun = true;
	begin_try(s);
	return true;
}

const struct store_rule *
store_rule_of(const struct store_options *o, const char *name)
{
	for (const struct store_rule *r = o->rule; r != NULL && r->prefix != NULL; r++)
		if (strncmp(r->prefix, name, strlen(r->prefix)) == 0)
			return r;
	return NULL;
}

/* Pays for n bytes that began to move at begin_ns. */
static void
pay(struct store *s, int64_t begin_ns, uint64_t n)
{
	int64_t cost, until, paid = s->paid_ns, now;

	if (s->options.rate == 0 || n == 0)
		return;
	cost = (int64_t)((double)n / (double)s->options.rate * (double)CLOCK_S);
	/* Several workers put through one store. */
	do
		until = (paid > begin_ns - CREDIT_NS ? paid : begin_ns - CREDIT_NS) + cost;
	while (!atomic_compare_exchange_weak(&s->paid_ns, &paid, until));
	now = clock_boot_ns();
	if (until > now)
		pause_for(s, until - now);
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

	e = asked(&p, e);
	if (name_check(name, e) == -1)
		return -1;
	if (len > STORE_OBJECT_MAX)
		return err_set(e, ERR_BUG, "'%s': %zu bytes are more than an object holds", name,
		    len);
	if (stopped(s))
		return err_set(e, ERR_CANCELLED, "stopped before '%s' was put", name);
	patience_begin(&p, strncmp(name, "snap/", 5) == 0 ? PATIENCE_COMMIT_NS : PATIENCE_NS);
	do {
		begin = begin_try(s);
		rc = s->ops->put(s, name, data, len, sha, how, e);
		pay(s, begin, len);
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

	e = asked(&p, e);
	if (name_check(name, e) == -1 || buf_check(out, name, e) == -1)
		return -1;
	patience_begin(&p, PATIENCE_NS);
	do {
		buf_cut(out, start);
		begin = begin_try(s);
		rc = s->ops->get(s, name, off, len, out, e);
		pay(s, begin, out->len - start);
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

	e = asked(&p, e);
	if (name_check(name, e) == -1)
		return -1;
	patience_begin(&p, PATIENCE_NS);
	while (next_try(s, &p, rc, e))
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

	e = asked(&p, e);
	if (after != NULL && strlen(after) > STORE_NAME_MAX)
		return err_set(e, ERR_BUG, "'%s' is not the name of an object", after);
	if (after != NULL)
		memcpy(l.last, after, strlen(after) + 1);
	patience_begin(&p, PATIENCE_NS);
	do {
		l.moved = false;
		begin_try(s);
		rc = list_from(s, prefix, &l, e);
		if (l.moved) /* a long listing may fail now and then, as long as it gets on */
			patience_begin(&p, PATIENCE_NS);
	} while (rc == -1 && !l.ended && patience_wait(s, &p, e));
	return rc;
}

int
store_del(struct store *s, const char *name, struct err *e)
{
	struct patience p;
	int rc = 0;

	e = asked(&p, e);
	if (name_check(name, e) == -1)
		return -1;
	patience_begin(&p, PATIENCE_NS);
	while (next_try(s, &p, rc, e))
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

	e = asked(&p, e);
	patience_begin(&p, PATIENCE_NS);
	while (next_try(s, &p, rc, e))
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

	e = asked(&p, e);
	if (name_check(name, e) == -1)
		return -1;
	if (s->ops->relock == NULL || s->options.lock == STORE_LOCK_NONE || rule == NULL ||
	    rule->lock_ms <= slack_ms)
		return 0;
	patience_begin(&p, PATIENCE_NS);
	while (next_try(s, &p, rc, e))
		rc = s->ops->relock(s, name, slack_ms, e);
	return rc;
}

int
store_probe(struct store *s, const char *place, struct store_abilities *ret, struct err *e)
{
	struct patience p;
	int rc = 0;

	e = asked(&p, e);
	if (name_check(place, e) == -1)
		return -1;
	patience_begin(&p, PATIENCE_NS);
	while (next_try(s, &p, rc, e)) {
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

	e = asked(&p, e);
	if (name_check(name, e) == -1)
		return -1;
	patience_begin(&p, PATIENCE_NS);
	while (next_try(s, &p, rc, e)) {
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

	e = asked(&p, e);
	if (name_check(name, e) == -1)
		return -1;
	if (s->ops->thaw == NULL)
		return 0;
	patience_begin(&p, PATIENCE_NS);
	while (next_try(s, &p, rc, e))
		rc = s->ops->thaw(s, name, speed, days, e);
	return rc;
}
