/*
 * One tier being proved: its packs, each looked at once in a run however many snapshots name it, and
 * what is done about those that are bad. What was found good is remembered, so that the cost of
 * verifying all snapshots is what the tier holds.
 */
#include "job/verify_proof.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/mend.h"
#include "repo/layout.h"
#include "store/aside.h"

/* ---- findings ---- */

/* What is wrong with it, for a line that has named it. */
static const char *
without_name(const char *text, const char *object)
{
	size_t n = strlen(object);

	if (strncmp(text, "record '", strlen("record '")) == 0)
		text += strlen("record ");
	if (text[0] != '\'' || strncmp(text + 1, object, n) != 0 || text[n + 1] != '\'')
		return text;
	text += n + 2;
	return text + strspn(text, ": ");
}

/*
 * Another tier that may have what is bad here, for it does not answer: it was `away` all the time, or it
 * fell silent. NULL: none. One that answers and has none of ours any more is no hope.
 */
static const struct tier *
silent(const struct verify_proof *p, bool away)
{
	for (size_t i = 0; i < p->s->tiers.count; i++) {
		const struct tier *t = &p->s->tiers.tier[i];

		if (t != p->t && t->why.kind != ERR_NONE && (t->store ? !away :
		    away && (t->found == TIER_SILENT || t->found == TIER_REFUSED)))
			return t;
	}
	return NULL;
}

/* Was it tried, and could nobody who was asked give it, for want of it and not of an answer? */
static bool
lost(const struct verify_proof *p, const struct err *repair)
{
	const bool asked = repair->kind == ERR_NOTFOUND || repair->kind == ERR_CORRUPT ||
	    repair->kind == ERR_KEY || repair->kind == ERR_REMOTE;

	return asked && !silent(p, false);
}

/* Damaged here, and every other tier said that it has none, or a damaged one. */
static bool
is_lost(const struct verify_proof *p, const struct verify_finding *f)
{
	const enum err_kind here = f->why.kind, there = f->repair.kind;

	return (here == ERR_CORRUPT || here == ERR_NOTFOUND) &&
	    (there == ERR_CORRUPT || there == ERR_NOTFOUND) && lost(p, &f->repair) && !silent(p, true);
}

/* A manifest that nobody has given. Giving it up is a way out for what is lost alone. */
static void
tell_way_out(const struct verify_proof *p, const char *id, struct verify_finding *f)
{
	if (is_lost(p, f))
		err_line(&f->why, "fix", "bring back a tier that has it whole, or `ffdr expire "
		    "--discard %s` gives it up", id);
	else if (f->why.kind != ERR_KEY) /* which says how it would be opened */
		err_line(&f->why, "fix", "bring back a tier that has it whole");
}

int
verify_proof_find(struct verify_proof *p, const char *object, enum verify_remedy remedy,
    const struct err *why)
{
	struct verify_finding *f =
	    verify_report_add(p->report, p->t->name, object, p->id, why);

	if (p->o->repair && remedy == REMEDY_ASIDE)
		f->repaired = aside_object(p->t->store, object, NULL, &f->repair) == 0;
	if (p->o->repair && remedy == REMEDY_COPY && (why->kind == ERR_CORRUPT ||
	    why->kind == ERR_NOTFOUND || why->kind == ERR_IO || why->kind == ERR_KEY))
		f->repaired = mend_object(p->s, p->t, object, &f->repair) == 0;
	if (f->repair.kind != ERR_NONE && strncmp(object, "snap/", strlen("snap/")) == 0)
		tell_way_out(p, object + strlen("snap/"), f);
	verify_report_tell(p->report, f, p->w, "'%s' on '%s'%s%s%s: %s", object, p->t->name,
	    p->id[0] ? " (" : "", p->id, p->id[0] ? ")" : "", without_name(f->why.text, object));
	return f->repaired;
}

/* It stays: what has it whole mends it in its place, by the next run. */
static void
tell_waiting(const struct verify_proof *p, const char *name, const struct err *repair)
{
	const struct tier *t = silent(p, false);
	char *text;

	if (t)
		text = xasprintf("'%s' on '%s' stays as it is, for '%s' does not answer any more "
		    "and may have a good copy\n"
		    "  fix       `ffdr verify --repair` once more, when it answers", name, p->t->name,
		    t->name);
	else
		text = xasprintf("'%s' on '%s' stays as it is: %s", name, p->t->name, repair->text);
	p->w->event(p->w->arg, "warning", text);
	free(text);
}

/*
 * A bad pack that no tier can mend. One that is away may, but who knows when; and in its place it would
 * be taken for there: by the next backup, which reuses it, and by the next copy. It is read once more
 * first: a pack that has its hash now stays.
 */
