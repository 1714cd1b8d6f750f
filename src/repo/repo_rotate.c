/*
 * Changing keys is where a backup can be lost by success: a data key that seals before its key
 * object is on every tier, or an old key object removed before the new one was proved to open. So
 * each of these wants all tiers, writes, reads back, opens what it read with a fresh keyring, and
 * only then uses or removes anything. Cut short anywhere, what is left is more key objects than
 * needed, never fewer; and the same call again finishes what it finds half made, where a second
 * beginning would leave the first for ever.
 */
#include "repo/repo.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"
#include "repo/repo_audit.h"
#include "repo/repo_next.h"
#include "repo/repo_ours.h"
#include "repo/repo_scan.h"
#include "repo/repo_spread.h"

/* So often other hosts may begin an epoch while we change the kek. */
#define ROUNDS_MOST 10

/* A few kilobytes to each tier: after that a rotation is not under way any more. */
#define ROTATE_NS (60 * CLOCK_S)

static int
need_all(struct repo *r, const char *what, struct err *e)
{
	struct repo_scan s;
	size_t foreign;
	int rc = 0;

	tier_open_rest(r->tiers);
	repo_scan(r->tiers, &s);
	foreign = repo_ours_only(&s, &r->chain.item[0]);
	if (s.away > 0 || s.holding < s.count) {
		rc = err_set(e, foreign > 0 ? ERR_REFUSED : ERR_REMOTE,
		    "%s needs every tier, %zu of %zu are there", what, s.holding, s.count);
		repo_scan_tell_away(&s, e);
		for (size_t i = 0; i < s.count; i++)
			if (!s.tier[i].away && !s.tier[i].holds)
				err_line(e, s.tier[i].tier->name, "holds no repository yet: run "
				    "'ffdr init'");
	}
	repo_scan_done(&s);
	return rc;
}

/* Reads the object from every tier and opens it. */
static int
prove(struct repo *r, const struct kek *kek, const char *name, const struct keyring_epoch *ep,
    struct err *e)
{
	struct keyring *k = keyring_new_like(r->keys);
	const struct keyring_epoch *got;
	struct buf text;
	int rc = 1;

	buf_init(&text, KEYRING_TEXT_MAX);
	for (size_t i = 0; i < r->tiers->count && rc == 1; i++) {
		buf_reset(&text);
		rc = store_get(r->tiers->tier[i].store, name, &text, e);
		if (rc == 0)
			rc = keyring_take(k, kek, name, &text, e);
		if (rc == -1)
			err_in(e, "'%s' on '%s'", name, r->tiers->tier[i].name);
	}
	got = keyring_find(k, ep->epoch);
	if (rc == 0 || (rc == 1 && (got == NULL ||
	    memcmp(got->data, ep->data, sizeof(got->data)) != 0 ||
	    !digest_equal(k->id.key, r->keys->id.key, sizeof(k->id.key)))))
		rc = err_set(e, ERR_BUG, "'%s' does not give back the key that was wrapped", name);
	buf_done(&text);
	keyring_free(k);
	return rc == 1 ? 0 : -1;
}

/*
 * Makes the key object unless some tier has it already. RSA gives other bytes each time, so never
 * twice.
 */
static int
wrap(struct repo *r, const struct keyring_epoch *ep, const struct kek *kek, const char *escrow_pem,
    char name[LAYOUT_NAME], struct err *e)
{
	struct repo_scan s;
	struct buf text;
	int rc;

	repo_scan(r->tiers, &s);
	buf_init(&text, KEYRING_TEXT_MAX);
	rc = keyring_object(r->keys, ep, kek, escrow_pem, name, &text, e);
	for (size_t i = 0; i < r->tiers->count && rc != -1 && !repo_scan_anywhere(&s, name); i++)
		rc = repo_spread_key(r, &r->tiers->tier[i], name, &text, e);
	buf_done(&text);
	repo_scan_done(&s);
	return rc == -1 ? -1 : 0;
}

/*
 * Wraps an epoch for a kek and for the escrow, on every tier; what the kek shall open is proved.
 * What is wrapped for the escrow only its holder can prove.
 */
static int
wrap_epoch(struct repo *r, const struct keyring_epoch *ep, const struct kek *kek,
    const char *escrow_pem, struct err *e)
{
	char name[LAYOUT_NAME], escrow_name[LAYOUT_NAME];

	if (wrap(r, ep, kek, NULL, name, e) == -1 ||
	    (escrow_pem != NULL && wrap(r, ep, NULL, escrow_pem, escrow_name, e) == -1))
		return -1;
	for (size_t i = 0; i < r->tiers->count; i++)
		if (repo_spread(r, &r->tiers->tier[i], e) == -1)
			return -1;
	return prove(r, kek, name, ep, e);
}

