/*
 * Each tier is proved by itself, as if it were the only one left. A pack is looked at once however
 * many snapshots name it, so verifying all snapshots costs what the tier holds and not what it
 * means.
 *
 * The order is that of the last look, the oldest first: a run under a time budget takes up where
 * the one before it stopped, by nothing but the records on the tier.
 */
#include "job/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "job/pick.h"
#include "job/recall.h"
#include "job/verify_list.h"
#include "job/verify_plan.h"
#include "job/verify_proof.h"
#include "job/verify_wal.h"
#include "repo/record.h"
#include "repo/repo_audit.h"
#include "repo/snapshot.h"

#define RECORD_TEXT 4096

/* What one tier has to do. */
struct todo_list {
	struct snapshot_list list;
	struct verify_todo *item;
	size_t count;
};

/* ---- one snapshot ---- */

/* What was seen was seen, whether or not the tier takes the note of it; said once a tier. */
static void
write_down(struct verify_proof *p, const struct snapshot *snap, const char *kind,
    enum scrub_level level)
{
	const struct sign_key *sign = p->s->repo->keys->sign;
	struct err why = { 0 };
	char name[LAYOUT_NAME], *warning;
	struct buf text;
	int64_t now;

	if (sign == NULL || !sign_key_is_private(sign) || p->mute || p->t->options.as_of_ns != 0)
		return;
	buf_init(&text, RECORD_TEXT);
	if (store_clock(p->t->store, &now, &why) == 0) {
		buf_addf(&text, "snapshot %s\nlevel %d\nasked %d\ntier %s\n", snap->part.id,
		    (int)level, (int)p->o->level, p->t->name);
		if (record_put(p->s->repo, p->t->store, kind, snap->part.source, now, &text,
		    name, &why) != -1)
			err_clear(&why);
	}
	if (why.kind != ERR_NONE) {
		p->mute = true;
		warning = xasprintf("what was verified on '%s' cannot be noted there: %s",
		    p->t->name, why.text);
		p->w->event(p->w->arg, "warning", warning);
		free(warning);
	}
	buf_done(&text);
}

/* 1 and the manifest; 0 it is bad, or gone by the rules since it was listed; -1. */
static int
open_manifest(struct verify_proof *p, const struct snapshot *snap, struct manifest *m, bool *gone,
    struct err *e)
{
	const struct keyring *k = p->s->repo->keys;
	struct err why = { 0 };

	*gone = false;
	if (manifest_get(p->t->store, snap->name, k, m, &why) == 0)
		return 1;
	*gone = why.kind == ERR_NOTFOUND;
	if (why.kind == ERR_REMOTE) {
		*e = why;
		return -1;
	}
	if (*gone || verify_proof_find(p, snap->name, REMEDY_COPY, &why) == 0)
		return 0;
	manifest_done(m);
	return manifest_get(p->t->store, snap->name, k, m, e) == 0 ? 1 : -1;
}

static int
check_packs(struct verify_proof *p, const struct manifest *m, struct err *e)
{
	int good = 1, rc;

	for (size_t i = 0; i < m->packs; i++) {
		rc = verify_proof_pack(p, &m->pack[i], e);
		if (rc == -1)
			return -1;
		good = good && rc == 1;
	}
	return good;
}

/* How far it could be looked into: what lies in an archive was not read. */
static enum scrub_level
reached(const struct verify_proof *p, const struct manifest *m)
{
	for (size_t i = 0; i < m->packs; i++)
		if (packset_has(&p->frozen, m->pack[i].sha))
			return p->unsummed ? SCRUB_LISTED : SCRUB_HASHED;
	return p->o->level;
}

static int
check_contents(struct verify_proof *p, const struct snapshot *snap, struct err *e)
{
	struct err why = { 0 };

	if (verify_list(p->s, p->t, snap->name, p->w, &why) == 0)
		return 1;
	if (why.kind == ERR_CANCELLED || why.kind == ERR_REMOTE) {
		*e = why;
		return -1;
	}
	verify_proof_find(p, snap->name, REMEDY_NONE, &why);
	return 0;
}

