/*
 * What no line says by itself. Defaults that follow from other keys, whatever the order of lines was;
 * the sources of all kinds in one row, so that verbs which work on any need not know the kinds; and
 * contradictions between keys, each told at the line that somebody wrote.
 *
 * It also runs over a configuration with bad values in it, to find all problems at once: so a value
 * may be missing here that cannot be missing anywhere else.
 */
#include "conf/conf_judge.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"

#define MS_H (INT64_C(3600) * 1000)
#define LIST_LIMIT 65536 /* the names of all tiers, joined */

/* `credentials` in the directory of the main file. */
static char *
default_credentials(const char *file)
{
	const char *slash = strrchr(file, '/');
	int len = slash ? (int)(slash - file) + 1 : 0;
	char *cwd, *path;

	if (*file == '/')
		return xasprintf("%.*scredentials", len, file);
	cwd = getcwd(NULL, 0);
	path = xasprintf("%s/%.*scredentials", cwd ? cwd : "", len, file);
	free(cwd);
	return path;
}

/* The longest period not above the promise: more often than needed costs, less often breaks it. */
static const char *
default_takes(int64_t rpo)
{
	if (rpo >= 7 * 24 * MS_H)
		return "weekly";
	if (rpo >= 24 * MS_H)
		return "daily";
	return rpo >= MS_H ? "hourly" : "all";
}

static char *
all_tiers(const struct conf *c)
{
	struct buf list;
	char *ret;
	size_t i;

	buf_init(&list, LIST_LIMIT);
	for (i = 0; i < c->tiers; i++)
		buf_addf(&list, "%s%s", i > 0 ? ", " : "", c->tier[i].name);
	ret = xstrdup(buf_str(&list));
	buf_done(&list);
	return ret;
}

static void
fill_tiers(struct conf *c)
{
	for (size_t i = 0; i < c->tiers; i++) {
		struct conf_tier *t = &c->tier[i];

		if (!t->site)
			t->site = c->site;
		if (!t->takes)
			t->takes = default_takes(t->rpo);
	}
}

static void
fill_sources(struct conf_build *b)
{
	struct conf *c = b->conf;
	const char *all = conf_build_keep(b, all_tiers(c));

	for (size_t i = 0; i < c->volumes; i++) {
		struct conf_volume *v = &c->volume[i];

		if (!v->site)
			v->site = c->site;
		if (!v->tiers)
			v->tiers = all;
	}
	for (size_t i = 0; i < c->postgreses; i++) {
		struct conf_postgres *p = &c->postgres[i];

		if (!p->site)
			p->site = c->site;
		if (!p->tiers)
			p->tiers = all;
		/* An empty value means none. */
		if (!p->wal && !conf_build_origin(c, "postgres", "wal", i))
			p->wal = p->tiers;
	}
}

/* Defaults that follow from other keys. Those of a key with a bad value do no harm any more. */
static void
fill_derived(struct conf_build *b)
{
	struct conf *c = b->conf;

	if (!c->scratch && c->state)
		c->scratch = conf_build_keep(b, xasprintf("%s/scratch", c->state));
	if (!c->credentials)
		c->credentials = conf_build_keep(b, default_credentials(c->file));
	if (!c->coord_place && c->state)
		c->coord_place = conf_build_keep(b, xasprintf("file:%s/coord", c->state));
	fill_tiers(c);
	fill_sources(b);
}

/* The common view of every source, which borrows from each. */
static void
list_sources(struct conf_build *b)
{
	struct conf *c = b->conf;

	c->source = xcalloc(c->volumes + c->postgreses + 1, sizeof(*c->source));
	for (size_t i = 0; i < c->volumes; i++) {
		const struct conf_volume *v = &c->volume[i];

		c->source[c->sources++] = (struct conf_source){
			.kind = CONF_KIND_VOLUME, .bare = v->name, .tiers = v->tiers,
			.site = v->site, .keep = v->keep, .path = v->path, .volume = v,
		};
	}
	for (size_t i = 0; i < c->postgreses; i++) {
		const struct conf_postgres *p = &c->postgres[i];

		c->source[c->sources++] = (struct conf_source){
			.kind = CONF_KIND_POSTGRES, .bare = p->name, .tiers = p->tiers,
			.site = p->site, .keep = p->keep, .path = p->data, .postgres = p,
		};
	}
	for (size_t i = 0; i < c->sources; i++)
		c->source[i].name = conf_build_keep(b,
		    xasprintf("%s.%s", conf_kind_word(c->source[i].kind), c->source[i].bare));
}

