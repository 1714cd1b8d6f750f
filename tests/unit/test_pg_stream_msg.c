/*
 * Messages of the replication stream, byte by byte.
 */
#include "tests/lib/vector.h"

#include <string.h>

#include "source/pg/pg_stream_msg.h"

static struct pg_stream_msg m;
static struct err e;

/* A message and its end: every shorter one must be told apart. */
static const uint8_t wal[] = { 'w', 0, 0, 0, 5, 0x7C, 0, 0, 0xF8, 0, 0, 0, 5, 0x7D, 0, 0, 0,
	0, 0, 0, 0, 0, 0x0F, 0x42, 0x40, 'a', 'b' };
static const uint8_t alive[] = { 'k', 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1 };

static void
wal_has_its_place_its_end_and_its_bytes(void **s)
{
	(void)s;
	assert_int_equal(pg_stream_msg_read(wal, sizeof(wal), &m, &e), 1);
	assert_int_equal(m.type, PG_STREAM_MSG_WAL);
	assert_true(m.lsn == UINT64_C(0x57C0000F8) && m.server_end == UINT64_C(0x57D000000));
	/* A second after the year 2000 began. */
	assert_true(m.time_ns == INT64_C(946684801) * 1000000000);
	assert_int_equal(m.len, 2);
	assert_memory_equal(m.data, "ab", 2);
	assert_int_equal(pg_stream_msg_read(wal, sizeof(wal) - 2, &m, &e), 1);
	assert_int_equal(m.len, 0);
}

static void
a_keepalive_says_whether_it_wants_an_answer(void **s)
{
	uint8_t quiet[sizeof(alive)];

	(void)s;
	assert_int_equal(pg_stream_msg_read(alive, sizeof(alive), &m, &e), 1);
	assert_true(m.server_end == 0x102 && m.reply);
	memcpy(quiet, alive, sizeof(quiet));
	quiet[17] = 0;
	assert_int_equal(pg_stream_msg_read(quiet, sizeof(quiet), &m, &e), 1);
	assert_false(m.reply);
}

static void
what_is_cut_short_is_refused(void **s)
{
	(void)s;
	for (size_t n = 0; n < 25; n++)
		assert_int_equal(pg_stream_msg_read(wal, n, &m, &e), -1);
	for (size_t n = 1; n < sizeof(alive); n++)
		assert_int_equal(pg_stream_msg_read(alive, n, &m, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
}

static void
wal_beyond_the_last_place_is_refused(void **s)
{
	uint8_t bytes[sizeof(wal)];

	(void)s;
	memcpy(bytes, wal, sizeof(wal));
	memset(bytes + 1, 0xff, 8);
	assert_int_equal(pg_stream_msg_read(bytes, sizeof(bytes), &m, &e), -1);
	bytes[8] = 0xfd; /* two bytes fit exactly */
	assert_int_equal(pg_stream_msg_read(bytes, sizeof(bytes), &m, &e), 1);
}

static void
a_time_that_cannot_be_is_no_time(void **s)
{
	uint8_t bytes[sizeof(wal)];

	(void)s;
	memcpy(bytes, wal, sizeof(wal));
	memset(bytes + 17, 0x7f, 8);
	assert_int_equal(pg_stream_msg_read(bytes, sizeof(bytes), &m, &e), 1);
	assert_true(m.time_ns == 0);
}

static void
another_type_is_told_and_gives_nothing(void **s)
{
	uint8_t bytes[40];

	(void)s;
	memset(bytes, 0xff, sizeof(bytes));
	for (unsigned type = 0; type < 256; type++) {
		if (type == 'w' || type == 'k')
			continue;
		bytes[0] = (uint8_t)type;
		assert_int_equal(pg_stream_msg_read(bytes, sizeof(bytes), &m, &e), 0);
		assert_int_equal(m.type, type);
		assert_true(m.lsn == 0 && m.server_end == 0 && m.len == 0 && !m.reply);
	}
}

static void
a_report_is_34_bytes_in_the_servers_order(void **s)
{
	uint8_t out[PG_STREAM_MSG_STATUS];

	(void)s;
	pg_stream_msg_status(&(struct pg_stream_status){ .write = 0x300, .flush = 0x200, .apply = 0x100,
		.time_ns = INT64_C(946684801) * 1000000000, .reply = true }, out);
	vector_is(out, sizeof(out), "72" "0000000000000300" "0000000000000200" "0000000000000100"
	    "00000000000f4240" "01");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wal_has_its_place_its_end_and_its_bytes),
		cmocka_unit_test(a_keepalive_says_whether_it_wants_an_answer),
		cmocka_unit_test(what_is_cut_short_is_refused),
		cmocka_unit_test(wal_beyond_the_last_place_is_refused),
		cmocka_unit_test(a_time_that_cannot_be_is_no_time),
		cmocka_unit_test(another_type_is_told_and_gives_nothing),
		cmocka_unit_test(a_report_is_34_bytes_in_the_servers_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