static int
check_snapshot(struct verify_proof *p, const struct snapshot *snap, struct err *e)
{
	struct manifest m;
	enum scrub_level level;
	uint64_t sequence;
	enum verify_own own = VERIFY_OWN_GOOD;
	bool gone, unread;
	int rc;

	p->id = snap->part.id;
	manifest_init(&m);
	rc = open_manifest(p, snap, &m, &gone, e);
	if (rc == 1)
		rc = check_packs(p, &m, e);
	level = reached(p, &m);
	if (rc == 1 && level == SCRUB_OPENED)
		rc = check_contents(p, snap, e);
	if (rc == 1)
		rc = verify_wal_own(p->wal, snap, &m, &own, e) == -1 ? -1 : own != VERIFY_OWN_BAD;
	sequence = m.sequence;
	manifest_done(&m);
	if (rc == -1 || gone)
		return rc == -1 ? -1 : 0;
	unread = rc == 1 && own == VERIFY_OWN_UNREAD;
	if (unread)
		level = SCRUB_LISTED;
	p->report->snapshots++;
	p->report->good += rc == 1 && !unread;
	p->report->unread += unread;
	p->unproved += unread;
	if (rc == 1)
		recall_put(p->s, p->t, snap->part.id, sequence, p->w);
	write_down(p, snap, rc == 1 ? RECORD_VERIFIED : RECORD_BROKEN, level);
	return 0;
}

/* ---- which, and in which order ---- */

/* It cannot be proved, and nothing expires while it is there. */
static void
tell_strange(struct verify_proof *p, const struct snapshot_list *l)
{
	struct err why = { 0 };

	if (l->strange == 0)
		return;
	err_set(&why, ERR_CORRUPT, "is no name of a snapshot");
	p->id = "";
	verify_proof_find(p, l->first_strange, REMEDY_NONE, &why);
}

/* A proof that is none protects nothing, and stops nothing. */
static void
proof_unread(void *arg, const char *name, const struct err *why)
{
	struct verify_proof *p = arg;

	p->id = "";
	verify_proof_find(p, name, REMEDY_ASIDE, why);
}

static int
make_list(struct verify_proof *p, char (*named)[LAYOUT_NAME], struct todo_list *l, struct err *e)
{
	if (snapshot_list_known(p->t->store, NULL, &l->list, e) == -1)
		return -1;
	tell_strange(p, &l->list);
	l->item = xcalloc(l->list.count + 1, sizeof(*l->item));
	for (size_t i = 0; i < l->list.count; i++)
		if (verify_plan_wants(p->o, &l->list.item[i], named))
			l->item[l->count++].snap = &l->list.item[i];
	return verify_plan_order(p->s, p->t, (int)p->o->level, l->item, l->count,
	    &(struct verify_unread){ proof_unread, p }, e);
}

/* ---- what all snapshots of a tier need ---- */

/* The tier's own way in; -1 only when it does not answer. */
static int
check_way_in(struct verify_proof *p, struct err *e)
{
	struct repo_audit a;
	int rc = repo_audit(p->s->repo, &p->s->kek, p->t, &a, e);

	for (size_t i = 0; i < a.count; i++)
		verify_proof_find(p, a.flaw[i].object, REMEDY_COPY, &a.flaw[i].why);
	repo_audit_done(&a);
	return rc;
}

/* One that cannot be read may be a hold: that stops whoever removes, so nothing but a copy helps. */
static void
hold_unread(void *arg, const char *name, const struct err *why)
{
	verify_proof_find(arg, name, REMEDY_COPY, why);
}

static void
missing_seen(void *arg, struct tier *t, const struct newest_missing *m)
{
	struct verify_proof *p = arg;
	char name[LAYOUT_NAME];

	(void)t;
	snprintf(name, sizeof(name), "snap/%s", m->id);
	verify_proof_find(p, name, REMEDY_NONE, &m->why);
}

/* ---- copies that are under way ---- */

struct pend_names {
	char (*name)[LAYOUT_NAME];
	size_t count, room;
};

static int
pend_seen(void *arg, const struct store_entry *entry, struct err *e)
{
	struct pend_names *l = arg;
	char snap[LAYOUT_NAME];

	(void)e;
	if (layout_pend_snap(entry->name, snap) == -1)
		return 0;
	l->name = mem_grow(l->name, &l->room, l->count + 1, sizeof(*l->name));
	snprintf(l->name[l->count++], sizeof(*l->name), "%s", entry->name);
	return 0;
}