/* The spot of a key, when somebody wrote it. */
static bool
written(const struct conf *c, const char *section, size_t index, const char *key,
    struct conf_spot *ret)
{
	*ret = (struct conf_spot){ section, index, key, NULL };
	ret->at = conf_build_origin(c, section, key, index);
	return ret->at != NULL;
}

static const char *
server(const struct conf_tier *t)
{
	return t->endpoint ? t->endpoint : t->region ? t->region : "";
}

/* Does that bucket's part hold this one, or is it the same? */
static bool
holds(const struct conf_tier *around, const struct conf_tier *in)
{
	size_t n = strlen(around->url);

	if (strcmp(around->url, in->url) == 0)
		return strcmp(server(around), server(in)) == 0;
	/* Of directories the kernel knows it better. */
	return strncmp(around->url, "s3:", 3) == 0 && strncmp(around->url, in->url, n) == 0 &&
	    in->url[n] == '/' && strcmp(server(around), server(in)) == 0;
}

/* Two tiers in one place would be one copy that looks like two. */
static void
check_places(struct conf_build *b)
{
	struct conf_spot spot = { .section = "tier", .key = "url" };
	const struct conf *c = b->conf;
	size_t i, k;

	for (i = 0; i < c->tiers; i++) {
		for (k = 0; k < i && c->tier[i].url; k++) {
			const struct conf_tier *t = &c->tier[i], *u = &c->tier[k];

			if (!u->url || (!holds(u, t) && !holds(t, u)))
				continue;
			spot.index = i;
			spot.at = conf_build_origin(c, "tier", "url", i);
			if (strcmp(u->url, t->url) == 0)
				conf_build_problem(b, &spot, "'%s' is the place of [tier %s] already",
				    t->url, u->name);
			else
				conf_build_problem(b, &spot, "'%s' and '%s' of [tier %s] lie in each other",
				    t->url, u->url, u->name);
			break;
		}
	}
}

/* What only a bucket has, written for a directory, would be thought to hold there. */
static void
check_kind(struct conf_build *b, size_t index)
{
	static const char *const of_bucket[] = { "endpoint", "region", "access-key", "secret-key",
		"profile", "style", "ca", "class", "thaw", "thaw-keep", "lock" };
	const struct conf_tier *t = &b->conf->tier[index];
	bool bucket = t->url && strncmp(t->url, "s3:", 3) == 0;
	struct conf_spot spot;

	for (size_t i = 0; i < ARRAY_LEN(of_bucket) && t->url && !bucket; i++)
		if (written(b->conf, "tier", index, of_bucket[i], &spot))
			conf_build_problem(b, &spot, "is for s3: tiers, and '%s' is none", t->url);
	if (t->url && t->driver && written(b->conf, "tier", index, "driver", &spot) &&
	    bucket != (strcmp(t->driver, "fs") != 0))
		conf_build_problem(b, &spot, "%s is not for '%s'", t->driver, t->url);
	if (bucket && written(b->conf, "tier", index, "shared", &spot))
		conf_build_problem(b, &spot, "is for file: tiers: every host sees the same bucket");
}

/* A name without its secret, and what a driver is known not to have. */
static void
check_bucket(struct conf_build *b, size_t index)
{
	const struct conf_tier *t = &b->conf->tier[index];
	struct conf_spot spot;

	if (!t->access_key != !t->secret_key) {
		written(b->conf, "tier", index, t->access_key ? "access-key" : "secret-key", &spot);
		conf_build_problem(b, &spot, "is nothing alone, expected access-key and secret-key");
	}
	if (!t->driver || strcmp(t->driver, "libs3") != 0)
		return;
	if (!t->endpoint) {
		written(b->conf, "tier", index, "driver", &spot);
		conf_build_problem(b, &spot, "libs3 needs an endpoint as well");
	}
	if (written(b->conf, "tier", index, "ca", &spot))
		conf_build_problem(b, &spot, "driver libs3 asks for no certificate, expected driver = s3");
	if (written(b->conf, "tier", index, "class", &spot))
		conf_build_problem(b, &spot, "driver libs3 has none, expected driver = s3");
	if (t->lock && written(b->conf, "tier", index, "lock", &spot) && strcmp(t->lock, "none") != 0)
		conf_build_problem(b, &spot, "driver libs3 has none, expected driver = s3");
}

