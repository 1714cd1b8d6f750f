/* What a host has seen as the newest is held against the tier, and only that. */
#include "repo/newest.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tests/lib/memstore.h"
#include "tests/lib/scratch.h"
#include "tests/lib/vector.h"

#define FIRST "vol.a/20261121T020000Z-1a2b3c4d"
#define SECOND "vol.a/20261121T030000Z-00000000"
#define THIRD "vol.a/20261121T040000Z-ffffffff"
#define LAST "vol.a/20261121T060000Z-00000000"

static struct tier tier[2];
static struct tier_set tiers = { tier, 2 };
static char *dir;
static unsigned judged; /* how often something newer was opened */
static bool blind;	/* nothing can be opened */

/* What put() makes is a snapshot, and what junk() makes is none. */
static int
sound(void *arg, const struct tier *t, const char *name, struct err *e)
{
	size_t len;

	(void)arg;
	judged++;
	if (blind)
		return err_set(e, ERR_KEY, "there is no key here");
	memstore_bytes(t->store, name, &len);
	if (len == 1)
		return 1;
	err_set(e, ERR_CORRUPT, "does not begin with FFD1");
	return 0;
}

static const struct newest_judge judge = { sound, NULL };

static int
setup(void **state)
{
	static unsigned n;

	(void)state;
	tier[0] = (struct tier){ .name = "one", .store = memstore_new() };
	tier[1] = (struct tier){ .name = "two", .store = memstore_new() };
	dir = scratch_path(scratch_dir(), "%u/newest", n++);
	judged = 0;
	blind = false;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	store_close(tier[0].store);
	store_close(tier[1].store);
	free(dir);
	return 0;
}

static void
put(size_t t, const char *id)
{
	char name[LAYOUT_NAME];
	struct err e = { 0 };

	snprintf(name, sizeof(name), "snap/%s", id);
	assert_int_equal(store_put(tier[t].store, name, "x", 1, STORE_NEW, &e), 1);
}

/* Anybody who can write there can do that. */
static void
junk(const char *id)
{
	char name[LAYOUT_NAME];
	struct err e = { 0 };

	snprintf(name, sizeof(name), "snap/%s", id);
	assert_int_equal(store_put(tier[0].store, name, "junk", 4, STORE_NEW, &e), 1);
}

static void
drop(size_t t, const char *id)
{
	char name[LAYOUT_NAME];

	snprintf(name, sizeof(name), "snap/%s", id);
	memstore_drop(tier[t].store, name);
}

static void
remember(size_t t, const char *id, uint64_t number)
{
	struct err e = { 0 };

	if (newest_remember(dir, &tier[t], id, number, &judge, &e) == -1)
		fail_msg("%s", e.text);
}

/* Which snapshot is missing on the first tier; "" when none is. */
static const char *
missing(void)
{
	static struct newest_missing m;
	struct err e = { 0 };
	int rc = newest_check(dir, &tiers, &tier[0], "vol.a", &judge, &m, &e);

	if (rc == -1)
		fail_msg("%s", e.text);
	return rc == 1 ? "" : m.id;
}

static void
nothing_remembered_is_nothing_held_against_a_tier(void **state)
{
	(void)state;
	assert_string_equal(missing(), "");
	put(0, FIRST);
	assert_string_equal(missing(), "");
}

static void
the_newest_taken_away_is_missed_and_an_older_one_is_not(void **state)
{
	(void)state;
	put(0, FIRST);
	put(0, SECOND);
	remember(0, FIRST, 1);
	remember(0, SECOND, 2);
	assert_string_equal(missing(), "");
	drop(0, FIRST);
	assert_string_equal(missing(), "");
	drop(0, SECOND);
	assert_string_equal(missing(), SECOND);
}

static void
the_newest_that_was_outlived_may_expire(void **state)
{
	(void)state;
	put(0, FIRST);
	remember(0, FIRST, 1);
	/* By another host: this one has not seen it come. */
	put(0, SECOND);
	drop(0, FIRST);
	assert_string_equal(missing(), "");
	put(0, THIRD);
	remember(0, THIRD, 3);
	assert_string_equal(missing(), "");
}

static void
an_older_one_that_is_seen_later_changes_nothing(void **state)
{
	(void)state;
	put(0, FIRST);
	put(0, SECOND);
	remember(0, SECOND, 2);
	remember(0, FIRST, 1);
	drop(0, SECOND);
	assert_string_equal(missing(), SECOND);
}

static void
a_lower_number_with_a_later_name_is_no_loss(void **state)
{
	(void)state;
	put(0, FIRST);
	remember(0, FIRST, 9);
	put(0, SECOND);
	remember(0, SECOND, 4);
	drop(0, FIRST);
	assert_string_equal(missing(), "");
}

static void
the_next_backup_does_not_hide_what_is_missing(void **state)
{
	(void)state;
	put(0, FIRST);
	put(0, SECOND);
	remember(0, SECOND, 2);
	drop(0, SECOND);
	put(0, THIRD);
	remember(0, THIRD, 2);
	assert_string_equal(missing(), SECOND);
	/* Back again, it is as if nothing had been; and may then expire like any other. */
	put(0, SECOND);
	assert_string_equal(missing(), "");
	drop(0, SECOND);
	assert_string_equal(missing(), "");
}

