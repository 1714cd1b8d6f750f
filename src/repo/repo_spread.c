/*
 * The repository's own objects are a few kilobytes without which nothing else can be read, so
 * they are on every tier, and a tier is believed to have one only when it was read back from
 * there. What is brought from one tier to another is judged first: damage and forgeries stay
 * where they are.
 */
#include "repo/repo_spread.h"

#include <string.h>

#include "repo/repo_audit.h"
#include "repo/repo_scan.h"

int
repo_spread_put(struct tier *t, const char *name, const struct buf *text, struct err *e)
{
	struct buf back;
	int rc = store_put(t->store, name, text->data, text->len, STORE_NEW, e);

	buf_init(&back, IDENTITY_TEXT_MAX);
	if (rc != -1 && store_get(t->store, name, &back, e) == -1)
		rc = -1;
	if (rc != -1 && (back.len != text->len || memcmp(back.data, text->data, back.len) != 0))
		rc = err_set(e, ERR_EXISTS, "'%s' holds other bytes than were to be stored", name);
	if (rc == -1)
		err_in(e, "tier '%s'", t->name);
	buf_done(&back);
	return rc;
}

int
repo_spread_put_all(struct tier_set *tiers, const char *name, const struct buf *text, struct err *e)
{
	for (size_t i = 0; i < tiers->count; i++)
		if (repo_spread_put(&tiers->tier[i], name, text, e) == -1)
			return -1;
	return 0;
}

/* Brings one object. A name that no tier has a good copy of is left alone: 0. */
static int
bring(struct repo *r, struct tier *to, const char *name, struct err *e)
{
	struct err why = { 0 };
	struct buf text;
	int rc;

	buf_init(&text, IDENTITY_TEXT_MAX);
	if (tier_get(r->tiers, NULL, name, &text, repo_audit_judge, r, NULL, &why) == 0) {
		rc = repo_spread_put(to, name, &text, e);
	} else if (why.kind == ERR_CORRUPT || why.kind == ERR_KEY || why.kind == ERR_NOTFOUND) {
		rc = 0;
	} else {
		*e = why;
		rc = -1;
	}
	buf_done(&text);
	return rc;
}

bool
repo_spread_wanted(const struct repo *r, const char *name)
{
	char recipient[KEK_RECIPIENT];
	uint8_t epoch[LAYOUT_EPOCH];

	if (layout_key_parse(name, epoch, recipient, sizeof(recipient)) == -1)
		return true;
	return repo_replaced(r, recipient) == 0 && (r->kek[0] == '\0' || recipient[0] == 'e' ||
	    strcmp(recipient, r->kek) == 0);
}

/* Brings what the target lacks, either the repo/ or the key/ objects; 1 something, 0 nothing. */
static int
bring_all(struct repo *r, const struct repo_scan *s, const struct repo_scan_tier *target,
    bool repo, struct err *e)
{
	const char *name = NULL;
	int rc = 0, got;

	while ((name = repo_scan_next(s, name)) != NULL) {
		if ((strncmp(name, "repo/", strlen("repo/")) == 0) != repo ||
		    repo_scan_has(target, name) || !repo_spread_wanted(r, name))
			continue;
		got = bring(r, target->tier, name, e);
		if (got == -1)
			return -1;
		rc = got == 1 ? 1 : rc;
	}
	return rc;
}

int
repo_spread_key(struct repo *r, struct tier *t, const char *name, const struct buf *text, struct err *e)
{
	struct err other = { 0 };
	struct buf back;
	int rc = repo_spread_put(t, name, text, e);

	if (rc != -1 || e->kind != ERR_EXISTS)
		return rc;
	buf_init(&back, KEYRING_TEXT_MAX);
	if (store_get(t->store, name, &back, &other) == 0 &&
	    keyring_check(r->keys, name, &back, &other) == 0) {
		err_clear(e);
		rc = 0;
	}
	buf_done(&back);
	return rc;
}

/* Does the repository know that escrow, by any epoch? A new one is for `init` to bring in. */
static bool
escrow_known(const struct repo *r, const struct repo_scan *s)
{
	char name[LAYOUT_NAME];

	for (size_t i = 0; i < r->keys->epochs; i++)
		if (repo_scan_anywhere(s, layout_key(r->keys->epoch[i].epoch, r->escrow, name)))
			return true;
	return false;
}

