#include "tests/lib/repokit.h"

#include <string.h>

#include "base/clock.h"
#include "filter/key.h"
#include "tests/lib/memstore.h"
#include "tests/lib/vector.h"

#define DAY_MS (INT64_C(86400) * 1000)

static void
must(int rc, const struct err *e)
{
	if (rc == -1)
		fail_msg("%s: %s", err_word(e->kind), e->text);
}

void
repokit_begin(struct repokit *k, size_t tiers)
{
	static const char *const name[REPOKIT_TIERS] = { "one", "two", "three" };

	memset(k, 0, sizeof(*k));
	for (size_t i = 0; i < tiers; i++) {
		k->tier[i].name = name[i];
		k->tier[i].options.url = "memory:";
		k->tier[i].store = memstore_new();
		k->own[i] = memstore_share(k->tier[i].store);
	}
	k->tiers = (struct tier_set){ .tier = k->tier, .count = tiers };
	k->kek.kind = KEK_KEY;
	buf_init(&k->kek.secret, KEY_LEN);
	key_random(buf_reserve(&k->kek.secret, KEY_LEN), KEY_LEN);
	k->kek.secret.len = KEY_LEN;
	buf_init(&k->sign_pem, 4096);
	sign_key_free(sign_key_make(&k->sign_pem));
	k->options = (struct repo_options){
		.horizon_ms = 30 * DAY_MS,
		.pack_size = 1 << 20,
		.kek = &k->kek,
	};
}

struct repo_options *
repokit_options(struct repokit *k)
{
	struct err e = { 0 };

	must(sign_key_parse(buf_str(&k->sign_pem), k->sign_pem.len, &k->options.sign, &e), &e);
	return &k->options;
}

void
repokit_failed(struct repokit *k)
{
	sign_key_free(k->options.sign);
	k->options.sign = NULL;
}

void
repokit_init(struct repokit *k, size_t tiers)
{
	struct err e = { 0 };
	unsigned made = 0;

	repokit_begin(k, tiers);
	must(repo_init(&k->tiers, repokit_options(k), &made, &k->repo, &e), &e);
	assert_int_equal(made, tiers);
}

void
repokit_reopen(struct repokit *k)
{
	struct err e = { 0 };

	repo_free(k->repo);
	k->repo = NULL;
	for (size_t i = 0; i < k->tiers.count; i++)
		if (k->tier[i].store == NULL && k->tier[i].why.kind == ERR_REMOTE)
			k->tier[i].store = memstore_share(k->own[i]);
	must(repo_open(&k->tiers, repokit_options(k), &k->repo, &e), &e);
}

void
repokit_make_kek(struct kek *kek)
{
	*kek = (struct kek){ .kind = KEK_KEY };
	buf_init(&kek->secret, KEY_LEN);
	key_random(buf_reserve(&kek->secret, KEY_LEN), KEY_LEN);
	kek->secret.len = KEY_LEN;
}

void
repokit_turn_to(struct repokit *k, const struct kek *kek)
{
	k->options.kek = kek;
	repokit_reopen(k);
}

void
repokit_done(struct repokit *k)
{
	repo_free(k->repo);
	for (size_t i = 0; i < REPOKIT_TIERS; i++)
		store_close(k->own[i]);
	for (size_t i = 0; i < k->tiers.count; i++)
		store_close(k->tier[i].store);
	kek_done(&k->kek);
	buf_done(&k->sign_pem);
}

struct repokit repokit;

int
repokit_one_tier(void **state)
{
	(void)state;
	repokit_init(&repokit, 1);
	return 0;
}

int
repokit_two_tiers(void **state)
{
	(void)state;
	repokit_init(&repokit, 2);
	return 0;
}

int
repokit_teardown(void **state)
{
	(void)state;
	repokit_done(&repokit);
	return 0;
}

void
repokit_refused(int rc, const struct err *e, enum err_kind kind, const char *says)
{
	assert_int_equal(rc, -1);
	if (e->kind != kind || strstr(e->text, says) == NULL)
		fail_msg("expected %s with '%s', got %s: %s", err_word(kind), says,
		    err_word(e->kind), e->text);
}

void
repokit_init_refused(struct repokit *k, enum err_kind kind, const char *says)
{
	struct err e = { 0 };
	unsigned made = 0;
	int rc = repo_init(&k->tiers, repokit_options(k), &made, &k->repo, &e);

	repokit_refused(rc, &e, kind, says);
	repokit_failed(k);
}

void
repokit_open_refused(struct repokit *k, enum err_kind kind, const char *says)
{
	struct err e = { 0 };
	int rc;

	repo_free(k->repo);
	k->repo = NULL;
	rc = repo_open(&k->tiers, repokit_options(k), &k->repo, &e);
	repokit_refused(rc, &e, kind, says);
	repokit_failed(k);
}

void
repokit_must_init(struct repokit *k, unsigned expected)
{
	struct err e = { 0 };
	unsigned made = 77;

	if (repo_init(&k->tiers, repokit_options(k), &made, &k->repo, &e) == -1)
		fail_msg("%s", e.text);
	assert_int_equal(made, expected);
}

void
repokit_put(struct store *s, const char *name, const char *bytes)
{
	struct err e = { 0 };

	assert_int_equal(store_put(s, name, bytes, strlen(bytes), STORE_NEW, &e), 1);
}

struct keyring *
repokit_keyring(void)
{
	uint8_t id[LAYOUT_REPO_ID];
	struct keyring *k;
	struct buf pem;

	key_random(id, sizeof(id));
	k = keyring_new(id);
	buf_init(&pem, 4096);
	k->sign = sign_key_make(&pem);
	buf_done(&pem);
	keyring_add_signer(k, sign_key_public(k->sign), clock_real_ns());
	keyring_add_epoch(k, clock_real_ns());
	return k;
}
