/*
 * After somebody who may write to a bucket has deleted and overwritten what lies there: back by names,
 * for a name has but one sound object ever. So it does not matter in which tier of that time it is found,
 * nor what the attacker wrote, and a run that was broken off is gone on with by the next one.
 *
 * What opens the rest comes first, and manifests last, so that at no time a snapshot is there without what
 * it needs. Records come as well: a hold that is lost would let something expire. What an object is worth
 * is judged by its signature or hash, where there are reasons to ask: another size than then, or a time
 * behind that one.
 *
 * Not all that one tier had is another's. Proofs tell of the tier they lie on, so they come back to it
 * alone. And a tier of an archive class gets no WAL in small pieces: what lay there comes back by name,
 * and what else it is to have in bundles, as a copy would bring it.
 */
#include "job/rebuild.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "job/cold.h"
#include "job/mend.h"
#include "job/pg/pg_facts.h"
#include "job/tiers.h"
#include "job/wal/wal_copy.h"
#include "repo/layout_wal.h"
#include "repo/record.h"

#define BUNDLES "walb/"
#define SNAPSHOTS "snap/"
static const char *const order[] = { "repo/", "key/", "pack/", "wal/", BUNDLES, "rec/", SNAPSHOTS };
/* Below these, what lay on a tier is that tier's alone. */
static const char *const own[] = { "rec/" RECORD_VERIFIED "/", "rec/" RECORD_BROKEN "/" };

struct name {
	char name[LAYOUT_NAME];
	uint64_t size;
	int64_t time_ns;
	bool own; /* it lay on the very tier */
};
struct names {
	struct name *item;
	size_t count, room;
};

struct rebuilding {
	struct session *s;
	const struct watch *w;
	struct rebuild_report *report;
	bool dry_run;
	bool cold; /* the tier is of an archive class */
	size_t frozen; /* bundles of other tiers that would have to be thawed: left there */
	size_t absent; /* below this prefix: nobody had a good one, and so it is not there */
};

/* Is it for no other tier than the one it lay on? */
static bool
is_own(const struct rebuilding *r, const char *name)
{
	struct layout_wal at;

	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (strncmp(name, own[i], strlen(own[i])) == 0)
			return true;
	return r->cold && layout_wal_parse(name, &at) == 0 && at.kind == LAYOUT_WAL_PIECE;
}

static int
see(void *arg, const struct store_entry *entry, struct err *e)
{
	struct names *l = arg;
	struct name *n;

	(void)e;
	if (strlen(entry->name) >= LAYOUT_NAME)
		return 0;
	l->item = mem_grow(l->item, &l->room, l->count + 1, sizeof(*l->item));
	n = &l->item[l->count++];
	snprintf(n->name, sizeof(n->name), "%s", entry->name);
	n->size = entry->size;
	n->time_ns = entry->time_ns;
	n->own = true;
	return 0;
}

struct seeing {
	const struct rebuilding *r;
	struct names *names;
};

static int
see_other(void *arg, const struct store_entry *entry, struct err *e)
{
	const struct seeing *x = arg;
	const size_t before = x->names->count;

	if (!is_own(x->r, entry->name) && see(x->names, entry, e) == -1)
		return -1;
	if (x->names->count > before)
		x->names->item[before].own = false;
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->name, ((const struct name *)b)->name);
}

/* What any of them had then and the tier is to have, each name once. */
static int
list_then(struct rebuilding *r, const char *prefix, struct names *ret, struct err *e)
{
	const struct tier *now = r->s->now;
	struct seeing other = { r, ret };
	size_t kept = 0;

	for (size_t i = 0; i < r->s->tiers.count; i++) {
		const struct tier *t = &r->s->tiers.tier[i];
		const bool same = strcmp(t->name, now->name) == 0;

		if (t != now && t->store && store_list(t->store, prefix, NULL, same ? see : see_other,
			same ? (void *)ret : (void *)&other, e) == -1)
			return err_in(e, "tier '%s', as it was", t->name);
	}
	if (ret->count > 1)
		qsort(ret->item, ret->count, sizeof(*ret->item), by_name);
	for (size_t i = 0; i < ret->count; i++)
		if (kept == 0 || strcmp(ret->item[kept - 1].name, ret->item[i].name) != 0)
			ret->item[kept++] = ret->item[i];
		else
			ret->item[kept - 1].own |= ret->item[i].own;
	ret->count = kept;
	return 0;
}

