#include "repo/walread.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/memstore.h"
#include "tests/lib/piecekit.h"
#include "tests/lib/repokit.h"
#include "tests/lib/vector.h"

#define SEGMENT (UINT32_C(1) << 20)
#define SEGMENTS 3
#define START (UINT64_C(0x500000000))
#define BYTES ((uint64_t)SEGMENTS * SEGMENT)

static struct repokit k;
static struct tier *tiers[REPOKIT_TIERS];
static uint8_t wal[BYTES];
static const struct wal_place epoch2 = { .source = "pg.a", .sysid = 77, .epoch = 2 };
static struct piecekit kit;

static int
setup(void **state)
{
	(void)state;
	repokit_init(&k, 2);
	for (size_t i = 0; i < REPOKIT_TIERS; i++)
		tiers[i] = &k.tier[i];
	vector_noise(wal, sizeof(wal), 5);
	kit = (struct piecekit){ .keys = k.repo->keys, .place = epoch2, .tli = 1,
		.segment_size = SEGMENT, .start = START, .wal = wal };
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	repokit_done(&k);
	return 0;
}

static struct walread *
reader(size_t count, const struct wal_place *place)
{
	struct walread_options o = { .repo = k.repo, .tier = tiers, .tiers = count, .place = *place };
	struct err e = { 0 };
	struct walread *r;

	if (walread_new(&o, &r, &e) == -1)
		fail_msg("%s", e.text);
	return r;
}

/* One segment; what comes out must be the log, as far as is said. */
static int
read_checked(struct walread *r, unsigned segment, uint64_t *until, struct err *e)
{
	uint64_t start = START + (uint64_t)segment * SEGMENT;
	struct buf out;
	int rc;

	err_clear(e);
	buf_init(&out, SEGMENT);
	rc = walread_segment(r, 1, start, SEGMENT, &out, until, e);
	assert_int_equal(out.len, *until - start);
	assert_memory_equal(out.data, wal + (start - START), out.len);
	buf_done(&out);
	return rc;
}

static size_t gets;

static void
count_gets(void *arg, const char *op, const char *name)
{
	(void)arg;
	gets += strcmp(op, "get") == 0 && strncmp(name, "walb/", 5) == 0;
}

static void
a_bundle_is_fetched_once_for_all_the_segments_in_it(void **state)
{
	struct lsn_set set = { 0 };
	struct walread *r;
	struct err e = { 0 };
	uint64_t until;

	(void)state;
	piecekit_bundle(&kit, k.tier[0].store, START + SEGMENT / 4, START + BYTES - 7, SEGMENT / 4);
	piecekit_put(&kit, k.tier[0].store, START, START + SEGMENT / 4);
	memstore_hook(k.tier[0].store, count_gets, NULL);
	gets = 0;
	r = reader(1, &epoch2);
	for (unsigned i = 0; i < SEGMENTS; i++)
		assert_int_equal(read_checked(r, i, &until, &e), i + 1 < SEGMENTS);
	assert_int_equal(until, START + BYTES - 7);
	assert_int_equal(gets, 1);
	assert_int_equal(walread_ranges(r, tiers[0], 1, &set, &e), 0);
	assert_int_equal(set.count, 1);
	assert_int_equal(set.range[0].to, START + BYTES - 7);
	lsn_set_done(&set);
	walread_free(r);
}

static void
what_is_frozen_is_not_absent_and_is_read_from_where_it_is_not(void **state)
{
	struct walread *r;
	struct err e = { 0 };
	uint64_t until;

	(void)state;
	piecekit_bundle(&kit, k.tier[0].store, START, START + BYTES, SEGMENT / 4);
	memstore_freeze(k.tier[0].store, "walb/", true);
	r = reader(1, &epoch2);
	repokit_refused(read_checked(r, 0, &until, &e), &e, ERR_FROZEN, "frozen");
	assert_int_equal(until, START);
	walread_free(r);
	piecekit_put(&kit, k.tier[1].store, START, START + SEGMENT);
	r = reader(2, &epoch2);
	assert_int_equal(read_checked(r, 0, &until, &e), 1);
	assert_int_equal(read_checked(r, 1, &until, &e), -1);
	assert_int_equal(e.kind, ERR_FROZEN);
	memstore_freeze(k.tier[0].store, NULL, false);
	assert_int_equal(read_checked(r, 1, &until, &e), 1);
	walread_free(r);
}

