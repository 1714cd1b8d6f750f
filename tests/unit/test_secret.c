/* References to secrets: their forms, where they lead, and what must never be seen. */
#include "tests/lib/vector.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "conf/secret.h"
#include "tests/lib/scratch.h"

static struct err e;
static struct buf out;
static const char *dir;

static int
begin(void **state)
{
	(void)state;
	unsetenv("CREDENTIALS_DIRECTORY");
	buf_init(&out, SECRET_MAX);
	err_clear(&e);
	dir = scratch_dir();
	return 0;
}

static int
end(void **state)
{
	(void)state;
	secret_done(&out);
	return 0;
}

static void
write_secret(const char *path, const char *text, mode_t mode)
{
	assert_int_equal(file_put(AT_FDCWD, path, text, strlen(text), mode, FILE_REPLACE, &e), 1);
}

static void
every_form_is_recognised(void **state)
{
	static const struct {
		const char *text;
		enum secret_kind kind;
		const char *value;
	} row[] = {
		{ "credential:ffdr-kek", SECRET_CREDENTIAL, "ffdr-kek" },
		{ "file:/etc/k", SECRET_FILE, "/etc/k" },
		{ "/etc/k:x", SECRET_FILE, "/etc/k:x" },
		{ "env:FFDR_KEK", SECRET_ENV, "FFDR_KEK" },
		{ "command:pass show x", SECRET_COMMAND, "pass show x" },
		{ "passphrase:env:P", SECRET_PASSPHRASE, "env:P" },
		{ "passphrase:/etc/p", SECRET_PASSPHRASE, "/etc/p" },
	};
	struct secret_ref ref;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		assert_int_equal(secret_parse(row[i].text, &ref, &e), 0);
		assert_int_equal(ref.kind, row[i].kind);
		assert_string_equal(ref.value, row[i].value);
	}
}

static void
what_is_no_reference_is_refused_and_not_repeated(void **state)
{
	static const char *const bad[] = { "", "hunter2", "Credential:hunter2", "vault:hunter2",
		"passphrase:hunter2", "passphrase:", " file:/hunter2" };
	static const char *const wrong[] = { "credential:", "credential:../x", "credential:a/b",
		"credential:.x", "credential:a b", "file:", "file:rel", "file:./rel", "env:",
		"env:1A", "env:A-B", "env:A=B", "command:", "passphrase:passphrase:/x",
		"passphrase:file:rel" };
	struct secret_ref ref;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(secret_parse(bad[i], &ref, &e), -1);
		assert_int_equal(e.kind, ERR_CONFIG);
		assert_null(strstr(e.text, "hunter"));
	}
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_int_equal(secret_parse(wrong[i], &ref, &e), -1);
		assert_int_equal(e.kind, ERR_CONFIG);
		assert_non_null(strstr(e.text, "expected") ? e.text : strstr(e.text, "no command"));
	}
}

static void
a_file_gives_its_bytes_as_they_are(void **state)
{
	char *path = scratch_path(dir, "k"), *ref = xasprintf("passphrase:file:%s", path);

	(void)state;
	write_secret(path, "line\n\n", 0600);
	assert_int_equal(secret_get(path, NULL, &out, &e), 0);
	assert_string_equal(buf_str(&out), "line\n\n");
	secret_done(&out);
	assert_int_equal(secret_get(ref, NULL, &out, &e), 0);
	assert_string_equal(buf_str(&out), "line\n\n");
	free(path);
	free(ref);
}

static void
a_file_that_others_may_read_is_refused_unless_it_is_public(void **state)
{
	static const mode_t open_modes[] = { 0644, 0604, 0602, 0601, 0640 | S_IROTH };
	char *path = scratch_path(dir, "k");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(open_modes); i++) {
		write_secret(path, "x", open_modes[i]);
		assert_int_equal(secret_get(path, NULL, &out, &e), -1);
		assert_int_equal(e.kind, ERR_CONFIG);
		assert_non_null(strstr(e.text, "lets everybody in\n  fix       chmod o= "));
		assert_int_equal(out.len, 0);
		assert_int_equal(secret_get_public(path, NULL, &out, &e), 0);
		secret_done(&out);
	}
	write_secret(path, "x", 0640);
	assert_int_equal(secret_get(path, NULL, &out, &e), 0);
	free(path);
}

