#ifndef CMD_OUTPUT_H
#define CMD_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/*
 * What people and programs see: data to stdout, all else to stderr. With --json a command prints
 * one object at its end (an error too: {"error": {"kind":..., "message":...}}); with --events one
 * JSON object a line as things happen, each with "event" and "time", and the object of --json as
 * the "result" of the last. Control characters never reach a terminal: they show as \xHH,
 * but for the line feeds of a message; a name goes through output_name() first.
 */
struct common_options;
void output_setup(const struct common_options *o);
/* True with --json and with --events: text functions are silent, output_json() speaks. */
bool output_is_json(void);
/* Prints the object, when output_is_json(); frees it in any case. */
void output_json(json_t *object);
/* Any bytes as a JSON string: a byte that is not UTF-8 shows as \xHH. What names go through. */
json_t *output_string(const char *s);
/* One line of --events; `more` (its members join "event" and "time"; may be NULL) is freed. */
void output_event(const char *event, json_t *more);
/* A file's name for a line: control characters, those of lines too, as \xHH. The caller frees. */
char *output_name(const char *bytes, size_t n);
/* A line of data to stdout, unless JSON. */
void output_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The sentence that says what happened (stdout, bold on a terminal), not with JSON or --quiet. */
void output_done(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* "  label     text" below it. */
void output_detail(const char *label, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* stderr: "ffdr: warning: ..."; counted; an event "warning" with --events. */
void output_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
unsigned output_warnings(void);
/* stderr: "ffdr: ...": what a person should know and no program needs; not with JSON or --quiet. */
void output_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/*
 * The error of a command: "ffdr: <first line>" and labelled lines, to stderr; JSON to stdout too.
 */
void output_error(const struct err *e);
/* Everything written so far has arrived: 0, or -1 (ERR_IO) when stdout is full, closed, broken. */
int output_flush(struct err *e);

/*
 * How a piece of a line is meant; nothing but the text unless `to` is a terminal without NO_COLOR.
 */
enum output_mood { OUTPUT_PLAIN, OUTPUT_STRONG, OUTPUT_FAINT, OUTPUT_GOOD, OUTPUT_CAREFUL, OUTPUT_BAD };
/* The text in that mood on stdout, cleaned, without a newline. */
void output_text(enum output_mood mood, const char *text);
/* Should `--quiet` silence it? */
bool output_is_quiet(void);
/* What follows is the data that was asked for, which --quiet leaves: it is no report of a deed. */
void output_data(void);

/*
 * A table on stdout: columns aligned, header row faint on a terminal; a column whose header starts
 * with '>' is aligned right. Cells are copied. Nothing with JSON.
 */
struct output_table;
struct output_table *output_table_new(const char *const *header, size_t columns);
void output_table_row(struct output_table *t, const char *const *cell);
void output_table_print(struct output_table *t); /* and frees */

#endif