/* 1 it is there and sound, 0 not, -1. */
static int
is_there(struct rebuilding *r, const struct name *then, const struct name *now, struct err *e)
{
	if (!now)
		return 0;
	if (now->size == then->size && now->time_ns <= r->s->as_of_ns)
		return 1;
	return mend_judge(r->s, r->s->now, then->name, e);
}

static void
tell_lost(struct rebuilding *r, const char *name, const struct err *why)
{
	char *text = xasprintf("'%s': no tier had a good one: %s", name, why->text);

	r->report->lost++;
	r->w->event(r->w->arg, "warning", text);
	free(text);
}

static bool
nobody_has(const struct err *why)
{
	return why->kind == ERR_CORRUPT || why->kind == ERR_NOTFOUND || why->kind == ERR_KEY;
}

static int
one(struct rebuilding *r, const struct name *then, const struct name *now, struct err *e)
{
	struct err why = { 0 };
	int rc;

	if (r->w->stop(r->w->arg))
		return err_set(e, ERR_CANCELLED, "the rebuilding of '%s' was interrupted: the same "
		    "command goes on", r->s->now->name);
	rc = is_there(r, then, now, e);
	if (rc == 0 && !r->dry_run && mend_object(r->s, r->s->now, then->name, &why) == -1) {
		const bool frozen = why.kind == ERR_FROZEN &&
		    strncmp(then->name, BUNDLES, strlen(BUNDLES)) == 0;

		if (!nobody_has(&why) && !frozen) {
			*e = why;
			return err_in(e, "'%s'", then->name);
		}
		if (frozen && !then->own)
			r->frozen++;
		else
			tell_lost(r, then->name, &why);
		r->absent += !now;
	} else if (rc == 0) {
		r->report->missing += !now;
		r->report->replaced += now != NULL;
		r->report->bytes += then->size;
	}
	return rc == -1 ? -1 : 0;
}

/* Whoever may write to a bucket may also have given it a rule that removes what comes. */
static int
prove(struct rebuilding *r, const char *prefix, const struct names *then, struct err *e)
{
	struct names now = { 0 };
	size_t gone = 0;
	int rc = store_list(r->s->now->store, prefix, NULL, see, &now, e);

	for (size_t i = 0; i < then->count && rc == 0; i++)
		gone += now.count == 0 ||
		    !bsearch(&then->item[i], now.item, now.count, sizeof(*now.item), by_name);
	free(now.item);
	if (rc == -1 || gone <= r->absent)
		return rc;
	err_set(e, ERR_CORRUPT, "brought back to '%s' and gone again: %zu of %zu below %s",
	    r->s->now->name, gone - r->absent, then->count, prefix);
	return err_line(e, "fix", "remove the rules of the bucket that delete objects (lifecycle), then "
	    "the same command");
}

/*
 * A repository object that somebody has added with our keys holds from then on: it may say that our kek
 * was replaced, and then our key objects go. Only a person knows whether it was one of us.
 */
static void
tell_since(struct rebuilding *r, const struct names *then, const struct names *now)
{
	for (size_t i = 0; i < now->count; i++) {
		const struct name *n = &now->item[i];
		char *text;

		if (then->count > 0 && bsearch(n, then->item, then->count, sizeof(*n), by_name))
			continue;
		text = xasprintf("'%s' came to '%s' since then, and counts\n"
				 "  fix       where nobody of you made it, delete it in the bucket before "
				 "anything else is written there", n->name, r->s->now->name);
		r->w->event(r->w->arg, "warning", text);
		free(text);
	}
}

/* ---- what is put together anew ---- */

/* What a copy has brought, or why not; no log that cannot be had keeps the rest away. */
static int
count_wal(struct rebuilding *r, const struct wal_copy_report *sent, const char *whose, int rc,
    struct err *why, struct err *e)
{
	r->report->missing += sent->sent;
	r->report->names += sent->sent;
	r->report->bytes += sent->bytes;
	if (rc == 0)
		return 0;
	err_in(why, "the WAL of %s", whose);
	if (!nobody_has(why) && why->kind != ERR_FROZEN) {
		*e = *why;
		return -1;
	}
	tell_lost(r, whose, why);
	return 0;
}

/* The log that a base backup needs, in the form that an archive gets it. */
static int
bring_wal(struct rebuilding *r, const struct layout_snap *snap, const struct pg_facts *f, struct err *e)
{
	struct wal_copy_report sent = { 0 };
	struct err why = { 0 };
	int rc;

	tiers_near(r->s->conf, snap->source, NULL, &r->s->tiers);
	rc = wal_copy_base(r->s, snap->source, f, r->s->now, r->w, &sent, &why);
	return count_wal(r, &sent, snap->id, rc, &why, e);
}

