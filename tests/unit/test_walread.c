#include "repo/walread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/spool.h"
#include "tests/lib/chance.h"
#include "tests/lib/faultstore.h"
#include "tests/lib/memstore.h"
#include "tests/lib/piecekit.h"
#include "tests/lib/repokit.h"
#include "tests/lib/scratch.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

#define AT (INT64_C(1795226400) * 1000000000)
#define SEGMENT (UINT32_C(1) << 20) /* the smallest there is */
#define SEGMENTS 3
#define START (UINT64_C(0x500000000))
#define BYTES ((uint64_t)SEGMENTS * SEGMENT)

static struct repokit k;
static struct tier *tiers[REPOKIT_TIERS];
static struct spool_dir spool;
static uint8_t wal[BYTES];
static const struct wal_place epoch2 = { .source = "pg.a", .sysid = 77, .epoch = 2 };

static int
setup(void **state)
{
	(void)state;
	repokit_init(&k, 3);
	for (size_t i = 0; i < REPOKIT_TIERS; i++)
		tiers[i] = &k.tier[i];
	vclock_install(AT);
	vector_noise(wal, sizeof(wal), 5);
	spool = (struct spool_dir){ .path = scratch_path(scratch_dir(), "spool%llx",
	    (unsigned long long)chance_u64()), .keys = k.repo->keys };
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	vclock_remove();
	free((char *)(uintptr_t)spool.path);
	repokit_done(&k);
	return 0;
}

static struct piecekit
kit(uint32_t epoch, uint32_t tli, const uint8_t *bytes)
{
	struct piecekit p = { .keys = k.repo->keys, .place = epoch2, .tli = tli,
		.segment_size = SEGMENT, .start = START, .wal = bytes };

	p.place.epoch = epoch;
	return p;
}

/* Bytes [from, to) of `bytes`, which begin at START, as a piece on a tier. */
static void
put_bytes(size_t tier, uint32_t epoch, uint32_t tli, uint64_t from, uint64_t to,
    const uint8_t *bytes)
{
	const struct piecekit p = kit(epoch, tli, bytes);

	piecekit_put(&p, k.tier[tier].store, from, to);
}

static void
put(size_t tier, uint64_t from, uint64_t to)
{
	put_bytes(tier, 2, 1, from, to, wal);
}

static struct walread *
reader(size_t count, const struct wal_place *place, bool with_spool)
{
	struct walread_options o = {
		.repo = k.repo, .tier = tiers, .tiers = count, .place = *place,
		.spool = with_spool ? &spool : NULL,
	};
	struct err e = { 0 };
	struct walread *r;

	if (walread_new(&o, &r, &e) == -1)
		fail_msg("%s", e.text);
	return r;
}

/* One segment; what comes out must be what is in `bytes`, as far as is said. */
static int
read_checked(struct walread *r, uint32_t tli, unsigned segment, const uint8_t *bytes,
    uint64_t *until, struct err *e)
{
	uint64_t start = START + (uint64_t)segment * SEGMENT;
	struct buf out;
	int rc;

	err_clear(e);
	buf_init(&out, SEGMENT);
	rc = walread_segment(r, tli, start, SEGMENT, &out, until, e);
	assert_int_equal(out.len, *until - start);
	if (rc != -1 || out.len > 0)
		assert_memory_equal(out.data, bytes + (start - START), out.len);
	if (rc == 1)
		assert_int_equal(*until, start + SEGMENT);
	if (rc == 0)
		assert_true(*until < start + SEGMENT);
	buf_done(&out);
	return rc;
}

/* ---- histories by chance ---- */

struct world {
	bool on[REPOKIT_TIERS + 1][BYTES]; /* which byte lies where; last: the spool */
};

/* A host ships a stretch, cut where it liked, each piece to some of the tiers, as it is or bundled. */
static void
ship(struct world *w, uint64_t from, uint64_t to)
{
	struct piecekit bundle = kit(2, 1, wal);

	while (from < to) {
		uint64_t end = lsn_segment(from, SEGMENT) + SEGMENT;
		uint64_t most = chance_one_in(3) ? SEGMENT : SEGMENT / 4;
		uint64_t cut = from + 1 + chance_below(most);

		if (cut > end)
			cut = end;
		if (cut > to)
			cut = to;
		for (size_t t = 0; t < REPOKIT_TIERS; t++)
			if (!chance_one_in(3)) {
				if (t == 1 && chance_one_in(2))
					piecekit_add(&bundle, k.tier[t].store, from, cut);
				else
					put(t, from, cut);
				memset(w->on[t] + (from - START), true, cut - from);
			}
		from = cut;
	}
	piecekit_flush(&bundle, k.tier[1].store);
}

