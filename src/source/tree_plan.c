/*
 * Pass 1. Entries come in path order, so what a directory of the target has and the snapshot has
 * not shows while the two sorted lists of names go by each other. Contents are only asked for here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/mem.h"
#include "source/tree_parts.h"

/* Entries between two questions to the outside. */
#define PLAN_BREATH 1024

/* ---- delta: names that are not in the snapshot ---- */

static struct tree_level *
level_at(struct tree *t, size_t depth)
{
	t->level = mem_grow(t->level, &t->level_room, depth + 1, sizeof(*t->level));
	while (t->levels <= depth)
		t->level[t->levels++] = (struct tree_level){ 0 };
	return &t->level[depth];
}

/* The open directory of the place gets its level: what it has now. */
static int
list_level(struct tree *t, size_t depth, int fd, bool sweep, struct err *e)
{
	struct tree_level *l = level_at(t, depth);

	l->next = 0;
	l->sweep = sweep;
	l->entered = false;
	l->keys = false;
	l->mounted = sweep && depth > 0 && place_mounted(fd, "");
	if (!sweep)
		return 0;
	errno = walk_names(fd, &l->names);
	return errno ? err_sys(e, "read what is there") : 0;
}

/* A directory of the target whose level is in hand. */
struct swept {
	struct tree_level *level;
	int fd;
	const char *path; /* of the directory; len 0: the root */
	size_t len;
};

static int
take_away(struct tree *t, int dirfd, const char *path, size_t len, struct delta_kept *kept,
    struct err *e)
{
	const struct delta_spare spare = { .own = t->o->own, .exclude = t->o->exclude };

	*kept = (struct delta_kept){ 0 };
	if (delta_remove(dirfd, path, len, &spare, kept, e) == -1)
		return -1;
	t->report->excluded += kept->excluded;
	return 0;
}

/* Why it stays; NULL when there is nothing to say: what is excluded was never the snapshot's. */
static const char *
why_kept(const struct delta_kept *kept)
{
	if (kept->mounts > 0)
		return "is not in the snapshot, but something is mounted there: left";
	if (kept->own > 0)
		return "is not in the snapshot, but ffdr itself lives there (a tier, its state or its "
		       "keys): left";
	return NULL;
}

static int
remove_extra(struct tree *t, const struct swept *s, const char *name, struct err *e)
{
	struct delta_kept kept;
	const char *why;
	int rc = 0;

	if (s->len == 0 && strcmp(name, "lost+found") == 0)
		return 0;
	buf_reset(&t->text);
	if (s->len > 0 && !(s->len == 1 && s->path[0] == '.')) {
		buf_add(&t->text, s->path, s->len);
		buf_addc(&t->text, '/');
	}
	buf_adds(&t->text, name);
	if (s->level->keys)
		kept = (struct delta_kept){ .own = 1 };
	else
		rc = take_away(t, s->fd, buf_str(&t->text), t->text.len, &kept, e);
	if (rc == -1)
		return -1;
	why = why_kept(&kept);
	if (why)
		tree_warn(t, name, strlen(name), why);
	else if (kept.excluded == 0)
		t->report->removed++;
	return 0;
}

/* Removes the names of the level that come before `name` (NULL: all that are left), and passes
 * `name`. */
static int
sweep(struct tree *t, const struct swept *s, const char *name, struct err *e)
{
	struct tree_level *l = s->level;
	int order;

	l->entered |= name != NULL;
	while (l->sweep && l->next < l->names.count) {
		const char *there = l->names.name[l->next];

		order = name ? strcmp(there, name) : -1;
		if (order > 0)
			break;
		if (order < 0 && remove_extra(t, s, there, e) == -1)
			return -1;
		l->next++;
	}
	return 0;
}

