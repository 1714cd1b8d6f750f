/* Sizes, durations and times: what is read, what is refused, and that printing reads back. */
#include "tests/lib/vector.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"

#define S INT64_C(1000)
#define D (86400 * S)
#define NS INT64_C(1000000000)

static struct err e;

static void
sizes_are_read_in_both_systems(void **state)
{
	static const struct {
		const char *text;
		uint64_t want;
	} row[] = {
		{ "0", 0 },
		{ "17", 17 },
		{ "17B", 17 },
		{ "1k", 1024 },
		{ "1K", 1024 },
		{ "1KiB", 1024 },
		{ "32m", 32u << 20 },
		{ "32 m", 32u << 20 },
		{ "50g", UINT64_C(50) << 30 },
		{ "2t", UINT64_C(2) << 40 },
		{ "1kB", 1000 },
		{ "100MB", 100000000 },
		{ "3GB", UINT64_C(3000000000) },
		{ "1TB", UINT64_C(1000000000000) },
		{ "18446744073709551615", UINT64_MAX },
	};
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		assert_int_equal(units_parse_size(row[i].text, &v, &e), 0);
		assert_true(v == row[i].want);
	}
}

static void
what_is_no_size_is_refused_and_nothing_stored(void **state)
{
	static const char *const row[] = { "", "m", "-1", "+1", "1.5g", "1x", "1mm", "1m ", " 1",
		"0x10", "18446744073709551616", "16777216t", "1 ", "1e3" };
	uint64_t v = 77;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		err_clear(&e);
		assert_int_equal(units_parse_size(row[i], &v, &e), -1);
		assert_int_equal(e.kind, ERR_USAGE);
		assert_int_equal(v, 77);
	}
	units_parse_size("1.5g", &v, &e);
	assert_string_equal(e.text,
	    "'1.5g' is not a size, expected something like 32m or 100MB");
	units_parse_size("16777216t", &v, &e);
	assert_string_equal(e.text, "'16777216t' is too large a size");
}

static void
durations_are_read_alone_and_in_sums(void **state)
{
	static const struct {
		const char *text;
		int64_t want;
	} row[] = {
		{ "0", 0 },
		{ "0s", 0 },
		{ "500ms", 500 },
		{ "30s", 30 * S },
		{ "5m", 300 * S },
		{ "4h", 4 * 3600 * S },
		{ "7d", 7 * D },
		{ "1w", 7 * D },
		{ "1y", 365 * D },
		{ "200y", 200 * 365 * D },
		{ "1h30m", 5400 * S },
		{ "4m 31s", 271 * S },
	};
	int64_t v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		assert_int_equal(units_parse_duration(row[i].text, &v, &e), 0);
		assert_int_equal(v, row[i].want);
	}
}

static void
what_is_no_duration_is_refused(void **state)
{
	static const char *const row[] = { "", "5", "h", "-1h", "1.5h", "1 h", "1h ", "1h  2m", "1H",
		"1hour", "0 ", "1h2", "201y", "99999999999999999999ms", "200y1ms" };
	int64_t v = 77;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		assert_int_equal(units_parse_duration(row[i], &v, &e), -1);
		assert_int_equal(e.kind, ERR_USAGE);
		assert_int_equal(v, 77);
	}
}

