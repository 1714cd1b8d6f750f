#include "repo/repo.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/lib/faultstore.h"
#include "tests/lib/memstore.h"
#include "tests/lib/repokit.h"
#include "tests/lib/scratch.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

/* A second signer, and the repository opened with it. */
static void
add_signer(struct repokit *k)
{
	struct sign_key *new_key;
	struct err e = { 0 };

	buf_reset(&k->sign_pem);
	new_key = sign_key_make(&k->sign_pem);
	if (repo_rotate_signer(k->repo, new_key, &e) == -1)
		fail_msg("%s", e.text);
	sign_key_free(new_key);
}

static void
a_new_signer_is_known_to_old_and_new_hosts_alike(void **state)
{
	struct repokit k;
	struct buf old_pem;

	(void)state;
	repokit_init(&k, 2);
	buf_init(&old_pem, 4096);
	buf_add(&old_pem, k.sign_pem.data, k.sign_pem.len);
	add_signer(&k);
	assert_int_equal(k.repo->number, 1);
	repokit_reopen(&k);
	assert_int_equal(k.repo->number, 1);
	assert_int_equal(k.repo->keys->signers, 2);
	buf_reset(&k.sign_pem);
	buf_add(&k.sign_pem, old_pem.data, old_pem.len);
	repokit_reopen(&k);
	assert_int_equal(k.repo->keys->signers, 2);
	buf_done(&old_pem);
	repokit_done(&k);
}

static void
a_repository_set_back_is_refused_by_who_has_seen_more(void **state)
{
	const char *dir = scratch_dir();
	char *pin = scratch_path(dir, "pin"), saved[KEYRING_TEXT_MAX];
	struct repokit k;
	uint8_t *bytes;
	size_t len;
	struct err e = { 0 };

	(void)state;
	repokit_init(&k, 2);
	k.options.pin_path = pin;
	add_signer(&k);
	repokit_reopen(&k);
	bytes = memstore_bytes(k.tier[0].store, "repo/1", &len);
	memcpy(saved, bytes, len);
	memstore_drop(k.tier[0].store, "repo/1");
	repokit_reopen(&k); /* the other tier still knows */
	memstore_drop(k.tier[1].store, "repo/1");
	repokit_open_refused(&k, ERR_REFUSED, "rolled back");
	repokit_open_refused(&k, ERR_REFUSED, pin);
	assert_int_equal(store_put(k.tier[1].store, "repo/1", saved, len, STORE_NEW, &e), 1);
	repokit_reopen(&k);
	/* The way out works. */
	memstore_drop(k.tier[1].store, "repo/1");
	assert_int_equal(unlink(pin), 0);
	repokit_open_refused(&k, ERR_KEY, "does not know this host's signing key");
	free(pin);
	repokit_done(&k);
}

static void
another_repository_in_the_same_place_is_refused(void **state)
{
	char *pin = scratch_path(scratch_dir(), "deep/pin");
	struct repokit a, b;
	struct store *own;

	(void)state;
	repokit_begin(&a, 1);
	a.options.pin_path = pin;
	repokit_must_init(&a, 1);
	repokit_init(&b, 1);
	own = a.tier[0].store;
	a.tier[0].store = b.tier[0].store;
	repokit_open_refused(&a, ERR_REFUSED, "this host has worked with");
	/* Empty tiers where a repository was: a mount that is missing. */
	a.tier[0].store = memstore_new();
	repokit_init_refused(&a, ERR_REFUSED, "all tiers are empty");
	assert_int_equal(memstore_count(a.tier[0].store), 0);
	store_close(a.tier[0].store);
	a.tier[0].store = own;
	free(pin);
	repokit_done(&a);
	repokit_done(&b);
}

static void
rubbish_under_a_high_number_does_not_stop_anything(void **state)
{
	struct repokit k;

	(void)state;
	repokit_init(&k, 1);
	repokit_put(k.tier[0].store, "repo/1", "rubbish");
	repokit_put(k.tier[0].store, "repo/7", "rubbish");
	repokit_put(k.tier[0].store, "repo/x", "rubbish");
	repokit_reopen(&k);
	assert_int_equal(k.repo->number, 0);
	repokit_done(&k);
}

static void
a_newer_format_is_refused_not_guessed_at(void **state)
{
	struct repokit k;

	(void)state;
	repokit_init(&k, 1);
	repokit_put(k.tier[0].store, "repo/1", "ffdr-repository 2\nwhatever\n");
	repokit_open_refused(&k, ERR_UNSUPPORTED, "newer program");
	repokit_done(&k);
}