static int
leave_directory(void *arg, const char *path, size_t len, size_t depth, struct err *e)
{
	struct swept s = { .path = path, .len = depth == 0 ? 0 : len };
	struct tree *t = arg;
	int rc;

	if (!t->delta || depth >= t->levels)
		return 0;
	s.level = &t->level[depth];
	if (!s.level->sweep || s.level->next >= s.level->names.count)
		return 0;
	if (s.level->mounted && !s.level->entered) {
		/* Captured with one-file-system as an empty directory, or mounted since. */
		tree_warn(t, path, len,
			  "is empty in the snapshot, but something is mounted there: left");
		return 0;
	}
	s.fd = place_open(t->root, path, len, O_PATH | O_DIRECTORY, 0);
	if (s.fd == -1) {
		err_sys(e, "open");
		return tree_at(t, path, len, e);
	}
	rc = sweep(t, &s, NULL, e);
	close(s.fd);
	return rc;
}

/* ---- directories ---- */

/* Neither what stands there nor what the snapshot has below that name is touched. */
static void
leave(struct tree *t, const char *why)
{
	wish_leave(&t->wish, t->trail.path, t->trail.len);
	t->report->entries--;
	tree_warn(t, t->trail.path, t->trail.len, why);
}

/*
 * What the snapshot has something else for. 0: gone, and of a directory that is told, as of any
 * other with all in it; 1: it must stay, and was left.
 */
static int
make_way(struct tree *t, int dirfd, bool directory, struct err *e)
{
	struct delta_kept kept;

	if (take_away(t, dirfd, t->trail.path, t->trail.len, &kept, e) == -1)
		return -1;
	if (kept.mounts > 0)
		leave(t, "the snapshot has another thing there, but something is mounted there: left");
	else if (kept.own > 0)
		leave(t, "the snapshot has another thing there, but ffdr itself lives there (a tier, its "
			 "state or its keys): left");
	else if (kept.excluded > 0)
		leave(t, "the snapshot has another thing there, but what it was made without (exclude) "
			 "lies in it: left");
	else
		t->report->removed += directory;
	return kept.mounts + kept.own + kept.excluded > 0;
}

enum there { THERE_FAILED = -1, THERE_NOTHING, THERE_KIND, THERE_SAME, THERE_LEFT };

/* What is there and of the wrong kind goes. THERE_KIND: a thing of the right kind is there. */
static enum there
clear_way(struct tree *t, int dirfd, const char *name, mode_t kind, struct stat *st, struct err *e)
{
	static const enum there way[] = { THERE_NOTHING, THERE_LEFT };
	int r;

	if (!t->delta)
		return THERE_NOTHING;
	if (fstatat(dirfd, name, st, AT_SYMLINK_NOFOLLOW) == -1) {
		if (errno == ENOENT)
			return THERE_NOTHING;
		err_sys(e, "look at what is there");
		return THERE_FAILED;
	}
	if (own_has(t->o->own, st)) {
		leave(t, "is in the snapshot, but ffdr itself lives there (a tier, its state or its "
			 "keys): left");
		return THERE_LEFT;
	}
	if ((st->st_mode & S_IFMT) == kind)
		return THERE_KIND;
	r = make_way(t, dirfd, S_ISDIR(st->st_mode), e);
	return r == -1 ? THERE_FAILED : way[r];
}

/*
 * A kept directory must let us in, and hand down neither its group nor its ACL; but one that it may
 * have by right stays, and what is made below gets its own afterwards.
 */
static int
prepare_directory(int dirfd, const char *name, const struct entry *en, const struct stat *st,
    int *ret_fd, struct err *e)
{
	const mode_t mode = st->st_mode & 07777;
	const mode_t want = (mode | S_IRWXU) & (mode_t)~S_ISGID;

	if (mode != want && fchmodat(dirfd, name, want, 0) == -1 && errno != EPERM)
		return err_sys(e, "make it writable");
	*ret_fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*ret_fd == -1)
		return err_sys(e, "open");
	if (!(en->note & ENTRY_NO_ATTRS))
		fremovexattr(*ret_fd, "system.posix_acl_default");
	return 0;
}

