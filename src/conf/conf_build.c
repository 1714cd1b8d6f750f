/*
 * From lines to a struct conf. Every line that names a known key leaves an origin, also when its
 * value is bad: then the value is the problem, and "missing" or a default in its place would be a
 * second and wrong message. What several lines mean together is conf_judge.c's, once all are read, so
 * the order of sections and files does not matter.
 */
#include "conf/conf_build.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf_ini.h"
#include "conf/conf_judge.h"
#include "conf/conf_keys.h"
#include "conf/conf_value.h"

const char *
conf_build_keep(struct conf_build *b, char *text)
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

void *
conf_build_base(const struct conf *c, const char *section, size_t index)
{
	if (strcmp(section, "tier") == 0)
		return index < c->tiers ? &c->tier[index] : NULL;
	if (strcmp(section, "volume") == 0)
		return index < c->volumes ? &c->volume[index] : NULL;
	if (strcmp(section, "postgres") == 0)
		return index < c->postgreses ? &c->postgres[index] : NULL;
	return index == 0 ? (void *)c : NULL;
}

/* The struct of a named section begins with its name. */
static const char *
name_of(const struct conf *c, const char *section, size_t index)
{
	const struct conf_section *s = conf_keys_section(section);
	const char *const *name = conf_build_base(c, section, index);

	return s && s->named ? *name : "";
}

void
conf_build_problem(struct conf_build *b, const struct conf_spot *spot, const char *fmt, ...)
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

/* One more of a named section; its index. */
static size_t
add_named(struct conf_build *b, const char *section, const char *name)
{
	struct conf *c = b->conf;

	if (strcmp(section, "tier") == 0) {
		c->tier = mem_grow(c->tier, &b->tier_room, c->tiers + 1, sizeof(*c->tier));
		c->tier[c->tiers] = (struct conf_tier){ .name = name };
		return c->tiers++;
	}
	if (strcmp(section, "volume") == 0) {
		c->volume = mem_grow(c->volume, &b->volume_room, c->volumes + 1,
		    sizeof(*c->volume));
		c->volume[c->volumes] = (struct conf_volume){ .name = name };
		return c->volumes++;
	}
	c->postgres = mem_grow(c->postgres, &b->postgres_room, c->postgreses + 1,
	    sizeof(*c->postgres));
	c->postgres[c->postgreses] = (struct conf_postgres){ .name = name };
	return c->postgreses++;
}

/* [tier NAME]: opens a new one, once. */
static void
open_named(struct conf_build *b, const struct conf_section *s, const char *name, unsigned line)
{
	const struct conf_origin *o;
	size_t i;

	if (!conf_keys_word_valid(name)) {
		conf_problem_add(&b->problems, b->file, line,
		    "[%s %s]: '%s' is no name, expected 1 to 48 of a-z 0-9 _ -", s->name, name,
		    name);
		return;
	}
	for (i = 0; conf_build_base(b->conf, s->name, i); i++) {
		if (strcmp(name_of(b->conf, s->name, i), name) != 0)
			continue;
		o = conf_build_origin(b->conf, s->name, NULL, i);
		conf_problem_add(&b->problems, b->file, line,
		    "[%s %s]: is there already, at %s:%u", s->name, name, o->file, o->line);
		return;
	}
	b->index = add_named(b, s->name, conf_build_keep(b, xstrdup(name)));
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
	struct conf_spot spot = { .index = b->index, .key = *key ? key : "''", .at = &here };
	const struct conf_key *k;
	const char *s, *near, *other;
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
		other = near ? NULL : conf_keys_elsewhere(key);
		if (other)
			conf_build_problem(b, &spot, "unknown key, it is one of [%s]", other);
		else
			conf_build_problem(b, &spot, "unknown key%s%s%s",
			    near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
		return;
	}
	before = conf_build_origin(b->conf, s, key, b->index);
	if (before) {
		conf_build_problem(b, &spot, "is set already, at %s:%u", before->file, before->line);
		return;
	}
	add_origin(b, s, k->key, b->index, line);
	value = conf_build_keep(b, xstrdup(value));
	if (conf_value_store(k, conf_build_base(b->conf, s, b->index), value, &e) == -1)
		conf_build_problem(b, &spot, "%s", e.text);
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
	b->conf->file = conf_build_keep(b, xstrdup(name));
}

void
conf_build_text(struct conf_build *b, const char *file, const char *text, size_t n)
{
	b->file = conf_build_keep(b, xstrdup(file));
	b->section = NULL;
	b->outside = true;
	conf_ini_parse(text, n, see, b);
}

/* Defaults of the table, and what is required, for one section. */
static void
fill_defaults(struct conf_build *b, const char *section, size_t index)
{
	struct conf_spot spot = { .section = section, .index = index };
	const struct conf_key *k;
	struct buf want;

	spot.at = conf_build_origin(b->conf, section, NULL, index);
	for (k = conf_keys_table; k->section; k++) {
		if (strcmp(k->section, section) != 0 ||
		    conf_build_origin(b->conf, section, k->key, index))
			continue;
		if (k->value)
			conf_value_store(k, conf_build_base(b->conf, section, index), k->value, NULL);
		if (!k->required)
			continue;
		buf_init(&want, sizeof(((struct err *)NULL)->text));
		conf_value_expected(k, &want);
		spot.key = k->key;
		conf_build_problem(b, &spot, "is missing, expected %s", buf_str(&want));
		buf_done(&want);
	}
}

void
conf_build_finish(struct conf_build *b)
{
	for (const struct conf_section *s = conf_keys_sections; s->name; s++)
		for (size_t i = 0; conf_build_base(b->conf, s->name, i); i++)
			fill_defaults(b, s->name, i);
	conf_judge(b);
}

void
conf_build_done(struct conf_build *b)
{
	conf_problem_done(&b->problems);
	conf_free(b->conf);
	b->conf = NULL;
}