/* And what lies between and behind them, where the tier is one that has it. */
static int
bring_between(struct rebuilding *r, struct err *e)
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
		rc = count_wal(r, &sent, source->name, rc, &why, e);
	}
	return rc;
}

static int
bring_wal_of(struct rebuilding *r, const struct names *snaps, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < snaps->count && rc == 0; i++) {
		const char *name = snaps->item[i].name;
		struct manifest m;
		struct layout_snap part;
		struct pg_facts f;
		int got = -1;

		if (layout_snap_parse(name, &part) == -1 || strncmp(part.source, "pg.", strlen("pg.")) != 0)
			continue;
		manifest_init(&m);
		for (size_t k = 0; k < r->s->tiers.count && got == -1; k++) {
			const struct tier *t = tier_near(&r->s->tiers, k);

			if (t->store)
				got = manifest_get(t->store, name, r->s->repo->keys, &m, NULL);
		}
		/* One that nobody has readable is told when its turn comes. */
		if (got == 0 && pg_facts_read(&m, &f, NULL) == 1)
			rc = bring_wal(r, &part, &f, e);
		manifest_done(&m);
	}
	return rc;
}

static int
all_of(struct rebuilding *r, const char *prefix, struct err *e)
{
	struct names then = { 0 }, now = { 0 };
	int rc = list_then(r, prefix, &then, e);

	r->absent = 0;
	if (rc == 0 && store_list(r->s->now->store, prefix, NULL, see, &now, e) == -1)
		rc = err_in(e, "tier '%s'", r->s->now->name);
	if (rc == 0 && r->cold && !r->dry_run && strcmp(prefix, SNAPSHOTS) == 0)
		rc = bring_wal_of(r, &then, e);
	for (size_t i = 0; i < then.count && rc == 0; i++) {
		const struct name *there = now.count == 0 ? NULL :
		    bsearch(&then.item[i], now.item, now.count, sizeof(*now.item), by_name);

		rc = one(r, &then.item[i], there, e);
		r->w->count(r->w->arg, "bringing back", i + 1, then.count);
	}
	r->report->names += then.count;
	if (strcmp(prefix, "repo/") == 0 || strcmp(prefix, "key/") == 0)
		tell_since(r, &then, &now);
	if (rc == 0 && !r->dry_run)
		rc = prove(r, prefix, &then, e);
	free(then.item);
	free(now.item);
	return rc;
}

/* What it alone had then is in no list, so nobody would miss it. */
static void
tell_away(const struct session *s, const struct watch *w)
{
	for (size_t i = 0; i < s->tiers.count; i++) {
		const struct tier *t = &s->tiers.tier[i];
		char *text;

		if (t == s->now || t->store || session_left_out(s, t))
			continue;
		text = xasprintf("tier '%s' cannot be looked at: what it alone had then is not brought: "
				 "%.*s\n  fix       the same command, once it answers", t->name,
		    (int)strcspn(t->why.text, "\n"), t->why.text);
		w->event(w->arg, "warning", text);
		free(text);
	}
}

/* What the log of its base backups needs came as pieces, or was told. */
static void
tell_frozen(const struct rebuilding *r)
{
	char n[UNITS_TEXT], *text;

	if (r->frozen == 0)
		return;
	text = xasprintf("%s of WAL of other tiers lie in an archive, and were not brought to '%s'",
	    units_count(r->frozen, "bundle", n), r->s->now->name);
	r->w->event(r->w->arg, "frozen", text);
	free(text);
}

int
rebuild_run(struct session *s, bool dry_run, const struct watch *w, struct rebuild_report *ret,
    struct err *e)
{
	struct rebuilding r = { .s = s, .w = w, .report = ret, .dry_run = dry_run };
	int rc = 0;

	*ret = (struct rebuild_report){ 0 };
	r.cold = cold_wait_ms(s->now->options.class, STORE_STANDARD) > 0;
	if (!s->now->store) {
		*e = s->now->why;
		return err_in(e, "tier '%s'", s->now->name);
	}
	tell_away(s, w);
	for (size_t i = 0; i < ARRAY_LEN(order) && rc == 0; i++)
		rc = all_of(&r, order[i], e);
	if (rc == 0 && r.cold && !dry_run)
		rc = bring_between(&r, e);
	tell_frozen(&r);
	return rc;
}