static void
a_tier_that_falls_silent_does_not_shorten_the_chain(void **state)
{
	struct fault f = { .kind = FAULT_IO, .op = "get", .at = 2 };
	struct repokit k;

	(void)state;
	repokit_init(&k, 1);
	add_signer(&k);
	k.tier[0].store = faultstore_new(k.tier[0].store);
	faultstore_arm(k.tier[0].store, &f);
	repokit_open_refused(&k, ERR_IO, "repo/1");
	assert_int_equal(faultstore_struck(k.tier[0].store), 1);
	repokit_reopen(&k);
	repokit_done(&k);
}

static void
every_changed_byte_of_the_repository_object_is_noticed(void **state)
{
	struct repokit k;
	uint8_t *bytes;
	size_t len;

	(void)state;
	repokit_init(&k, 1);
	bytes = memstore_bytes(k.tier[0].store, "repo/0", &len);
	repo_free(k.repo);
	k.repo = NULL;
	for (size_t i = 0; i < len; i++) {
		struct err e = { 0 };

		bytes[i] ^= 2;
		assert_int_equal(repo_open(&k.tiers, repokit_options(&k), &k.repo, &e), -1);
		assert_true(e.kind == ERR_CORRUPT || e.kind == ERR_UNSUPPORTED);
		repokit_failed(&k);
		bytes[i] ^= 2;
	}
	repokit_reopen(&k);
	repokit_done(&k);
}

/*
 * A thief with write access makes a chain of his own that ends with the victim's public key
 * listed.
 */
static void
listing_a_strangers_key_does_not_make_a_forgery_believed(void **state)
{
	struct repokit thief, victim;
	struct identity it = { 0 };
	struct sign_key *sign = NULL, *third;
	struct buf text, pem;
	struct err e = { 0 };

	(void)state;
	repokit_init(&thief, 1);
	repokit_begin(&victim, 0);
	buf_init(&text, IDENTITY_TEXT_MAX);
	buf_init(&pem, 4096);
	assert_int_equal(sign_key_parse(buf_str(&victim.sign_pem), victim.sign_pem.len, &sign, &e),
	    0);
	third = sign_key_make(&pem);
	it = thief.repo->chain.item[0];
	it.signer = NULL;
	it.signers = 0;
	it.number = 1;
	it.has_previous = true;
	memcpy(it.previous, thief.repo->chain.item[0].sha, DIGEST_LEN);
	identity_add_signer(&it, sign_key_public(thief.repo->keys->sign), 0);
	identity_add_signer(&it, sign_key_public(sign), 0);
	/* Signed by the thief alone: the newest one listed has not signed. */
	assert_int_equal(identity_encode(&it, thief.repo->keys->sign, NULL, &text, &e), 0);
	repokit_put(thief.tier[0].store, "repo/1", buf_str(&text));
	victim.tiers = thief.tiers;
	repokit_open_refused(&victim, ERR_KEY, "not signed by the newest signer");
	/* With a helper as the newest: two at once. */
	memstore_drop(thief.tier[0].store, "repo/1");
	identity_add_signer(&it, sign_key_public(third), 0);
	buf_reset(&text);
	assert_int_equal(identity_encode(&it, thief.repo->keys->sign, third, &text, &e), 0);
	repokit_put(thief.tier[0].store, "repo/1", buf_str(&text));
	repokit_open_refused(&victim, ERR_KEY, "at most one more");
	victim.tiers.count = 0;
	identity_done(&it);
	sign_key_free(sign);
	sign_key_free(third);
	buf_done(&text);
	buf_done(&pem);
	repokit_done(&victim);
	repokit_done(&thief);
}