static void
junk_with_a_newer_name_does_not_hide_what_is_missing(void **state)
{
	struct newest_missing m;
	struct err e = { 0 };

	(void)state;
	put(0, FIRST);
	put(0, SECOND);
	remember(0, SECOND, 2);
	junk(THIRD);
	assert_string_equal(missing(), "");
	drop(0, SECOND);
	assert_int_equal(newest_check(dir, &tiers, &tier[0], "vol.a", &judge, &m, &e), 0);
	assert_string_equal(m.id, SECOND);
	assert_non_null(strstr(m.why.text, "\n  newest    " FIRST "\n"));
	assert_non_null(strstr(m.why.text, "'snap/" THIRD "' does not count: does not begin with FFD1"));
	assert_non_null(strstr(m.why.text, "ffdr expire --discard " THIRD " --tier one "));
	/* Nor does a backup beside it. */
	put(0, LAST);
	remember(0, LAST, 3);
	assert_string_equal(missing(), SECOND);
}

static void
a_sound_one_below_junk_outlives(void **state)
{
	(void)state;
	put(0, FIRST);
	remember(0, FIRST, 1);
	put(0, SECOND);
	junk(THIRD);
	drop(0, FIRST);
	assert_string_equal(missing(), "");
	assert_int_equal(judged, 2);
}

static void
so_much_junk_that_none_of_it_is_opened_any_more_hides_nothing(void **state)
{
	char id[96];

	(void)state;
	put(0, FIRST);
	remember(0, FIRST, 1);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(id, sizeof(id), "vol.a/20271121T040000Z-%08x", i);
		junk(id);
	}
	drop(0, FIRST);
	assert_string_equal(missing(), FIRST);
	assert_in_range(judged, 1, 100);
}

static void
nothing_is_opened_while_what_is_remembered_is_there(void **state)
{
	(void)state;
	put(0, FIRST);
	remember(0, FIRST, 1);
	put(0, SECOND);
	junk(THIRD);
	assert_string_equal(missing(), "");
	remember(0, SECOND, 2);
	assert_string_equal(missing(), "");
	assert_int_equal(judged, 0);
	/* Nor where it is gone and nothing is newer. */
	drop(0, THIRD);
	drop(0, SECOND);
	assert_string_equal(missing(), SECOND);
	assert_int_equal(judged, 0);
}

/* Neither an alarm nor silence would be true. */
static void
who_cannot_open_what_is_newer_is_told_that(void **state)
{
	struct newest_missing m;
	struct err e = { 0 };

	(void)state;
	put(0, FIRST);
	remember(0, FIRST, 1);
	put(0, SECOND);
	drop(0, FIRST);
	blind = true;
	assert_int_equal(newest_check(dir, &tiers, &tier[0], "vol.a", &judge, &m, &e), -1);
	assert_int_equal(e.kind, ERR_NOTFOUND);
	assert_non_null(strstr(e.text, FIRST " was the newest on 'one' and is gone"));
	assert_non_null(strstr(e.text, "there is no key here"));
	/* Nothing is forgotten by that. */
	put(0, THIRD);
	e = (struct err){ 0 };
	assert_int_equal(newest_remember(dir, &tier[0], THIRD, 3, &judge, &e), -1);
	blind = false;
	junk("vol.a/20261121T050000Z-00000000");
	drop(0, SECOND);
	drop(0, THIRD);
	assert_string_equal(missing(), FIRST);
}

static void
what_a_person_let_go_is_forgotten(void **state)
{
	struct err e = { 0 };

	(void)state;
	put(0, FIRST);
	put(0, SECOND);
	remember(0, SECOND, 2);
	drop(0, SECOND);
	assert_int_equal(newest_forget(dir, "one", "vol.a", FIRST, &e), 0);
	assert_string_equal(missing(), SECOND);
	assert_int_equal(newest_forget(dir, "one", "vol.a", SECOND, &e), 0);
	assert_string_equal(missing(), "");

	remember(0, FIRST, 1);
	drop(0, FIRST);
	put(0, THIRD);
	remember(0, THIRD, 2);
	assert_string_equal(missing(), FIRST);
	assert_int_equal(newest_forget(dir, "one", "vol.a", FIRST, &e), 0);
	assert_string_equal(missing(), "");
	drop(0, THIRD);
	assert_string_equal(missing(), THIRD);
	assert_int_equal(newest_forget(dir, "one", "vol.a", NULL, &e), 0);
	assert_string_equal(missing(), "");
	assert_int_equal(newest_forget(dir, "one", "vol.a", NULL, &e), 0);
}

/* The newest is gone from the first tier, and the other still has it. */
static void
lose_what_the_other_has(struct newest_missing *m)
{
	struct err e = { 0 };

	put(0, FIRST);
	put(0, SECOND);
	put(1, SECOND);
	remember(0, SECOND, 7);
	drop(0, SECOND);
	assert_int_equal(newest_check(dir, &tiers, &tier[0], "vol.a", &judge, m, &e), 0);
}

