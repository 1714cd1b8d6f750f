/*
 * Captures a tree: a walk in path order, and for each entry a writer_begin and writer_end. The tree
 * is in use while we read it, so most of this is about what changes under us. What vanished is left
 * out, what changed is noted, what cannot be read is listed without contents, and none of that ends
 * the run.
 *
 * A file is opened before the writer hears of it, because an entry that was begun cannot be taken
 * back. Only one that may be kept unread is begun first; should it vanish just then, it is
 * listed as unreadable.
 */
#include "source/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/proc.h"
#include "base/text.h"
#include "source/attr.h"
#include "source/content.h"
#include "source/links.h"
#include "source/walk.h"

/* Coarser than the time stamps of any file system (FAT: 2 s): an equal ctime is no proof nearer
 * than this. */
#define VOLUME_CTIME_NS (INT64_C(2) * 1000000000)
/* Entries between two looks at the clock and the outside. */
#define VOLUME_BREATH 256

struct capture {
	struct writer *w;
	const struct volume_options *o;
	struct volume_report *report;
	struct attr *attr;
	struct links *links;
	int64_t settled_ns; /* an older ctime was settled when the parent started; INT64_MIN: keep
			       nothing */
	struct buf text;
	unsigned since_breath;
};

/* ---- telling ---- */

static void __attribute__((format(printf, 3, 4)))
warn_path(struct capture *c, const char *path, const char *fmt, ...)
{
	va_list ap;
	char *what;

	va_start(ap, fmt);
	if (vasprintf(&what, fmt, ap) == -1)
		what = xstrdup(fmt);
	va_end(ap);
	buf_reset(&c->text);
	buf_addf(&c->text, "%s: '", c->o->source);
	text_escape(path, strlen(path), &c->text);
	buf_addf(&c->text, "' %s", what);
	free(what);
	c->report->warnings++;
	c->o->warn(c->o->arg, buf_str(&c->text));
}

static void
tell_vanished(struct capture *c, const char *path)
{
	c->report->vanished++;
	warn_path(c, path, "vanished before it could be read");
}

static void
tell_unreadable(struct capture *c, const char *path, int error)
{
	c->report->unreadable++;
	c->report->degraded++;
	warn_path(c, path, "could not be read: %s", strerror(error));
}

/* One line for all. No reason to be degraded: it is meant so, and `check` has said it. */
static void
tell_own(struct capture *c, const struct text_list *left)
{
	buf_reset(&c->text);
	buf_addf(&c->text, "%s: left out, because ffdr itself lives there (a tier, its state or its keys)",
	    c->o->source);
	for (size_t i = 0; i < left->count; i++) {
		buf_adds(&c->text, i == 0 ? ": '" : ", '");
		text_escape(left->item[i], strlen(left->item[i]), &c->text);
		buf_addc(&c->text, '\'');
	}
	c->report->warnings++;
	c->o->warn(c->o->arg, buf_str(&c->text));
}

static bool
gone(int error)
{
	/* ELOOP, ENXIO, ENOTDIR: something else bears the name by now. */
	return error == ENOENT || error == ELOOP || error == ENXIO || error == ENOTDIR ||
	    error == ESTALE;
}

/* ---- one entry ---- */

static int
begin(struct capture *c, const struct entry *en, const struct entry **parent, struct err *e)
{
	const struct entry *found;

	return writer_begin(c->w, en, parent ? parent : &found, e);
}

static int
end(struct capture *c, const struct entry *en, struct err *e)
{
	c->report->entries++;
	if (en->type == ENTRY_FILE)
		c->report->files++;
	if (en->note & ENTRY_CHANGED)
		c->report->changed++;
	return writer_end(c->w, en, e);
}

static int
write_plain(struct capture *c, const struct entry *en, struct err *e)
{
	return begin(c, en, NULL, e) == -1 ? -1 : end(c, en, e);
}

/*
 * Fills en with what the entry is; attributes that cannot be had are a warning. 0: leave it out,
 * which never happens to an open one.
 */
