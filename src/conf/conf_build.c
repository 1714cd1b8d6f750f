/*
 * From lines to a struct conf. Every line that names a known key leaves an origin, also when its
 * value is bad: then the value is the problem, and "missing" or a default in its place would be a
 * second and wrong message. What several lines mean together is looked at once all are read, so
 * the order of sections and files does not matter.
 */
#include "conf/conf_build.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "conf/conf_ini.h"
#include "conf/conf_keys.h"

#define MS_H (INT64_C(3600) * 1000)
#define LIST_LIMIT 65536 /* the names of all tiers, joined */

/* Takes a heap string into the configuration's keeping. */
static const char *
keep_text(struct conf_build *b, char *text)
{
	struct conf *c = b->conf;

	c->text = mem_grow(c->text, &b->text_room, c->texts + 1, sizeof(*c->text));
	c->text[c->texts++] = text;
	return text;
}

static void
add_origin(struct conf_build *b, const char *section, const char *key, size_t index, unsigned line)
{
	struct conf *c = b->conf;

	c->origin = mem_grow(c->origin, &b->origin_room, c->origins + 1, sizeof(*c->origin));
	c->origin[c->origins++] = (struct conf_origin){ section, key, index, b->file, line };
}

const struct conf_origin *
conf_build_origin(const struct conf *c, const char *section, const char *key, size_t index)
{
	const struct conf_origin *o;
	size_t i;

	for (i = 0; i < c->origins; i++) {
		o = &c->origin[i];
		if (strcmp(o->section, section) == 0 && o->index == index &&
		    (key ? o->key && strcmp(o->key, key) == 0 : !o->key))
			return o;
	}
	return NULL;
}

/* The struct that a section's keys are stored in. */
static void *
base_of(struct conf *c, const char *section, size_t index)
{
	if (strcmp(section, "tier") == 0)
		return &c->tier[index];
	if (strcmp(section, "volume") == 0)
		return &c->volume[index];
	return c;
}

static const char *
name_of(const struct conf *c, const char *section, size_t index)
{
	if (strcmp(section, "tier") == 0)
		return c->tier[index].name;
	if (strcmp(section, "volume") == 0)
		return c->volume[index].name;
	return "";
}

/* What a problem is about, and the line it is told at (NULL: none, the file as a whole). */
struct spot {
	const char *section;
	size_t index;
	const char *key;
	const struct conf_origin *at;
};

static void __attribute__((format(printf, 3, 4)))
key_problem(struct conf_build *b, const struct spot *spot, const char *fmt, ...)
{
	const char *name = name_of(b->conf, spot->section, spot->index);
	const struct conf_origin *at = spot->at;
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) == -1)
		text = NULL;
	va_end(ap);
	conf_problem_add(&b->problems, at ? at->file : b->conf->file, at ? at->line : 0,
	    "[%s%s%s] %s: %s", spot->section, *name ? " " : "", name, spot->key,
	    text ? text : "");
	free(text);
}

/* A new tier or volume; its index. */
static size_t
add_named(struct conf_build *b, const char *section, const char *name)
{
	struct conf *c = b->conf;

	if (strcmp(section, "tier") == 0) {
		c->tier = mem_grow(c->tier, &b->tier_room, c->tiers + 1, sizeof(*c->tier));
		c->tier[c->tiers] = (struct conf_tier){ .name = name };
		return c->tiers++;
	}
	c->volume = mem_grow(c->volume, &b->volume_room, c->volumes + 1, sizeof(*c->volume));
	c->volume[c->volumes] = (struct conf_volume){ .name = name };
	return c->volumes++;
}

/* [tier NAME]: opens a new one, once. */
static void
open_named(struct conf_build *b, const struct conf_section *s, const char *name, unsigned line)
{
	const struct conf_origin *o;
	size_t i, n = strcmp(s->name, "tier") == 0 ? b->conf->tiers : b->conf->volumes;

	if (!conf_keys_word_valid(name)) {
		conf_problem_add(&b->problems, b->file, line,
		    "[%s %s]: '%s' is no name, expected 1 to 48 of a-z 0-9 _ -", s->name, name,
		    name);
		return;
	}
	for (i = 0; i < n; i++) {
		if (strcmp(name_of(b->conf, s->name, i), name) != 0)
			continue;
		o = conf_build_origin(b->conf, s->name, NULL, i);
		conf_problem_add(&b->problems, b->file, line,
		    "[%s %s]: is there already, at %s:%u", s->name, name, o->file, o->line);
		return;
	}
	b->index = add_named(b, s->name, keep_text(b, xstrdup(name)));
	b->section = s;
	add_origin(b, s->name, NULL, b->index, line);
}