static void
times_are_read_with_every_zone(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds, ns;
	} row[] = {
		{ "1970-01-01T00:00:00Z", 0, 0 },
		{ "2026-11-21T02:00:00Z", 1795226400, 0 },
		{ "2026-11-21 02:00:00Z", 1795226400, 0 },
		{ "2026-11-21 02:00:00", 1795226400, 0 },
		{ "2026-11-21t02:00:00z", 1795226400, 0 },
		{ "2026-11-21T03:30:00+01:30", 1795226400, 0 },
		{ "2026-11-20T21:00:00-05:00", 1795226400, 0 },
		{ "2026-11-21 03:00:00 +01:00", 1795226400, 0 },
		{ "2026-11-21T02:00:00.5Z", 1795226400, 500000000 },
		{ "2026-11-21T02:00:00.000000001Z", 1795226400, 1 },
		{ "2024-02-29T23:59:60Z", 1709251200, 0 },
		{ "1969-12-31T23:59:59.25Z", -1, 250000000 },
		{ "2000-02-29T00:00:00Z", 951782400, 0 },
		{ "2026-11-21", 1795219200, 0 },
		{ "2026-11-21 02:00", 1795226400, 0 },
		{ "2026-11-21T02:00Z", 1795226400, 0 },
		{ "2026-11-21 02:00 Z", 1795226400, 0 },
		{ "2026-11-21T03:00+01:00", 1795226400, 0 },
		{ "2026-11-21 03:00 +01:00", 1795226400, 0 },
		{ "2026-11-21 03:00:00+01", 1795226400, 0 },
		{ "2026-11-21 02:00:00.25+00", 1795226400, 250000000 },
	};
	int64_t v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		assert_int_equal(units_parse_time(row[i].text, &v, &e), 0);
		assert_int_equal(v, row[i].seconds * NS + row[i].ns);
	}
}

static void
what_is_no_time_is_refused(void **state)
{
	static const char *const row[] = { "", "now", "2026-11-21Z", "2026-11-21T",
		"2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-02-29T00:00:00Z",
		"1900-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-11-00T00:00:00Z",
		"2026-11-21T24:00:00Z", "2026-11-21T02:60:00Z", "2026-11-21T02:00:61Z",
		"2026-11-21T02:00:00.Z", "2026-11-21T02:00:00.0000000001Z", "2026-11-21T02:00:00ZZ",
		"2026-11-21T02:00:00 ", "2026-11-21T02:00:00+1:00", "2026-11-21T02:00:00+24:00",
		"2026-11-21T02:00:00+01:60", "2026-11-21T02:00:00+0100", "+026-11-21T02:00:00Z",
		"2026-11-21_02:00:00Z", "1677-12-31T00:00:00Z", "2262-01-01T00:00:00Z",
		"2026-1-21T02:00:00Z", "2026-11", "2026-11-21 ", "2026-11-21 +01:00", "2026-11-32",
		"2026-02-29", "2026-11-21 2:00", "2026-11-21 02", "2026-11-21 02:", "2026-11-21T0200Z",
		"2026-11-21 02:00:", "2026-11-21 02:00:0", "2026-11-21 02:00.5", "2026-11-21 24:00",
		"20261121", "2026-11-21 -1:00", "2026-11-21 02:00 UTC" };
	int64_t v = 77;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		assert_int_equal(units_parse_time(row[i], &v, &e), -1);
		assert_int_equal(e.kind, ERR_USAGE);
		assert_int_equal(v, 77);
	}
}

static void
compact_times_are_sixteen_characters(void **state)
{
	static const char *const bad[] = { "", "20261121T020000", "20261121T020000X",
		"20261121 020000Z", "20261321T020000Z", "20261121T020060Z", "2026112aT020000Z" };
	char text[UNITS_TEXT];
	int64_t v = 0;

	(void)state;
	assert_int_equal(units_parse_time_compact("20261121T020000Z-1a2b3c4d", &v), 0);
	assert_int_equal(v, 1795226400 * NS);
	assert_string_equal(units_time_compact(v, text), "20261121T020000Z");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(units_parse_time_compact(bad[i], &v), -1);
}

static void
times_are_written_downwards(void **state)
{
	char text[UNITS_TEXT];

	(void)state;
	assert_string_equal(units_time(1795226400 * NS + 999999999, text), "2026-11-21T02:00:00Z");
	assert_string_equal(units_time(-1, text), "1969-12-31T23:59:59Z");
	assert_string_equal(units_time_exact(-1, text), "1969-12-31T23:59:59.999999Z");
	assert_string_equal(units_time_exact(1795226400 * NS + 999, text), "2026-11-21T02:00:00Z");
	assert_string_equal(units_time_exact(1795226400 * NS + 250001999, text),
	    "2026-11-21T02:00:00.250001Z");
	assert_string_equal(units_time(0, text), "1970-01-01T00:00:00Z");
	assert_string_equal(units_time(INT64_MAX, text), "2262-04-11T23:47:16Z");
	assert_string_equal(units_time(INT64_MIN, text), "1677-09-21T00:12:43Z");
}