static int
plan_directory(struct tree *t, int dirfd, const struct entry *en, enum wish_kind wish,
    struct err *e)
{
	const bool unlisted = (en->note & ENTRY_UNREADABLE) != 0;
	const bool unknown = unlisted || (en->note & ENTRY_ELSEWHERE) != 0;
	const char *name = t->trail.name;
	const size_t depth = t->trail.depth - 1;
	enum there there = THERE_KIND;
	struct stat st;
	int fd, rc;

	if (depth > 0)
		there = clear_way(t, dirfd, name, S_IFDIR, &st, e);
	if (there == THERE_FAILED)
		return -1;
	if (there == THERE_LEFT)
		return list_level(t, depth, -1, false, e);
	if (there == THERE_NOTHING && mkdirat(dirfd, name, S_IRWXU) == -1 &&
	    !(errno == EEXIST && strcmp(t->trail.path, "lost+found") == 0))
		return err_sys(e, "make directory");
	if (unlisted && wish == WISH_YES) {
		t->report->missing++;
		tree_warn(t, t->trail.path, t->trail.len, there == THERE_KIND && t->delta ?
		    "could not be read when the snapshot was made: what is in it is left as it is" :
		    "could not be read when the snapshot was made: what was in it is not restored");
	}
	if (!t->delta)
		return 0;
	if (there == THERE_NOTHING || (wish == WISH_ABOVE && depth > 0))
		return list_level(t, depth, -1, false, e);
	if (depth == 0 && fstat(t->root, &st) == -1)
		return err_sys(e, "look at the target");
	if (prepare_directory(dirfd, name, en, &st, &fd, e) == -1)
		return -1;
	rc = list_level(t, depth, fd, wish == WISH_YES && !unknown, e);
	t->level[depth].keys = own_around(t->o->own, &st);
	close(fd);
	return rc;
}

/* ---- files ---- */

struct contents {
	struct tree *t;
	const struct entry *en;
	uint64_t id;
	uint64_t wanted; /* bytes of the runs so far */
};

static int
add_run(void *arg, const struct reader_run *run, struct err *e)
{
	struct contents *c = arg;
	uint64_t len = (uint64_t)run->count << c->en->grain_log2;

	if (run->offset >= c->en->size)
		return err_set(e, ERR_CORRUPT, "its map goes beyond its size");
	if (len > c->en->size - run->offset)
		len = c->en->size - run->offset;
	c->wanted += len;
	return fetch_add(c->t->fetch, c->id, run, len, e);
}

static int
add_name(struct tree *t, const struct entry *en, bool whole, uint64_t *id, struct err *e)
{
	const struct names_record rec = {
		.mode = en->mode, .uid = en->uid, .gid = en->gid,
		.mtime_s = en->mtime_s, .mtime_ns = en->mtime_ns,
		.whole = whole, .size = whole ? (uint32_t)en->size : 0,
	};

	/* The trail's path: en may be the first name of a link that stands here. */
	return names_add(t->names, &rec, t->trail.path, t->trail.len, id, e);
}

static int
make_empty(int dirfd, const char *name, uint64_t size, int *ret_fd, struct err *e)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd == -1)
		return err_sys(e, "make");
	*ret_fd = fd;
	return size > 0 && ftruncate(fd, (off_t)size) == -1 ? err_sys(e, "set its size") : 0;
}

/* Delta: the file is there. */
static int
compare_file(struct tree *t, int dirfd, const struct entry *en, uint64_t id, struct err *e)
{
	const int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	const char *name = t->trail.name;
	int fd = openat(dirfd, name, flags);

	if (fd == -1 && errno == EACCES && fchmodat(dirfd, name, S_IRUSR | S_IWUSR, 0) == 0)
		fd = openat(dirfd, name, flags);
	if (fd == -1)
		return err_sys(e, "open");
	if (delta_begin(t->delta, fd, en, id, e) == -1 ||
	    reader_runs(t->r, en, delta_run, t->delta, e) == -1)
		return -1;
	return delta_end(t->delta, e);
}

