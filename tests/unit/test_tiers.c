/*
 * From a [tier] section to a store: its secrets, what is locked and how long, and what is remembered of
 * what the store can do.
 */
#include "tests/lib/vector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/ability.h"
#include "job/tiers.h"
#include "tests/lib/confkit.h"
#include "tests/lib/scratch.h"

#define DAY (24 * CONFKIT_HOUR)

static struct tier_set set;

static void
make(const char *conf)
{
	char *whole = xasprintf("[ffdr]\nstate = %s\n%s", scratch_dir(), conf);

	assert_int_equal(confkit_parse(whole), 0);
	tiers_make(confkit.c, &set);
	free(whole);
}

static int
end(void **state)
{
	tiers_free(&set);
	return confkit_end(state);
}

static int64_t
locked(const char *name)
{
	const struct store_rule *r = store_rule_of(&set.tier[0].options, name);

	return r == NULL ? 0 : r->lock_ms;
}

static bool
cold(const char *name)
{
	const struct store_rule *r = store_rule_of(&set.tier[0].options, name);

	return r != NULL && r->cold;
}

static void
what_is_locked_stays_as_long_as_it_may_be_wanted(void **state)
{
	(void)state;
	make("[repository]\nhorizon = 30d\n[tier a]\nurl = s3://bkt\nlock = compliance\nkeep = 10d\n"
	     "takes = daily\n[volume v]\npath = /v\nkeep = 90d\n[volume w]\npath = /w\n"
	     "[volume x]\npath = /x\nkeep = 1d\n");
	assert_int_equal(set.tier[0].options.lock, STORE_LOCK_COMPLIANCE);
	/* A day between two snapshots, and a day for a late one. */
	assert_int_equal(locked("snap/vol.w/n"), 12 * DAY);
	assert_int_equal(locked("snap/vol.x/n"), 12 * DAY);
	assert_int_equal(locked("snap/vol.v/n"), 92 * DAY);
	assert_int_equal(locked("wal/vol.v/n"), 92 * DAY);
	/* Of any of them, and a pack may be named again until its horizon. */
	assert_int_equal(locked("pack/00/n"), (30 + 92) * DAY);
	assert_true(locked("key/1.a") >= (30 + 92) * DAY);
	assert_true(locked("repo/1") >= (30 + 92) * DAY);
}

/* Whatever the tier takes, no more base backups come than are made. */
static void
what_a_database_needs_is_locked_over_a_week_between_base_backups(void **state)
{
	(void)state;
	make("[repository]\nhorizon = 30d\n[tier a]\nurl = s3://bkt\nlock = compliance\nkeep = 10d\n"
	     "takes = daily\n[volume w]\npath = /w\n[postgres p]\nconninfo = host=/x\ntiers = a\n");
	assert_int_equal(locked("snap/vol.w/n"), 12 * DAY);
	assert_int_equal(locked("snap/pg.p/n"), 18 * DAY);
	assert_int_equal(locked("wal/pg.p/n"), 18 * DAY);
	assert_int_equal(locked("walb/pg.p/n"), 18 * DAY);
	assert_int_equal(locked("pack/00/n"), (30 + 18) * DAY);
}

static void
what_must_go_is_never_locked_and_what_is_needed_first_never_cold(void **state)
{
	static const char *const warm[] = { "snap/vol.v/n", "key/1.a", "repo/1", "wal/pg.a/n", "rec/a" };
	static const char *const free_to_go[] = { "pend/a", "gc/a", "bad/pack/00/n", "beat/pg.a",
		"check/x" };

	(void)state;
	make("[tier a]\nurl = s3://bkt\nlock = governance\nclass = GLACIER\n");
	assert_string_equal(set.tier[0].options.class, "GLACIER");
	assert_true(cold("pack/00/n"));
	for (size_t i = 0; i < ARRAY_LEN(warm); i++)
		assert_false(cold(warm[i]));
	for (size_t i = 0; i < ARRAY_LEN(free_to_go); i++)
		assert_int_equal(locked(free_to_go[i]), 0);
}

static void
a_tier_has_its_keys_without_the_line_end_and_is_away_without_them(void **state)
{
	(void)state;
	setenv("TIERS_KEY", "abc\n", 1);
	setenv("TIERS_SECRET", "d/e+f", 1);
	unsetenv("TIERS_NONE");
	make("[tier a]\nurl = s3://bkt\naccess-key = env:TIERS_KEY\nsecret-key = env:TIERS_SECRET\n"
	     "[tier b]\nurl = s3://bkt2\naccess-key = env:TIERS_KEY\nsecret-key = env:TIERS_NONE\n");
	assert_string_equal(set.tier[0].options.access_key, "abc");
	assert_string_equal(set.tier[0].options.secret_key, "d/e+f");
	assert_false(set.tier[0].barred);
	assert_true(set.tier[1].barred);
	assert_non_null(strstr(set.tier[1].why.text, "secret-key = env:TIERS_NONE"));
}

static void
assert_order(const char *want)
{
	char got[8] = "";

	for (size_t i = 0; i < set.count; i++)
		strcat(got, tier_near(&set, i)->name);
	assert_string_equal(got, want);
}

