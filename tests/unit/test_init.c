/* From nothing to a repository, and what must never happen on the way; then its keys renewed. */
#include "tests/lib/vector.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "job/check_run.h"
#include "job/init.h"
#include "job/key.h"
#include "job/session.h"
#include "tests/lib/scratch.h"

static const char *dir; /* of the whole test program */
static char *home;	/* of this test: ffdr.ini, keys, tiers */
static struct err e;

/* A fresh place and a configuration of it with these further lines. */
static struct conf *
configure(const char *keys, const char *more)
{
	char *path = scratch_path(home, "ffdr.ini");
	struct conf *c = NULL;
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fprintf(f, "[ffdr]\nstate = %s/state\ncredentials = %s/cred\n[keys]\n%s\n"
		   "[tier one]\nurl = file://%s/one\n[tier two]\nurl = file://%s/two\n"
		   "[volume v]\npath = %s/data\n%s\n",
	    home, home, keys, home, home, home, more);
	fclose(f);
	err_clear(&e);
	if (conf_load(path, &c, &e) == -1)
		fail_msg("%s", e.text);
	free(path);
	return c;
}

/* The usual configuration of these tests. */
static struct conf *
usual(void)
{
	char line[600];

	snprintf(line, sizeof(line), "escrow = %s/escrow.pem", home);
	return configure(line, "");
}

/* Without an escrow pair, which takes a second to make. */
static struct conf *
plain(void)
{
	return configure("escrow =", "");
}

static int
fresh(void **state)
{
	static unsigned n;
	char *data;
	int rc;

	(void)state;
	home = scratch_path(dir, "%u", n++);
	data = scratch_path(home, "data");
	rc = file_make_dirs(AT_FDCWD, data, 0700, &e);
	free(data);
	return rc;
}

static int
leave(void **state)
{
	(void)state;
	free(home);
	return 0;
}

/* Runs init; the report's text parts are gone afterwards, its numbers are not. */
static int
run(struct conf *c, struct init_report *r)
{
	int rc;

	err_clear(&e);
	rc = init_run(c, &watch_none, r, &e);
	free(r->escrow_private);
	r->escrow_private = NULL;
	for (size_t i = 0; i < r->items; i++) {
		free(r->item[i].what);
		free(r->item[i].path);
	}
	free(r->item);
	r->item = NULL;
	return rc;
}

static void
must(struct conf *c)
{
	struct init_report r;

	if (run(c, &r) == -1)
		fail_msg("%s", e.text);
}

static bool
there(const char *name)
{
	char *path = scratch_path(home, "%s", name);
	bool ret = access(path, F_OK) == 0;

	free(path);
	return ret;
}

static void
take_away(const char *name)
{
	char *path = scratch_path(home, "%s", name);

	assert_int_equal(file_remove_tree(AT_FDCWD, path, &e), 0);
	free(path);
}

/* Another byte in every file of a directory. */
static void
overwrite_all(const char *name, off_t at)
{
	char *path = scratch_path(home, "%s", name);
	DIR *d = opendir(path);
	struct dirent *en;

	assert_non_null(d);
	while ((en = readdir(d)) != NULL) {
		int fd;

		if (en->d_name[0] == '.')
			continue;
		assert_int_equal(fchmodat(dirfd(d), en->d_name, 0600, 0), 0);
		fd = openat(dirfd(d), en->d_name, O_WRONLY);
		assert_int_equal(pwrite(fd, "!", 1, at), 1);
		close(fd);
	}
	closedir(d);
	free(path);
}

static void
mode_is(const char *name, mode_t mode)
{
	char *path = scratch_path(home, "%s", name);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, mode);
	free(path);
}

static void
contents(const char *name, struct buf *out)
{
	char *path = scratch_path(home, "%s", name);

	buf_init(out, 65536);
	assert_int_equal(file_get(AT_FDCWD, path, out, &e), 0);
	free(path);
}