/* What the copy has sent, or counts on. What is not listed it has yet to send. */
static int
check_pend(struct verify_proof *p, const char *name, char (*named)[LAYOUT_NAME], struct err *e)
{
	struct snapshot snap = { 0 };
	struct err why = { 0 };
	struct manifest m;
	struct buf bytes;
	int rc;

	layout_pend_snap(name, snap.name);
	if (layout_snap_parse(snap.name, &snap.part) == -1 || !verify_plan_wants(p->o, &snap, named))
		return 0;
	p->id = snap.part.id;
	manifest_init(&m);
	buf_init(&bytes, STORE_OBJECT_MAX);
	rc = store_get(p->t->store, name, &bytes, &why);
	if (rc == 0)
		rc = manifest_open(&bytes, snap.name, p->s->repo->keys, &m, &why);
	if (rc == -1 && why.kind == ERR_REMOTE)
		*e = why;
	else if (rc == -1 && why.kind != ERR_NOTFOUND)
		verify_proof_find(p, name, REMEDY_NONE, &why);
	if (rc == -1 && why.kind != ERR_REMOTE)
		rc = 0;
	for (size_t i = 0; i < m.packs && rc == 0; i++)
		if (verify_proof_listed(p, &m.pack[i], &why) == 0 || why.kind == ERR_CORRUPT)
			rc = verify_proof_pack(p, &m.pack[i], e) == -1 ? -1 : 0;
	manifest_done(&m);
	buf_done(&bytes);
	p->id = "";
	return rc;
}

static int
check_pends(struct verify_proof *p, char (*named)[LAYOUT_NAME], struct err *e)
{
	struct pend_names l = { 0 };
	int rc = store_list(p->t->store, "pend/", NULL, pend_seen, &l, e);

	for (size_t i = 0; i < l.count && rc == 0; i++)
		if (p->end_ns == 0 || clock_boot_ns() < p->end_ns)
			rc = check_pend(p, l.name[i], named, e);
	free(l.name);
	return rc;
}

/* ---- one tier ---- */

static void
tell_frozen_wal(const struct verify_proof *p)
{
	char n[UNITS_TEXT], *text;

	if (p->unproved == 0)
		return;
	text = xasprintf("WAL that %s on '%s' %s lies in an archive: not read, only listed, so not called "
	    "sound; --restore reads it", units_count(p->unproved, "base backup", n), p->t->name,
	    p->unproved == 1 ? "needs" : "need");
	p->w->event(p->w->arg, "frozen", text);
	free(text);
}

static void
tell_frozen(const struct verify_proof *p)
{
	char n[UNITS_TEXT], *text;
	size_t count = 0, at = 0;

	while (packset_next(&p->frozen, &at))
		count++;
	if (count == 0)
		return;
	text = xasprintf("%s on '%s' %s in an archive: not read, only compared with the size%s that the "
	    "store has of them; --restore reads them", units_count(count, "pack", n), p->t->name,
	    count == 1 ? "lies" : "lie", p->unsummed ? "" : " and hash");
	p->w->event(p->w->arg, "frozen", text);
	free(text);
}

static int
check_tier(struct verify_proof *p, char (*named)[LAYOUT_NAME], struct err *e)
{
	struct todo_list l = { 0 };
	int rc = -1;

	p->id = "";
	if (check_way_in(p, e) == -1 ||
	    record_holds_unread(p->s->repo, p->t, hold_unread, p, e) == -1)
		goto out;
	recall_each(p->s, p->t, NULL, p->w, missing_seen, p);
	/*
	 * The manifests first: a pack that comes later than its listing would look as if it were
	 * missing.
	 */
	if (make_list(p, named, &l, e) == -1 ||
	    verify_proof_list(p, e) == -1)
		goto out;
	rc = 0;
	for (size_t i = 0; i < l.count && rc == 0; i++) {
		if (i > 0 && p->end_ns != 0 && clock_boot_ns() >= p->end_ns) {
			p->report->left += l.count - i;
			break;
		}
		rc = verify_report_stopped(p->w, p->t->name, e);
		if (rc == 0)
			rc = check_snapshot(p, l.item[i].snap, e);
	}
	if (rc == 0)
		rc = check_pends(p, named, e);
	tell_frozen(p);
	tell_frozen_wal(p);
out:
	snapshot_list_done(&l.list);
	free(l.item);
	verify_proof_done(p);
	return rc;
}

/* One line for all of it: none of its objects is proved, so each other one would say the same. */
static void
tell_ruined(struct verify_proof *p, const char *object, const struct err *why)
{
	struct verify_finding *f = verify_report_add(p->report, p->t->name, object, "", why);

	if (f->why.kind == ERR_REMOTE)
		f->why.kind = ERR_NOTFOUND; /* it was closed like one that is away, and it answers */
	verify_report_tell(p->report, f, p->w, "tier '%s' cannot be verified: %s", p->t->name, why->text);
}

