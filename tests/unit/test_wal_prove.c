#include "job/wal/wal_prove.h"

#include <string.h>

#include "tests/lib/memstore.h"
#include "tests/lib/piecekit.h"
#include "tests/lib/repokit.h"
#include "tests/lib/vector.h"

#define SEGMENT (UINT32_C(1) << 20)
#define START (UINT64_C(0x500000000))
#define MIDDLE (START + SEGMENT / 2)
#define END (START + SEGMENT)

/* A segment in two bundles, of which the first lies in an archive and the second can be read. */
static struct repokit k;
static uint8_t wal[SEGMENT];
static const struct wal_place place = { .source = "pg.a", .sysid = 77, .epoch = 2 };
static char first[LAYOUT_NAME], second[LAYOUT_NAME];

static int
setup(void **state)
{
	struct piecekit kit;

	(void)state;
	repokit_init(&k, 1);
	vector_noise(wal, sizeof(wal), 5);
	kit = (struct piecekit){ .keys = k.repo->keys, .place = place, .tli = 1,
		.segment_size = SEGMENT, .start = START, .wal = wal };
	piecekit_bundle(&kit, k.tier[0].store, START, MIDDLE, SEGMENT / 4);
	piecekit_bundle(&kit, k.tier[0].store, MIDDLE, END, SEGMENT / 4);
	layout_wal_bundle(&place, 1, START, MIDDLE, first);
	layout_wal_bundle(&place, 1, MIDDLE, END, second);
	memstore_freeze(k.tier[0].store, first, true);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	repokit_done(&k);
	return 0;
}

static int
prove(struct err *e)
{
	const struct wal_prove_range range = { 1, 1, START, END };

	err_clear(e);
	return wal_prove(k.repo, &k.tier[0], &place, SEGMENT, &range, e);
}

static void
what_is_frozen_is_proved_by_the_sum_that_the_store_keeps_and_the_rest_is_read(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(prove(&e), 0);
	memstore_drop(k.tier[0].store, second);
	repokit_refused(prove(&e), &e, ERR_CORRUPT, "no WAL of timeline 1 from 5/80000 on");
}

static void
a_bundle_that_can_be_read_and_is_damaged_proves_nothing_beside_a_frozen_one(void **state)
{
	size_t len;
	uint8_t *bytes = memstore_bytes(k.tier[0].store, second, &len);
	struct err e;

	(void)state;
	bytes[len / 2] ^= 1;
	repokit_refused(prove(&e), &e, ERR_CORRUPT, second);
	bytes[len / 2] ^= 1;
	memset(bytes, 'x', len);
	repokit_refused(prove(&e), &e, ERR_CORRUPT, second);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_frozen_is_proved_by_the_sum_that_the_store_keeps_and_the_rest_is_read),
		TEST(a_bundle_that_can_be_read_and_is_damaged_proves_nothing_beside_a_frozen_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