static void
of_a_damaged_bundle_the_pieces_that_are_good_are_read_and_no_other_is_absent(void **state)
{
	char name[LAYOUT_NAME];
	struct walread *r;
	struct err e = { 0 };
	uint64_t until;
	uint8_t *bytes;
	size_t len;

	(void)state;
	piecekit_bundle(&kit, k.tier[0].store, START, START + BYTES, SEGMENT / 2);
	layout_wal_bundle(&epoch2, 1, START, START + BYTES, name);
	bytes = memstore_bytes(k.tier[0].store, name, &len);
	bytes[len / 6 * 3 + 500] ^= 1; /* in the fourth of six pieces: of the second segment */
	r = reader(1, &epoch2);
	assert_int_equal(read_checked(r, 0, &until, &e), 1);
	assert_int_equal(read_checked(r, 2, &until, &e), 1);
	repokit_refused(read_checked(r, 1, &until, &e), &e, ERR_CORRUPT, "cannot be read");
	assert_int_equal(until, START + SEGMENT + SEGMENT / 2);
	walread_free(r);
}

/* Cut between two of its pieces, or before the first, there is nothing in it that does not open. */
static void
what_a_bundle_promises_and_does_not_have_is_not_absent(void **state)
{
	char name[LAYOUT_NAME];
	struct walread *r;
	struct err e = { 0 };
	uint64_t until;
	size_t len;

	(void)state;
	piecekit_bundle(&kit, k.tier[0].store, START, START + BYTES, SEGMENT / 2);
	layout_wal_bundle(&epoch2, 1, START, START + BYTES, name);
	memstore_bytes(k.tier[0].store, name, &len);
	assert_int_equal(len % 6, 0);
	memstore_cut(k.tier[0].store, name, len / 6 * 3);
	r = reader(1, &epoch2);
	assert_int_equal(read_checked(r, 0, &until, &e), 1);
	repokit_refused(read_checked(r, 1, &until, &e), &e, ERR_CORRUPT, "promises");
	assert_int_equal(until, START + SEGMENT + SEGMENT / 2);
	repokit_refused(read_checked(r, 2, &until, &e), &e, ERR_CORRUPT, "promises");
	walread_free(r);
	memstore_cut(k.tier[0].store, name, 0);
	r = reader(1, &epoch2);
	repokit_refused(read_checked(r, 0, &until, &e), &e, ERR_CORRUPT, "promises");
	walread_free(r);
	/* What another tier has of it is read from there. */
	piecekit_put(&kit, k.tier[1].store, START, START + SEGMENT);
	r = reader(2, &epoch2);
	assert_int_equal(read_checked(r, 0, &until, &e), 1);
	walread_free(r);
}

static void
what_a_tier_has_in_bundles_alone_is_found_like_pieces(void **state)
{
	struct wal_place epoch7 = epoch2;
	struct wal_from from = { .parent = 2, .tli = 1, .fork = START + SEGMENT + 500,
		.reason = "failover" };
	struct walread_timelines lines;
	struct walread_places places;
	uint64_t end, until;
	struct walread *r;
	struct err e = { 0 };
	uint32_t tli;

	(void)state;
	epoch7.epoch = 7;
	piecekit_bundle(&kit, k.tier[0].store, START, START + BYTES, SEGMENT);
	r = reader(1, &epoch2);
	assert_int_equal(walread_timelines(r, tiers[0], &lines, &e), 0);
	assert_int_equal(lines.count, 1);
	assert_int_equal(lines.tli[0], 1);
	free(lines.tli);
	assert_int_equal(walread_newest(r, tiers[0], &tli, &end, &e), 1);
	assert_int_equal(end, START + BYTES);
	assert_int_equal(walread_frontier(r, tiers[0], 1, START + SEGMENT, &end, &e), 0);
	assert_int_equal(end, START + BYTES);
	assert_int_equal(walread_behind(r, 1, START + SEGMENT + 1, &e), 1);
	assert_int_equal(walread_behind(r, 1, START + BYTES, &e), 0);
	walread_free(r);
	assert_int_equal(walread_places(tiers[0], "pg.a", &places, &e), 0);
	assert_int_equal(places.count, 1);
	assert_int_equal(places.place[0].epoch, 2);
	free(places.place);
	/* A child reads it up to the fork, which lies within. */
	assert_int_equal(wal_lineage_put_from(k.repo, k.tier[0].store, &epoch7, &from, &e), 1);
	r = reader(1, &epoch7);
	assert_int_equal(read_checked(r, 0, &until, &e), 1);
	assert_int_equal(read_checked(r, 1, &until, &e), 0);
	assert_int_equal(until, START + SEGMENT + 500);
	assert_int_equal(walread_behind(r, 1, START + 2 * SEGMENT, &e), 0);
	walread_free(r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_bundle_is_fetched_once_for_all_the_segments_in_it),
		TEST(what_is_frozen_is_not_absent_and_is_read_from_where_it_is_not),
		TEST(of_a_damaged_bundle_the_pieces_that_are_good_are_read_and_no_other_is_absent),
		TEST(what_a_bundle_promises_and_does_not_have_is_not_absent),
		TEST(what_a_tier_has_in_bundles_alone_is_found_like_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