static int
half_made(const uint8_t epoch[LAYOUT_EPOCH], struct err *e)
{
	char hex[TEXT_HEX(LAYOUT_EPOCH)];

	err_line(e, "state", "key epoch %s may be half made; nothing is sealed under it until it is "
	    "whole", text_hex(epoch, LAYOUT_EPOCH, hex));
	return err_line(e, "fix", "once that is mended, `ffdr key rotate` again finishes it");
}

/*
 * One that a rotation cut short has left: no older than the one that seals, and not so young that
 * another host may be at it. NULL: none.
 */
static const struct keyring_epoch *
unfinished(const struct keyring *k)
{
	const struct keyring_epoch *current = keyring_current(k);
	const int64_t young = clock_real_ns() - ROTATE_NS;

	for (const struct keyring_epoch *ep = k->epoch + k->epochs; ep-- > k->epoch;)
		if (ep != current && !ep->everywhere && ep->created_ns >= current->created_ns &&
		    ep->created_ns <= young)
			return ep;
	return NULL;
}

/*
 * The newest by this time seals, and a clock may have been ahead when an earlier one was made: that
 * must not go on sealing when somebody has a reason to begin anew.
 */
static int64_t
later_than_all(const struct keyring *k)
{
	int64_t ns = clock_real_ns();

	for (size_t i = 0; i < k->epochs; i++)
		if (k->epoch[i].created_ns + CLOCK_S > ns)
			ns = k->epoch[i].created_ns + CLOCK_S;
	return ns;
}

/*
 * Another host may have changed the kek meanwhile, and not have seen this epoch: then who removes
 * the old kek loses it. It is that host which looks last, or we: see repo_rotate_kek().
 */
static int
kek_is_still_it(struct repo *r, const struct kek *kek, const uint8_t epoch[LAYOUT_EPOCH],
    struct err *e)
{
	char ours[KEK_RECIPIENT], name[LAYOUT_NAME], hex[TEXT_HEX(LAYOUT_EPOCH)];
	struct repo_scan s;
	bool others = false, found = false;

	if (keyring_recipient(r->keys, kek, ours, e) == -1)
		return -1;
	repo_scan(r->tiers, &s);
	for (size_t i = 0; i < r->keys->epochs; i++) {
		if (memcmp(r->keys->epoch[i].epoch, epoch, LAYOUT_EPOCH) == 0)
			continue;
		others = true;
		found |= repo_scan_anywhere(&s, layout_key(r->keys->epoch[i].epoch, ours, name));
	}
	repo_scan_done(&s);
	if (!others || found || kek->kind == KEK_ESCROW)
		return 0;
	err_set(e, ERR_REFUSED, "another host has changed the key-encryption key meanwhile: key epoch %s "
	    "is wrapped for the old one", text_hex(epoch, LAYOUT_EPOCH, hex));
	return err_line(e, "fix", "before the old key is removed, and with it still in the configuration: "
	    "`ffdr key rotate --kek REFERENCE` of the new one, once more");
}

int
repo_rotate_data(struct repo *r, const struct repo_options *o, uint8_t epoch[LAYOUT_EPOCH],
    struct err *e)
{
	const struct keyring_epoch *begun = unfinished(r->keys), *ep = begun;

	if (need_all(r, "a new data key", e) == -1 || repo_check_replaced(r, e) == -1)
		return -1;
	if (ep == NULL)
		ep = keyring_add_epoch(r->keys, later_than_all(r->keys));
	memcpy(epoch, ep->epoch, LAYOUT_EPOCH);
	if (wrap_epoch(r, ep, o->kek, o->escrow_pem, e) == -1) {
		if (ep != begun)
			keyring_drop_epoch(r->keys, epoch);
		return half_made(epoch, e);
	}
	keyring_set_everywhere(r->keys, epoch);
	return kek_is_still_it(r, o->kek, epoch, e);
}

/* Removes the key objects of a recipient from every tier. */
static int
drop_recipient(struct repo *r, const char *recipient, struct err *e)
{
	char name[LAYOUT_NAME];

	for (size_t t = 0; t < r->tiers->count; t++)
		for (size_t i = 0; i < r->keys->epochs; i++) {
			layout_key(r->keys->epoch[i].epoch, recipient, name);
			if (store_del(r->tiers->tier[t].store, name, e) == -1)
				return err_in(e, "tier '%s'", r->tiers->tier[t].name);
		}
	return 0;
}

