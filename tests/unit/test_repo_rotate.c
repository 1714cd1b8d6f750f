#include "repo/repo.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "filter/key.h"
#include "repo/repo_scan.h"
#include "tests/lib/faultstore.h"
#include "tests/lib/memstore.h"
#include "tests/lib/repokit.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

static void
a_new_data_key_is_used_once_it_is_everywhere(void **state)
{
	struct repokit k;
	uint8_t first[LAYOUT_EPOCH], epoch[LAYOUT_EPOCH];
	struct err e = { 0 };

	(void)state;
	repokit_init(&k, 2);
	memcpy(first, keyring_current(k.repo->keys)->epoch, LAYOUT_EPOCH);
	vclock_pass(5 * CLOCK_S);
	memstore_away(k.tier[1].store, true);
	repokit_refused(repo_rotate_data(k.repo, &k.options, epoch, &e), &e, ERR_REMOTE, "every tier");
	assert_memory_equal(keyring_current(k.repo->keys)->epoch, first, LAYOUT_EPOCH);
	memstore_away(k.tier[1].store, false);
	assert_int_equal(repo_rotate_data(k.repo, &k.options, epoch, &e), 0);
	assert_memory_not_equal(keyring_current(k.repo->keys)->epoch, first, LAYOUT_EPOCH);
	assert_non_null(keyring_find(k.repo->keys, first));
	repokit_reopen(&k);
	assert_memory_not_equal(keyring_current(k.repo->keys)->epoch, first, LAYOUT_EPOCH);
	assert_non_null(keyring_find(k.repo->keys, first));
	repokit_done(&k);
}

/*
 * Of several in one second the order of their bytes says which seals, so it is not always the last.
 */
static void
a_rotation_names_the_epoch_it_made_itself(void **state)
{
	uint8_t epoch[LAYOUT_EPOCH], seen[6][LAYOUT_EPOCH];
	struct repokit k;
	struct err e = { 0 };

	(void)state;
	repokit_init(&k, 1);
	for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
		assert_int_equal(repo_rotate_data(k.repo, &k.options, epoch, &e), 0);
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(epoch, seen[j], LAYOUT_EPOCH);
		assert_non_null(keyring_find(k.repo->keys, epoch));
		memcpy(seen[i], epoch, LAYOUT_EPOCH);
	}
	repokit_done(&k);
}

static void
a_rotation_cut_short_anywhere_never_seals_with_a_key_that_is_not_everywhere(void **state)
{
	for (unsigned at = 1;; at++) {
		struct fault f = { .kind = FAULT_IO, .at = at };
		struct repokit k;
		struct err e = { 0 };
		char name[LAYOUT_NAME], ours[KEK_RECIPIENT];
		const struct keyring_epoch *ep;
		uint8_t epoch[LAYOUT_EPOCH];
		size_t len;
		int rc;

		repokit_init(&k, 2);
		vclock_pass(5 * CLOCK_S);
		k.tier[1].store = faultstore_new(k.tier[1].store);
		faultstore_arm(k.tier[1].store, &f);
		rc = repo_rotate_data(k.repo, &k.options, epoch, &e);
		if (faultstore_struck(k.tier[1].store) == 0) {
			assert_int_equal(rc, 0);
			repokit_done(&k);
			break;
		}
		assert_int_equal(keyring_recipient(k.repo->keys, &k.kek, ours, &e), 0);
		for (int again = 0; again < 2; again++) {
			ep = keyring_current(k.repo->keys);
			layout_key(ep->epoch, ours, name);
			assert_non_null(memstore_bytes(k.tier[0].store, name, &len));
			assert_int_equal(store_stat(k.tier[1].store, name,
			    &(struct store_stat){ 0 }, &e), 1);
			repokit_reopen(&k);
		}
		repokit_done(&k);
	}
	(void)state;
}

/* Does each tier have a key object of the epoch that seals for one whose name begins so? */
static bool
sealing_is_wrapped(struct repokit *k, const char *recipient)
{
	const struct keyring_epoch *ep = keyring_current(k->repo->keys);
	char name[LAYOUT_NAME];
	struct repo_scan s;
	bool all = true;

	layout_key(ep->epoch, recipient, name);
	repo_scan(&k->tiers, &s);
	for (size_t i = 0; i < s.count; i++)
		all = all && repo_scan_begins(&s.tier[i], name);
	repo_scan_done(&s);
	return all;
}

