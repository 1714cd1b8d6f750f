/*
 * The voice of the program. Three listeners: a person at a terminal, a person's pipe, a program
 * that reads JSON; a command calls the same functions for all of them. File names are other
 * people's bytes and may carry escape sequences, so everything for people passes put_clean().
 */
#include "cmd/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "cmd/command.h"

#define OUTPUT_LABEL 9	/* "possible" and a blank, as in error texts */
#define OUTPUT_GAP 2	/* blanks between columns */
#define OUTPUT_DIGITS 12 /* of a number that is none of integers: more are the dust of binary */

static struct {
	bool json, events, quiet;
	bool colour; /* stdout is a terminal and NO_COLOR is not set */
	bool broken; /* a write to stdout failed */
	int why;
	unsigned warnings;
} output;

void
output_setup(const struct common_options *o)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	output.json = o->json;
	output.events = o->events && !o->json; /* both are refused, in one object */
	output.quiet = o->quiet;
	output.colour = isatty(STDOUT_FILENO) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
	output.broken = false;
	output.warnings = 0;
	log_level_set(o->quiet ? LOG_WARN : LOG_INFO);
}

bool
output_is_json(void)
{
	return output.json || output.events;
}

void
output_data(void)
{
	output.quiet = false;
}

bool
output_is_quiet(void)
{
	return output.quiet;
}

/* Remembers the first failure: a later call may lose errno. */
static void
check(int failed)
{
	if (failed && !output.broken) {
		output.broken = true;
		output.why = errno;
	}
}

/* Is it one of those that turn the order of what follows, so that a name shows as another one? */
static size_t
turns(const char *s)
{
	static const char *const mark[] = { "\xd8\x9c", "\xe2\x80\x8e", "\xe2\x80\x8f",
		"\xe2\x80\xaa", "\xe2\x80\xab", "\xe2\x80\xac", "\xe2\x80\xad", "\xe2\x80\xae",
		"\xe2\x81\xa6", "\xe2\x81\xa7", "\xe2\x81\xa8", "\xe2\x81\xa9" };

	for (size_t i = 0; i < ARRAY_LEN(mark); i++)
		if (strncmp(s, mark[i], strlen(mark[i])) == 0)
			return strlen(mark[i]);
	return 0;
}

/* Bytes of the character at s that must not reach a terminal: 0 when it may. */
static size_t
control(const char *s)
{
	unsigned char c = (unsigned char)s[0], next = c ? (unsigned char)s[1] : 0;

	if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f)
		return 1;
	if (c < 0xc2)
		return 0;
	return c == 0xc2 && next >= 0x80 && next < 0xa0 ? 2 : turns(s);
}

static void
put_clean(FILE *to, const char *s)
{
	while (*s) {
		size_t bad = control(s);

		if (bad == 0)
			check(putc(*s++, to) == EOF && to == stdout);
		for (; bad > 0; bad--)
			fprintf(to, "\\x%02x", (unsigned)(unsigned char)*s++);
	}
}

char *
output_name(const char *bytes, size_t n)
{
	char *name = xstrndup(bytes, n), *clean = xmalloc(4 * n + 1), *to = clean;

	for (const char *s = name; *s;) {
		size_t bad = *s == '\n' || *s == '\t' ? 1 : control(s);

		if (bad == 0)
			*to++ = *s++;
		for (; bad > 0; bad--)
			to += snprintf(to, 5, "\\x%02x", (unsigned)(unsigned char)*s++);
	}
	*to = '\0';
	free(name);
	return clean;
}

void
output_text(enum output_mood mood, const char *text)
{
	static const char *const on[] = {
		[OUTPUT_PLAIN] = "",
		[OUTPUT_STRONG] = "\033[1m",
		[OUTPUT_FAINT] = "\033[2m",
		[OUTPUT_GOOD] = "\033[32m",
		[OUTPUT_CAREFUL] = "\033[33m",
		[OUTPUT_BAD] = "\033[1;31m",
	};
	bool dressed = output.colour && mood != OUTPUT_PLAIN;

	if (output_is_json())
		return;
	if (dressed)
		fputs(on[mood], stdout);
	put_clean(stdout, text);
	if (dressed)
		fputs("\033[0m", stdout);
}

static char *__attribute__((format(printf, 1, 0)))
format(const char *fmt, va_list ap)
{
	char *text;

	if (vasprintf(&text, fmt, ap) == -1)
		return xstrdup("(out of memory)");
	return text;
}

static void __attribute__((format(printf, 2, 0)))
line(enum output_mood mood, const char *fmt, va_list ap)
{
	char *text = format(fmt, ap);

	output_text(mood, text);
	output_text(OUTPUT_PLAIN, "\n");
	free(text);
}

void
output_line(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line(OUTPUT_PLAIN, fmt, ap);
	va_end(ap);
}

void
output_done(const char *fmt, ...)
{
	va_list ap;

	if (output.quiet)
		return;
	va_start(ap, fmt);
	line(OUTPUT_STRONG, fmt, ap);
	va_end(ap);
}

void
output_detail(const char *label, const char *fmt, ...)
{
	char front[64];
	va_list ap;

	if (output.quiet)
		return;
	snprintf(front, sizeof(front), "  %-*s ", OUTPUT_LABEL, label);
	output_text(OUTPUT_FAINT, front);
	va_start(ap, fmt);
	line(OUTPUT_PLAIN, fmt, ap);
	va_end(ap);
}

/* ---- JSON ---- */

