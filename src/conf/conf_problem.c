/*
 * The list of problems. They are found in two passes, what a line says and what the lines mean
 * together, but shown in the order somebody walks through the file with an editor.
 */
#include "conf/conf_problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define ALL_LIMIT ((size_t)4 << 20) /* of one rendered list: far beyond what anybody reads */
#define MORE_ROOM 40		    /* "and 1000 more problems" */

void
conf_problem_add(struct conf_problems *p, const char *file, unsigned line, const char *fmt, ...)
{
	struct conf_problem *item;
	char *text = NULL;
	va_list ap;
	size_t i;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) == -1)
		text = NULL;
	va_end(ap);
	p->item = mem_grow(p->item, &p->room, p->count + 1, sizeof(*p->item));
	item = &p->item[p->count];
	*item = (struct conf_problem){ .line = line, .text = text ? text : xstrdup("") };
	item->file = xstrdup(file);
	/* The first problem of a file ranks the file; files are read in order. */
	for (i = 0; i < p->count && strcmp(p->item[i].file, file) != 0; i++)
		continue;
	item->rank = i < p->count ? p->item[i].rank : i;
	p->count++;
}

static int
by_place(const void *a, const void *b)
{
	const struct conf_problem *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

static void
render(const struct conf_problem *item, struct buf *out)
{
	if (item->line > 0)
		buf_addf(out, "%s:%u: %s", item->file, item->line, item->text);
	else
		buf_addf(out, "%s: %s", item->file, item->text);
}

int
conf_problem_report(struct conf_problems *p, struct buf *all, struct err *e)
{
	struct buf text, line;
	size_t i, fit;

	if (p->count == 0)
		return 0;
	/* Stable: glibc's qsort merges as long as there is memory, and equal lines are rare. */
	qsort(p->item, p->count, sizeof(*p->item), by_place);
	buf_init(&text, sizeof(e->text) - 1 - MORE_ROOM);
	buf_init(&line, ALL_LIMIT);
	for (i = 0, fit = 0; i < p->count; i++) {
		buf_reset(&line);
		if (i > 0)
			buf_addc(&line, '\n');
		render(&p->item[i], &line);
		if (fit == i && (i == 0 || text.len + line.len <= text.limit)) {
			fit++;
			if (line.len <= text.limit)
				buf_adds(&text, buf_str(&line));
			else
				buf_add(&text, line.data, text.limit);
		}
		if (all)
			buf_adds(all, buf_str(&line));
	}
	if (fit < p->count)
		err_set(e, ERR_CONFIG, "%s\nand %zu more problem%s", buf_str(&text), p->count - fit,
		    p->count - fit == 1 ? "" : "s");
	else
		err_set(e, ERR_CONFIG, "%s", buf_str(&text));
	buf_done(&text);
	buf_done(&line);
	return -1;
}

void
conf_problem_done(struct conf_problems *p)
{
	size_t i;

	for (i = 0; i < p->count; i++) {
		free(p->item[i].file);
		free(p->item[i].text);
	}
	free(p->item);
	*p = (struct conf_problems){ 0 };
}
