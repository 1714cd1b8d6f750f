#include "tests/lib/vector.h"

#include <string.h>

#include "base/mem.h"
#include "source/pg/pg_label.h"

/* As PostgreSQL 15 wrote it. */
static const char label[] = "START WAL LOCATION: 16/B374D848 (file 0000000300000016000000B3)\n"
			    "CHECKPOINT LOCATION: 16/B374D880\n"
			    "BACKUP METHOD: streamed\n"
			    "BACKUP FROM: primary\n"
			    "START TIME: 2026-11-21 17:00:00 UTC\n"
			    "LABEL: ffdr\n"
			    "START TIMELINE: 3\n";

static void
a_label_tells_where_recovery_begins(void **state)
{
	struct pg_label l;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(pg_label_parse(label, strlen(label), &l, &e), 0);
	assert_int_equal(l.start_lsn, UINT64_C(0x16B374D848));
	assert_int_equal(l.checkpoint_lsn, UINT64_C(0x16B374D880));
	assert_int_equal(l.start_tli, 3);
	assert_false(l.from_standby);
	assert_false(l.incremental);
}

static void
a_label_without_one_of_its_lines_is_refused_and_says_which(void **state)
{
	static const char *const line[] = { "START WAL LOCATION", "CHECKPOINT LOCATION",
		"START TIMELINE" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(line); i++) {
		struct pg_label l;
		struct err e = { 0 };
		char text[sizeof(label)];
		char *at;

		memcpy(text, label, sizeof(label));
		at = strstr(text, line[i]);
		*at = 'x';
		assert_int_equal(pg_label_parse(text, strlen(text), &l, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		assert_non_null(strstr(e.text, line[i]));
	}
}

static void
a_standby_and_an_incremental_are_known(void **state)
{
	static const char more[] =
	    "BACKUP FROM: standby\nSTART WAL LOCATION: 0/1\nCHECKPOINT LOCATION: 0/1\n"
	    "START TIMELINE: 1\nINCREMENTAL FROM LSN: 0/2000028\n";
	struct pg_label l;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(pg_label_parse(more, strlen(more), &l, &e), 0);
	assert_true(l.from_standby);
	assert_true(l.incremental);
}

static void
a_map_survives_the_way_there_and_back(void **state)
{
	struct pg_label_map m = { 0 }, back;
	struct err e = { 0 };
	struct buf text;

	(void)state;
	buf_init(&text, 1000);
	pg_label_map_add(&m, 16384, "/srv/fast disk");
	pg_label_map_add(&m, 4294967295u, "/srv/with\nnewline\\and\rreturn");
	pg_label_map_write(&m, &text);
	assert_int_equal(pg_label_map_parse(buf_str(&text), text.len, &back, &e), 0);
	assert_int_equal(back.count, 2);
	assert_string_equal(pg_label_map_find(&back, 16384)->path, "/srv/fast disk");
	assert_string_equal(
	    pg_label_map_find(&back, 4294967295u)->path, "/srv/with\nnewline\\and\rreturn");
	assert_null(pg_label_map_find(&back, 1));
	pg_label_map_done(&m);
	pg_label_map_done(&back);
	buf_done(&text);
}

static void
a_map_that_is_none_is_refused(void **state)
{
	static const char *const bad[] = { "x /srv\n", "16384\n", "16384 \n", "16384 /srv",
		"0 /srv\n", "4294967296 /srv\n", "16384 /srv\\", "-1 /srv\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct pg_label_map m;
		struct err e = { 0 };

		assert_int_equal(pg_label_map_parse(bad[i], strlen(bad[i]), &m, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_label_tells_where_recovery_begins),
		cmocka_unit_test(a_label_without_one_of_its_lines_is_refused_and_says_which),
		cmocka_unit_test(a_standby_and_an_incremental_are_known),
		cmocka_unit_test(a_map_survives_the_way_there_and_back),
		cmocka_unit_test(a_map_that_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
