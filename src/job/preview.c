/*
 * `restore --dry-run`. Names, kinds, sizes and times are enough to say what would go and about how
 * much would come; a file that was changed behind its own time is only found by the restore
 * itself, which compares contents. So the numbers are a forecast, and the words around them say so.
 */
#include "job/preview.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "source/attr.h"
#include "source/place.h"
#include "source/walk.h"

#define LOST_FOUND "lost+found"
#define SPACE_FILES "PG_" /* how a server calls what it has in a tablespace */

bool
preview_wants(const char *const *wanted, size_t count, const char *path, size_t len)
{
	for (size_t i = 0; i < count; i++) {
		size_t n = strlen(wanted[i]);

		if (strcmp(wanted[i], ".") == 0)
			return true;
		if (len >= n && memcmp(path, wanted[i], n) == 0 && (len == n || path[n] == '/'))
			return true;
	}
	return count == 0;
}

static bool
is_skipped(const struct preview_options *o, const char *path, size_t len)
{
	return o->skips > 0 && preview_wants(o->skip, o->skips, path, len);
}

/* As the target names it; NULL: it is nothing of the target. */
static const struct entry *
in_space(const struct preview_options *o, const struct entry *en, struct entry *copy)
{
	const size_t n = o->space ? strlen(o->space) + 1 : 0;

	if (!o->space)
		return en;
	if (en->pathlen <= n || !preview_wants(&o->space, 1, en->path, en->pathlen))
		return NULL;
	*copy = *en;
	copy->path += n;
	copy->pathlen -= n;
	return copy;
}

/* The next wanted entry of the snapshot: 1/0/-1. */
static int
next_entry(struct reader *r, const struct preview_options *o, struct entry *copy,
    const struct entry **ret, struct err *e)
{
	const struct entry *en;
	int got;

	while ((got = reader_next(r, &en, e)) == 1) {
		*ret = in_space(o, en, copy);
		if (*ret && preview_wants(o->path, o->paths, en->path, en->pathlen) &&
		    !is_skipped(o, en->path, en->pathlen))
			break;
	}
	return got;
}

static int
next_there(struct walk *w, const struct preview_options *o, const struct walk_entry **ret)
{
	int got = 0;

	if (!w)
		return 0;
	do
		got = walk_next(w, ret);
	while (got == 1 &&
	    (!preview_wants(o->path, o->paths, (*ret)->path, (*ret)->pathlen) ||
		is_skipped(o, (*ret)->path, (*ret)->pathlen) ||
		(o->space && strncmp((*ret)->path, SPACE_FILES, strlen(SPACE_FILES)) != 0)));
	return got;
}

static bool
looks_the_same(const struct entry *en, const struct walk_entry *there)
{
	return there->looked && S_ISREG(there->st.st_mode) &&
	    (uint64_t)there->st.st_size == en->size && there->st.st_mtim.tv_sec == en->mtime_s &&
	    (uint64_t)there->st.st_mtim.tv_nsec == en->mtime_ns;
}

static void
add_name(struct preview_names *n, const char *space, const char *path, size_t len)
{
	n->name = mem_grow(n->name, &n->room, n->count + 1, sizeof(*n->name));
	n->name[n->count++] = space ? xasprintf("%s/%.*s", space, (int)len, path) :
	    xstrndup(path, len);
}

void
preview_names_done(struct preview_names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->name[i]);
	free(n->name);
	*n = (struct preview_names){ 0 };
}

/* What is counted while both sides go by each other. */
struct side_by_side {
	struct preview *p;
	struct attr *attr;
	const char *space;
	/* Nothing below is counted: the restore leaves it, or it goes with that directory. */
	char *settled;
	bool to_be_named; /* what would be made */
	char *made;	  /* the last such directory: nothing below is named */
};

static void
settle(struct side_by_side *s, const char *path, size_t len)
{
	free(s->settled);
	s->settled = xstrndup(path, len);
}

