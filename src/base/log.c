/*
 * Events on stderr. Each line is one write(2), so that lines of several processes that share a
 * journal or a terminal do not mix. On a terminal the words stand alone; elsewhere a machine
 * reads along, and a message of several lines must stay one line.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"

#define LOG_TEXT ((size_t)8 * 1024) /* a message longer than this is not for people */
#define LOG_LINE (4 * LOG_TEXT + 64) /* each character may become four; level, quotes */

static atomic_int log_least = LOG_INFO;
static void (*before_line)(void);

static const char *const level_word[] = {
	[LOG_DEBUG] = "debug",
	[LOG_INFO] = "info",
	[LOG_WARN] = "warn",
	[LOG_ERROR] = "error",
};

/* What a person sees in front of the text. */
static const char *const level_front[] = {
	[LOG_DEBUG] = "debug: ",
	[LOG_INFO] = "",
	[LOG_WARN] = "warning: ",
	[LOG_ERROR] = "ffdr: ",
};

static void
add_quoted(struct buf *line, const char *s)
{
	unsigned char c;

	buf_addc(line, '"');
	for (; *s; s++) {
		c = (unsigned char)*s;
		if (c == '\n')
			buf_adds(line, "\\n");
		else if (c == '"' || c == '\\')
			buf_addf(line, "\\%c", c);
		else if (c < ' ' || c == 0x7f)
			buf_addf(line, "\\x%02x", c);
		else
			buf_addc(line, (char)c);
	}
	buf_addc(line, '"');
}

static void __attribute__((format(printf, 2, 0)))
emit(enum log_level level, const char *fmt, va_list ap)
{
	char text[LOG_TEXT];
	struct buf line;
	ssize_t ignored;

	if ((int)level < log_least)
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	buf_init(&line, LOG_LINE);
	if (isatty(STDERR_FILENO)) {
		buf_addf(&line, "%s%s\n", level_front[level], text);
	} else {
		buf_addf(&line, "level=%s msg=", level_word[level]);
		add_quoted(&line, text);
		buf_addc(&line, '\n');
	}
	if (before_line)
		before_line();
	ignored = write(STDERR_FILENO, line.data, line.len);
	(void)ignored;
	buf_done(&line);
}

void
log_level_set(enum log_level least)
{
	log_least = (int)least;
}

void
log_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(LOG_DEBUG, fmt, ap);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(LOG_INFO, fmt, ap);
	va_end(ap);
}

void
log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(LOG_WARN, fmt, ap);
	va_end(ap);
}

void
log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit(LOG_ERROR, fmt, ap);
	va_end(ap);
}

void
log_before_line(void (*hook)(void))
{
	before_line = hook;
}
