/*
 * After somebody who may write to a bucket has deleted and overwritten what lies there: back by names,
 * for a name has but one sound object ever. So it does not matter in which tier of that time it is found,
 * nor what the attacker wrote, and a run that was broken off is gone on with by the next one.
 *
 * What opens the rest comes first, and manifests last, so that at no time a snapshot is there without what
 * it needs. Records come as well: a hold that is lost would let something expire. What an object is worth
 * is judged by its signature or hash, where there are reasons to ask: another size than then, a time
 * behind that one, or that nobody had it then and a snapshot needs it. Its name is worth nothing.
 *
 * Not all that one tier had is another's. Proofs tell of the tier they lie on, so they come back to it
 * alone. And a tier of an archive class gets no WAL in small pieces: what lay there comes back by name,
 * and what else it is to have in bundles, as a copy would bring it. None gets a bundle of another tier
 * whose log it has in pieces.
 *
 * What lies in an archive alone is ordered back in one sum before anything is brought, where somebody has
 * agreed to that. Else it is left there, and so are the snapshots that could not be without it.
 */
#include "job/rebuild_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "job/inventory.h"
#include "job/mend.h"
#include "repo/layout_wal.h"
#include "repo/record.h"

#define TEXT_MOST 2000
#define PACKS "pack/"
#define PIECES "wal/"
#define BUNDLES "walb/"
#define SNAPSHOTS "snap/"
static const char *const order[] = { "repo/", "key/", PACKS, PIECES, BUNDLES, "rec/",
	SNAPSHOTS };
/* Below these, what lay on a tier is that tier's alone. */
static const char *const own[] = { "rec/" RECORD_VERIFIED "/", "rec/" RECORD_BROKEN "/" };

/* Is it for no other tier than the one it lay on? */
static bool
is_own(const struct rebuilding *r, const char *name)
{
	struct layout_wal at;

	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (strncmp(name, own[i], strlen(own[i])) == 0)
			return true;
	return r->s->now->archive && layout_wal_parse(name, &at) == 0 && at.kind == LAYOUT_WAL_PIECE;
}

static int
see(void *arg, const struct store_entry *entry, struct err *e)
{
	struct rebuild_names *l = arg;
	struct rebuild_name *n;

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
	struct rebuild_names *names;
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
	return strcmp(((const struct rebuild_name *)a)->name, ((const struct rebuild_name *)b)->name);
}

/* In a list that is in order. */
static const struct rebuild_name *
find_name(const struct rebuild_names *l, const struct rebuild_name *n)
{
	return l->count == 0 ? NULL : bsearch(n, l->item, l->count, sizeof(*n), by_name);
}

/* What it alone had then is in no list, so nobody would miss it. */
static void
tell_away(const struct rebuilding *r, const struct tier *t)
{
	char *text = xasprintf("tier '%s' cannot be looked at as it was: what it alone had then is not "
	    "brought: %.*s\n  fix       the same command, once it answers", t->name,
	    (int)strcspn(t->why.text, "\n"), t->why.text);

	r->w->event(r->w->arg, "warning", text);
	free(text);
}

/* One that cannot be listed is as one that is away, from then on. */
static int
leave_out(struct rebuilding *r, struct tier *t, const struct err *why, struct err *e)
{
	size_t others = 0;

	for (size_t i = 0; i < r->s->tiers.count; i++)
		others += &r->s->tiers.tier[i] != t && &r->s->tiers.tier[i] != r->s->now &&
			  r->s->tiers.tier[i].store;
	t->why = *why;
	if (others == 0) {
		*e = *why;
		return err_in(e, "tier '%s', as it was", t->name);
	}
	tell_away(r, t);
	thaw_leave(r->thaw, t);
	store_close(t->store);
	t->store = NULL;
	return 0;
}

/* Bundles that others alone had, of log that is there in pieces. */
static void
drop_covered(const struct rebuilding *r, struct rebuild_names *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->count; i++)
		if (l->item[i].own || !rebuild_log_has(&r->log, l->item[i].name))
			l->item[kept++] = l->item[i];
	l->count = kept;
}