/* What stands in the file's place, when it may stay at all. */
static enum there
look(struct tree *t, int dirfd, const struct entry *en, struct err *e)
{
	const char *name = t->trail.name;
	struct stat st;
	enum there there = clear_way(t, dirfd, name, S_IFREG, &st, e);
	int r;

	if (there != THERE_KIND || st.st_nlink == 1)
		return there;
	r = shared_stays(t->shared, dirfd, name, &st, en, t->trail.path, e);
	if (r != 0)
		return r == 1 ? THERE_SAME : THERE_FAILED;
	if (unlinkat(dirfd, name, 0) == 0)
		return THERE_NOTHING;
	err_sys(e, "remove what is there");
	return THERE_FAILED;
}

/* Not read, or not to its end: 1 the file is left as it stands, 0 what was read is restored. */
static int
leave_unread(struct tree *t, int dirfd, const struct entry *en)
{
	struct stat st;

	if (tree_lost(en)) {
		t->report->missing++;
		tree_warn(t, t->trail.path, t->trail.len,
		    "could not be read when the snapshot was made: not restored");
		return 1;
	}
	if (fstatat(dirfd, t->trail.name, &st, AT_SYMLINK_NOFOLLOW) == 0 && tree_longer(t, en, &st)) {
		t->report->missing++;
		tree_warn(t, t->trail.path, t->trail.len, "could be read only in part when the snapshot "
			  "was made, and more of it is there: left as it is");
		return 1;
	}
	tree_warn(t, t->trail.path, t->trail.len,
	    "could be read only in part when the snapshot was made");
	return 0;
}

/* What goes into a file that is made: as a whole by who has its bytes, else empty already as fd. */
static int
plan_contents(struct tree *t, int fd, const struct entry *en, struct err *e)
{
	struct contents c = { .t = t, .en = en };

	if (add_name(t, en, fd == -1, &c.id, e) == -1)
		return -1;
	if (reader_runs(t->r, en, add_run, &c, e) == 0)
		return fd != -1 && c.wanted == en->size ? lay_reserve(&t->lay, fd, en->size, e) : 0;
	if (fd == -1 || (e->kind != ERR_CORRUPT && e->kind != ERR_NOTFOUND))
		return -1;
	tree_lacks(t, c.id, e); /* its map is gone, so the bytes cannot be found */
	err_clear(e);
	return 0;
}

static int
plan_new_file(struct tree *t, int dirfd, const struct entry *en, struct err *e)
{
	int fd = -1, rc = 0;

	if (tree_whole(t, en))
		t->whole_planned++;
	else
		rc = make_empty(dirfd, t->trail.name, en->size, &fd, e);
	if (rc == 0 && en->size > 0)
		rc = plan_contents(t, fd, en, e);
	if (fd != -1)
		close(fd);
	return rc;
}

/* 1: left as it stands. */
static int
plan_file(struct tree *t, int dirfd, const struct entry *en, struct err *e)
{
	enum there there;
	uint64_t id;

	if ((en->note & ENTRY_UNREADABLE) && leave_unread(t, dirfd, en))
		return 0;
	there = look(t, dirfd, en, e);
	if (there == THERE_FAILED || there == THERE_LEFT)
		return there == THERE_LEFT ? 1 : -1;
	t->report->bytes += en->size;
	if (there == THERE_SAME)
		return 0;
	if (there == THERE_NOTHING)
		return plan_new_file(t, dirfd, en, e);
	if (add_name(t, en, false, &id, e) == -1)
		return -1;
	return compare_file(t, dirfd, en, id, e);
}

/* ---- the pass ---- */

/*
 * Whatever else: made in pass 3, but a directory in its place goes now, while we know what is below
 * it. 1: what is there was left.
 */
