#include "repo/repo.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "filter/key.h"
#include "repo/repo_scan.h"
#include "tests/lib/faultstore.h"
#include "tests/lib/memstore.h"
#include "tests/lib/repokit.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

/* The one name on a tier that begins so, else "". */
static const char *
only(struct repokit *k, size_t tier, const char *prefix, char out[LAYOUT_NAME])
{
	struct repo_scan s;

	out[0] = '\0';
	repo_scan(&k->tiers, &s);
	for (size_t i = 0; i < s.tier[tier].names; i++)
		if (strncmp(s.tier[tier].name[i], prefix, strlen(prefix)) == 0)
			memcpy(out, s.tier[tier].name[i], LAYOUT_NAME);
	repo_scan_done(&s);
	return out;
}

static void
init_makes_one_repository_on_all_tiers_and_it_opens_from_any(void **state)
{
	struct repokit k;
	uint8_t id[LAYOUT_REPO_ID], epoch[LAYOUT_EPOCH];

	(void)state;
	repokit_init(&k, 3);
	memcpy(id, k.repo->id, sizeof(id));
	memcpy(epoch, keyring_current(k.repo->keys)->epoch, sizeof(epoch));
	assert_true(k.repo->horizon_ns == INT64_C(30) * 86400 * CLOCK_S);
	assert_int_equal(k.repo->pack_size, 1 << 20);
	for (size_t up = 0; up < 3; up++) {
		for (size_t i = 0; i < 3; i++)
			memstore_away(k.own[i], i != up);
		repokit_reopen(&k);
		assert_memory_equal(k.repo->id, id, sizeof(id));
		assert_memory_equal(keyring_current(k.repo->keys)->epoch, epoch, sizeof(epoch));
	}
	repokit_done(&k);
}

static void
init_again_changes_nothing(void **state)
{
	struct repokit k;
	size_t before;

	(void)state;
	repokit_init(&k, 2);
	before = memstore_count(k.tier[0].store);
	repo_free(k.repo);
	repokit_must_init(&k, 0);
	assert_int_equal(memstore_count(k.tier[0].store), before);
	assert_int_equal(k.repo->keys->epochs, 1);
	repokit_done(&k);
}

static void
init_brings_the_repository_to_a_new_tier(void **state)
{
	struct repokit k;
	uint8_t id[LAYOUT_REPO_ID];

	(void)state;
	repokit_begin(&k, 3);
	k.tiers.count = 1;
	repokit_must_init(&k, 1);
	memcpy(id, k.repo->id, sizeof(id));
	repo_free(k.repo);
	k.tiers.count = 3;
	repokit_must_init(&k, 2);
	assert_memory_equal(k.repo->id, id, sizeof(id));
	assert_int_equal(memstore_count(k.tier[2].store), memstore_count(k.tier[0].store));
	memstore_away(k.tier[0].store, true);
	memstore_away(k.tier[1].store, true);
	repokit_reopen(&k);
	repokit_done(&k);
}

static void
count_call(void *arg, const char *op, const char *name)
{
	(void)op;
	(void)name;
	++*(unsigned *)arg;
}

static void
a_tier_that_was_silent_a_moment_ago_is_not_waited_for_again_to_open(void **state)
{
	struct repokit k;
	unsigned calls = 0;

	(void)state;
	repokit_init(&k, 2);
	memstore_hook(k.tier[1].store, count_call, &calls);
	k.tier[1].silent = true;
	repokit_reopen(&k);
	assert_int_equal(calls, 0);
	/* Nor is it used: nobody knows whose it is. */
	assert_null(k.tier[1].store);
	k.tier[1].why.kind = ERR_REMOTE;
	repokit_reopen(&k);
	assert_non_null(k.tier[1].store);
	repokit_done(&k);
}

static void
init_refuses_while_a_tier_is_away_and_makes_nothing(void **state)
{
	struct repokit k;

	(void)state;
	repokit_begin(&k, 2);
	memstore_away(k.tier[1].store, true);
	repokit_init_refused(&k, ERR_REFUSED, "1 of 2 tiers cannot be reached");
	assert_int_equal(memstore_count(k.tier[0].store), 0);
	repokit_done(&k);
}

/* Gives a's second tier the place of b's only one. */
static void
mix(struct repokit *a, struct repokit *b)
{
	store_close(a->tier[1].store);
	a->tier[1].store = b->tier[0].store;
	b->tier[0].store = NULL;
}

static void
init_refuses_two_repositories_under_one_configuration(void **state)
{
	struct repokit a, b;

	(void)state;
	repokit_init(&a, 2);
	repokit_init(&b, 1);
	mix(&a, &b);
	repokit_init_refused(&a, ERR_REFUSED, "two different repositories");
	repokit_done(&a);
	repokit_done(&b);
}

