/*
 * Reading: libarchive's disk reader brings a link's target and the extended attributes it carries.
 * It leaves out system. (the ACLs), and would ask for ACLs, flags and holes with five calls a file
 * that we do not need. So one listing of names decides: none, and libarchive asks nothing; some,
 * and it reads its share while what it did not bring is read raw.
 *
 * Names that cannot be opened (links, devices, or anything without its rights) are reached through
 * /proc/self/fd/<dir>/<name>: there is no getxattrat() before Linux 6.13.
 *
 * Writing: the owner first, because chown drops capabilities and set-id bits; then the attributes,
 * whose ACLs move the group bits; then the mode; times last.
 */
#include "source/attr.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "source/libarchive.h"

/* Linux: all names of a file, and one value, take at most 64 KiB each. */
#define ATTR_MAX (64u << 10)
#define ATTR_LINE (2u << 20) /* for all of an entry, as its line has them: LIST_LINE_MAX is 3.5 MiB */
#define ATTR_PATH (sizeof("/proc/self/fd//") + 10 + 256)
/* What libarchive reads beyond stat is asked for by us, when it is there at all. */
#define ATTR_BEHAVIOR (ARCHIVE_READDISK_NO_ACL | ARCHIVE_READDISK_NO_FFLAGS | \
	ARCHIVE_READDISK_NO_SPARSE)

struct attr {
	struct archive *disk;
	struct archive_entry *entry;
	struct buf names;  /* as listxattr gives them */
	struct buf values; /* raw ones, one after the other */
	struct buf target;
	struct entry_xattr *xattr;
	size_t xattrs, room;
};

struct attr *
attr_new(void)
{
	struct attr *a = xcalloc(1, sizeof(*a));

	a->disk = archive_read_disk_new();
	a->entry = archive_entry_new();
	archive_read_disk_set_symlink_physical(a->disk);
	buf_init(&a->names, ATTR_MAX + 1);
	buf_init(&a->values, 16u * ATTR_MAX);
	buf_init(&a->target, 2 * ATTR_MAX);
	return a;
}

void
attr_free(struct attr *a)
{
	if (!a)
		return;
	archive_entry_free(a->entry);
	archive_read_free(a->disk);
	buf_done(&a->names);
	buf_done(&a->values);
	buf_done(&a->target);
	free(a->xattr);
	free(a);
}

static const char *
proc_path(const struct attr_place *at, char out[ATTR_PATH])
{
	snprintf(out, ATTR_PATH, "/proc/self/fd/%d/%s", at->dirfd, at->name);
	return out;
}

/* Attributes are not to be had here at all: none, then. */
static bool
unsupported(int error)
{
	return error == ENOTSUP || error == ENOSYS;
}

static ssize_t
list_names(const struct attr_place *at, const char *path, struct buf *out)
{
	uint8_t *room;
	ssize_t n;

	buf_reset(out);
	room = buf_reserve(out, ATTR_MAX);
	n = at->fd != -1 ? flistxattr(at->fd, (char *)room, ATTR_MAX)
			 : llistxattr(path, (char *)room, ATTR_MAX);
	if (n == -1 && unsupported(errno))
		n = 0;
	if (n >= 0)
		out->len = (size_t)n;
	return n;
}

static void
add(struct attr *a, const char *name, const void *value, size_t len)
{
	a->xattr = mem_grow(a->xattr, &a->room, a->xattrs + 1, sizeof(*a->xattr));
	a->xattr[a->xattrs++] = (struct entry_xattr){ .name = name, .value = value, .len = len };
}

static void
add_archived(struct attr *a)
{
	const char *name;
	const void *value;
	size_t len;

	archive_entry_xattr_reset(a->entry);
	while (archive_entry_xattr_next(a->entry, &name, &value, &len) == ARCHIVE_OK)
		if (strcmp(name, ATTR_RESTORED) != 0)
			add(a, name, value, len);
}