static void
set_aside(struct verify_proof *p, const struct manifest_pack *mp)
{
	struct verify_finding *f = &p->report->finding[p->report->count - 1];
	char name[LAYOUT_NAME], aside[ASIDE_NAME], *text;
	struct err why = { 0 };

	if (!p->o->repair || f->why.kind != ERR_CORRUPT || f->repair.kind == ERR_NONE)
		return;
	if (scrub_pack(p->t->store, mp->sha, 0, p->s->repo->keys, p->o->level > SCRUB_HASHED ?
	    p->o->level : SCRUB_HASHED, &why) == 0 || why.kind != ERR_CORRUPT)
		return;
	err_clear(&why);
	layout_pack(mp->sha, name);
	if (f->repair.kind != ERR_FROZEN && !lost(p, &f->repair)) {
		tell_waiting(p, name, &f->repair);
		return;
	}
	f->aside = aside_object(p->t->store, name, aside, &why) == 0;
	p->report->aside += f->aside;
	if (f->aside)
		text = xasprintf("'%s' on '%s': %s; set aside as '%s', so that the next backup stores what "
		    "the source still has", name, p->t->name, f->repair.kind == ERR_FROZEN ?
		    "a good copy lies frozen in an archive, from where restore --yes-thaw reads it" :
		    "no tier that answers has a good copy", aside[0] != '\0' ? aside : ASIDE_PREFIX);
	else
		text = xasprintf("'%s' on '%s' could not be set aside: %s", name, p->t->name, why.text);
	p->w->event(p->w->arg, "warning", text);
	free(text);
}

/* ---- packs ---- */

static int
pack_seen(void *arg, const struct store_entry *entry, struct err *e)
{
	struct verify_proof *p = arg;

	(void)e;
	p->listed = mem_grow(p->listed, &p->pack_room, p->packs + 1, sizeof(*p->listed));
	if (layout_pack_parse(entry->name, p->listed[p->packs].sha) == 0)
		p->listed[p->packs++].size = entry->size;
	return 0;
}

int
verify_proof_list(struct verify_proof *p, struct err *e)
{
	return store_list(p->t->store, "pack/", NULL, pack_seen, p, e);
}

static int
by_sha(const void *a, const void *b)
{
	return memcmp(a, b, LAYOUT_SHA);
}

int
verify_proof_listed(const struct verify_proof *p, const struct manifest_pack *mp, struct err *e)
{
	const struct verify_listed *l = p->packs == 0 ? NULL :
	    bsearch(mp->sha, p->listed, p->packs, sizeof(*l), by_sha);

	if (l == NULL)
		return err_set(e, ERR_NOTFOUND, "is not there");
	if (l->size != mp->size)
		return err_set(e, ERR_CORRUPT, "has %llu bytes, expected %u",
		    (unsigned long long)l->size, mp->size);
	return 0;
}

/*
 * What lies in an archive is not ordered back to be verified, which would cost its price each time: the
 * store took it with its hash, and says which.
 */
static int
attest(struct verify_proof *p, const struct manifest_pack *mp, struct err *e)
{
	char name[LAYOUT_NAME];
	struct store_cold is;
	int rc = store_cold(p->t->store, layout_pack(mp->sha, name), &is, e);

	if (rc != 1)
		return rc == -1 ? -1 : err_set(e, ERR_NOTFOUND, "is not there");
	if (is.size != mp->size || (is.summed && memcmp(is.sha, mp->sha, LAYOUT_SHA) != 0))
		return err_set(e, ERR_CORRUPT, "is not what its name says, by the store's own hash");
	p->unsummed |= !is.summed;
	packset_add(&p->frozen, mp->sha);
	return 0;
}

static int
look(struct verify_proof *p, const struct manifest_pack *mp, struct err *e)
{
	struct err why = { 0 };
	int rc = scrub_pack(p->t->store, mp->sha, mp->size, p->s->repo->keys, p->o->level, &why);

	if (rc == -1 && why.kind == ERR_FROZEN) {
		err_clear(&why);
		rc = attest(p, mp, &why);
	}
	if (rc == -1 && e)
		*e = why;
	return rc;
}

int
verify_proof_pack(struct verify_proof *p, const struct manifest_pack *mp, struct err *e)
{
	char name[LAYOUT_NAME];
	struct err why = { 0 };
	bool frozen;
	int rc;

	if (packset_has(&p->good, mp->sha) || packset_has(&p->bad, mp->sha))
		return packset_has(&p->good, mp->sha);
	if (verify_report_stopped(p->w, p->t->name, e) == -1)
		return -1;
	rc = verify_proof_listed(p, mp, &why);
	if (rc == 0 && p->o->level > SCRUB_LISTED) {
		rc = look(p, mp, &why);
		frozen = packset_has(&p->frozen, mp->sha);
		p->report->frozen += frozen;
		p->report->bytes += frozen ? 0 : mp->size;
		p->report->done += mp->size;
		p->w->progress(p->w->arg, "verifying", p->report->done,
		    p->report->done <= p->total ? p->total : 0);
	}
	p->report->packs++;
	if (rc == -1 && why.kind == ERR_REMOTE) {
		*e = why;
		return -1;
	}
	/* What was broken off says nothing of the pack. */
	if (rc == -1 && verify_report_stopped(p->w, p->t->name, e) == -1)
		return -1;
	if (rc == -1) {
		if (verify_proof_find(p, layout_pack(mp->sha, name), REMEDY_COPY, &why) == 1)
			rc = look(p, mp, NULL);
		else if (verify_report_stopped(p->w, p->t->name, e) == -1)
			return -1;
		else
			set_aside(p, mp);
	}
	packset_add(rc == 0 ? &p->good : &p->bad, mp->sha);
	return rc == 0;
}

void
verify_proof_done(struct verify_proof *p)
{
	free(p->listed);
	packset_done(&p->good);
	packset_done(&p->bad);
	packset_done(&p->frozen);
}
