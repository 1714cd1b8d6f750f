/*
 * A snapshot of a database exists on a tier only when its WAL does, and that is not believed but
 * read: pieces are opened, so a tier that took them and lost them, or keeps others under their
 * names, is found out before the manifest is put and not at the restore.
 *
 * What is frozen cannot be opened. A bundle was proved when it was put (job/wal/wal_copy_bundle); here the
 * names must cover the log without a hole, and the store must say of each that it is there and tell
 * the hash it checked it with. What lies beside it and can be read is read.
 */
#include "job/wal/wal_prove.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/lsn.h"
#include "job/wal/wal_segment.h"
#include "repo/bundle.h"
#include "repo/walread.h"
#include "source/pg/pg_history.h"
#include "store/sum.h"

/* ---- frozen ---- */

struct frozen {
	const struct keyring *keys;
	struct tier *t;
	uint64_t from, to, bound;
	struct lsn_set have;
	struct buf scratch;
};

static int
check(struct frozen *f, const struct layout_wal *at, const char *name, struct err *e)
{
	struct err why = { 0 };
	uint8_t sha[DIGEST_LEN];
	struct piece piece;

	buf_reset(&f->scratch);
	if (store_get(f->t->store, name, &f->scratch, &why) == 0)
		return at->kind == LAYOUT_WAL_BUNDLE ? bundle_check(f->keys, name, &f->scratch, e) :
		    piece_open(f->keys, name, &f->scratch, &piece, NULL, e);
	if (why.kind == ERR_FROZEN && at->kind == LAYOUT_WAL_BUNDLE)
		return sum_kept(f->t->store, name, sha, e);
	*e = why;
	return -1;
}

static int
see(void *arg, const struct store_entry *entry, struct err *e)
{
	struct frozen *f = arg;
	struct layout_wal at;
	int rc;

	if (layout_wal_parse(entry->name, &at) == -1 || !layout_wal_is_log(&at) ||
	    at.end <= f->from || at.start >= f->to || at.start >= f->bound)
		return 0;
	rc = check(f, &at, entry->name, e);
	if (rc == 0)
		lsn_set_add(&f->have, at.start, at.end < f->bound ? at.end : f->bound);
	return rc;
}

/* All of [from, to) is there by name: what can be read is sound, and a frozen bundle has its hash. */
static int
prove_frozen(struct repo *repo, struct tier *t, const struct wal_place *p, uint32_t tli,
	     uint64_t from, uint64_t to, struct err *e)
{
	struct frozen f = { .keys = repo->keys, .t = t, .from = from, .to = to };
	struct wal_lineage l;
	char text[LSN_TEXT];
	int rc = wal_lineage_load(repo, &t, 1, p, &l, e);

	if (rc == -1)
		return -1;
	buf_init(&f.scratch, STORE_OBJECT_MAX);
	for (size_t i = 0; rc == 0 && i < l.levels; i++) {
		struct wal_place at = *p;

		at.epoch = l.level[i].epoch;
		f.bound = wal_lineage_bound(&l, i, tli);
		if (f.bound > from)
			rc = walread_each(t, &at, tli, from, see, &f, e);
	}
	if (rc == 0 && !lsn_set_has(&f.have, from, to))
		rc = err_set(e, ERR_CORRUPT, "'%s' has no WAL of timeline %" PRIu32 " from %s on",
			     t->name, tli, lsn_text(lsn_set_end(&f.have, from), text));
	buf_done(&f.scratch);
	lsn_set_done(&f.have);
	wal_lineage_done(&l);
	return rc;
}

/* ---- one after the other ---- */

/* One segment as a restore would read it: at least up to `to` it must be there. */
static int
prove_segment(struct walread *r, struct tier *t, uint32_t tli, uint64_t at, uint64_t to,
	      uint64_t size, struct buf *bytes, struct err *e)
{
	char text[LSN_TEXT];
	uint64_t until;
	int got = wal_segment(r, tli, at, size, bytes, &until, e);

	if (got == 0 && until < to)
		return err_set(e, ERR_CORRUPT, "'%s' has no WAL of timeline %" PRIu32 " from %s on",
			       t->name, tli, lsn_text(until, text));
	return got == -1 ? -1 : 0;
}

/* The same of what has to be thawed, each timeline for its own part. */
static int
prove_range(struct repo *repo, struct tier *t, const struct wal_place *p, const struct pg_history *h,
	    uint64_t from, uint64_t to, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i <= h->count; i++) {
		const uint32_t tli = i < h->count ? h->step[i].timeline : h->timeline;
		uint64_t a, b;

		if (pg_history_span(h, tli, &a, &b) && b > from && a < to)
			rc = prove_frozen(repo, t, p, tli, a > from ? a : from, b < to ? b : to, e);
	}
	return rc;
}

static int
read_history(struct walread *r, struct tier *t, uint32_t tli, struct pg_history *h, struct err *e)
{
	struct buf text;
	int rc;

	if (tli <= 1)
		return 0;
	buf_init(&text, PG_HISTORY_MAX);
	rc = walread_history(r, tli, &text, e);
	if (rc == 0)
		rc = err_set(e, ERR_CORRUPT, "'%s' has no history of timeline %" PRIu32, t->name,
			     tli);
	if (rc == 1)
		rc = pg_history_parse(tli, buf_str(&text), text.len, h, e);
	buf_done(&text);
	return rc;
}

/* A segment in which a timeline was left is asked for as one of the next: that begins with a copy
 * of it. */
int
wal_prove(struct repo *repo, struct tier *t, const struct wal_place *p, uint64_t segment_size,
	  const struct wal_prove_range *range, struct err *e)
{
	const struct walread_options ro = { .repo = repo, .tier = &t, .tiers = 1, .place = *p };
	const uint64_t size = segment_size;
	struct walread *r = NULL;
	struct err why = { 0 };
	struct pg_history h;
	struct buf bytes;
	int rc = walread_new(&ro, &r, e);

	pg_history_init(&h, range->stop_tli);
	buf_init(&bytes, size);
	if (rc == 0)
		rc = read_history(r, t, range->stop_tli, &h, e);
	for (uint64_t at = lsn_segment(range->start, size); rc == 0 && at < range->stop;
	     at += size) {
		uint64_t to = at + size < range->stop ? at + size : range->stop;

		rc = prove_segment(r, t, pg_history_at(&h, to - 1), at, to, size, &bytes, &why);
		if (rc == -1 && why.kind == ERR_FROZEN)
			rc = prove_range(repo, t, p, &h, at, to, e);
		else if (rc == -1)
			*e = why;
	}
	buf_done(&bytes);
	pg_history_done(&h);
	walread_free(r);
	return rc;
}

int
wal_prove_base(struct repo *repo, struct tier *t, const char *source, const struct pg_facts *f,
	       struct err *e)
{
	const struct wal_prove_range range = { f->start_tli, f->stop_tli, f->start, f->stop };
	struct wal_place place = { .sysid = f->sysid, .epoch = f->epoch };

	snprintf(place.source, sizeof(place.source), "%s", source);
	return wal_prove(repo, t, &place, f->segment_size, &range, e);
}