/* The kind of error of opening the repository, ERR_NONE when it opens. */
static enum err_kind
opens(struct conf *c, enum session_need need)
{
	struct session s;

	err_clear(&e);
	if (session_open(c, need, &s, &e) == -1)
		return e.kind;
	session_done(&s);
	return ERR_NONE;
}

static void
init_makes_everything_once_and_repeats_harmlessly(void **state)
{
	struct conf *c = usual();
	struct init_report first, second;
	struct buf before, after;

	(void)state;
	assert_int_equal(run(c, &first), 0);
	assert_true(first.made_repo);
	assert_int_equal(first.made_tiers, 2);
	mode_is("cred/ffdr-kek", 0600);
	mode_is("cred/ffdr-signing", 0600);
	mode_is("escrow-private.pem", 0600);
	contents("cred/ffdr-kek", &before);
	assert_int_equal(before.len, 65);
	assert_int_equal(run(c, &second), 0);
	assert_false(second.made_repo);
	assert_int_equal(second.made_tiers, 0);
	assert_memory_equal(first.repo_id, second.repo_id, sizeof(first.repo_id));
	assert_memory_equal(first.signer, second.signer, sizeof(first.signer));
	contents("cred/ffdr-kek", &after);
	assert_int_equal(after.len, before.len);
	assert_memory_equal(after.data, before.data, before.len);
	assert_int_equal(opens(c, SESSION_WRITE), ERR_NONE);
	buf_done(&before);
	buf_done(&after);
	conf_free(c);
}

static void
a_lost_key_of_a_repository_is_asked_for_and_not_made_anew(void **state)
{
	static const char *const keys[] = { "cred/ffdr-kek", "cred/ffdr-signing", "escrow.pem" };
	struct conf *c = usual();
	struct init_report r;

	(void)state;
	must(c);
	for (size_t i = 0; i < 3; i++) {
		char *from = scratch_path(home, "%s", keys[i]), *to = scratch_path(home, "aside");

		assert_int_equal(rename(from, to), 0);
		assert_int_equal(run(c, &r), -1);
		assert_int_equal(e.kind, ERR_REFUSED);
		assert_non_null(strstr(e.text, "init refused: tier 'one' holds a repository"));
		assert_false(there(keys[i]));
		assert_int_equal(rename(to, from), 0);
		free(from);
		free(to);
	}
	conf_free(c);
}

static void
empty_tiers_under_a_host_that_knew_a_repository_get_no_new_one(void **state)
{
	struct conf *c = plain();
	struct init_report r;

	(void)state;
	must(c);
	take_away("one");
	take_away("two");
	take_away("cred");
	assert_int_equal(run(c, &r), -1);
	assert_int_equal(e.kind, ERR_REFUSED);
	assert_false(there("cred/ffdr-kek"));
	conf_free(c);
}

static void
no_key_is_made_while_a_tier_is_away(void **state)
{
	struct init_report r;
	char line[600];
	struct conf *c;

	(void)state;
	snprintf(line, sizeof(line), "[tier far]\nurl = file://%s/not/mounted", home);
	c = configure("", line);
	assert_int_equal(run(c, &r), -1);
	assert_non_null(strstr(e.text, "mount the disk"));
	assert_false(there("cred"));
	conf_free(c);
}

static void
a_new_tier_gets_the_repository_by_the_next_init(void **state)
{
	struct conf *c = plain();
	struct init_report first, second;

	(void)state;
	assert_int_equal(run(c, &first), 0);
	take_away("two");
	assert_int_equal(run(c, &second), 0);
	assert_false(second.made_repo);
	assert_int_equal(second.made_tiers, 1);
	assert_memory_equal(first.repo_id, second.repo_id, sizeof(first.repo_id));
	take_away("one");
	assert_int_equal(opens(c, SESSION_WRITE), ERR_NONE);
	conf_free(c);
}

