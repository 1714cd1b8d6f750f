/*
 * What libpq and servers say when something is wrong, and what we make of it.
 */
#include "tests/lib/vector.h"

#include <string.h>

#include "source/pg/pg_error.h"

static struct err e;
static char state[PG_ERROR_STATE];

static void
connect_says(const char *text)
{
	err_clear(&e);
	assert_int_equal(pg_error_connect("db1:5432", text, state, &e), -1);
}

static void
a_state_becomes_the_kind_that_decides_about_another_try(void **s)
{
	static const struct {
		const char *state;
		enum err_kind kind;
	} cases[] = {
		{ "", ERR_REMOTE }, { "08006", ERR_REMOTE }, { "57P01", ERR_REMOTE },
		{ "57P03", ERR_REMOTE }, { "53300", ERR_REMOTE }, { "53400", ERR_REFUSED },
		{ "53100", ERR_FULL }, { "28P01", ERR_PERMISSION }, { "28000", ERR_PERMISSION },
		{ "42501", ERR_PERMISSION }, { "42704", ERR_NOTFOUND }, { "42710", ERR_EXISTS },
		{ "58P01", ERR_NOTFOUND }, { "55006", ERR_BUSY }, { "55000", ERR_REFUSED },
		{ "42601", ERR_UNSUPPORTED }, { "XX001", ERR_CORRUPT }, { "XX000", ERR_IO },
	};

	(void)s;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(pg_error_kind(cases[i].state), cases[i].kind);
}

static void
an_error_of_the_server_has_its_state_detail_and_hint(void **s)
{
	(void)s;
	pg_error_server("db1:5432", &(struct pg_error){ .sqlstate = "42704", .message = "no slot",
		.detail = "why", .hint = "do this" }, &e);
	assert_int_equal(e.kind, ERR_NOTFOUND);
	assert_true(strstr(e.text, "postgres at db1:5432: no slot (42704)\n  detail") == e.text);
	assert_non_null(strstr(e.text, "why\n  hint"));
	pg_error_server("db1:5432", &(struct pg_error){ .message = "lost\n\tby somebody\n" }, &e);
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_string_equal(e.text, "postgres at db1:5432: lost");
}

static void
the_state_of_a_refused_connection_is_found_in_its_text(void **s)
{
	(void)s;
	connect_says("connection to server at \"db1\" (10.0.0.1), port 5432 failed: FATAL:  28P01: "
		     "password "
		     "authentication failed for user \"x\"\nLOCATION:  auth_failed, auth.c:338\n");
	assert_int_equal(e.kind, ERR_PERMISSION);
	assert_string_equal(state, "28P01");
	assert_string_equal(e.text,
	    "postgres at db1:5432: password authentication failed for user \"x\" (28P01)");
	connect_says("connection to server on socket \"/tmp/.s\" failed: FATAL:  57P03: the "
		     "database system is "
		     "starting up\nDETAIL:  soon\nHINT:  wait\nLOCATION:  x\n");
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_non_null(strstr(e.text, "(57P03)\n  detail"));
	assert_non_null(strstr(e.text, "hint"));
	assert_null(strstr(e.text, "LOCATION"));
}

static void
a_refused_password_is_told_before_what_came_later(void **s)
{
	(void)s;
	connect_says("connection to server at \"h\" (::1), port 1 failed: FATAL:  28P01: wrong\n"
		     "connection to server at \"h\" (::1), port 1 failed: Connection refused\n"
		     "\tIs the server running on that host and accepting TCP/IP connections?\n");
	assert_string_equal(state, "28P01");
	assert_null(strstr(e.text, "refused"));
	connect_says("connection to server at \"h\" (::1), port 1 failed: Connection refused\n"
		     "connection to server at \"h\" (1.2.3.4), port 1 failed: FATAL:  28000: no "
		     "entry\n");
	assert_string_equal(state, "28000");
}

static void
what_libpq_says_by_itself_is_remote_unless_it_is_about_trust(void **s)
{
	(void)s;
	connect_says("connection to server at \"127.0.0.1\", port 1 failed: Connection refused\n"
		     "\tIs the server running on that host and accepting TCP/IP connections?\n");
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_string_equal(e.text, "postgres at db1:5432: Connection refused");
	connect_says("connection to server at \"h\", port 1 failed: SSL error: certificate verify "
		     "failed\n");
	assert_int_equal(e.kind, ERR_PERMISSION);
	connect_says("root certificate file \"/x\" does not exist\nEither provide the file or "
		     "change sslmode.");
	assert_int_equal(e.kind, ERR_PERMISSION);
	assert_string_equal(state, "");
	connect_says("");
	assert_int_equal(e.kind, ERR_REMOTE);
}

static void
a_state_is_five_characters_and_nothing_else(void **s)
{
	static const char *const none[] = {
		"connection to server failed: FATAL:  28P0: x",
		"connection to server failed: FATAL:  28P01",
		"connection to server failed: FATAL:  28p01: x",
		"connection to server failed: FATAL: 28P01: x",
		"connection to server failed: FATAL:  ",
		"connection to server failed: :",
		":",
		"\n\n",
	};

	(void)s;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		connect_says(none[i]);
		assert_string_equal(state, "");
		assert_int_equal(e.kind, ERR_REMOTE);
	}
}

static void
nothing_that_was_quoted_is_repeated_of_a_connection_string(void **s)
{
	(void)s;
	pg_error_conninfo("missing \"=\" after \"hunter2\" in connection info string\n", &e);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_null(strstr(e.text, "hunter2"));
	assert_non_null(strstr(e.text, "missing"));
	pg_error_conninfo("unterminated \"hunter2", &e);
	assert_null(strstr(e.text, "hunter2"));
	pg_error_conninfo("", &e);
	assert_int_equal(e.kind, ERR_CONFIG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_state_becomes_the_kind_that_decides_about_another_try),
		cmocka_unit_test(an_error_of_the_server_has_its_state_detail_and_hint),
		cmocka_unit_test(the_state_of_a_refused_connection_is_found_in_its_text),
		cmocka_unit_test(a_refused_password_is_told_before_what_came_later),
		cmocka_unit_test(what_libpq_says_by_itself_is_remote_unless_it_is_about_trust),
		cmocka_unit_test(a_state_is_five_characters_and_nothing_else),
		cmocka_unit_test(nothing_that_was_quoted_is_repeated_of_a_connection_string),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
