/*
 * Patterns of what to leave out: the first line is a pattern, the rest a path. Whatever compiles
 * must match within the bytes it was given, and without end of time.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "source/exclude.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *text = xstrndup((const char *)data, n), *path = strchr(text, '\n');
	const char *pattern = text, *name;
	struct exclude *x = NULL;
	struct err e = { 0 };

	if (path)
		*path++ = 0;
	if (exclude_new(&pattern, 1, &x, &e) == 0) {
		path = path ? path : text + strlen(text);
		name = strrchr(path, '/');
		exclude_match(x, path, name ? name + 1 : path, true);
		exclude_match(x, path, name ? name + 1 : path, false);
	}
	exclude_free(x);
	free(text);
	return 0;
}