static void
the_key_in_the_safe_opens_what_a_lost_kek_has_locked(void **state)
{
	struct conf *c = usual();
	struct key_escrow r;
	char *private = scratch_path(home, "escrow-private.pem");
	char *public = scratch_path(home, "escrow.pem");
	char lines[1200];

	(void)state;
	must(c);
	take_away("cred/ffdr-kek");
	assert_int_equal(key_escrow_test(c, private, &r, &e), 0);
	assert_int_equal(r.epochs, 1);
	assert_int_equal(r.tiers, 2);
	assert_int_equal(key_escrow_test(c, public, &r, &e), -1);
	assert_int_equal(e.kind, ERR_KEY);
	conf_free(c);

	snprintf(lines, sizeof(lines), "kek = file:%s\nescrow = %s", private, public);
	c = configure(lines, "");
	assert_int_equal(opens(c, SESSION_WRITE), ERR_NONE);
	conf_free(c);
	free(private);
	free(public);
}

static void
an_escrow_key_may_come_later_but_another_one_may_not(void **state)
{
	struct conf *c = plain();
	struct key_escrow r;
	struct init_report report;
	char *private;

	(void)state;
	must(c);
	assert_false(there("escrow.pem"));
	conf_free(c);
	c = usual();
	must(c);
	private = scratch_path(home, "escrow-private.pem");
	assert_int_equal(key_escrow_test(c, private, &r, &e), 0);
	take_away("escrow.pem");
	take_away("escrow-private.pem");
	assert_int_equal(run(c, &report), -1);
	assert_int_equal(e.kind, ERR_REFUSED);
	assert_false(there("escrow.pem"));
	free(private);
	conf_free(c);
}

/* Killed between the two, or overtaken by another init: the half that is there decides. */
static void
an_escrow_pair_that_was_cut_short_is_completed_and_not_replaced(void **state)
{
	struct conf *c = usual();
	struct key_escrow r;
	struct buf public[2], private[2];
	char *path = scratch_path(home, "escrow-private.pem");

	(void)state;
	for (int i = 0; i < 2; i++) {
		must(c);
		contents("escrow.pem", &public[i]);
		contents("escrow-private.pem", &private[i]);
		take_away("escrow.pem");
		take_away("one");
		take_away("two");
		take_away("state");
		take_away("cred");
	}
	assert_string_equal(buf_str(&public[0]), buf_str(&public[1]));
	assert_string_equal(buf_str(&private[0]), buf_str(&private[1]));
	must(c);
	assert_int_equal(key_escrow_test(c, path, &r, &e), 0);
	for (int i = 0; i < 2; i++) {
		buf_done(&public[i]);
		buf_done(&private[i]);
	}
	free(path);
	conf_free(c);
}

/* Opens for writing and rotates by `how`; the reference is `ref`. */
static int
rotate(struct conf *c, int (*how)(struct session *, const char *), const char *ref)
{
	struct session s;
	int rc;

	err_clear(&e);
	if (session_open(c, SESSION_WRITE, &s, &e) == -1)
		fail_msg("%s", e.text);
	rc = how(&s, ref);
	session_done(&s);
	return rc;
}

static int
kek(struct session *s, const char *ref)
{
	bool made = false;

	return key_rotate_kek(s, ref, &made, &e);
}

static int
signing(struct session *s, const char *ref)
{
	uint8_t pub[SIGN_PUB];
	bool made = false;

	return key_rotate_signing(s, ref, &made, pub, &e);
}

static int
data(struct session *s, const char *ref)
{
	uint8_t epoch[LAYOUT_EPOCH];

	(void)ref;
	return key_rotate_data(s, epoch, &e);
}

static void
a_rotated_kek_opens_all_epochs_and_the_old_one_none(void **state)
{
	struct conf *c = plain(), *later;

	(void)state;
	must(c);
	assert_int_equal(rotate(c, data, NULL), 0);
	assert_int_equal(rotate(c, kek, "credential:ffdr-kek"), -1);
	assert_int_equal(e.kind, ERR_REFUSED);
	assert_int_equal(rotate(c, kek, "credential:second"), 0);
	assert_int_equal(opens(c, SESSION_READ), ERR_KEY);
	later = configure("kek = credential:second\nescrow =", "");
	assert_int_equal(opens(later, SESSION_WRITE), ERR_NONE);
	conf_free(c);
	conf_free(later);
}

