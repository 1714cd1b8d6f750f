/*
 * Keys are renewed in steps that can each be taken back: the new key is made and proved before the
 * old one stops to open anything, and the configuration is changed by a person, last. An
 * interrupted rotation is repeated; until it is done the old key goes on to work.
 */
#include "job/key.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/secret.h"
#include "job/init.h"

#define KEY_PREFIX "key/"
#define KEY_TIERS 64 /* bits of `on` */

const char *
key_recipient_word(const char *recipient)
{
	switch (recipient[0]) {
	case 'k':
		return "key";
	case 'p':
		return "passphrase";
	case 'e':
		return "escrow";
	default:
		return "unknown";
	}
}

/* ---- what there is ---- */

struct listing {
	struct key_report *report;
	size_t tier;
};

static int
seen_key(void *arg, const struct store_entry *entry, struct err *e)
{
	const struct listing *l = arg;
	struct key_report *r = l->report;
	struct key_row row = { .on = UINT64_C(1) << l->tier };

	if (layout_key_parse(entry->name, row.epoch, row.recipient, sizeof(row.recipient)) == -1)
		return err_set(e, ERR_CORRUPT, "'%s' is no name of a key object", entry->name);
	for (size_t i = 0; i < r->count; i++) {
		if (memcmp(r->row[i].epoch, row.epoch, LAYOUT_EPOCH) == 0 &&
		    strcmp(r->row[i].recipient, row.recipient) == 0) {
			r->row[i].on |= row.on;
			return 0;
		}
	}
	r->row = mem_grow(r->row, &r->room, r->count + 1, sizeof(*r->row));
	r->row[r->count++] = row;
	return 0;
}

/* Position of a row's epoch in the keyring; unknown ones last. */
static size_t
order(const struct keyring *k, const struct key_row *row)
{
	const struct keyring_epoch *ep = keyring_find(k, row->epoch);

	return ep ? (size_t)(ep - k->epoch) : k->epochs;
}

static int
compare(const void *a, const void *b, void *keys)
{
	size_t x = order(keys, a), y = order(keys, b);

	if (x != y)
		return x < y ? -1 : 1;
	return strcmp(((const struct key_row *)a)->recipient, ((const struct key_row *)b)->recipient);
}

static int
list_objects(struct session *s, struct key_report *ret, struct err *e)
{
	*ret = (struct key_report){ 0 };
	for (size_t i = 0; i < s->tiers.count && i < KEY_TIERS; i++) {
		struct listing l = { ret, i };

		if (s->tiers.tier[i].store &&
		    store_list(s->tiers.tier[i].store, KEY_PREFIX, NULL, seen_key, &l, e) == -1)
			return err_in(e, "tier '%s'", s->tiers.tier[i].name);
	}
	return 0;
}

int
key_list(struct session *s, struct key_report *ret, struct err *e)
{
	if (list_objects(s, ret, e) == -1)
		return -1;
	if (ret->count > 0)
		qsort_r(ret->row, ret->count, sizeof(*ret->row), compare, s->repo->keys);
	return 0;
}

void
key_list_done(struct key_report *r)
{
	free(r->row);
	*r = (struct key_report){ 0 };
}

/* ---- renewing ---- */

int
key_rotate_data(struct session *s, uint8_t epoch[LAYOUT_EPOCH], struct err *e)
{
	struct repo_options o = { 0 };
	char *pin = NULL;
	int rc = -1;

	if (session_escrow(s, e) == 0 &&
	    session_repo_options(s, SESSION_WRITE, &o, &pin, e) == 0)
		rc = repo_rotate_data(s->repo, &o, epoch, e);
	sign_key_free(o.sign);
	free(pin);
	return rc;
}

/* Whether a reference can become a key's: not the one in use, whose file must stay as it is. */
static int
check_new(const char *key, const char *ref, const char *in_use, struct err *e)
{
	struct secret_ref parsed;

	if (secret_parse(ref, &parsed, e) == -1)
		return -1;
	if (strcmp(ref, in_use) != 0)
		return 0;
	err_set(e, ERR_REFUSED, "key rotation refused: %s is the key in use, and no key is ever "
				"overwritten", ref);
	return err_line(e, "fix", "name a new one, such as --%s %s-2", key, ref);
}

/* Makes the key where it can be made and is not there. */
static int
make_new(const struct conf *c, enum init_key which, const char *ref, bool *made, struct err *e)
{
	char *path = secret_path(ref, c->credentials);
	struct secret_ref parsed;
	int rc = 0;

	*made = false;
	/* A passphrase is a person's to choose. */
	if (path && secret_parse(ref, &parsed, e) == 0 && parsed.kind != SECRET_PASSPHRASE) {
		rc = init_make_key(c, which, ref, e);
		*made = rc == 1;
	}
	free(path);
	return rc == -1 ? -1 : 0;
}

int
key_rotate_kek(struct session *s, const char *ref, bool *made, struct err *e)
{
	struct kek kek = { 0 };
	int rc = -1;

	if (check_new("kek", ref, s->conf->kek, e) == -1)
		return -1;
	if (session_escrow(s, e) == 0 && make_new(s->conf, INIT_KEK, ref, made, e) == 0 &&
	    session_kek(s->conf, ref, &kek, e) == 0) {
		if (kek.kind == KEK_ESCROW)
			err_set(e, ERR_USAGE, "%s is an escrow key, which belongs into the safe; "
					      "expected 32 bytes or a passphrase", ref);
		else
			rc = repo_rotate_kek(s->repo, &s->kek, &kek,
			    s->escrow_pem.len > 0 ? buf_str(&s->escrow_pem) : NULL, e);
	}
	kek_done(&kek);
	return rc;
}

