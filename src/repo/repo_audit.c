/*
 * Opening takes the repository's own objects from whichever tier has good ones, so a tier may rot
 * unnoticed for years, and show it on the day it is the last: packs by the terabyte, and no key. So
 * each tier is asked by itself, and what it says is not only read but used: the kek opens every
 * epoch from there alone. What the kek is not for (the escrow's objects) is judged by its
 * signature.
 *
 * A key object that is missing is told from one that was never meant to be there by the other
 * tiers: only a sound one somewhere says that it belongs everywhere.
 */
#include "repo/repo_audit.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "repo/repo_scan.h"
#include "repo/repo_spread.h"

struct auditing {
	struct repo *r;
	const struct kek *kek;
	struct tier *t;
	struct repo_audit *ret;
	struct keyring *alone; /* what this tier alone opens */
	char ours[KEK_RECIPIENT];
	struct buf text;
};

int
repo_audit_judge(void *arg, const char *name, const struct buf *bytes, struct err *e)
{
	const struct repo *r = arg;
	uint8_t sha[DIGEST_LEN];
	unsigned n;

	if (layout_repo_parse(name, &n) == -1)
		return keyring_check(r->keys, name, bytes, e);
	digest_sha256(bytes->data, bytes->len, sha);
	if (repo_chain_rival(&r->chain, n, bytes))
		return err_set(e, ERR_CORRUPT, "is one of two that were made at once by two rotations of "
		    "the signing key: the other one counts");
	if (n >= r->chain.count || memcmp(sha, r->chain.item[n].sha, DIGEST_LEN) != 0)
		return err_set(e, ERR_CORRUPT, "is not the one that was verified: damaged, forged, or "
		    "of another repository");
	return 0;
}

/* Of several reasons the first is told: the others follow from it. */
static void
flaw(struct repo_audit *a, const char *object, const struct err *why)
{
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->flaw[i].object, object) == 0)
			return;
	a->flaw = mem_grow(a->flaw, &a->room, a->count + 1, sizeof(*a->flaw));
	memcpy(a->flaw[a->count].object, object, strlen(object) + 1);
	a->flaw[a->count++].why = *why;
}

static bool
is_key(const char *name)
{
	return strncmp(name, "key/", strlen("key/")) == 0;
}

/* An object that the tier lists. */
static int
look(struct auditing *u, const char *name, struct err *e)
{
	struct repo_audit *a = u->ret;
	struct err why = { 0 };
	int rc;

	buf_reset(&u->text);
	rc = store_get(u->t->store, name, &u->text, &why);
	if (rc == -1 && why.kind == ERR_REMOTE) {
		*e = why;
		return -1;
	}
	if (rc == 0 && is_key(name))
		rc = keyring_take(u->alone, u->kek, name, &u->text, &why);
	else if (rc == 0)
		rc = repo_audit_judge(u->r, name, &u->text, &why);
	if (rc == -1) {
		flaw(a, name, &why);
	} else if (is_key(name)) {
		a->sound = mem_grow(a->sound, &a->sound_room, a->sounds + 1, sizeof(*a->sound));
		memcpy(a->sound[a->sounds++], name, strlen(name) + 1);
	}
	return 0;
}

static void
miss(struct auditing *u, const char *name)
{
	struct err why = { 0 };

	err_set(&why, ERR_NOTFOUND, "is not there");
	flaw(u->ret, name, &why);
}

/*
 * A key object that only other tiers list: when one of them has it sound, it belongs here as well.
 */
static void
miss_key(struct auditing *u, const char *name)
{
	struct err why = { 0 };

	buf_reset(&u->text);
	if (tier_get(u->r->tiers, NULL, name, &u->text, repo_audit_judge, u->r, NULL, &why) == 0)
		miss(u, name);
}

static void
shut(struct auditing *u, const uint8_t epoch[LAYOUT_EPOCH])
{
	char name[LAYOUT_NAME], hex[TEXT_HEX(LAYOUT_EPOCH)];
	struct err why = { 0 };

	err_set(&why, ERR_KEY, "nothing there opens key epoch %s by the kek of this host",
	    text_hex(epoch, LAYOUT_EPOCH, hex));
	flaw(u->ret, layout_key(epoch, u->ours, name), &why);
}

