/*
 * Key objects are clear text around wrapped keys, so that a person with openssl and the escrow
 * key can read them without this program. They are signed because wrapping alone proves nothing:
 * for an RSA recipient anybody can wrap a key of his own, and backups sealed under it would be
 * his to read. So the signature is checked before anything is unwrapped, and the data key must
 * then give the epoch it is listed under.
 *
 * A passphrase is stretched once a salt and remembered: with a dozen epochs a restore would
 * otherwise spend its first six seconds on scrypt.
 */
#include "repo/keyring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"
#include "filter/key.h"
#include "repo/lines.h"

#define FIRST_LINE "ffdr-key"

struct keyring_pass {
	uint8_t of[DIGEST_LEN]; /* SHA-256 of the passphrase */
	struct kek_ready ready;
};

struct keyring *
keyring_new(const uint8_t repo_id[LAYOUT_REPO_ID])
{
	struct keyring *k = xcalloc(1, sizeof(*k));

	memcpy(k->repo_id, repo_id, LAYOUT_REPO_ID);
	return k;
}

struct keyring *
keyring_new_like(const struct keyring *k)
{
	struct keyring *new = keyring_new(k->repo_id);

	for (size_t i = 0; i < k->signers; i++)
		keyring_add_signer(new, k->signer[i].pub, k->signer[i].from_ns);
	new->pass = xcalloc(k->passes + 1, sizeof(*new->pass));
	if (k->passes > 0)
		memcpy(new->pass, k->pass, k->passes * sizeof(*new->pass));
	new->passes = k->passes;
	return new;
}

void
keyring_free(struct keyring *k)
{
	if (k == NULL)
		return;
	if (k->epoch != NULL)
		key_wipe(k->epoch, k->epochs * sizeof(*k->epoch));
	if (k->pass != NULL)
		key_wipe(k->pass, k->passes * sizeof(*k->pass));
	free(k->epoch);
	free(k->pass);
	free(k->signer);
	sign_key_free(k->sign);
	key_wipe(k, sizeof(*k));
	free(k);
}

void
keyring_add_signer(struct keyring *k, const uint8_t pub[SIGN_PUB], int64_t from_ns)
{
	struct keyring_signer *s;

	k->signer = xreallocarray(k->signer, k->signers + 1, sizeof(*k->signer));
	s = &k->signer[k->signers++];
	memcpy(s->pub, pub, SIGN_PUB);
	sign_key_id(pub, s->id);
	s->from_ns = from_ns;
}

static struct keyring_epoch *
find_epoch(const struct keyring *k, const uint8_t epoch[LAYOUT_EPOCH])
{
	for (size_t i = 0; i < k->epochs; i++)
		if (memcmp(k->epoch[i].epoch, epoch, LAYOUT_EPOCH) == 0)
			return &k->epoch[i];
	return NULL;
}

const struct keyring_epoch *
keyring_find(const struct keyring *k, const uint8_t epoch[LAYOUT_EPOCH])
{
	return find_epoch(k, epoch);
}

const struct keyring_epoch *
keyring_current(const struct keyring *k)
{
	const struct keyring_epoch *whole = NULL;

	for (size_t i = k->epochs; i > 0; i--) {
		if (k->epoch[i - 1].everywhere)
			return &k->epoch[i - 1];
		if (whole == NULL && k->epoch[i - 1].whole)
			whole = &k->epoch[i - 1];
	}
	return whole != NULL || k->epochs == 0 ? whole : &k->epoch[k->epochs - 1];
}

const struct keyring_signer *
keyring_signer(const struct keyring *k, const uint8_t id[SIGN_ID])
{
	for (size_t i = 0; i < k->signers; i++)
		if (memcmp(k->signer[i].id, id, SIGN_ID) == 0)
			return &k->signer[i];
	return NULL;
}

int
keyring_sign(const struct keyring *k, const void *msg, size_t n, uint8_t sig[SIGN_LEN],
    struct err *e)
{
	if (k->sign == NULL)
		return err_set(e, ERR_KEY, "no signing key here: [keys] signing must name one");
	return sign_make(k->sign, msg, n, sig, e);
}

