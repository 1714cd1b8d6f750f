/*
 * Restore in three passes over the list, because contents come in the order of packs, not of paths.
 * A small file without attributes of its own (most files of most trees) is made by the thread that
 * has its bytes, in one go: open, write, owner, mode, time, close. Anything else is made empty
 * first (pass 1), filled by the fetch (pass 2), and finished when all of the contents are there
 * (pass 3).
 */
#include "source/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"
#include "source/tree_parts.h"

/* ---- what the passes ask ---- */

bool
tree_whole(const struct tree *t, const struct entry *en)
{
	return !t->delta && en->single && en->xattrs == 0 && en->size > 0 &&
	    en->size <= UINT64_C(1) << en->grain_log2;
}

bool
tree_lost(const struct entry *en)
{
	return (en->note & ENTRY_UNREADABLE) && en->type == ENTRY_FILE && en->size == 0;
}

bool
tree_longer(const struct tree *t, const struct entry *en, const struct stat *there)
{
	return t->delta && (en->note & ENTRY_UNREADABLE) && en->type == ENTRY_FILE &&
	    S_ISREG(there->st_mode) && (uint64_t)there->st_size > en->size;
}

int
tree_link_lost(struct tree *t, const struct entry *en, struct err *e)
{
	const struct entry *first;
	int r;

	/* The first name comes before: where nothing was missing, nothing has to be looked up. */
	if (!t->delta || t->report->missing == 0)
		return 0;
	r = reader_find(t->r, en->target, en->targetlen, &first, e);
	return r == 1 ? tree_lost(first) : r;
}

static const char *
show(struct tree *t, const char *path, size_t len)
{
	buf_reset(&t->text);
	text_escape(path, len, &t->text);
	return buf_str(&t->text);
}

void
tree_warn(struct tree *t, const char *path, size_t len, const char *text)
{
	char *line = xasprintf("'%s': %s", show(t, path, len), text);

	t->report->warnings++;
	t->report->degraded++;
	t->o->warn(t->o->arg, line);
	free(line);
}

int
tree_at(struct tree *t, const char *path, size_t len, struct err *e)
{
	return err_in(e, "'%s'", show(t, path, len));
}

/* ---- pass 2 ---- */

static int
make_hole(int fd, size_t n, struct err *e)
{
	return ftruncate(fd, (off_t)n) == -1 ? err_sys(e, "set its size") : 0;
}

/* What this restore made, or nobody had, is not so any more: no name that a person gave. */
static int
meddled(struct err *e, const char *what)
{
	err_sys(e, "%s", what);
	if (e->kind == ERR_NOTFOUND || e->kind == ERR_EXISTS)
		e->kind = ERR_IO;
	return -1;
}

