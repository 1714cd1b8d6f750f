/*
 * Init may be run by several hosts, over tiers some of which are new, and again after it was cut
 * short. So it is a walk towards one state instead of a creation: first it must see every tier,
 * because a repository on the one that is away would make a second one of ours. repo/0 goes first
 * and in the order of the configuration: of two hosts that begin at once, one meets the other's
 * on the first tier before it has put anything anywhere. A repository without any key object is
 * one whose init was cut short right there; nothing can have been sealed, so keys may still be
 * made.
 */
#include "repo/repo.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "filter/key.h"
#include "repo/repo_load.h"
#include "repo/repo_pin.h"
#include "repo/repo_spread.h"

static int
refuse_away(const struct repo_scan *s, struct err *e)
{
	err_set(e, ERR_REFUSED, "%zu of %zu tiers cannot be reached, and one of them may hold a "
	    "repository already", s->away, s->count);
	return err_line(e, repo_scan_tell_away(s, e) > 0 ? "or" : "fix", "bring the tier back, or take "
	    "it out of the configuration until it is there");
}

static int
check_tiers(const struct repo_scan *s, struct err *e)
{
	if (s->count == 0)
		return err_set(e, ERR_CONFIG, "there is no tier");
	if (s->away > 0)
		return refuse_away(s, e);
	for (size_t i = 0; i < s->count; i++) {
		if (!s->tier[i].stray)
			continue;
		err_set(e, ERR_REFUSED, "tier '%s' holds objects but no repo/ object that says "
		    "whose they are", s->tier[i].tier->name);
		return repo_tell_stray(s->tier[i].tier, e);
	}
	return 0;
}

static int
need_private(const struct repo_options *o, struct err *e)
{
	if (o->sign != NULL && sign_key_is_private(o->sign))
		return 0;
	return err_set(e, ERR_KEY, "making a repository needs the private signing key: [keys] "
	    "signing");
}

/* Puts repo/0 on the first tier; another host's there means that it was faster. */
static int
put_first(struct tier_set *tiers, const struct buf *text, struct err *e)
{
	struct err why = { 0 };

	if (repo_spread_put(&tiers->tier[0], "repo/0", text, &why) != -1)
		return repo_spread_put_all(tiers, "repo/0", text, e);
	*e = why;
	if (why.kind != ERR_EXISTS)
		return -1;
	err_set(e, ERR_BUSY, "another host is making a repository on tier '%s' right now",
	    tiers->tier[0].name);
	return err_line(e, "fix", "run it again: it will adopt that one");
}

static int
make_identity(struct tier_set *tiers, const struct repo_options *o, struct err *e)
{
	struct identity it = {
		.created_ns = clock_real_ns(),
		.horizon_ns = o->horizon_ms * CLOCK_MS,
		.pack_size = (uint32_t)o->pack_size,
	};
	struct buf text;
	int rc = -1;

	key_random(it.repo_id, sizeof(it.repo_id));
	buf_init(&text, IDENTITY_TEXT_MAX);
	identity_add_signer(&it, sign_key_public(o->sign), it.created_ns);
	if (identity_encode(&it, o->sign, NULL, &text, e) == 0)
		rc = put_first(tiers, &text, e);
	buf_done(&text);
	identity_done(&it);
	return rc;
}

/*
 * The key object of one epoch for one recipient, unless some tier has it: spreading brings that.
 * 1 made, 0, -1.
 */
static int
make_key(struct repo *r, const struct repo_scan *s, const struct keyring_epoch *ep,
    const struct repo_options *o, bool escrow, struct err *e)
{
	char name[LAYOUT_NAME];
	struct buf text;
	int rc;

	buf_init(&text, KEYRING_TEXT_MAX);
	rc = keyring_object(r->keys, ep, o->kek, escrow ? o->escrow_pem : NULL, name, &text, e);
	if (rc == 0 && !repo_scan_anywhere(s, name))
		rc = repo_spread_put_all(r->tiers, name, &text, e) == -1 ? -1 : 1;
	buf_done(&text);
	return rc;
}

/* Every epoch has an object for the kek and for the escrow. 1 some were made, 0 none, -1. */
static int
make_keys(struct repo *r, const struct repo_scan *s, const struct repo_options *o, struct err *e)
{
	int some = 0, by_kek, by_escrow = 0;

	if (r->keys->epochs == 0)
		keyring_add_epoch(r->keys, clock_real_ns());
	for (size_t i = 0; i < r->keys->epochs; i++) {
		const struct keyring_epoch *ep = &r->keys->epoch[i];

		by_kek = make_key(r, s, ep, o, false, e);
		if (by_kek != -1 && o->escrow_pem != NULL)
			by_escrow = make_key(r, s, ep, o, true, e);
		if (by_kek == -1 || by_escrow == -1)
			return -1;
		some = some || by_kek == 1 || by_escrow == 1;
	}
	return some;
}

/* Opens what is there, makes missing keys, brings everything to every tier. */
static int
complete(struct tier_set *tiers, const struct repo_options *o, const struct repo_scan *before,
    unsigned *made, struct err *e)
{
	struct repo_scan s;
	struct repo *r = NULL;
	int rc = -1, keys = 0;

	repo_scan(tiers, &s);
	if (s.away > 0) {
		refuse_away(&s, e);
		goto out;
	}
	if (repo_load(tiers, &s, o, &r, e) == -1)
		goto out;
	if ((r->keys->epochs == 0 && need_private(o, e) == -1) || repo_check_replaced(r, e) == -1)
		goto out;
	r->keys->sign = o->sign;
	if (o->sign != NULL && sign_key_is_private(o->sign))
		keys = make_keys(r, &s, o, e);
	if (keys == -1)
		goto out;
	for (size_t i = 0; i < tiers->count; i++) {
		int got = repo_spread(r, &tiers->tier[i], e);

		if (got == -1)
			goto out;
		if (got == 1 || keys == 1 || !before->tier[i].holds)
			++*made;
	}
	rc = 0;
out:
	if (r != NULL)
		r->keys->sign = NULL; /* borrowed until the end */
	repo_free(r);
	repo_scan_done(&s);
	return rc;
}

int
repo_init(struct tier_set *tiers, const struct repo_options *o, unsigned *made, struct repo **ret,
    struct err *e)
{
	struct repo_scan s;
	unsigned count = 0;
	int rc = -1;

	tier_open_rest(tiers);
	repo_scan(tiers, &s);
	if (check_tiers(&s, e) == -1)
		goto out;
	if (s.holding == 0 && (repo_pin_check_none(o->pin_path, e) == -1 ||
	    need_private(o, e) == -1 || make_identity(tiers, o, e) == -1))
		goto out;
	if (complete(tiers, o, &s, &count, e) == -1)
		goto out;
	/* What was made is only believed once it opens like any other. */
	if (repo_open(tiers, o, ret, e) == -1)
		goto out;
	*made = count;
	rc = 0;
out:
	repo_scan_done(&s);
	return rc;
}
