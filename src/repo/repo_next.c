/*
 * repo/<n> is never changed, only followed by repo/<n+1>, and two hosts may write one at once. Both
 * are then rightful and all hosts follow the same one (repo_chain); whose own lost is told so, and
 * goes on after it. What the loser has left on a tier is set aside by whoever comes next.
 */
#include "repo/repo_next.h"

#include <string.h>

#include "base/clock.h"
#include "repo/repo_audit.h"
#include "repo/repo_spread.h"
#include "store/aside.h"

/* The successor of the repository object, with what is new. */
static int
write_successor(struct repo *r, const struct repo_change *c, struct buf *text, struct err *e)
{
	const struct identity *last = repo_chain_last(&r->chain);
	struct identity it = *last;
	int rc;

	it.signer = NULL;
	it.replaced = NULL;
	it.signers = it.replaceds = 0;
	it.number++;
	it.created_ns = clock_real_ns();
	it.has_previous = true;
	memcpy(it.previous, last->sha, DIGEST_LEN);
	for (size_t i = 0; i < last->signers; i++)
		identity_add_signer(&it, last->signer[i].pub, last->signer[i].from_ns);
	for (size_t i = 0; i < last->replaceds; i++)
		identity_add_replaced(&it, last->replaced[i].recipient, last->replaced[i].at_ns);
	if (c->signer != NULL)
		identity_add_signer(&it, sign_key_public(c->signer), it.created_ns);
	if (c->replaced != NULL)
		identity_add_replaced(&it, c->replaced, it.created_ns);
	rc = identity_encode(&it, r->keys->sign, c->signer, text, e);
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
	if (keyring_signer(r->keys, newest->id) == NULL)
		keyring_add_signer(r->keys, newest->pub, newest->from_ns);
	return 0;
}

/* The last of the chain, where a rival has its name on that tier. 1 put there, 0 it was, -1. */
static int
settle_rival(struct repo *r, struct tier *t, struct err *e)
{
	const unsigned n = repo_chain_last(&r->chain)->number;
	char name[LAYOUT_NAME], kept[ASIDE_NAME];
	struct buf good, there;
	int rc = 0;

	layout_repo(n, name);
	buf_init(&good, IDENTITY_TEXT_MAX);
	buf_init(&there, IDENTITY_TEXT_MAX);
	if (store_get(t->store, name, &there, NULL) == 0 && repo_chain_rival(&r->chain, n, &there)) {
		rc = tier_get(r->tiers, NULL, name, &good, repo_audit_judge, r, NULL, e);
		if (rc == 0 && aside_keep(t->store, name, kept, e) == -1)
			rc = -1;
		if (rc == 0)
			rc = store_put(t->store, name, good.data, good.len, STORE_REPLACE, e);
	}
	buf_done(&good);
	buf_done(&there);
	return rc == -1 ? err_in(e, "tier '%s'", t->name) : rc;
}

int
repo_next_settle(struct repo *r, struct err *e)
{
	int brought = 0;

	for (size_t i = 0; i < r->tiers->count; i++) {
		int rc = settle_rival(r, &r->tiers->tier[i], e), more;

		more = rc == -1 ? -1 : repo_spread(r, &r->tiers->tier[i], e);
		if (more == -1)
			return -1;
		brought |= rc | more;
	}
	return brought;
}

int
repo_next(struct repo *r, const struct repo_change *c, struct err *e)
{
	char name[LAYOUT_NAME];
	struct buf text;
	int rc = -1;

	if (r->keys->sign == NULL || !sign_key_is_private(r->keys->sign))
		return err_set(e, ERR_KEY, "a new repository object must be signed for by a key whose "
		    "private half is not here");
	if (repo_next_settle(r, e) == -1)
		return -1;
	buf_init(&text, IDENTITY_TEXT_MAX);
	layout_repo(r->number + 1, name);
	if (write_successor(r, c, &text, e) == 0)
		rc = repo_spread_put_all(r->tiers, name, &text, e);
	if (rc == -1 && e->kind == ERR_EXISTS) {
		e->kind = ERR_BUSY;
		err_line(e, "fix", "another host is changing the repository's keys, too: change no "
		    "configuration yet, and run the same command again");
	}
	if (rc == 0)
		rc = adopt_successor(r, &text, e);
	buf_done(&text);
	return rc;
}