/* ---- epochs ---- */

static void
epoch_name(const uint8_t data[KEY_LEN], uint8_t epoch[LAYOUT_EPOCH])
{
	struct digest *d = digest_new();
	uint8_t sha[DIGEST_LEN];

	digest_add(d, "ffdr/epoch", strlen("ffdr/epoch"));
	digest_add(d, data, KEY_LEN);
	digest_end(d, sha);
	digest_free(d);
	memcpy(epoch, sha, LAYOUT_EPOCH);
}

static bool
epoch_before(const struct keyring_epoch *a, const struct keyring_epoch *b)
{
	if (a->created_ns != b->created_ns)
		return a->created_ns < b->created_ns;
	return memcmp(a->epoch, b->epoch, LAYOUT_EPOCH) < 0;
}

/*
 * Adds it at its place. All copies of keys are in this array, which is never left behind by
 * realloc.
 */
static struct keyring_epoch *
insert_epoch(struct keyring *k, const uint8_t data[KEY_LEN], int64_t created_ns)
{
	struct keyring_epoch new = { .created_ns = created_ns }, *bigger;
	size_t at = k->epochs;

	memcpy(new.data, data, KEY_LEN);
	epoch_name(data, new.epoch);
	digest_hkdf(data, NULL, 0, "ffdr/salt", strlen("ffdr/salt"), new.salt);

	bigger = xcalloc(k->epochs + 1, sizeof(*bigger));
	while (at > 0 && epoch_before(&new, &k->epoch[at - 1]))
		at--;
	for (size_t i = 0; i < k->epochs; i++)
		bigger[i < at ? i : i + 1] = k->epoch[i];
	bigger[at] = new;
	if (k->epoch != NULL)
		key_wipe(k->epoch, k->epochs * sizeof(*k->epoch));
	free(k->epoch);
	k->epoch = bigger;
	k->epochs++;
	key_wipe(&new, sizeof(new));
	return &k->epoch[at];
}

struct keyring_epoch *
keyring_add_epoch(struct keyring *k, int64_t now_ns)
{
	uint8_t key[KEY_LEN], epoch[LAYOUT_EPOCH];
	struct keyring_epoch *made;

	if (!k->has_id) {
		key_random(key, sizeof(key));
		digest_idkey_init(&k->id, key);
		k->has_id = true;
	}
	do {
		key_random(key, sizeof(key));
		epoch_name(key, epoch);
	} while (find_epoch(k, epoch) != NULL);
	/* Whole seconds, as its key objects tell it. */
	made = insert_epoch(k, key, now_ns - now_ns % CLOCK_S);
	key_wipe(key, sizeof(key));
	return made;
}

void
keyring_drop_epoch(struct keyring *k, const uint8_t epoch[LAYOUT_EPOCH])
{
	struct keyring_epoch *ep = find_epoch(k, epoch), *last = &k->epoch[k->epochs - 1];

	if (ep == NULL)
		return;
	memmove(ep, ep + 1, (size_t)(last - ep) * sizeof(*ep));
	key_wipe(last, sizeof(*last));
	k->epochs--;
}

void
keyring_set_everywhere(struct keyring *k, const uint8_t epoch[LAYOUT_EPOCH])
{
	struct keyring_epoch *ep = find_epoch(k, epoch);

	if (ep != NULL)
		ep->whole = ep->everywhere = true;
}

/* ---- recipients ---- */

/* What was stretched before for this passphrase; salt NULL: whatever salt it had. */
static const struct keyring_pass *
find_pass(const struct keyring *k, const struct kek *kek, const uint8_t *salt)
{
	uint8_t of[DIGEST_LEN];

	digest_sha256(kek->secret.data, kek->secret.len, of);
	for (size_t i = 0; i < k->passes; i++)
		if (digest_equal(k->pass[i].of, of, DIGEST_LEN) &&
		    (salt == NULL || memcmp(k->pass[i].ready.salt, salt, KEY_SALT) == 0))
			return &k->pass[i];
	return NULL;
}

