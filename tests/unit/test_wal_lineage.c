#include "repo/wal_lineage.h"

#include <string.h>

#include "repo/record.h"
#include "repo/wal_beat.h"
#include "repo/wal_gap.h"
#include "tests/lib/memstore.h"
#include "tests/lib/repokit.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

#define AT (INT64_C(1795226400) * 1000000000)

static struct repokit k;
static struct tier *tiers[2];
static const struct wal_place at5 = { .source = "pg.a", .sysid = 77, .epoch = 5 };

static int
setup(void **state)
{
	(void)state;
	repokit_init(&k, 2);
	tiers[0] = &k.tier[0];
	tiers[1] = &k.tier[1];
	vclock_install(AT);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	vclock_remove();
	repokit_done(&k);
	return 0;
}

static int
put_from(uint32_t epoch, uint32_t parent, uint32_t tli, uint64_t fork, struct err *e)
{
	struct wal_from f = { .parent = parent, .tli = tli, .fork = fork, .reason = "a failover" };
	struct wal_place p = at5;

	p.epoch = epoch;
	return wal_lineage_put_from(k.repo, k.tier[0].store, &p, &f, e);
}

static void
an_epoch_says_once_where_it_comes_from(void **state)
{
	struct wal_from other = { .parent = 3, .tli = 1, .fork = 1000, .reason = "in other words" };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(put_from(5, 3, 1, 1000, &e), 1);
	assert_int_equal(put_from(5, 3, 1, 1000, &e), 0);
	assert_int_equal(wal_lineage_put_from(k.repo, k.tier[0].store, &at5, &other, &e), 0);
	repokit_refused(put_from(5, 3, 1, 1001, &e), &e, ERR_EXISTS, "says otherwise");
	repokit_refused(put_from(5, 2, 1, 1000, &e), &e, ERR_EXISTS, "says otherwise");
	assert_int_equal(put_from(4, 4, 1, 1000, &e), -1); /* its own parent */
	assert_int_equal(put_from(4, 5, 1, 1000, &e), -1); /* from the future */
}

static void
a_history_is_stored_byte_for_byte_and_not_replaced(void **state)
{
	static const char text[] = "1\t0/5000000\tno recovery target\n";
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	struct buf got;

	(void)state;
	assert_int_equal(wal_lineage_put_history(k.repo, k.tier[0].store, &at5, 2, text,
	    strlen(text), &e), 1);
	assert_int_equal(wal_lineage_put_history(k.repo, k.tier[0].store, &at5, 2, text,
	    strlen(text), &e), 0);
	repokit_refused(wal_lineage_put_history(k.repo, k.tier[0].store, &at5, 2, text,
	    strlen(text) - 1, &e), &e, ERR_EXISTS, "says otherwise");
	buf_init(&got, 1000);
	layout_wal_history(&at5, 2, name);
	assert_int_equal(wal_lineage_fetch(k.repo, tiers, 2, name, &got, &e), 1);
	assert_string_equal(buf_str(&got), text);
	buf_done(&got);
}

static void
absent_is_said_only_when_every_tier_said_it(void **state)
{
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	uint8_t *bytes;
	struct buf got;
	size_t len;

	(void)state;
	buf_init(&got, 1000);
	layout_wal_history(&at5, 2, name);
	assert_int_equal(wal_lineage_fetch(k.repo, tiers, 2, name, &got, &e), 0);
	memstore_away(k.tier[1].store, true);
	repokit_refused(wal_lineage_fetch(k.repo, tiers, 2, name, &got, &e), &e, ERR_REMOTE, "two");
	assert_int_equal(wal_lineage_put_history(k.repo, k.tier[0].store, &at5, 2, "x", 1, &e), 1);
	assert_int_equal(wal_lineage_fetch(k.repo, tiers, 2, name, &got, &e), 1);
	memstore_away(k.tier[1].store, false);
	k.tier[1].why.kind = ERR_NONE;
	bytes = memstore_bytes(k.tier[0].store, name, &len);
	bytes[len / 2] ^= 1;
	repokit_refused(wal_lineage_fetch(k.repo, tiers, 2, name, &got, &e), &e, ERR_CORRUPT, "one");
	buf_done(&got);
}

