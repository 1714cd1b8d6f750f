/*
 * A snapshot is on a tier only with all that it names. So a manifest is read before it is brought, and
 * what it names is held against what is there by now: packs by their names, the log of a base backup by
 * reading it. What cannot be read is not brought either: it may name anything.
 */
#include "job/rebuild_parts.h"

#include <string.h>

#include "base/units.h"
#include "job/pg/pg_facts.h"
#include "job/tiers.h"
#include "job/wal/wal_copy.h"
#include "job/wal/wal_prove.h"
#include "repo/manifest.h"

struct reading {
	const struct keyring *keys;
	struct manifest *m;
};

/* A judge for tier_get: keeps the first good one. */
static int
open_manifest(void *arg, const char *name, const struct buf *bytes, struct err *e)
{
	struct reading *x = arg;

	manifest_done(x->m);
	manifest_init(x->m);
	return manifest_open(bytes, name, x->keys, x->m, e);
}

static int
read_manifest(struct rebuilding *r, const char *snap, struct manifest *m, struct err *e)
{
	struct reading x = { r->s->repo->keys, m };
	struct buf bytes;
	int rc;

	buf_init(&bytes, STORE_OBJECT_MAX);
	rc = tier_get(&r->s->tiers, NULL, snap, &bytes, open_manifest, &x, NULL, e);
	buf_done(&bytes);
	return rc;
}

static void
count_wal(struct rebuilding *r, const struct wal_copy_report *sent)
{
	r->report->missing += sent->sent;
	r->report->names += sent->sent;
	r->report->bytes += sent->bytes;
}

/* The log that a base backup needs, in the form that the tier gets it: 0 it is there, and reads well. */
static int
bring_wal(struct rebuilding *r, const struct manifest *m, struct err *e)
{
	struct wal_copy_report sent = { 0 };
	struct pg_facts f;
	int rc = r->dry_run ? 0 : pg_facts_read(m, &f, e);

	if (rc != 1)
		return rc;
	tiers_near(r->s->conf, m->source, NULL, &r->s->tiers);
	rc = wal_copy_base(r->s, m->source, &f, r->s->now, r->w, &sent, e);
	count_wal(r, &sent);
	if (rc == 0)
		rc = wal_prove_base(r->s->repo, r->s->now, m->source, &f, e);
	return rc == 0 ? 0 : err_in(e, "its WAL");
}

/* Has the tier each pack of it? Else: ERR_FROZEN where some were left in an archive. */
static int
has_packs(const struct rebuilding *r, const struct manifest *m, struct err *e)
{
	size_t missing = 0, left = 0;
	char n[UNITS_TEXT];

	for (size_t i = 0; i < m->packs; i++) {
		const bool here = packset_has(&r->have, m->pack[i].sha);

		missing += !here;
		left += !here && packset_has(&r->left, m->pack[i].sha);
	}
	if (missing == 0)
		return 0;
	return err_set(e, left > 0 ? ERR_FROZEN : ERR_NOTFOUND, "%s that it names %s not there",
	    units_count(missing, "pack", n), missing == 1 ? "is" : "are");
}

int
rebuild_snapshot(struct rebuilding *r, const struct rebuild_name *then,
    const struct rebuild_name *now, bool there, struct err *e)
{
	struct manifest m;
	struct err why = { 0 };
	int rc;

	/* To an archive no piece came by its name, so there this may be all that brings them. */
	if (there && !r->s->now->archive)
		return 0;
	manifest_init(&m);
	rc = read_manifest(r, then->name, &m, &why);
	if (rc == 0 && !there)
		rc = has_packs(r, &m, &why);
	if (rc == 0)
		rc = bring_wal(r, &m, &why);
	manifest_done(&m);
	if (rc == 0)
		return there ? 0 : rebuild_bring(r, then, now, e);
	if (why.kind != ERR_FROZEN && !rebuild_nobody_has(&why)) {
		*e = why;
		return err_in(e, "'%s'", then->name);
	}
	if (why.kind == ERR_FROZEN)
		rebuild_left(r, then)->snaps += !there;
	else
		rebuild_lost(r, then->name, &why);
	r->absent += !now;
	return 0;
}

int
rebuild_between(struct rebuilding *r, struct err *e)
{
	const struct conf *c = r->s->conf;
	const struct conf_tier *to = conf_find_tier(c, r->s->now->name);
	int rc = 0;

	for (size_t i = 0; i < c->sources && rc == 0; i++) {
		const struct conf_source *source = &c->source[i];
		struct wal_copy_report sent = { 0 };
		struct err why = { 0 };

		if (!source->postgres || !conf_wal_goes_to(c, source->postgres, to))
			continue;
		tiers_near(c, source->name, NULL, &r->s->tiers);
		rc = wal_copy_between(r->s, source, r->s->now, true, r->w, &sent, &why);
		count_wal(r, &sent);
		if (rc == -1 && (rebuild_nobody_has(&why) || why.kind == ERR_FROZEN)) {
			err_in(&why, "its WAL");
			rebuild_lost(r, source->name, &why);
			rc = 0;
		} else if (rc == -1) {
			*e = why;
			err_in(e, "the WAL of %s", source->name);
		}
	}
	return rc;
}
