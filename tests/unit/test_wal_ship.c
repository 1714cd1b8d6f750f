/* From the spool to the tiers: job/wal/wal_ship.c. The clock goes on when somebody sleeps, or by a step. */
#include "job/wal/wal_ship.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/spool.h"
#include "tests/lib/chance.h"
#include "tests/lib/faultstore.h"
#include "tests/lib/scratch.h"
#include "tests/lib/testrepo.h"
#include "tests/lib/vector.h"

#define SEGMENT (UINT32_C(1) << 20) /* the smallest there is */
#define SEGMENTS 4
#define START UINT64_C(0x500000000)
#define EVERY_NS CLOCK_S
#define MINUTE_NS (60 * CLOCK_S)

static struct testrepo t;
static struct tier *tiers[1];
static struct spool *spool;
static struct spool_options so;
static struct wal_ship_options o;
static struct wal_ship *ship;
static struct wal_ship_seen seen;
static struct wal_ship_tier at;
static char *dir, *lost;

/* ---- a clock that a worker, too, may ask ---- */

static _Atomic int64_t passed;

static int64_t
get_real(void *arg)
{
	(void)arg;
	return INT64_C(1795226400) * CLOCK_S + passed;
}

static int64_t
get_boot(void *arg)
{
	(void)arg;
	return 3600 * CLOCK_S + passed;
}

static void
pass(void *arg, int64_t ns)
{
	(void)arg;
	if (ns > 0)
		passed += ns;
}

/* ---- life ---- */

static void
event(void *arg, const char *kind, const char *text)
{
	(void)arg;
	(void)kind;
	(void)text;
}

static int
setup(void **state)
{
	static const struct clock_source clock = { .real_ns = get_real, .boot_ns = get_boot,
		.sleep_ns = pass };

	(void)state;
	passed = 0;
	clock_install(&clock);
	testrepo_begin(&t, 1, true);
	tiers[0] = &t.kit.tier[0];
	dir = xstrdup(tiers[0]->options.url + strlen("file://"));
	lost = xasprintf("%s.lost", dir);
	so = (struct spool_options){
		.dir = { .path = scratch_path(scratch_dir(), "spool%llx",
			     (unsigned long long)chance_u64()), .keys = t.kit.repo->keys },
		.place = { .source = "pg.a", .sysid = 77, .epoch = 1 },
		.segment_size = SEGMENT,
	};
	return spool_open(&so, &spool, NULL);
}

static int
teardown(void **state)
{
	(void)state;
	wal_ship_free(ship);
	ship = NULL;
	spool_close(spool);
	free((char *)(uintptr_t)so.dir.path);
	testrepo_done(&t);
	free(dir);
	free(lost);
	clock_install(NULL);
	return 0;
}

/* Whole segments, from the first on. */
static void
receive(unsigned segments)
{
	static uint8_t wal[SEGMENT];

	vector_noise(wal, sizeof(wal), 5);
	if (spool_durable(spool) == 0)
		assert_int_equal(spool_start(spool, 1, START, NULL), 0);
	while (segments-- > 0)
		assert_int_equal(spool_append(spool, spool_received(spool), wal, SEGMENT, NULL), 0);
	assert_int_equal(spool_sync(spool, NULL), 0);
	seen.durable = spool_durable(spool);
}

static void
begin(void)
{
	struct buf none;

	seen = (struct wal_ship_seen){ 0 };
	receive(1);
	o = (struct wal_ship_options){
		.repo = t.kit.repo,
		.tier = tiers,
		.tiers = 1,
		.spool = so.dir,
		.place = so.place,
		.segment_size = SEGMENT,
		.version = 150000,
		.host = "here",
		.every_ns = EVERY_NS,
		.event = event,
	};
	ship = wal_ship_new(&o);
	buf_init(&none, 1);
	wal_ship_timeline(ship, 1, START, 0, &none);
	buf_done(&none);
}

/* Steps for so long, or until `yes`. */
static bool
within(int64_t ns, bool (*yes)(void))
{
	const int64_t end = clock_boot_ns() + ns;

	for (;;) {
		const int ms = wal_ship_step(ship, &seen, true);

		wal_ship_tier(ship, 0, &at);
		if (yes && yes())
			return true;
		if (clock_boot_ns() >= end)
			return false;
		/* A worker has it, and its own pauses are what lets time pass. */
		if (ms <= 21)
			usleep(500);
		pass(NULL, ms <= 21 ? 0 : ms * CLOCK_MS);
	}
}

