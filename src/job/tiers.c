/*
 * From a [tier] section to a store. What is locked, and how long, follows from what would be lost
 * without it: a pack may be named by a snapshot as long as the horizon lets it be used again, and is
 * then wanted for as long as that snapshot stays. A snapshot is wanted for keep, and beyond it until
 * there is a newer one, because the newest before the window stays. What must go in time (pend/, gc/,
 * bad/, beat/) is never locked.
 */
#include "job/tiers.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/secret.h"
#include "job/ability.h"
#include "job/cold.h"

#define HOUR_MS (INT64_C(3600) * 1000)
#define DAY_MS (24 * HOUR_MS)
/* `forever` as a lock: what nobody can take back should end some day, and be renewed until then. */
#define FOREVER_MS (3650 * DAY_MS)
/* Longer than a restore takes, and a second try of it. */
#define THAW_DAYS 7
/* Between two snapshots of a source, where no period says so. */
#define INTERVAL_MS (7 * DAY_MS)
/*
 * Between two base backups of a database, whatever the tier takes: with its WAL beside them one a week is
 * usual. And a day for a late one.
 */
#define BASE_MS (8 * DAY_MS)
/* Keys are used for about so long before the next epoch. */
#define EPOCH_MS (90 * DAY_MS)
#define FIRST_DAY "operations.md, 'The first day with buckets'"

static const struct {
	const char *word;
	int64_t ms;
} periods[] = {
	{ "all", 0 },
	{ "hourly", HOUR_MS },
	{ "daily", DAY_MS },
	{ "weekly", 7 * DAY_MS },
};

/* What the options of one tier point to. */
struct held {
	struct buf access_key, secret_key;
	struct store_rule *rule;
};

int64_t
tiers_period(const char *takes)
{
	for (size_t i = 0; i < ARRAY_LEN(periods); i++)
		if (strcmp(periods[i].word, takes) == 0)
			return periods[i].ms;
	return 0;
}

static int64_t
keep_of(const struct conf_tier *t, const struct conf_source *s)
{
	int64_t own = s->keep == -1 ? FOREVER_MS : s->keep;

	return own > t->keep ? own : t->keep;
}

/* The longest that may lie between two snapshots of the source, in the ordinary course; NULL: of any. */
static int64_t
between(const struct conf_tier *t, const struct conf_source *s)
{
	const int64_t period = tiers_period(t->takes);
	const int64_t ms = period > INTERVAL_MS || period == 0 ? INTERVAL_MS : period + DAY_MS;

	return s && s->postgres && ms < BASE_MS ? BASE_MS : ms;
}

static void
add(struct store_rule *rule, size_t *n, char *prefix, bool cold, int64_t lock_ms)
{
	rule[(*n)++] = (struct store_rule){ prefix, cold, lock_ms };
}

struct store_rule *
tiers_rules(const struct conf *c, const struct conf_tier *t)
{
	/* Three for each source, six for all, the end. */
	struct store_rule *rule = xcalloc(3 * c->sources + 7, sizeof(*rule));
	const int64_t other = t->keep + between(t, NULL);
	int64_t longest = t->keep, lock = other;
	size_t n = 0;

	for (size_t i = 0; i < c->sources; i++) {
		const struct conf_source *s = &c->source[i];
		const int64_t keep = keep_of(t, s), own = keep + between(t, s);

		longest = keep > longest ? keep : longest;
		lock = own > lock ? own : lock;
		if (own == other)
			continue;
		add(rule, &n, xasprintf("snap/%s/", s->name), false, own);
		add(rule, &n, xasprintf("wal/%s/", s->name), false, own);
		add(rule, &n, xasprintf("walb/%s/", s->name), true, own);
	}
	add(rule, &n, xstrdup("pack/"), true, c->horizon + lock);
	add(rule, &n, xstrdup("snap/"), false, other);
	add(rule, &n, xstrdup("wal/"), false, other);
	add(rule, &n, xstrdup("walb/"), true, other);
	add(rule, &n, xstrdup("key/"), false, EPOCH_MS + c->horizon + longest);
	add(rule, &n, xstrdup("repo/"), false, EPOCH_MS + c->horizon + longest);
	return rule;
}

void
tiers_rules_free(struct store_rule *rule)
{
	for (struct store_rule *r = rule; r != NULL && r->prefix != NULL; r++)
		free((void *)(uintptr_t)r->prefix);
	free(rule);
}

/* With the way out, where the secret says none itself. */
static int
no_key(const struct conf *c, const char *key, const char *ref, struct err *e)
{
	char *path = secret_path(ref, c->credentials);
	const char *fix;

	err_in(e, "%s = %s", key, ref);
	if (path == NULL || err_fix(e, &fix) > 0)
		goto out;
	if (e->kind == ERR_PERMISSION)
		err_line(e, "fix", "who runs ffdr must read '%s' (root:ffdr 0640, its directory 0750), and "
		    "so must the user of a database that gets WAL: " FIRST_DAY, path);
	else
		err_line(e, "fix", "write '%s': one line, what the owner of the bucket gave you, root:ffdr "
		    "0640: " FIRST_DAY, path);
out:
	free(path);
	return -1;
}

