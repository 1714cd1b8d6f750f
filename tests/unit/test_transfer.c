/* Packs on their way to a tier: which tier gives them. */
#include "tests/lib/snapkit.h"

#include <stdio.h>
#include <string.h>

#include "repo/pend.h"
#include "tests/lib/memstore.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

static struct repokit k;
static struct pend_report rep;
static struct err e;
static char snap[LAYOUT_NAME];

static int
begin(void **state)
{
	(void)state;
	return snapkit_begin(&k, 3);
}

static int
end(void **state)
{
	(void)state;
	return snapkit_done(&k);
}

/* The snapshot from the first tier to the second. */
static int
copy(void)
{
	const struct pend_options o = { .workers = 0 };

	err_clear(&e);
	return pend_copy(k.repo, &k.tier[0], &k.tier[1], snap, &o, &rep, &e);
}

static void
copy_well(void)
{
	if (copy() == -1)
		fail_msg("%s", e.text);
	assert_true(snapkit_has(&k, 1, snap));
}

static void
a_damaged_pack_is_not_sent_but_taken_from_another_tier(void **state)
{
	uint8_t sha[LAYOUT_SHA];
	char pack[LAYOUT_NAME];

	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1, 2 } }, snap);
	snapkit_sha(2, sha);
	memstore_bytes(k.tier[0].store, layout_pack(sha, pack), NULL)[3] ^= 1;
	repokit_refused(copy(), &e, ERR_CORRUPT, pack);
	assert_false(snapkit_has(&k, 1, snap));
	assert_false(snapkit_has_pack(&k, 1, 2));
	snapkit_put_pack(&k, 2, 2);
	vclock_pass(2 * LAYOUT_HOUR_NS);
	copy_well();
	assert_true(snapkit_has_pack(&k, 1, 2));
}

static char first_asked[LAYOUT_NAME];
static unsigned others_asked;

/* From the first pack that is asked for on. */
static void
fall_silent(void *arg, const char *op, const char *name)
{
	if (strcmp(op, "get") != 0 || strncmp(name, "pack/", 5) != 0)
		return;
	if (first_asked[0] == '\0')
		snprintf(first_asked, sizeof(first_asked), "%s", name);
	others_asked += strcmp(name, first_asked) != 0;
	memstore_away(arg, true);
}

static void
a_tier_that_fell_silent_is_not_waited_for_at_every_pack(void **state)
{
	(void)state;
	snapkit_put(&k, 0, &(struct snapkit_snap){ .pack = { 1, 2, 3, 4 } }, snap);
	for (unsigned n = 1; n <= 4; n++)
		snapkit_put_pack(&k, 2, n);
	first_asked[0] = '\0';
	others_asked = 0;
	memstore_hook(k.tier[0].store, fall_silent, k.tier[0].store);
	copy_well();
	memstore_hook(k.tier[0].store, NULL, NULL);
	assert_int_equal(rep.sent, 4);
	assert_true(first_asked[0] != '\0');
	assert_int_equal(others_asked, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_damaged_pack_is_not_sent_but_taken_from_another_tier),
		CASE(a_tier_that_fell_silent_is_not_waited_for_at_every_pack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