/* Whoever signs may add to what was replaced, and nobody take away. */
static void
what_was_replaced_stays_so(void **state)
{
	struct repokit k;
	struct identity it = { 0 };
	struct buf text;
	struct err e = { 0 };

	(void)state;
	repokit_init(&k, 1);
	buf_init(&text, IDENTITY_TEXT_MAX);
	for (unsigned n = 1; n < 4; n++) {
		it = *repo_chain_last(&k.repo->chain);
		it.replaced = NULL;
		it.replaceds = 0;
		it.number = n;
		it.has_previous = true;
		memcpy(it.previous, repo_chain_last(&k.repo->chain)->sha, DIGEST_LEN);
		if (n < 3)
			identity_add_replaced(&it, "k0123456789abcdef", 0);
		if (n == 2)
			identity_add_replaced(&it, "e0123456789abcdef", CLOCK_S);
		buf_reset(&text);
		assert_int_equal(identity_encode(&it, k.repo->keys->sign, NULL, &text, &e), 0);
		free(it.replaced);
		repokit_put(k.tier[0].store, n == 1 ? "repo/1" : n == 2 ? "repo/2" : "repo/3",
		    buf_str(&text));
		repokit_reopen(&k);
		assert_int_equal(k.repo->number, n < 3 ? n : 2);
	}
	assert_int_equal(repo_replaced(k.repo, "e0123456789abcdef"), CLOCK_S);
	assert_non_null(strstr(k.repo->chain.broken.text, "does not keep what repo/2 says was replaced"));
	buf_done(&text);
	repokit_done(&k);
}

/* What the text says and who signs it: 0 when it follows `before`, with what it came to in *ret. */
static int
follows(const struct identity *text, const struct sign_key *by, const struct sign_key *also,
    const struct identity *before, struct identity *ret, struct err *e)
{
	struct buf bytes;
	int rc;

	buf_init(&bytes, IDENTITY_TEXT_MAX);
	assert_int_equal(identity_encode(text, by, also, &bytes, e), 0);
	assert_int_equal(identity_parse(&bytes, ret, e), 0);
	rc = identity_check(ret, before, e);
	buf_done(&bytes);
	return rc;
}

static void
the_next_object_follows_in_hash_signers_and_signatures(void **state)
{
	struct sign_key *key[3];
	struct identity text[3] = { { .number = 0 }, { .number = 1 }, { .number = 2 } };
	struct identity it[3], wrong;
	struct err e = { 0 };
	struct buf pem;

	(void)state;
	buf_init(&pem, 4096);
	for (size_t i = 0; i < 3; i++) {
		buf_reset(&pem);
		key[i] = sign_key_make(&pem);
	}
	identity_add_signer(&text[0], sign_key_public(key[0]), 0);
	assert_int_equal(follows(&text[0], key[0], NULL, NULL, &it[0], &e), 0);
	for (size_t i = 1; i < 3; i++)
		text[i].has_previous = true;
	memcpy(text[1].previous, it[0].sha, DIGEST_LEN);
	for (size_t i = 0; i < 2; i++)
		identity_add_signer(&text[1], sign_key_public(key[i]), 0);
	assert_int_equal(follows(&text[1], key[0], key[1], &it[0], &it[1], &e), 0);
	/* Whoever is new brings himself in. */
	assert_int_equal(follows(&text[1], key[1], NULL, &it[0], &wrong, &e), -1);
	assert_non_null(strstr(e.text, "not signed by a signer of the one before"));
	identity_done(&wrong);
	/* It comes behind another one. */
	text[1].previous[5] ^= 1;
	assert_int_equal(follows(&text[1], key[0], key[1], &it[0], &wrong, &e), -1);
	assert_non_null(strstr(e.text, "does not follow repo/0"));
	identity_done(&wrong);
	/* As many signers as before, one of them another. */
	memcpy(text[2].previous, it[1].sha, DIGEST_LEN);
	identity_add_signer(&text[2], sign_key_public(key[0]), 0);
	identity_add_signer(&text[2], sign_key_public(key[2]), 0);
	assert_int_equal(follows(&text[2], key[0], key[2], &it[1], &wrong, &e), -1);
	assert_non_null(strstr(e.text, "does not keep the signers of repo/1"));
	identity_done(&wrong);
	for (size_t i = 0; i < 3; i++) {
		sign_key_free(key[i]);
		identity_done(&text[i]);
		if (i < 2)
			identity_done(&it[i]);
	}
	buf_done(&pem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, vclock_setup, vclock_teardown)
		T(a_new_signer_is_known_to_old_and_new_hosts_alike),
		T(a_repository_set_back_is_refused_by_who_has_seen_more),
		T(another_repository_in_the_same_place_is_refused),
		T(rubbish_under_a_high_number_does_not_stop_anything),
		T(a_newer_format_is_refused_not_guessed_at),
		T(a_tier_that_falls_silent_does_not_shorten_the_chain),
		T(every_changed_byte_of_the_repository_object_is_noticed),
		T(listing_a_strangers_key_does_not_make_a_forgery_believed),
		T(what_was_replaced_stays_so),
		T(the_next_object_follows_in_hash_signers_and_signatures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
