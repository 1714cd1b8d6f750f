/*
 * A manifest may be 32 MiB and lie far away, yet `ffdr list` and the metrics want ten numbers of
 * it. They are kept as a file of `key value` lines for each snapshot, written after a commit or
 * when a manifest was opened anyway. Nothing is derived from them but what people look at: so a
 * file that does not read as expected counts as unknown, and a lost one costs one more opened
 * manifest.
 */
#include "repo/catalog.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "repo/layout.h"

#define CATALOG_MAX 4096 /* bytes of an entry: ten lines */
#define CATALOG_FORM "ffdr-catalog 1"

/* One line each; partial apart because it is no number. */
static const struct {
	const char *key;
	size_t offset;
} numbers[] = {
	{ "sequence", offsetof(struct catalog_facts, sequence) },
	{ "entries", offsetof(struct catalog_facts, entries) },
	{ "files", offsetof(struct catalog_facts, files) },
	{ "bytes", offsetof(struct catalog_facts, bytes) },
	{ "read", offsetof(struct catalog_facts, read_bytes) },
	{ "new", offsetof(struct catalog_facts, stored_new) },
	{ "started", offsetof(struct catalog_facts, started_ns) },
	{ "finished", offsetof(struct catalog_facts, finished_ns) },
	{ "compared", offsetof(struct catalog_facts, compared_ns) },
};

void
catalog_facts(const struct manifest *m, struct catalog_facts *ret)
{
	*ret = (struct catalog_facts){
		.partial = m->partial,
		.sequence = m->sequence,
		.entries = m->entries,
		.files = m->files,
		.bytes = m->bytes,
		.read_bytes = m->read_bytes,
		.stored_new = m->stored_new,
		.started_ns = m->started_ns,
		.finished_ns = m->finished_ns,
		.compared_ns = m->compared_ns,
	};
}

int
catalog_put(const char *dir, const char *id, const struct catalog_facts *facts, struct err *e)
{
	struct buf text;
	char *path = xasprintf("%s/%s", dir, id);
	char *parent = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	int rc = -1;

	buf_init(&text, CATALOG_MAX);
	buf_adds(&text, CATALOG_FORM "\n");
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		/* Every number is 64 bits wide; times are never negative here. */
		uint64_t v;

		memcpy(&v, (const char *)facts + numbers[i].offset, sizeof(v));
		buf_addf(&text, "%s %" PRIu64 "\n", numbers[i].key, v);
	}
	buf_addf(&text, "partial %s\nend\n", facts->partial ? "yes" : "no");
	if (buf_check(&text, "catalog entry", e) == -1)
		goto out;
	/* `state` says who comes this far; its group shares what root remembers. */
	if (file_make_dirs(AT_FDCWD, parent, 0770, e) == -1 ||
	    file_put(AT_FDCWD, path, text.data, text.len, 0640, FILE_REPLACE, e) == -1)
		goto out;
	rc = 0;
out:
	if (rc == -1)
		err_in(e, "catalog entry %s", id);
	buf_done(&text);
	free(parent);
	free(path);
	return rc;
}

/* The value of the line that begins with key; NULL when there is none. */
static const char *
value(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *p = text; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, key, n) == 0 && p[n] == ' ')
			return p + n + 1;
	}
	return NULL;
}

static int
parse(const char *text, struct catalog_facts *ret)
{
	const char *v;
	char *end;

	if (strncmp(text, CATALOG_FORM "\n", sizeof(CATALOG_FORM)) != 0 || !strstr(text, "\nend\n"))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		uint64_t number;

		v = value(text, numbers[i].key);
		if (!v || *v < '0' || *v > '9')
			return 0;
		errno = 0;
		number = strtoull(v, &end, 10);
		if (errno != 0 || *end != '\n')
			return 0;
		memcpy((char *)ret + numbers[i].offset, &number, sizeof(number));
	}
	v = value(text, "partial");
	if (!v)
		return 0;
	ret->partial = strncmp(v, "yes\n", 4) == 0;
	return 1;
}

int
catalog_get(const char *dir, const char *id, struct catalog_facts *ret)
{
	struct catalog_facts facts;
	struct buf text;
	char *path = xasprintf("%s/%s", dir, id);
	int found = 0;

	memset(&facts, 0, sizeof(facts));
	buf_init(&text, CATALOG_MAX);
	if (file_get(AT_FDCWD, path, &text, NULL) == 0)
		found = parse(buf_str(&text), &facts);
	if (found)
		*ret = facts;
	buf_done(&text);
	free(path);
	return found;
}

void
catalog_each(const char *dir, const char *source, void (*seen)(void *arg, const char *id),
    void *arg)
{
	char *path = xasprintf("%s/%s", dir, source);
	DIR *d = opendir(path);
	struct dirent *en;

	while (d && (en = readdir(d))) {
		char *id = xasprintf("%s/%s", source, en->d_name);
		char *name = xasprintf("snap/%s", id);
		struct layout_snap part;

		if (layout_snap_parse(name, &part) == 0)
			seen(arg, id);
		free(name);
		free(id);
	}
	if (d)
		closedir(d);
	free(path);
}

static unsigned
prune_source(const char *dir, const char *source, bool (*exists)(void *, const char *), void *arg)
{
	char *path = xasprintf("%s/%s", dir, source);
	DIR *d = opendir(path);
	struct dirent *en;
	unsigned gone = 0;

	while (d && (en = readdir(d))) {
		char *id = xasprintf("%s/%s", source, en->d_name);

		/* What a crash left of a temporary file goes with the rest. */
		if (strcmp(en->d_name, ".") != 0 && strcmp(en->d_name, "..") != 0 &&
		    !exists(arg, id) && unlinkat(dirfd(d), en->d_name, 0) == 0)
			gone++;
		free(id);
	}
	if (d)
		closedir(d);
	free(path);
	return gone;
}

unsigned
catalog_prune(const char *dir, bool (*exists)(void *arg, const char *id), void *arg)
{
	DIR *d = opendir(dir);
	struct dirent *en;
	unsigned gone = 0;

	while (d && (en = readdir(d))) {
		if (layout_source_valid(en->d_name))
			gone += prune_source(dir, en->d_name, exists, arg);
	}
	if (d)
		closedir(d);
	return gone;
}
