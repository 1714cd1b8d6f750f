#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "job/wal/wal_guard.h"
#include "source/pg/pg_walname.h"
#include "source/pg/pg_walpage.h"
#include "tests/lib/scratch.h"
#include "tests/lib/walkit.h"

#define SEG WALKIT_SEGMENT
#define START (7 * SEG)
#define TABLESPACE 5
#define HEAD 24u

struct place {
	char *top, *data, *space;
	struct walkit w;
	unsigned fetched;
	int64_t raised;
	bool away;
};

static void
make_dir(const char *fmt, const char *top)
{
	char *path = xasprintf("%s/%s", top, fmt);

	assert_int_equal(mkdir(path, 0700), 0);
	free(path);
}

/* A data directory, and beside it a tablespace that another server has. */
static void
begin(struct place *p, int version)
{
	memset(p, 0, sizeof(*p));
	p->top = xstrdup(scratch_dir());
	p->data = xasprintf("%s/data", p->top);
	p->space = xasprintf("%s/space", p->top);
	make_dir("data", p->top);
	make_dir("data/pg_tblspc", p->top);
	make_dir("data/pg_wal", p->top);
	make_dir("space", p->top);
	make_dir("space/PG_15_202209061", p->top);
	walkit_begin(&p->w, version, START, SEG);
}

static void
end(struct place *p)
{
	walkit_done(&p->w);
	file_remove_tree(AT_FDCWD, p->data, NULL);
	file_remove_tree(AT_FDCWD, p->space, NULL);
	free(p->space);
	free(p->data);
	free(p->top);
}

static void
add_create(struct place *p, uint8_t info, const char *path)
{
	uint8_t body[1200] = { 255 };
	size_t n = 4 + strlen(path) + 1;

	assert_true(n < 256);
	body[1] = (uint8_t)n;
	body[2] = 0x39;
	body[3] = 0x30; /* 12345 */
	memcpy(body + 6, path, strlen(path));
	walkit_add_raw(&p->w, TABLESPACE, info, 0, body, 2 + n);
}

/* Up to `left` bytes before the end of the segment. */
static void
fill_up(struct place *p, uint64_t left)
{
	static const uint8_t body[4000];

	while (START + SEG - walkit_end(&p->w) > left + sizeof(body))
		walkit_add(&p->w, 10, 0, 1, 1, 1000);
	walkit_add_raw(&p->w, 10, 0, 1, body, START + SEG - walkit_end(&p->w) - left - HEAD);
}

/* The n-th segment into pg_wal under that name; what is not written is zeros. */
static char *
put(struct place *p, size_t n, const char *as)
{
	char *path = xasprintf("%s/pg_wal/%s", p->data, as);
	uint8_t *bytes = xcalloc(1, SEG);
	size_t have = p->w.bytes.len - n * SEG;

	memcpy(bytes, p->w.bytes.data + n * SEG, have < SEG ? have : SEG);
	assert_int_not_equal(file_put(AT_FDCWD, path, bytes, SEG, 0600, FILE_REPLACE, NULL), -1);
	free(bytes);
	return path;
}

static int
fetch(void *arg, uint32_t tli, uint64_t start, struct buf *bytes, struct err *e)
{
	struct place *p = arg;

	p->fetched++;
	if (p->away)
		return err_set(e, ERR_REMOTE, "away");
	assert_true(start >= START);
	if (tli != p->w.timeline)
		return 0;
	buf_add(bytes, p->w.bytes.data + (start - START), SEG);
	return 1;
}

static int
ask(struct place *p, size_t n, const struct wal_guard *g, struct err *e)
{
	struct wal_guard all = *g;
	char name[PG_WALNAME_TEXT], *path = put(p, n, "RECOVERYXLOG");
	int rc;

	all.data = p->data;
	all.segment_size = SEG;
	all.fetch = fetch;
	all.arg = p;
	pg_walname_segment(p->w.timeline, START + n * SEG, SEG, name);
	rc = wal_guard_judge(&all, name, path, &p->raised, e);
	free(path);
	return rc;
}

static const struct wal_guard plain = { .prepared = -1 };

static void
a_tablespace_of_another_server_is_refused_in_every_version(void **state)
{
	struct err e = { 0 };
	struct place p;

	(void)state;
	for (int version = 14; version <= 18; version++) {
		begin(&p, version);
		walkit_add(&p.w, 10, 0, 1, 1, 100);
		add_create(&p, 0, p.space);
		assert_int_equal(ask(&p, 0, &plain, &e), -1);
		assert_int_equal(e.kind, ERR_REFUSED);
		assert_non_null(strstr(e.text, "tablespace 12345"));
		assert_non_null(strstr(e.text, p.space));
		end(&p);
	}
}

