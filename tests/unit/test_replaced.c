/* A kek or an escrow that was replaced: nobody makes a key object for it again. */
#include "repo/repo.h"

#include <limits.h>
#include <string.h>

#include "base/clock.h"
#include "tests/lib/faultstore.h"
#include "tests/lib/memstore.h"
#include "tests/lib/repokit.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

/* A disk image of a tier brings the old kek back there, and there it stays. */
static void
a_kek_that_was_replaced_is_not_brought_to_other_tiers(void **state)
{
	char name[LAYOUT_NAME], old[KEK_RECIPIENT];
	struct kek new_kek;
	struct repokit k;
	struct err e = { 0 };
	struct buf image;
	uint8_t *bytes;
	size_t len;

	(void)state;
	repokit_init(&k, 2);
	repokit_make_kek(&new_kek);
	assert_int_equal(keyring_recipient(k.repo->keys, &k.kek, old, &e), 0);
	layout_key(k.repo->keys->epoch[0].epoch, old, name);
	bytes = memstore_bytes(k.tier[1].store, name, &len);
	buf_init(&image, KEYRING_TEXT_MAX);
	buf_add(&image, bytes, len);
	assert_int_equal(repo_rotate_kek(k.repo, &k.kek, &new_kek, NULL, &e), 0);
	assert_int_equal(store_put(k.tier[1].store, name, image.data, image.len, STORE_NEW, &e), 1);
	repokit_turn_to(&k, &new_kek);
	assert_int_not_equal(repo_spread(k.repo, &k.tier[0], &e), -1);
	assert_null(memstore_bytes(k.tier[0].store, name, &len));
	/* What was lost of ours is brought as ever. */
	assert_int_equal(keyring_recipient(k.repo->keys, &new_kek, old, &e), 0);
	layout_key(k.repo->keys->epoch[0].epoch, old, name);
	memstore_drop(k.tier[0].store, name);
	assert_int_equal(repo_spread(k.repo, &k.tier[0], &e), 1);
	assert_non_null(memstore_bytes(k.tier[0].store, name, &len));
	buf_done(&image);
	k.options.kek = &k.kek;
	repokit_done(&k);
	kek_done(&new_kek);
}

/* What a disk image of a tier brings back. */
static void
bring_back(struct repokit *k, size_t tier, const char *name, const struct buf *image)
{
	struct err e = { 0 };

	assert_int_equal(store_put(k->tier[tier].store, name, image->data, image->len, STORE_NEW, &e), 1);
}

static void
copy_of(struct repokit *k, const char *recipient, char name[LAYOUT_NAME], struct buf *ret)
{
	uint8_t *bytes;
	size_t len;

	layout_key(k->repo->keys->epoch[0].epoch, recipient, name);
	bytes = memstore_bytes(k->tier[1].store, name, &len);
	assert_non_null(bytes);
	buf_init(ret, KEYRING_TEXT_MAX);
	buf_add(ret, bytes, len);
}

static void
a_host_with_a_kek_that_was_replaced_makes_nothing_for_it(void **state)
{
	char name[LAYOUT_NAME], old[KEK_RECIPIENT];
	uint8_t epoch[LAYOUT_EPOCH];
	struct kek new_kek;
	struct repokit k;
	struct err e = { 0 };
	struct buf image;
	size_t len;

	(void)state;
	repokit_init(&k, 2);
	repokit_make_kek(&new_kek);
	assert_int_equal(keyring_recipient(k.repo->keys, &k.kek, old, &e), 0);
	copy_of(&k, old, name, &image);
	assert_int_equal(repo_rotate_kek(k.repo, &k.kek, &new_kek, NULL, &e), 0);
	bring_back(&k, 1, name, &image);
	repokit_reopen(&k); /* by the old one: to read it is still good */
	assert_int_not_equal(repo_replaced(k.repo, old), 0);
	repokit_refused(repo_check_replaced(k.repo, &e), &e, ERR_REFUSED, "[keys] kek must name the new");
	repokit_refused(repo_rotate_data(k.repo, &k.options, epoch, &e), &e, ERR_REFUSED, "was replaced");
	assert_int_not_equal(repo_spread(k.repo, &k.tier[0], &e), -1);
	assert_null(memstore_bytes(k.tier[0].store, name, &len));
	repokit_init_refused(&k, ERR_REFUSED, "was replaced");
	assert_null(memstore_bytes(k.tier[0].store, name, &len));
	/* A host with the new one clears it away, and never goes back to it. */
	repokit_turn_to(&k, &new_kek);
	assert_int_equal(repo_check_replaced(k.repo, &e), 0);
	assert_int_not_equal(repo_spread(k.repo, &k.tier[1], &e), -1);
	assert_null(memstore_bytes(k.tier[1].store, name, &len));
	repokit_refused(repo_rotate_kek(k.repo, &new_kek, &k.kek, NULL, &e), &e, ERR_REFUSED,
	    "taken out of use");
	buf_done(&image);
	k.options.kek = &k.kek;
	repokit_done(&k);
	kek_done(&new_kek);
}