static bool
is_settled(const struct side_by_side *s, const char *path)
{
	const char *dir = s->settled;

	return dir && preview_wants(&dir, 1, path, strlen(path));
}

/* The last directory that was to go holds what nobody may remove, so it stays. */
static void
keep_last(struct side_by_side *s, const char *path)
{
	struct preview_names *n = &s->p->removes;
	const char *last = n->count > 0 ? n->name[n->count - 1] : NULL;

	if (last && path && preview_wants(&last, 1, path, strlen(path)))
		free(n->name[--n->count]);
}

/* The snapshot does not have it. Below a directory that goes, nothing is counted again. */
static void
extra(struct side_by_side *s, const struct walk_entry *there)
{
	if (is_settled(s, there->path)) {
		if (there->looked && S_ISDIR(there->st.st_mode) &&
		    place_mounted(there->dirfd, there->name))
			keep_last(s, there->path);
		return;
	}
	settle(s, there->path, there->pathlen);
	/* Of the file system, not of the volume: it stays, and nothing in it is looked at. */
	if (strcmp(there->path, LOST_FOUND) == 0)
		return;
	if (there->looked && S_ISDIR(there->st.st_mode) && place_mounted(there->dirfd, there->name))
		return;
	add_name(&s->p->removes, s->space, there->path, there->pathlen);
}

/* The snapshot has another thing by that name than what is there. */
static void
replaced(struct side_by_side *s, const struct entry *en, const struct walk_entry *there)
{
	if (!there->looked)
		return;
	if (S_ISDIR(there->st.st_mode) && en->type != ENTRY_DIR) {
		settle(s, en->path, en->pathlen);
		add_name(&s->p->removes, s->space, en->path, en->pathlen);
	} else if (S_ISREG(there->st.st_mode) && en->type != ENTRY_FILE &&
	    en->type != ENTRY_HARDLINK) {
		add_name(&s->p->changes, s->space, en->path, en->pathlen);
	}
}

static bool
same_type(const struct entry *en, mode_t mode)
{
	switch (en->type) {
	case ENTRY_FILE:
		return S_ISREG(mode);
	case ENTRY_DIR:
		return S_ISDIR(mode);
	case ENTRY_SYMLINK:
		return S_ISLNK(mode);
	case ENTRY_BLOCK:
		return S_ISBLK(mode);
	case ENTRY_CHAR:
		return S_ISCHR(mode);
	case ENTRY_FIFO:
		return S_ISFIFO(mode);
	case ENTRY_SOCKET:
		return S_ISSOCK(mode);
	case ENTRY_HARDLINK: /* told of with its first name */
		return false;
	}
	return false;
}

/* The label of a security module is its own business. */
static const struct entry_xattr *
next_xattr(const struct entry *en, size_t *i)
{
	while (*i < en->xattrs && strcmp(en->xattr[*i].name, "security.selinux") == 0)
		++*i;
	return *i < en->xattrs ? &en->xattr[(*i)++] : NULL;
}

/* Both in order of names. */
static bool
same_xattrs(const struct entry *a, const struct entry *b)
{
	const struct entry_xattr *x, *y;
	size_t i = 0, k = 0;

	do {
		x = next_xattr(a, &i);
		y = next_xattr(b, &k);
		if (x && y && (strcmp(x->name, y->name) != 0 || x->len != y->len ||
		    (x->len > 0 && memcmp(x->value, y->value, x->len) != 0)))
			return false;
	} while (x && y);
	return x == y;
}

/* What attr_apply would have to do. What cannot be read now the restore will tell. */
static bool
attributes_differ(struct side_by_side *s, const struct entry *en, const struct walk_entry *there)
{
	const struct attr_place at = { .dirfd = there->dirfd, .name = there->name,
		.fd = there->fd };
	struct entry is;

	if (there->st.st_uid != en->uid || there->st.st_gid != en->gid ||
	    (en->type != ENTRY_SYMLINK && (there->st.st_mode & 07777) != en->mode))
		return true;
	return !(en->note & ENTRY_NO_ATTRS) &&
	    attr_read(s->attr, &at, &there->st, &is, NULL) == 0 && !same_xattrs(en, &is);
}

