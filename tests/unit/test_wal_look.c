/* What a tier without a beat lacks: wal_look_sample.c and wal_look.c. */
#include "job/wal/wal_look_parts.h"

#include <string.h>

#include "base/clock.h"
#include "repo/piece.h"
#include "tests/lib/repokit.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

#define SEGMENT (UINT32_C(1) << 20)
#define START UINT64_C(0x500000000)
#define AT(n) (START + (uint64_t)(n) * SEGMENT)
#define HOUR (3600 * CLOCK_S)

static const struct conf_postgres postgres = { .wal_from = "stream" };
static const struct conf_source source = { .name = "pg.a", .bare = "a", .postgres = &postgres };
static struct session session;
static struct wal_look look;
static struct wal_looking looking;
static struct wal_look_tier *locked; /* that is judged */

static int
setup(void **state)
{
	if (repokit_two_tiers(state) == -1 || vclock_setup(state) == -1)
		return -1;
	session = (struct session){ .tiers = repokit.tiers, .repo = repokit.repo };
	look = (struct wal_look){ .w = { .source = &source }, .placed = true, .tiers = 2,
		.place = { .source = "pg.a", .sysid = 77, .epoch = 2 } };
	repokit.tier[0].options.lock = STORE_LOCK_COMPLIANCE;
	for (size_t i = 0; i < 2; i++)
		look.tier[i] = (struct wal_look_tier){ .tier = &repokit.tier[i] };
	locked = &look.tier[0];
	return 0;
}

static int
teardown(void **state)
{
	pg_history_done(&locked->history);
	return vclock_teardown(state) | repokit_teardown(state);
}

/* A segment of that timeline and epoch, stored now. */
static void
put(size_t tier, uint32_t epoch, uint32_t tli, unsigned n)
{
	static uint8_t wal[SEGMENT];
	struct piece p = {
		.at = { .place = look.place, .kind = LAYOUT_WAL_PIECE, .tli = tli, .start = AT(n),
			.end = AT(n + 1) },
		.segment_size = SEGMENT,
		.host = "h",
		.sampled = true,
		.sample = { .time_ns = clock_real_ns(), .flush_lsn = AT(n + 1) },
	};
	char name[LAYOUT_NAME];
	struct buf sealed;

	p.at.place.epoch = epoch;
	buf_init(&sealed, STORE_OBJECT_MAX);
	assert_int_equal(piece_seal(repokit.repo->keys, &p, wal, SEGMENT, &sealed, name, NULL), 0);
	assert_int_equal(piece_put(repokit.repo->keys, repokit.tier[tier].store, name, &sealed, NULL), 1);
	buf_done(&sealed);
}

static void
both(uint32_t epoch, uint32_t tli, unsigned n)
{
	put(0, epoch, tli, n);
	put(1, epoch, tli, n);
}

/* Epoch 2 left epoch 1 there. */
static void
leave(uint32_t tli, unsigned n)
{
	const struct wal_from from = { .parent = 1, .tli = tli, .fork = AT(n), .reason = "failover" };

	for (size_t i = 0; i < 2; i++)
		assert_int_equal(wal_lineage_put_from(repokit.repo, repokit.tier[i].store, &look.place,
		    &from, NULL), 1);
}

/* The tier that locks has that timeline up to there. So long another one has had what comes next. */
static int64_t
late(uint32_t tli, unsigned n)
{
	struct tier *const tier[] = { &repokit.tier[0], &repokit.tier[1] };
	const struct walread_options o = { .repo = repokit.repo, .tier = tier, .tiers = 2,
		.place = look.place };
	struct err e = { 0 };

	looking = (struct wal_looking){ .s = &session, .l = &look, .open = { tier[0], tier[1] },
		.opens = 2 };
	assert_int_equal(walread_new(&o, &looking.read, &e), 0);
	*locked = (struct wal_look_tier){ .tier = tier[0], .tli = tli, .frontier = AT(n), .reach = AT(n) };
	locked->newest.facts.start = START;
	pg_history_init(&locked->history, tli);
	assert_int_equal(wal_look_clock(locked, &e), 0);
	assert_int_equal(wal_look_samples(&looking, locked, &e), 0);
	walread_free(looking.read);
	return locked->late_ns;
}

static void
what_another_tier_has_behind_its_frontier_is_late_since_it_came_there(void **state)
{
	(void)state;
	both(2, 1, 0);
	vclock_pass(HOUR);
	assert_int_equal(late(1, 1), 0);
	put(1, 2, 1, 1);
	vclock_pass(HOUR);
	put(1, 2, 1, 2);
	vclock_pass(HOUR);
	assert_int_equal(late(1, 1), 2 * HOUR);
	assert_int_equal(late(1, 2), HOUR);
	assert_int_equal(late(1, 3), 0);
}

static void
so_is_a_timeline_of_which_it_has_nothing(void **state)
{
	(void)state;
	both(2, 1, 0);
	put(1, 2, 3, 1);
	vclock_pass(HOUR);
	put(1, 2, 3, 2);
	vclock_pass(HOUR);
	assert_int_equal(late(1, 1), 2 * HOUR);
	/* One that was left before is no matter. */
	assert_int_equal(late(4, 1), 0);
}

static void
so_is_what_is_of_the_epoch_before_up_to_where_that_was_left(void **state)
{
	(void)state;
	both(1, 1, 0);
	leave(1, 2);
	put(1, 1, 1, 1);
	vclock_pass(HOUR);
	put(1, 2, 2, 2);
	vclock_pass(HOUR);
	assert_int_equal(late(1, 1), 2 * HOUR);
	assert_int_equal(late(1, 2), HOUR);
	put(1, 1, 1, 2); /* behind the fork: nobody's */
	vclock_pass(HOUR);
	assert_int_equal(late(1, 2), 2 * HOUR);
}

static void
a_server_on_a_newer_timeline_is_ahead_of_a_tier_that_has_nothing_of_it(void **state)
{
	struct wal_look l = { .server = { .reached = true, .tli = 1, .flush = AT(5) } };
	const struct wal_look_tier t = { .tli = 1, .frontier = AT(2) };

	(void)state;
	assert_int_equal(wal_look_behind(&l, &t), 3 * SEGMENT);
	l.server.tli = 2;
	assert_int_equal(wal_look_behind(&l, &t), 3 * SEGMENT);
	l.server.flush = AT(1);
	assert_int_equal(wal_look_behind(&l, &t), 0);
	l.server.flush = AT(5);
	l.server.reached = false;
	assert_int_equal(wal_look_behind(&l, &t), 0);
	l = (struct wal_look){ .server = { .reached = true, .tli = 1, .flush = AT(5) } };
	assert_int_equal(wal_look_behind(&l, &(struct wal_look_tier){ .tli = 2, .frontier = AT(2) }), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_another_tier_has_behind_its_frontier_is_late_since_it_came_there),
		TEST(so_is_a_timeline_of_which_it_has_nothing),
		TEST(so_is_what_is_of_the_epoch_before_up_to_where_that_was_left),
		cmocka_unit_test(
		    a_server_on_a_newer_timeline_is_ahead_of_a_tier_that_has_nothing_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