static void
the_message_says_what_is_there_now_and_who_has_it_still(void **state)
{
	struct newest_missing m;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(store_put(tier[0].store, "repo/0", "x", 1, STORE_NEW, &e), 1);
	lose_what_the_other_has(&m);
	assert_int_equal(m.sequence, 7);
	assert_int_equal(m.why.kind, ERR_NOTFOUND);
	assert_non_null(strstr(m.why.text, FIRST));
	assert_non_null(strstr(m.why.text, "ffdr copy --to one " SECOND "` brings it back from 'two'"));
	assert_non_null(strstr(m.why.text, "one/vol.a"));
	drop(0, FIRST);
	drop(1, SECOND);
	assert_int_equal(newest_check(dir, &tiers, &tier[0], "vol.a", &judge, &m, &e), 0);
	assert_non_null(strstr(m.why.text, "none of this source"));
	assert_null(strstr(m.why.text, "copy"));
}

static void
where_repo_is_gone_as_well_no_copy_is_promised(void **state)
{
	struct newest_missing m;

	(void)state;
	lose_what_the_other_has(&m);
	assert_null(strstr(m.why.text, "ffdr copy --to"));
	assert_non_null(strstr(m.why.text, "\n  fix       repo/ is gone there, too"));
	assert_non_null(strstr(m.why.text, "'A tier is damaged'"));
}

static void
where_repo_was_overwritten_no_copy_is_promised(void **state)
{
	struct newest_missing m;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(store_put(tier[0].store, "repo/0", "junk", 4, STORE_NEW, &e), 1);
	tier[0].found = TIER_RUINED;
	lose_what_the_other_has(&m);
	tier[0].found = TIER_SILENT;
	assert_null(strstr(m.why.text, "ffdr copy --to"));
	assert_non_null(strstr(m.why.text, "\n  fix       nothing says any more that it is of this "
	    "repository, and nothing can be copied to it: "));
}

static void
tiers_and_sources_are_remembered_each_for_itself(void **state)
{
	struct newest_missing m;
	struct err e = { 0 };

	(void)state;
	put(0, FIRST);
	put(1, FIRST);
	remember(0, FIRST, 1);
	remember(1, FIRST, 1);
	drop(1, FIRST);
	assert_string_equal(missing(), "");
	assert_int_equal(newest_check(dir, &tiers, &tier[1], "vol.a", &judge, &m, &e), 0);
	assert_int_equal(newest_check(dir, &tiers, &tier[1], "vol.b", &judge, &m, &e), 1);
}

static void
a_tier_that_does_not_answer_says_nothing(void **state)
{
	struct newest_missing m;
	struct err e = { 0 };

	(void)state;
	put(0, FIRST);
	remember(0, FIRST, 1);
	memstore_away(tier[0].store, true);
	assert_int_equal(newest_check(dir, &tiers, &tier[0], "vol.a", &judge, &m, &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
}

static void
count(void *arg, const char *source)
{
	assert_string_equal(source, "vol.a");
	++*(int *)arg;
}

static void
a_damaged_memory_is_named_and_made_anew(void **state)
{
	char *path = scratch_path(dir, "one/vol.a");
	struct newest_missing m;
	struct err e = { 0 };
	int seen = 0;

	(void)state;
	put(0, FIRST);
	remember(0, FIRST, 1);
	newest_sources(dir, "one", count, &seen);
	newest_sources(dir, "two", count, &seen);
	assert_int_equal(seen, 1);
	assert_int_equal(file_put(AT_FDCWD, path, "ffdr-newest 1\nsnap", 18, 0600, FILE_REPLACE, &e), 1);
	assert_int_equal(newest_check(dir, &tiers, &tier[0], "vol.a", &judge, &m, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_non_null(strstr(e.text, path));
	remember(0, FIRST, 1);
	assert_string_equal(missing(), "");
	drop(0, FIRST);
	assert_string_equal(missing(), FIRST);
	free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(nothing_remembered_is_nothing_held_against_a_tier),
		T(the_newest_taken_away_is_missed_and_an_older_one_is_not),
		T(the_newest_that_was_outlived_may_expire),
		T(an_older_one_that_is_seen_later_changes_nothing),
		T(a_lower_number_with_a_later_name_is_no_loss),
		T(the_next_backup_does_not_hide_what_is_missing),
		T(junk_with_a_newer_name_does_not_hide_what_is_missing),
		T(a_sound_one_below_junk_outlives),
		T(so_much_junk_that_none_of_it_is_opened_any_more_hides_nothing),
		T(nothing_is_opened_while_what_is_remembered_is_there),
		T(who_cannot_open_what_is_newer_is_told_that),
		T(what_a_person_let_go_is_forgotten),
		T(the_message_says_what_is_there_now_and_who_has_it_still),
		T(where_repo_is_gone_as_well_no_copy_is_promised),
		T(where_repo_was_overwritten_no_copy_is_promised),
		T(tiers_and_sources_are_remembered_each_for_itself),
		T(a_tier_that_does_not_answer_says_nothing),
		T(a_damaged_memory_is_named_and_made_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
