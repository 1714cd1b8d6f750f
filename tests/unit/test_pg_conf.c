#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <string.h>

#include "base/mem.h"
#include "source/pg/pg_conf.h"

static void
reads(const char *line, const char *key, const char *value)
{
	struct pg_conf_line l;

	pg_conf_line_init(&l);
	assert_true(pg_conf_line_read(line, strlen(line), &l));
	assert_true(pg_conf_line_is(&l, key));
	assert_string_equal(buf_str(&l.value), value);
	pg_conf_line_done(&l);
}

static void
reads_nothing(const char *line)
{
	struct pg_conf_line l;

	pg_conf_line_init(&l);
	assert_false(pg_conf_line_read(line, strlen(line), &l));
	pg_conf_line_done(&l);
}

static void
lines_are_read_as_a_server_reads_them(void **state)
{
	(void)state;
	reads("port = 5432", "port", "5432");
	reads("  port=5432 # here", "port", "5432");
	reads("port 5432", "port", "5432");
	reads("Work_Mem = '5MB'\r", "work_mem", "5MB");
	reads("a.b = 'it''s \\'so\\' # \\\\ \\n\\101'", "a.b", "it's 'so' # \\ \nA");
	reads("include_dir 'conf.d'", "include_dir", "conf.d");
	reads("x = ''", "x", "");
	reads_nothing("");
	reads_nothing("   # port = 1");
	reads_nothing("= 5");
	reads_nothing("port");
	reads_nothing("port = 'no end");
	reads_nothing("port = '\\");
}

static bool
is_port(void *arg, const struct pg_conf_line *l)
{
	(void)arg;
	return pg_conf_line_is(l, "port");
}

static void
what_is_dropped_becomes_a_comment_or_goes(void **state)
{
	static const char text[] = "a = 1\nPORT = 2\n# port = 3\nport 4";
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	assert_int_equal(pg_conf_filter(text, strlen(text), false, is_port, NULL, &out), 2);
	assert_string_equal(buf_str(&out), "a = 1\n#ffdr: PORT = 2\n# port = 3\n#ffdr: port 4\n");
	buf_reset(&out);
	assert_int_equal(pg_conf_filter(text, strlen(text), true, is_port, NULL, &out), 2);
	assert_string_equal(buf_str(&out), "a = 1\n# port = 3\n");
	/* Once more finds nothing. */
	buf_reset(&out);
	assert_int_equal(pg_conf_filter("#ffdr: port = 1\n", 16, false, is_port, NULL, &out), 0);
	buf_done(&out);
}

static void
what_is_written_is_read_back(void **state)
{
	static const char *const values[] = { "", "plain", "it's", "back\\slash", "two\nlines",
		"\\'", "%f %%" };
	struct buf out;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		buf_init(&out, 4096);
		pg_conf_set(&out, "key", values[i]);
		assert_int_equal(out.data[out.len - 1], '\n');
		out.data[out.len - 1] = '\0';
		reads(buf_str(&out), "key", values[i]);
		buf_done(&out);
	}
}

static void
words_of_a_command_survive_server_and_shell(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	pg_conf_word(&out, "/usr/bin/ffdr");
	pg_conf_word(&out, "--config");
	pg_conf_word(&out, "/etc/it's 100%/ffdr.ini");
	pg_conf_word(&out, "");
	assert_string_equal(
	    buf_str(&out), "/usr/bin/ffdr --config '/etc/it'\\''s 100%%/ffdr.ini' ''");
	buf_done(&out);
}

static void
without(const char *text, const char *left)
{
	struct buf out;

	buf_init(&out, 4096);
	pg_conf_unsecret(text, &out);
	assert_string_equal(buf_str(&out), left);
	buf_done(&out);
}

static void
passwords_go_and_all_else_stays(void **state)
{
	(void)state;
	without("primary_conninfo host=a password=secret user=b", "primary_conninfo host=a user=b");
	without("host=a password = 'it\\'s so' sslpassword=x user=b", "host=a user=b");
	without("host=a PASSWORD=a&b\\ c", "host=a ");
	without("host=a password='' user=b", "host=a user=b");
	without("primary_conninfo = 'host=a password=secret'\n", "primary_conninfo = 'host=a '\n");
	without("primary_conninfo = 'password=''sec ret'' host=a'", "primary_conninfo = 'host=a'");
	without("PGPASSWORD=secret /usr/bin/do %p", "/usr/bin/do %p");
	without("postgresql://u:sec:ret@h:5432/db?sslmode=require&password=x&port=1",
	    "postgresql://u@h:5432/db?sslmode=require&&port=1");
	without("s3://bucket/a:b@c", "s3://bucket/a:b@c");
	without("password_encryption = 'scram-sha-256'\n#password",
	    "password_encryption = 'scram-sha-256'\n#password");
	without("host all all 0/0 password\nx = 1", "host all all 0/0 password\nx = 1");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_read_as_a_server_reads_them),
		cmocka_unit_test(what_is_dropped_becomes_a_comment_or_goes),
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(passwords_go_and_all_else_stays),
		cmocka_unit_test(words_of_a_command_survive_server_and_shell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