static void
fill_spool(struct world *w, uint64_t from, uint64_t to)
{
	struct spool_options o = { .dir = spool, .place = epoch2, .segment_size = SEGMENT };
	struct err e = { 0 };
	struct spool *s;

	assert_int_equal(spool_open(&o, &s, &e), 0);
	assert_int_equal(spool_start(s, 1, from, &e), 0);
	assert_int_equal(spool_append(s, from, wal + (from - START), to - from, &e), 0);
	assert_int_equal(spool_sync(s, &e), 0);
	spool_close(s);
	memset(w->on[REPOKIT_TIERS] + (from - START), true, to - from);
}

/* What must come of a segment: from what lies where, and who answers. */
static int
expected(const struct world *w, size_t asked, bool with_spool, bool away, unsigned segment,
    uint64_t *until, bool *hole)
{
	uint64_t at = (uint64_t)segment * SEGMENT, end = at + SEGMENT;
	bool more = false;

	for (*until = 0; at < end; at++) {
		bool there = false;

		for (size_t t = 0; t < asked; t++)
			there |= w->on[t][at] && !(away && t == 0);
		there |= with_spool && w->on[REPOKIT_TIERS][at];
		if (!there && *until == 0)
			*until = START + at;
		more |= there && *until != 0;
	}
	*hole = more;
	return *until == 0 ? 1 : away || more ? -1 : 0;
}

static void
compare_all(const struct world *w)
{
	for (size_t asked = 1; asked <= REPOKIT_TIERS; asked++) {
		bool with_spool = chance_one_in(2), away = chance_one_in(3), hole;
		struct walread *r = reader(asked, &epoch2, with_spool);
		uint64_t until, want;
		struct err e = { 0 };

		memstore_away(k.tier[0].store, away);
		for (unsigned i = 0; i < SEGMENTS; i++) {
			int rc = read_checked(r, 1, i, wal, &until, &e);
			int must = expected(w, asked, with_spool, away, i, &want, &hole);

			if (rc != must)
				fail_msg("segment %u of %zu tiers: %d for %d: %s", i, asked, rc,
				    must, e.text);
			if (rc == 0 || (rc == -1 && want != 0))
				assert_int_equal(until, want);
			if (rc == -1)
				assert_int_equal(e.kind, away ? ERR_REMOTE : ERR_CORRUPT);
		}
		memstore_away(k.tier[0].store, false);
		err_clear(&k.tier[0].why);
		walread_free(r);
	}
}

static void
compare_ranges(const struct world *w)
{
	struct walread *r = reader(REPOKIT_TIERS, &epoch2, true);

	for (size_t t = 0; t <= REPOKIT_TIERS; t++) {
		struct lsn_set set = { 0 };
		struct err e = { 0 };
		uint64_t frontier, at = chance_below(BYTES), end = at;

		if (t == REPOKIT_TIERS)
			assert_int_equal(walread_spool_ranges(r, 1, &set, &e), 0);
		else
			assert_int_equal(walread_ranges(r, tiers[t], 1, &set, &e), 0);
		for (uint64_t i = 0; i < BYTES; i += 1 + chance_below(500))
			assert_int_equal(lsn_set_has(&set, START + i, START + i + 1), w->on[t][i]);
		while (end < BYTES && w->on[t][end])
			end++;
		if (t < REPOKIT_TIERS) {
			assert_int_equal(walread_frontier(r, tiers[t], 1, START + at, &frontier, &e), 0);
			assert_int_equal(frontier, START + end);
		}
		lsn_set_done(&set);
	}
	walread_free(r);
}

