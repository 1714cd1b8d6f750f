/*
 * The judge of round trips. It walks with scandir and full paths, simple and slow; hard links are
 * told by a table of pairs of inodes that must be a bijection.
 */
#include "tests/lib/treecmp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

struct pair {
	ino_t a, b;
};

struct cmp {
	unsigned flags;
	char *why;
	size_t room;
	struct pair *pair;
	size_t pairs;
};

static int __attribute__((format(printf, 3, 4)))
differ(struct cmp *c, const char *path, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (!c->why || c->room == 0)
		return 1;
	n = snprintf(c->why, c->room, "%s: ", path);
	va_start(ap, fmt);
	if (n > 0 && (size_t)n < c->room)
		vsnprintf(c->why + n, c->room - (size_t)n, fmt, ap);
	va_end(ap);
	return 1;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char **
names_in(const char *dir, size_t *count)
{
	DIR *d = opendir(dir);
	struct dirent *en;
	char **name = NULL;

	*count = 0;
	while (d && (en = readdir(d)) != NULL) {
		if (strcmp(en->d_name, ".") == 0 || strcmp(en->d_name, "..") == 0)
			continue;
		name = realloc(name, (*count + 1) * sizeof(*name));
		name[(*count)++] = strdup(en->d_name);
	}
	if (d)
		closedir(d);
	if (*count > 0)
		qsort(name, *count, sizeof(*name), by_name);
	return name;
}

static void
free_names(char **name, size_t count)
{
	while (count > 0)
		free(name[--count]);
	free(name);
}

static int
cmp_contents(struct cmp *c, const char *a, const char *b, off_t size)
{
	static uint8_t x[1 << 16], y[1 << 16];
	int fa = open(a, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int fb = open(b, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = 0, m = 0;
	off_t at = 0;
	int rc = 0;

	if (fa == -1 || fb == -1)
		rc = differ(c, fa == -1 ? a : b, "open: %s", strerror(errno));
	while (rc == 0 && at < size) {
		n = pread(fa, x, sizeof(x), at);
		m = pread(fb, y, sizeof(y), at);
		if (n <= 0 || n != m || memcmp(x, y, (size_t)n) != 0)
			rc = differ(c, b, "contents differ at or after byte %lld", (long long)at);
		at += n;
	}
	if (fa != -1)
		close(fa);
	if (fb != -1)
		close(fb);
	return rc;
}

/* "name=hex\n" of all, sorted. */
static char *
xattrs_of(const char *path)
{
	static char list[1 << 16];
	static uint8_t value[1 << 16];
	ssize_t len = llistxattr(path, list, sizeof(list)), n, i;
	const char *name[256];
	size_t count = 0, j, room = 0;
	FILE *out;
	char *text;

	for (i = 0; i < len && count < 256; i += (ssize_t)strlen(list + i) + 1)
		if (strcmp(list + i, "user.ffdr.restored") != 0 &&
		    strcmp(list + i, "security.selinux") != 0)
			name[count++] = list + i;
	if (count > 0)
		qsort(name, count, sizeof(*name), by_name);
	out = open_memstream(&text, &room);
	for (j = 0; j < count; j++) {
		fprintf(out, "%s=", name[j]);
		n = lgetxattr(path, name[j], value, sizeof(value));
		for (i = 0; i < n; i++)
			fprintf(out, "%02x", value[i]);
		fputc('\n', out);
	}
	fclose(out);
	return text;
}

static int
cmp_xattrs(struct cmp *c, const char *a, const char *b)
{
	char *x = xattrs_of(a), *y = xattrs_of(b);
	int rc = 0;

	if (strcmp(x, y) != 0)
		rc = differ(c, b, "attributes are\n%sexpected\n%s", y, x);
	free(x);
	free(y);
	return rc;
}

static int
cmp_targets(struct cmp *c, const char *a, const char *b)
{
	char x[5000] = { 0 }, y[5000] = { 0 };

	if (readlink(a, x, sizeof(x) - 1) == -1 || readlink(b, y, sizeof(y) - 1) == -1)
		return differ(c, b, "read link: %s", strerror(errno));
	return strcmp(x, y) == 0 ? 0 : differ(c, b, "links to '%s', expected '%s'", y, x);
}

/* Names that are one file on one side must be one file on the other. */
static int
cmp_links(struct cmp *c, const char *path, const struct stat *a, const struct stat *b)
{
	size_t i;

	for (i = 0; i < c->pairs; i++)
		if ((c->pair[i].a == a->st_ino) != (c->pair[i].b == b->st_ino))
			return differ(c, path, "is another file, or one, with a name seen before");
		else if (c->pair[i].a == a->st_ino)
			return 0;
	c->pair = realloc(c->pair, (c->pairs + 1) * sizeof(*c->pair));
	c->pair[c->pairs++] = (struct pair){ a->st_ino, b->st_ino };
	return 0;
}

static int
cmp_stat(struct cmp *c, const char *path, const struct stat *a, const struct stat *b)
{
	if (a->st_mode != b->st_mode)
		return differ(c, path, "mode is %o, expected %o", b->st_mode, a->st_mode);
	if (!(c->flags & TREECMP_NO_OWNER) && (a->st_uid != b->st_uid || a->st_gid != b->st_gid))
		return differ(c, path, "owner is %u:%u, expected %u:%u", b->st_uid, b->st_gid,
			      a->st_uid, a->st_gid);
	if (a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec)
		return differ(c, path, "time is %lld.%09ld, expected %lld.%09ld",
		    (long long)b->st_mtim.tv_sec, b->st_mtim.tv_nsec, (long long)a->st_mtim.tv_sec,
		    a->st_mtim.tv_nsec);
	if (a->st_rdev != b->st_rdev)
		return differ(c, path, "is another device");
	if (!S_ISDIR(a->st_mode) && a->st_size != b->st_size)
		return differ(c, path, "size is %lld, expected %lld", (long long)b->st_size,
		    (long long)a->st_size);
	if (!S_ISDIR(a->st_mode) && a->st_nlink != b->st_nlink)
		return differ(c, path, "has %u names, expected %u", (unsigned)b->st_nlink,
		    (unsigned)a->st_nlink);
	return 0;
}

static int cmp_entry(struct cmp *c, const char *a, const char *b, bool root);

static int
cmp_directory(struct cmp *c, const char *a, const char *b)
{
	size_t i, n, m;
	char **x = names_in(a, &n), **y = names_in(b, &m);
	char *pa, *pb;
	int rc = 0;

	for (i = 0; rc == 0 && (i < n || i < m); i++) {
		if (i >= n || (i < m && strcmp(x[i], y[i]) > 0))
			rc = differ(c, b, "has '%s', which was not expected", y[i]);
		else if (i >= m || strcmp(x[i], y[i]) < 0)
			rc = differ(c, b, "has no '%s'", x[i]);
		if (rc != 0)
			break;
		if (asprintf(&pa, "%s/%s", a, x[i]) == -1 || asprintf(&pb, "%s/%s", b, y[i]) == -1)
			abort();
		rc = cmp_entry(c, pa, pb, false);
		free(pa);
		free(pb);
	}
	free_names(x, n);
	free_names(y, m);
	return rc;
}

static int
cmp_entry(struct cmp *c, const char *a, const char *b, bool root)
{
	struct stat x, y;
	int rc = 0;

	if (lstat(a, &x) == -1 || lstat(b, &y) == -1)
		return differ(c, b, "look: %s", strerror(errno));
	if (!root || !(c->flags & TREECMP_NO_ROOT)) {
		rc = cmp_stat(c, b, &x, &y);
		if (rc == 0 && !(c->flags & TREECMP_NO_XATTR))
			rc = cmp_xattrs(c, a, b);
	}
	if (rc == 0 && S_ISLNK(x.st_mode))
		rc = cmp_targets(c, a, b);
	if (rc == 0 && S_ISREG(x.st_mode))
		rc = cmp_contents(c, a, b, x.st_size);
	if (rc == 0 && S_ISDIR(x.st_mode))
		return cmp_directory(c, a, b);
	return rc == 0 && x.st_nlink > 1 ? cmp_links(c, b, &x, &y) : rc;
}

int
treecmp(const char *a, const char *b, unsigned flags, char *why, size_t room)
{
	struct cmp c = { .flags = flags, .why = why, .room = room };
	int rc = cmp_entry(&c, a, b, true);

	free(c.pair);
	return rc;
}