int
key_rotate_escrow(struct session *s, const char *ref, bool *made, char **private_path,
    struct err *e)
{
	struct buf pem;
	int rc = -1, got;

	*private_path = NULL;
	*made = false;
	if (check_new("escrow", ref, s->conf->escrow ? s->conf->escrow : "", e) == -1)
		return -1;
	buf_init(&pem, SECRET_MAX);
	if (session_escrow(s, e) == 0 &&
	    (got = init_make_escrow(s->conf, ref, private_path, e)) != -1 &&
	    secret_get_public(ref, s->conf->credentials, &pem, e) == 0) {
		*made = got == 1;
		rc = repo_rotate_escrow(s->repo, &s->kek, buf_str(&pem), e);
	}
	buf_done(&pem);
	return rc;
}

int
key_rotate_signing(struct session *s, const char *ref, bool *made, uint8_t pub[SIGN_PUB],
    struct err *e)
{
	struct sign_key *key = NULL;
	int rc = -1;

	if (check_new("signing", ref, s->conf->signing, e) == -1)
		return -1;
	if (make_new(s->conf, INIT_SIGNING, ref, made, e) == -1 ||
	    session_signer(s->conf, ref, true, &key, e) == -1)
		return -1;
	memcpy(pub, sign_key_public(key), SIGN_PUB);
	rc = repo_rotate_signer(s->repo, key, e);
	if (rc == -1 && e->kind == ERR_EXISTS)
		err_line(e, "fix", "signing = %s in [keys] makes it the one that signs", ref);
	sign_key_free(key);
	return rc;
}

/* ---- the key in the safe ---- */

/* Is this the private half of the public key that new epochs are wrapped for? */
static int
check_half(struct session *s, const struct kek_ready *mine, struct err *e)
{
	struct kek_ready public = { 0 };

	/* On a new host after a disaster there may be no public half, and no need for it. */
	if (session_escrow(s, NULL) == -1 || s->escrow_pem.len == 0)
		return 0;
	if (kek_prepare_escrow(buf_str(&s->escrow_pem), &public, e) == -1)
		return -1;
	if (strcmp(public.recipient, mine->recipient) == 0)
		return 0;
	err_set(e, ERR_KEY, "this is another key than the escrow key of the configuration");
	err_line(e, "this", "%s", mine->recipient + 1);
	return err_line(e, "expected", "%s (%s)", public.recipient + 1, s->conf->escrow);
}

/* Every epoch any tier knows must be on every tier that answers, for this recipient. */
static int
check_objects(struct session *s, const char *recipient, struct key_escrow *ret, struct err *e)
{
	struct key_report all = { 0 };
	uint64_t answering = 0, missing = 0;
	char hex[TEXT_HEX(LAYOUT_EPOCH)];
	int rc = list_objects(s, &all, e);

	for (size_t i = 0; i < s->tiers.count && i < KEY_TIERS; i++)
		answering |= s->tiers.tier[i].store ? UINT64_C(1) << i : 0;
	for (size_t i = 0; rc == 0 && i < all.count; i++) {
		uint64_t on = 0;

		for (size_t k = 0; k < all.count; k++) {
			if (memcmp(all.row[k].epoch, all.row[i].epoch, LAYOUT_EPOCH) == 0 &&
			    strcmp(all.row[k].recipient, recipient) == 0)
				on = all.row[k].on;
		}
		missing |= answering & ~on;
		if (!keyring_find(s->repo->keys, all.row[i].epoch))
			rc = err_set(e, ERR_CORRUPT, "key epoch %s cannot be opened by this key",
			    text_hex(all.row[i].epoch, LAYOUT_EPOCH, hex));
	}
	ret->epochs = s->repo->keys->epochs;
	ret->tiers = (size_t)__builtin_popcountll(answering & ~missing);
	if (rc == 0 && missing != 0) {
		rc = err_set(e, ERR_CORRUPT, "not every tier has every key epoch for this key");
		for (size_t i = 0; i < s->tiers.count && i < KEY_TIERS; i++) {
			if (missing >> i & 1)
				err_line(e, "missing", "on tier '%s'", s->tiers.tier[i].name);
		}
		err_line(e, "fix", "ffdr key rotate --kek REFERENCE wraps every key anew");
	}
	key_list_done(&all);
	return rc;
}

int
key_escrow_test(const struct conf *c, const char *path, struct key_escrow *ret, struct err *e)
{
	struct session s = { 0 };
	struct kek_ready mine = { 0 };
	int rc = -1;

	*ret = (struct key_escrow){ 0 };
	if (session_open(c, SESSION_TIERS, &s, e) == -1)
		return -1;
	buf_init(&s.kek.secret, SECRET_MAX);
	buf_reserve(&s.kek.secret, SECRET_MAX); /* growing would leave copies behind */
	s.kek.kind = KEK_ESCROW;
	if (file_get(AT_FDCWD, path, &s.kek.secret, e) == -1) {
		if (e->kind == ERR_CORRUPT) /* no file of ours: a pipe, or far too large for a key */
			e->kind = ERR_USAGE;
		goto out;
	}
	if (kek_prepare_escrow(buf_str(&s.kek.secret), &mine, e) == -1) {
		err_in(e, "'%s'", path);
		goto out;
	}
	if (!strstr(buf_str(&s.kek.secret), "PRIVATE KEY")) {
		err_set(e, ERR_KEY, "'%s' is the public half, expected the private one out of the "
				    "safe", path);
		goto out;
	}
	if (check_half(&s, &mine, e) == -1 || session_open_repo(&s, SESSION_READ, e) == -1)
		goto out;
	rc = check_objects(&s, mine.recipient, ret, e);
out:
	kek_ready_done(&mine);
	session_done(&s);
	return rc;
}