/* Each time the escrow is on every tier before the epoch seals, and the same call finishes it. */
static void
a_rotation_cut_short_anywhere_never_seals_what_the_escrow_does_not_open(void **state)
{
	struct buf public, private;
	struct err e = { 0 };
	bool struck = true;

	(void)state;
	buf_init(&public, 8192);
	buf_init(&private, 8192);
	assert_int_equal(key_escrow_make(&public, &private, &e), 0);
	for (unsigned at = 1; struck; at++) {
		struct fault f = { .kind = FAULT_FULL, .op = "put", .at = at, .times = 100 };
		uint8_t epoch[LAYOUT_EPOCH];
		struct repokit k;
		size_t had;

		repokit_begin(&k, 2);
		k.options.escrow_pem = buf_str(&public);
		repokit_must_init(&k, 2);
		vclock_pass(5 * CLOCK_S);
		k.tier[1].store = faultstore_new(k.tier[1].store);
		faultstore_arm(k.tier[1].store, &f);
		if (repo_rotate_data(k.repo, &k.options, epoch, &e) == -1)
			assert_non_null(strstr(e.text, "`ffdr key rotate` again finishes it"));
		struck = faultstore_struck(k.tier[1].store) > 0;
		faultstore_arm(k.tier[1].store, &(struct fault){ .kind = FAULT_NONE });
		assert_true(sealing_is_wrapped(&k, "e"));
		repokit_reopen(&k);
		assert_true(sealing_is_wrapped(&k, "e"));
		/* What a backup does before it writes. */
		had = k.repo->keys->epochs;
		assert_int_not_equal(repo_spread(k.repo, &k.tier[0], &e), -1);
		assert_int_not_equal(repo_spread(k.repo, &k.tier[1], &e), -1);
		repokit_reopen(&k);
		assert_true(keyring_current(k.repo->keys) == &k.repo->keys->epoch[had - 1]);
		assert_true(sealing_is_wrapped(&k, "e"));
		repokit_done(&k);
	}
	buf_done(&public);
	buf_done(&private);
}

static void
a_rotation_goes_on_with_the_epoch_that_one_before_left_half_made(void **state)
{
	struct fault f = { .kind = FAULT_FULL, .op = "put", .at = 1, .times = 100 };
	uint8_t epoch[LAYOUT_EPOCH], begun[LAYOUT_EPOCH];
	struct repokit k;
	struct err e = { 0 };

	(void)state;
	repokit_init(&k, 2);
	vclock_pass(5 * CLOCK_S);
	k.tier[1].store = faultstore_new(k.tier[1].store);
	faultstore_arm(k.tier[1].store, &f);
	repokit_refused(repo_rotate_data(k.repo, &k.options, epoch, &e), &e, ERR_FULL, "half made");
	faultstore_arm(k.tier[1].store, &(struct fault){ .kind = FAULT_NONE });
	repokit_reopen(&k);
	assert_int_equal(k.repo->keys->epochs, 2);
	memcpy(begun, k.repo->keys->epoch[1].epoch, LAYOUT_EPOCH);
	vclock_pass(120 * CLOCK_S);
	assert_int_equal(repo_rotate_data(k.repo, &k.options, epoch, &e), 0);
	assert_memory_equal(epoch, begun, LAYOUT_EPOCH);
	assert_memory_equal(keyring_current(k.repo->keys)->epoch, begun, LAYOUT_EPOCH);
	repokit_reopen(&k);
	assert_int_equal(k.repo->keys->epochs, 2);
	repokit_done(&k);
}

static void
a_signing_key_that_did_not_reach_every_tier_is_brought_by_the_same_call(void **state)
{
	struct fault f = { .kind = FAULT_FULL, .op = "put", .at = 1, .times = 100 };
	struct sign_key *new_key;
	struct buf pem;
	struct repokit k;
	struct err e = { 0 };

	(void)state;
	buf_init(&pem, 4096);
	new_key = sign_key_make(&pem);
	repokit_init(&k, 2);
	k.tier[1].store = faultstore_new(k.tier[1].store);
	faultstore_arm(k.tier[1].store, &f);
	assert_int_equal(repo_rotate_signer(k.repo, new_key, &e), -1);
	faultstore_arm(k.tier[1].store, &(struct fault){ .kind = FAULT_NONE });
	repokit_reopen(&k);
	assert_int_equal(repo_rotate_signer(k.repo, new_key, &e), 0);
	assert_int_equal(store_stat(k.tier[1].store, "repo/1", &(struct store_stat){ 0 }, &e), 1);
	repokit_refused(repo_rotate_signer(k.repo, new_key, &e), &e, ERR_EXISTS, "already");
	sign_key_free(new_key);
	buf_done(&pem);
	repokit_done(&k);
}

