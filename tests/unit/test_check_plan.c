/* The arithmetic of promises, over configurations as people write them. */
#include "tests/lib/vector.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "job/check_need.h"
#include "job/check_plan.h"

static struct check check;

/* Judges a configuration; the last one's lines are in `check` until then. */
static void
judge(const char *text)
{
	struct conf *c = NULL;
	struct err e = { 0 };

	check_done(&check);
	if (conf_parse("ffdr.ini", text, strlen(text), &c, &e) == -1)
		fail_msg("%s", e.text);
	check_plan_tiers(&check, c);
	check_plan_sources(&check, c);
	conf_free(c);
}

static int
forget(void **state)
{
	(void)state;
	check_done(&check);
	return 0;
}

/* The line about `what` whose text has `part`; fails when there is none. */
static const struct check_line *
find(const char *what, const char *part)
{
	for (size_t i = 0; i < check.count; i++) {
		if (strcmp(check.line[i].what, what) == 0 && strstr(check.line[i].text, part))
			return &check.line[i];
	}
	for (size_t i = 0; i < check.count; i++)
		print_message("%s: %s\n", check.line[i].what, check.line[i].text);
	fail_msg("no line of '%s' says '%s'", what, part);
	return NULL;
}

#define VOLUME "[volume data]\npath = /srv/data\n"
#define LOCAL "[tier local]\nurl = file:///srv/ffdr\n"

static void
a_period_longer_than_the_rpo_fails_and_says_what_would_do(void **state)
{
	const struct check_line *l;

	(void)state;
	judge(LOCAL "[tier nas]\nurl = file:///mnt/nas\ntakes = weekly\nrpo = 24h\n" VOLUME);
	l = find("plan nas", "rpo promises");
	assert_int_equal(l->verdict, CHECK_FAIL);
	assert_string_equal(l->fix, "takes = daily, or rpo = 7d");
	assert_int_equal(check.verdicts[CHECK_FAIL], 1);
}

static void
a_period_equal_to_the_rpo_is_sound_and_shows_the_worst_age(void **state)
{
	(void)state;
	judge(LOCAL "[tier nas]\nurl = file:///mnt/nas\ntakes = daily\nrpo = 24h\n" VOLUME);
	assert_int_equal(find("plan nas", "at worst")->verdict, CHECK_OK);
	assert_int_equal(check.verdicts[CHECK_FAIL], 0);
}

static void
an_rpo_below_an_hour_can_only_be_kept_by_taking_all(void **state)
{
	(void)state;
	judge(LOCAL "[tier nas]\nurl = file:///mnt/nas\ntakes = hourly\nrpo = 5m\n" VOLUME);
	assert_non_null(strstr(find("plan nas", "rpo promises")->fix, "takes = all"));
}

static void
what_a_schedule_decides_is_unknown_and_not_guessed(void **state)
{
	(void)state;
	judge("[tier local]\nurl = file:///srv/ffdr\nrpo = 4h\n"
	      "[tier nas]\nurl = file:///mnt/nas\ntakes = all\nrpo = 24h\n" VOLUME);
	assert_int_equal(find("plan local", "schedule")->verdict, CHECK_UNKNOWN);
	assert_int_equal(find("plan nas", "schedule")->verdict, CHECK_UNKNOWN);
}

static void
a_source_that_never_leaves_the_host_is_a_warning(void **state)
{
	(void)state;
	judge(LOCAL "[tier nas]\nurl = file:///mnt/nas\n" VOLUME);
	assert_int_equal(find("vol.data", "off this host")->verdict, CHECK_WARN);
	judge(LOCAL "[tier nas]\nurl = file:///mnt/nas\nshared = yes\n" VOLUME);
	assert_int_equal(find("vol.data", "off this host")->verdict, CHECK_OK);
	judge(LOCAL "[tier nas]\nurl = file:///mnt/nas\nshared = yes\n" VOLUME "tiers = local\n");
	assert_int_equal(find("vol.data", "off this host")->verdict, CHECK_WARN);
}

static void
a_tier_that_keeps_less_than_it_takes_is_a_warning(void **state)
{
	(void)state;
	judge(LOCAL "[tier nas]\nurl = file:///mnt/nas\ntakes = weekly\nkeep = 2d\n" VOLUME);
	assert_int_equal(find("plan nas", "only the newest")->verdict, CHECK_WARN);
}

static void
a_tier_that_nobody_uses_is_a_warning(void **state)
{
	(void)state;
	judge(LOCAL "[tier nas]\nurl = file:///mnt/nas\n" VOLUME "tiers = local\n");
	assert_int_equal(find("plan nas", "no source")->verdict, CHECK_WARN);
}