/* Else the epoch would be opened by nobody there. */
static void
what_is_wrapped_for_nobody_else_on_a_tier_stays(void **state)
{
	char name[LAYOUT_NAME], old[KEK_RECIPIENT], new[KEK_RECIPIENT];
	uint8_t epoch[LAYOUT_EPOCH];
	struct kek new_kek;
	struct repokit k;
	struct err e = { 0 };
	struct buf image;
	size_t len;

	(void)state;
	repokit_init(&k, 2);
	repokit_make_kek(&new_kek);
	assert_int_equal(keyring_recipient(k.repo->keys, &k.kek, old, &e), 0);
	assert_int_equal(keyring_recipient(k.repo->keys, &new_kek, new, &e), 0);
	copy_of(&k, old, name, &image);
	memcpy(epoch, k.repo->keys->epoch[0].epoch, LAYOUT_EPOCH);
	vclock_pass(5 * CLOCK_S);
	assert_int_equal(repo_rotate_kek(k.repo, &k.kek, &new_kek, NULL, &e), 0);
	repokit_turn_to(&k, &new_kek);
	assert_int_equal(repo_rotate_data(k.repo, &k.options, (uint8_t[LAYOUT_EPOCH]){ 0 }, &e), 0);
	bring_back(&k, 1, name, &image);
	for (size_t t = 0; t < 2; t++)
		memstore_drop(k.tier[t].store, layout_key(epoch, new, name));
	repokit_turn_to(&k, &new_kek);
	assert_int_not_equal(repo_spread(k.repo, &k.tier[1], &e), -1);
	assert_non_null(memstore_bytes(k.tier[1].store, layout_key(epoch, old, name), &len));
	buf_done(&image);
	k.options.kek = &k.kek;
	repokit_done(&k);
	kek_done(&new_kek);
}

/* Does that half open all epochs, on each tier alone? */
static bool
half_opens(struct repokit *k, const struct buf *private, size_t epochs)
{
	struct kek half = { .kind = KEK_ESCROW, .secret = *private };
	bool all = true;

	for (size_t t = 0; t < k->tiers.count && all; t++) {
		struct tier_set one = { .tier = &k->tier[t], .count = 1 };
		struct repo *r = NULL;

		all = repo_open(&one, &(struct repo_options){ .kek = &half }, &r, NULL) == 0 &&
		    r->keys->epochs == epochs;
		repo_free(r);
	}
	return all;
}

static void
a_new_escrow_cut_short_anywhere_opens_everything_once_it_is_done_and_the_old_one_nothing(void **state)
{
	struct buf public[2], private[2];
	struct err e = { 0 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		buf_init(&public[i], 8192);
		buf_init(&private[i], 8192);
		assert_int_equal(key_escrow_make(&public[i], &private[i], &e), 0);
	}
	for (unsigned at = 1;; at++) {
		struct fault f = { .kind = FAULT_IO, .at = at };
		uint8_t epoch[LAYOUT_EPOCH];
		struct repokit k;
		bool struck;
		int rc;

		repokit_begin(&k, 2);
		k.options.escrow_pem = buf_str(&public[0]);
		repokit_must_init(&k, 2);
		vclock_pass(5 * CLOCK_S);
		assert_int_equal(repo_rotate_data(k.repo, &k.options, epoch, &e), 0);
		assert_true(half_opens(&k, &private[0], 2));
		k.tier[1].store = faultstore_new(k.tier[1].store);
		faultstore_arm(k.tier[1].store, &f);
		rc = repo_rotate_escrow(k.repo, &k.kek, buf_str(&public[1]), &e);
		struck = faultstore_struck(k.tier[1].store) > 0;
		faultstore_arm(k.tier[1].store, &(struct fault){ .kind = FAULT_IO, .at = UINT_MAX });
		assert_true(struck || rc == 0);
		if (rc == -1) {
			/* One of the two opens it all; the same call finishes it. */
			assert_true(half_opens(&k, &private[0], 2) || half_opens(&k, &private[1], 2));
			repokit_reopen(&k);
			if (repo_rotate_escrow(k.repo, &k.kek, buf_str(&public[1]), &e) == -1)
				fail_msg("at %u: %s", at, e.text);
		}
		assert_true(half_opens(&k, &private[1], 2));
		assert_false(half_opens(&k, &private[0], 2));
		/* Who is still configured with the old one is told, and makes nothing for it. */
		repokit_reopen(&k);
		repokit_refused(repo_check_replaced(k.repo, &e), &e, ERR_REFUSED, "[keys] escrow");
		assert_int_not_equal(repo_spread(k.repo, &k.tier[0], &e), -1);
		assert_false(half_opens(&k, &private[0], 2));
		repokit_done(&k);
		if (!struck)
			break;
	}
	for (int i = 0; i < 2; i++) {
		buf_done(&public[i]);
		buf_done(&private[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, vclock_setup, vclock_teardown)
		T(a_kek_that_was_replaced_is_not_brought_to_other_tiers),
		T(a_host_with_a_kek_that_was_replaced_makes_nothing_for_it),
		T(what_is_wrapped_for_nobody_else_on_a_tier_stays),
		T(a_new_escrow_cut_short_anywhere_opens_everything_once_it_is_done_and_the_old_one_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