/* All is wrapped for another: from here on none is made for this one, and what there is goes. */
static int
replace(struct repo *r, const char *recipient, struct err *e)
{
	if (repo_replaced(r, recipient) == 0 &&
	    repo_next(r, &(struct repo_change){ .replaced = recipient }, e) == -1)
		return -1;
	return drop_recipient(r, recipient, e);
}

static int
refuse_replaced(const struct repo *r, const char *recipient, struct err *e)
{
	int64_t at_ns = repo_replaced(r, recipient);
	char when[UNITS_TEXT];

	if (at_ns == 0)
		return 0;
	return err_set(e, ERR_REFUSED, "%s was replaced at %s: what was once taken out of use stays so, "
	    "expected a new key", recipient, units_time(at_ns, when));
}

/* A key object that a signer of ours has made, from any tier: 1, 0 there is no good one. */
static int
get_sound(struct repo *r, const char *name, struct buf *text)
{
	buf_reset(text);
	return tier_get(r->tiers, NULL, name, text, repo_audit_judge, r, NULL, NULL) == 0;
}

static int
not_opened(const uint8_t epoch[LAYOUT_EPOCH], struct err *e)
{
	char hex[TEXT_HEX(LAYOUT_EPOCH)];

	err_set(e, ERR_KEY, "key epoch %s is on a tier, and neither the old nor the new key-encryption key "
	    "opens it, so it cannot be wrapped for the new one", text_hex(epoch, LAYOUT_EPOCH, hex));
	return err_line(e, "fix", "point [keys] kek at the key that opens it, or at the escrow's private "
	    "half, and run the same command again");
}

struct learning {
	struct repo *r;
	const struct kek *old_kek, *new_kek;
	const char *old; /* recipient to go; "": none */
	bool again;	 /* an epoch was learnt, or an object for `old` is still there */
};

/* first: take in what opens. Else nothing may be left that does not. What is damaged says nothing. */
static int
learn_pass(struct learning *l, const struct repo_scan *s, bool first, struct err *e)
{
	struct keyring *keys = l->r->keys;
	char recipient[KEK_RECIPIENT];
	uint8_t epoch[LAYOUT_EPOCH];
	const char *name = NULL;
	struct buf text;
	int rc = 0;

	buf_init(&text, KEYRING_TEXT_MAX);
	while (rc == 0 && (name = repo_scan_next(s, name)) != NULL) {
		if (layout_key_parse(name, epoch, recipient, sizeof(recipient)) == -1)
			continue;
		if (keyring_find(keys, epoch) != NULL)
			l->again |= strcmp(recipient, l->old) == 0;
		else if (get_sound(l->r, name, &text) == 1 && !first)
			rc = not_opened(epoch, e);
		else if (text.len > 0 && (keyring_take(keys, l->old_kek, name, &text, NULL) == 1 ||
		    keyring_take(keys, l->new_kek, name, &text, NULL) == 1))
			l->again = true;
	}
	buf_done(&text);
	return rc;
}

/* Every epoch on a tier is to be rewrapped, also one that another host began just now. */
static int
learn(struct learning *l, struct err *e)
{
	struct repo_scan s;
	int rc;

	l->again = false;
	repo_scan(l->r->tiers, &s);
	rc = learn_pass(l, &s, true, e);
	if (rc == 0)
		rc = learn_pass(l, &s, false, e);
	repo_scan_done(&s);
	return rc;
}

/*
 * Another host may begin an epoch meanwhile, for the old kek. It looks after it has put what it has,
 * and we look after we removed what we could: so one of the two sees the other.
 */
static int
rewrap_all(struct repo *r, struct learning *l, const char *escrow_pem, struct err *e)
{
	for (int round = 0; round < ROUNDS_MOST; round++) {
		for (size_t i = 0; i < r->keys->epochs; i++)
			if (wrap_epoch(r, &r->keys->epoch[i], l->new_kek, escrow_pem, e) == -1)
				return -1;
		if (l->old[0] == '\0' && l->old_kek->kind != KEK_ESCROW)
			return err_set(e, ERR_KEY, "the new key object is in place; the old passphrase "
			    "opened none, so none was removed");
		if ((l->old[0] != '\0' && replace(r, l->old, e) == -1) || learn(l, e) == -1)
			return -1;
		if (!l->again)
			return 0;
	}
	return err_set(e, ERR_BUSY, "key objects for the old key-encryption key come back on a tier, %d "
	    "times now", ROUNDS_MOST);
}

