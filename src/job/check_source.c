/*
 * What the configuration says of a source, held against the host: is it there, may we read it, do
 * its patterns mean what they look like, are its hooks there. What of ours lies in it is
 * ground.c's.
 */
#include "job/check_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
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

void
check_source_volume(struct check *c, const struct conf_volume *v)
{
	char what[100];
	struct stat st;

	snprintf(what, sizeof(what), "vol.%s", v->name);
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
