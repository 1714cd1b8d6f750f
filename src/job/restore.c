/*
 * Restoring begins with what was meant: the kind of the source decides which way it goes.
 */
#include "job/restore.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/pick.h"
#include "job/restore_kind.h"

#define TEXT_MAX 1200 /* a line, or a command in it */

static const struct restore_kind *const kinds[] = { &restore_volume, &restore_pg };

/*
 * By what stands before the dot. A snapshot without its source has to be looked up; what cannot be
 * found is left to the first kind, which says so.
 */
const struct restore_kind *
restore_kind_of(struct session *s, const char *what)
{
	char *first = xstrndup(what, strcspn(what, "/")), source[64] = "";
	const struct pick_options po = { .text = what, .partial = true };
	char name[LAYOUT_NAME];
	struct layout_snap part;
	struct tier *from;

	if (pick_source(s, first, source, NULL) == -1 && !strchr(what, '/') &&
	    pick_snapshot(s, &po, name, &from, NULL) == 0 && layout_snap_parse(name, &part) == 0)
		snprintf(source, sizeof(source), "%s", part.source);
	free(first);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const char *word = conf_kind_word(kinds[i]->kind);
		size_t n = strlen(word);

		if (strncmp(source, word, n) == 0 && source[n] == '.')
			return kinds[i];
	}
	return kinds[0];
}

int
restore_run(struct session *s, const struct restore_options *o, const struct watch *w,
    struct restore_report *ret, struct err *e)
{
	int64_t begun = clock_boot_ns();
	int rc;

	memset(ret, 0, sizeof(*ret));
	rc = restore_kind_of(s, o->what)->run(s, o, w, ret, e);
	ret->took_ns = clock_boot_ns() - begun;
	return rc;
}

void
restore_kind_tell(struct restore_report *r, const char *label, const char *fmt, ...)
{
	struct restore_line *l;
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->line = mem_grow(r->line, &r->line_room, r->lines + 1, sizeof(*r->line));
	l = &r->line[r->lines++];
	snprintf(l->label, sizeof(l->label), "%s", label);
	l->text = xstrdup(text);
}

void
restore_kind_fact(struct restore_report *r, bool number, const char *key, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->fact = mem_grow(r->fact, &r->fact_room, r->facts + 1, sizeof(*r->fact));
	r->fact[r->facts++] = (struct restore_fact){ key, number, xstrdup(text) };
}

void
restore_report_done(struct restore_report *r)
{
	free(r->to);
	r->to = NULL;
	preview_names_done(&r->removes);
	preview_names_done(&r->changes);
	preview_names_done(&r->adjusts);
	while (r->lines > 0)
		free(r->line[--r->lines].text);
	while (r->facts > 0)
		free(r->fact[--r->facts].value);
	free(r->line);
	free(r->fact);
	r->line = NULL;
	r->fact = NULL;
}
