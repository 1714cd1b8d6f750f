/*
 * The configuration as the rest of the program asks for it: found, read, looked up. How lines
 * become values is conf_build's business. All files are read before anything is judged, so the
 * report covers conf.d/ too, and a missing main file is the one problem that stands alone.
 */
#include "conf/conf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/conf_build.h"

#define CONF_DEFAULT "/etc/ffdr/ffdr.ini"
#define CONF_VARIABLE "FFDR_CONFIG"
#define CONF_DIR "conf.d"
#define CONF_SUFFIX ".ini"
#define CONF_MAX ((size_t)1 << 20) /* one file; a person wrote it */

/* The judgement: the configuration to the caller, or its problems. Empties b. */
static int
conclude(struct conf_build *b, struct buf *problems, struct conf **ret, struct err *e)
{
	int rc;

	conf_build_finish(b);
	rc = conf_problem_report(&b->problems, problems, e);
	if (rc == 0) {
		*ret = b->conf;
		b->conf = NULL;
	}
	conf_build_done(b);
	return rc;
}

int
conf_parse(const char *name, const char *text, size_t n, struct conf **ret, struct err *e)
{
	struct conf_build b;

	conf_build_init(&b, name);
	conf_build_text(&b, name, text, n);
	return conclude(&b, NULL, ret, e);
}

static int
is_fragment(const struct dirent *d)
{
	size_t n = strlen(d->d_name), suffix = strlen(CONF_SUFFIX);

	return d->d_name[0] != '.' && n > suffix &&
	    strcmp(d->d_name + n - suffix, CONF_SUFFIX) == 0;
}

/* By bytes: the order must not change with the language of whoever runs us. */
static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Reads what lies in the directory beside the main file; none is fine. */
static void
read_fragments(struct conf_build *b, const char *file)
{
	const char *slash = strrchr(file, '/');
	struct dirent **names = NULL;
	char *dir, *path;
	struct buf text;
	struct err e;
	int i, n;

	dir = xasprintf("%.*s" CONF_DIR, slash ? (int)(slash - file) + 1 : 0, file);
	n = scandir(dir, &names, is_fragment, by_name);
	if (n == -1 && errno != ENOENT && errno != ENOTDIR) {
		err_sys(&e, "read directory");
		conf_problem_add(&b->problems, dir, 0, "%s", e.text);
	}
	buf_init(&text, CONF_MAX);
	for (i = 0; i < n; i++) {
		path = xasprintf("%s/%s", dir, names[i]->d_name);
		buf_reset(&text);
		if (file_get(AT_FDCWD, path, &text, &e) == 0)
			conf_build_text(b, path, buf_str(&text), text.len);
		else
			conf_problem_add(&b->problems, path, 0, "%s", e.text);
		free(path);
		free(names[i]);
	}
	buf_done(&text);
	free(names);
	free(dir);
}

int
conf_load_all(const char *file, struct conf **ret, struct buf *problems, struct err *e)
{
	struct conf_build b;
	struct buf text;
	int rc;

	if (!file)
		file = getenv(CONF_VARIABLE);
	if (!file || !*file)
		file = CONF_DEFAULT;
	buf_init(&text, CONF_MAX);
	if (file_get(AT_FDCWD, file, &text, e) == 0) {
		conf_build_init(&b, file);
		conf_build_text(&b, file, buf_str(&text), text.len);
		read_fragments(&b, file);
		rc = conclude(&b, problems, ret, e);
	} else {
		rc = -1;
		err_in(e, "no configuration");
		err_line(e, "fix", "--config FILE or " CONF_VARIABLE "=FILE names another than "
		    CONF_DEFAULT);
		if (e && e->kind != ERR_PERMISSION)
			e->kind = ERR_CONFIG;
		if (e && problems)
			buf_adds(problems, e->text);
	}
	buf_done(&text);
	return rc;
}

int
conf_load(const char *file, struct conf **ret, struct err *e)
{
	return conf_load_all(file, ret, NULL, e);
}

void
conf_free(struct conf *c)
{
	size_t i;

	if (!c)
		return;
	for (i = 0; i < c->texts; i++)
		free(c->text[i]);
	free(c->text);
	free(c->origin);
	free(c->tier);
	free(c->volume);
	free(c->postgres);
	free(c->source);
	free(c);
}

void
conf_origin(const struct conf *c, const char *section, size_t index, const char *key,
    struct buf *out)
{
	const struct conf_origin *o = conf_build_origin(c, section, key, index);

	if (o)
		buf_addf(out, "%s:%u", o->file, o->line);
	else
		buf_adds(out, "default");
}

const struct conf_tier *
conf_find_tier(const struct conf *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->tiers; i++)
		if (strcmp(c->tier[i].name, name) == 0)
			return &c->tier[i];
	return NULL;
}

