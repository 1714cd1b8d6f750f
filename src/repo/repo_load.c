/*
 * Trust begins with the one thing the host brings itself, its signing key: the chain must list
 * it, and since every listed key has signed, a chain that lists ours was seen by us. From the
 * chain come the signers, from them the key objects that may be believed, and only from those
 * anything is unwrapped. A host without a signing key (a restore with nothing but the escrow key
 * from the safe) believes the chain as it finds it; there is nothing to hold against it.
 *
 * Key objects of all tiers count together, so that one lost or damaged copy does no harm. But
 * only an epoch that is on every tier that answers, for the escrow as well, may seal: a rotation
 * that was cut short must not leave packs whose key is on one tier alone, or that the key in the
 * safe does not open.
 */
#include "repo/repo_load.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "repo/repo_pin.h"

static int
check_own_key(const struct repo_chain *c, const struct sign_key *sign, struct err *e)
{
	const struct identity *last = repo_chain_last(c);
	char hex[TEXT_HEX(SIGN_ID)], repo[TEXT_HEX(LAYOUT_REPO_ID)];
	const struct keyring_signer *s;
	uint8_t id[SIGN_ID];

	if (sign == NULL)
		return 0;
	sign_key_id(sign_key_public(sign), id);
	s = identity_signer(last, id);
	if (s != NULL && memcmp(s->pub, sign_key_public(sign), SIGN_PUB) == 0)
		return 0;
	err_set(e, ERR_KEY, "repository %s does not know this host's signing key %s: it is another "
	    "repository, or forged", text_hex(last->repo_id, LAYOUT_REPO_ID, repo),
	    text_hex(id, SIGN_ID, hex));
	for (size_t i = 0; i < last->signers; i++)
		err_line(e, "knows", "%s", text_hex(last->signer[i].id, SIGN_ID, hex));
	if (c->broken.kind != ERR_NONE)
		err_line(e, "checked", "%.*s", (int)strcspn(c->broken.text, "\n"), c->broken.text);
	return err_line(e, "fix", "[keys] signing must name a key that the repository knows; a "
	    "host that knows it can add this one");
}

void
repo_load_recipients(const struct repo_scan *s, struct buf *out)
{
	uint8_t epoch[LAYOUT_EPOCH];
	char recipient[32];

	for (const char *name = NULL; (name = repo_scan_next(s, name)) != NULL;) {
		if (layout_key_parse(name, epoch, recipient, sizeof(recipient)) == -1 ||
		    (out->len > 0 && strstr(buf_str(out), recipient) != NULL))
			continue;
		if (out->len > 0)
			buf_adds(out, ", ");
		buf_adds(out, recipient);
	}
}

/* None opened. `bad` is what was wrong with one that is for us, if there is one. */
static int
no_key(const struct repo_scan *s, const struct repo *r, const struct kek *kek,
    const struct err *bad, struct err *e)
{
	char ours[KEK_RECIPIENT] = "";
	struct buf list;

	buf_init(&list, 400);
	repo_load_recipients(s, &list);
	keyring_recipient(r->keys, kek, ours, NULL);
	if (bad->kind != ERR_NONE)
		err_set(e, ERR_KEY, "no key object of the repository opens: %s", bad->text);
	else
		err_set(e, ERR_KEY, "the %s%s%s is not one that the repository's keys are wrapped "
		    "for", kek->kind == KEK_PASSPHRASE ? "passphrase" : "key-encryption key",
		    ours[0] == '\0' ? "" : " ", ours);
	err_line(e, "wrapped", "for %s", buf_str(&list));
	buf_done(&list);
	return err_line(e, "fix", "[keys] kek must name the key, or the passphrase, of one of "
	    "them; the one with e is the escrow's");
}

struct taking {
	struct keyring *keys;
	const struct kek *kek;
};

/* A judge for tier_get: passes over damaged copies, and takes the good one in. */
static int
take(void *arg, const char *name, const struct buf *bytes, struct err *e)
{
	struct taking *t = arg;

	return keyring_take(t->keys, t->kek, name, bytes, e) == -1 ? -1 : 0;
}

/* Is the name a key object that may be for our kek? */
static bool
for_us(const char *name, const struct kek *kek, const char *ours)
{
	uint8_t epoch[LAYOUT_EPOCH];
	char recipient[32];

	if (layout_key_parse(name, epoch, recipient, sizeof(recipient)) == -1)
		return false;
	/* A passphrase has no name before the salt is known. */
	return kek->kind == KEK_PASSPHRASE ? recipient[0] == 'p' : strcmp(recipient, ours) == 0;
}