static bool
is_there(void)
{
	return at.until == seen.durable;
}

static bool
failed(void)
{
	return at.why.kind != ERR_NONE;
}

static bool
replaced(void)
{
	return at.replaced;
}

/* ---- what a person does to the disk ---- */

static void
lose(void)
{
	assert_int_equal(rename(dir, lost), 0);
}

/* A mount point without its mount, or a disk before `init`. */
static void
put_another(void)
{
	assert_int_equal(mkdir(dir, 0700), 0);
}

/* What `init` puts there. */
static void
init_another(void)
{
	static const char *const part[] = { "repo", "key" };

	for (size_t i = 0; i < ARRAY_LEN(part); i++) {
		char *from = xasprintf("%s/%s", lost, part[i]), *to = xasprintf("%s/%s", dir, part[i]);

		assert_int_equal(rename(from, to), 0);
		free(from);
		free(to);
	}
}

static void
a_tier_whose_disk_was_lost_is_replaced_once_another_holds_the_repository(void **state)
{
	(void)state;
	begin();
	assert_true(within(MINUTE_NS, is_there));
	lose();
	receive(1);
	assert_true(within(MINUTE_NS, failed));
	assert_int_equal(at.why.kind, ERR_REMOTE);
	assert_false(within(5 * MINUTE_NS, replaced));
	put_another();
	assert_false(within(5 * MINUTE_NS, replaced));
	init_another();
	assert_true(within(MINUTE_NS, replaced));
	/* And stays so: nothing is stored there before it was opened anew. */
	assert_false(within(5 * MINUTE_NS, is_there));
	assert_true(at.replaced);
}

static void
one_that_only_went_away_is_not(void **state)
{
	(void)state;
	begin();
	assert_true(within(MINUTE_NS, is_there));
	lose();
	receive(1);
	assert_true(within(MINUTE_NS, failed));
	assert_int_equal(rename(lost, dir), 0);
	assert_true(within(2 * MINUTE_NS, is_there));
	assert_false(failed() || replaced());
}

static void
nor_is_one_that_went_away_and_came_back_in_place_of_another(void **state)
{
	(void)state;
	begin();
	assert_true(within(MINUTE_NS, is_there));
	lose();
	put_another();
	receive(1);
	assert_true(within(MINUTE_NS, failed));
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(rename(lost, dir), 0);
	assert_true(within(2 * MINUTE_NS, is_there));
	assert_false(failed() || replaced());
}

static void
one_that_was_away_when_the_receiver_began_is_replaced_like_any_other(void **state)
{
	(void)state;
	store_close(tiers[0]->store);
	tiers[0]->store = NULL;
	lose();
	begin();
	assert_true(within(MINUTE_NS, failed));
	assert_int_equal(rename(lost, dir), 0);
	assert_true(within(2 * MINUTE_NS, is_there));
	lose();
	receive(1);
	assert_true(within(MINUTE_NS, failed));
	put_another();
	init_another();
	assert_true(within(MINUTE_NS, replaced));
}

/* How often it is asked for its clock, in a minute in which the server rests. */
static unsigned
asked(void)
{
	const struct fault count = { .kind = FAULT_DELAY, .op = "clock" }; /* of nothing */

	assert_true(within(MINUTE_NS, is_there));
	seen.server_flush = seen.durable;
	seen.seen_boot_ns = clock_boot_ns();
	faultstore_arm(t.fault[0], &count);
	assert_false(within(MINUTE_NS, failed));
	return faultstore_calls(t.fault[0]);
}

static void
a_tier_that_keeps_no_beat_is_left_alone_while_the_server_rests(void **state)
{
	struct store_stat st;

	(void)state;
	begin();
	assert_in_range(asked(), 30, 61);
	wal_ship_free(ship);
	assert_int_equal(store_del(tiers[0]->store, "beat/pg.a", NULL), 1);
	tiers[0]->options.lock = STORE_LOCK_COMPLIANCE;
	begin();
	assert_int_equal(asked(), 0);
	assert_int_equal(store_stat(tiers[0]->store, "beat/pg.a", &st, NULL), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_tier_whose_disk_was_lost_is_replaced_once_another_holds_the_repository),
		TEST(one_that_only_went_away_is_not),
		TEST(nor_is_one_that_went_away_and_came_back_in_place_of_another),
		TEST(a_tier_that_keeps_no_beat_is_left_alone_while_the_server_rests),
		TEST(one_that_was_away_when_the_receiver_began_is_replaced_like_any_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