/*
 * A rotation that was cut short has left an epoch that the key in the safe does not open. Who holds
 * it open can wrap it. 1 some were made, 0 none, -1.
 */
static int
wrap_for_escrow(struct repo *r, const struct repo_scan *s, struct tier *to, struct err *e)
{
	char name[LAYOUT_NAME];
	struct buf text;
	int rc = 0, some = 0;

	if (r->escrow_pem == NULL || repo_replaced(r, r->escrow) != 0 || r->keys->sign == NULL ||
	    !sign_key_is_private(r->keys->sign) || !escrow_known(r, s))
		return 0;
	buf_init(&text, KEYRING_TEXT_MAX);
	for (size_t i = 0; i < r->keys->epochs && rc != -1; i++) {
		const struct keyring_epoch *ep = &r->keys->epoch[i];

		if (repo_scan_anywhere(s, layout_key(ep->epoch, r->escrow, name)))
			continue;
		buf_reset(&text);
		rc = keyring_object(r->keys, ep, NULL, r->escrow_pem, name, &text, e);
		if (rc != -1)
			rc = repo_spread_key(r, to, name, &text, e);
		some = 1;
	}
	buf_done(&text);
	return rc == -1 ? -1 : some;
}

/* Can somebody else open that epoch there, of the same kind, by an object that counts? */
static bool
succeeded(const struct repo *r, const struct repo_scan_tier *t, const uint8_t epoch[LAYOUT_EPOCH],
    bool escrow)
{
	char recipient[KEK_RECIPIENT];
	uint8_t of[LAYOUT_EPOCH];

	for (size_t i = 0; i < t->names; i++)
		if (layout_key_parse(t->name[i], of, recipient, sizeof(recipient)) == 0 &&
		    memcmp(of, epoch, LAYOUT_EPOCH) == 0 && (recipient[0] == 'e') == escrow &&
		    repo_replaced(r, recipient) == 0)
			return true;
	return false;
}

/*
 * A tier that was away or set back has objects for what was replaced meanwhile. They go, where
 * others took their place.
 */
static int
drop_replaced(struct repo *r, const struct repo_scan_tier *t, struct err *e)
{
	char recipient[KEK_RECIPIENT];
	uint8_t epoch[LAYOUT_EPOCH];

	for (size_t i = 0; i < t->names; i++)
		if (layout_key_parse(t->name[i], epoch, recipient, sizeof(recipient)) == 0 &&
		    repo_replaced(r, recipient) != 0 &&
		    succeeded(r, t, epoch, recipient[0] == 'e') &&
		    store_del(t->tier->store, t->name[i], e) == -1)
			return err_in(e, "tier '%s'", t->tier->name);
	return 0;
}

/* By a listing of its own, after everything was brought. */
static int
leave_replaced(struct repo *r, const struct tier *to, struct err *e)
{
	struct repo_scan s;
	int rc = 0;

	if (repo_chain_last(&r->chain)->replaceds == 0)
		return 0;
	repo_scan(r->tiers, &s);
	if (!repo_scan_find(&s, to)->away)
		rc = drop_replaced(r, repo_scan_find(&s, to), e);
	repo_scan_done(&s);
	return rc;
}

int
repo_spread(struct repo *r, struct tier *to, struct err *e)
{
	const struct repo_scan_tier *target;
	struct repo_scan s;
	int rc = 0;

	if (to->store == NULL)
		return err_set(e, ERR_REMOTE, "tier '%s' is away: %s", to->name, to->why.text);
	repo_scan(r->tiers, &s);
	target = repo_scan_find(&s, to);
	if (target == NULL || target->away)
		rc = err_set(e, ERR_REMOTE, "tier '%s' cannot be listed: %s", to->name,
		    to->why.text);
	/* A tier is the repository's once it has repo/0, so those go first. */
	for (int pass = 0; pass < 2 && rc != -1; pass++) {
		int got = bring_all(r, &s, target, pass == 0, e);

		rc = got == 0 ? rc : got;
	}
	if (rc != -1) {
		int got = wrap_for_escrow(r, &s, to, e);

		rc = got == 0 ? rc : got;
	}
	if (rc != -1 && leave_replaced(r, to, e) == -1)
		rc = -1;
	repo_scan_done(&s);
	return rc;
}
