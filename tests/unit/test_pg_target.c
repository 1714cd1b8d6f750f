#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "source/pg/pg_target.h"

#define S INT64_C(1000000000)
#define HOUR (3600 * S)
#define T0 INT64_C(1795132800000000000) /* 2026-11-20T00:00:00Z */

/*
 * A source whose timeline 3 was forked twice: 1 left at 0x3000, 2 at 0x5000. Bases end at 2, 6 and
 * 12 o'clock; its WAL reaches to 0x9000, 13 o'clock; the last record begins at 0x8fd0.
 */
struct setting {
	struct pg_history history;
	struct pg_history_step step[2];
	struct pg_target_base base[4];
	struct pg_target_gap gap[3];
	struct commit {
		uint64_t lsn; /* 0x30 long */
		int64_t ns;
	} *commit, five[5];
	size_t commits;
	struct pg_target_hit hit; /* of an xid or a name */
	struct pg_target_world w;
};

static int
look(void *arg, const struct pg_target *t, struct pg_target_hit *ret, struct err *e)
{
	const struct setting *s = arg;

	(void)e;
	*ret = t->kind == PG_TARGET_TIME ? (struct pg_target_hit){ .found = false } : s->hit;
	for (size_t i = 0; t->kind == PG_TARGET_TIME && !ret->found && i < s->commits; i++)
		if (t->exclusive ? s->commit[i].ns >= t->time_ns : s->commit[i].ns > t->time_ns)
			*ret = (struct pg_target_hit){ true, s->commit[i].lsn,
				s->commit[i].lsn + 0x30 };
	return 0;
}

static void
add_commit(struct setting *s, uint64_t lsn, int64_t ns)
{
	s->five[s->commits++] = (struct commit){ lsn, ns };
}

static void
set_up(struct setting *s)
{
	*s = (struct setting){
		.step = { { 1, 0x3000 }, { 2, 0x5000 } },
		.base = {
			{ "pg.payments/c", 0x7000, 0x7100, 3, T0 + 12 * HOUR },
			{ "pg.payments/a", 0x1000, 0x1100, 1, T0 + 2 * HOUR },
			{ "pg.payments/b", 0x4000, 0x4100, 2, T0 + 6 * HOUR },
			/* taken on timeline 1 after it had been left */
			{ "pg.payments/stray", 0x3400, 0x3500, 1, T0 + 5 * HOUR },
		},
	};
	s->history = (struct pg_history){ 3, s->step, 2 };
	s->w = (struct pg_target_world){ .source = "pg.payments", .tiers = "local, regional",
		.history = &s->history, .frontier = 0x9000, .frontier_ns = T0 + 13 * HOUR,
		.last = 0x8fd0, .base = s->base, .bases = 4, .gap = s->gap, .look = look,
		.look_arg = s };
	s->commit = s->five;
}

static void
add_gap(struct setting *s, uint32_t timeline, uint64_t from, uint64_t to, int64_t from_ns)
{
	s->gap[s->w.gaps++] = (struct pg_target_gap){ timeline, from, to, from_ns, 0 };
}

static struct pg_target
at(int64_t ns)
{
	return (struct pg_target){ .kind = PG_TARGET_TIME, .time_ns = ns };
}

/* The base's letter, for what must be possible. */
static char
choose(struct setting *s, const struct pg_target *t, struct pg_target_plan *p)
{
	struct err e = { .kind = ERR_NONE };

	if (pg_target_choose(t, &s->w, p, &e) == -1)
		fail_msg("%s", e.text);
	assert_int_equal(p->timeline, 3);
	return s->base[p->base].id[strlen("pg.payments/")];
}

static void
refuses(struct setting *s, const struct pg_target *t, enum err_kind kind, const char *says)
{
	struct pg_target_plan p = { .base = 77 };
	struct err e = { .kind = ERR_NONE };

	assert_int_equal(pg_target_choose(t, &s->w, &p, &e), -1);
	assert_int_equal(p.base, 77);
	if (e.kind != kind || !strstr(e.text, says))
		fail_msg("%s: %s", err_word(e.kind), e.text);
}

