/*
 * With `backlog-full = drop-slot` a hole was agreed to beforehand, and what mends it, too: a base
 * backup behind it, at once. It is made by a process of its own, so that receiving does not wait for
 * it and what goes wrong in it stays there.
 *
 * Whether one is due is read from what lies on the tiers, the records of gaps and the newest base
 * backup, and not from what this process remembers: it may have been started since.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/program.h"
#include "job/pg/pg_facts.h"
#include "job/wal/wal_stream_parts.h"
#include "repo/manifest.h"
#include "repo/snapshot.h"
#include "repo/wal_gap.h"

#define LOOK_NS (CLOCK_S / 4)
#define AGAIN_NS (60 * CLOCK_S)
#define AGAIN_MOST_NS (3600 * CLOCK_S)
#define END_S 10 /* it stops at its next safe place */
#define LOG_MAX (1u << 20)

static char *
log_path(const struct stream *s)
{
	return xasprintf("%s.backup.log", s->o->spool);
}

/* ---- is one due? ---- */

/* Where a base backup begins. Epochs follow each other, and positions count within one. */
struct begin {
	uint32_t epoch;
	uint64_t lsn;
};

static bool
is_later(const struct pg_facts *f, const struct begin *than)
{
	return f->epoch > than->epoch || (f->epoch == than->epoch && f->start > than->lsn);
}

/* That of the newest base backup of our system on that tier, if later than *ret: 0, -1. */
static int
newest_base(const struct stream *s, struct tier *t, struct begin *ret, struct err *e)
{
	struct snapshot_list list = { 0 };
	bool found = false;
	int rc = snapshot_list_known(t->store, s->o->source, &list, e);

	for (size_t i = list.count; rc == 0 && !found && i > 0; i--) {
		struct manifest m;
		struct pg_facts f;

		manifest_init(&m);
		found = manifest_get(t->store, list.item[i - 1].name, s->repo->keys, &m, NULL) == 0 &&
		    pg_facts_read(&m, &f, NULL) == 1 && f.sysid == s->place.sysid;
		if (found && is_later(&f, ret))
			*ret = (struct begin){ f.epoch, f.start };
		manifest_done(&m);
	}
	snapshot_list_done(&list);
	return rc;
}

static int
read_due(const struct stream *s, bool *ret, struct err *e)
{
	struct wal_gaps gaps = { 0 };
	struct begin base = { 0 };
	int rc = wal_gap_load(s->repo, s->o->tier, s->o->tiers, s->o->source, &gaps, e);

	for (size_t i = 0; rc == 0 && i < s->o->base_tiers; i++)
		if (s->o->base_tier[i]->store)
			rc = newest_base(s, s->o->base_tier[i], &base, e);
	*ret = false;
	for (size_t i = 0; rc == 0 && i < gaps.count; i++)
		*ret |= gaps.gap[i].place.sysid == s->place.sysid &&
		    !wal_gap_ends_before(&gaps.gap[i], base.epoch, base.lsn);
	wal_gap_done(&gaps);
	return rc;
}

void
wal_stream_due_look(struct stream *s)
{
	struct err why = { 0 };
	bool due;

	if (!s->o->drop_slot)
		return;
	if (read_due(s, &due, &why) == 0)
		s->due = due;
	else
		wal_stream_event(
		    s, "warning", "whether a base backup is due is not known: %s", why.text);
}

/* ---- making it ---- */

static void
start(struct stream *s)
{
	char exe[PATH_MAX], *log = log_path(s), *config = realpath(s->o->config, NULL);
	struct program_user us;
	struct err why = { 0 };
	const char *const argv[] = { exe, "backup", "--quiet", "--config", config, s->o->source,
		NULL };
	const struct program p = { .argv = argv, .log = log, .server_env = true };

	unlink(log);
	s->backup = -1;
	if (!config)
		err_sys(&why, "find '%s'", s->o->config);
	else if (program_own_path(exe, &why) == 0 && program_user_find(NULL, &us, &why) == 0)
		s->backup = program_start(&us, &p, &why);
	if (s->backup > 0)
		wal_stream_event(s, "backup", "no restore crosses the gap: a base backup begins now");
	else
		wal_stream_event(
		    s, "warning", "the base backup that is due was not started: %s", why.text);
	free(config);
	free(log);
}

/* What a person reads of it is its first line; the rest stays in the file. */
static void
tell_failed(struct stream *s)
{
	char *log = log_path(s);
	struct buf said;

	buf_init(&said, LOG_MAX);
	(void)!file_get(AT_FDCWD, log, &said, NULL);
	wal_stream_event(s, "warning",
	    "the base backup that is due was not made, it is tried again: %.*s\n"
	    "  fix       `ffdr backup %s`; all it said is in '%s'",
	    said.len > 0 ? (int)strcspn(buf_str(&said), "\n") : INT_MAX,
	    said.len > 0 ? buf_str(&said) : "it said nothing", s->o->source, log);
	buf_done(&said);
	free(log);
}

static void
ended(struct stream *s, int64_t now)
{
	s->backup = 0;
	wal_stream_due_look(s);
	if (!s->due) {
		s->again_ns = 0;
		wal_stream_event(s, "recovered", "a base backup that begins behind the gap is there");
		return;
	}
	s->again_ns = s->again_ns ? s->again_ns * 2 : AGAIN_NS;
	if (s->again_ns > AGAIN_MOST_NS)
		s->again_ns = AGAIN_MOST_NS;
	s->due_boot_ns = now + s->again_ns;
	tell_failed(s);
}

void
wal_stream_due_step(struct stream *s)
{
	const int64_t now = clock_boot_ns();
	int status;

	if (now < s->due_boot_ns)
		return;
	s->due_boot_ns = now + LOOK_NS;
	if (s->backup > 0 && program_ended(s->backup, &status, NULL) != 0)
		ended(s, now);
	else if (s->backup <= 0 && s->due && s->leased) {
		start(s);
		if (s->backup <= 0)
			s->due_boot_ns = now + AGAIN_NS;
	}
}

void
wal_stream_due_end(struct stream *s)
{
	if (s->backup > 0)
		program_end(s->backup, SIGTERM, END_S);
	s->backup = 0;
}