static void
credentials_are_looked_for_where_systemd_says_first(void **state)
{
	char *first = scratch_path(dir, "run"), *second = scratch_path(dir, "etc");
	char *a = scratch_path(dir, "run/key"), *b = scratch_path(dir, "etc/key");

	(void)state;
	write_secret(b, "configured", 0600);
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", first, 1), 0);
	assert_int_equal(secret_get("credential:key", second, &out, &e), 0);
	assert_string_equal(buf_str(&out), "configured");
	secret_done(&out);
	write_secret(a, "passed", 0400);
	assert_int_equal(secret_get("credential:key", second, &out, &e), 0);
	assert_string_equal(buf_str(&out), "passed");
	secret_done(&out);
	assert_int_equal(secret_get("credential:other", second, &out, &e), -1);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_non_null(strstr(e.text, "the credential 'other' is not there\n  looked    "));
	assert_non_null(strstr(e.text, first));
	assert_non_null(strstr(e.text, second));
	free(first);
	free(second);
	free(a);
	free(b);
}

static void
the_environment_and_commands_give_secrets_too(void **state)
{
	(void)state;
	setenv("FFDR_TEST_SECRET", "from env", 1);
	assert_int_equal(secret_get("env:FFDR_TEST_SECRET", NULL, &out, &e), 0);
	assert_string_equal(buf_str(&out), "from env");
	secret_done(&out);
	unsetenv("FFDR_TEST_SECRET");
	assert_int_equal(secret_get("env:FFDR_TEST_SECRET", NULL, &out, &e), -1);
	assert_string_equal(e.text, "the environment variable 'FFDR_TEST_SECRET' is not set\n"
	    "  fix       set that variable for ffdr, in its unit too");
	assert_int_equal(secret_get("command:printf 'a\\n'", NULL, &out, &e), 0);
	assert_string_equal(buf_str(&out), "a\n");
	secret_done(&out);
	assert_int_equal(secret_get("command:false", NULL, &out, &e), -1);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_int_equal(secret_get("command:echo half; echo locked >&2; exit 4", NULL, &out, &e),
	    -1);
	assert_non_null(strstr(e.text, "exit 4\n  stderr    locked"));
	assert_null(out.data);
}

static void
things_that_are_no_small_file_are_refused(void **state)
{
	char *path = scratch_path(dir, "big"), *text = xcalloc(1, SECRET_MAX + 2);

	(void)state;
	assert_int_equal(secret_get(dir, NULL, &out, &e), -1);
	assert_non_null(strstr(e.text, "is no regular file"));
	assert_int_equal(secret_get("/nonexistent/key", NULL, &out, &e), -1);
	assert_string_equal(e.text, "the file '/nonexistent/key' is not there");
	memset(text, 'x', SECRET_MAX);
	write_secret(path, text, 0600);
	assert_int_equal(secret_get(path, NULL, &out, &e), 0);
	assert_int_equal(out.len, SECRET_MAX);
	secret_done(&out);
	text[SECRET_MAX] = 'x';
	write_secret(path, text, 0600);
	assert_int_equal(secret_get(path, NULL, &out, &e), -1);
	assert_non_null(strstr(e.text, "larger than the 65536 bytes"));
	assert_null(out.data);
	free(text);
	free(path);
}

static void
the_bytes_are_never_moved_while_they_arrive(void **state)
{
	char *path = scratch_path(dir, "k");

	(void)state;
	write_secret(path, "x", 0600);
	assert_int_equal(secret_get(path, NULL, &out, &e), 0);
	assert_true(out.room > SECRET_MAX);
	secret_done(&out);
	assert_int_equal(secret_get("command:printf x", NULL, &out, &e), 0);
	assert_true(out.room > SECRET_MAX);
	free(path);
}

static void
init_learns_which_file_to_make(void **state)
{
	static const char *const row[][2] = { { "credential:kek", "/c/kek" }, { "file:/a/b", "/a/b" },
		{ "/a/b", "/a/b" }, { "passphrase:credential:p", "/c/p" }, { "env:X", NULL },
		{ "command:x", NULL }, { "hunter2", NULL } };
	char *path;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		path = secret_path(row[i][0], "/c");
		if (row[i][1])
			assert_string_equal(path, row[i][1]);
		else
			assert_null(path);
		free(path);
	}
	assert_null(secret_path("credential:kek", NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
		T(every_form_is_recognised),
		T(what_is_no_reference_is_refused_and_not_repeated),
		T(a_file_gives_its_bytes_as_they_are),
		T(a_file_that_others_may_read_is_refused_unless_it_is_public),
		T(credentials_are_looked_for_where_systemd_says_first),
		T(the_environment_and_commands_give_secrets_too),
		T(things_that_are_no_small_file_are_refused),
		T(the_bytes_are_never_moved_while_they_arrive),
		T(init_learns_which_file_to_make),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