static void
latest_is_the_start_of_the_last_record_inclusive(void **state)
{
	struct pg_target t = { .kind = PG_TARGET_LATEST, .exclusive = true };
	struct pg_target_plan p;
	struct setting s;

	(void)state;
	set_up(&s);
	assert_int_equal(choose(&s, &t, &p), 'c');
	assert_int_equal(p.bound, PG_TARGET_LSN);
	assert_int_equal(p.lsn, 0x8fd0);
	assert_false(p.exclusive); /* else the last commit would be lost */
	assert_int_equal(p.until, 0x9000);
	/* nothing happened since the base ended: its own end is the frontier */
	s.w.frontier = 0x7100;
	s.w.last = 0x70d0;
	assert_int_equal(choose(&s, &t, &p), 'c');
	assert_int_equal(p.lsn, 0x70d0);
	/* the newest base is not whole there yet */
	s.w.frontier = 0x70ff;
	assert_int_equal(choose(&s, &t, &p), 'b');
	s.w.last = 0;
	refuses(&s, &t, ERR_REFUSED, "no complete record");
}

static void
a_time_stays_a_time_while_something_later_is_known(void **state)
{
	struct pg_target t = at(T0 + 10 * HOUR);
	struct pg_target_plan p;
	struct setting s;

	(void)state;
	set_up(&s);
	add_commit(&s, 0x6000, T0 + 11 * HOUR);
	assert_int_equal(choose(&s, &t, &p), 'b');
	assert_int_equal(p.bound, PG_TARGET_TIME);
	assert_true(p.time_ns == t.time_ns && p.until == 0x6030);
	t.exclusive = true;
	choose(&s, &t, &p);
	assert_true(p.exclusive);
}

static void
a_time_after_the_last_commit_becomes_the_last_record(void **state)
{
	struct pg_target t = at(T0 + 13 * HOUR);
	struct pg_target_plan p;
	struct setting s;

	(void)state;
	set_up(&s);
	assert_int_equal(choose(&s, &t, &p), 'c');
	assert_int_equal(p.bound, PG_TARGET_LSN);
	assert_true(p.lsn == 0x8fd0 && !p.exclusive);
}

static void
a_time_beyond_the_frontiers_clock_is_refused(void **state)
{
	struct pg_target t = at(T0 + 13 * HOUR + 90 * S);
	struct setting s;

	(void)state;
	set_up(&s);
	refuses(&s, &t, ERR_REFUSED,
	    "restore refused: 2026-11-20T13:01:30Z lies beyond all there is of pg.payments\n"
	    "  checked   timeline 3 reaches to 0/9000, 2026-11-20T13:00:00Z, on local, regional\n"
	    "  possible  2026-11-20T02:00:00Z .. 2026-11-20T13:00:00Z\n"
	    "  fix       --at '2026-11-20T13:00:00Z' loses 1m 30s");
}

/* Where the newest stretch has no commit, what was heard of the server may be older than the log. */
static void
a_time_that_the_log_has_passed_is_not_beyond(void **state)
{
	struct pg_target t = at(T0 + 12 * HOUR + 90 * S);
	struct pg_target_plan p;
	struct setting s;

	(void)state;
	set_up(&s);
	s.w.frontier_ns = T0 + 12 * HOUR;
	add_commit(&s, 0x7800, T0 + 12 * HOUR + 80 * S);
	refuses(&s, &t, ERR_REFUSED, "lies beyond all there is");
	add_commit(&s, 0x7840, T0 + 12 * HOUR + 100 * S);
	assert_int_equal(choose(&s, &t, &p), 'c');
	assert_true(p.bound == PG_TARGET_TIME && p.time_ns == t.time_ns && p.until == 0x7870);
}

static void
a_time_before_the_first_bases_end_is_refused(void **state)
{
	struct pg_target t = at(T0 + 2 * HOUR - 1);
	struct setting s;

	(void)state;
	set_up(&s);
	add_commit(&s, 0x1200, T0 + 3 * HOUR);
	refuses(&s, &t, ERR_REFUSED, "lies before the end of every base backup that is there");
	refuses(&s, &t, ERR_REFUSED, "pg.payments/a ended at 2026-11-20T02:00:00Z, 0/1100, on timeline 1");
	refuses(&s, &t, ERR_REFUSED,
	    "possible  2026-11-20T02:00:00Z .. 2026-11-20T13:00:00Z\n"
	    "  fix       --at '2026-11-20T02:00:00Z' is the oldest there is");
}

/* The server would not fail: it would stop at the first later commit behind the base's end. */
static void
what_the_log_says_goes_before_the_clocks(void **state)
{
	struct pg_target t = at(T0 + 12 * HOUR + HOUR / 2);
	struct pg_target_plan p;
	struct setting s;

	(void)state;
	set_up(&s);
	/* a commit later than the time lies before the newest base's end: clocks went back */
	add_commit(&s, 0x70c0, T0 + 12 * HOUR + 45 * 60 * S);
	assert_int_equal(choose(&s, &t, &p), 'b');
}