static int
describe(struct capture *c, const struct walk_entry *we, int fd, struct entry *en)
{
	const struct attr_place at = { .dirfd = we->dirfd, .name = we->name, .fd = fd };
	struct err e = { 0 };

	if (attr_read(c->attr, &at, &we->st, en, &e) == -1) {
		if (fd == -1 && faccessat(we->dirfd, we->name, F_OK, AT_SYMLINK_NOFOLLOW) == -1 &&
		    gone(errno)) {
			tell_vanished(c, we->path);
			return 0;
		}
		c->report->degraded++;
		en->note |= ENTRY_NO_ATTRS;
		warn_path(c, we->path, "loses some attributes: %s", e.text);
		if (en->type == ENTRY_SYMLINK && en->targetlen == 0)
			return 0;
	}
	en->path = we->path;
	en->pathlen = we->pathlen;
	return 1;
}

/* Is the parent's entry the same file, untouched since long before the parent was made? */
static bool
unchanged(const struct entry *now, const struct entry *then)
{
	return then && then->type == ENTRY_FILE && then->note == 0 &&
	    then->pathlen == now->pathlen && memcmp(then->path, now->path, now->pathlen) == 0 &&
	    then->ino == now->ino && then->size == now->size && then->mode == now->mode &&
	    then->mtime_s == now->mtime_s && then->mtime_ns == now->mtime_ns &&
	    then->ctime_s == now->ctime_s && then->ctime_ns == now->ctime_ns;
}

/* 1 taken over unread, 0 it must be read, -1. The entry has been begun then. */
static int
keep_file(struct capture *c, struct entry *en, struct err *e)
{
	const struct entry *parent;
	int r;

	if (begin(c, en, &parent, e) == -1)
		return -1;
	if (!unchanged(en, parent))
		return 0;
	/* The same ctime: the same attributes. */
	en->xattr = parent->xattr;
	en->xattrs = parent->xattrs;
	r = writer_keep(c->w, e);
	if (r == 1)
		c->report->kept++;
	return r == 1 ? (end(c, en, e) == -1 ? -1 : 1) : r;
}

static int
open_file(const struct walk_entry *we)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC;
	int fd;

	/* O_NONBLOCK: a fifo that took the name must not hold us. */
	fd = openat(we->dirfd, we->name, flags | O_NONBLOCK | O_NOATIME);
	if (fd == -1 && errno == EPERM) /* only its owner may leave the access time alone */
		fd = openat(we->dirfd, we->name, flags | O_NONBLOCK);
	if (fd == -1 && errno == EWOULDBLOCK) /* a lease has to be given back first */
		fd = openat(we->dirfd, we->name, flags);
	return fd;
}

/* 0, or as which error what was opened cannot be read. */
static int
unfit(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return ENOENT; /* something else bears the name by now */
	return (uint64_t)st->st_size > LIST_FILE_MAX ? EFBIG : 0;
}

/* That this process, or the system, has no more of something says nothing of the file. */
static int
exhausted(int error, struct err *e)
{
	if (error != EMFILE && error != ENFILE && error != ENOMEM)
		return 0;
	errno = error;
	err_sys(e, "nothing more can be opened");
	return err_line(e, "fix", error == ENOMEM ? "more memory for this host" :
	    "a higher limit of open files (ulimit -n, LimitNOFILE=)");
}

/* A file whose contents are not to be had. */
static int
write_unreadable(struct capture *c, struct entry *en, bool begun, int error, struct err *e)
{
	if (exhausted(error, e) == -1)
		return -1;
	tell_unreadable(c, en->path, error);
	en->note |= ENTRY_UNREADABLE;
	en->size = 0;
	if (!begun && begin(c, en, NULL, e) == -1)
		return -1;
	return end(c, en, e);
}

/* Reads the open file into the writer. 1, 0 late, -1. */
static int
read_file(struct capture *c, const struct walk_entry *we, int fd, bool begun, struct err *e)
{
	struct content_result got;
	struct entry en;
	int rc;

	describe(c, we, fd, &en);
	if (!begun && begin(c, &en, NULL, e) == -1)
		return -1;
	buf_reset(&c->text);
	list_encode(&en, &c->text);
	rc = content_read(&(struct content_source){
		.w = c->w, .fd = fd, .st = &we->st, .beside = c->text.len,
		.stop = c->o->stop, .progress = c->o->progress, .arg = c->o->arg,
	}, &got, e);
	if (rc == -1)
		return -1;
	en.size = got.size;
	if (got.changed) {
		en.note |= ENTRY_CHANGED;
		en.mtime_s = got.after.st_mtim.tv_sec;
		en.mtime_ns = (uint32_t)got.after.st_mtim.tv_nsec;
		en.ctime_s = got.after.st_ctim.tv_sec;
		en.ctime_ns = (uint32_t)got.after.st_ctim.tv_nsec;
	}
	if (got.error) {
		en.note |= ENTRY_UNREADABLE;
		tell_unreadable(c, en.path, got.error);
	} else if (got.changed && rc == 1) {
		warn_path(c, en.path, "changed while it was read: %s", got.how);
	}
	return end(c, &en, e) == -1 ? -1 : rc;
}