static void
see_section(struct conf_build *b, const char *header, unsigned line)
{
	size_t len = strcspn(header, " \t");
	char *word = xstrndup(header, len);
	const char *name = header + len + strspn(header + len, " \t"), *near;
	const struct conf_section *s = conf_keys_section(word);

	b->section = NULL;
	b->outside = false;
	b->index = 0;
	if (!s && conf_keys_planned(word)) {
		conf_problem_add(&b->problems, b->file, line,
		    "[%s]: sections [%s] are not in this version of ffdr", header, word);
	} else if (!s) {
		near = conf_keys_nearest_section(word);
		conf_problem_add(&b->problems, b->file, line, "[%s]: unknown section%s%s%s", header,
		    near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
	} else if (s->named && !*name) {
		conf_problem_add(&b->problems, b->file, line,
		    "[%s]: the name is missing, expected [%s NAME]", header, s->name);
	} else if (s->named) {
		open_named(b, s, name, line);
	} else if (*name) {
		conf_problem_add(&b->problems, b->file, line,
		    "[%s]: this section has no name, expected [%s]", header, s->name);
	} else {
		b->section = s;
		if (!conf_build_origin(b->conf, s->name, NULL, 0))
			add_origin(b, s->name, NULL, 0, line);
	}
	free(word);
}

static void
see_key(struct conf_build *b, const char *key, const char *value, unsigned line)
{
	const struct conf_origin here = { .file = b->file, .line = line }, *before;
	struct spot spot = { .index = b->index, .key = *key ? key : "''", .at = &here };
	const struct conf_key *k;
	const char *s, *near;
	struct err e;

	if (b->outside)
		conf_problem_add(&b->problems, b->file, line,
		    "'%s' stands before the first section, expected [ffdr] or another above it",
		    key);
	if (!b->section)
		return;
	spot.section = s = b->section->name;
	k = conf_keys_find(s, key);
	if (!k) {
		near = conf_keys_nearest(s, key);
		key_problem(b, &spot, "unknown key%s%s%s",
		    near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
		return;
	}
	before = conf_build_origin(b->conf, s, key, b->index);
	if (before) {
		key_problem(b, &spot, "is set already, at %s:%u", before->file, before->line);
		return;
	}
	add_origin(b, s, k->key, b->index, line);
	value = keep_text(b, xstrdup(value));
	if (conf_keys_store(k, base_of(b->conf, s, b->index), value, &e) == -1)
		key_problem(b, &spot, "%s", e.text);
}

static void
see(void *arg, enum conf_ini_event event, unsigned line, const char *a, const char *value)
{
	struct conf_build *b = arg;

	switch (event) {
	case CONF_INI_SECTION:
		see_section(b, a, line);
		break;
	case CONF_INI_KEY:
		see_key(b, a, value, line);
		break;
	case CONF_INI_LOST:
		b->section = NULL;
		b->outside = false;
		conf_problem_add(&b->problems, b->file, line, "%s", a);
		break;
	case CONF_INI_PROBLEM:
		conf_problem_add(&b->problems, b->file, line, "%s", a);
		break;
	}
}

void
conf_build_init(struct conf_build *b, const char *name)
{
	memset(b, 0, sizeof(*b));
	b->conf = xcalloc(1, sizeof(*b->conf));
	b->conf->file = keep_text(b, xstrdup(name));
}

void
conf_build_text(struct conf_build *b, const char *file, const char *text, size_t n)
{
	b->file = keep_text(b, xstrdup(file));
	b->section = NULL;
	b->outside = true;
	conf_ini_parse(text, n, see, b);
}

/* Defaults of the table, and what is required, for one section. */
static void
fill_defaults(struct conf_build *b, const char *section, size_t index)
{
	struct spot spot = { .section = section, .index = index };
	const struct conf_key *k;
	struct buf want;

	spot.at = conf_build_origin(b->conf, section, NULL, index);
	for (k = conf_keys_table; k->section; k++) {
		if (strcmp(k->section, section) != 0 ||
		    conf_build_origin(b->conf, section, k->key, index))
			continue;
		if (k->value)
			conf_keys_store(k, base_of(b->conf, section, index), k->value, NULL);
		if (!k->required)
			continue;
		buf_init(&want, sizeof(((struct err *)NULL)->text));
		conf_keys_expected(k, &want);
		spot.key = k->key;
		key_problem(b, &spot, "is missing, expected %s", buf_str(&want));
		buf_done(&want);
	}
}

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

/* Defaults that follow from other keys. Those of a key with a bad value do no harm any more. */
static void
fill_derived(struct conf_build *b)
{
	struct conf *c = b->conf;
	struct conf_volume *v;
	struct conf_tier *t;
	const char *all;
	size_t i;

	if (!c->scratch && c->state)
		c->scratch = keep_text(b, xasprintf("%s/scratch", c->state));
	if (!c->credentials)
		c->credentials = keep_text(b, default_credentials(c->file));
	for (i = 0; i < c->tiers; i++) {
		t = &c->tier[i];
		if (!t->site)
			t->site = c->site;
		if (!t->takes)
			t->takes = default_takes(t->rpo);
	}
	all = keep_text(b, all_tiers(c));
	for (i = 0; i < c->volumes; i++) {
		v = &c->volume[i];
		if (!v->site)
			v->site = c->site;
		if (!v->tiers)
			v->tiers = all;
	}
}

/* Two tiers in one place would be one copy that looks like two. */
static void
check_places(struct conf_build *b)
{
	struct spot spot = { .section = "tier", .key = "url" };
	const struct conf *c = b->conf;
	size_t i, k;

	for (i = 0; i < c->tiers; i++) {
		for (k = 0; k < i && c->tier[i].url; k++) {
			if (!c->tier[k].url || strcmp(c->tier[k].url, c->tier[i].url) != 0)
				continue;
			spot.index = i;
			spot.at = conf_build_origin(c, "tier", "url", i);
			key_problem(b, &spot, "'%s' is the place of [tier %s] already",
			    c->tier[i].url, c->tier[k].name);
			break;
		}
	}
}

static void
check_tiers_of(struct conf_build *b, size_t index)
{
	const struct conf *c = b->conf;
	struct spot spot = { "volume", index, "tiers", NULL };
	const char **words = xcalloc(c->tiers + 1, sizeof(*words)), *near;
	struct text_list list;
	size_t i, k;

	spot.at = conf_build_origin(c, "volume", "tiers", index);
	for (i = 0; i < c->tiers; i++)
		words[i] = c->tier[i].name;
	text_split(c->volume[index].tiers, &list);
	if (spot.at && list.count == 0)
		key_problem(b, &spot, "has no value, expected at least one tier");
	for (i = 0; i < list.count; i++) {
		near = text_nearest(list.item[i], words);
		if (!conf_find_tier(c, list.item[i]))
			key_problem(b, &spot,
			    "there is no [tier %s]%s%s%s", list.item[i],
			    near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
		for (k = 0; k < i; k++)
			if (strcmp(list.item[k], list.item[i]) == 0)
				break;
		if (k < i)
			key_problem(b, &spot, "'%s' is named twice", list.item[i]);
	}
	free(words);
	text_list_done(&list);
}

void
conf_build_finish(struct conf_build *b)
{
	const struct conf_section *s;
	struct conf *c = b->conf;
	size_t i;

	for (s = conf_keys_sections; s->name; s++)
		if (!s->named)
			fill_defaults(b, s->name, 0);
	for (i = 0; i < c->tiers; i++)
		fill_defaults(b, "tier", i);
	for (i = 0; i < c->volumes; i++)
		fill_defaults(b, "volume", i);
	fill_derived(b);
	/* Else it may be one that was meant to open a tier. */
	if (c->tiers == 0 && b->problems.count == 0)
		conf_problem_add(&b->problems, c->file, 0,
		    "there is no tier, expected at least one section [tier NAME] with its url");
	check_places(b);
	for (i = 0; i < c->volumes; i++)
		check_tiers_of(b, i);
}

void
conf_build_done(struct conf_build *b)
{
	conf_problem_done(&b->problems);
	conf_free(b->conf);
	b->conf = NULL;
}