#define PAIR "[tier local]\nurl = file:///srv/ffdr\n" \
	     "[tier nas]\nurl = file:///mnt/nas\nshared = yes\ntakes = daily\nrpo = 5m\n"
#define SERVER "[postgres pay]\nconninfo = service=pay\n"

static void
an_rpo_of_hours_is_kept_by_the_wal_of_a_database_too(void **state)
{
	const struct check_line *l;

	(void)state;
	judge(LOCAL "[tier nas]\nurl = file:///mnt/nas\ntakes = daily\nrpo = 1h\n"
	      SERVER "tiers = local, nas\nwal = local\n");
	l = find("plan nas", "rpo promises 1h");
	assert_int_equal(l->verdict, CHECK_FAIL);
	assert_string_equal(l->fix, "name it in wal of [postgres pay], or takes = hourly, or rpo = 1d");
	/* That does nothing for a volume. */
	judge(LOCAL "[tier nas]\nurl = file:///mnt/nas\ntakes = daily\nrpo = 1h\n"
	      VOLUME SERVER "tiers = local, nas\nwal = local\n");
	assert_string_equal(find("plan nas", "rpo promises 1h")->fix, "takes = hourly, or rpo = 1d");
	/* An archive gets it by copies. */
	judge(LOCAL "[tier nas]\nurl = s3://bucket\nclass = GLACIER\ntakes = daily\nrpo = 1h\n"
	      SERVER "tiers = local, nas\nwal = local\n");
	assert_string_equal(find("plan nas", "rpo promises 1h")->fix, "takes = hourly, or rpo = 1d");
}

static void
wal_keeps_an_rpo_that_snapshots_alone_do_not(void **state)
{
	const struct check_line *l;

	(void)state;
	judge(PAIR SERVER);
	assert_int_equal(find("plan nas", "shipped every 30s for an rpo of 5m")->verdict, CHECK_OK);
	assert_int_equal(check.verdicts[CHECK_FAIL], 0);
	judge(PAIR SERVER "ship-every = 10m\n");
	l = find("plan nas", "rpo promises 5m");
	assert_int_equal(l->verdict, CHECK_FAIL);
	assert_string_equal(l->fix, "ship-every = 5m, or less");
	judge(PAIR SERVER "wal = local\n");
	l = find("plan nas", "no WAL of pg.pay comes there");
	assert_int_equal(l->verdict, CHECK_FAIL);
	assert_string_equal(l->fix, "name it in wal of [postgres pay], or rpo = 1d or more");
	assert_int_equal(check.verdicts[CHECK_FAIL], 1);
	/* What has no WAL has to do with a promise that was made for one: worth a word. */
	judge(PAIR SERVER VOLUME);
	l = find("plan nas", "takes daily snapshots, so those of vol.data");
	assert_int_equal(l->verdict, CHECK_WARN);
	assert_int_equal(check.verdicts[CHECK_FAIL], 0);
	judge(PAIR SERVER "wal-from = push\n");
	assert_int_equal(find("plan nas", "archive_timeout")->verdict, CHECK_UNKNOWN);
}

static void
no_base_backup_is_made_every_minute(void **state)
{
	(void)state;
	/* Also where backups are written to at once, and where all are taken. */
	judge("[tier local]\nurl = file:///srv/ffdr\nrpo = 59m\n" SERVER "wal =\n");
	assert_int_equal(find("plan local", "no WAL of pg.pay comes there")->verdict, CHECK_FAIL);
	judge("[tier local]\nurl = file:///srv/ffdr\nrpo = 1h\n" SERVER "wal =\n");
	assert_int_equal(find("plan local", "schedule")->verdict, CHECK_UNKNOWN);
	assert_int_equal(check.verdicts[CHECK_FAIL], 0);
}

#define COLD(class, rto) LOCAL "[tier cold]\nurl = s3://bucket\nclass = " class "\nrto = " rto "\n"