/* Who the escrow is. A key that cannot be read is no reason not to restore. */
static void
load_escrow(struct repo *r, const struct repo_options *o)
{
	struct kek_ready ready = { 0 };

	if (o->escrow_pem != NULL && kek_prepare_escrow(o->escrow_pem, &ready, NULL) == 0) {
		r->escrow_pem = xstrdup(o->escrow_pem);
		memcpy(r->escrow, ready.recipient, sizeof(r->escrow));
	} else if (o->escrow_pem != NULL || o->escrow_unread) {
		memcpy(r->escrow, "e", sizeof("e"));
	}
	kek_ready_done(&ready);
}

/* Which tiers have a key object of that epoch for one whose name begins so? */
static void
count_tiers(const struct repo_scan *s, const struct keyring_epoch *ep, const char *recipient,
    bool *any, bool *all)
{
	char name[LAYOUT_NAME];

	layout_key(ep->epoch, recipient, name);
	*any = false;
	*all = true;
	for (size_t t = 0; t < s->count; t++) {
		if (s->tier[t].away || !s->tier[t].holds)
			continue;
		if (repo_scan_begins(&s->tier[t], name))
			*any = true;
		else
			*all = false;
	}
}

static void
mark_everywhere(struct repo *r, const struct repo_scan *s, const char *ours)
{
	const char *const recipient[] = { ours, r->escrow };

	for (size_t i = 0; i < r->keys->epochs; i++) {
		struct keyring_epoch *ep = &r->keys->epoch[i];

		ep->whole = ep->everywhere = true;
		for (size_t k = 0; k < ARRAY_LEN(recipient); k++) {
			bool any, all;

			if (recipient[k][0] == '\0' || repo_replaced(r, recipient[k]) != 0)
				continue;
			count_tiers(s, ep, recipient[k], &any, &all);
			ep->whole = ep->whole && any;
			ep->everywhere = ep->everywhere && all;
		}
	}
}

static int
load_keys(struct repo *r, const struct repo_scan *s, const struct repo_options *o, struct err *e)
{
	struct taking t = { .keys = r->keys, .kek = o->kek };
	char ours[KEK_RECIPIENT];
	struct err bad = { 0 };
	bool any = false;
	struct buf text;

	if (keyring_recipient(r->keys, o->kek, ours, e) == -1)
		return -1;
	buf_init(&text, KEYRING_TEXT_MAX);
	for (const char *name = NULL; (name = repo_scan_next(s, name)) != NULL;) {
		any = any || strncmp(name, "key/", strlen("key/")) == 0;
		if (!for_us(name, o->kek, ours))
			continue;
		buf_reset(&text);
		tier_get(r->tiers, NULL, name, &text, take, &t, NULL, &bad);
	}
	buf_done(&text);
	if (r->keys->epochs == 0)
		return any ? no_key(s, r, o->kek, &bad, e) : 0;
	keyring_recipient(r->keys, o->kek, ours, NULL);
	if (o->kek->kind != KEK_ESCROW)
		memcpy(r->kek, ours, sizeof(r->kek));
	mark_everywhere(r, s, ours);
	return 0;
}

int
repo_load(struct tier_set *tiers, const struct repo_scan *s, const struct repo_options *o,
    struct repo **ret, struct err *e)
{
	struct repo *r = xcalloc(1, sizeof(*r));
	const struct identity *last;
	int rc = -1;

	r->tiers = tiers;
	if (repo_chain_load(s, &r->chain, e) == -1)
		goto out;
	/* The pin first: of a forged and a rolled back repository it can say more. */
	if (repo_pin_check(o->pin_path, &r->chain, o->past, e) == -1 ||
	    check_own_key(&r->chain, o->sign, e) == -1)
		goto out;
	last = repo_chain_last(&r->chain);
	memcpy(r->id, last->repo_id, LAYOUT_REPO_ID);
	r->number = last->number;
	r->horizon_ns = last->horizon_ns;
	r->pack_size = last->pack_size;
	r->keys = keyring_new(r->id);
	for (size_t i = 0; i < last->signers; i++)
		keyring_add_signer(r->keys, last->signer[i].pub, last->signer[i].from_ns);
	load_escrow(r, o);
	if (load_keys(r, s, o, e) == -1)
		goto out;
	*ret = r;
	r = NULL;
	rc = 0;
out:
	repo_free(r);
	return rc;
}
