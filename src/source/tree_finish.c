/*
 * Pass 3. All contents are there; what is left is links and devices, and everybody's owner,
 * attributes, mode and time. A directory gets its own when it is left, because making things in it
 * moves its time, and its mode may forbid making them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/mem.h"
#include "source/tree_parts.h"

static int
apply(struct tree *t, const struct attr_place *at, const struct entry *en, bool ours, struct err *e)
{
	struct attr_set set = { .born = t->born, .fresh = ours && !t->delta };
	int rc = attr_apply(at, en, &set, e);

	atomic_fetch_or(&t->denied, set.denied);
	return rc;
}

/* ---- directories ---- */

static void
save_directory(struct tree *t, const struct entry *en, bool wanted)
{
	struct tree_saved *s;
	size_t i, need = 0;

	t->saved = mem_grow(t->saved, &t->saved_room, t->trail.depth, sizeof(*t->saved));
	while (t->saves < t->trail.depth) {
		t->saved[t->saves] = (struct tree_saved){ 0 };
		buf_init(&t->saved[t->saves++].text, SIZE_MAX / 2);
	}
	s = &t->saved[t->trail.depth - 1];
	s->apply = wanted;
	s->en = *en;
	if (!wanted || en->xattrs == 0)
		return;
	for (i = 0; i < en->xattrs; i++)
		need += strlen(en->xattr[i].name) + 1 + en->xattr[i].len;
	buf_reset(&s->text);
	buf_reserve(&s->text, need); /* so that it does not move */
	s->xattr = mem_grow(s->xattr, &s->room, en->xattrs, sizeof(*s->xattr));
	s->en.xattr = s->xattr;
	for (i = 0; i < en->xattrs; i++) {
		s->xattr[i].name = (const char *)s->text.data + s->text.len;
		buf_add(&s->text, en->xattr[i].name, strlen(en->xattr[i].name) + 1);
		s->xattr[i].value = s->text.data + s->text.len;
		s->xattr[i].len = en->xattr[i].len;
		buf_add(&s->text, en->xattr[i].value, en->xattr[i].len);
	}
}

static int
leave_directory(void *arg, const char *path, size_t len, size_t depth, struct err *e)
{
	struct tree *t = arg;
	const struct tree_saved *s = &t->saved[depth];
	/* These may have been there before us, and then not with the owner of what we make. */
	const bool ours = depth > 0 &&
	    !(len == strlen("lost+found") && memcmp(path, "lost+found", len) == 0);
	int fd, rc;

	if (!s->apply)
		return 0;
	fd = place_open(t->root, path, len, O_RDONLY | O_DIRECTORY, 0);
	if (fd == -1) {
		err_sys(e, "open");
		return tree_at(t, path, len, e);
	}
	rc = apply(t, &(struct attr_place){ .dirfd = -1, .name = "", .fd = fd }, &s->en, ours, e);
	close(fd);
	return rc == -1 ? tree_at(t, path, len, e) : 0;
}

/* ---- what has no contents ---- */

/* Delta: is what stands there already this very thing? If not it is removed. 1/0/-1. */
static int
stands(struct tree *t, int dirfd, const struct entry *en, mode_t kind, dev_t rdev, struct err *e)
{
	const char *name = t->trail.name;
	struct stat st;
	char *target;
	ssize_t n;
	bool same;

	if (!t->delta)
		return 0;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return errno == ENOENT ? 0 : err_sys(e, "look at what is there");
	same = (st.st_mode & S_IFMT) == kind;
	if (same && kind == S_IFLNK) {
		target = xmalloc(en->targetlen + 1);
		n = readlinkat(dirfd, name, target, en->targetlen + 1);
		same = n == (ssize_t)en->targetlen && memcmp(target, en->target, (size_t)n) == 0;
		free(target);
	} else if (same) {
		same = st.st_rdev == rdev;
	}
	if (same)
		return 1;
	return unlinkat(dirfd, name, 0) == 0 ? 0 : err_sys(e, "remove what is there");
}

static int
make_symlink(struct tree *t, int dirfd, const struct entry *en, struct err *e)
{
	int rc = stands(t, dirfd, en, S_IFLNK, 0, e);
	char *target;

	if (rc != 0)
		return rc;
	target = xstrndup(en->target, en->targetlen);
	if (symlinkat(target, dirfd, t->trail.name) == 0)
		rc = 1;
	else
		rc = err_sys(e, "make symbolic link");
	free(target);
	return rc;
}

static mode_t
kind_of(enum entry_type type)
{
	switch (type) {
	case ENTRY_BLOCK:
		return S_IFBLK;
	case ENTRY_CHAR:
		return S_IFCHR;
	case ENTRY_SOCKET:
		return S_IFSOCK;
	default:
		return S_IFIFO;
	}
}

static int
make_node(struct tree *t, int dirfd, const struct entry *en, struct err *e)
{
	const mode_t kind = kind_of(en->type);
	const bool device = kind == S_IFBLK || kind == S_IFCHR;
	const dev_t rdev = device ? makedev(en->rdev_major, en->rdev_minor) : 0;
	int rc = stands(t, dirfd, en, kind, rdev, e);

	if (rc != 0)
		return rc;
	if (mknodat(dirfd, t->trail.name, kind | 0600, rdev) == 0)
		return 1;
	if (errno != EPERM)
		return err_sys(e, "make");
	tree_warn(t, t->trail.path, t->trail.len,
		  "is a device or socket, which only root may make: left out");
	return 0;
}