static void
an_archive_that_opens_too_late_for_the_rto_fails(void **state)
{
	const struct check_line *l;

	(void)state;
	judge(COLD("DEEP_ARCHIVE", "8h") VOLUME);
	l = find("plan cold", "after up to 12h only, but rto promises 8h");
	assert_int_equal(l->verdict, CHECK_FAIL);
	assert_string_equal(l->fix, "class = GLACIER, or rto = more than 12h");
	judge(COLD("GLACIER", "2h") VOLUME);
	assert_non_null(strstr(find("plan cold", "only, but rto")->fix, "read at once"));
	assert_int_equal(strncmp(find("plan cold", "only, but rto")->fix, "thaw = expedited ", 17), 0);
	judge(COLD("GLACIER", "8h") VOLUME);
	assert_int_equal(find("plan cold", "after up to 5h of an rto of 8h")->verdict, CHECK_OK);
	/* It has to be read, too. */
	judge(COLD("GLACIER", "5h") VOLUME);
	assert_int_equal(find("plan cold", "after up to 5h only, but rto")->verdict, CHECK_FAIL);
	judge(COLD("GLACIER\nthaw = bulk", "8h") VOLUME);
	assert_int_equal(find("plan cold", "after up to 12h only, but rto")->verdict, CHECK_FAIL);
	assert_non_null(strstr(find("plan cold", "after up to 12h only")->fix, "thaw = standard"));
	judge(COLD("GLACIER\nthaw = expedited", "10m") VOLUME);
	assert_int_equal(find("plan cold", "after up to 5m of an rto of 10m")->verdict, CHECK_OK);
	judge(COLD("DEEP_ARCHIVE\nthaw = expedited", "13h") VOLUME);
	l = find("plan cold", "thaw = expedited is not to be had of class DEEP_ARCHIVE");
	assert_int_equal(l->verdict, CHECK_WARN);
	assert_non_null(l->fix);
	assert_int_equal(find("plan cold", "after up to 12h of an rto of 13h")->verdict, CHECK_OK);
	judge("[tier cold]\nurl = s3://bucket\nclass = GLACIER\n" LOCAL VOLUME);
	assert_int_equal(find("plan cold", "come here first")->verdict, CHECK_WARN);
	judge(COLD("STANDARD_IA", "1h") VOLUME);
	assert_int_equal(check.verdicts[CHECK_FAIL], 0);
}

/* Appends schedules/tiers/NAME.ini, as it is shipped. */
static void
profile(const char *name, struct buf *text)
{
	const char *top = getenv("FFDR_SRCDIR");
	char path[400];
	struct err e = { 0 };

	snprintf(path, sizeof(path), "%s/schedules/tiers/%s.ini", top ? top : ".", name);
	if (file_get(AT_FDCWD, path, text, &e) == -1)
		fail_msg("%s", e.text);
}

/* The four policies, by the numbers they were made for. */
static void
the_tiers_that_are_shipped_can_keep_what_they_promise(void **state)
{
	static const char *const shipped[] = { "local", "regional", "dr", "cross-region" };
	struct buf text;

	(void)state;
	buf_init(&text, 1u << 16);
	for (size_t i = 0; i < ARRAY_LEN(shipped); i++)
		profile(shipped[i], &text);
	buf_adds(&text, SERVER "wal = local, regional, dr\n");
	judge(buf_str(&text));
	assert_int_equal(check.verdicts[CHECK_FAIL], 0);
	assert_int_equal(check.verdicts[CHECK_WARN], 0);
	assert_int_equal(find("plan local", "for an rpo of 4h")->verdict, CHECK_OK);
	find("plan local", "keeps snapshots 7d");
	assert_int_equal(find("plan regional", "for an rpo of 1d")->verdict, CHECK_OK);
	find("plan regional", "keeps snapshots 30d");
	assert_int_equal(find("plan dr", "for an rpo of 5m")->verdict, CHECK_OK);
	assert_int_equal(
	    find("plan cross-region", "takes weekly snapshots for an rpo of 7d")->verdict, CHECK_OK);
	assert_int_equal(find("plan cross-region", "up to 5h of an rto of 8h")->verdict, CHECK_OK);
	find("plan cross-region", "keeps snapshots 1y");
	buf_done(&text);
}

static void
wal_that_goes_nowhere_useful_is_a_warning(void **state)
{
	(void)state;
	judge(PAIR SERVER);
	assert_int_equal(find("pg.pay", "WAL goes to 2 tiers, 1 of them off")->verdict, CHECK_OK);
	assert_int_equal(check.verdicts[CHECK_WARN], 0);
	judge(PAIR SERVER "wal =\n");
	assert_int_equal(find("pg.pay", "its WAL goes nowhere")->verdict, CHECK_WARN);
	judge(PAIR SERVER "wal = local\n");
	assert_int_equal(find("pg.pay", "no tier of its WAL")->verdict, CHECK_WARN);
	judge(PAIR SERVER "tiers = local\n" "wal = local, nas\n");
	assert_int_equal(find("pg.pay", "its WAL goes to 'nas', its snapshots do not")->verdict,
	    CHECK_WARN);
}

