/*
 * Temporary directories that clean up. Tests fail in the middle, so nobody is asked to remember:
 * what was made is removed at exit, by the process that made it.
 */
#include "tests/lib/scratch.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

struct made {
	char *path;
	pid_t by;
	struct made *next;
};

static struct made *made;

static void
remove_all(void)
{
	while (made != NULL) {
		struct made *m = made;
		struct err e = { 0 };

		made = m->next;
		if (m->by == getpid() && file_remove_tree(AT_FDCWD, m->path, &e) == -1)
			fprintf(stderr, "%s\n", e.text);
		free(m->path);
		free(m);
	}
}

const char *
scratch_dir(void)
{
	const char *below = getenv("TMPDIR");
	struct made *m = xcalloc(1, sizeof(*m));

	if (made == NULL)
		atexit(remove_all);
	m->path = xasprintf("%s/ffdr-test-XXXXXX", below == NULL ? "/tmp" : below);
	if (mkdtemp(m->path) == NULL) {
		perror(m->path);
		abort();
	}
	m->by = getpid();
	m->next = made;
	made = m;
	return m->path;
}

char *
scratch_path(const char *dir, const char *fmt, ...)
{
	char *rest, *path;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&rest, fmt, ap) == -1)
		abort();
	va_end(ap);
	path = xasprintf("%s/%s", dir, rest);
	free(rest);
	return path;
}