/* The directory of a link's first name and, in *name, the name there; -1. */
static int
open_first(struct tree *t, const char *path, size_t len, const char **name)
{
	size_t n = len;

	while (n > 0 && path[n - 1] != '/')
		n--;
	*name = path + n;
	return place_open(t->root, n ? path : ".", n ? n - 1 : 1, O_PATH | O_DIRECTORY, 0);
}

static bool
same_inode(int adir, const char *a, int bdir, const char *b)
{
	struct stat one, two;

	return fstatat(adir, a, &one, AT_SYMLINK_NOFOLLOW) == 0 &&
	    fstatat(bdir, b, &two, AT_SYMLINK_NOFOLLOW) == 0 && one.st_dev == two.st_dev &&
	    one.st_ino == two.st_ino;
}

static int
link_to(struct tree *t, int dirfd, const char *first, struct err *e)
{
	const char *name, *here = t->trail.name;
	int from, rc = 0;

	from = open_first(t, first, strlen(first), &name);
	if (from == -1)
		return err_sys(e, "open the directory of '%s'", first);
	if (t->delta && same_inode(from, name, dirfd, here))
		goto out;
	if (t->delta && unlinkat(dirfd, here, 0) == -1 && errno != ENOENT) {
		rc = err_sys(e, "remove what is there");
		goto out;
	}
	if (linkat(from, name, dirfd, here, 0) == 0)
		goto out;
	if (errno == ENOENT)
		tree_warn(t, t->trail.path, t->trail.len,
			  "is a further name of a file that could not be restored");
	else
		rc = err_sys(e, "link it to '%s'", first);
out:
	close(from);
	return rc;
}

/* ---- files ---- */

static int
finish_file(struct tree *t, int dirfd, const struct entry *en, struct err *e)
{
	struct attr_place at = { .dirfd = dirfd, .name = t->trail.name };
	struct stat st;
	int rc;

	if (tree_whole(t, en) || tree_lost(en))
		return 0;
	at.fd = openat(dirfd, at.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (at.fd == -1)
		return err_sys(e, "open");
	if (fstat(at.fd, &st) == -1)
		rc = err_sys(e, "look at it");
	else
		rc = tree_longer(t, en, &st) ? 0 : apply(t, &at, en, true, e);
	close(at.fd);
	return rc;
}

static int
finish_link(struct tree *t, int dirfd, const struct entry *en, struct err *e)
{
	const struct entry *file;
	const char *first;
	char *target;
	bool made;
	int rc = tree_link_lost(t, en, e);

	if (rc == 1)
		tree_warn(t, t->trail.path, t->trail.len,
		    "is a further name of a file that could not be read: left as it is");
	if (rc != 0)
		return rc == 1 ? 0 : -1;
	if (wish_of(&t->wish, en->target, en->targetlen) != WISH_YES) {
		first = wish_stand_in(&t->wish, en, t->trail.path, &made);
		if (strcmp(first, t->trail.path) != 0)
			return link_to(t, dirfd, first, e);
		rc = reader_find(t->r, en->target, en->targetlen, &file, e);
		if (rc == 1 && file->type == ENTRY_FILE)
			return finish_file(t, dirfd, file, e);
		if (rc == 1)
			tree_warn(t, t->trail.path, t->trail.len,
			    "is a further name of what was not asked for: left out");
		return rc == -1 ? -1 : 0;
	}
	target = xstrndup(en->target, en->targetlen);
	rc = link_to(t, dirfd, target, e);
	free(target);
	return rc;
}

/* ---- the pass ---- */

static int
finish_entry(struct tree *t, const struct entry *en, struct err *e)
{
	const enum wish_kind wish = wish_of(&t->wish, en->path, en->pathlen);
	int dirfd, r;

	if (en->type == ENTRY_DIR)
		save_directory(t, en, wish != WISH_NO);
	if (wish != WISH_YES || en->type == ENTRY_DIR ||
	    (en->type == ENTRY_FILE && tree_whole(t, en)))
		return 0;
	dirfd = place_go(&t->place, t->trail.path, t->trail.parentlen);
	if (dirfd == -1)
		return err_sys(e, "open its directory");
	if (en->type == ENTRY_FILE)
		return finish_file(t, dirfd, en, e);
	if (en->type == ENTRY_HARDLINK)
		return finish_link(t, dirfd, en, e);
	r = en->type == ENTRY_SYMLINK ? make_symlink(t, dirfd, en, e) : make_node(t, dirfd, en, e);
	if (r != 1)
		return r;
	return apply(t, &(struct attr_place){ .dirfd = dirfd, .name = t->trail.name, .fd = -1 },
	    en, true, e);
}

int
tree_finish(struct tree *t, struct err *e)
{
	const struct entry *en;
	int r;

	trail_done(&t->trail);
	reader_rewind(t->r);
	while ((r = reader_next(t->r, &en, e)) == 1) {
		if (trail_step(&t->trail, en, leave_directory, t, e) == -1)
			return -1;
		if (finish_entry(t, en, e) == -1)
			return tree_at(t, t->trail.path, t->trail.len, e);
	}
	return r == -1 ? -1 : trail_end(&t->trail, leave_directory, t, e);
}