static void
whatever_was_cut_and_shipped_where_what_is_read_is_the_log_and_absent_is_absent(void **state)
{
	static struct world w;

	for (uint64_t seed = 1; seed <= 25; seed++) {
		chance_seed(seed);
		memset(&w, 0, sizeof(w));
		if (seed > 1)
			setup(state);
		for (uint64_t i = 0; i <= chance_below(3); i++) {
			uint64_t from = chance_one_in(2) ? 0 : chance_below(BYTES - 1);

			ship(&w, START + from, chance_one_in(2) ? START + BYTES :
			    START + from + 1 + chance_below(BYTES - from - 1));
		}
		if (chance_one_in(2)) {
			uint64_t from = chance_below(BYTES - 1);

			fill_spool(&w, START + from, START + from + 1 + chance_below(BYTES - from - 1));
		}
		compare_all(&w);
		compare_ranges(&w);
		if (seed < 25)
			teardown(state);
	}
}

/* ---- one thing at a time ---- */

static void
pieces_that_overlap_and_differ_are_refused_by_both_names(void **state)
{
	uint8_t *other = xmemdup(wal, sizeof(wal));
	struct walread *r;
	struct err e = { 0 };
	uint64_t until;

	(void)state;
	other[5000] ^= 1;
	put(0, START, START + 6000);
	put_bytes(0, 2, 1, START + 4000, START + 8000, other);
	r = reader(3, &epoch2, false);
	repokit_refused(read_checked(r, 1, 0, wal, &until, &e), &e, ERR_CORRUPT,
	    "0000000500000000-0000000500001770");
	repokit_refused(-1, &e, ERR_CORRUPT, "0000000500000fa0-0000000500001f40");
	walread_free(r);
	free(other);
}

static void
a_damaged_piece_is_read_from_another_tier_and_is_never_taken_for_absent(void **state)
{
	struct walread *r = reader(2, &epoch2, false);
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	uint64_t until;
	uint8_t *bytes;
	size_t len;

	(void)state;
	put(0, START, START + SEGMENT);
	put(1, START, START + SEGMENT);
	layout_wal_piece(&epoch2, 1, START, START + SEGMENT, name);
	bytes = memstore_bytes(k.tier[0].store, name, &len);
	bytes[len / 2] ^= 1;
	assert_int_equal(read_checked(r, 1, 0, wal, &until, &e), 1);
	memstore_drop(k.tier[1].store, name);
	repokit_refused(read_checked(r, 1, 0, wal, &until, &e), &e, ERR_CORRUPT, "one");
	assert_int_equal(until, START);
	walread_free(r);
}

static void
a_listing_that_breaks_off_proves_nothing(void **state)
{
	struct store *inner = k.tier[0].store;
	struct walread *r;
	struct err e = { 0 };
	struct fault f = { .kind = FAULT_MIDDLE, .op = "list", .at = 1, .times = 1000 };
	uint64_t until;

	(void)state;
	put(0, START, START + 1000);
	put(0, START + 1000, START + 2000);
	k.tier[0].store = faultstore_new(inner);
	r = reader(1, &epoch2, false);
	assert_int_equal(read_checked(r, 1, 0, wal, &until, &e), 0);
	assert_int_equal(until, START + 2000);
	faultstore_arm(k.tier[0].store, &f);
	repokit_refused(read_checked(r, 1, 0, wal, &until, &e), &e, ERR_REMOTE, "not known");
	walread_free(r);
}