/* What any of them had then and the tier is to have, each name once. */
static int
list_then(struct rebuilding *r, const char *prefix, struct rebuild_names *ret, struct err *e)
{
	const struct tier *now = r->s->now;
	struct seeing other = { r, ret };
	size_t kept = 0;

	for (size_t i = 0; i < r->s->tiers.count; i++) {
		struct tier *t = &r->s->tiers.tier[i];
		const bool same = strcmp(t->name, now->name) == 0;
		const size_t before = ret->count;
		struct err why = { 0 };

		if (t == now || !t->store || store_list(t->store, prefix, NULL, same ? see : see_other,
			same ? (void *)ret : (void *)&other, &why) == 0)
			continue;
		ret->count = before;
		if (leave_out(r, t, &why, e) == -1)
			return -1;
	}
	if (ret->count > 1)
		qsort(ret->item, ret->count, sizeof(*ret->item), by_name);
	for (size_t i = 0; i < ret->count; i++)
		if (kept == 0 || strcmp(ret->item[kept - 1].name, ret->item[i].name) != 0)
			ret->item[kept++] = ret->item[i];
		else
			ret->item[kept - 1].own |= ret->item[i].own;
	ret->count = kept;
	drop_covered(r, ret);
	return 0;
}

/* 1 it is there and sound, 0 not, -1. */
static int
is_there(struct rebuilding *r, const struct rebuild_name *then, const struct rebuild_name *now,
    struct err *e)
{
	if (!now)
		return 0;
	if (now->size == then->size && now->time_ns <= r->s->as_of_ns)
		return 1;
	return mend_judge(r->s, r->s->now, then->name, e);
}

/* ---- one object ---- */

/* Did somebody ask to stop? -1 then; e says so, whatever a read that was broken off looks like. */
static int
interrupted(const struct rebuilding *r, struct err *e)
{
	if (!r->w->stop(r->w->arg))
		return 0;
	return err_set(e, ERR_CANCELLED, "the rebuilding of '%s' was interrupted: the same command goes "
	    "on", r->s->now->name);
}

uint64_t
rebuild_mute(const struct rebuilding *r)
{
	const struct tier_set *set = &r->s->tiers;
	uint64_t mute = 0;

	for (size_t i = 0; i < set->count && i < INVENTORY_TIERS; i++)
		if (&set->tier[i] != r->s->now && tier_may_have(&set->tier[i]))
			mute |= UINT64_C(1) << i;
	return mute;
}

int
rebuild_missed(struct rebuilding *r, const char *name, const struct err *why, uint64_t mute,
    struct err *e)
{
	struct buf text;
	char *who;

	if (why->kind != ERR_CORRUPT && why->kind != ERR_NOTFOUND && why->kind != ERR_KEY) {
		*e = *why;
		return err_in(e, "'%s'", name);
	}
	if (interrupted(r, e) == -1)
		return -1;
	buf_init(&text, TEXT_MOST);
	buf_addf(&text, "'%s' was not brought, for no tier %s all of it: %s", name,
	    mute ? "that answers has" : "had", why->text);
	if (mute) {
		who = inventory_tiers(r->s, mute);
		buf_addf(&text, "\n  fix       the same command, once %s can be asked", who);
		free(who);
	}
	r->report->unanswered += mute != 0;
	r->report->lost += mute == 0;
	r->w->event(r->w->arg, "warning", buf_str(&text));
	buf_done(&text);
	return 0;
}

struct rebuild_left *
rebuild_left(struct rebuilding *r, const struct rebuild_name *then)
{
	return then->own || !r->had ? &r->mine : &r->others;
}

static bool
add_pack(struct packset *set, const char *name)
{
	uint8_t sha[LAYOUT_SHA];

	return layout_pack_parse(name, sha) == 0 && packset_add(set, sha);
}

/* It is there as it must be. */
static void
is_sound(struct rebuilding *r, const char *name)
{
	add_pack(&r->have, name);
	rebuild_log_add(&r->log, name);
}

/* Is it left where it is? Nothing else is frozen but by a rule of the bucket, which ends all. */
static bool
leave(struct rebuilding *r, const struct rebuild_name *then)
{
	struct rebuild_left *whose = rebuild_left(r, then);

	if (strncmp(then->name, PACKS, strlen(PACKS)) == 0)
		whose->packs += add_pack(&r->left, then->name);
	else if (strncmp(then->name, BUNDLES, strlen(BUNDLES)) == 0)
		whose->bundles++;
	else
		return false;
	return true;
}

int
rebuild_bring(struct rebuilding *r, const struct rebuild_name *then, const struct rebuild_name *now,
    struct err *e)
{
	struct err why = { 0 };
	uint64_t mute;