/*
 * A tier that answers, and was closed because ours is gone from there: that is a finding, and so is what
 * this host knows to have been there. Nothing is mended, for a person has to see first what it is. -1:
 * it does not answer now; or nothing is wrong with it any more, and then another run proves it.
 */
static int
check_ruined(struct verify_proof *p, struct err *e)
{
	const struct err why = p->t->why;
	struct repo_audit a;
	int rc;

	p->id = "";
	if (store_open(&p->t->options, &p->t->store, e) == -1)
		return -1;
	rc = repo_audit(p->s->repo, &p->s->kek, p->t, &a, e);
	if (rc == 0 && a.count > 0) {
		tell_ruined(p, a.flaw[0].object, &why);
		recall_each(p->s, p->t, NULL, p->w, missing_seen, p);
	} else if (rc == 0) {
		*e = why;
		rc = -1;
	}
	repo_audit_done(&a);
	store_close(p->t->store);
	p->t->store = NULL;
	p->t->why = why;
	return rc;
}

/* WAL first, with half of the time: a round of packs may be longer than any budget. */
static int
check_any(struct verify_proof *p, char (*named)[LAYOUT_NAME], struct err *e)
{
	int64_t half_ns = p->end_ns ? p->end_ns - (p->end_ns - clock_boot_ns()) / 2 : 0;
	int rc;

	if (verify_ruined(p->s, p->t))
		return check_ruined(p, e);
	if (p->t->store == NULL) {
		*e = p->t->why;
		return -1;
	}
	rc = verify_wal(p->s, p->t, p->o, named, half_ns, p->w, p->report, &p->wal, e);
	if (rc == 0)
		rc = check_tier(p, named, e);
	verify_wal_free(p->wal);
	return rc;
}

static void
tell_away(const struct watch *w, const struct tier *t, const struct err *why)
{
	char *text = xasprintf("tier '%s' cannot be verified: %s", t->name, why->text);

	w->event(w->arg, "warning", text);
	free(text);
}

/* Full names of what a person named. */
static int
resolve(struct session *s, const struct verify_options *o, char (**ret)[LAYOUT_NAME], struct err *e)
{
	char(*named)[LAYOUT_NAME] = xcalloc(o->snapshots + 1, sizeof(*named));
	struct tier *from;

	*ret = named;
	if (o->snapshots > 0 && o->tier && !o->tier->store) {
		*e = o->tier->why;
		return -1;
	}
	for (size_t i = 0; i < o->snapshots; i++) {
		const struct pick_options po = { .text = o->snapshot[i], .tier = o->tier,
			.partial = true };

		if (pick_snapshot(s, &po, named[i], &from, e) == -1)
			return -1;
	}
	return 0;
}

bool
verify_ruined(const struct session *s, const struct tier *t)
{
	return !t->store && t->found == TIER_RUINED && s->as_of_ns == 0;
}

int
verify_run(struct session *s, const struct verify_options *o, const struct watch *w,
    struct verify_report *ret, struct err *e)
{
	int64_t end_ns = o->limit_ms > 0 ? clock_boot_ns() + o->limit_ms * CLOCK_MS : 0;
	char(*named)[LAYOUT_NAME] = NULL;
	struct err why = { 0 };
	uint64_t total = 0;
	size_t asked = 0;
	int rc;

	memset(ret, 0, sizeof(*ret));
	session_hurry_when(s, w->stop, w->arg);
	rc = resolve(s, o, &named, e);
	if (rc == 0 && w->person && o->level > SCRUB_LISTED)
		total = verify_plan_bytes(s, o, named, w);
	for (size_t i = 0; i < s->tiers.count && rc == 0; i++) {
		struct tier *t = &s->tiers.tier[i];
		struct verify_proof p = { .s = s, .t = t, .o = o, .w = w, .report = ret, .end_ns = end_ns,
			.total = total };

		if ((o->tier != NULL && o->tier != t) || session_left_out(s, t))
			continue;
		err_clear(&why);
		if (check_any(&p, named, &why) == -1) {
			verify_report_stopped(w, t->name, &why); /* then it was broken off */
			if (why.kind == ERR_CANCELLED) {
				*e = why;
				rc = -1;
				break;
			}
			ret->away++;
			tell_away(w, t, &why);
		} else {
			asked++;
		}
	}
	if (rc == 0 && asked == 0)
		rc = err_set(e, why.kind, "no tier could be verified: %s", why.text);
	free(named);
	return rc;
}