static void
a_base_of_a_branch_that_was_left_is_not_used(void **state)
{
	struct pg_target t = { .kind = PG_TARGET_LSN, .lsn = 0x3f00 };
	struct pg_target_plan p;
	struct setting s;

	(void)state;
	set_up(&s);
	assert_int_equal(choose(&s, &t, &p), 'a'); /* not the stray one */
	t.base = "pg.payments/stray";
	refuses(&s, &t, ERR_REFUSED, "no base backup of pg.payments leads to timeline 3");
}

static void
an_lsn_is_taken_as_it_is_below_the_last_record(void **state)
{
	struct pg_target t = { .kind = PG_TARGET_LSN, .lsn = 0x4100, .exclusive = true };
	struct pg_target_plan p;
	struct setting s;

	(void)state;
	set_up(&s);
	assert_int_equal(choose(&s, &t, &p), 'b');
	assert_true(p.lsn == 0x4100 && p.exclusive && p.bound == PG_TARGET_LSN);
	t.lsn = 0x40ff; /* before the end of b */
	assert_int_equal(choose(&s, &t, &p), 'a');
	/* the end of the log, as pg_current_wal_lsn() gave it: no record will ever begin there */
	t.lsn = 0x9000;
	assert_int_equal(choose(&s, &t, &p), 'c');
	assert_true(p.lsn == 0x8fd0 && !p.exclusive);
	t.lsn = 0x9001;
	refuses(&s, &t, ERR_REFUSED, "0/9001 lies beyond");
	refuses(&s, &t, ERR_REFUSED, "possible  0/1100 .. 0/9000");
	t.lsn = 0x10ff;
	refuses(&s, &t, ERR_REFUSED, "0/10FF lies before the end of every base backup");
}

static void
a_transaction_or_a_point_becomes_the_lsn_of_its_record(void **state)
{
	struct pg_target xid = { .kind = PG_TARGET_XID, .xid = 731, .exclusive = true };
	struct pg_target name = { .kind = PG_TARGET_NAME, .name = "before the fall",
		.exclusive = true };
	struct pg_target_plan p;
	struct setting s;

	(void)state;
	set_up(&s);
	refuses(&s, &xid, ERR_REFUSED, "transaction 731 is not in the WAL of pg.payments");
	refuses(&s, &name, ERR_REFUSED, "restore point 'before the fall' is not");
	s.hit = (struct pg_target_hit){ true, 0x4200, 0x4230 };
	assert_int_equal(choose(&s, &xid, &p), 'b');
	assert_true(p.bound == PG_TARGET_LSN && p.lsn == 0x4200 && p.exclusive && p.until == 0x4230);
	assert_int_equal(choose(&s, &name, &p), 'b');
	assert_true(p.lsn == 0x4200 && !p.exclusive);
}

static void
the_end_of_a_base_is_a_target_of_its_own(void **state)
{
	struct pg_target t = { .kind = PG_TARGET_IMMEDIATE };
	struct pg_target_plan p;
	struct setting s;

	(void)state;
	set_up(&s);
	assert_int_equal(choose(&s, &t, &p), 'c');
	assert_true(p.bound == PG_TARGET_IMMEDIATE && p.until == 0x7100);
	t.base = "pg.payments/a";
	assert_int_equal(choose(&s, &t, &p), 'a');
	add_gap(&s, 1, 0x1080, 0x1090, 0);
	refuses(&s, &t, ERR_REFUSED, "a hole of the WAL");
	t.base = NULL;
	assert_int_equal(choose(&s, &t, &p), 'c');
	t.base = "pg.payments/x";
	refuses(&s, &t, ERR_NOTFOUND, "no base backup 'pg.payments/x' of pg.payments is there");
}