static void
a_new_kek_opens_all_epochs_and_the_old_one_opens_nothing(void **state)
{
	struct repokit k;
	struct kek new_kek = { .kind = KEK_KEY }, old;
	uint8_t epoch[LAYOUT_EPOCH];
	struct err e = { 0 };

	(void)state;
	repokit_init(&k, 2);
	vclock_pass(5 * CLOCK_S);
	assert_int_equal(repo_rotate_data(k.repo, &k.options, epoch, &e), 0);
	buf_init(&new_kek.secret, KEY_LEN);
	key_random(buf_reserve(&new_kek.secret, KEY_LEN), KEY_LEN);
	new_kek.secret.len = KEY_LEN;
	repokit_refused(repo_rotate_kek(k.repo, &k.kek, &k.kek, NULL, &e), &e, ERR_REFUSED,
	    "is the old one");
	if (repo_rotate_kek(k.repo, &k.kek, &new_kek, NULL, &e) == -1)
		fail_msg("%s", e.text);
	repokit_open_refused(&k, ERR_KEY, "is not one that");
	old = k.kek;
	k.kek = new_kek;
	repokit_reopen(&k);
	assert_int_equal(k.repo->keys->epochs, 2);
	kek_done(&old);
	repokit_done(&k);
}

/* Two hosts, each with its own order of the tiers. */
static void
of_two_signing_keys_added_at_once_all_hosts_follow_the_same_one(void **state)
{
	struct sign_key *key[2];
	struct repokit k;
	struct tier swapped[2];
	struct tier_set other_way = { .tier = swapped, .count = 2 };
	struct repo *seen[2];
	struct buf pem[2], mine[2];
	struct err e = { 0 };
	char name[LAYOUT_NAME];
	uint8_t *a, *b;
	size_t alen, blen;
	int first;

	(void)state;
	repokit_init(&k, 2);
	layout_repo(1, name);
	/* What two do at once: each has put its own on the tier it asks first. */
	for (int i = 0; i < 2; i++) {
		buf_init(&pem[i], 4096);
		buf_init(&mine[i], IDENTITY_TEXT_MAX);
		key[i] = sign_key_make(&pem[i]);
		assert_int_equal(repo_rotate_signer(k.repo, key[i], &e), 0);
		a = memstore_bytes(k.tier[0].store, name, &alen);
		buf_add(&mine[i], a, alen);
		for (int t = 0; t < 2; t++)
			assert_int_equal(store_del(k.tier[t].store, name, &e), 1);
		repokit_reopen(&k);
		assert_int_equal(k.repo->number, 0);
		vclock_pass(2 * CLOCK_S);
	}
	for (int t = 0; t < 2; t++)
		assert_int_equal(store_put(k.tier[t].store, name, mine[1 - t].data, mine[1 - t].len,
		    STORE_NEW, &e), 1);
	swapped[0] = k.tier[1];
	swapped[1] = k.tier[0];
	for (int i = 0; i < 2; i++) {
		if (repo_open(i == 0 ? &k.tiers : &other_way, repokit_options(&k), &seen[i], &e) == -1)
			fail_msg("%s", e.text);
		assert_int_equal(seen[i]->number, 1);
	}
	assert_memory_equal(seen[0]->chain.item[1].sha, seen[1]->chain.item[1].sha, DIGEST_LEN);
	/* The first of them counts, and both keys get in by the same command once more. */
	first = memcmp(seen[0]->chain.item[1].signer[1].pub, sign_key_public(key[0]), SIGN_PUB) == 0 ?
	    0 : 1;
	assert_int_equal(first, 0);
	assert_int_equal(repo_rotate_signer(seen[1], key[0], &e), 0);
	repo_free(seen[0]);
	repo_free(seen[1]);
	a = memstore_bytes(k.tier[0].store, name, &alen);
	b = memstore_bytes(k.tier[1].store, name, &blen);
	assert_int_equal(alen, blen);
	assert_memory_equal(a, b, alen);
	repokit_reopen(&k);
	assert_int_equal(repo_rotate_signer(k.repo, key[1], &e), 0);
	repokit_reopen(&k);
	assert_int_equal(k.repo->number, 2);
	assert_int_equal(k.repo->keys->signers, 3);
	for (int i = 0; i < 2; i++) {
		sign_key_free(key[i]);
		buf_done(&pem[i]);
		buf_done(&mine[i]);
	}
	repokit_done(&k);
}