static void
a_second_signing_key_may_sign_once_it_was_added(void **state)
{
	struct conf *c = plain(), *later;
	struct check check;
	size_t before, after;

	(void)state;
	must(c);
	later = configure("signing = credential:second\nescrow =", "");
	assert_int_equal(init_make_key(c, INIT_SIGNING, "credential:second", &e), 1);
	check_run(later, &watch_none, &check);
	before = check.verdicts[CHECK_FAIL];
	check_done(&check);
	assert_int_equal(rotate(c, signing, "credential:second"), 0);
	check_run(later, &watch_none, &check);
	after = check.verdicts[CHECK_FAIL];
	check_done(&check);
	assert_true(before > 0);
	assert_int_equal(after, 0);
	conf_free(c);
	conf_free(later);
}

/* Failures that a check of this configuration finds about `what`. */
static size_t
failures(struct conf *c, const char *what)
{
	struct check check;
	size_t n = 0;

	check_run(c, &watch_none, &check);
	for (size_t i = 0; i < check.count; i++)
		n += check.line[i].verdict == CHECK_FAIL && strcmp(check.line[i].what, what) == 0;
	check_done(&check);
	return n;
}

static void
check_passes_what_init_made_and_finds_what_is_broken_later(void **state)
{
	struct conf *c = plain();
	char *key = scratch_path(home, "cred/ffdr-kek");

	(void)state;
	assert_true(failures(c, "tier one") > 0);
	must(c);
	assert_int_equal(failures(c, "tier one"), 0);
	assert_int_equal(failures(c, "repository"), 0);
	assert_int_equal(failures(c, "keys on two"), 0);
	take_away("two/key");
	assert_true(failures(c, "keys on two") > 0);
	must(c);
	assert_int_equal(failures(c, "keys on two"), 0);
	overwrite_all("two/key", 200);
	assert_true(failures(c, "keys on two") > 0);
	assert_int_equal(failures(c, "keys on one"), 0);
	take_away("two/key");
	must(c);
	overwrite_all("two/repo", 40);
	assert_int_equal(failures(c, "keys on two"), 1);
	take_away("two/repo");
	assert_int_equal(failures(c, "keys on two"), 1);
	assert_int_equal(chmod(key, 0644), 0);
	assert_int_equal(failures(c, "key kek"), 1);
	take_away("two");
	assert_int_equal(failures(c, "tier two"), 1);
	free(key);
	conf_free(c);
}

static void
check_leaves_nothing_behind(void **state)
{
	struct conf *c = plain();
	char *probe = scratch_path(home, "one/check");

	(void)state;
	must(c);
	failures(c, "");
	/* What is left of the probe is its empty directory. */
	assert_int_equal(rmdir(probe), 0);
	free(probe);
	conf_free(c);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, leave)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(init_makes_everything_once_and_repeats_harmlessly),
		TEST(a_lost_key_of_a_repository_is_asked_for_and_not_made_anew),
		TEST(empty_tiers_under_a_host_that_knew_a_repository_get_no_new_one),
		TEST(no_key_is_made_while_a_tier_is_away),
		TEST(a_new_tier_gets_the_repository_by_the_next_init),
		TEST(the_key_in_the_safe_opens_what_a_lost_kek_has_locked),
		TEST(an_escrow_key_may_come_later_but_another_one_may_not),
		TEST(an_escrow_pair_that_was_cut_short_is_completed_and_not_replaced),
		TEST(a_rotated_kek_opens_all_epochs_and_the_old_one_none),
		TEST(a_second_signing_key_may_sign_once_it_was_added),
		TEST(check_passes_what_init_made_and_finds_what_is_broken_later),
		TEST(check_leaves_nothing_behind),
	};

	/* A group of that name would change the modes that are looked at here. */
	dir = scratch_dir();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
