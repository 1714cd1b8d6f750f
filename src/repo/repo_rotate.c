/*
 * Changing keys is where a backup can be lost by success: a data key that seals before its key
 * object is on every tier, or an old key object removed before the new one was proved to open. So
 * each of these wants all tiers, writes, reads back, opens what it read with a fresh keyring, and
 * only then uses or removes anything. Cut short anywhere, what is left is more key objects than
 * needed, never fewer.
 */
#include "repo/repo.h"

#include <string.h>

#include "base/clock.h"
#include "repo/repo_ours.h"
#include "repo/repo_scan.h"
#include "repo/repo_spread.h"

static int
need_all(struct repo *r, const char *what, struct err *e)
{
	struct repo_scan s;
	size_t foreign;
	int rc = 0;

	tier_open_all(r->tiers);
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
	if (rc == 0 && !repo_scan_anywhere(&s, name))
		rc = repo_spread_put_all(r->tiers, name, &text, e);
	buf_done(&text);
	repo_scan_done(&s);
	return rc;
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

int
repo_rotate_data(struct repo *r, const struct repo_options *o, uint8_t epoch[LAYOUT_EPOCH],
    struct err *e)
{
	if (need_all(r, "a new data key", e) == -1)
		return -1;
	memcpy(epoch, keyring_add_epoch(r->keys, clock_real_ns())->epoch, LAYOUT_EPOCH);
	if (wrap_epoch(r, keyring_find(r->keys, epoch), o->kek, o->escrow_pem, e) == -1) {
		keyring_drop_epoch(r->keys, epoch);
		return -1;
	}
	keyring_set_everywhere(r->keys, epoch);
	return 0;
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

int
repo_rotate_kek(struct repo *r, const struct kek *old_kek, const struct kek *new_kek,
    const char *escrow_pem, struct err *e)
{
	char old[KEK_RECIPIENT], new[KEK_RECIPIENT];

	if (need_all(r, "a new key-encryption key", e) == -1 ||
	    keyring_recipient(r->keys, old_kek, old, e) == -1 ||
	    keyring_recipient(r->keys, new_kek, new, e) == -1)
		return -1;
	if (old[0] != '\0' && strcmp(old, new) == 0)
		return err_set(e, ERR_REFUSED, "the new key-encryption key is the old one, %s",
		    old);
	for (size_t i = 0; i < r->keys->epochs; i++)
		if (wrap_epoch(r, &r->keys->epoch[i], new_kek, escrow_pem, e) == -1)
			return -1;
	/* Opened by the escrow's private half: that recipient stays. */
	if (old_kek->kind == KEK_ESCROW)
		return 0;
	if (old[0] == '\0')
		return err_set(e, ERR_KEY, "the new key object is in place; the old passphrase "
		    "opened none, so none was removed");
	return drop_recipient(r, old, e);
}

/* The successor of the repository object, with one more signer. */
static int
write_successor(struct repo *r, const struct sign_key *new_key, struct buf *text, struct err *e)
{
	const struct identity *last = repo_chain_last(&r->chain);
	struct identity it = *last;
	int rc;

	it.signer = NULL;
	it.signers = 0;
	it.number++;
	it.created_ns = clock_real_ns();
	it.has_previous = true;
	memcpy(it.previous, last->sha, DIGEST_LEN);
	for (size_t i = 0; i < last->signers; i++)
		identity_add_signer(&it, last->signer[i].pub, last->signer[i].from_ns);
	identity_add_signer(&it, sign_key_public(new_key), it.created_ns);
	rc = identity_encode(&it, r->keys->sign, new_key, text, e);
	identity_done(&it);
	return rc;
}

/* Reads it as any host would, and takes it in. */
static int
adopt_successor(struct repo *r, const struct buf *text, struct err *e)
{
	const struct identity *last = repo_chain_last(&r->chain);
	const struct keyring_signer *newest;
	struct identity it = { 0 };

	if (identity_parse(text, &it, e) == -1 || identity_check(&it, last, e) == -1) {
		identity_done(&it);
		return -1;
	}
	repo_chain_add(&r->chain, &it);
	last = repo_chain_last(&r->chain);
	r->number = last->number;
	newest = &last->signer[last->signers - 1];
	keyring_add_signer(r->keys, newest->pub, newest->from_ns);
	return 0;
}

int
repo_rotate_signer(struct repo *r, struct sign_key *new_key, struct err *e)
{
	char name[LAYOUT_NAME];
	uint8_t id[SIGN_ID];
	struct buf text;
	int rc = -1;

	if (need_all(r, "a new signing key", e) == -1)
		return -1;
	if (r->keys->sign == NULL || !sign_key_is_private(r->keys->sign))
		return err_set(e, ERR_KEY, "a new signing key must be signed for by the old one, "
		    "whose private half is not here");
	sign_key_id(sign_key_public(new_key), id);
	if (keyring_signer(r->keys, id) != NULL)
		return err_set(e, ERR_EXISTS, "the repository knows that signing key already");
	buf_init(&text, IDENTITY_TEXT_MAX);
	layout_repo(r->number + 1, name);
	if (write_successor(r, new_key, &text, e) == 0 &&
	    repo_spread_put_all(r->tiers, name, &text, e) == 0)
		rc = adopt_successor(r, &text, e);
	buf_done(&text);
	return rc;
}
