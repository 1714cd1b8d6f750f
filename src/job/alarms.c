/*
 * A status is looked up to the end, whatever it finds: what needs attention is gathered here, and
 * told when all is known.
 */
#include "job/alarms.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

void
alarms_add(struct alarms *a, const char *fmt, ...)
{
	va_list ap;
	char *text = NULL;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) == -1)
		mem_out();
	va_end(ap);
	a->text = xreallocarray(a->text, a->count + 1, sizeof(*a->text));
	a->text[a->count++] = text;
}

void
alarms_done(struct alarms *a)
{
	for (size_t i = 0; i < a->count; i++)
		free(a->text[i]);
	free(a->text);
	*a = (struct alarms){ 0 };
}
