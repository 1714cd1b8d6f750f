/* Each tier's own way in, judged as if it were the only one left. */
#include "repo/repo_audit.h"

#include <string.h>

#include "base/clock.h"
#include "filter/key.h"
#include "repo/repo_scan.h"
#include "tests/lib/memstore.h"
#include "tests/lib/repokit.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

static struct repokit k;
static struct buf public_pem, private_pem;

static int
setup(void **state)
{
	(void)state;
	vclock_install(INT64_C(1795226400) * CLOCK_S);
	buf_init(&public_pem, 8192);
	buf_init(&private_pem, 8192);
	repokit_init(&k, 2);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	repokit_done(&k);
	buf_done(&public_pem);
	buf_done(&private_pem);
	vclock_remove();
	return 0;
}

/* The name on the first tier that begins so; of several the last. */
static const char *
named(const char *prefix, char out[LAYOUT_NAME])
{
	struct repo_scan s;

	out[0] = '\0';
	repo_scan(&k.tiers, &s);
	for (size_t i = 0; i < s.tier[0].names; i++)
		if (strncmp(s.tier[0].name[i], prefix, strlen(prefix)) == 0)
			memcpy(out, s.tier[0].name[i], LAYOUT_NAME);
	repo_scan_done(&s);
	assert_true(out[0] != '\0');
	return out;
}

/* Audits a tier: so many flaws, the first of that object and kind; so many epochs opened. */
static void
expect(size_t tier, size_t flaws, const char *object, enum err_kind kind, size_t opened)
{
	struct repo_audit a;
	struct err e = { 0 };

	if (repo_audit(k.repo, &k.kek, &k.tier[tier], &a, &e) == -1)
		fail_msg("%s", e.text);
	for (size_t i = flaws; i < a.count; i++)
		fail_msg("%s: %s", a.flaw[i].object, a.flaw[i].why.text);
	assert_int_equal(a.count, flaws);
	if (flaws > 0) {
		assert_string_equal(a.flaw[0].object, object);
		assert_int_equal(a.flaw[0].why.kind, kind);
	}
	assert_int_equal(a.opened, opened);
	repo_audit_done(&a);
}

static void
damage(size_t tier, const char *name, size_t at)
{
	size_t len;

	memstore_bytes(k.tier[tier].store, name, &len)[at] ^= 1;
}

static void
a_sound_tier_has_no_flaw_and_opens_every_epoch(void **state)
{
	uint8_t epoch[LAYOUT_EPOCH];
	struct err e = { 0 };

	(void)state;
	expect(0, 0, NULL, ERR_NONE, 1);
	vclock_pass(CLOCK_S);
	assert_int_equal(repo_rotate_data(k.repo, &k.options, epoch, &e), 0);
	expect(0, 0, NULL, ERR_NONE, 2);
	expect(1, 0, NULL, ERR_NONE, 2);
}

static void
a_changed_key_object_is_a_flaw_of_its_tier_and_no_other(void **state)
{
	char name[LAYOUT_NAME];

	(void)state;
	damage(0, named("key/", name), 240);
	expect(0, 1, name, ERR_CORRUPT, 0);
	expect(1, 0, NULL, ERR_NONE, 1);
}

static void
a_missing_key_object_is_known_from_the_other_tier(void **state)
{
	char name[LAYOUT_NAME];

	(void)state;
	memstore_drop(k.tier[0].store, named("key/", name));
	expect(0, 1, name, ERR_NOTFOUND, 0);
	expect(1, 0, NULL, ERR_NONE, 1);
}

static void
a_key_object_that_is_gone_everywhere_is_missed_because_its_epoch_is_in_use(void **state)
{
	char name[LAYOUT_NAME];

	(void)state;
	named("key/", name);
	memstore_drop(k.tier[0].store, name);
	memstore_drop(k.tier[1].store, name);
	expect(0, 1, name, ERR_KEY, 0);
	expect(1, 1, name, ERR_KEY, 0);
}

static void
rubbish_under_a_key_name_is_a_flaw_where_it_lies_and_not_missing_elsewhere(void **state)
{
	static const char rubbish[] = "key/00000000.k0000000000000000";

	(void)state;
	repokit_put(k.tier[0].store, rubbish, "not a key object");
	expect(0, 1, rubbish, ERR_CORRUPT, 1);
	expect(1, 0, NULL, ERR_NONE, 1);
}