static void
an_epoch_that_is_dated_later_goes_on_sealing_no_longer(void **state)
{
	uint8_t ahead[LAYOUT_EPOCH], epoch[LAYOUT_EPOCH];
	struct repokit k;
	struct err e = { 0 };

	(void)state;
	repokit_init(&k, 2);
	vclock_install(clock_real_ns() + 365 * INT64_C(86400) * CLOCK_S);
	assert_int_equal(repo_rotate_data(k.repo, &k.options, ahead, &e), 0);
	vclock_install(clock_real_ns() - 365 * INT64_C(86400) * CLOCK_S);
	for (int i = 0; i < 3; i++) {
		repokit_reopen(&k);
		assert_int_equal(repo_rotate_data(k.repo, &k.options, epoch, &e), 0);
		assert_memory_not_equal(epoch, ahead, LAYOUT_EPOCH);
		assert_memory_equal(keyring_current(k.repo->keys)->epoch, epoch, LAYOUT_EPOCH);
		repokit_reopen(&k);
		assert_memory_equal(keyring_current(k.repo->keys)->epoch, epoch, LAYOUT_EPOCH);
	}
	repokit_done(&k);
}

static void
a_new_kek_is_not_said_to_open_an_epoch_that_it_does_not(void **state)
{
	struct kek other, new_kek;
	uint8_t epoch[LAYOUT_EPOCH];
	struct repokit k;
	struct err e = { 0 };

	(void)state;
	repokit_init(&k, 2);
	repokit_make_kek(&other);
	repokit_make_kek(&new_kek);
	vclock_pass(5 * CLOCK_S);
	k.options.kek = &other; /* an epoch for another one alone */
	assert_int_equal(repo_rotate_data(k.repo, &k.options, epoch, &e), -1);
	repokit_turn_to(&k, &k.kek);
	assert_int_equal(k.repo->keys->epochs, 1);
	repokit_refused(repo_rotate_kek(k.repo, &k.kek, &new_kek, NULL, &e), &e, ERR_KEY,
	    "neither the old nor the new");
	/* The one that opens it can be the new one. */
	if (repo_rotate_kek(k.repo, &k.kek, &other, NULL, &e) == -1)
		fail_msg("%s", e.text);
	repokit_turn_to(&k, &other);
	assert_int_equal(k.repo->keys->epochs, 2);
	assert_non_null(keyring_find(k.repo->keys, epoch));
	k.options.kek = &k.kek;
	repokit_done(&k);
	kek_done(&other);
	kek_done(&new_kek);
}

/* Another host does the other thing, at the n-th request of that kind to the first tier. */
struct meanwhile {
	struct repokit *k;
	struct repo *other;
	const struct kek *new_kek;
	const char *op;
	int at, rc;
	bool data; /* it begins an epoch; else it changes the kek */
	struct err e;
};

static void
act_meanwhile(void *arg, const char *op, const char *name)
{
	struct meanwhile *m = arg;
	uint8_t epoch[LAYOUT_EPOCH];

	if (m->at < 0 || strcmp(op, m->op) != 0 || strncmp(name, "key/", 4) != 0 || m->at-- > 0)
		return;
	m->rc = m->data ? repo_rotate_data(m->other, &m->k->options, epoch, &m->e) :
	    repo_rotate_kek(m->other, &m->k->kek, m->new_kek, NULL, &m->e);
}

/* Each of both at each moment of the other: the new kek opens all, or it was said what to do. */
static void
a_new_epoch_and_a_new_kek_at_once_lose_no_key(void **state)
{
	static const char *const ops[] = { "put", "del", "list", "get" };

	(void)state;
	for (int i = 0; i < 2 * 4 * 12; i++) {
		struct meanwhile m = { .op = ops[i / 2 % 4], .at = i / 8, .data = i % 2 == 0 };
		uint8_t epoch[LAYOUT_EPOCH];
		struct repokit k;
		struct kek new_kek;
		struct err e = { 0 };
		bool told;
		int rc;

		repokit_init(&k, 2);
		repokit_make_kek(&new_kek);
		vclock_pass(5 * CLOCK_S);
		m.k = &k;
		m.new_kek = &new_kek;
		m.other = k.repo;
		k.repo = NULL;
		if (repo_open(&k.tiers, repokit_options(&k), &k.repo, &e) == -1)
			fail_msg("%s", e.text);
		memstore_hook(k.tier[0].store, act_meanwhile, &m);
		rc = m.data ? repo_rotate_kek(k.repo, &k.kek, &new_kek, NULL, &e) :
		    repo_rotate_data(k.repo, &k.options, epoch, &e);
		memstore_hook(k.tier[0].store, NULL, NULL);
		told = rc == -1 || m.rc == -1;
		repo_free(m.other);
		repo_free(k.repo);
		k.repo = NULL;
		/* What the message says, where the old one still opens anything. */
		if (told && repo_open(&k.tiers, repokit_options(&k), &k.repo, &e) == -1)
			repokit_failed(&k);
		else if (told && repo_rotate_kek(k.repo, &k.kek, &new_kek, NULL, &e) == -1)
			fail_msg("%d: %s", i, e.text);
		if (m.at < 0 || m.data) {
			repokit_open_refused(&k, ERR_KEY, "is not one that");
			k.options.kek = &new_kek;
			repokit_reopen(&k);
			if (m.at < 0)
				assert_int_equal(k.repo->keys->epochs, 2);
		}
		k.options.kek = &k.kek;
		repokit_done(&k);
		kek_done(&new_kek);
	}
}