/* salt NULL: that of an earlier object, else a new one. The result is wiped by the caller. */
static int
prepare(struct keyring *k, const struct kek *kek, const uint8_t *salt, struct kek_ready *ret,
    struct err *e)
{
	const struct keyring_pass *known;
	struct keyring_pass *bigger;
	uint8_t new_salt[KEY_SALT];

	if (kek->kind != KEK_PASSPHRASE)
		return kek_prepare(kek, NULL, ret, e);
	known = find_pass(k, kek, salt);
	if (known != NULL) {
		*ret = known->ready;
		return 0;
	}
	if (salt == NULL)
		key_random(new_salt, sizeof(new_salt));
	if (kek_prepare(kek, salt == NULL ? new_salt : salt, ret, e) == -1)
		return -1;
	bigger = xcalloc(k->passes + 1, sizeof(*bigger));
	if (k->passes > 0) {
		memcpy(bigger, k->pass, k->passes * sizeof(*bigger));
		key_wipe(k->pass, k->passes * sizeof(*bigger));
	}
	free(k->pass);
	k->pass = bigger;
	digest_sha256(kek->secret.data, kek->secret.len, bigger[k->passes].of);
	bigger[k->passes++].ready = *ret;
	return 0;
}

int
keyring_recipient(const struct keyring *k, const struct kek *kek, char out[KEK_RECIPIENT],
    struct err *e)
{
	const struct keyring_pass *known;
	struct kek_ready ready;

	if (kek->kind == KEK_PASSPHRASE) {
		known = find_pass(k, kek, NULL);
		snprintf(out, KEK_RECIPIENT, "%s", known == NULL ? "" : known->ready.recipient);
		return 0;
	}
	if (kek_prepare(kek, NULL, &ready, e) == -1)
		return -1;
	memcpy(out, ready.recipient, KEK_RECIPIENT);
	kek_ready_done(&ready);
	return 0;
}

/* ---- key objects ---- */

/* "ffdr-K" || object name || sha256(text up to and with the line break of "signer") */
static void
signed_text(const char *name, const void *text, size_t n, struct buf *out)
{
	uint8_t sha[DIGEST_LEN];

	buf_init(out, LAYOUT_NAME + 64);
	digest_sha256(text, n, sha);
	buf_adds(out, "ffdr-K");
	buf_adds(out, name);
	buf_add(out, sha, sizeof(sha));
}

static void
add_hex(struct buf *out, const char *key, const uint8_t *bytes, size_t n)
{
	char hex[3];

	buf_addf(out, "%s ", key);
	for (size_t i = 0; i < n; i++)
		buf_adds(out, text_hex(bytes + i, 1, hex));
	buf_addc(out, '\n');
}

/* The wrapped key as a line. */
static int
add_wrapped(struct buf *out, const char *key, const struct kek_ready *r,
    const uint8_t secret[KEY_LEN], struct err *e)
{
	struct buf wrapped;
	int rc;

	buf_init(&wrapped, KEK_WRAPPED_MAX);
	rc = kek_wrap(r, secret, &wrapped, e);
	if (rc == 0)
		add_hex(out, key, wrapped.data, wrapped.len);
	buf_done(&wrapped);
	return rc;
}

static int
write_object(const struct keyring *k, const struct keyring_epoch *ep, const struct kek_ready *r,
    const char *name, struct buf *text, struct err *e)
{
	uint8_t id[SIGN_ID], sig[SIGN_LEN];
	size_t start = text->len;
	char when[UNITS_TEXT];
	struct buf msg;
	int rc;

	if (k->sign == NULL)
		return keyring_sign(k, NULL, 0, sig, e);
	buf_addf(text, "%s 1\n", FIRST_LINE);
	add_hex(text, "repository", k->repo_id, LAYOUT_REPO_ID);
	add_hex(text, "epoch", ep->epoch, LAYOUT_EPOCH);
	buf_addf(text, "created %s\nrecipient %s\nkind %s\n", units_time(ep->created_ns, when),
	    r->recipient, kek_kind_word(r->kind));
	if (r->kind == KEK_PASSPHRASE)
		add_hex(text, "salt", r->salt, KEY_SALT);
	if (add_wrapped(text, "data", r, ep->data, e) == -1 ||
	    add_wrapped(text, "id", r, k->id.key, e) == -1)
		return -1;
	sign_key_id(sign_key_public(k->sign), id);
	add_hex(text, "signer", id, SIGN_ID);
	if (buf_check(text, "key object", e) == -1)
		return -1;
	signed_text(name, text->data + start, text->len - start, &msg);
	rc = keyring_sign(k, msg.data, msg.len, sig, e);
	buf_done(&msg);
	if (rc == -1)
		return -1;
	add_hex(text, "signature", sig, SIGN_LEN);
	return buf_check(text, "key object", e);
}