/* 1, 0 late, -1. */
static int
capture_file(struct capture *c, const struct walk_entry *seen, struct err *e)
{
	struct walk_entry we = *seen;
	struct entry en;
	bool begun;
	int fd, rc;

	attr_from_stat(&we.st, &en);
	en.path = we.path;
	en.pathlen = we.pathlen;
	begun = en.ctime_s < c->settled_ns / 1000000000;
	rc = begun ? keep_file(c, &en, e) : 0;
	if (rc != 0)
		return rc;

	fd = open_file(&we);
	rc = fd == -1 || fstat(fd, &we.st) == -1 ? errno : unfit(&we.st);
	if (rc != 0) {
		if (fd != -1)
			close(fd);
		if (!gone(rc) || begun)
			return write_unreadable(c, &en, begun, rc, e) == -1 ? -1 : 1;
		tell_vanished(c, we.path);
		return 1;
	}
	rc = read_file(c, &we, fd, begun, e);
	close(fd);
	return rc;
}

static int
capture_directory(struct capture *c, const struct walk_entry *we, struct err *e)
{
	struct entry en;

	if (gone(we->error)) {
		tell_vanished(c, we->path);
		return 0;
	}
	if (exhausted(we->error, e) == -1)
		return -1;
	if (describe(c, we, we->fd, &en) == 0)
		return 0;
	if (we->error) {
		tell_unreadable(c, we->path, we->error);
		en.note |= ENTRY_UNREADABLE;
	}
	if (we->elsewhere)
		en.note |= ENTRY_ELSEWHERE;
	return write_plain(c, &en, e);
}

/* A further name of a file that is listed already, or a thing without contents. */
static int
capture_plain(struct capture *c, const struct walk_entry *we, const char *first, struct err *e)
{
	struct entry en;

	if (!first && describe(c, we, -1, &en) == 0)
		return 0;
	if (first) {
		attr_from_stat(&we->st, &en);
		en.path = we->path;
		en.pathlen = we->pathlen;
		en.type = ENTRY_HARDLINK;
		en.size = 0;
		en.target = first;
		en.targetlen = strlen(first);
	}
	return write_plain(c, &en, e);
}

/*
 * A name that cannot be looked at is listed all the same, as a file of which nothing is known: so a
 * restore in place knows that something was there and leaves it alone.
 */
static int
capture_unseen(struct capture *c, const struct walk_entry *we, struct err *e)
{
	struct entry en = { .type = ENTRY_FILE, .path = we->path, .pathlen = we->pathlen };

	if (gone(we->error)) {
		tell_vanished(c, we->path);
		return 0;
	}
	if (we->dirfd != -1)
		return write_unreadable(c, &en, false, we->error, e);
	if (exhausted(we->error, e) == -1)
		return -1;
	/* A directory that is listed already was lost on the way; its line is written. */
	tell_unreadable(c, we->path, we->error);
	return 0;
}

/* 1, 0 late, -1. */
static int
capture_entry(struct capture *c, const struct walk_entry *we, struct err *e)
{
	uint64_t listed = c->report->entries;
	const char *first = NULL;
	int rc = 1;

	if (!we->looked)
		return capture_unseen(c, we, e) == -1 ? -1 : 1;
	if (S_ISDIR(we->st.st_mode))
		return capture_directory(c, we, e) == -1 ? -1 : 1;
	if (we->st.st_nlink > 1)
		first = links_seen(c->links, &we->st);
	if (S_ISREG(we->st.st_mode) && !first)
		rc = capture_file(c, we, e);
	else if (capture_plain(c, we, first, e) == -1)
		rc = -1;
	if (rc == 1 && !first && we->st.st_nlink > 1 && c->report->entries > listed)
		links_add(c->links, &we->st, we->path);
	return rc;
}

/* ---- the whole ---- */

