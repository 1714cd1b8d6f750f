/* That pg_verifybackup takes what is written here is shown where there is a server. */
#include "tests/lib/vector.h"

#include <jansson.h>
#include <string.h>

#include "source/pg/pg_manifest.h"

static void
make(struct pg_manifest *m, uint64_t sysid)
{
	struct err e = { 0 };

	pg_manifest_begin(m, sysid);
	pg_manifest_file(m, "base/5/1\"2", 8192, 0, 0x01020304);
	pg_manifest_file(m, "odd\xff", 0, 1763744591, 0);
	assert_int_equal(
	    pg_manifest_end(m, 7, UINT64_C(0x1A00000028), UINT64_C(0x1A00000100), &e), 0);
}

static void
it_is_json_with_odd_names_as_the_server_writes_them(void **state)
{
	struct pg_manifest m;
	json_t *root, *file;

	(void)state;
	make(&m, 0);
	root = json_loadb((const char *)m.text.data, m.text.len, 0, NULL);
	assert_non_null(root);
	assert_int_equal(
	    json_integer_value(json_object_get(root, "PostgreSQL-Backup-Manifest-Version")), 1);
	file = json_array_get(json_object_get(root, "Files"), 0);
	assert_string_equal(json_string_value(json_object_get(file, "Path")), "base/5/1\"2");
	assert_string_equal(json_string_value(json_object_get(file, "Checksum")), "04030201");
	assert_string_equal(
	    json_string_value(json_object_get(file, "Last-Modified")), "1970-01-01 00:00:00 GMT");
	file = json_array_get(json_object_get(root, "Files"), 1);
	assert_string_equal(json_string_value(json_object_get(file, "Encoded-Path")), "6f6464ff");
	json_decref(root);
	pg_manifest_done(&m);
}

static void
from_17_on_it_names_the_system(void **state)
{
	struct pg_manifest m;

	(void)state;
	make(&m, UINT64_C(7710673988944360477));
	assert_non_null(
	    strstr((const char *)m.text.data, "\"System-Identifier\": 7710673988944360477,"));
	pg_manifest_done(&m);
}

static void
its_ranges_can_be_read_and_any_change_is_noticed(void **state)
{
	struct pg_manifest_range range[2];
	struct pg_manifest m;
	struct err e = { 0 };

	(void)state;
	make(&m, 0);
	assert_int_equal(
	    pg_manifest_ranges((const char *)m.text.data, m.text.len, range, 2, &e), 1);
	assert_int_equal(range[0].tli, 7);
	assert_int_equal(range[0].start, UINT64_C(0x1A00000028));
	assert_int_equal(range[0].end, UINT64_C(0x1A00000100));
	for (size_t at = 0; at < m.text.len - 4; at++) {
		m.text.data[at] ^= 1;
		assert_int_equal(
		    pg_manifest_ranges((const char *)m.text.data, m.text.len, range, 2, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		m.text.data[at] ^= 1;
	}
	for (size_t n = 0; n < m.text.len - 3; n++)
		assert_int_equal(
		    pg_manifest_ranges((const char *)m.text.data, n, range, 2, &e), -1);
	pg_manifest_done(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_json_with_odd_names_as_the_server_writes_them),
		cmocka_unit_test(from_17_on_it_names_the_system),
		cmocka_unit_test(its_ranges_can_be_read_and_any_change_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