static bool
has(const struct attr *a, const char *name)
{
	for (size_t i = 0; i < a->xattrs; i++)
		if (strcmp(a->xattr[i].name, name) == 0)
			return true;
	return strcmp(name, ATTR_RESTORED) == 0;
}

/* The listed attributes that libarchive did not bring. */
static int
add_raw(struct attr *a, const struct attr_place *at, const char *path, struct err *e)
{
	const char *name = (const char *)a->names.data, *end = name + a->names.len;
	size_t i, first = a->xattrs;
	uint8_t *room;
	ssize_t n;
	int rc = 0;

	for (; name < end; name += strlen(name) + 1) {
		if (has(a, name))
			continue;
		room = buf_reserve(&a->values, ATTR_MAX);
		if (!room) {
			rc = buf_check(&a->values, "extended attributes", e);
			break;
		}
		n = at->fd != -1 ? fgetxattr(at->fd, name, room, ATTR_MAX)
				 : lgetxattr(path, name, room, ATTR_MAX);
		/* Gone since it was listed, or of a kind that only shows. */
		if (n == -1 && (errno == ENODATA || unsupported(errno)))
			continue;
		if (n == -1) {
			rc = err_sys(e, "read attribute '%s'", name);
			break;
		}
		a->values.len += (size_t)n;
		add(a, name, NULL, (size_t)n);
	}
	/* Only now the buffer lies still. */
	for (i = first, room = a->values.data; i < a->xattrs; room += a->xattr[i++].len)
		a->xattr[i].value = room;
	return rc;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry_xattr *)a)->name, ((const struct entry_xattr *)b)->name);
}

static enum entry_type
type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return ENTRY_DIR;
	case S_IFLNK:
		return ENTRY_SYMLINK;
	case S_IFBLK:
		return ENTRY_BLOCK;
	case S_IFCHR:
		return ENTRY_CHAR;
	case S_IFIFO:
		return ENTRY_FIFO;
	case S_IFSOCK:
		return ENTRY_SOCKET;
	default:
		return ENTRY_FILE;
	}
}

void
attr_from_stat(const struct stat *st, struct entry *ret)
{
	*ret = (struct entry){
		.type = type_of(st->st_mode),
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.mtime_s = st->st_mtim.tv_sec,
		.mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
		.ctime_s = st->st_ctim.tv_sec,
		.ctime_ns = (uint32_t)st->st_ctim.tv_nsec,
		.dev = st->st_dev,
		.ino = st->st_ino,
	};
	if (ret->type == ENTRY_FILE)
		ret->size = (uint64_t)st->st_size;
	if (ret->type == ENTRY_BLOCK || ret->type == ENTRY_CHAR) {
		ret->rdev_major = major(st->st_rdev);
		ret->rdev_minor = minor(st->st_rdev);
	}
}

/* Asks libarchive; the link's target is copied, because an entry's string is libarchive's own. */
static int
read_archived(struct attr *a, int fd, const char *path, const struct stat *st, struct err *e)
{
	const char *target;
	int no_xattr = a->names.len == 0 ? ARCHIVE_READDISK_NO_XATTR : 0;

	archive_entry_clear(a->entry);
	archive_read_disk_set_behavior(a->disk, ATTR_BEHAVIOR | no_xattr);
	archive_entry_copy_pathname(a->entry, path);
	/* A warning is an attribute that it could not read: that will be tried again, with an error
	 * of ours. */
	if (archive_read_disk_entry_from_file(a->disk, a->entry, fd, st) < ARCHIVE_WARN)
		return err_set(e, ERR_IO, "%s", archive_error_string(a->disk));
	target = archive_entry_symlink(a->entry);
	if (target)
		buf_adds(&a->target, target);
	add_archived(a);
	return 0;
}

/*
 * A line of the list has room for 2 MiB of them, and a file system may hold more. Those of a module
 * of the kernel come first by name, a user's own last.
 */