static void
adjust(struct side_by_side *s, const struct entry *en, const struct walk_entry *there)
{
	if (there && there->looked && same_type(en, there->st.st_mode) &&
	    attributes_differ(s, en, there))
		add_name(&s->p->adjusts, s->space, en->path, en->pathlen);
}

/* Could it not be read, so that what stands here stays? */
static bool
unread(struct side_by_side *s, const struct entry *en, const struct walk_entry *there)
{
	const bool longer = there && there->looked && S_ISREG(there->st.st_mode) &&
	    (uint64_t)there->st.st_size > en->size;

	if (en->note & ENTRY_ELSEWHERE) /* what is in it is not the snapshot's */
		settle(s, en->path, en->pathlen);
	if (!(en->note & ENTRY_UNREADABLE) ||
	    (en->type == ENTRY_FILE && en->size > 0 && !longer))
		return false;
	s->p->missing++;
	settle(s, en->path, en->pathlen);
	return true;
}

/* Nothing stands there yet. */
static void
make(struct side_by_side *s, const struct entry *en)
{
	const char *dir = s->made;

	if (!s->to_be_named || (dir && preview_wants(&dir, 1, en->path, en->pathlen)))
		return;
	add_name(&s->p->makes, s->space, en->path, en->pathlen);
	if (en->type != ENTRY_DIR)
		return;
	free(s->made);
	s->made = xstrndup(en->path, en->pathlen);
}

static void
count(struct side_by_side *s, const struct entry *en, const struct walk_entry *there)
{
	struct preview *p = s->p;

	p->entries++;
	p->files += en->type == ENTRY_FILE;
	if (unread(s, en, there))
		return;
	if (there)
		replaced(s, en, there);
	else
		make(s, en);
	if (en->type != ENTRY_FILE) {
		adjust(s, en, there);
		return;
	}
	p->bytes += en->size;
	if (there && looks_the_same(en, there)) {
		p->unchanged++;
		adjust(s, en, there);
		return;
	}
	p->write += en->size;
	if (there && there->looked && !S_ISDIR(there->st.st_mode))
		add_name(&p->changes, s->space, en->path, en->pathlen);
}

int
preview_run(struct reader *r, const struct preview_options *o, const struct watch *w,
    struct preview *ret, struct err *e)
{
	const struct walk_options wo = {
		.root = o->target, .exclude = o->exclude, .own = o->own, .one_file_system = true };
	const struct walk_entry *there = NULL;
	const struct entry *en = NULL;
	struct side_by_side s = { .p = ret, .space = o->space, .to_be_named = o->target };
	struct entry copy;
	struct walk *walk = NULL;
	int have, are, order, rc = -1;

	if (o->target && walk_open(&wo, &walk, e) == -1)
		return -1;
	s.attr = attr_new();
	have = next_entry(r, o, &copy, &en, e);
	are = next_there(walk, o, &there);
	while (have == 1 || are == 1) {
		order = have != 1 ? 1 : are != 1 ? -1 :
		    list_path_order(en->path, en->pathlen, there->path, there->pathlen);
		if (order > 0)
			extra(&s, there);
		else
			count(&s, en, order == 0 ? there : NULL);
		if (order <= 0)
			have = next_entry(r, o, &copy, &en, e);
		if (order >= 0) {
			are = next_there(walk, o, &there);
			for (size_t i = 0; i < walk_left(walk)->count; i++)
				keep_last(&s, walk_left(walk)->item[i]);
		}
		if (have == -1)
			goto out;
		w->progress(w->arg, "comparing", ret->bytes, 0);
		if (w->stop(w->arg)) {
			err_set(e, ERR_CANCELLED, "interrupted; nothing was changed");
			goto out;
		}
	}
	rc = have;
out:
	walk_free(walk);
	attr_free(s.attr);
	free(s.settled);
	free(s.made);
	return rc;
}
