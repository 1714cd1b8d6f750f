/*
 * A snapshot is on a tier only with all that it names. So a manifest is read before it is brought, and
 * what it names is held against what is there by now: packs by what was found of each, the log of a base
 * backup by reading it. What cannot be read is not brought either: it may name anything.
 */
#include "job/rebuild_parts.h"

#include <string.h>

#include "base/units.h"
#include "job/mend.h"
#include "job/pg/pg_facts.h"
#include "job/tiers.h"
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
	rebuild_count_wal(r, &sent);
	if (rc == 0)
		rc = wal_prove_base(r->s->repo, r->s->now, m->source, &f, e);
	return rc == 0 ? 0 : err_in(e, "its WAL");
}

/*
 * 1 the tier has it, 0 not, -1. One that no tier had then was judged by nobody yet: it is now, for what
 * has its name may be anybody's.
 */
static int
has_pack(struct rebuilding *r, const uint8_t sha[LAYOUT_SHA], struct err *e)
{
	char name[LAYOUT_NAME];
	int rc;

	if (packset_has(&r->have, sha))
		return 1;
	if (packset_has(&r->bad, sha) || packset_has(&r->unsure, sha) || packset_has(&r->left, sha))
		return 0;
	rc = mend_judge(r->s, r->s->now, layout_pack(sha, name), e);
	if (rc != -1)
		packset_add(rc == 1 ? &r->have : &r->bad, sha);
	return rc;
}

/* Has the tier each pack of it, whole? Else: ERR_FROZEN where some were left in an archive; *mute. */
static int
has_packs(struct rebuilding *r, const struct manifest *m, uint64_t *mute, struct err *e)
{
	size_t missing = 0, left = 0;
	char n[UNITS_TEXT];

	for (size_t i = 0; i < m->packs; i++) {
		int rc = has_pack(r, m->pack[i].sha, e);

		if (rc == -1)
			return -1;
		missing += rc == 0;
		left += packset_has(&r->left, m->pack[i].sha);
		if (packset_has(&r->unsure, m->pack[i].sha))
			*mute = r->mute;
	}
	if (missing == 0)
		return 0;
	return err_set(e, left > 0 ? ERR_FROZEN : ERR_NOTFOUND, "%s that it names %s not there, or not "
	    "whole", units_count(missing, "pack", n), missing == 1 ? "is" : "are");
}

/* All that it names; where that is missing, *mute may have it. */
static int
bring_rest(struct rebuilding *r, const char *snap, bool there, uint64_t *mute, struct err *e)
{
	struct manifest m;
	int rc;

	manifest_init(&m);
	rc = read_manifest(r, snap, &m, e);
	if (rc == 0 && !there && has_packs(r, &m, mute, e) == -1) {
		manifest_done(&m);
		return -1;
	}
	if (rc == 0)
		rc = bring_wal(r, &m, e);
	if (rc == -1)
		*mute = rebuild_mute(r);
	manifest_done(&m);
	return rc;
}

int
rebuild_snapshot(struct rebuilding *r, const struct rebuild_name *then,
    const struct rebuild_name *now, bool there, struct err *e)
{
	struct err why = { 0 };
	uint64_t mute = 0;

	/* To an archive no piece came by its name, so there this may be all that brings them. */
	if (there && !r->s->now->archive)
		return 0;
	if (bring_rest(r, then->name, there, &mute, &why) == 0)
		return there ? 0 : rebuild_bring(r, then, now, e);
	if (why.kind == ERR_FROZEN)
		rebuild_left(r, then)->snaps += !there;
	else if (rebuild_missed(r, then->name, &why, mute, e) == -1)
		return -1;
	r->absent += !now;
	return 0;
}
