/*
 * What the configuration says of a source, held against what it names. Of a volume: is it there, may
 * we read it, do its patterns mean what they look like, are its hooks there; what of ours lies in it
 * is ground.c's. A kind with more to look at has a file of its own and a row here.
 */
#include "job/check_source.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "job/pg/check_pg.h"
#include "source/exclude.h"

/* A hook is a command line; where its first word is a path, that can be looked at. */
static void
hook(struct check *c, const char *what, const char *which, const char *command)
{
	char *word;

	if (!command || *command != '/')
		return;
	word = xstrndup(command, strcspn(command, " \t;&|<>"));
	if (access(word, X_OK) == 0)
		check_add(c, CHECK_OK, what, NULL, "%s = %s can be executed", which, word);
	else
		check_add(c, CHECK_FAIL, what, "chmod +x it, or name the right one",
		    "%s = %s cannot be executed: %m", which, word);
	free(word);
}

/* Patterns that cannot be read, and those that look like paths of the host and match nothing. */
static void
excludes(struct check *c, const char *what, const struct conf_volume *v)
{
	size_t n = strlen(v->path);
	struct text_list list;

	text_split(v->exclude ? v->exclude : "", &list);
	for (size_t i = 0; i < list.count; i++) {
		const char *text = list.item[i];
		struct exclude *x = NULL;
		struct err e = { 0 };
		char *fix;

		if (exclude_new(&text, 1, &x, &e) == -1) {
			check_add(c, CHECK_FAIL, what, "mend exclude", "%s", e.text);
		} else if (strncmp(text, v->path, n) == 0 && text[n] == '/') {
			fix = xasprintf("exclude = %s", text + n);
			check_add(c, CHECK_WARN, what, fix, "exclude = %s: patterns begin at the root "
				  "of the volume, so this one means %s%s", text, v->path, text);
			free(fix);
		}
		exclude_free(x);
	}
	text_list_done(&list);
}

static void
volume(struct check *c, struct session *s, const struct conf_source *source)
{
	const struct conf_volume *v = source->volume;
	const char *what = source->name;
	struct stat st;

	(void)s;
	if (stat(v->path, &st) == -1)
		check_add(c, CHECK_FAIL, what, "mount what belongs there, or mend path",
		    "path '%s': %m", v->path);
	else if (!S_ISDIR(st.st_mode))
		check_add(c, CHECK_FAIL, what, "name the directory around it",
		    "path '%s' is no directory", v->path);
	else if (access(v->path, R_OK | X_OK) == -1)
		check_add(c, CHECK_FAIL, what,
		    "run ffdr as root, or as a user who may read everything below",
		    "path '%s' cannot be read by this user: %m", v->path);
	else
		check_add(c, CHECK_OK, what, NULL, "path '%s' can be read", v->path);
	excludes(c, what, v);
	hook(c, what, "before", v->before);
	hook(c, what, "after", v->after);
}

static const struct {
	enum conf_kind kind;
	void (*check)(struct check *c, struct session *s, const struct conf_source *source);
} kinds[] = {
	{ CONF_KIND_VOLUME, volume },
	{ CONF_KIND_POSTGRES, check_pg },
};

void
check_source(struct check *c, struct session *s, const struct conf_source *source)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (kinds[i].kind != source->kind)
			continue;
		kinds[i].check(c, s, source);
		return;
	}
	check_add(c, CHECK_UNKNOWN, source->name, NULL, "this ffdr cannot look at it");
}