static void
an_epoch_reads_its_parent_up_to_the_fork_and_not_what_a_late_writer_added(void **state)
{
	struct wal_from from = {
		.parent = 2, .tli = 1, .fork = START + SEGMENT + 500, .reason = "failover",
	};
	struct wal_place epoch7 = epoch2;
	uint8_t *ours = xmemdup(wal, sizeof(wal));
	struct lsn_set set = { 0 };
	struct walread *r;
	struct err e = { 0 };
	uint64_t until;

	(void)state;
	epoch7.epoch = 7;
	/* The old primary wrote on after the fork; the new one has the same bytes up to it. */
	for (size_t i = SEGMENT + 500; i < BYTES; i++)
		ours[i] ^= 0xff;
	put(0, START, START + SEGMENT);
	put(0, START + SEGMENT, START + SEGMENT + 100);
	put(0, START + SEGMENT + 100, START + 2 * SEGMENT);
	put_bytes(0, 2, 2, START, START + SEGMENT, ours); /* a timeline 2 of its own */
	put_bytes(0, 7, 2, START + SEGMENT, START + 2 * SEGMENT, ours);
	assert_int_equal(wal_lineage_put_from(k.repo, k.tier[0].store, &epoch7, &from, &e), 1);

	r = reader(1, &epoch2, false);
	assert_int_equal(read_checked(r, 1, 1, wal, &until, &e), 1);
	walread_free(r);
	r = reader(1, &epoch7, false);
	assert_int_equal(read_checked(r, 1, 0, wal, &until, &e), 1);
	assert_int_equal(read_checked(r, 1, 1, wal, &until, &e), 0);
	assert_int_equal(until, START + SEGMENT + 500);
	assert_int_equal(read_checked(r, 2, 1, ours, &until, &e), 1);
	assert_int_equal(read_checked(r, 2, 0, ours, &until, &e), 0);
	assert_int_equal(until, START);
	assert_int_equal(walread_ranges(r, tiers[0], 1, &set, &e), 0);
	assert_int_equal(set.count, 1);
	assert_int_equal(set.range[0].to, START + SEGMENT + 500);
	lsn_set_done(&set);
	walread_free(r);
	free(ours);
}