static int
plan_other(struct tree *t, int dirfd, struct err *e)
{
	struct stat st;

	if (!t->delta || fstatat(dirfd, t->trail.name, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    (!S_ISDIR(st.st_mode) && !own_has(t->o->own, &st)))
		return 0;
	return make_way(t, dirfd, S_ISDIR(st.st_mode), e);
}

/* A link whose first name was not asked for: the first such name is made as the file itself. */
static int
plan_link(struct tree *t, int dirfd, const struct entry *en, struct err *e)
{
	const struct entry *first;
	bool made;
	int r;

	if (trail_check_path(en->target, en->targetlen, e) == -1)
		return -1;
	r = tree_link_lost(t, en, e);
	if (r == 0)
		r = plan_other(t, dirfd, e);
	if (r != 0)
		return r == -1 ? -1 : 0;
	if (wish_of(&t->wish, en->target, en->targetlen) == WISH_YES)
		return 0;
	wish_stand_in(&t->wish, en, t->trail.path, &made);
	if (!made)
		return 0;
	r = reader_find(t->r, en->target, en->targetlen, &first, e);
	if (r == 0)
		return err_set(e, ERR_CORRUPT, "is a link to a name that is not in the snapshot");
	if (r == -1 || first->type != ENTRY_FILE)
		return r == -1 ? -1 : 0;
	return plan_file(t, dirfd, first, e);
}

static int
plan_entry(struct tree *t, const struct entry *en, struct err *e)
{
	const enum wish_kind wish = wish_of(&t->wish, en->path, en->pathlen);
	const size_t depth = t->trail.depth - (en->type == ENTRY_DIR);
	struct swept s = { .path = t->trail.path, .len = t->trail.parentlen };
	int dirfd, r;

	if (wish == WISH_NO || (wish == WISH_ABOVE && en->type != ENTRY_DIR)) {
		if (t->delta && en->type == ENTRY_DIR)
			level_at(t, t->trail.depth - 1)->sweep = false;
		return 0;
	}
	t->report->entries++;
	if (wish == WISH_YES && (en->note & ENTRY_NO_ATTRS) && !tree_lost(en))
		tree_warn(t, t->trail.path, t->trail.len, t->delta ?
		    "some attributes could not be read when the snapshot was made: those there stay" :
		    "some attributes could not be read when the snapshot was made: not restored");
	dirfd = place_go(&t->place, t->trail.path, t->trail.parentlen);
	if (dirfd == -1)
		return err_sys(e, "open its directory");
	if (t->delta && depth > 0) {
		s.level = &t->level[depth - 1];
		s.fd = dirfd;
		if (sweep(t, &s, t->trail.name, e) == -1)
			return -1;
	}
	switch (en->type) {
	case ENTRY_DIR:
		return plan_directory(t, dirfd, en, wish, e);
	case ENTRY_FILE:
		r = plan_file(t, dirfd, en, e);
		t->report->files += r == 0;
		return r == -1 ? -1 : 0;
	case ENTRY_HARDLINK:
		return plan_link(t, dirfd, en, e);
	default:
		return plan_other(t, dirfd, e) == -1 ? -1 : 0;
	}
}

int
tree_plan(struct tree *t, struct err *e)
{
	const struct entry *en;
	unsigned n = 0;
	int r;

	reader_rewind(t->r);
	while ((r = reader_next(t->r, &en, e)) == 1) {
		if (n++ % PLAN_BREATH == 0 && t->o->stop(t->o->arg))
			return err_set(e, ERR_CANCELLED,
				       "stopped; --delta completes what was begun");
		if (trail_step(&t->trail, en, leave_directory, t, e) == -1)
			return -1;
		if (plan_entry(t, en, e) == -1)
			return tree_at(t, t->trail.path, t->trail.len, e);
	}
	if (r == -1 || trail_end(&t->trail, leave_directory, t, e) == -1)
		return -1;
	return t->delta ? delta_drain(t->delta, e) : 0;
}