int
keyring_object(struct keyring *k, const struct keyring_epoch *ep, const struct kek *kek,
    const char *escrow_pem, char name[LAYOUT_NAME], struct buf *text, struct err *e)
{
	struct kek_ready ready = { 0 };
	int rc;

	if (escrow_pem != NULL)
		rc = kek_prepare_escrow(escrow_pem, &ready, e);
	else
		rc = prepare(k, kek, NULL, &ready, e);
	if (rc == 0)
		rc = write_object(k, ep, &ready, layout_key(ep->epoch, ready.recipient, name), text,
		    e);
	kek_ready_done(&ready);
	return rc;
}

/* A key object taken apart. */
struct parts {
	uint8_t repo_id[LAYOUT_REPO_ID], epoch[LAYOUT_EPOCH];
	int64_t created_ns;
	struct buf recipient, kind, data, id;
	uint8_t salt[KEY_SALT];
	uint8_t signer[SIGN_ID], sig[SIGN_LEN];
	size_t signed_len;
};

static void
parts_init(struct parts *p)
{
	memset(p, 0, sizeof(*p));
	buf_init(&p->recipient, KEK_RECIPIENT - 1);
	buf_init(&p->kind, 16);
	buf_init(&p->data, KEK_WRAPPED_MAX * 2);
	buf_init(&p->id, KEK_WRAPPED_MAX * 2);
}

static void
parts_done(struct parts *p)
{
	buf_done(&p->recipient);
	buf_done(&p->kind);
	buf_done(&p->data);
	buf_done(&p->id);
}

/* A value of hex digits becomes its bytes, in place. */
static int
take_bytes(struct lines *l, const char *key, struct buf *out, struct err *e)
{
	if (lines_take(l, key, out, e) == -1)
		return -1;
	if (out->len == 0 || out->len % 2 != 0 ||
	    text_unhex(buf_str(out), out->data, out->len / 2) == -1)
		return err_set(e, ERR_CORRUPT, "line %zu: '%s': expected lower case hex", l->number,
		    key);
	out->len /= 2;
	return 0;
}

static int
parse_parts(const struct buf *text, struct parts *p, struct err *e)
{
	struct lines l;

	lines_set(&l, text);
	if (lines_next_is(&l, FIRST_LINE) && lines_take_word(&l, FIRST_LINE, "1", e) == -1)
		return err_set(e, ERR_UNSUPPORTED, "key object of another version than 1");
	if (l.number == 0)
		return err_set(e, ERR_CORRUPT, "not a key object: does not begin with '%s'",
		    FIRST_LINE);
	if (lines_take_hex(&l, "repository", p->repo_id, LAYOUT_REPO_ID, e) == -1 ||
	    lines_take_hex(&l, "epoch", p->epoch, LAYOUT_EPOCH, e) == -1 ||
	    lines_take_time(&l, "created", &p->created_ns, e) == -1 ||
	    lines_take(&l, "recipient", &p->recipient, e) == -1 ||
	    lines_take(&l, "kind", &p->kind, e) == -1)
		return -1;
	if (strcmp(buf_str(&p->kind), kek_kind_word(KEK_PASSPHRASE)) == 0 &&
	    lines_take_hex(&l, "salt", p->salt, KEY_SALT, e) == -1)
		return -1;
	if (take_bytes(&l, "data", &p->data, e) == -1 || take_bytes(&l, "id", &p->id, e) == -1 ||
	    lines_take_hex(&l, "signer", p->signer, SIGN_ID, e) == -1)
		return -1;
	p->signed_len = lines_offset(&l, text);
	if (lines_take_hex(&l, "signature", p->sig, SIGN_LEN, e) == -1)
		return -1;
	return lines_end(&l, e);
}