static void
a_tier_with_another_repository_than_the_signing_keys_is_closed_and_the_others_open(void **state)
{
	struct repokit a, b;
	char id_a[TEXT_HEX(LAYOUT_REPO_ID)], id_b[TEXT_HEX(LAYOUT_REPO_ID)];
	uint8_t id[LAYOUT_REPO_ID];
	struct tier swap;

	(void)state;
	for (size_t first = 0; first < 2; first++) {
		repokit_init(&a, 2);
		repokit_init(&b, 1);
		text_hex(a.repo->id, LAYOUT_REPO_ID, id_a);
		text_hex(b.repo->id, LAYOUT_REPO_ID, id_b);
		memcpy(id, a.repo->id, sizeof(id));
		mix(&a, &b);
		if (first == 1) { /* the order of the tiers decides nothing */
			swap = a.tier[0];
			a.tier[0] = a.tier[1];
			a.tier[1] = swap;
		}
		repokit_reopen(&a);
		assert_memory_equal(a.repo->id, id, sizeof(id));
		assert_non_null(a.tier[first].store);
		assert_null(a.tier[!first].store);
		assert_int_equal(a.tier[!first].why.kind, ERR_REFUSED);
		assert_non_null(strstr(a.tier[!first].why.text, id_a));
		assert_non_null(strstr(a.tier[!first].why.text, id_b));
		repokit_done(&a);
		repokit_done(&b);
	}
}

static void
without_a_signing_key_two_repositories_are_refused_with_both_names(void **state)
{
	struct repokit a, b;
	char id_a[TEXT_HEX(LAYOUT_REPO_ID)], id_b[TEXT_HEX(LAYOUT_REPO_ID)];
	struct err e = { 0 };

	(void)state;
	repokit_init(&a, 2);
	repokit_init(&b, 1);
	text_hex(a.repo->id, LAYOUT_REPO_ID, id_a);
	text_hex(b.repo->id, LAYOUT_REPO_ID, id_b);
	mix(&a, &b);
	repo_free(a.repo);
	a.repo = NULL;
	a.options.sign = NULL;
	repokit_refused(repo_open(&a.tiers, &a.options, &a.repo, &e), &e, ERR_REFUSED, id_a);
	assert_non_null(strstr(e.text, id_b));
	assert_non_null(a.tier[0].store);
	assert_non_null(a.tier[1].store);
	repokit_done(&a);
	repokit_done(&b);
}

static void
a_tier_with_packs_that_does_not_say_whose_is_neither_made_nor_used(void **state)
{
	struct repokit k;
	uint8_t sha[LAYOUT_SHA] = { 1 };
	char name[LAYOUT_NAME];

	(void)state;
	repokit_init(&k, 2);
	layout_pack(sha, name);
	repokit_put(k.tier[1].store, name, "x");
	memstore_drop(k.tier[1].store, "repo/0");
	memstore_drop(k.tier[1].store, only(&k, 1, "key/", name));
	repokit_reopen(&k);
	assert_null(k.tier[1].store);
	assert_non_null(strstr(k.tier[1].why.text, "no repo/ object"));
	repokit_done(&k);

	repokit_begin(&k, 1);
	repokit_put(k.tier[0].store, name, "x");
	repokit_init_refused(&k, ERR_REFUSED, "whose they are");
	repokit_open_refused(&k, ERR_NOTFOUND, "whose they are");
	assert_int_equal(memstore_count(k.tier[0].store), 1);
	repokit_done(&k);
}

static void
a_tier_that_lost_only_its_repository_object_is_known_by_its_keys_and_healed(void **state)
{
	struct repokit k;
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	size_t len;

	(void)state;
	repokit_init(&k, 2);
	memstore_drop(k.tier[1].store, "repo/0");
	repokit_reopen(&k);
	assert_non_null(k.tier[1].store);
	assert_int_equal(repo_spread(k.repo, &k.tier[1], &e), 1);
	assert_non_null(memstore_bytes(k.tier[1].store, "repo/0", &len));
	memstore_away(k.own[0], true);
	repokit_reopen(&k);
	memstore_away(k.own[0], false);
	/* One that anybody could have put there says nothing. */
	memstore_drop(k.tier[1].store, "repo/0");
	only(&k, 1, "key/", name);
	memstore_bytes(k.tier[1].store, name, &len)[240] ^= 1;
	repokit_reopen(&k);
	assert_null(k.tier[1].store);
	repokit_done(&k);
}

static void
an_empty_tier_beside_the_repository_is_taken_out_of_the_run(void **state)
{
	struct repokit k;

	(void)state;
	repokit_begin(&k, 2);
	k.tiers.count = 1;
	repokit_must_init(&k, 1);
	k.tiers.count = 2;
	repokit_reopen(&k);
	assert_null(k.tier[1].store);
	assert_int_equal(k.tier[1].why.kind, ERR_NOTFOUND);
	assert_non_null(strstr(k.tier[1].why.text, "ffdr init"));
	repokit_done(&k);
}

