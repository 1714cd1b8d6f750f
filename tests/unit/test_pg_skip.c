#include "tests/lib/vector.h"

#include <string.h>

#include "base/mem.h"
#include "source/pg/pg_skip.h"

static void
files_of_the_running_server_are_left_out(void **state)
{
	static const char *const out[] = { "postmaster.pid", "postmaster.opts", "backup_label",
		"tablespace_map", "backup_manifest", "postgresql.auto.conf.tmp",
		"current_logfiles.tmp", "base/5/pg_internal.init", "global/pg_internal.init.123",
		"base/pgsql_tmp/pgsql_tmp123.0", "base/5/t3_16384", "base/5/t12_16384.1",
		"base/5/t3_16384_fsm", "pg_wal/000000010000000000000001",
		"pg_wal/archive_status/x.ready", "pg_tblspc/1/PG_15_1/pgsql_tmp/pgsql_tmp9" };
	static const char *const in[] = { "PG_VERSION", "postgresql.conf", "postgresql.auto.conf",
		"pg_hba.conf", "base/5/16384", "base/5/16384_init", "global/pg_control",
		"pg_xact/0000", "current_logfiles", "t_x", "base/5/tbl_1", "base/5/t_1",
		"log/postgresql.log", "backup_label.old" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(out); i++)
		if (!pg_skip_file(out[i], strlen(out[i])))
			fail_msg("'%s' was taken", out[i]);
	for (size_t i = 0; i < ARRAY_LEN(in); i++)
		if (pg_skip_file(in[i], strlen(in[i])))
			fail_msg("'%s' was left out", in[i]);
}

static void
directories_that_the_server_fills_anew_are_kept_empty(void **state)
{
	(void)state;
	assert_true(pg_skip_inside("pg_replslot", 11));
	assert_true(pg_skip_inside("pg_wal/archive_status", 21));
	assert_true(pg_skip_inside("base/pgsql_tmp", 14));
	assert_false(pg_skip_inside("pg_wal", 6));
	assert_false(pg_skip_inside("pg_xact", 7));
	assert_false(pg_skip_inside("x/pg_replslot", 13));
}

static void
a_relation_that_may_be_unlogged_is_known_by_its_digits(void **state)
{
	size_t at = 0;

	(void)state;
	assert_int_equal(pg_skip_unlogged("base/5/16384_fsm", 16, &at), 5);
	assert_int_equal(at, 7);
	assert_int_equal(pg_skip_unlogged("base/5/16384.2", 14, &at), 5);
	assert_int_equal(pg_skip_unlogged("base/5/16384_init", 17, &at), 0);
	assert_int_equal(pg_skip_unlogged("global/1262", 11, &at), 0);
	assert_int_equal(pg_skip_unlogged("pg_xact/0000", 12, &at), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_of_the_running_server_are_left_out),
		cmocka_unit_test(directories_that_the_server_fills_anew_are_kept_empty),
		cmocka_unit_test(a_relation_that_may_be_unlogged_is_known_by_its_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
