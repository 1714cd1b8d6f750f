/*
 * Trees for round trips. What can hardly be had by chance is made on purpose by every tree: names
 * that sort differently by bytes and by components, a file that is one hole, a directory nobody may
 * enter.
 */
#include "tests/lib/treegen.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DIRS 64
#define FILES 256

struct gen {
	uint64_t state;
	const struct treegen *g;
	char *dir[DIRS]; /* full paths */
	unsigned dirs;
	char *file[FILES];
	unsigned files;
};

static uint64_t
next(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static unsigned
up_to(uint64_t *state, unsigned n)
{
	return (unsigned)(next(state) % n);
}

static void
must(bool ok, const char *what, const char *path)
{
	if (ok)
		return;
	fprintf(stderr, "treegen: %s '%s': %s\n", what, path, strerror(errno));
	abort();
}

static char *
join(const char *dir, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s", dir, name) == -1)
		abort();
	return path;
}

static char *
new_name(struct gen *g)
{
	static const char *const odd[] = {
	    "a b",
	    "a-b",
	    "a",
	    "a.b",
	    "-rf",
	    "\xff\xfe",
	    "new\nline",
	    "tab\t",
	    "back\\slash",
	    "*",
	    "\xc3\xa4\xc3\xb6",
	    "a!",
	    "A",
	    "..x",
	    "\x01",
	    "'quote\"",
	    "%s%n",
	    "#x",
	    "~",
	    "\xe2\x82",
	};
	char text[300];
	unsigned n, i;

	switch (up_to(&g->state, 8)) {
	case 0:
		snprintf(text, sizeof(text), "%s",
			 odd[up_to(&g->state, sizeof(odd) / sizeof(*odd))]);
		break;
	case 1: /* as long as a name can be, now and then */
		n = up_to(&g->state, 10) ? 20 : 255;
		for (i = 0; i < n; i++)
			text[i] = (char)('a' + up_to(&g->state, 26));
		text[n] = 0;
		break;
	default:
		snprintf(text, sizeof(text), "f%u", up_to(&g->state, 1000));
	}
	return join(g->dir[up_to(&g->state, g->dirs)], text);
}

static bool
taken(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void
put(int fd, uint64_t off, uint64_t n, uint64_t *state, const char *path)
{
	static uint8_t block[1 << 16];
	uint64_t part;
	size_t i;

	for (; n > 0; n -= part, off += part) {
		part = n < sizeof(block) ? n : sizeof(block);
		for (i = 0; i + 8 <= sizeof(block); i += 8) {
			const uint64_t v = next(state);

			memcpy(block + i, &v, 8);
		}
		must(pwrite(fd, block, (size_t)part, (off_t)off) == (ssize_t)part, "write", path);
	}
}

static void
make_file(struct gen *g, const char *path)
{
	const uint64_t largest = g->g->largest ? g->g->largest : 1u << 20;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	uint64_t size = 0, at;

	must(fd != -1, "make", path);
	switch (up_to(&g->state, 8)) {
	case 0: /* empty */
		break;
	case 1: /* holes: here and there some data */
		size = 1 + next(&g->state) % (4 * largest);
		for (at = next(&g->state) % (size / 2 + 1); at < size;
		     at += 1 + next(&g->state) % size)
			put(fd, at, 1 + next(&g->state) % 5000 % (size - at), &g->state, path);
		break;
	case 2: /* one hole */
		size = 1 + next(&g->state) % largest;
		break;
	case 3: /* whole grains */
		size = (1 + next(&g->state) % 4) << 17;
		put(fd, 0, size, &g->state, path);
		break;
	case 4:
		size = 1 + next(&g->state) % largest;
		put(fd, 0, size, &g->state, path);
		break;
	default:
		size = 1 + next(&g->state) % 3000;
		put(fd, 0, size, &g->state, path);
	}
	must(ftruncate(fd, (off_t)size) == 0 && close(fd) == 0, "size", path);
	if (g->files < FILES)
		g->file[g->files++] = strdup(path);
}

static void
make_socket(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(to.sun_path)) {
		must(mkfifo(path, 0600) == 0, "make fifo", path);
		return;
	}
	memcpy(to.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(fd != -1 && bind(fd, (struct sockaddr *)&to, sizeof(to)) == 0, "make socket", path);
	close(fd);
}

/* ACL bytes of Linux: owner rwx, user N rw-, group r-x, mask rwx, others r--. */
static void
give_acl(const char *path, const char *name, unsigned user)
{
	uint8_t acl[] = {2, 0, 0,   0,	 1,   0,   7,  0, 255, 255, 255, 255, 2,   0,  6,
			 0, 0, 0,   0,	 0,   4,   0,  5, 0,   255, 255, 255, 255, 16, 0,
			 7, 0, 255, 255, 255, 255, 32, 0, 4,   0,   255, 255, 255, 255};

	acl[16] = (uint8_t)user;
	acl[17] = (uint8_t)(user >> 8);
	must(setxattr(path, name, acl, sizeof(acl), 0) == 0 || errno == ENOTSUP, "set ACL of",
	     path);
}

/* Everything but the time. */
static void
dress(struct gen *g, const char *path, mode_t kind)
{
	/* The capability of ping, as the kernel keeps it. */
	static const uint8_t cap[20] = { 1, 0, 0, 2, 0, 0x20 };
	const bool root = geteuid() == 0;
	char value[200] = { 0 };

	if (root && up_to(&g->state, 3) == 0)
		must(lchown(path, up_to(&g->state, 70000), up_to(&g->state, 70000)) == 0, "chown",
		     path);
	if (kind == S_IFLNK)
		return;
	must(chmod(path, up_to(&g->state, 4) ? 0644 | (kind == S_IFDIR ? 0111 : 0)
					    : up_to(&g->state, 010000) | (root ? 0 : 0700)) == 0,
	     "chmod", path);
	if (g->g->plain || (kind != S_IFREG && kind != S_IFDIR))
		return;
	if (up_to(&g->state, 4) == 0) {
		must(setxattr(path, "user.note", value, up_to(&g->state, sizeof(value)), 0) == 0 ||
		    errno == ENOTSUP, "set attribute of", path);
		setxattr(path, "user.a b", "\xff", 1, 0);
	}
	if (up_to(&g->state, 6) == 0)
		give_acl(path, "system.posix_acl_access", up_to(&g->state, 60000));
	if (kind == S_IFDIR && up_to(&g->state, 4) == 0)
		give_acl(path, "system.posix_acl_default", up_to(&g->state, 60000));
	if (root && kind == S_IFREG && up_to(&g->state, 8) == 0)
		setxattr(path, "security.capability", cap, sizeof(cap), 0);
	if (root && up_to(&g->state, 10) == 0)
		setxattr(path, "trusted.note", "", 0, 0);
}

static void
date(struct gen *g, const char *path)
{
	struct timespec times[2] = {
		{ .tv_nsec = UTIME_OMIT },
		{ .tv_sec = (time_t)(next(&g->state) % 2700000000u) - 1000000000,
		    .tv_nsec = (long)(next(&g->state) % 1000000000u) },
	};

	/* Writers and readers of tar do not agree about fractions of a second before 1970. */
	if (g->g->plain && times[1].tv_sec < 0)
		times[1].tv_nsec = 0;
	must(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) == 0, "date", path);
}

static void
make_node(struct gen *g, const char *path, mode_t *kind)
{
	const bool root = geteuid() == 0;

	switch (g->g->plain ? 0 : up_to(&g->state, 3)) {
	case 1:
		make_socket(path);
		break;
	case 2:
		if (root) {
			*kind = up_to(&g->state, 2) ? S_IFCHR : S_IFBLK;
			must(mknod(path, *kind | 0600,
				   makedev(up_to(&g->state, 300), up_to(&g->state, 70000))) == 0,
			     "make device", path);
			break;
		}
		/* fall through */
	default:
		must(mkfifo(path, 0600) == 0, "make fifo", path);
	}
}

static void
make_link(struct gen *g, const char *path)
{
	static const char *const to[] = {"a",	 "../x y", "/no/such/place",
					 "\xff", ".",	   "nowhere/at/all"};

	must(symlink(to[up_to(&g->state, 6)], path) == 0, "make link", path);
}

static void
make_entry(struct gen *g)
{
	char *path = new_name(g);
	mode_t kind = S_IFREG;
	unsigned what = up_to(&g->state, 16);

	if (taken(path)) {
		free(path);
		return;
	}
	if (what < 3) {
		kind = S_IFDIR;
		must(mkdir(path, 0700) == 0, "make directory", path);
		if (g->dirs < DIRS)
			g->dir[g->dirs++] = strdup(path);
	} else if (what == 3) {
		kind = S_IFLNK;
		make_link(g, path);
	} else if (what == 4) {
		kind = S_IFIFO;
		make_node(g, path, &kind);
	} else if (what == 5 && g->files > 0) {
		must(link(g->file[up_to(&g->state, g->files)], path) == 0, "link", path);
	} else {
		make_file(g, path);
	}
	dress(g, path, kind);
	date(g, path);
	free(path);
}

static void
done(struct gen *g)
{
	unsigned i;

	/* Made last, because making things in them moved it; deepest last does not matter for a
	 * date. */
	for (i = 0; i < g->dirs; i++) {
		date(g, g->dir[i]);
		free(g->dir[i]);
	}
	for (i = 0; i < g->files; i++)
		free(g->file[i]);
}

void
treegen_make(const char *dir, const struct treegen *o)
{
	struct gen g = { .state = o->seed, .g = o, .dirs = 1 };
	unsigned i;

	g.dir[0] = strdup(dir);
	for (i = 0; i < o->entries; i++)
		make_entry(&g);
	done(&g);
}

/* ---- changes ---- */

/* All paths of regular files and directories below dir. */
static void
collect(struct gen *g, const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *en;
	struct stat st;
	char *path;

	must(d != NULL, "open", dir);
	if (g->dirs < DIRS)
		g->dir[g->dirs++] = strdup(dir);
	while ((en = readdir(d)) != NULL) {
		if (strcmp(en->d_name, ".") == 0 || strcmp(en->d_name, "..") == 0)
			continue;
		path = join(dir, en->d_name);
		if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
			collect(g, path);
		else if (S_ISREG(st.st_mode) && g->files < FILES)
			g->file[g->files++] = strdup(path);
		free(path);
	}
	closedir(d);
}

static void
change_file(struct gen *g, const char *path)
{
	struct stat st;
	char *other;
	int fd;

	switch (up_to(&g->state, 5)) {
	case 0:
		must(unlink(path) == 0 || errno == ENOENT, "remove", path);
		return;
	case 1:
		other = new_name(g);
		if (!taken(other))
			must(rename(path, other) == 0 || errno == ENOENT, "rename", path);
		free(other);
		return;
	default:
		break;
	}
	fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return;
	must(fstat(fd, &st) == 0, "look at", path);
	if (up_to(&g->state, 3) == 0)
		must(ftruncate(fd, (off_t)(next(&g->state) % ((uint64_t)st.st_size + 200000))) == 0,
		     "size", path);
	else
		put(fd, next(&g->state) % ((uint64_t)st.st_size + 1), 1 + next(&g->state) % 9000,
		    &g->state, path);
	close(fd);
}

void
treegen_change(const char *dir, uint64_t seed, unsigned changes)
{
	const struct treegen o = { .seed = seed };
	struct gen g = { .state = seed, .g = &o };
	unsigned i, files;

	collect(&g, dir);
	files = g.files;
	for (i = 0; i < changes; i++) {
		if (files > 0 && up_to(&g.state, 3))
			change_file(&g, g.file[up_to(&g.state, files)]);
		else
			make_entry(&g);
	}
	done(&g);
}