static int
trim(struct attr *a, struct err *e)
{
	size_t sum = 0, fit;

	for (fit = 0; fit < a->xattrs; fit++) {
		sum += a->xattr[fit].len / 3 * 4 + strlen(a->xattr[fit].name);
		if (sum > ATTR_LINE)
			break;
	}
	if (fit == a->xattrs)
		return 0;
	err_set(e, ERR_UNSUPPORTED, "%zu of %zu fit, with about 1.5 MB", fit, a->xattrs);
	a->xattrs = fit;
	return -1;
}

int
attr_read(struct attr *a, const struct attr_place *at, const struct stat *st,
    struct entry *ret, struct err *e)
{
	char room[ATTR_PATH];
	const char *path = proc_path(at, room);
	struct err other = { 0 };
	int rc = 0;

	attr_from_stat(st, ret);
	a->xattrs = 0;
	buf_reset(&a->values);
	buf_reset(&a->target);
	if (list_names(at, path, &a->names) == -1) {
		rc = err_sys(e, "list extended attributes");
		buf_reset(&a->names);
	}
	/* The first error stands; a link still gets its target. */
	if (read_archived(a, at->fd, path, st, rc == 0 ? e : &other) == -1)
		rc = -1;
	if (rc == 0)
		rc = add_raw(a, at, path, e);
	/* One order, whatever the file system's: an unchanged file must be an unchanged line. */
	if (a->xattrs > 1)
		qsort(a->xattr, a->xattrs, sizeof(*a->xattr), by_name);
	if (trim(a, rc == 0 ? e : &other) == -1)
		rc = -1;
	ret->target = buf_str(&a->target);
	ret->targetlen = a->target.len;
	ret->xattr = a->xattr;
	ret->xattrs = a->xattrs;
	return rc;
}

/* ---- restore ---- */

/* Not ours to set, or not known there: told, not fatal. */
static int
denied(struct attr_set *set, enum attr_denied what, const char *name, struct err *e)
{
	if (errno != EPERM && errno != EACCES && errno != EINVAL && !unsupported(errno))
		return err_sys(e, "set %s", name);
	set->denied |= what;
	if (!set->denied_name[0])
		snprintf(set->denied_name, sizeof(set->denied_name), "%s", name);
	return 0;
}

/* st: as it is now, NULL for an entry made by us. *lost: it belongs to somebody else and stays so.
 */
static int
apply_owner(const struct attr_place *at, const struct stat *st, const struct entry *en,
    struct attr_set *set, bool *lost, struct err *e)
{
	int r;

	if (st ? st->st_uid == en->uid && st->st_gid == en->gid
	       : set->born.known && set->born.uid == en->uid && set->born.gid == en->gid)
		return 0;
	r = at->fd != -1 ? fchown(at->fd, en->uid, en->gid)
			 : fchownat(at->dirfd, at->name, en->uid, en->gid, AT_SYMLINK_NOFOLLOW);
	if (r == 0)
		return 0;
	*lost = true;
	return denied(set, ATTR_OWNER, "owner", e);
}

static const struct entry_xattr *
wanted(const struct entry *en, const char *name)
{
	for (size_t i = 0; i < en->xattrs; i++)
		if (strcmp(en->xattr[i].name, name) == 0)
			return &en->xattr[i];
	return NULL;
}

/* Removes what a kept entry has and should not have. The label of a security module is its own
 * business. */
static int
remove_xattrs(const struct attr_place *at, const char *path, const struct entry *en,
    struct attr_set *set, struct err *e)
{
	const char *name, *end;
	struct buf names;
	int r, rc = 0;

	buf_init(&names, ATTR_MAX + 1);
	if (list_names(at, path, &names) == -1)
		rc = err_sys(e, "list extended attributes");
	name = (const char *)names.data;
	end = name + names.len;
	for (; rc == 0 && name < end; name += strlen(name) + 1) {
		if (wanted(en, name) || strcmp(name, ATTR_RESTORED) == 0 ||
		    strcmp(name, "security.selinux") == 0)
			continue;
		r = at->fd != -1 ? fremovexattr(at->fd, name) : lremovexattr(path, name);
		if (r == -1 && errno != ENODATA)
			rc = denied(set, ATTR_XATTR, name, e);
	}
	buf_done(&names);
	return rc;
}

