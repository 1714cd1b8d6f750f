/*
 * What was never restored is no backup. The proof is the restore that a person would make, and then
 * the same restore once more as a delta over the result: that reads every file back from the disk,
 * compares it with the snapshot and would write what differs. So when the second one has nothing to
 * write and nothing to remove, the first one was right, and no further comparison had to be
 * invented.
 */
#include "job/rehearse.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "job/lock.h"
#include "job/restore_kind.h"
#include "repo/layout.h"
#include "repo/record.h"

#define CLEAR_TRIES 20
#define CLEAR_PAUSE_NS (100 * CLOCK_MS)

/* One of each source at a time: what a run that died has left, the next one removes. */
static char *
place(const struct session *s, const char *what)
{
	char *path = xasprintf("%s/restore-%s", s->conf->scratch, what);

	for (char *p = path + strlen(s->conf->scratch) + 1; *p; p++) {
		if (*p == '/')
			*p = '_';
	}
	return path;
}

/* Two at once would remove each other's files. Where there is no `state`, nobody is kept out. */
static int
lock(const struct session *s, const char *name, int *fd, struct err *e)
{
	struct err why = { 0 };

	*fd = lock_take(s->conf->state, "rehearsal", name, &why);
	if (*fd != -1 || why.kind != ERR_BUSY)
		return 0;
	*e = why;
	return -1;
}

static int
compare(struct session *s, const struct restore_options *first, const struct restore_report *made,
    const struct watch *w, struct err *e)
{
	struct restore_options again = *first;
	struct restore_report seen = { 0 };
	int rc;

	again.what = made->id; /* a newer one may have come */
	again.delta = true;
	rc = restore_run(s, &again, w, &seen, e);
	if (rc == 0 && (seen.written > 0 || seen.removed > 0 || seen.files != made->files))
		rc = err_set(e, ERR_CORRUPT,
		    "what was restored of %s is not what was read back: %llu "
		    "bytes differ, %llu names are too many",
		    made->id, (unsigned long long)seen.written, (unsigned long long)seen.removed);
	restore_report_done(&seen);
	return rc;
}

/* Of all that is files. */
static int
by_files(struct session *s, const struct restore_options *o, const struct watch *w,
    struct restore_report *ret, struct buf *proof, struct err *e)
{
	if (restore_run(s, o, w, ret, e) == -1)
		return -1;
	buf_addf(proof, "bytes %" PRIu64 "\nrestore-ms %" PRId64 "\n", ret->bytes,
	    (ret->took_ns - ret->waited_ns) / CLOCK_MS); /* how long an archive takes is added to it */
	if (ret->lost > 0)
		return err_set(e, ERR_CORRUPT, "%llu files of %s lack bytes",
		    (unsigned long long)ret->lost, ret->id);
	return compare(s, o, ret, w, e);
}

/* What was proved is proved, and what failed has failed, whether or not the tier takes the note. */
static void
note(struct session *s, const struct restore_report *made, const struct buf *proof,
    const struct err *failed, const struct watch *w)
{
	const struct sign_key *sign = s->repo->keys->sign;
	struct tier *t = tier_find(&s->tiers, made->tier);
	char name[LAYOUT_NAME], *warning;
	struct err why = { 0 };
	struct buf text;
	int64_t now;
	int rc = -1;

	if (!t || t->options.as_of_ns != 0 || !made->id[0] || !sign || !sign_key_is_private(sign) ||
	    made->fallbacks > 0)
		return;
	buf_init(&text, REHEARSE_RECORD);
	if (store_clock(t->store, &now, &why) == 0) {
		buf_addf(
		    &text, "snapshot %s\nlevel %d\ntier %s\n", made->id, REHEARSE_LEVEL, t->name);
		if (failed)
			buf_addf(&text, "why %.*s\n", err_first_line(failed),
			    failed->text);
		buf_adds(&text, buf_str(proof));
		rc = record_put(s->repo, t->store, failed ? RECORD_BROKEN : RECORD_VERIFIED,
		    made->source, now, &text, name, &why);
	}
	if (rc == -1) {
		warning = xasprintf("what was proved of %s cannot be noted on '%s': %s", made->id,
		    t->name, why.text);
		w->event(w->arg, "warning", warning);
		free(warning);
	}
	buf_done(&text);
}

/* What a server started may write there for a moment after it was ended. */
static void
clear(const char *dir, const struct watch *w)
{
	struct err why = { 0 };

	for (int i = 0; i < CLEAR_TRIES; i++) {
		if (file_remove_tree(AT_FDCWD, dir, &why) != -1)
			return;
		clock_sleep_ns(CLEAR_PAUSE_NS);
	}
	w->event(w->arg, "warning", why.text);
}

int
rehearse_run(struct session *s, const struct rehearse_options *o, const struct watch *w,
    struct restore_report *ret, struct err *e)
{
	char *dir = place(s, o->what);
	const struct restore_options ro = {
		.what = o->what,
		.tier = o->tier,
		.to = dir,
		.trusted = true,
		.thaw = o->thaw,
		.no_sync = true,
	};
	const struct restore_kind *kind = restore_kind_of(s, o->what);
	struct buf proof;
	int fd = -1, rc = -1;

	memset(ret, 0, sizeof(*ret));
	if (lock(s, strrchr(dir, '/') + 1, &fd, e) == -1) {
		free(dir);
		return -1;
	}
	buf_init(&proof, REHEARSE_RECORD);
	/* Nobody may look around there, but the user of a restored server has to come to its own.
	 */
	if (file_make_dirs(AT_FDCWD, s->conf->scratch, 0711, e) == -1 ||
	    file_remove_tree(AT_FDCWD, dir, e) == -1)
		goto out;
	rc = kind->prove ? kind->prove(s, o, dir, w, ret, &proof, e) : by_files(s, &ro, w, ret, &proof, e);
	if (rc == 0 || e->kind == ERR_CORRUPT)
		note(s, ret, &proof, rc == 0 ? NULL : e, w);
	if (ret->fallbacks > 0)
		restore_kind_tell(ret, "recorded", "of no tier: none gave it alone");
out:
	clear(dir, w);
	buf_done(&proof);
	if (fd != -1)
		close(fd);
	free(dir);
	return rc;
}