/* A key out of its reference, as text: what editors put behind it is no part of it. */
static int
fetch(const struct conf *c, const char *key, const char *ref, struct buf *out, const char **ret,
    struct err *e)
{
	if (ref == NULL)
		return 0;
	if (secret_get(ref, c->credentials, out, e) == -1)
		return no_key(c, key, ref, e);
	while (out->len > 0 && strchr("\r\n \t", out->data[out->len - 1]) != NULL)
		out->data[--out->len] = '\0';
	if (out->len == 0 || strlen(buf_str(out)) != out->len)
		return err_set(e, ERR_CONFIG, "%s = %s: expected one line of text there", key, ref);
	*ret = buf_str(out);
	return 0;
}

static enum store_lock
lock_of(const char *word)
{
	if (word == NULL)
		return STORE_LOCK_NONE;
	return strcmp(word, "compliance") == 0 ? STORE_LOCK_COMPLIANCE :
	    strcmp(word, "governance") == 0    ? STORE_LOCK_GOVERNANCE : STORE_LOCK_NONE;
}

static void
make_one(const struct conf *c, const struct conf_tier *from, struct tier *t)
{
	struct held *h = xcalloc(1, sizeof(*h));

	buf_init(&h->access_key, SECRET_MAX);
	buf_init(&h->secret_key, SECRET_MAX);
	h->rule = tiers_rules(c, from);
	*t = (struct tier){
		.name = from->name,
		.options = {
			.url = from->url, .driver = from->driver, .rate = from->rate,
			.endpoint = from->endpoint, .region = from->region, .profile = from->profile,
			.ca = from->ca,
			.host_style = from->style != NULL && strcmp(from->style, "host") == 0,
			.class = from->class, .lock = lock_of(from->lock), .rule = h->rule,
		},
		.keep_ms = from->keep,
		.rpo_ms = from->rpo,
		.rto_ms = from->rto,
		.thaw = cold_speed(from->thaw),
		.thaw_days = from->thaw_keep > 0 ? cold_days(from->thaw_keep) : THAW_DAYS,
		.takes_ms = tiers_period(from->takes),
		.archive = cold_wait_ms(from->class, STORE_STANDARD) > 0,
		.held = h,
	};
	ability_recall(c, from, &t->options);
	if (fetch(c, "access-key", from->access_key, &h->access_key, &t->options.access_key,
		&t->why) == -1 ||
	    fetch(c, "secret-key", from->secret_key, &h->secret_key, &t->options.secret_key,
		&t->why) == -1)
		t->barred = true;
}

void
tiers_make(const struct conf *c, struct tier_set *ret)
{
	ret->tier = xcalloc(c->tiers, sizeof(*ret->tier));
	ret->count = c->tiers;
	for (size_t i = 0; i < c->tiers; i++)
		make_one(c, &c->tier[i], &ret->tier[i]);
}

struct tier *
tiers_add(const struct conf *c, const struct conf_tier *from, struct tier_set *set)
{
	set->tier = xreallocarray(set->tier, set->count + 1, sizeof(*set->tier));
	make_one(c, from, &set->tier[set->count]);
	return &set->tier[set->count++];
}

/* Those that a source names are the nearest of all that have no place yet. */
static void
rank(const struct conf *c, const struct conf_source *source, struct tier_set *set, unsigned *next)
{
	const struct conf_tier **tier = xcalloc(c->tiers + 1, sizeof(*tier));
	size_t n = conf_source_tiers(c, source ? source->tiers : NULL, tier, c->tiers);

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < set->count; k++)
			if (set->tier[k].rank == 0 && strcmp(set->tier[k].name, tier[i]->name) == 0)
				set->tier[k].rank = ++*next;
	free(tier);
}

void
tiers_near(const struct conf *c, const char *source, const struct tier *named, struct tier_set *set)
{
	unsigned next = 0;

	for (size_t i = 0; i < set->count; i++) {
		struct tier *t = &set->tier[i];

		t->rank = t == named ? ++next : 0;
		t->last = t != named && t->archive;
	}
	for (size_t i = 0; source && i < c->sources; i++)
		if (strcmp(c->source[i].name, source) == 0)
			rank(c, &c->source[i], set, &next);
	for (size_t i = 0; i < c->sources; i++)
		rank(c, &c->source[i], set, &next);
	rank(c, NULL, set, &next);
}

void
tiers_only(const char *name, struct tier_set *set)
{
	for (size_t i = 0; name && i < set->count; i++) {
		struct tier *t = &set->tier[i];

		if (strcmp(t->name, name) == 0)
			continue;
		t->barred = true;
		err_set(&t->why, ERR_REMOTE, "was not asked");
	}
}

void
tiers_free(struct tier_set *set)
{
	tier_close_all(set);
	for (size_t i = 0; i < set->count; i++) {
		struct held *h = set->tier[i].held;

		if (h == NULL)
			continue;
		secret_done(&h->access_key);
		secret_done(&h->secret_key);
		tiers_rules_free(h->rule);
		free(h);
	}
	free(set->tier);
	*set = (struct tier_set){ 0 };
}