static void
what_harms_nobody_is_handed_over(void **state)
{
	struct err e = { 0 };
	struct place p;
	char *free_path;

	(void)state;
	begin(&p, 15);
	free_path = xasprintf("%s/pg_wal", p.data);
	add_create(&p, 0x10, p.space); /* a DROP */
	add_create(&p, 0, "");	       /* in the data directory */
	add_create(&p, 0, "/nonexistent/place");
	add_create(&p, 0, free_path);
	assert_int_equal(ask(&p, 0, &plain, &e), 0);
	free(free_path);
	end(&p);
}

static void
a_path_that_a_link_of_the_directory_leads_to_is_its_own(void **state)
{
	struct err e = { 0 };
	struct place p;
	char *link, *other;

	(void)state;
	begin(&p, 15);
	add_create(&p, 0, p.space);
	other = xasprintf("%s/elsewhere", p.top);
	link = xasprintf("%s/pg_tblspc/12345", p.data);
	assert_int_equal(symlink(other, link), 0); /* as --tablespace leaves it */
	assert_int_equal(ask(&p, 0, &plain, &e), -1);
	free(link);
	link = xasprintf("%s/pg_tblspc/999", p.data);
	assert_int_equal(symlink(p.space, link), 0);
	assert_int_equal(ask(&p, 0, &plain, &e), 0);
	free(other);
	free(link);
	end(&p);
}

static void
a_proof_refuses_any_path_and_notes_it(void **state)
{
	const struct wal_guard confined = { .confined = true };
	struct err e = { 0 };
	struct buf text;
	struct place p;
	char *note;

	(void)state;
	begin(&p, 15);
	add_create(&p, 0, "");
	assert_int_equal(ask(&p, 0, &confined, &e), 0);
	add_create(&p, 0, "/nonexistent/a b");
	assert_int_equal(ask(&p, 0, &confined, &e), -1);
	note = xasprintf("%s/" WAL_GUARD_NOTE, p.data);
	buf_init(&text, 1000);
	assert_int_equal(file_get(AT_FDCWD, note, &text, NULL), 0);
	assert_non_null(strstr(buf_str(&text), "12345 0/"));
	assert_non_null(strstr(buf_str(&text), " /nonexistent/a b\n"));
	buf_done(&text);
	free(note);
	end(&p);
}

static void
only_what_is_replayed_counts(void **state)
{
	struct wal_guard g = { 0 };
	struct err e = { 0 };
	uint64_t at;
	struct place p;

	(void)state;
	begin(&p, 15);
	fill_up(&p, SEG - 100000);
	add_create(&p, 0, p.space);
	at = p.w.record[p.w.count - 1].start;
	walkit_add(&p.w, 10, 0, 1, 1, 100);
	g.from = at;
	assert_int_equal(ask(&p, 0, &g, &e), -1);
	g.from = at + 8;
	assert_int_equal(ask(&p, 0, &g, &e), 0);
	g.from = 0;
	g.to = at + 1;
	assert_int_equal(ask(&p, 0, &g, &e), -1);
	g.to = at;
	assert_int_equal(ask(&p, 0, &g, &e), 0);
	end(&p);
}

/* Its header may be cut, too. */
static void
a_record_that_begins_in_the_segment_before_is_seen(void **state)
{
	static const uint64_t left[] = { 8, 16, 24, 32, 48 };
	char name[PG_WALNAME_TEXT], *before;
	struct err e = { 0 };
	struct place p;

	(void)state;
	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
		begin(&p, 15);
		fill_up(&p, left[i]);
		assert_int_equal(START + SEG - walkit_end(&p.w), left[i]);
		add_create(&p, 0, p.space);
		walkit_add(&p.w, 10, 0, 1, 1, 100);
		/* Out of the archive, when pg_wal has it no more; else nobody knows. */
		assert_int_equal(ask(&p, 1, &plain, &e), -1);
		assert_int_equal(e.kind, ERR_REFUSED);
		assert_true(p.fetched > 0);
		p.away = true;
		assert_int_equal(ask(&p, 1, &plain, &e), -1);
		assert_int_equal(e.kind, ERR_REMOTE);
		/* Begun before anything is replayed. */
		assert_int_equal(ask(&p, 1, &(struct wal_guard){ .from = START + SEG }, &e), 0);
		before = put(&p, 0, pg_walname_segment(p.w.timeline, START, SEG, name));
		p.fetched = 0;
		assert_int_equal(ask(&p, 0, &plain, &e), 0);
		assert_int_equal(ask(&p, 1, &plain, &e), -1);
		assert_int_equal(e.kind, ERR_REFUSED);
		assert_int_equal(p.fetched, 0);
		free(before);
		end(&p);
	}
}

/* As XLOG_PARAMETER_CHANGE has it. */
static void
add_settings(struct place *p, uint8_t prepared)
{
	uint8_t body[2 + 26] = { 255, 26, 100 };

	body[2 + 12] = prepared;
	walkit_add_raw(&p->w, 0, 0x60, 0, body, sizeof(body));
}

static void
say(const struct place *p, const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", p->data, name);

	assert_int_not_equal(
	    file_put(AT_FDCWD, path, text, strlen(text), 0600, FILE_REPLACE, NULL), -1);
	free(path);
}