static void
across_a_hole_nothing_is_restored(void **state)
{
	struct pg_target t = at(T0 + 8 * HOUR);
	struct pg_target_plan p;
	struct setting s;

	(void)state;
	set_up(&s);
	add_gap(&s, 3, 0x5800, 0x6000, T0 + 7 * HOUR);
	add_commit(&s, 0x1200, T0 + 3 * HOUR);
	add_commit(&s, 0x57c0, T0 + 7 * HOUR);
	add_commit(&s, 0x6800, T0 + 9 * HOUR);
	refuses(&s, &t, ERR_REFUSED,
	    "restore refused: 2026-11-20T08:00:00Z lies in a hole of the WAL of pg.payments\n"
	    "  checked   timeline 3: 0/5800 .. 0/6000 is on none of local, regional\n"
	    "  possible  2026-11-20T02:00:00Z .. 2026-11-20T06:59:59Z, "
	    "2026-11-20T12:00:00Z .. 2026-11-20T13:00:00Z\n"
	    "  fix       --at '2026-11-20T06:59:59Z' loses 1h");
	s.gap[0].to_ns = T0 + 7 * HOUR + HOUR / 2;
	refuses(&s, &t, ERR_REFUSED, "8:00:00Z lies behind a hole");
	t = (struct pg_target){ .kind = PG_TARGET_LSN, .lsn = 0x5900 };
	refuses(&s, &t, ERR_REFUSED, "0/5900 lies in a hole");
	refuses(&s, &t, ERR_REFUSED, "possible  0/1100 .. 0/5800, 0/7100 .. 0/9000\n"
	    "  fix       --at '0/5800' loses what came after it");
	/* where the hole begins: all before it, and not a byte of the hole */
	t.lsn = 0x5800;
	assert_int_equal(choose(&s, &t, &p), 'b');
	assert_int_equal(p.until, 0x5800);
	t.lsn = 0x57ff;
	assert_int_equal(choose(&s, &t, &p), 'b');
	t.lsn = 0x7100;
	assert_int_equal(choose(&s, &t, &p), 'c');
	t.base = "pg.payments/a"; /* asked for by name, it does not jump it either */
	refuses(&s, &t, ERR_REFUSED, "behind a hole");
	refuses(&s, &t, ERR_REFUSED, "possible  0/1100 .. 0/5800\n"
	    "  fix       `restore pg.payments --at '0/7100'` takes pg.payments/c");
	/* it is typed as it stands: what was to be left out stays out */
	t.exclusive = true;
	t.timeline = 3;
	refuses(&s, &t, ERR_REFUSED,
	    "fix       `restore pg.payments --at '0/7100' --before --timeline 3` takes pg.payments/c");
	t = (struct pg_target){ .kind = PG_TARGET_LATEST, .base = "pg.payments/a" };
	refuses(&s, &t, ERR_REFUSED, "fix       `restore pg.payments --at 'latest'` takes pg.payments/c");
	/* nothing leads behind it: what lies before it is the newest that can be had */
	s.base[0].timeline = 9;
	t.base = NULL;
	refuses(&s, &t, ERR_REFUSED, "fix       --at '2026-11-20T06:59:59Z' loses what came after it");
}

static void
a_hole_in_a_branch_that_was_left_harms_nobody(void **state)
{
	struct pg_target t = { .kind = PG_TARGET_LSN, .lsn = 0x6000, .base = "pg.payments/a" };
	struct pg_target_plan p;
	struct setting s;

	(void)state;
	set_up(&s);
	add_gap(&s, 1, 0x3000, 0x9000, 0); /* behind the point where 1 was left */
	add_gap(&s, 7, 0, 0x9000, 0);
	assert_int_equal(choose(&s, &t, &p), 'a');
	add_gap(&s, 1, 0x2fff, 0x9000, 0);
	refuses(&s, &t, ERR_REFUSED, "timeline 1: 0/2FFF .. 0/3000");
}

static void
no_base_at_all_says_what_to_do(void **state)
{
	struct pg_target t = { .kind = PG_TARGET_LATEST };
	struct setting s;

	(void)state;
	set_up(&s);
	s.w.bases = 0;
	refuses(&s, &t, ERR_NOTFOUND, "fix       `ffdr backup pg.payments` makes one");
}

static void
many_stretches_are_counted_and_the_first_are_shown(void **state)
{
	struct pg_target t = at(T0 + 14 * HOUR);
	struct pg_target_gap gap[40];
	struct pg_target_base base[40];
	struct pg_target_range range[8];
	struct commit commit[40];
	struct setting s;

	(void)state;
	set_up(&s);
	for (uint32_t i = 0; i < 40; i++) {
		commit[i] = (struct commit){ 0x5040 + i * 0x100, T0 + i * HOUR / 10 + S };
		base[i] = (struct pg_target_base){ "b", 0x5000 + i * 0x100, 0x5010 + i * 0x100, 3,
			T0 + i * HOUR / 10 + 1 };
		gap[39 - i] = (struct pg_target_gap){ 3, 0x5080 + i * 0x100, 0x5090 + i * 0x100,
			T0 + i * HOUR / 10 + S, 0 };
	}
	s.w.base = base;
	s.w.bases = 40;
	s.w.gap = gap;
	s.w.gaps = 40;
	s.commit = commit;
	s.commits = 40;
	assert_int_equal(pg_target_ranges(&s.w, NULL, range, 8), 40);
	for (uint32_t i = 0; i < 8; i++)
		assert_true(range[i].from == base[i].stop && range[i].to == 0x5080 + i * 0x100);
	/* no whole second lies in them */
	refuses(&s, &t, ERR_REFUSED,
	    "possible  2026-11-20T00:00:00.000001Z .. 2026-11-20T00:00:00.999999Z, ");
	refuses(&s, &t, ERR_REFUSED, " and 36 later");
}

