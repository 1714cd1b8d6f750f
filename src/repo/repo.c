/*
 * Opening is looking at all tiers at once, because a tier alone cannot show that it was swapped,
 * set back or never made. Tiers that are away do not stop anything: the others say enough. A tier
 * that answers and is empty is another matter, since writing packs there would leave them without
 * their keys; it is taken out of the run and says so, like one that holds another repository. One
 * that has lost its repo/ objects alone still says whose it is by the signatures of its key
 * objects: it stays, and is given them back.
 */
#include "repo/repo.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "repo/repo_load.h"
#include "repo/repo_ours.h"
#include "repo/repo_pin.h"

void
repo_free(struct repo *r)
{
	if (r == NULL)
		return;
	keyring_free(r->keys);
	repo_chain_done(&r->chain);
	free(r->escrow_pem);
	free(r->clock_path);
	free(r);
}

int64_t
repo_replaced(const struct repo *r, const char *recipient)
{
	const struct identity *last = repo_chain_last(&r->chain);
	const struct identity_replaced *x = identity_replaced(last, recipient);

	return x == NULL ? 0 : x->at_ns;
}

int
repo_check_replaced(const struct repo *r, struct err *e)
{
	const struct {
		const char *recipient, *key, *what;
	} ours[] = {
		{ r->kek, "kek", "key-encryption key" }, { r->escrow, "escrow", "escrow key" },
	};
	char when[UNITS_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
		int64_t at_ns = repo_replaced(r, ours[i].recipient);

		if (at_ns == 0)
			continue;
		err_set(e, ERR_REFUSED, "the %s of this host, %s, was replaced at %s, so nothing is "
		    "wrapped for it any more", ours[i].what, ours[i].recipient,
		    units_time(at_ns, when));
		return err_line(e, "fix", "[keys] %s must name the new one, on this host, too",
		    ours[i].key);
	}
	return 0;
}

/*
 * Has one of our signers signed a key object that lies there? 1, 0; -1: none of those that could be read,
 * and others could not. One that falls silent is asked no more.
 */
static int
is_ours(const struct repo *r, const struct repo_scan_tier *t, struct err *e)
{
	struct err untold = { 0 };
	struct buf text;
	int rc = 0;

	buf_init(&text, KEYRING_TEXT_MAX);
	for (size_t i = 0; i < t->names && rc == 0 && untold.kind != ERR_REMOTE; i++) {
		struct err why = { 0 };

		buf_reset(&text);
		if (store_get(t->tier->store, t->name[i], &text, &why) == 0)
			rc = keyring_check(r->keys, t->name[i], &text, NULL) == 0;
		else if (tier_leaves_open(why.kind))
			untold = why;
	}
	buf_done(&text);
	if (rc == 1 || untold.kind == ERR_NONE)
		return rc;
	*e = untold;
	return -1;
}

int
repo_reach(const struct repo *r, const struct tier *t, struct store **ret, struct err *e)
{
	struct tier again = { .name = t->name, .options = t->options };
	struct tier_set only = { &again, 1 };
	struct repo_scan s = { 0 };
	int ours, rc = store_open(&again.options, &again.store, e);

	if (rc == -1)
		return -1;
	repo_scan(&only, &s);
	if (s.tier[0].away) {
		*e = again.why;
		rc = -1;
	} else {
		ours = s.tier[0].holds ? is_ours(r, &s.tier[0], e) : 0;
		rc = ours == 1 ? 0 : -1;
		if (ours == 0)
			err_set(e, ERR_REMOTE, "'%s' answers, but does not hold this repository: is it "
			    "mounted?", t->options.url);
	}
	if (rc == 0)
		*ret = again.store;
	else
		store_close(again.store);
	repo_scan_done(&s);
	return rc;
}

/* Did that place hold it at the time that is looked at? */
static bool
was_ours(const struct repo_scan *s, const struct tier *t)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->tier[i].tier != t && !s->tier[i].away && s->tier[i].holds &&
		    strcmp(s->tier[i].tier->options.url, t->options.url) == 0)
			return true;
	return false;
}

bool
repo_tell_emptied(const struct tier *t, const char *label, struct err *e)
{
	if (!t->store->ops->looks_back)
		return false;
	err_line(e, label, "where somebody emptied or overwrote it, and it keeps versions: `ffdr copy "
	    "--as-of TIME --to %s`, see runbooks/after-an-attack.md", t->name);
	return true;
}

int
repo_tell_stray(const struct tier *t, struct err *e)
{
	return err_line(e, repo_tell_emptied(t, "fix", e) ? "or" : "fix", "bring repo/ and key/ back from "
	    "another copy of it, or give the tier an empty place");
}