static void
print_json(const json_t *object, size_t flags)
{
	char *text = json_dumps(object, flags | JSON_REAL_PRECISION(OUTPUT_DIGITS));

	check(!text || puts(text) == EOF);
	/* A reader of events wants each as it happens. */
	check(output.events && fflush(stdout) == EOF);
	free(text);
}

void
output_event(const char *event, json_t *more)
{
	char now[UNITS_TEXT];
	json_t *object;

	if (output.events) {
		object = json_pack("{s:s, s:s}", "event", event, "time",
		    units_time(clock_real_ns(), now));
		if (more)
			json_object_update_missing(object, more);
		print_json(object, JSON_COMPACT);
		json_decref(object);
	}
	json_decref(more);
}

void
output_json(json_t *object)
{
	if (output.events)
		output_event("result", json_pack("{s:O}", "result", object));
	else if (output.json)
		print_json(object, JSON_INDENT(2));
	json_decref(object);
}

json_t *
output_string(const char *s)
{
	json_t *text = json_string(s);
	char *clean, *p;

	if (text)
		return text;
	clean = xmalloc(4 * strlen(s) + 1);
	for (p = clean; *s; s++) {
		if ((unsigned char)*s < 0x80)
			*p++ = *s;
		else
			p += snprintf(p, 5, "\\x%02x", (unsigned)(unsigned char)*s);
	}
	*p = '\0';
	text = json_string(clean);
	free(clean);
	return text;
}

/* ---- stderr ---- */

/* One write for the whole message, so that it does not mix with a neighbour's. */
static void
complain(const char *front, const char *text)
{
	char *whole = NULL;
	size_t n;
	FILE *f = open_memstream(&whole, &n);

	if (!f)
		return;
	fputs(front, f);
	put_clean(f, text);
	fputc('\n', f);
	fclose(f);
	check(fflush(stdout) == EOF);
	fwrite(whole, 1, n, stderr);
	free(whole);
}

void
output_warn(const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = format(fmt, ap);
	va_end(ap);
	output.warnings++;
	output_event("warning", json_pack("{s:o}", "message", output_string(text)));
	if (!output.events)
		complain("ffdr: warning: ", text);
	free(text);
}

unsigned
output_warnings(void)
{
	return output.warnings;
}

void
output_note(const char *fmt, ...)
{
	va_list ap;
	char *text;

	if (output.quiet || output_is_json())
		return;
	va_start(ap, fmt);
	text = format(fmt, ap);
	va_end(ap);
	complain("ffdr: ", text);
	free(text);
}

void
output_error(const struct err *e)
{
	const char *text = e->text[0] ? e->text : "failed without saying why; this is a defect";
	json_t *error;

	if (output_is_json()) {
		error = json_pack("{s:s, s:o}", "kind", err_word(e->kind), "message",
		    output_string(text));
		if (output.events)
			output_event("error", error);
		else
			output_json(json_pack("{s:o}", "error", error));
	}
	complain("ffdr: ", text);
}

int
output_flush(struct err *e)
{
	check(fflush(stdout) == EOF);
	if (!output.broken)
		return 0;
	errno = output.why;
	return err_sys(e, "the output could not be written");
}

/* ---- tables ---- */

struct output_table {
	size_t columns, rows, room;
	bool *right;
	size_t *width;
	char **cell; /* rows * columns, cleaned; the first row is the header */
};

/* Columns a cleaned text takes on a terminal: characters of UTF-8. */
static size_t
text_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

struct output_table *
output_table_new(const char *const *header, size_t columns)
{
	struct output_table *t = xcalloc(1, sizeof(*t));
	const char **plain = xcalloc(columns, sizeof(*plain));

	t->columns = columns;
	t->right = xcalloc(columns, sizeof(*t->right));
	t->width = xcalloc(columns, sizeof(*t->width));
	for (size_t i = 0; i < columns; i++) {
		t->right[i] = header[i][0] == '>';
		plain[i] = header[i] + t->right[i];
	}
	output_table_row(t, plain);
	free(plain);
	return t;
}

void
output_table_row(struct output_table *t, const char *const *cell)
{
	t->cell = mem_grow(t->cell, &t->room, (t->rows + 1) * t->columns, sizeof(*t->cell));
	for (size_t i = 0; i < t->columns; i++) {
		char *clean = output_name(cell[i] ? cell[i] : "", strlen(cell[i] ? cell[i] : ""));
		size_t width = text_width(clean);

		t->cell[t->rows * t->columns + i] = clean;
		if (width > t->width[i])
			t->width[i] = width;
	}
	t->rows++;
}

static void
print_row(const struct output_table *t, size_t row)
{
	enum output_mood mood = row == 0 ? OUTPUT_FAINT : OUTPUT_PLAIN;
	char **cell = t->cell + row * t->columns;
	size_t last = t->columns, left = 0;

	/* Nothing behind the last text: blanks there only wrap lines. */
	while (last > 0 && !cell[last - 1][0])
		last--;
	for (size_t i = 0; i < last; i++) {
		size_t pad = t->width[i] - text_width(cell[i]);

		check(printf("%*s", (int)(left + (t->right[i] ? pad : 0)), "") < 0);
		output_text(mood, cell[i]);
		left = OUTPUT_GAP + (t->right[i] ? 0 : pad);
	}
	output_text(OUTPUT_PLAIN, "\n");
}

void
output_table_print(struct output_table *t)
{
	for (size_t row = 0; row < t->rows; row++) {
		if (!output_is_json())
			print_row(t, row);
		for (size_t i = 0; i < t->columns; i++)
			free(t->cell[row * t->columns + i]);
	}
	free(t->cell);
	free(t->width);
	free(t->right);
	free(t);
}