static void
a_lineage_is_followed_to_its_first_epoch_with_what_counts_of_each(void **state)
{
	struct wal_lineage l;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(put_from(5, 3, 2, 1000, &e), 1);
	assert_int_equal(put_from(3, 1, 2, 700, &e), 1);
	assert_int_equal(wal_lineage_load(k.repo, tiers, 2, &at5, &l, &e), 0);
	assert_int_equal(l.unknown.kind, ERR_NONE);
	assert_int_equal(l.levels, 3);
	assert_int_equal(l.level[1].epoch, 3);
	assert_int_equal(l.level[2].epoch, 1);
	assert_int_equal(wal_lineage_bound(&l, 0, 9), UINT64_MAX);
	assert_int_equal(wal_lineage_bound(&l, 1, 1), UINT64_MAX);
	assert_int_equal(wal_lineage_bound(&l, 1, 2), 1000);
	assert_int_equal(wal_lineage_bound(&l, 1, 3), 0);
	assert_int_equal(wal_lineage_bound(&l, 2, 2), 700); /* the earlier fork of the two */
	wal_lineage_done(&l);
}

static void
a_lineage_that_a_tier_could_continue_is_not_known_to_its_end(void **state)
{
	char name[LAYOUT_NAME];
	struct wal_lineage l;
	struct err e = { 0 };
	uint8_t *bytes;
	size_t len;

	(void)state;
	assert_int_equal(put_from(5, 3, 2, 1000, &e), 1);
	memstore_away(k.tier[1].store, true);
	assert_int_equal(wal_lineage_load(k.repo, tiers, 2, &at5, &l, &e), 0);
	assert_int_equal(l.levels, 2);
	assert_int_equal(l.unknown.kind, ERR_REMOTE);
	wal_lineage_done(&l);
	memstore_away(k.tier[1].store, false);
	layout_wal_from(&at5, name);
	bytes = memstore_bytes(k.tier[0].store, name, &len);
	bytes[len / 2] ^= 1;
	repokit_refused(wal_lineage_load(k.repo, tiers, 2, &at5, &l, &e), &e, ERR_CORRUPT, "from");
}

/* A `from` that is signed by us and yet cannot be. */
static void
a_from_that_cannot_be_is_refused(void **state)
{
	static const char *const bad[] = {
		"parent 5\ntimeline 1\nfork 00000000000003e8\nreason x\n",
		"parent 6\ntimeline 1\nfork 00000000000003e8\nreason x\n",
		"parent 3\ntimeline 0\nfork 00000000000003e8\nreason x\n",
		"parent 3\ntimeline 1\nfork 3e8\nreason x\n",
		"parent 3\ntimeline 1\nfork 00000000000003e8\n",
		"parent 3\ntimeline 1\nfork 00000000000003e8\nreason x\nmore\n",
		"",
	};
	struct wal_from f;
	struct buf text;

	(void)state;
	buf_init(&text, 1000);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		buf_reset(&text);
		buf_adds(&text, bad[i]);
		if (wal_lineage_from_parse(&text, 5, &f, NULL) != -1)
			fail_msg("taken for a from: %s", bad[i]);
	}
	buf_done(&text);
}

/* ---- gaps ---- */

static const struct wal_gap *
gap_in(uint32_t tli, uint64_t from, uint64_t to)
{
	static struct wal_gap found;
	const struct wal_gap *g;
	struct wal_gaps gaps;
	struct err e = { 0 };

	if (wal_gap_load(k.repo, tiers, 2, "pg.a", &gaps, &e) == -1)
		fail_msg("%s", e.text);
	g = wal_gap_in(&gaps, 77, tli, from, to);
	if (g != NULL)
		found = *g;
	wal_gap_done(&gaps);
	return g == NULL ? NULL : &found;
}