/* The whole of a small file, by the thread that has it; data NULL: nobody has, a hole. */
static int
make_whole(struct tree *t, const struct names_record *rec, const struct buf *path,
    const void *data, size_t n, struct err *e)
{
	const struct entry en = {
		.type = ENTRY_FILE, .mode = rec->mode, .uid = rec->uid, .gid = rec->gid,
		.mtime_s = rec->mtime_s, .mtime_ns = rec->mtime_ns,
	};
	struct attr_set set = { .born = t->born, .fresh = true };
	int fd, rc = -1;

	fd = place_open(t->root, buf_str(path), path->len,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (fd == -1)
		return meddled(e, "make");
	if (data ? lay_write(&t->lay, fd, data, n, 0, e) == 0 : make_hole(fd, n, e) == 0)
		rc = attr_apply(&(struct attr_place){ .dirfd = -1, .fd = fd }, &en, &set, e);
	if (close(fd) == -1 && rc == 0)
		rc = err_sys(e, "close");
	atomic_fetch_or(&t->denied, set.denied);
	atomic_fetch_add(&t->whole_made, 1);
	return rc;
}

static int
write_parts(struct tree *t, const struct buf *path, const struct fetch_piece *piece, size_t pieces,
    struct err *e)
{
	int fd, rc = 0;

	fd = place_open(t->root, buf_str(path), path->len, O_WRONLY | O_NOFOLLOW, 0);
	if (fd == -1)
		return meddled(e, "open");
	for (size_t i = 0; i < pieces && rc == 0; i++)
		rc = lay_write(&t->lay, fd, piece[i].data, piece[i].n, piece[i].off, e);
	if (close(fd) == -1 && rc == 0)
		rc = err_sys(e, "close");
	return rc;
}

/* Called by the fetch, in several threads. */
static int
write_bytes(void *arg, uint64_t file, const struct fetch_piece *piece, size_t pieces, struct err *e)
{
	struct tree *t = arg;
	struct names_record rec;
	struct buf path, shown;
	int rc;

	if (atomic_load(&t->stopped))
		return err_set(e, ERR_CANCELLED, "stopped; --delta completes what was begun");
	buf_init(&path, SIZE_MAX / 2);
	rc = names_get(t->names, file, &rec, &path, e);
	if (rc == 0 && rec.whole && (pieces != 1 || piece->off != 0 || piece->n != rec.size))
		rc = err_set(e, ERR_CORRUPT, "its size is %u and its contents are %zu bytes",
		    rec.size, piece->n);
	else if (rc == 0)
		rc = rec.whole ? make_whole(t, &rec, &path, piece->data, piece->n, e)
			       : write_parts(t, &path, piece, pieces, e);
	if (rc == -1) {
		buf_init(&shown, SIZE_MAX / 2);
		text_escape(buf_str(&path), path.len, &shown);
		err_in(e, "'%s'", buf_str(&shown));
		buf_done(&shown);
	}
	buf_done(&path);
	return rc;
}

static void
fetch_progress(void *arg, uint64_t done)
{
	struct tree *t = arg;

	t->o->progress(t->o->arg, done, fetch_wanted(t->fetch));
	if (t->o->stop(t->o->arg))
		atomic_store(&t->stopped, true);
}

void
tree_lacks(struct tree *t, uint64_t file, const struct err *why)
{
	if (t->lacks == 0)
		t->report->lost_why = *why;
	if (t->lacks > 0 && t->lack[t->lacks - 1] == file)
		return;
	t->lack = mem_grow(t->lack, &t->lack_room, t->lacks + 1, sizeof(*t->lack));
	t->lack[t->lacks++] = file;
}

static void
lost_seen(void *arg, uint64_t file, const struct err *why)
{
	tree_lacks(arg, file, why);
}

static int
by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* One that lacks bytes keeps its size and its name, which is told. */
static int
leave_incomplete(struct tree *t, uint64_t file, struct err *e)
{
	struct names_record rec;
	struct buf path;
	int rc;

	buf_init(&path, SIZE_MAX / 2);
	rc = names_get(t->names, file, &rec, &path, e);
	if (rc == 0 && rec.whole)
		rc = make_whole(t, &rec, &path, NULL, rec.size, e);
	if (rc == 0) {
		t->report->lost++;
		tree_warn(t, buf_str(&path), path.len, "lacks bytes that no tier has a good copy of");
	} else {
		tree_at(t, buf_str(&path), path.len, e);
	}
	buf_done(&path);
	return rc;
}

static int
leave_all_incomplete(struct tree *t, struct err *e)
{
	if (t->lacks > 1)
		qsort(t->lack, t->lacks, sizeof(*t->lack), by_number);
	for (size_t i = 0; i < t->lacks; i++)
		if ((i == 0 || t->lack[i] != t->lack[i - 1]) &&
		    leave_incomplete(t, t->lack[i], e) == -1)
			return -1;
	return 0;
}

/*
 * Hours before the last byte: is there room for them? Holes and zeros are in no plan, so what is
 * wanted is what is written; but a file system that compresses may take less. So nothing is refused.
 */
static void
judge_room(struct tree *t)
{
	const uint64_t need = fetch_wanted(t->fetch);
	char want[UNITS_TEXT], have[UNITS_TEXT], *text;
	struct statvfs fs;
	uint64_t room;

	if (t->delta != NULL || fstatvfs(t->root, &fs) == -1 || fs.f_blocks == 0)
		return;
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (need <= room)
		return;
	text = xasprintf("%s will be written, and %s is free there: it will not fit, unless that file "
	    "system compresses", units_size(need, want), units_size(room, have));
	t->o->note(t->o->arg, text);
	free(text);
}

static int
fill(struct tree *t, struct err *e)
{
	const struct fetch_target target = {
		.write = write_bytes, .lost = lost_seen, .progress = fetch_progress, .arg = t,
	};

	t->report->fetched = fetch_wanted(t->fetch);
	judge_room(t);
	if (names_seal(t->names, e) == -1 || fetch_run(t->fetch, &target, e) == -1 ||
	    leave_all_incomplete(t, e) == -1)
		return -1;
	if (atomic_load(&t->whole_made) != t->whole_planned)
		return err_set(e, ERR_BUG, "%llu of %llu small files were made",
		    (unsigned long long)atomic_load(&t->whole_made),
		    (unsigned long long)t->whole_planned);
	return 0;
}

/* ---- the target ---- */

/* 1 empty, 0 not, -1 with errno. */
static int
is_empty(int fd)
{
	struct walk_names names = { 0 };
	int empty;

	errno = walk_names(fd, &names);
	empty = errno ? -1 : names.count == 0 ||
	    (names.count == 1 && strcmp(names.name[0], "lost+found") == 0);
	walk_names_done(&names);
	return empty;
}

int
tree_empty(const char *target, struct err *e)
{
	int fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (fd == -1 && errno == ENOENT)
		return 1;
	r = fd == -1 ? -1 : is_empty(fd);
	if (r == -1)
		err_sys(e, "read directory '%s'", target);
	if (fd != -1)
		close(fd);
	return r;
}

int
tree_restored_from(const char *target, char *ret, size_t room, struct err *e)
{
	ssize_t n = getxattr(target, ATTR_RESTORED, ret, room - 1);

	if (n == -1 && (errno == ENODATA || errno == ENOTSUP || errno == ENOENT))
		return 0;
	if (n == -1)
		return err_sys(e, "read attribute '%s' of '%s'", ATTR_RESTORED, target);
	ret[n] = 0;
	return 1;
}

/* Who owns what we make there, asked by making something: squashing and set-group-id change it. */
static struct attr_born
ask_born(int root)
{
	struct attr_born born = { 0 };
	struct stat st;
	int fd = openat(root, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd == -1)
		return born;
	if (fstat(fd, &st) == 0)
		born = (struct attr_born){ .known = true, .uid = st.st_uid, .gid = st.st_gid };
	close(fd);
	return born;
}

static int
open_target(struct tree *t, const char *target, struct err *e)
{
	const char *source = t->o->source;
	int empty;

	if (file_make_dirs(AT_FDCWD, target, S_IRWXU, e) == -1)
		return -1;
	t->root = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->root == -1)
		return err_sys(e, "open '%s'", target);
	/* Where directories cannot be locked, nobody is kept out. */
	if (flock(t->root, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK) {
		err_set(e, ERR_BUSY, "another restore into '%s' is running", target);
		return err_line(e, "fix", "wait for its end, or --to with another directory");
	}
	empty = is_empty(t->root);
	if (empty == -1)
		return err_sys(e, "read directory '%s'", target);
	if (!t->o->delta) {
		if (!empty) {
			err_set(e, ERR_REFUSED, "'%s' is not empty", target);
			return err_line(e, "fix",
					"an empty directory, or --delta to restore over it");
		}
		/* What is made below must inherit neither group nor ACL. */
		if (fchmod(t->root, S_IRWXU) == -1 && errno != EPERM)
			return err_sys(e, "change the mode of '%s'", target);
		fremovexattr(t->root, "system.posix_acl_default");
	}
	t->born = ask_born(t->root);
	/*
	 * The mark comes first, so that an interrupted restore is known as ours. It is a help, not
	 * a must. A tree that was there before us does not get it: it says that a restore made it.
	 */
	if (source && empty)
		fsetxattr(t->root, ATTR_RESTORED, source, strlen(source), 0);
	return 0;
}

/* ---- the whole ---- */

static void
tell_denied(struct tree *t)
{
	static const struct {
		enum attr_denied what;
		const char *text;
	} texts[] = {
	    {ATTR_OWNER,
	     "owners could not be set (they need root), and set-id bits were left out there"},
	    {ATTR_XATTR, "some extended attributes (ACLs, capabilities) could not be set"},
	    {ATTR_MODE, "some modes could not be set"},
	    {ATTR_TIME, "some times could not be set"},
	};
	const unsigned denied = atomic_load(&t->denied);
	size_t i;

	for (i = 0; i < ARRAY_LEN(texts); i++) {
		if (!(denied & texts[i].what))
			continue;
		t->report->warnings++;
		t->report->degraded++;
		t->o->warn(t->o->arg, texts[i].text);
	}
}

static int
restore(struct tree *t, const char *target, struct err *e)
{
	if (wish_check(&t->wish, t->r, e) == -1 || open_target(t, target, e) == -1)
		return -1;
	place_init(&t->place, t->root);
	lay_init(&t->lay, t->root, !t->o->no_sync);
	t->names = names_new(t->root, 0);
	t->fetch = fetch_new(t->r, target, t->o->workers);
	if (t->o->delta) {
		t->delta = delta_new(&reader_keys(t->r)->id, t->fetch, t->o->workers);
		t->shared = shared_new(t->r);
	}
	if (tree_plan(t, e) == -1 || fill(t, e) == -1 || tree_finish(t, e) == -1)
		return -1;
	tell_denied(t);
	if (!t->o->no_sync && syncfs(t->root) == -1)
		return err_sys(e, "sync '%s'", target);
	return 0;
}

static void
done(struct tree *t)
{
	size_t i;

	for (i = 0; i < t->levels; i++)
		walk_names_done(&t->level[i].names);
	for (i = 0; i < t->saves; i++) {
		buf_done(&t->saved[i].text);
		free(t->saved[i].xattr);
	}
	free(t->lack);
	free(t->level);
	free(t->saved);
	wish_done(&t->wish);
	delta_free(t->delta);
	shared_free(t->shared);
	fetch_free(t->fetch);
	names_free(t->names);
	place_done(&t->place);
	trail_done(&t->trail);
	buf_done(&t->text);
	if (t->root != -1)
		close(t->root);
}

int
tree_restore(struct reader *r, const char *target, const struct tree_options *o,
    struct tree_report *report, struct err *e)
{
	struct tree t = { .r = r, .o = o, .report = report, .root = -1 };
	int rc;

	*report = (struct tree_report){ 0 };
	place_init(&t.place, -1);
	trail_init(&t.trail);
	wish_init(&t.wish, o->path, o->paths);
	for (size_t i = 0; i < o->skips; i++)
		wish_leave(&t.wish, o->skip[i], strlen(o->skip[i]));
	buf_init(&t.text, SIZE_MAX / 2);
	rc = restore(&t, target, e);
	done(&t);
	return rc;
}