int
repo_rotate_kek(struct repo *r, const struct kek *old_kek, const struct kek *new_kek,
    const char *escrow_pem, struct err *e)
{
	char old[KEK_RECIPIENT], new[KEK_RECIPIENT];
	struct learning l = { .r = r, .old_kek = old_kek, .new_kek = new_kek, .old = old };

	if (need_all(r, "a new key-encryption key", e) == -1 ||
	    keyring_recipient(r->keys, old_kek, old, e) == -1 ||
	    keyring_recipient(r->keys, new_kek, new, e) == -1)
		return -1;
	if (old[0] != '\0' && strcmp(old, new) == 0)
		return err_set(e, ERR_REFUSED, "the new key-encryption key is the old one, %s",
		    old);
	if (refuse_replaced(r, new, e) == -1)
		return -1;
	/* Opened by the escrow's private half: that recipient stays. */
	if (old_kek->kind == KEK_ESCROW)
		old[0] = '\0';
	if (learn(&l, e) == -1)
		return -1;
	memcpy(r->kek, new, sizeof(r->kek)); /* from here on it is what belongs onto every tier */
	return rewrap_all(r, &l, escrow_pem, e);
}

/* What only the holder of the private half can open is at least there, and by one of our signers. */
static int
prove_signed(struct repo *r, const char *recipient, struct err *e)
{
	char name[LAYOUT_NAME];
	struct buf text;
	int rc = 0;

	buf_init(&text, KEYRING_TEXT_MAX);
	for (size_t i = 0; i < r->tiers->count * r->keys->epochs && rc == 0; i++) {
		struct tier *t = &r->tiers->tier[i % r->tiers->count];

		layout_key(r->keys->epoch[i / r->tiers->count].epoch, recipient, name);
		buf_reset(&text);
		rc = store_get(t->store, name, &text, e);
		if (rc == 0)
			rc = keyring_check(r->keys, name, &text, e);
		if (rc == -1)
			err_in(e, "tier '%s'", t->name);
	}
	buf_done(&text);
	return rc;
}

/* Every epoch on a tier must be open here, or the new key in the safe would not open it. */
static int
learn_for_escrow(struct repo *r, const struct kek *kek, struct err *e)
{
	struct learning l = { .r = r, .old_kek = kek, .new_kek = kek, .old = "" };

	return learn(&l, e);
}

int
repo_rotate_escrow(struct repo *r, const struct kek *kek, const char *new_pem, struct err *e)
{
	char old[KEK_RECIPIENT], name[LAYOUT_NAME];
	struct kek_ready new = { 0 };
	int rc = -1;

	memcpy(old, r->escrow, sizeof(old));
	if (need_all(r, "a new escrow key", e) == -1 || kek_prepare_escrow(new_pem, &new, e) == -1 ||
	    refuse_replaced(r, new.recipient, e) == -1)
		goto out;
	if (strcmp(old, new.recipient) == 0) {
		err_set(e, ERR_REFUSED, "the new escrow key is the old one, %s", old);
		goto out;
	}
	if (strcmp(old, "e") == 0) {
		err_set(e, ERR_KEY, "the public half of the old escrow key cannot be read, so which one "
		    "is to be replaced is not known");
		goto out;
	}
	if (repo_replaced(r, r->kek) != 0) {
		repo_check_replaced(r, e);
		goto out;
	}
	if (learn_for_escrow(r, kek, e) == -1)
		goto out;
	/* From here on it is the new one that belongs to every epoch. */
	free(r->escrow_pem);
	r->escrow_pem = xstrdup(new_pem);
	memcpy(r->escrow, new.recipient, sizeof(r->escrow));
	for (size_t i = 0; i < r->keys->epochs; i++)
		if (wrap(r, &r->keys->epoch[i], NULL, new_pem, name, e) == -1)
			goto out;
	if (repo_next_settle(r, e) == -1 || prove_signed(r, new.recipient, e) == -1 ||
	    (old[0] != '\0' && replace(r, old, e) == -1))
		goto out;
	rc = 0;
out:
	kek_ready_done(&new);
	return rc;
}

int
repo_rotate_signer(struct repo *r, struct sign_key *new_key, struct err *e)
{
	uint8_t id[SIGN_ID];
	int rc;

	if (need_all(r, "a new signing key", e) == -1)
		return -1;
	sign_key_id(sign_key_public(new_key), id);
	if (keyring_signer(r->keys, id) == NULL)
		return repo_next(r, &(struct repo_change){ .signer = new_key }, e);
	/* An earlier call has made the object; did it reach every tier? */
	rc = repo_next_settle(r, e);
	if (rc == 0)
		return err_set(e, ERR_EXISTS, "the repository knows that signing key already, and so "
		    "does every tier");
	return rc == -1 ? -1 : 0;
}
