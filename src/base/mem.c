/*
 * Allocation that cannot fail because the process ends where it would. The message is written
 * with write(2) from fixed bytes: stdio might want memory of its own.
 */
#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEM_FIRST_ROOM 16 /* elements; small enough to waste, large enough to skip most growth */

static int status = 1; /* the exit code of an internal error */

void
mem_exit_with(int new_status)
{
	status = new_status;
}

void
mem_end(const char *text)
{
	ssize_t ignored = write(STDERR_FILENO, text, strlen(text));

	(void)ignored;
	_exit(status);
}

void
mem_out(void)
{
	mem_end("ffdr: out of memory\n");
}

void *
xmalloc(size_t size)
{
	void *p = malloc(size ? size : 1);

	if (!p)
		mem_out();
	return p;
}

void *
xcalloc(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);

	if (!p)
		mem_out();
	return p;
}

void *
xrealloc(void *ptr, size_t size)
{
	void *p = realloc(ptr, size ? size : 1);

	if (!p)
		mem_out();
	return p;
}

void *
xreallocarray(void *ptr, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		mem_out();
	return xrealloc(ptr, bytes);
}

char *
xstrdup(const char *s)
{
	return xmemdup(s, strlen(s) + 1);
}

char *
xstrndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *p = xmalloc(len + 1);

	memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

void *
xmemdup(const void *src, size_t n)
{
	void *p = xmalloc(n);

	if (n > 0)
		memcpy(p, src, n);
	return p;
}

char *
xasprintf(const char *fmt, ...)
{
	char *p = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&p, fmt, ap);
	va_end(ap);
	if (n < 0)
		mem_out();
	return p;
}

void *
mem_grow(void *array, size_t *room, size_t want, size_t size)
{
	size_t next = *room ? *room : MEM_FIRST_ROOM;

	if (want <= *room)
		return array;
	while (next < want)
		if (__builtin_mul_overflow(next, (size_t)2, &next))
			mem_out();
	array = xreallocarray(array, next, size);
	*room = next;
	return array;
}