static void
without_knowing_the_parent_nothing_is_proved_absent(void **state)
{
	struct wal_from from = { .parent = 2, .tli = 1, .fork = START + 500, .reason = "failover" };
	struct wal_place epoch7 = epoch2;
	struct walread *r;
	struct err e = { 0 };
	struct buf out;
	uint64_t until;

	(void)state;
	epoch7.epoch = 7;
	assert_int_equal(wal_lineage_put_from(k.repo, k.tier[1].store, &epoch7, &from, &e), 1);
	put_bytes(0, 7, 2, START, START + SEGMENT, wal);
	memstore_away(k.tier[1].store, true);
	r = reader(2, &epoch7, false);
	assert_int_equal(read_checked(r, 2, 0, wal, &until, &e), 1); /* what is there is there */
	assert_int_equal(read_checked(r, 2, 1, wal, &until, &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	buf_init(&out, 100);
	assert_int_equal(walread_history(r, 2, &out, &e), -1);
	memstore_away(k.tier[1].store, false);
	/* The tier is back, but this reader never learned whether there is a parent. */
	assert_int_equal(read_checked(r, 2, 1, wal, &until, &e), -1);
	walread_free(r);
	err_clear(&k.tier[1].why);
	r = reader(2, &epoch7, false);
	assert_int_equal(read_checked(r, 2, 1, wal, &until, &e), 0);
	assert_int_equal(walread_history(r, 2, &out, &e), 0);
	buf_done(&out);
	walread_free(r);
}

static void
histories_are_found_along_the_lineage(void **state)
{
	struct wal_from from = { .parent = 2, .tli = 2, .fork = START, .reason = "failover" };
	struct wal_place epoch7 = epoch2;
	struct walread *r;
	struct err e = { 0 };
	struct buf out;

	(void)state;
	epoch7.epoch = 7;
	assert_int_equal(wal_lineage_put_from(k.repo, k.tier[0].store, &epoch7, &from, &e), 1);
	wal_lineage_put_history(k.repo, k.tier[1].store, &epoch2, 2, "two", 3, &e);
	wal_lineage_put_history(k.repo, k.tier[1].store, &epoch2, 3, "not ours", 8, &e);
	wal_lineage_put_history(k.repo, k.tier[0].store, &epoch7, 4, "four", 4, &e);
	r = reader(2, &epoch7, false);
	buf_init(&out, 100);
	assert_int_equal(walread_history(r, 2, &out, &e), 1);
	assert_string_equal(buf_str(&out), "two");
	assert_int_equal(walread_history(r, 3, &out, &e), 0);
	buf_reset(&out);
	assert_int_equal(walread_history(r, 4, &out, &e), 1);
	assert_string_equal(buf_str(&out), "four");
	buf_done(&out);
	walread_free(r);
}

static void
timelines_and_places_are_found_by_looking_at_one_name_of_each(void **state)
{
	struct wal_from from = { .parent = 2, .tli = 2, .fork = START + 9, .reason = "failover" };
	struct wal_place epoch7 = epoch2, other = { .source = "pg.a", .sysid = 5, .epoch = 1 };
	static const uint32_t known[] = { 1, 2, 4, 5 };
	struct walread_timelines lines;
	struct walread_places places;
	struct walread *r;
	struct err e = { 0 };

	(void)state;
	epoch7.epoch = 7;
	for (uint64_t i = 0; i < 20; i++) {
		put(0, START + i * 100, START + i * 100 + 100);
		put_bytes(0, 2, 2, START + i * 100, START + i * 100 + 100, wal);
		put_bytes(0, 2, 3, START + i * 100, START + i * 100 + 100, wal);
		put_bytes(0, 7, 5, START + i * 100, START + i * 100 + 100, wal);
	}
	wal_lineage_put_from(k.repo, k.tier[0].store, &epoch7, &from, &e);
	wal_lineage_put_history(k.repo, k.tier[0].store, &epoch7, 4, "four", 4, &e);
	wal_lineage_put_history(k.repo, k.tier[0].store, &epoch7, 5, "five", 4, &e);
	wal_lineage_put_history(k.repo, k.tier[0].store, &other, 5, "five", 4, &e);
	r = reader(1, &epoch7, false);
	assert_int_equal(walread_timelines(r, tiers[0], &lines, &e), 0);
	assert_int_equal(lines.count, 4);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(lines.tli[i], known[i]);
	free(lines.tli);
	assert_int_equal(walread_places(tiers[0], "pg.a", &places, &e), 0);
	assert_int_equal(places.count, 3);
	assert_int_equal(places.place[0].sysid, 5);
	assert_int_equal(places.place[1].epoch, 2);
	assert_int_equal(places.place[2].epoch, 7);
	assert_string_equal(places.place[2].source, "pg.a");
	free(places.place);
	assert_int_equal(walread_places(tiers[0], "pg.b", &places, &e), 0);
	assert_int_equal(places.count, 0);
	free(places.place);
	walread_free(r);
}

static void
what_lies_behind_a_place_is_found_up_to_the_fork_and_only_when_all_answer(void **state)
{
	struct wal_from from = { .parent = 2, .tli = 1, .fork = START + SEGMENT + 500,
		.reason = "failover" };
	struct wal_place epoch7 = epoch2;
	struct walread *r;
	struct err e = { 0 };

	(void)state;
	epoch7.epoch = 7;
	put(1, START, START + 100);
	put(1, START + SEGMENT, START + SEGMENT + 1000);
	put(1, START + 2 * SEGMENT, START + 2 * SEGMENT + 100);
	wal_lineage_put_from(k.repo, k.tier[0].store, &epoch7, &from, &e);
	r = reader(2, &epoch2, false);
	assert_int_equal(walread_behind(r, 1, START + SEGMENT, &e), 1);
	assert_int_equal(walread_behind(r, 1, START + 2 * SEGMENT, &e), 1);
	assert_int_equal(walread_behind(r, 1, START + 3 * SEGMENT, &e), 0);
	assert_int_equal(walread_behind(r, 2, START, &e), 0);
	memstore_away(k.tier[0].store, true);
	assert_int_equal(walread_behind(r, 1, START + 3 * SEGMENT, &e), -1);
	memstore_away(k.tier[0].store, false);
	walread_free(r);
	err_clear(&k.tier[0].why);
	/* The same through a child: what its parent has behind the fork is somebody else's. */
	r = reader(2, &epoch7, false);
	assert_int_equal(walread_behind(r, 1, START + SEGMENT, &e), 1);
	assert_int_equal(walread_behind(r, 1, START + 2 * SEGMENT, &e), 0);
	walread_free(r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(whatever_was_cut_and_shipped_where_what_is_read_is_the_log_and_absent_is_absent),
		TEST(pieces_that_overlap_and_differ_are_refused_by_both_names),
		TEST(a_damaged_piece_is_read_from_another_tier_and_is_never_taken_for_absent),
		TEST(a_listing_that_breaks_off_proves_nothing),
		TEST(an_epoch_reads_its_parent_up_to_the_fork_and_not_what_a_late_writer_added),
		TEST(without_knowing_the_parent_nothing_is_proved_absent),
		TEST(histories_are_found_along_the_lineage),
		TEST(what_lies_behind_a_place_is_found_up_to_the_fork_and_only_when_all_answer),
		TEST(timelines_and_places_are_found_by_looking_at_one_name_of_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
