/*
 * A check never ends at the first thing that is wrong: it is a list of lines, each with a verdict,
 * so that one visit of a person finds everything. A line tells what to do wherever that is known.
 */
#include "job/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define CHECK_AS_WHOM                                                                              \
	"run ffdr as root, or as the owner or in the group of what it names (`ls -ld`)"

const char *
check_word(enum check_verdict v)
{
	static const char *const word[CHECK_VERDICTS] = {
		[CHECK_OK] = "ok",
		[CHECK_UNKNOWN] = "unknown",
		[CHECK_WARN] = "warn",
		[CHECK_FAIL] = "FAIL",
	};

	return word[v];
}

void
check_add(struct check *c, enum check_verdict v, const char *what, const char *fix, const char *fmt,
    ...)
{
	struct err text = { 0 };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text.text, sizeof(text.text), fmt, ap);
	va_end(ap);
	c->line = mem_grow(c->line, &c->room, c->count + 1, sizeof(*c->line));
	c->line[c->count++] = (struct check_line){
		.verdict = v,
		.what = xstrdup(what),
		.text = xstrdup(text.text),
		.fix = fix ? xstrdup(fix) : NULL,
	};
	c->verdicts[v]++;
}

void
check_error(struct check *c, enum check_verdict v, const char *what, const struct err *e)
{
	static const char label[] = "\n  fix ", other[] = "\n  or ";
	const char *at = strstr(e->text, label), *end;
	char *text, *fix;

	if (!at) {
		check_add(c, v, what, e->kind == ERR_PERMISSION ? CHECK_AS_WHOM : NULL, "%s",
		    e->text);
		return;
	}
	/* What else would do belongs behind it. */
	for (end = strchrnul(at + 1, '\n'); strncmp(end, other, strlen(other)) == 0;)
		end = strchrnul(end + 1, '\n');
	at += strlen(label) + strspn(at + strlen(label), " ");
	fix = xstrndup(at, (size_t)(end - at));
	text = xasprintf("%.*s%s", (int)(strstr(e->text, label) - e->text), e->text, end);
	check_add(c, v, what, fix, "%s", text);
	free(text);
	free(fix);
}

void
check_done(struct check *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free(c->line[i].what);
		free(c->line[i].text);
		free(c->line[i].fix);
	}
	free(c->line);
	*c = (struct check){ 0 };
}