/* 1 go on, 0 late, -1 somebody asked us to stop. */
static int
breathe(struct capture *c, struct err *e)
{
	if (c->since_breath++ % VOLUME_BREATH != 0)
		return 1;
	c->o->progress(c->o->arg);
	if (c->o->stop(c->o->arg))
		return err_set(e, ERR_CANCELLED, "stopped; nothing was committed");
	return writer_late(c->w) ? 0 : 1;
}

static int
capture_tree(struct capture *c, struct walk *walk, struct err *e)
{
	const struct walk_entry *we;
	int rc = 1;

	while (rc == 1 && walk_next(walk, &we) == 1) {
		rc = breathe(c, e);
		if (rc == 1)
			rc = capture_entry(c, we, e);
		if (rc == -1) {
			buf_reset(&c->text);
			text_escape(we->path, we->pathlen, &c->text);
			err_in(e, "%s: '%s'", c->o->source, buf_str(&c->text));
		}
	}
	return rc;
}

static int
run_hook(const struct volume_options *o, const char *command, const char *result, struct err *e)
{
	const struct proc_env env[] = {
		{ "FFDR_SOURCE", o->source },
		{ "FFDR_PATH", o->path },
		{ "FFDR_RESULT", result },
		{ NULL, NULL },
	};
	const int timeout_s = o->hook_timeout_s ? o->hook_timeout_s : VOLUME_HOOK_S;

	if (!command || !*command)
		return 0;
	/* What `after` undoes must be undone, also when somebody wants to stop. */
	return proc_run_until(command, env, timeout_s, NULL, command == o->before ? o->stop : NULL,
	    o->arg, e);
}

/* What it was to freeze is not frozen: a rule of the installation says no, whatever its reason. */
static int
refused_by_hook(const struct volume_options *o, struct err *e)
{
	if (e->kind == ERR_CANCELLED)
		return -1;
	if (e->kind == ERR_IO)
		e->kind = ERR_REFUSED;
	err_in(e, "%s: before", o->source);
	return err_line(e, "fix", "nothing was stored; run that command by hand, then mend it, or "
				  "before of %s in the configuration", o->source);
}

static int
capture(struct capture *c, struct err *e)
{
	const struct volume_options *o = c->o;
	const struct manifest *parent = writer_parent(c->w);
	struct exclude *exclude = NULL;
	struct walk *walk = NULL;
	int rc = -1;

	c->settled_ns = INT64_MIN;
	if (o->by_stat && parent)
		c->settled_ns = parent->started_ns - o->clock_skew_ns - VOLUME_CTIME_NS;
	if (exclude_new(o->exclude, o->excludes, &exclude, e) == -1)
		goto out;
	if (run_hook(o, o->before, "", e) == -1) {
		refused_by_hook(o, e);
		goto out;
	}
	if (walk_open(&(struct walk_options){ .root = o->path, .exclude = exclude,
		.own = o->own, .one_file_system = o->one_file_system }, &walk, e) == -1) {
		err_in(e, "%s", o->source);
		goto out;
	}
	rc = capture_tree(c, walk, e);
	if (walk_left(walk)->count > 0)
		tell_own(c, walk_left(walk));
out:
	walk_free(walk);
	exclude_free(exclude);
	return rc;
}

int
volume_capture(struct writer *w, const struct volume_options *o, struct volume_report *report,
    struct err *e)
{
	struct capture c = {
		.w = w, .o = o, .report = report,
		.attr = attr_new(), .links = links_new(),
	};
	struct err after = { 0 };
	int rc;

	*report = (struct volume_report){ 0 };
	buf_init(&c.text, LIST_LINE_MAX);
	rc = capture(&c, e);
	if (run_hook(o, o->after, rc == 1 ? "done" : rc == 0 ? "partial" : "failed", &after) ==
	    -1) {
		report->warnings++;
		report->degraded++;
		err_in(&after, "%s: after", o->source);
		o->warn(o->arg, after.text);
	}
	buf_done(&c.text);
	attr_free(c.attr);
	links_free(c.links);
	return rc;
}

bool
volume_reads_all(int64_t parent_compared_ns, int64_t now_ns, bool stat_wanted, bool forced)
{
	if (forced || !stat_wanted || parent_compared_ns <= 0)
		return true;
	/* A parent from the future tells nothing about its age. */
	return now_ns < parent_compared_ns || now_ns - parent_compared_ns >= VOLUME_COMPARE_NS;
}