static void
nothing_to_protect_is_said(void **state)
{
	(void)state;
	judge(LOCAL);
	assert_int_equal(find("plan", "no source")->verdict, CHECK_WARN);
}

static void
an_errors_fix_becomes_the_fix_of_the_line(void **state)
{
	struct err e = { 0 };

	(void)state;
	check_done(&check);
	err_set(&e, ERR_REMOTE, "'/mnt' is not there");
	err_line(&e, "looked", "twice");
	err_line(&e, "fix", "mount it");
	err_line(&e, "after", "this");
	check_error(&check, CHECK_FAIL, "tier nas", &e);
	assert_string_equal(check.line[0].fix, "mount it");
	assert_string_equal(check.line[0].text, "'/mnt' is not there\n  looked    twice\n"
						"  after     this");
}

#define DAY INT64_C(86400)

static void
the_need_of_a_tier_is_one_full_copy_and_the_change_of_the_time_it_is_held(void **state)
{
	const struct check_need_sample days[] = {
		{ 0, 1000, 900 },
		{ DAY * 1000000000, 1100, 20 },
		{ 2 * DAY * 1000000000, 2000, 40 },
	};

	(void)state;
	assert_int_equal(check_need_bytes(days, 3, 10 * DAY * 1000), 2000 + 30 * 10);
	assert_int_equal(check_need_bytes(days, 1, 10 * DAY * 1000), 0);
	assert_int_equal(check_need_bytes(days, 0, 10 * DAY * 1000), 0);
}

#define ARCHIVE "[tier dr]\nurl = s3://bucket\nclass = GLACIER\n"

static void
a_cold_tier_gets_wal_by_copies_and_some_other_has_to_have_it_first(void **state)
{
	(void)state;
	judge(LOCAL ARCHIVE "rpo = 24h\n" SERVER "wal = local, dr\n");
	assert_int_equal(find("plan dr", "in bundles, by copies")->verdict, CHECK_UNKNOWN);
	assert_int_equal(find("pg.pay", "no tier of its WAL is off this host")->verdict, CHECK_WARN);
	judge(LOCAL ARCHIVE SERVER "wal = dr\n");
	assert_int_equal(find("pg.pay", "is of an archive class")->verdict, CHECK_FAIL);
	judge(LOCAL "[tier nas]\nurl = file:///mnt/nas\nshared = yes\n" ARCHIVE SERVER
	      "wal = dr, local, nas\n");
	assert_non_null(find("pg.pay", "its WAL goes to 2 tiers, 1 of them off"));
	judge(LOCAL ARCHIVE SERVER "wal = local, dr\nwal-from = push\npush-ack = 2\n");
	assert_string_equal(find("pg.pay", "push-ack")->fix, "push-ack = 1 or less");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_period_longer_than_the_rpo_fails_and_says_what_would_do),
		cmocka_unit_test(a_period_equal_to_the_rpo_is_sound_and_shows_the_worst_age),
		cmocka_unit_test(an_rpo_below_an_hour_can_only_be_kept_by_taking_all),
		cmocka_unit_test(what_a_schedule_decides_is_unknown_and_not_guessed),
		cmocka_unit_test(a_source_that_never_leaves_the_host_is_a_warning),
		cmocka_unit_test(a_tier_that_keeps_less_than_it_takes_is_a_warning),
		cmocka_unit_test(a_tier_that_nobody_uses_is_a_warning),
		cmocka_unit_test(an_rpo_of_hours_is_kept_by_the_wal_of_a_database_too),
		cmocka_unit_test(wal_keeps_an_rpo_that_snapshots_alone_do_not),
		cmocka_unit_test(no_base_backup_is_made_every_minute),
		cmocka_unit_test(an_archive_that_opens_too_late_for_the_rto_fails),
		cmocka_unit_test(the_tiers_that_are_shipped_can_keep_what_they_promise),
		cmocka_unit_test(wal_that_goes_nowhere_useful_is_a_warning),
		cmocka_unit_test(nothing_to_protect_is_said),
		cmocka_unit_test(
		    the_need_of_a_tier_is_one_full_copy_and_the_change_of_the_time_it_is_held),
		cmocka_unit_test(an_errors_fix_becomes_the_fix_of_the_line),
		cmocka_unit_test(a_cold_tier_gets_wal_by_copies_and_some_other_has_to_have_it_first),
	};

	return cmocka_run_group_tests(tests, NULL, forget);
}