static void
a_gap_is_remembered_on_every_tier_and_found_by_its_range(void **state)
{
	struct wal_gap gap = {
		.place = at5, .tli = 2, .from = 1000, .to = 2000, .time_ns = AT,
		.host = "db one", .why = "slot lost",
	};
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	struct wal_gaps gaps;

	(void)state;
	assert_null(gap_in(2, 0, UINT64_MAX));
	assert_int_equal(wal_gap_put(k.repo, tiers, 2, &gap, name, &e), 2);
	assert_non_null(gap_in(2, 1999, 5000));
	assert_string_equal(gap_in(2, 0, 1001)->why, "slot lost");
	assert_string_equal(gap_in(2, 0, 1001)->host, "db one");
	assert_int_equal(gap_in(2, 0, 1001)->place.epoch, 5);
	assert_null(gap_in(2, 2000, 5000));
	assert_null(gap_in(2, 0, 1000));
	assert_null(gap_in(1, 1000, 2000));
	memstore_drop(k.tier[0].store, name);
	assert_non_null(gap_in(2, 1999, 5000));
	memstore_away(k.tier[0].store, true);
	assert_int_equal(wal_gap_put(k.repo, tiers, 2, &gap, name, &e), 1);
	assert_int_equal(wal_gap_load(k.repo, tiers, 2, "pg.a", &gaps, &e), -1);
	wal_gap_done(&gaps);
	memstore_away(k.tier[1].store, true);
	assert_int_equal(wal_gap_put(k.repo, tiers, 2, &gap, name, &e), -1);
}

static void
a_gap_that_cannot_be_read_is_an_error_and_not_no_gap(void **state)
{
	struct wal_gap gap = { .place = at5, .tli = 2, .from = 1, .to = 2, .time_ns = AT };
	char name[LAYOUT_NAME];
	struct wal_gaps gaps;
	struct err e = { 0 };
	uint8_t *bytes;
	size_t len;

	(void)state;
	assert_int_equal(wal_gap_put(k.repo, tiers, 1, &gap, name, &e), 1);
	bytes = memstore_bytes(k.tier[0].store, name, &len);
	bytes[len / 2] ^= 1;
	repokit_refused(wal_gap_load(k.repo, tiers, 2, "pg.a", &gaps, &e), &e, ERR_CORRUPT, name);
	wal_gap_done(&gaps);
}

/* ---- beats ---- */

static void
the_newest_sample_replaces_the_one_before(void **state)
{
	struct wal_beat b = { .place = at5, .tli = 2, .host = "db one" }, got = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(wal_beat_get(k.repo, k.tier[0].store, "pg.a", &got, &e), 0);
	assert_int_equal(wal_beat_get(k.repo, k.tier[0].store, "pg.a", &got, NULL), 0);
	for (uint64_t i = 1; i <= 3; i++) {
		b.sample = (struct wal_sample){ .time_ns = AT + (int64_t)i * 1000, .flush_lsn = i << 40,
			.last_commit_ns = AT, .commits = UINT64_MAX - i };
		assert_int_equal(wal_beat_put(k.repo, k.tier[0].store, &b, &e), 0);
		assert_int_equal(wal_beat_get(k.repo, k.tier[0].store, "pg.a", &got, &e), 1);
		assert_int_equal(got.sample.time_ns, b.sample.time_ns);
		assert_int_equal(got.sample.flush_lsn, i << 40);
		assert_int_equal(got.sample.last_commit_ns, AT);
		assert_int_equal(got.sample.commits, UINT64_MAX - i);
	}
	assert_int_equal(got.place.sysid, 77);
	assert_int_equal(got.place.epoch, 5);
	assert_int_equal(got.tli, 2);
	assert_string_equal(got.place.source, "pg.a");
	assert_string_equal(got.host, "db one");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_epoch_says_once_where_it_comes_from),
		TEST(a_history_is_stored_byte_for_byte_and_not_replaced),
		TEST(absent_is_said_only_when_every_tier_said_it),
		TEST(a_lineage_is_followed_to_its_first_epoch_with_what_counts_of_each),
		TEST(a_lineage_that_a_tier_could_continue_is_not_known_to_its_end),
		TEST(a_from_that_cannot_be_is_refused),
		TEST(a_gap_is_remembered_on_every_tier_and_found_by_its_range),
		TEST(a_gap_that_cannot_be_read_is_an_error_and_not_no_gap),
		TEST(the_newest_sample_replaces_the_one_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
