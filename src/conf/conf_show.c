/*
 * What is in force and why. Both forms walk the table for each section that exists, so a key that
 * nobody set is shown with its default: the question at three in the morning is seldom what the
 * file says.
 */
#include "conf/conf_show.h"

#include <string.h>

#include "base/text.h"
#include "conf/conf_build.h"
#include "conf/conf_keys.h"
#include "conf/conf_value.h"

#define VALUE_LIMIT 65536 /* lines of the file are shorter; lists of all tiers may be longer */
#define ORIGIN_COLUMN 48  /* where comments begin, unless the value is longer */

struct shown {
	const struct conf_key *key;
	const char *value;  /* NULL: none */
	const char *origin;
};

/* Called before the first key of each section, and for each key. */
struct visitor {
	void (*section)(void *arg, const char *section, const char *name);
	void (*key)(void *arg, const struct shown *shown);
	void *arg;
};

static void
walk_section(const struct conf *c, const char *section, size_t index, const void *base,
    const struct visitor *v)
{
	const struct conf_key *k;
	struct buf value, origin;
	struct shown shown;

	buf_init(&value, VALUE_LIMIT);
	buf_init(&origin, VALUE_LIMIT);
	for (k = conf_keys_table; k->section; k++) {
		if (strcmp(k->section, section) != 0)
			continue;
		buf_reset(&value);
		buf_reset(&origin);
		conf_value_print(k, base, &value);
		conf_origin(c, section, index, k->key, &origin);
		shown = (struct shown){ k, value.len > 0 ? buf_str(&value) : NULL,
			buf_str(&origin) };
		v->key(v->arg, &shown);
	}
	buf_done(&value);
	buf_done(&origin);
}

static void
walk(const struct conf *c, const struct visitor *v)
{
	void *base;

	for (const struct conf_section *s = conf_keys_sections; s->name; s++) {
		for (size_t i = 0; (base = conf_build_base(c, s->name, i)) != NULL; i++) {
			v->section(v->arg, s->name, s->named ? *(const char *const *)base : NULL);
			walk_section(c, s->name, i, base, v);
		}
	}
}

static void
text_section(void *arg, const char *section, const char *name)
{
	struct buf *out = arg;

	buf_addf(out, "%s[%s%s%s]\n", out->len > 0 ? "\n" : "", section, name ? " " : "",
	    name ? name : "");
}

static void
text_key(void *arg, const struct shown *shown)
{
	const struct conf_key *k = shown->key;
	struct buf *out = arg;
	size_t start = out->len;

	/* No value: as a comment where that is the default, and empty where somebody said so. */
	if (!shown->value && strcmp(shown->origin, "default") == 0) {
		buf_addf(out, "; %s is not set", k->key);
		if (k->otherwise)
			buf_addf(out, ": %s", k->otherwise);
		buf_addc(out, '\n');
		return;
	}
	buf_addf(out, "%s = %s", k->key, shown->value ? shown->value : "");
	do
		buf_addc(out, ' ');
	while (!out->over && out->len - start < ORIGIN_COLUMN);
	buf_addf(out, "; %s\n", shown->origin);
}

void
conf_show_text(const struct conf *c, struct buf *out)
{
	const struct visitor v = { text_section, text_key, out };

	walk(c, &v);
}

/* A path may be any bytes, JSON is UTF-8: what is not is shown escaped. */
static json_t *
json_path(const char *s)
{
	struct buf word;
	json_t *ret;

	if (text_utf8_valid(s, strlen(s)))
		return json_string(s);
	buf_init(&word, VALUE_LIMIT);
	text_escape(s, strlen(s), &word);
	ret = json_string(buf_str(&word));
	buf_done(&word);
	return ret;
}

static void
json_section(void *arg, const char *section, const char *name)
{
	json_array_append_new(arg,
	    json_pack("{s:s, s:s?, s:[]}", "section", section, "name", name, "keys"));
}

static void
json_key(void *arg, const struct shown *shown)
{
	json_t *last = json_array_get(arg, json_array_size(arg) - 1);

	json_array_append_new(json_object_get(last, "keys"),
	    json_pack("{s:s, s:s?, s:o}", "key", shown->key->key, "value", shown->value, "origin",
		json_path(shown->origin)));
}

json_t *
conf_show_json(const struct conf *c)
{
	json_t *sections = json_array();
	const struct visitor v = { json_section, json_key, sections };

	walk(c, &v);
	return json_pack("{s:o, s:o}", "file", json_path(c->file), "sections", sections);
}