static void
sizes_are_written_for_people(void **state)
{
	static const struct {
		uint64_t v;
		const char *text;
	} row[] = {
		{ 0, "0 B" },
		{ 999, "999 B" },
		{ 1000, "1.00 kB" },
		{ 9999, "10.0 kB" },
		{ 99999, "100 kB" },
		{ 999499, "999 kB" },
		{ 999500, "1.00 MB" },
		{ UINT64_C(4840000000), "4.84 GB" },
		{ UINT64_C(1310000000), "1.31 GB" },
		{ 701000000, "701 MB" },
		{ UINT64_MAX, "18.4 EB" },
	};
	char text[UNITS_TEXT];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++)
		assert_string_equal(units_size(row[i].v, text), row[i].text);
}

static void
durations_are_written_for_people(void **state)
{
	static const struct {
		int64_t v;
		const char *text;
	} row[] = {
		{ 0, "0 ms" },
		{ 999, "999 ms" },
		{ 6900, "6.9 s" },
		{ 59999, "59.9 s" },
		{ 60 * S, "1m" },
		{ 271 * S, "4m 31s" },
		{ 3600 * S, "1h" },
		{ 3605 * S, "1h" },
		{ 74 * 3600 * S, "3d 2h" },
		{ 366 * D, "1y 1d" },
		{ -271 * S, "-4m 31s" },
		{ INT64_MIN, "-292471208y 247d" },
	};
	char text[UNITS_TEXT];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++)
		assert_string_equal(units_duration(row[i].v, text), row[i].text);
}

static void
keys_are_written_as_one_types_them(void **state)
{
	char text[UNITS_TEXT];

	(void)state;
	assert_string_equal(units_size_key(32u << 20, text), "32m");
	assert_string_equal(units_size_key(1536, text), "1536");
	assert_string_equal(units_size_key(100000000, text), "100000000");
	assert_string_equal(units_size_key(0, text), "0");
	assert_string_equal(units_duration_key(30 * D, text), "30d");
	assert_string_equal(units_duration_key(7 * D, text), "7d");
	assert_string_equal(units_duration_key(365 * D, text), "365d");
	assert_string_equal(units_duration_key(7 * 365 * D, text), "7y");
	assert_string_equal(units_duration_key(90 * S, text), "90s");
	assert_string_equal(units_duration_key(1500, text), "1500ms");
	assert_string_equal(units_duration_key(0, text), "0");
}

static void
keys_read_back_exactly(void **state)
{
	uint64_t noise[2], size;
	char text[UNITS_TEXT];
	int64_t ms, back;

	(void)state;
	for (uint64_t i = 0; i < 5000; i++) {
		vector_noise((uint8_t *)noise, sizeof(noise), i);
		noise[0] >>= noise[1] & 63;
		noise[0] <<= noise[1] >> 6 & 31;
		assert_int_equal(units_parse_size(units_size_key(noise[0], text), &size, &e), 0);
		assert_true(size == noise[0]);
		ms = (int64_t)(noise[0] % (uint64_t)(200 * 365 * D));
		assert_int_equal(units_parse_duration(units_duration_key(ms, text), &back, &e), 0);
		assert_int_equal(back, ms);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_read_in_both_systems),
		cmocka_unit_test(what_is_no_size_is_refused_and_nothing_stored),
		cmocka_unit_test(durations_are_read_alone_and_in_sums),
		cmocka_unit_test(what_is_no_duration_is_refused),
		cmocka_unit_test(times_are_read_with_every_zone),
		cmocka_unit_test(what_is_no_time_is_refused),
		cmocka_unit_test(compact_times_are_sixteen_characters),
		cmocka_unit_test(times_are_written_downwards),
		cmocka_unit_test(sizes_are_written_for_people),
		cmocka_unit_test(durations_are_written_for_people),
		cmocka_unit_test(keys_are_written_as_one_types_them),
		cmocka_unit_test(keys_read_back_exactly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