static void
every_object_of_the_chain_must_be_there_byte_for_byte(void **state)
{
	struct sign_key *second;
	struct buf pem;
	struct err e = { 0 };

	(void)state;
	buf_init(&pem, 4096);
	second = sign_key_make(&pem);
	assert_int_equal(repo_rotate_signer(k.repo, second, &e), 0);
	sign_key_free(second);
	buf_done(&pem);
	expect(0, 0, NULL, ERR_NONE, 1);
	damage(0, "repo/0", 40);
	expect(0, 1, "repo/0", ERR_CORRUPT, 1);
	memstore_drop(k.tier[0].store, "repo/0");
	expect(0, 1, "repo/0", ERR_NOTFOUND, 1);
	memstore_drop(k.tier[1].store, "repo/1");
	expect(1, 1, "repo/1", ERR_NOTFOUND, 1);
	repokit_put(k.tier[1].store, "repo/9", "from nowhere");
	expect(1, 2, "repo/1", ERR_NOTFOUND, 1);
}

static void
an_epoch_without_an_object_for_our_kek_is_told(void **state)
{
	struct kek other = { .kind = KEK_KEY };
	char name[LAYOUT_NAME];
	struct repo_audit a;
	struct err e = { 0 };
	struct buf text;

	(void)state;
	buf_init(&other.secret, KEY_LEN);
	key_random(buf_reserve(&other.secret, KEY_LEN), KEY_LEN);
	other.secret.len = KEY_LEN;
	/* Another host's epoch, wrapped for its kek and for nobody else, signed by one of ours. */
	buf_init(&text, KEYRING_TEXT_MAX);
	keyring_add_epoch(k.repo->keys, clock_real_ns() + CLOCK_S);
	assert_int_equal(keyring_object(k.repo->keys, &k.repo->keys->epoch[1], &other, NULL, name,
	    &text, &e), 0);
	repokit_put(k.tier[0].store, name, buf_str(&text));
	repokit_reopen(&k);
	assert_int_equal(k.repo->keys->epochs, 1);
	assert_int_equal(repo_audit(k.repo, &k.kek, &k.tier[0], &a, &e), 0);
	assert_int_equal(a.count, 1);
	assert_int_equal(a.flaw[0].why.kind, ERR_KEY);
	assert_memory_equal(a.flaw[0].object, name, strlen("key/01234567.k"));
	assert_string_not_equal(a.flaw[0].object, name);
	repo_audit_done(&a);
	kek_done(&other);
	buf_done(&text);
}

static void
objects_for_the_escrow_are_judged_without_its_key(void **state)
{
	struct repo_audit a;
	struct kek_ready ready;
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	unsigned made;

	(void)state;
	assert_int_equal(key_escrow_make(&public_pem, &private_pem, &e), 0);
	k.options.escrow_pem = buf_str(&public_pem);
	repo_free(k.repo);
	assert_int_equal(repo_init(&k.tiers, repokit_options(&k), &made, &k.repo, &e), 0);
	assert_int_equal(kek_prepare_escrow(buf_str(&public_pem), &ready, &e), 0);
	layout_key(k.repo->keys->epoch[0].epoch, ready.recipient, name);
	assert_int_equal(repo_audit(k.repo, &k.kek, &k.tier[1], &a, &e), 0);
	assert_int_equal(a.count, 0);
	assert_int_equal(repo_audit_recipient(&a, k.repo, ready.recipient), 1);
	repo_audit_done(&a);
	damage(1, name, 300);
	assert_int_equal(repo_audit(k.repo, &k.kek, &k.tier[1], &a, &e), 0);
	assert_int_equal(a.count, 1);
	assert_string_equal(a.flaw[0].object, name);
	assert_int_equal(repo_audit_recipient(&a, k.repo, ready.recipient), 0);
	assert_int_equal(a.opened, 1);
	repo_audit_done(&a);
	kek_ready_done(&ready);
}

static void
a_tier_that_does_not_answer_is_no_flaw(void **state)
{
	struct repo_audit a;
	struct err e = { 0 };

	(void)state;
	memstore_away(k.tier[0].store, true);
	repokit_refused(repo_audit(k.repo, &k.kek, &k.tier[0], &a, &e), &e, ERR_REMOTE, "one");
	assert_int_equal(a.count, 0);
	repo_audit_done(&a);
	expect(1, 0, NULL, ERR_NONE, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(a_sound_tier_has_no_flaw_and_opens_every_epoch),
		T(a_changed_key_object_is_a_flaw_of_its_tier_and_no_other),
		T(a_missing_key_object_is_known_from_the_other_tier),
		T(a_key_object_that_is_gone_everywhere_is_missed_because_its_epoch_is_in_use),
		T(rubbish_under_a_key_name_is_a_flaw_where_it_lies_and_not_missing_elsewhere),
		T(every_object_of_the_chain_must_be_there_byte_for_byte),
		T(an_epoch_without_an_object_for_our_kek_is_told),
		T(objects_for_the_escrow_are_judged_without_its_key),
		T(a_tier_that_does_not_answer_is_no_flaw),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