static bool
same_value(const struct attr_place *at, const char *path, const struct entry_xattr *x)
{
	uint8_t *now = xmalloc(x->len + 1);
	ssize_t n;
	bool same;

	n = at->fd != -1 ? fgetxattr(at->fd, x->name, now, x->len + 1)
			 : lgetxattr(path, x->name, now, x->len + 1);
	same = n == (ssize_t)x->len && memcmp(now, x->value, x->len) == 0;
	free(now);
	return same;
}

static int
apply_xattrs(const struct attr_place *at, const struct entry *en, struct attr_set *set,
    struct err *e)
{
	char room[ATTR_PATH];
	const char *path = proc_path(at, room);
	int r;

	/* Where it is not known which there were, none is one too many. */
	if (!set->fresh && !(en->note & ENTRY_NO_ATTRS) &&
	    remove_xattrs(at, path, en, set, e) == -1)
		return -1;
	for (size_t i = 0; i < en->xattrs; i++) {
		const struct entry_xattr *x = &en->xattr[i];

		if (!set->fresh && same_value(at, path, x))
			continue;
		r = at->fd != -1 ? fsetxattr(at->fd, x->name, x->value, x->len, 0)
				 : lsetxattr(path, x->name, x->value, x->len, 0);
		if (r == -1 && denied(set, ATTR_XATTR, x->name, e) == -1)
			return -1;
	}
	return 0;
}

/* There is no fchmodat that does not follow: a thing that cannot be opened is pinned by O_PATH
 * first. */
static int
change_mode(const struct attr_place *at, mode_t mode)
{
	char path[ATTR_PATH];
	int fd, r, error;

	if (at->fd != -1)
		return fchmod(at->fd, mode);
	fd = openat(at->dirfd, at->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = chmod(path, mode);
	error = errno;
	close(fd);
	errno = error;
	return r;
}

static int
apply_time(const struct attr_place *at, const struct entry *en, struct attr_set *set, struct err *e)
{
	const struct timespec times[2] = {
		{ .tv_nsec = UTIME_OMIT },
		{ .tv_sec = en->mtime_s, .tv_nsec = en->mtime_ns },
	};
	int r = at->fd != -1 ? futimens(at->fd, times)
			     : utimensat(at->dirfd, at->name, times, AT_SYMLINK_NOFOLLOW);

	return r == 0 ? 0 : denied(set, ATTR_TIME, "time", e);
}

int
attr_apply(const struct attr_place *at, const struct entry *en, struct attr_set *set,
    struct err *e)
{
	bool lost = false, attributes = en->xattrs > 0 || !set->fresh;
	struct stat now, *st = NULL;
	mode_t mode = en->mode & 07777;

	if (!set->fresh) {
		st = &now;
		if ((at->fd != -1 ? fstat(at->fd, st)
				  : fstatat(at->dirfd, at->name, st, AT_SYMLINK_NOFOLLOW)) == -1)
			return err_sys(e, "look");
	}
	if (apply_owner(at, st, en, set, &lost, e) == -1)
		return -1;
	if (attributes && apply_xattrs(at, en, set, e) == -1)
		return -1;
	/* Set-id bits mean the owner they were given by: never under another one. */
	if (lost)
		mode &= (mode_t)~(S_ISUID | S_ISGID);
	if (en->type != ENTRY_SYMLINK && change_mode(at, mode) == -1 &&
	    denied(set, ATTR_MODE, "mode", e) == -1)
		return -1;
	if (st && st->st_mtim.tv_sec == en->mtime_s && st->st_mtim.tv_nsec == (long)en->mtime_ns)
		return 0;
	return apply_time(at, en, set, e);
}