static void
a_kek_rotation_cut_short_anywhere_leaves_a_kek_that_opens_everything(void **state)
{
	for (unsigned at = 1;; at++) {
		struct fault f = { .kind = FAULT_IO, .at = at };
		struct kek new_kek = { .kind = KEK_KEY }, old;
		struct repokit k;
		struct err e = { 0 };
		bool struck;

		repokit_init(&k, 2);
		buf_init(&new_kek.secret, KEY_LEN);
		key_random(buf_reserve(&new_kek.secret, KEY_LEN), KEY_LEN);
		new_kek.secret.len = KEY_LEN;
		k.tier[0].store = faultstore_new(k.tier[0].store);
		faultstore_arm(k.tier[0].store, &f);
		if (repo_rotate_kek(k.repo, &k.kek, &new_kek, NULL, &e) == -1) {
			/* Run again, with whichever of the two still opens. */
			repo_free(k.repo);
			k.repo = NULL;
			if (repo_open(&k.tiers, repokit_options(&k), &k.repo, &e) == -1) {
				k.options.kek = &new_kek;
				repokit_failed(&k);
				repokit_reopen(&k);
			}
			if (repo_rotate_kek(k.repo, &k.kek, &new_kek, NULL, &e) == -1)
				fail_msg("%s", e.text);
		}
		struck = faultstore_struck(k.tier[0].store) > 0;
		old = k.kek;
		k.kek = new_kek;
		k.options.kek = &k.kek;
		repokit_reopen(&k);
		kek_done(&old);
		repokit_done(&k);
		if (!struck)
			break;
	}
	(void)state;
}

static void
the_escrow_half_alone_opens_the_repository(void **state)
{
	struct buf public, private;
	struct repokit k;
	struct err e = { 0 };
	struct kek escrow = { .kind = KEK_ESCROW };

	(void)state;
	buf_init(&public, 8192);
	buf_init(&private, 8192);
	assert_int_equal(key_escrow_make(&public, &private, &e), 0);
	repokit_begin(&k, 2);
	k.options.escrow_pem = buf_str(&public);
	repokit_must_init(&k, 2);
	repo_free(k.repo);
	k.repo = NULL;
	escrow.secret = private;
	/* From the safe comes this key and nothing else: no kek, no signing key. */
	k.options = (struct repo_options){ .kek = &escrow };
	if (repo_open(&k.tiers, &k.options, &k.repo, &e) == -1)
		fail_msg("%s", e.text);
	assert_non_null(keyring_current(k.repo->keys));
	kek_done(&escrow);
	buf_done(&public);
	repokit_done(&k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, vclock_setup, vclock_teardown)
		T(a_new_data_key_is_used_once_it_is_everywhere),
		T(a_rotation_names_the_epoch_it_made_itself),
		T(a_rotation_cut_short_anywhere_never_seals_what_the_escrow_does_not_open),
		T(a_rotation_goes_on_with_the_epoch_that_one_before_left_half_made),
		T(a_signing_key_that_did_not_reach_every_tier_is_brought_by_the_same_call),
		T(a_rotation_cut_short_anywhere_never_seals_with_a_key_that_is_not_everywhere),
		T(a_new_kek_opens_all_epochs_and_the_old_one_opens_nothing),
		T(a_kek_rotation_cut_short_anywhere_leaves_a_kek_that_opens_everything),
		T(an_epoch_that_is_dated_later_goes_on_sealing_no_longer),
		T(a_new_kek_is_not_said_to_open_an_epoch_that_it_does_not),
		T(a_new_epoch_and_a_new_kek_at_once_lose_no_key),
		T(of_two_signing_keys_added_at_once_all_hosts_follow_the_same_one),
		T(the_escrow_half_alone_opens_the_repository),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