static void
setting_is(const struct pg_target_setting *s, const char *key, const char *value)
{
	assert_string_equal(s->key, key);
	assert_string_equal(s->value, value);
}

static void
recovery_gets_one_bound_a_timeline_and_an_action(void **state)
{
	struct pg_target_plan p = { .bound = PG_TARGET_LSN, .lsn = UINT64_C(0x57C0000F8),
		.timeline = 3 };
	struct pg_target_setting s[PG_TARGET_SETTINGS];

	(void)state;
	assert_int_equal(pg_target_settings(&p, "promote", s), 4);
	setting_is(&s[0], "recovery_target_lsn", "5/7C0000F8");
	setting_is(&s[1], "recovery_target_inclusive", "on");
	setting_is(&s[2], "recovery_target_timeline", "3");
	setting_is(&s[3], "recovery_target_action", "promote");
	p.bound = PG_TARGET_IMMEDIATE;
	assert_int_equal(pg_target_settings(&p, "shutdown", s), 3);
	setting_is(&s[0], "recovery_target", "immediate");
	setting_is(&s[2], "recovery_target_action", "shutdown");
}

static void
times_are_written_in_the_servers_microseconds(void **state)
{
	static const struct {
		int64_t ns;
		bool exclusive;
		const char *text;
	} row[] = {
		{ T0, false, "2026-11-20 00:00:00.000000+00" },
		{ T0 + 1999, false, "2026-11-20 00:00:00.000001+00" },
		{ T0 + 1999, true, "2026-11-20 00:00:00.000002+00" },
		{ T0 + 2000, true, "2026-11-20 00:00:00.000002+00" },
		{ T0 - 1, false, "2026-11-19 23:59:59.999999+00" },
		{ T0 - 1, true, "2026-11-20 00:00:00.000000+00" },
		{ -1, false, "1969-12-31 23:59:59.999999+00" },
	};
	struct pg_target_plan p = { .bound = PG_TARGET_TIME, .timeline = 1 };
	struct pg_target_setting s[PG_TARGET_SETTINGS];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		p.time_ns = row[i].ns;
		p.exclusive = row[i].exclusive;
		assert_int_equal(pg_target_settings(&p, "pause", s), 4);
		setting_is(&s[0], "recovery_target_time", row[i].text);
		setting_is(&s[1], "recovery_target_inclusive", row[i].exclusive ? "off" : "on");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(latest_is_the_start_of_the_last_record_inclusive),
		cmocka_unit_test(a_time_stays_a_time_while_something_later_is_known),
		cmocka_unit_test(a_time_after_the_last_commit_becomes_the_last_record),
		cmocka_unit_test(a_time_beyond_the_frontiers_clock_is_refused),
		cmocka_unit_test(a_time_that_the_log_has_passed_is_not_beyond),
		cmocka_unit_test(a_time_before_the_first_bases_end_is_refused),
		cmocka_unit_test(what_the_log_says_goes_before_the_clocks),
		cmocka_unit_test(a_base_of_a_branch_that_was_left_is_not_used),
		cmocka_unit_test(an_lsn_is_taken_as_it_is_below_the_last_record),
		cmocka_unit_test(a_transaction_or_a_point_becomes_the_lsn_of_its_record),
		cmocka_unit_test(the_end_of_a_base_is_a_target_of_its_own),
		cmocka_unit_test(across_a_hole_nothing_is_restored),
		cmocka_unit_test(a_hole_in_a_branch_that_was_left_harms_nobody),
		cmocka_unit_test(no_base_at_all_says_what_to_do),
		cmocka_unit_test(many_stretches_are_counted_and_the_first_are_shown),
		cmocka_unit_test(recovery_gets_one_bound_a_timeline_and_an_action),
		cmocka_unit_test(times_are_written_in_the_servers_microseconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