static void
what_is_near_is_what_the_source_names_first_and_an_archive_last(void **state)
{
	(void)state;
	make("[tier a]\nurl = s3://bkt\nclass = GLACIER\n[tier b]\nurl = file:///b\n"
	     "[tier c]\nurl = file:///c\n[tier d]\nurl = file:///d\n"
	     "[volume v]\npath = /v\ntiers = c, a, b\n"
	     "[volume w]\npath = /w\ntiers = d, b\n");
	tiers_near(confkit.c, "vol.v", NULL, &set);
	assert_order("cbda");
	tiers_near(confkit.c, "vol.w", NULL, &set);
	assert_order("dbca");
	tiers_near(confkit.c, NULL, NULL, &set);
	assert_order("cbda");
	tiers_near(confkit.c, "vol.of-another-host", NULL, &set);
	assert_order("cbda");
	/* Unless a person wants it from there. */
	tiers_near(confkit.c, "vol.w", &set.tier[0], &set);
	assert_order("adbc");
	assert_false(set.tier[0].last);
	tiers_near(confkit.c, "vol.w", NULL, &set);
	assert_order("dbca");
}

static void
all_but_the_one_that_is_meant_stay_closed(void **state)
{
	(void)state;
	make("[tier a]\nurl = file:///a\n[tier b]\nurl = file:///b\n");
	tiers_only(NULL, &set);
	assert_false(set.tier[0].barred || set.tier[1].barred);
	tiers_only("b", &set);
	assert_true(set.tier[0].barred);
	assert_int_equal(set.tier[0].why.kind, ERR_REMOTE);
	assert_false(set.tier[1].barred);
}

/* ---- abilities ---- */

static struct store_abilities found;

static int
found_probe(struct store *s, const char *place, struct store_abilities *ret, struct err *e)
{
	(void)s;
	(void)e;
	assert_true(strncmp(place, "check/", 6) == 0);
	*ret = found;
	return 0;
}

static const struct store_ops found_ops = { .scheme = "s3", .name = "found", .probe = found_probe };

static void
what_a_store_cannot_is_remembered_for_that_place_alone(void **state)
{
	struct store store = { .ops = &found_ops };
	struct store_options o = { 0 };
	struct store_abilities a;
	struct conf_tier other;
	struct err e = { 0 };
	bool kept;

	(void)state;
	make("[tier a]\nurl = s3://bkt/remembered\n");
	assert_false(set.tier[0].options.overwrites || set.tier[0].options.compares);
	set.tier[0].store = &store;
	found = (struct store_abilities){ .exclusive.can = STORE_CANNOT, .checks.can = STORE_CAN };
	assert_int_equal(ability_try(confkit.c, &set.tier[0], &a, &kept, &e), 0);
	assert_true(kept);
	assert_true(store.options.overwrites && store.options.compares);
	ability_recall(confkit.c, &confkit.c->tier[0], &o);
	assert_true(o.overwrites && o.compares);
	o = (struct store_options){ 0 };
	other = confkit.c->tier[0];
	other.endpoint = "http://other";
	ability_recall(confkit.c, &other, &o);
	assert_false(o.overwrites || o.compares);
	found = (struct store_abilities){ .exclusive.can = STORE_CAN, .checks.can = STORE_CANNOT };
	assert_int_equal(ability_try(confkit.c, &set.tier[0], &a, &kept, &e), 0);
	assert_false(store.options.overwrites || store.options.compares);
	ability_recall(confkit.c, &confkit.c->tier[0], &o);
	assert_false(o.overwrites || o.compares);
	set.tier[0].store = NULL;
}

static void
a_tier_is_refused_for_what_it_asks_for_and_its_store_cannot(void **state)
{
	struct store_abilities a = { .locks = { STORE_CANNOT, "status 400 Busy" } };
	struct err e = { 0 };

	(void)state;
	make("[tier a]\nurl = s3://bkt\n");
	assert_int_equal(ability_refuse(&set.tier[0], &a, &e), 0);
	set.tier[0].options.lock = STORE_LOCK_GOVERNANCE;
	assert_int_equal(ability_refuse(&set.tier[0], &a, &e), -1);
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
	assert_non_null(strstr(e.text, "status 400 Busy"));
	a.locks.can = STORE_CAN;
	assert_int_equal(ability_refuse(&set.tier[0], &a, &e), 0);
	set.tier[0].options.class = "COLD";
	assert_int_equal(ability_refuse(&set.tier[0], &a, &e), -1);
	assert_non_null(strstr(e.text, "class = COLD"));
}

#define T(f) cmocka_unit_test_teardown(f, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_locked_stays_as_long_as_it_may_be_wanted),
		T(what_a_database_needs_is_locked_over_a_week_between_base_backups),
		T(what_must_go_is_never_locked_and_what_is_needed_first_never_cold),
		T(a_tier_has_its_keys_without_the_line_end_and_is_away_without_them),
		T(what_is_near_is_what_the_source_names_first_and_an_archive_last),
		T(all_but_the_one_that_is_meant_stay_closed),
		T(what_a_store_cannot_is_remembered_for_that_place_alone),
		T(a_tier_is_refused_for_what_it_asks_for_and_its_store_cannot),
	};

	return cmocka_run_group_tests_name("tiers", tests, NULL, NULL);
}