static bool
begins(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* The key in the safe must open it as well. */
static void
check_escrow(struct auditing *u, const struct keyring_epoch *ep)
{
	const struct repo_audit *a = u->ret;
	char name[LAYOUT_NAME], hex[TEXT_HEX(LAYOUT_EPOCH)];
	struct err why = { 0 };

	layout_key(ep->epoch, u->r->escrow, name);
	for (size_t i = 0; i < a->sounds; i++)
		if (begins(a->sound[i], name))
			return;
	for (size_t i = 0; i < a->count; i++)
		if (begins(a->flaw[i].object, name))
			return;
	err_set(&why, ERR_NOTFOUND, "was never made: the escrow key does not open key epoch %s",
	    text_hex(ep->epoch, LAYOUT_EPOCH, hex));
	flaw(u->ret, name, &why);
}

/* Both what we hold open and what the tier speaks of must be opened there. */
static void
check_epochs(struct auditing *u)
{
	const struct keyring *keys = u->r->keys;
	uint8_t epoch[LAYOUT_EPOCH];
	char recipient[32];

	for (size_t i = 0; i < keys->epochs; i++) {
		const struct keyring_epoch *ep = keyring_find(u->alone, keys->epoch[i].epoch);

		if (ep != NULL && memcmp(ep->data, keys->epoch[i].data, sizeof(ep->data)) == 0)
			u->ret->opened++;
		else
			shut(u, keys->epoch[i].epoch);
		if (u->r->escrow[0] != '\0' && repo_replaced(u->r, u->r->escrow) == 0)
			check_escrow(u, &keys->epoch[i]);
	}
	for (size_t i = 0; i < u->ret->sounds; i++)
		if (layout_key_parse(u->ret->sound[i], epoch, recipient, sizeof(recipient)) == 0 &&
		    keyring_find(u->alone, epoch) == NULL)
			shut(u, epoch);
}

static int
look_at_all(struct auditing *u, const struct repo_scan *s, const struct repo_scan_tier *target,
    struct err *e)
{
	char name[LAYOUT_NAME];

	for (unsigned n = 0; n < u->r->chain.count; n++)
		if (!repo_scan_has(target, layout_repo(n, name)))
			miss(u, name);
	for (size_t i = 0; i < target->names; i++)
		if (look(u, target->name[i], e) == -1)
			return -1;
	for (const char *other = NULL; (other = repo_scan_next(s, other)) != NULL;)
		if (is_key(other) && !repo_scan_has(target, other) &&
		    repo_spread_wanted(u->r, other))
			miss_key(u, other);
	check_epochs(u);
	return 0;
}

int
repo_audit(struct repo *r, const struct kek *kek, struct tier *t, struct repo_audit *ret,
    struct err *e)
{
	struct auditing u = { .r = r, .kek = kek, .t = t, .ret = ret };
	const struct repo_scan_tier *target;
	struct repo_scan s;
	int rc = -1;

	*ret = (struct repo_audit){ 0 };
	u.alone = keyring_new_like(r->keys);
	buf_init(&u.text, IDENTITY_TEXT_MAX);
	repo_scan(r->tiers, &s);
	target = repo_scan_find(&s, t);
	if (target == NULL || target->away)
		err_set(e, ERR_REMOTE, "tier '%s' cannot be listed: %s", t->name, t->why.text);
	else if (keyring_recipient(r->keys, kek, u.ours, e) == 0)
		rc = look_at_all(&u, &s, target, e);
	repo_scan_done(&s);
	buf_done(&u.text);
	keyring_free(u.alone);
	return rc;
}

void
repo_audit_done(struct repo_audit *a)
{
	free(a->flaw);
	free(a->sound);
	*a = (struct repo_audit){ 0 };
}

size_t
repo_audit_recipient(const struct repo_audit *a, const struct repo *r, const char *recipient)
{
	char name[LAYOUT_NAME];
	size_t have = 0;

	for (size_t i = 0; i < r->keys->epochs; i++) {
		layout_key(r->keys->epoch[i].epoch, recipient, name);
		for (size_t k = 0; k < a->sounds; k++)
			have += strcmp(a->sound[k], name) == 0;
	}
	return have;
}