	if (r->dry_run || mend_object(r->s, r->s->now, then->name, &why) == 0) {
		is_sound(r, then->name);
		r->report->missing += !now;
		r->report->replaced += now != NULL;
		r->report->bytes += then->size;
		return 0;
	}
	if (why.kind != ERR_FROZEN || !leave(r, then)) {
		mute = rebuild_mute(r);
		if (rebuild_missed(r, then->name, &why, mute, e) == -1)
			return -1;
		add_pack(mute ? &r->unsure : &r->bad, then->name);
		r->mute |= mute;
		r->holes |= strncmp(then->name, PIECES, strlen(PIECES)) == 0;
	}
	r->absent += !now;
	return 0;
}

static int
one(struct rebuilding *r, const struct rebuild_name *then, const struct rebuild_name *now, struct err *e)
{
	int rc;

	if (interrupted(r, e) == -1)
		return -1;
	rc = is_there(r, then, now, e);
	if (rc == -1)
		return -1;
	if (strncmp(then->name, SNAPSHOTS, strlen(SNAPSHOTS)) == 0)
		return rebuild_snapshot(r, then, now, rc == 1, e);
	if (rc == 1)
		is_sound(r, then->name);
	return rc == 1 ? 0 : rebuild_bring(r, then, now, e);
}

