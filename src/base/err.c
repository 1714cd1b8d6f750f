/*
 * Errors without allocation. Each call formats into a local buffer first, so that the error's
 * own text may be an argument ("%s", e->text) and adding context in front needs no second copy
 * of the rules. A text that does not fit ends in "...", cut between characters and not inside
 * one: a report that was shortened must look shortened.
 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ERR_CUT "..."
#define ERR_LABEL_WIDTH 9 /* "possible" and a blank: where the text of labelled lines starts */

/* Copies text, shortened where it is too long. */
static void
put(struct err *e, const char *text)
{
	size_t len = strlen(text), max = sizeof(e->text) - 1;

	if (len <= max) {
		memcpy(e->text, text, len + 1);
		return;
	}
	max -= strlen(ERR_CUT);
	while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
		max--;
	memcpy(e->text, text, max);
	memcpy(e->text + max, ERR_CUT, sizeof(ERR_CUT));
}

/* What was formatted, between two texts; each may lie in e itself. */
static void __attribute__((format(printf, 3, 0)))
compose(struct err *e, const char *before, const char *fmt, va_list ap, const char *after)
{
	char text[2 * sizeof(e->text)], whole[2 * sizeof(text) + 100];

	vsnprintf(text, sizeof(text), fmt, ap);
	snprintf(whole, sizeof(whole), "%s%s%s", before, text, after);
	put(e, whole);
}

int
err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return -1;
	e->kind = kind;
	va_start(ap, fmt);
	compose(e, "", fmt, ap, "");
	va_end(ap);
	return -1;
}

static enum err_kind
kind_of_errno(int n)
{
	switch (n) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ERR_FULL;
	case EACCES:
	case EPERM:
	case EROFS:
		return ERR_PERMISSION;
	case ENOENT:
		return ERR_NOTFOUND;
	case EEXIST:
		return ERR_EXISTS;
	default:
		return ERR_IO;
	}
}

int
err_sys(struct err *e, const char *fmt, ...)
{
	char reason[100];
	int saved = errno;
	va_list ap;

	if (!e)
		return -1;
	e->kind = kind_of_errno(saved);
	snprintf(reason, sizeof(reason), ": %s", strerrordesc_np(saved) ?
	    strerrordesc_np(saved) : "unknown error");
	va_start(ap, fmt);
	compose(e, "", fmt, ap, reason);
	va_end(ap);
	errno = saved;
	return -1;
}

int
err_in(struct err *e, const char *fmt, ...)
{
	char was[sizeof(e->text) + 2];
	va_list ap;

	if (!e)
		return -1;
	snprintf(was, sizeof(was), ": %s", e->text);
	va_start(ap, fmt);
	compose(e, "", fmt, ap, was);
	va_end(ap);
	return -1;
}

int
err_line(struct err *e, const char *label, const char *fmt, ...)
{
	char was[sizeof(e->text) + 100];
	va_list ap;

	if (!e)
		return -1;
	snprintf(was, sizeof(was), "%s\n  %-*s ", e->text, ERR_LABEL_WIDTH, label);
	va_start(ap, fmt);
	compose(e, was, fmt, ap, "");
	va_end(ap);
	return -1;
}

size_t
err_fix(const struct err *e, const char **ret)
{
	static const char label[] = "\n  fix ";
	const char *at = e ? strstr(e->text, label) : NULL;

	if (!at)
		return 0;
	at += strlen(label);
	*ret = at + strspn(at, " ");
	return strcspn(*ret, "\n");
}

void
err_clear(struct err *e)
{
	if (!e)
		return;
	e->kind = ERR_NONE;
	e->text[0] = '\0';
}

int
err_first_line(const struct err *e)
{
	return (int)strcspn(e->text, "\n");
}

const char *
err_word(enum err_kind kind)
{
	static const char *const word[ERR_KINDS] = {
		[ERR_NONE] = "none",
		[ERR_USAGE] = "usage",
		[ERR_CONFIG] = "config",
		[ERR_NOTFOUND] = "not-found",
		[ERR_EXISTS] = "exists",
		[ERR_BUSY] = "busy",
		[ERR_STALE] = "stale",
		[ERR_REFUSED] = "refused",
		[ERR_PERMISSION] = "permission",
		[ERR_IO] = "io",
		[ERR_FULL] = "full",
		[ERR_REMOTE] = "remote",
		[ERR_FROZEN] = "frozen",
		[ERR_CORRUPT] = "corrupt",
		[ERR_KEY] = "key",
		[ERR_UNSUPPORTED] = "unsupported",
		[ERR_CANCELLED] = "cancelled",
		[ERR_BUG] = "bug",
	};

	return kind < ERR_KINDS && word[kind] ? word[kind] : "unknown";
}