/* Its beginning was read and is that of the others; or what lies there is signed by us. 1, 0, -1 untold. */
static int
is_known(const struct repo *r, const struct repo_scan_tier *t, struct err *e)
{
	if (t->holds && t->first->len > 0)
		return 1;
	return t->holds || t->stray ? is_ours(r, t, e) : 0;
}

static void
close_tier(struct tier *t)
{
	store_close(t->store);
	t->store = NULL;
}

/* Tiers that hold no repository, and those of which it is not known whose: one refusal may hide that. */
static void
close_others(const struct repo *r, const struct repo_scan *s, bool past)
{
	for (size_t i = 0; i < s->count; i++) {
		struct tier *t = s->tier[i].tier;
		struct err untold = { 0 };
		int known = s->tier[i].away ? -1 : is_known(r, &s->tier[i], &untold);

		if (known == 1)
			continue;
		if (known == -1) {
			if (untold.kind != ERR_NONE)
				tier_untold(t, &untold);
			close_tier(t);
			continue;
		}
		if (past && t->options.as_of_ns == 0 && (!s->tier[i].stray || was_ours(s, t)))
			continue;
		t->found = s->tier[i].holds || s->tier[i].stray ? TIER_RUINED : TIER_OTHER;
		if (s->tier[i].holds) {
			err_set(&t->why, ERR_REFUSED, "holds a repository, and nothing that can be read "
			    "there says that it is this one");
			err_line(&t->why, "fix", "the same command, once all of it answers; or see that "
			    "the right place is mounted there and its url right");
			repo_tell_emptied(t, "or", &t->why);
		} else if (s->tier[i].stray) {
			err_set(&t->why, ERR_REFUSED, "holds objects but no repo/ object that says "
			    "whose they are");
			repo_tell_stray(t, &t->why);
		} else if (t->options.as_of_ns != 0) {
			err_set(&t->why, ERR_NOTFOUND, "held no repository then");
		} else {
			err_set(&t->why, ERR_NOTFOUND, "holds no repository yet: run 'ffdr init'");
		}
		close_tier(t);
	}
}

/* Does a tier show what it held before? It may have been emptied then, and no host knows of it. */
static bool
has_past(const struct repo_scan *s)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct store *store = s->tier[i].tier->store;

		if (store && store->ops->looks_back && store->options.as_of_ns == 0)
			return true;
	}
	return false;
}

static int
none_found(const struct repo_scan *s, struct err *e)
{
	const struct tier *stray = NULL;

	if (s->away == s->count)
		err_set(e, ERR_REMOTE, "no tier can be reached");
	else
		err_set(e, ERR_NOTFOUND, "no tier holds a repository");
	for (size_t i = 0; i < s->count; i++) {
		if (!s->tier[i].stray)
			continue;
		stray = stray ? stray : s->tier[i].tier;
		err_line(e, s->tier[i].tier->name, "holds objects but no repo/ object that says whose "
		    "they are");
	}
	repo_scan_tell_away(s, e);
	if (s->away == s->count)
		return -1;
	if (stray)
		return repo_tell_stray(stray, e);
	return err_line(e, "fix", "run 'ffdr init' to make one%s", has_past(s) ? "; not where a bucket was "
	    "emptied: --as-of TIME shows what it keeps out of sight" : "");
}

int
repo_open(struct tier_set *tiers, const struct repo_options *o, struct repo **ret, struct err *e)
{
	struct repo_scan s;
	struct repo *r = NULL;
	int rc = -1;

	tier_open_rest(tiers);
	repo_scan(tiers, &s);
	repo_ours_keep(&s, o->pin_path, o->sign);
	if (s.holding == 0) {
		/* What this host remembers is told rather than how to begin anew. */
		if (s.away == s.count || o->past || repo_pin_check_none(o->pin_path, e) == 0)
			none_found(&s, e);
		goto out;
	}
	if (repo_load(tiers, &s, o, &r, e) == -1)
		goto out;
	if (r->keys->epochs == 0) {
		err_set(e, ERR_KEY, "the repository has no key object on any tier");
		repo_scan_tell_away(&s, e);
		err_line(e, "fix", "if its init was cut short, run 'ffdr init' again");
		goto out;
	}
	if (!o->past)
		repo_pin_write(o->pin_path, &r->chain);
	close_others(r, &s, o->past);
	r->keys->sign = o->sign;
	*ret = r;
	r = NULL;
	rc = 0;
out:
	repo_free(r);
	repo_scan_done(&s);
	return rc;
}