static void
a_tier_that_does_not_tell_whose_it_is_is_closed_for_that_and_is_no_ruin(void **state)
{
	static const struct fault how[] = {
		{ .kind = FAULT_IO, .op = "get" }, { .kind = FAULT_IO, .op = "list" },
		{ .kind = FAULT_REMOTE, .op = "get" }, { .kind = FAULT_REMOTE, .op = "list" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(how); i++) {
		const bool refuses = how[i].kind == FAULT_IO;
		struct fault f = how[i];
		struct repokit k;

		f.at = 1;
		f.times = 1000000;
		repokit_init(&k, 2);
		k.tier[1].store = faultstore_new(k.tier[1].store);
		faultstore_arm(k.tier[1].store, &f);
		repokit_reopen(&k);
		assert_null(k.tier[1].store);
		assert_int_equal(k.tier[1].why.kind, refuses ? ERR_IO : ERR_REMOTE);
		assert_int_equal(k.tier[1].found, refuses ? TIER_REFUSED : TIER_SILENT);
		assert_int_equal(tier_answers(&k.tier[1]), refuses);
		assert_false(tier_tells(&k.tier[1]));
		repokit_done(&k);
	}
}

static void
opening_nothing_says_what_is_missing(void **state)
{
	struct repokit k;

	(void)state;
	repokit_begin(&k, 2);
	repokit_open_refused(&k, ERR_NOTFOUND, "run 'ffdr init'");
	memstore_away(k.tier[0].store, true);
	repokit_open_refused(&k, ERR_NOTFOUND, "\n  one");
	memstore_away(k.tier[1].store, true);
	repokit_open_refused(&k, ERR_REMOTE, "no tier can be reached");
	repokit_done(&k);
}

static void
a_wrong_kek_is_told_who_the_keys_are_wrapped_for(void **state)
{
	struct repokit k;
	char name[LAYOUT_NAME];

	(void)state;
	repokit_init(&k, 1);
	only(&k, 0, "key/", name);
	k.kek.secret.data[0] ^= 1;
	repokit_open_refused(&k, ERR_KEY, strchr(name, '.') + 1);
	repokit_done(&k);
}

static void
a_host_whose_signing_key_the_repository_does_not_know_is_refused(void **state)
{
	struct repokit k;

	(void)state;
	repokit_init(&k, 1);
	buf_reset(&k.sign_pem);
	sign_key_free(sign_key_make(&k.sign_pem));
	repokit_open_refused(&k, ERR_KEY, "does not know this host's signing key");
	repokit_done(&k);
}

static void
a_lost_or_damaged_key_object_on_one_tier_does_no_harm_and_is_brought_back(void **state)
{
	struct repokit k;
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	size_t len;

	(void)state;
	repokit_init(&k, 2);
	only(&k, 0, "key/", name);
	memstore_bytes(k.tier[0].store, name, &len)[200] ^= 1;
	repokit_reopen(&k);
	memstore_drop(k.tier[0].store, name);
	repokit_reopen(&k);
	assert_int_equal(repo_spread(k.repo, &k.tier[0], &e), 1);
	assert_int_equal(repo_spread(k.repo, &k.tier[0], &e), 0);
	memstore_away(k.tier[1].store, true);
	repokit_reopen(&k);
	repokit_done(&k);
}

static void
a_damaged_key_object_on_the_only_tier_is_named(void **state)
{
	struct repokit k;
	char name[LAYOUT_NAME];
	size_t len;

	(void)state;
	repokit_init(&k, 1);
	only(&k, 0, "key/", name);
	memstore_bytes(k.tier[0].store, name, &len)[200] ^= 1;
	repokit_open_refused(&k, ERR_KEY, name);
	repokit_done(&k);
}

static void
spreading_leaves_damage_where_it_is(void **state)
{
	struct repokit k;
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	size_t len;

	(void)state;
	repokit_init(&k, 2);
	only(&k, 0, "key/", name);
	memstore_drop(k.tier[1].store, name);
	memstore_bytes(k.tier[0].store, name, &len)[200] ^= 1;
	repokit_put(k.tier[0].store, "key/00000000.k0000000000000000", "not a key object");
	assert_int_equal(repo_spread(k.repo, &k.tier[1], &e), 0);
	assert_null(memstore_bytes(k.tier[1].store, name, &len));
	assert_null(memstore_bytes(k.tier[1].store, "key/00000000.k0000000000000000", &len));
	repokit_done(&k);
}

/* ---- init under faults and races ---- */

/* Faults at the n-th call of one tier; true when one struck. */
static bool
init_with_fault(size_t tier, unsigned at)
{
	struct fault f = { .kind = FAULT_IO, .at = at };
	struct repokit k;
	struct err e = { 0 };
	unsigned made;
	bool struck;

	repokit_begin(&k, 2);
	k.tier[tier].store = faultstore_new(k.tier[tier].store);
	faultstore_arm(k.tier[tier].store, &f);
	if (repo_init(&k.tiers, repokit_options(&k), &made, &k.repo, &e) == -1)
		repokit_failed(&k);
	/* A tier that could not be looked at is closed, and the next run opens it. */
	struck = k.tier[tier].store == NULL || faultstore_struck(k.tier[tier].store) > 0;
	if (k.tier[tier].store != NULL)
		faultstore_arm(k.tier[tier].store, &(struct fault){ 0 });
	else
		k.tier[tier].store = memstore_share(k.own[tier]);
	if (k.repo == NULL && repo_init(&k.tiers, repokit_options(&k), &made, &k.repo, &e) == -1)
		fail_msg("fault at call %u of tier %zu: %s", at, tier, e.text);
	assert_int_equal(k.repo->keys->epochs, 1);
	memstore_away(k.tier[1 - tier].store, true);
	repokit_reopen(&k);
	repokit_done(&k);
	return struck;
}

static void
an_init_cut_short_anywhere_is_finished_by_the_next(void **state)
{
	(void)state;
	for (size_t tier = 0; tier < 2; tier++)
		for (unsigned at = 1; init_with_fault(tier, at); at++)
			;
}

struct race {
	struct repokit *faster;
	bool done;
};

static void
other_host_first(void *arg, const char *op, const char *name)
{
	struct race *r = arg;
	struct err e = { 0 };
	unsigned made;

	if (r->done || strcmp(op, "put") != 0 || strcmp(name, "repo/0") != 0)
		return;
	r->done = true;
	assert_int_equal(repo_init(&r->faster->tiers, repokit_options(r->faster), &made,
	    &r->faster->repo, &e), 0);
}

static void
of_two_inits_at_once_one_makes_and_the_other_adopts(void **state)
{
	struct repokit slow, fast;
	struct race r = { .faster = &fast };

	(void)state;
	repokit_begin(&slow, 2);
	repokit_begin(&fast, 0);
	/* The same configuration on another host: same keys, same tiers. */
	buf_reset(&fast.sign_pem);
	buf_add(&fast.sign_pem, slow.sign_pem.data, slow.sign_pem.len);
	memcpy(fast.kek.secret.data, slow.kek.secret.data, KEY_LEN);
	fast.tiers.count = 2;
	for (size_t i = 0; i < 2; i++) {
		fast.tier[i] = slow.tier[i];
		fast.tier[i].store = memstore_share(slow.tier[i].store);
	}
	memstore_hook(slow.tier[0].store, other_host_first, &r);
	repokit_init_refused(&slow, ERR_BUSY, "another host");
	repokit_must_init(&slow, 0);
	assert_memory_equal(slow.repo->id, fast.repo->id, LAYOUT_REPO_ID);
	repokit_done(&fast);
	repokit_done(&slow);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, vclock_setup, vclock_teardown)
		T(init_makes_one_repository_on_all_tiers_and_it_opens_from_any),
		T(init_again_changes_nothing),
		T(init_brings_the_repository_to_a_new_tier),
		T(a_tier_that_was_silent_a_moment_ago_is_not_waited_for_again_to_open),
		T(init_refuses_while_a_tier_is_away_and_makes_nothing),
		T(init_refuses_two_repositories_under_one_configuration),
		T(a_tier_with_another_repository_than_the_signing_keys_is_closed_and_the_others_open),
		T(without_a_signing_key_two_repositories_are_refused_with_both_names),
		T(a_tier_with_packs_that_does_not_say_whose_is_neither_made_nor_used),
		T(a_tier_that_lost_only_its_repository_object_is_known_by_its_keys_and_healed),
		T(an_empty_tier_beside_the_repository_is_taken_out_of_the_run),
		T(a_tier_that_does_not_tell_whose_it_is_is_closed_for_that_and_is_no_ruin),
		T(opening_nothing_says_what_is_missing),
		T(a_wrong_kek_is_told_who_the_keys_are_wrapped_for),
		T(a_host_whose_signing_key_the_repository_does_not_know_is_refused),
		T(a_lost_or_damaged_key_object_on_one_tier_does_no_harm_and_is_brought_back),
		T(a_damaged_key_object_on_the_only_tier_is_named),
		T(spreading_leaves_damage_where_it_is),
		T(an_init_cut_short_anywhere_is_finished_by_the_next),
		T(of_two_inits_at_once_one_makes_and_the_other_adopts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
