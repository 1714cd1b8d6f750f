#include "repo/repo.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "filter/key.h"
#include "tests/lib/faultstore.h"
#include "tests/lib/memstore.h"
#include "tests/lib/repokit.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

static int
setup(void **state)
{
	(void)state;
	vclock_install(INT64_C(1795226400) * CLOCK_S);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	vclock_remove();
	return 0;
}

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
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(a_new_data_key_is_used_once_it_is_everywhere),
		T(a_rotation_names_the_epoch_it_made_itself),
		T(a_rotation_cut_short_anywhere_never_seals_with_a_key_that_is_not_everywhere),
		T(a_new_kek_opens_all_epochs_and_the_old_one_opens_nothing),
		T(a_kek_rotation_cut_short_anywhere_leaves_a_kek_that_opens_everything),
		T(the_escrow_half_alone_opens_the_repository),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