const char *
conf_kind_word(enum conf_kind kind)
{
	static const char *const words[] = {
		[CONF_KIND_VOLUME] = "vol",
		[CONF_KIND_POSTGRES] = "pg",
	};

	return words[kind];
}

/* The error for a name that no source has. */
static int
no_source(const struct conf *c, const char *name, struct err *e)
{
	const char **words = xcalloc(c->sources + 1, sizeof(*words)), *near;
	bool whole = strchr(name, '.') != NULL;
	size_t i;

	for (i = 0; i < c->sources; i++)
		words[i] = whole ? c->source[i].name : c->source[i].bare;
	near = text_nearest(name, words);
	for (i = 0; near && words[i] != near;)
		i++;
	if (near)
		err_set(e, ERR_NOTFOUND, "there is no source '%s', did you mean %s?", name,
		    c->source[i].name);
	else
		err_set(e, ERR_NOTFOUND, "there is no source '%s' in the configuration", name);
	for (i = 0; !near && i < c->sources; i++)
		err_line(e, i == 0 ? "known" : "", "%s", c->source[i].name);
	free(words);
	return -1;
}

/* A bare name that means one source of each of several kinds. */
static int
several(const struct conf *c, const char *bare, struct err *e)
{
	bool first = true;

	err_set(e, ERR_USAGE, "'%s' is the name of several sources, expected the whole name of one",
	    bare);
	for (size_t i = 0; i < c->sources; i++) {
		if (strcmp(c->source[i].bare, bare) != 0)
			continue;
		err_line(e, first ? "known" : "", "%s", c->source[i].name);
		first = false;
	}
	return -1;
}

int
conf_find_source(const struct conf *c, const char *name, const struct conf_source **ret,
    struct err *e)
{
	const struct conf_source *found = NULL;

	/* No bare name has a dot, so a name is whole or bare and never both. */
	for (size_t i = 0; i < c->sources; i++) {
		const struct conf_source *s = &c->source[i];

		if (strcmp(s->name, name) != 0 && strcmp(s->bare, name) != 0)
			continue;
		if (found)
			return several(c, name, e);
		found = s;
	}
	if (!found)
		return no_source(c, name, e);
	*ret = found;
	return 0;
}

size_t
conf_source_tiers(const struct conf *c, const char *tiers, const struct conf_tier **ret, size_t cap)
{
	const struct conf_tier *t;
	struct text_list list;
	size_t i, n = 0;

	if (!tiers || !*tiers) {
		for (n = 0; n < c->tiers && n < cap; n++)
			ret[n] = &c->tier[n];
		return n;
	}
	text_split(tiers, &list);
	for (i = 0; i < list.count && n < cap; i++) {
		t = conf_find_tier(c, list.item[i]);
		if (t)
			ret[n++] = t;
	}
	text_list_done(&list);
	return n;
}

size_t
conf_wal_tiers(const struct conf *c, const struct conf_postgres *p,
    const struct conf_tier **ret, size_t cap)
{
	return p->wal ? conf_source_tiers(c, p->wal, ret, cap) : 0;
}

bool
conf_wal_goes_to(const struct conf *c, const struct conf_postgres *p, const struct conf_tier *t)
{
	const struct conf_tier **tier = xcalloc(c->tiers + 1, sizeof(*tier));
	size_t n = conf_wal_tiers(c, p, tier, c->tiers);
	bool goes = false;

	for (size_t i = 0; i < n && !goes; i++)
		goes = tier[i] == t;
	free(tier);
	return goes;
}

/* What a host's name becomes inside a slot's. */
static char
slot_char(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '_';
}

int
conf_postgres_slot(const struct conf_postgres *p, const char *host, char out[CONF_SLOT],
    struct err *e)
{
	struct buf name;
	int rc = -1;

	buf_init(&name, CONF_SLOT - 1);
	for (const char *s = p->slot; *s; s++) {
		if (s[0] != '%') {
			buf_addc(&name, *s);
			continue;
		}
		s++; /* the only one is %H */
		for (const char *h = host; *h; h++)
			buf_addc(&name, slot_char(*h));
	}
	if (name.over)
		err_set(e, ERR_CONFIG, "replication-slot = %s is too long on host '%s', expected at most "
		    "%d characters", p->slot, host, CONF_SLOT - 1);
	else if (strcmp(buf_str(&name), CONF_SLOT_HOLD) == 0)
		err_set(e, ERR_CONFIG, "replication-slot = %s is %s on host '%s', which is kept for all "
		    "hosts together: expected another name", p->slot, CONF_SLOT_HOLD, host);
	else
		rc = 0;
	snprintf(out, CONF_SLOT, "%s", buf_str(&name));
	buf_done(&name);
	return rc;
}

const char *
conf_postgres_bin(const struct conf *c, unsigned major)
{
	if (major < CONF_POSTGRES_FIRST || major > CONF_POSTGRES_LAST)
		return NULL;
	return c->postgres_bin[major - CONF_POSTGRES_FIRST];
}