static void
what_the_server_was_given_for_prepared_transactions_the_directory_gets(void **state)
{
	static const struct {
		const char *conf, *own;
		int64_t then, raised;
	} c[] = { { "", "", 0, 10 }, { "", "", -1, 0 }, { "", "", 10, 0 },
		{ "max_prepared_transactions = 5\n", "", 5, 10 },
		{ "max_prepared_transactions = 20\n", "", 0, 0 },
		{ "max_prepared_transactions = 20\n", "max_prepared_transactions = '2'\n", 2, 10 } };
	struct err e = { 0 };
	struct place p;

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		const struct wal_guard g = { .prepared = c[i].then };
		struct buf text;
		char *path;

		begin(&p, 15);
		add_settings(&p, 4);
		add_settings(&p, 10);
		add_settings(&p, 0);
		say(&p, "postgresql.conf", c[i].conf);
		say(&p, "postgresql.auto.conf", c[i].own);
		assert_int_equal(ask(&p, 0, &g, &e), 0);
		assert_int_equal(p.raised, c[i].raised);
		path = xasprintf("%s/postgresql.auto.conf", p.data);
		buf_init(&text, 1000);
		assert_int_equal(file_get(AT_FDCWD, path, &text, NULL), 0);
		assert_int_equal(strstr(buf_str(&text), "max_prepared_transactions = '10'\n") != NULL,
		    c[i].raised == 10);
		assert_int_equal(strncmp(buf_str(&text), c[i].own, strlen(c[i].own)), 0);
		/* Once is enough. */
		p.raised = 0;
		assert_int_equal(ask(&p, 0, &g, &e), 0);
		assert_int_equal(p.raised, 0);
		buf_done(&text);
		free(path);
		end(&p);
	}
}

static void
the_data_directory_is_found_by_the_path_that_the_server_says(void **state)
{
	char *at, *got, *path;
	struct place p;

	(void)state;
	begin(&p, 15);
	path = xasprintf("%s/pg_wal/RECOVERYXLOG", p.data);
	got = wal_guard_data(path);
	at = xasprintf("%s/", p.data);
	assert_string_equal(got, at);
	free(got);
	free(at);
	free(path);
	assert_int_equal(chdir(p.data), 0);
	got = wal_guard_data("pg_wal/RECOVERYXLOG");
	assert_string_equal(got, ".");
	free(got);
	assert_int_equal(chdir("pg_wal"), 0);
	got = wal_guard_data("RECOVERYXLOG");
	assert_string_equal(got, "..");
	free(got);
	assert_int_equal(chdir("/"), 0);
	assert_null(wal_guard_data("/tmp/RECOVERYXLOG"));
	assert_null(wal_guard_data("tmp/RECOVERYXLOG"));
	end(&p);
}

static bool
aims(struct place *p, const char *conf, const char *target)
{
	char *path = xasprintf("%s/postgresql.auto.conf", p->data);
	bool does;

	assert_int_equal(file_put(AT_FDCWD, path, conf, strlen(conf), 0600, FILE_REPLACE, NULL), 1);
	does = wal_guard_aims(p->data, target);
	unlink(path);
	free(path);
	return does;
}

static void
a_target_that_was_changed_is_another_one(void **state)
{
	static const char conf[] = "restore_command = 'x'\nrecovery_target_lsn = '0/7000028'\n"
				   "recovery_target_inclusive = 'on'\n"
				   "recovery_target_timeline = '1'\n"
				   "recovery_target_action = 'pause'\n";
	struct place p;

	(void)state;
	begin(&p, 15);
	assert_true(aims(&p, conf, "0/7000028 on 1"));
	assert_false(aims(&p, conf, "0/7000020 on 1"));
	assert_false(aims(&p, conf, "0/7000028 off 1"));
	assert_false(aims(&p, "recovery_target_timeline = '1'\n", "0/7000028 on 1"));
	assert_true(aims(&p, "recovery_target = 'immediate'\nrecovery_target_timeline = '2'\n"
			     "recovery_target_time = ''\n", "immediate 2"));
	/* nobody says what it is */
	assert_false(wal_guard_aims(p.data, "immediate 2"));
	end(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tablespace_of_another_server_is_refused_in_every_version),
		cmocka_unit_test(what_harms_nobody_is_handed_over),
		cmocka_unit_test(a_path_that_a_link_of_the_directory_leads_to_is_its_own),
		cmocka_unit_test(a_proof_refuses_any_path_and_notes_it),
		cmocka_unit_test(only_what_is_replayed_counts),
		cmocka_unit_test(a_record_that_begins_in_the_segment_before_is_seen),
		cmocka_unit_test(what_the_server_was_given_for_prepared_transactions_the_directory_gets),
		cmocka_unit_test(a_target_that_was_changed_is_another_one),
		cmocka_unit_test(the_data_directory_is_found_by_the_path_that_the_server_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