/* Whoever may write to a bucket may also have given it a rule that removes what comes. */
static int
prove(struct rebuilding *r, const char *prefix, const struct rebuild_names *then, struct err *e)
{
	struct rebuild_names now = { 0 };
	size_t gone = 0;
	int rc = store_list(r->s->now->store, prefix, NULL, see, &now, e);

	for (size_t i = 0; i < then->count && rc == 0; i++)
		gone += find_name(&now, &then->item[i]) == NULL;
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
tell_since(struct rebuilding *r, const struct rebuild_names *then, const struct rebuild_names *now)
{
	for (size_t i = 0; i < now->count; i++) {
		const struct rebuild_name *n = &now->item[i];
		char *text;

		if (find_name(then, n))
			continue;
		text = xasprintf("'%s' came to '%s' since then, and counts\n"
				 "  fix       where nobody of you made it, delete it in the bucket before "
				 "anything else is written there", n->name, r->s->now->name);
		r->w->event(r->w->arg, "warning", text);
		free(text);
	}
}

static int
all_of(struct rebuilding *r, const char *prefix, struct err *e)
{
	struct rebuild_names then = { 0 }, now = { 0 };
	int rc = list_then(r, prefix, &then, e);

	r->absent = 0;
	if (rc == 0 && store_list(r->s->now->store, prefix, NULL, see, &now, e) == -1)
		rc = err_in(e, "tier '%s'", r->s->now->name);
	for (size_t i = 0; i < then.count && rc == 0; i++) {
		rc = one(r, &then.item[i], find_name(&now, &then.item[i]), e);
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

/* ---- what lies in an archive ---- */

struct objects {
	struct thaw_object *item;
	size_t count, room;
};

/*
 * Of what begins so, all that is to be brought at any price: what the tier had itself. What others alone
 * had comes where it is at hand, and from an archive only to a tier that is new.
 */
static int
add_missing(struct rebuilding *r, const char *prefix, struct objects *ret, struct err *e)
{
	struct rebuild_names then = { 0 }, now = { 0 };
	int rc = list_then(r, prefix, &then, e);

	if (rc == 0)
		rc = store_list(r->s->now->store, prefix, NULL, see, &now, e);
	for (size_t i = 0; i < then.count; i++)
		r->had = r->had || then.item[i].own;
	for (size_t i = 0; i < then.count && rc != -1; i++) {
		struct thaw_object *o;

		if (r->had && !then.item[i].own)
			continue;
		rc = is_there(r, &then.item[i], find_name(&now, &then.item[i]), e);
		if (rc != 0)
			continue;
		ret->item = mem_grow(ret->item, &ret->room, ret->count + 1, sizeof(*ret->item));
		o = &ret->item[ret->count++];
		snprintf(o->name, sizeof(o->name), "%s", then.item[i].name);
		o->size = then.item[i].size;
	}
	free(then.item);
	free(now.item);
	return rc == -1 ? -1 : 0;
}

/* Which log is about to come in pieces, if all of them are as good as their names. */
static int
expect_log(struct rebuilding *r, struct err *e)
{
	struct rebuild_names then = { 0 };
	int rc = list_then(r, PIECES, &then, e);

	for (size_t i = 0; i < then.count; i++)
		rebuild_log_add(&r->log, then.item[i].name);
	free(then.item);
	return rc;
}

/*
 * Nobody agreed: what is at hand is brought all the same. A second time for bundles alone, where pieces
 * were not what was expected.
 */
static int
order_back(struct rebuilding *r, bool first, struct err *e)
{
	struct objects o = { 0 };
	bool any = false;
	int rc = 0;

	for (size_t i = 0; i < r->s->tiers.count; i++)
		any = any || (&r->s->tiers.tier[i] != r->s->now && r->s->tiers.tier[i].archive);
	if (any && first)
		rc = add_missing(r, PACKS, &o, e);
	if (any && first && rc == 0)
		rc = expect_log(r, e);
	if (any && rc == 0)
		rc = add_missing(r, BUNDLES, &o, e);
	if (any && rc == 0)
		rc = thaw_objects(r->thaw, o.item, o.count, &r->refused);
	if (first)
		rebuild_log_done(&r->log);
	free(o.item);
	if (rc == -1 && r->refused.kind != ERR_NONE && r->refused.kind != ERR_REFUSED)
		*e = r->refused;
	return rc == -1 && r->refused.kind != ERR_REFUSED ? -1 : 0;
}

static bool
say_left(const struct rebuild_left *l, struct buf *out)
{
	char packs[UNITS_TEXT], bundles[UNITS_TEXT], snaps[UNITS_TEXT];

	buf_addf(out, "%s, %s of WAL, and %s that could not be without them",
	    units_count(l->packs, "pack", packs), units_count(l->bundles, "bundle", bundles),
	    units_count(l->snaps, "snapshot", snaps));
	return l->packs + l->bundles + l->snaps > 0;
}

static void
tell_left(const struct rebuilding *r)
{
	const char *why = strchr(r->refused.text, '\n');
	struct buf text;

	buf_init(&text, TEXT_MOST);
	buf_addf(&text, "not brought to '%s', because it lies in an archive: ", r->s->now->name);
	if (say_left(&r->mine, &text)) {
		buf_adds(&text, why ? why : "\n  fix       order it back by the store's own tools "
		    "(restore-object), then the same command");
		r->w->event(r->w->arg, "warning", buf_str(&text));
	}
	buf_reset(&text);
	buf_adds(&text, "what other tiers alone had and lies in an archive stays there: ");
	if (say_left(&r->others, &text))
		r->w->event(r->w->arg, "frozen", buf_str(&text));
	buf_done(&text);
}

/* ---- all of it ---- */

static int
bring_all(struct rebuilding *r, struct err *e)
{
	int rc = order_back(r, true, e);

	for (size_t i = 0; i < ARRAY_LEN(order) && rc == 0; i++) {
		if (r->holes && strcmp(order[i], BUNDLES) == 0)
			rc = order_back(r, false, e);
		if (rc == 0)
			rc = all_of(r, order[i], e);
	}
	if (rc == 0 && r->s->now->archive && !r->dry_run)
		rc = rebuild_between(r, e);
	r->report->left = r->mine.packs + r->mine.bundles;
	r->report->held = r->mine.snaps;
	tell_left(r);
	return rc;
}

int
rebuild_run(struct session *s, const struct rebuild_options *o, const struct watch *w,
    struct rebuild_report *ret, struct err *e)
{
	struct rebuilding r = { .s = s, .w = w, .report = ret, .dry_run = o->dry_run };
	const struct thaw_options to_thaw = {
		.wish = o->thaw, .never = s->now, .watch = w,
		.preview = o->dry_run ? thaw_tell : NULL, .preview_arg = (void *)(uintptr_t)w,
	};
	int rc;

	*ret = (struct rebuild_report){ 0 };
	if (!s->now->store) {
		*e = s->now->why;
		return err_in(e, "tier '%s'", s->now->name);
	}
	for (size_t i = 0; i < s->tiers.count; i++)
		if (&s->tiers.tier[i] != s->now && !s->tiers.tier[i].store &&
		    !session_left_out(s, &s->tiers.tier[i]))
			tell_away(&r, &s->tiers.tier[i]);
	session_hurry_when(s, w->stop, w->arg);
	r.thaw = thaw_new(s, &to_thaw);
	rc = bring_all(&r, e);
	if (rc == -1)
		interrupted(&r, e);
	thaw_free(r.thaw);
	rebuild_log_done(&r.log);
	packset_done(&r.left);
	packset_done(&r.unsure);
	packset_done(&r.bad);
	packset_done(&r.have);
	return rc;
}