/* Is it ours, is it what its name says, and did one of our signers write it? */
static int
check_parts(const struct keyring *k, const char *name, const struct buf *text,
    const struct parts *p, struct err *e)
{
	char own[LAYOUT_NAME], theirs[TEXT_HEX(LAYOUT_REPO_ID)], hex[TEXT_HEX(SIGN_ID)];
	const struct keyring_signer *s;
	struct buf msg;
	int rc;

	if (memcmp(p->repo_id, k->repo_id, LAYOUT_REPO_ID) != 0)
		return err_set(e, ERR_CORRUPT, "key object belongs to another repository, %s",
		    text_hex(p->repo_id, LAYOUT_REPO_ID, theirs));
	if (strcmp(layout_key(p->epoch, buf_str(&p->recipient), own), name) != 0)
		return err_set(e, ERR_CORRUPT, "key object calls itself '%s'", own);
	s = keyring_signer(k, p->signer);
	if (s == NULL)
		return err_set(e, ERR_KEY, "key object is signed by %s, whom the repository does "
		    "not list", text_hex(p->signer, SIGN_ID, hex));
	signed_text(name, text->data, p->signed_len, &msg);
	rc = sign_check(s->pub, msg.data, msg.len, p->sig, NULL);
	buf_done(&msg);
	if (rc == -1)
		return err_set(e, ERR_CORRUPT, "signature of the key object does not fit: it was "
		    "changed or forged");
	return 0;
}

/* Both keys come out, the data key gives its epoch, the id key is the one we know. */
static int
open_parts(struct keyring *k, const struct kek_ready *r, const struct parts *p, struct err *e)
{
	uint8_t data[KEY_LEN], id[KEY_LEN], epoch[LAYOUT_EPOCH];
	int rc = -1;

	if (kek_unwrap(r, &p->data, data, e) == -1 || kek_unwrap(r, &p->id, id, e) == -1)
		goto out;
	epoch_name(data, epoch);
	if (memcmp(epoch, p->epoch, LAYOUT_EPOCH) != 0) {
		err_set(e, ERR_CORRUPT, "data key is not the one of its epoch");
		goto out;
	}
	if (k->has_id && !digest_equal(id, k->id.key, KEY_LEN)) {
		err_set(e, ERR_CORRUPT, "id key differs from that of the other key objects");
		goto out;
	}
	if (!k->has_id)
		digest_idkey_init(&k->id, id);
	k->has_id = true;
	if (find_epoch(k, epoch) == NULL)
		insert_epoch(k, data, p->created_ns);
	rc = 0;
out:
	key_wipe(data, sizeof(data));
	key_wipe(id, sizeof(id));
	return rc;
}

int
keyring_take(struct keyring *k, const struct kek *kek, const char *name, const struct buf *text,
    struct err *e)
{
	struct kek_ready ready = { 0 };
	struct parts p;
	int rc = -1;

	parts_init(&p);
	if (parse_parts(text, &p, e) == -1 || check_parts(k, name, text, &p, e) == -1)
		goto out;
	rc = 0;
	if (strcmp(buf_str(&p.kind), kek_kind_word(kek->kind)) != 0)
		goto out;
	if (prepare(k, kek, p.salt, &ready, e) == -1)
		rc = -1;
	else if (strcmp(ready.recipient, buf_str(&p.recipient)) == 0)
		rc = open_parts(k, &ready, &p, e) == -1 ? -1 : 1;
out:
	kek_ready_done(&ready);
	parts_done(&p);
	return rc;
}

int
keyring_check(const struct keyring *k, const char *name, const struct buf *text, struct err *e)
{
	struct parts p;
	int rc = -1;

	parts_init(&p);
	if (parse_parts(text, &p, e) == 0 && check_parts(k, name, text, &p, e) == 0)
		rc = 0;
	parts_done(&p);
	return rc;
}