/* A list of tiers that a key names: each is there, none is named twice. */
static void
check_tiers_of(struct conf_build *b, const struct conf_spot *spot, const char *tiers)
{
	const struct conf *c = b->conf;
	const char **words = xcalloc(c->tiers + 1, sizeof(*words)), *near;
	struct text_list list;
	size_t i, k;

	for (i = 0; i < c->tiers; i++)
		words[i] = c->tier[i].name;
	text_split(tiers, &list);
	if (list.count == 0)
		conf_build_problem(b, spot, "has no value, expected at least one tier");
	for (i = 0; i < list.count; i++) {
		near = text_nearest(list.item[i], words);
		if (!conf_find_tier(c, list.item[i]))
			conf_build_problem(b, spot, "there is no [tier %s]%s%s%s", list.item[i],
			    near ? ", did you mean " : "; the section of one that is away or lost may stay",
			    near ? near : "", near ? "?" : "");
		for (k = 0; k < i; k++)
			if (strcmp(list.item[k], list.item[i]) == 0)
				break;
		if (k < i)
			conf_build_problem(b, spot, "'%s' is named twice", list.item[i]);
	}
	free(words);
	text_list_done(&list);
}

static void
check_postgres(struct conf_build *b, size_t index)
{
	const struct conf *c = b->conf;
	const struct conf_postgres *p = &c->postgres[index];
	struct conf_spot spot;
	struct text_list wal;

	if (written(c, "postgres", index, "tiers", &spot))
		check_tiers_of(b, &spot, p->tiers);
	if (written(c, "postgres", index, "wal", &spot) && p->wal)
		check_tiers_of(b, &spot, p->wal);
	text_split(p->wal ? p->wal : "", &wal);
	if (written(c, "postgres", index, "push-ack", &spot) && wal.count > 0 &&
	    p->push_ack > (int64_t)wal.count)
		conf_build_problem(b, &spot, "%lld tiers can never have it, wal names %zu",
		    (long long)p->push_ack, wal.count);
	text_list_done(&wal);
}

/* A lease that is renewed later than another host may take it over is none. */
static void
check_coordination(struct conf_build *b)
{
	const struct conf *c = b->conf;
	struct conf_spot spot;
	char renew[UNITS_TEXT], ttl[UNITS_TEXT];

	if (c->coord_renew < c->coord_ttl || c->coord_ttl == 0)
		return; /* 0: a bad value, which is told already */
	if (!written(c, "coordination", 0, "renew", &spot))
		written(c, "coordination", 0, "ttl", &spot);
	conf_build_problem(b, &spot, "a lease that is renewed every %s has ended after %s, expected "
	    "renew below ttl", units_duration_key(c->coord_renew, renew),
	    units_duration_key(c->coord_ttl, ttl));
}

void
conf_judge(struct conf_build *b)
{
	struct conf *c = b->conf;
	struct conf_spot spot;

	fill_derived(b);
	list_sources(b);
	/* Else it may be one that was meant to open a tier. */
	if (c->tiers == 0 && b->problems.count == 0)
		conf_problem_add(&b->problems, c->file, 0,
		    "there is no tier, expected at least one section [tier NAME] with its url");
	check_places(b);
	for (size_t i = 0; i < c->tiers; i++) {
		check_kind(b, i);
		check_bucket(b, i);
	}
	for (size_t i = 0; i < c->volumes; i++)
		if (written(c, "volume", i, "tiers", &spot))
			check_tiers_of(b, &spot, c->volume[i].tiers);
	for (size_t i = 0; i < c->postgreses; i++)
		check_postgres(b, i);
	check_coordination(b);
	if (written(c, "ffdr", 0, "run-as", &spot) && c->run_as && strcmp(c->run_as, "root") == 0)
		conf_build_problem(b, &spot, "PostgreSQL refuses to be run by root, expected another user");
}
