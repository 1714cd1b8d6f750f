/* The frame of a backup: what it decides before, between and after what a source does. */
#include "tests/lib/vector.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "job/backup.h"
#include "job/init.h"
#include "job/lock.h"
#include "repo/snapshot.h"
#include "tests/lib/scratch.h"

static const char *home;
static struct conf *conf;
static struct session session;
static struct backup_report report;
static struct err e;
static char *marker; /* made by the hook `after` of vol.hooked */

static void
put(const char *name, const char *text)
{
	char *path = scratch_path(home, "%s", name);

	if (file_put(AT_FDCWD, path, text, strlen(text), 0600, FILE_REPLACE, &e) == -1)
		fail_msg("%s", e.text);
	free(path);
}

static int
begin(void **state)
{
	struct init_report made;
	char *path;
	char text[2000];

	(void)state;
	home = scratch_dir();
	marker = scratch_path(home, "marker");
	snprintf(text, sizeof(text),
	    "[ffdr]\nstate = %s/state\ncredentials = %s/cred\n[keys]\nescrow =\n"
	    "[tier one]\nurl = file://%s/one\n"
	    "[volume hooked]\npath = %s/data\nafter = touch %s\n"
	    "[volume trusting]\npath = %s/data\ncompare = stat\n",
	    home, home, home, home, marker, home);
	put("ffdr.ini", text);
	put("data/a", "some bytes");
	path = scratch_path(home, "ffdr.ini");
	if (conf_load(path, &conf, &e) == -1 || init_run(conf, &watch_none, &made, &e) == -1 ||
	    session_open(conf, SESSION_WRITE, &session, &e) == -1)
		fail_msg("%s", e.text);
	init_done(&made);
	free(path);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	session_done(&session);
	conf_free(conf);
	free(marker);
	return 0;
}

static const struct conf_source *
source(const char *name)
{
	const struct conf_source *s = NULL;

	assert_int_equal(conf_find_source(conf, name, &s, &e), 0);
	return s;
}

static size_t
snapshots(const char *name)
{
	struct snapshot_list list = { 0 };
	size_t n;

	assert_int_equal(snapshot_list(session.tiers.tier[0].store, name, &list, &e), 0);
	n = list.count;
	snapshot_list_done(&list);
	return n;
}

static int
run(const char *name, bool read_all, const struct watch *w)
{
	const struct backup_options o = { .source = source(name), .read_all = read_all };

	err_clear(&e);
	return backup_run(&session, &o, w, &report, &e);
}

/* Somebody who stops us the moment the source has given all it has. */
static bool
all_is_read(void *arg)
{
	(void)arg;
	return access(marker, F_OK) == 0;
}

static void
stopped_right_before_the_commit_nothing_is_committed(void **state)
{
	struct watch w = watch_none;

	(void)state;
	w.stop = all_is_read;
	assert_int_equal(run("vol.hooked", false, &w), -1);
	assert_int_equal(e.kind, ERR_CANCELLED);
	assert_int_equal(access(marker, F_OK), 0);
	assert_int_equal(snapshots("vol.hooked"), 0);
	assert_string_equal(report.id, "");
	/* And not stopped there is one, so that was the reason. */
	assert_int_equal(run("vol.hooked", false, &watch_none), 0);
	assert_int_equal(snapshots("vol.hooked"), 1);
	assert_int_equal(unlink(marker), 0);
}

static void
a_second_run_of_a_source_is_turned_away_before_anything_is_read(void **state)
{
	int fd;

	(void)state;
	fd = lock_take(conf->state, "backup", "vol.hooked", &e);
	assert_true(fd >= 0);
	assert_int_equal(run("vol.hooked", false, &watch_none), -1);
	assert_int_equal(e.kind, ERR_BUSY);
	assert_non_null(strstr(e.text, "another backup of vol.hooked is running on this host\n"));
	assert_int_equal(access(marker, F_OK), -1);
	/* Another source is none of its business. */
	assert_int_equal(run("vol.trusting", false, &watch_none), 0);
	close(fd);
	assert_int_equal(run("vol.hooked", false, &watch_none), 0);
}

static void
what_looks_unchanged_is_trusted_once_there_is_something_to_trust(void **state)
{
	(void)state;
	session_done(&session);
	assert_int_equal(session_open(conf, SESSION_WRITE, &session, &e), 0);
	assert_int_equal(run("vol.trusting", true, &watch_none), 0);
	assert_true(report.compared);
	assert_int_equal(run("vol.trusting", false, &watch_none), 0);
	assert_false(report.compared);
	assert_false(report.first);
	assert_int_equal(run("vol.trusting", true, &watch_none), 0);
	assert_true(report.compared);
	/* Who trusts nothing compares always. */
	assert_int_equal(run("vol.hooked", false, &watch_none), 0);
	assert_true(report.compared);
}

static void
a_dry_run_counts_and_leaves_no_trace(void **state)
{
	const struct backup_options o = { .source = source("vol.hooked"), .dry_run = true };
	size_t before = snapshots("vol.hooked");

	(void)state;
	(void)!unlink(marker);
	assert_int_equal(backup_run(&session, &o, &watch_none, &report, &e), 0);
	assert_null(report.tier);
	assert_int_equal(report.files, 1);
	assert_int_equal(report.bytes, 10);
	assert_int_equal(snapshots("vol.hooked"), before);
	assert_int_equal(access(marker, F_OK), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stopped_right_before_the_commit_nothing_is_committed),
		cmocka_unit_test(a_second_run_of_a_source_is_turned_away_before_anything_is_read),
		cmocka_unit_test(what_looks_unchanged_is_trusted_once_there_is_something_to_trust),
		cmocka_unit_test(a_dry_run_counts_and_leaves_no_trace),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
