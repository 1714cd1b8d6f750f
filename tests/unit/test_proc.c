/* Commands of the configuration: what they get, what comes back, and how they are stopped. */
#include "tests/lib/vector.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/proc.h"
#include "tests/lib/scratch.h"

static struct err e;
static struct buf out;

static int
begin(void **state)
{
	(void)state;
	buf_init(&out, 1000);
	err_clear(&e);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	buf_done(&out);
	return 0;
}

static void
what_it_prints_comes_back(void **state)
{
	(void)state;
	assert_int_equal(proc_run("printf 'a b'; echo noise >&2", NULL, 10, &out, &e), 0);
	assert_string_equal(buf_str(&out), "a b");
}

static void
it_reads_nothing_and_sees_no_descriptor_of_ours(void **state)
{
	int fd = open("/dev/null", O_RDONLY); /* without close-on-exec, on purpose */

	(void)state;
	assert_int_equal(proc_run("cat; ls /proc/self/fd | sort -n | head -4 | tr '\\n' ' '", NULL,
			     10, &out, &e),
	    0);
	/* 3 is the directory that ls itself reads. */
	assert_string_equal(buf_str(&out), "0 1 2 3 ");
	close(fd);
}

static void
variables_are_added_and_replaced(void **state)
{
	static const struct proc_env env[] = { { "FFDR_A", "one two" }, { "FFDR_B", "" },
		{ NULL, NULL } };

	(void)state;
	setenv("FFDR_A", "old", 1);
	setenv("FFDR_AA", "kept", 1);
	assert_int_equal(proc_run("echo \"$FFDR_A|$FFDR_AA|${FFDR_B-unset}\"; env | grep -c ^FFDR_A=",
			     env, 10, &out, &e),
	    0);
	assert_string_equal(buf_str(&out), "one two|kept|\n1\n");
}

static void
a_hidden_variable_is_not_given_to_any_command(void **state)
{
	static const struct proc_env env[] = { { "FFDR_SECRET", "ours" }, { NULL, NULL } };

	(void)state;
	setenv("FFDR_SECRET", "told", 1);
	setenv("FFDR_SECRETS", "another", 1);
	proc_hide("FFDR_SECRET");
	proc_hide("FFDR_SECRET");
	assert_int_equal(proc_run("env | grep ^FFDR_SECRET", NULL, 10, &out, &e), 0);
	assert_string_equal(buf_str(&out), "FFDR_SECRETS=another\n");
	assert_string_equal(getenv("FFDR_SECRET"), "told");
	buf_reset(&out);
	assert_int_equal(proc_run("echo $FFDR_SECRET", env, 10, &out, &e), 0);
	assert_string_equal(buf_str(&out), "ours\n");
}

static void
a_failure_names_the_command_and_quotes_the_end_of_its_stderr(void **state)
{
	(void)state;
	assert_int_equal(proc_run("echo first >&2; printf 'no such\\033[31m thing\\n\\n' >&2; exit 3",
			     NULL, 10, NULL, &e),
	    -1);
	assert_int_equal(e.kind, ERR_IO);
	assert_non_null(strstr(e.text, "' failed with exit 3\n  stderr    first|no such [31m thing"));
	assert_null(strchr(e.text, '\033'));
	assert_int_equal(proc_run("kill -9 $$", NULL, 10, NULL, &e), -1);
	assert_string_equal(e.text, "command 'kill -9 $$' was ended by signal 9 (Killed)");
	assert_int_equal(proc_run("/nonexistent/hook", NULL, 10, NULL, &e), -1);
	assert_non_null(strstr(e.text, "command '/nonexistent/hook' was not found"));
}

static void
a_long_stderr_is_quoted_from_a_whole_line_on(void **state)
{
	const char *quote;

	(void)state;
	assert_int_equal(proc_run("i=0; while [ $i -lt 300 ]; do echo line$i >&2; i=$((i+1)); done; "
				  "exit 1",
			     NULL, 20, NULL, &e),
	    -1);
	quote = strstr(e.text, "stderr    ");
	assert_non_null(quote);
	quote += strlen("stderr    ");
	assert_memory_equal(quote, "line2", 5);
	assert_string_equal(e.text + strlen(e.text) - 7, "line299");
	assert_true(strlen(quote) <= 400);
}

static void
more_output_than_expected_is_an_error_and_the_command_does_not_hang(void **state)
{
	(void)state;
	assert_int_equal(proc_run("head -c 200000 /dev/zero", NULL, 20, &out, &e), -1);
	assert_int_equal(e.kind, ERR_IO);
	assert_non_null(strstr(e.text, "more than the 1000 bytes"));
	assert_true(out.len <= 1000);
}

static void
at_the_deadline_the_whole_group_is_ended(void **state)
{
	char *file = scratch_path(scratch_dir(), "pid"), *command, text[20] = "";
	int64_t before = clock_boot_ns();
	FILE *f;

	(void)state;
	command = xasprintf("sleep 1000 & echo $! >'%s'; wait", file);
	assert_int_equal(proc_run(command, NULL, 1, &out, &e), -1);
	assert_non_null(strstr(e.text, "did not end within 1 s and was stopped"));
	assert_true(clock_boot_ns() - before < 5 * CLOCK_S);
	f = fopen(file, "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	/* Gone, or dead and not yet collected by whoever inherited it. */
	free(command);
	command = xasprintf("! grep -q '^State:.[^ZX]' /proc/%d/status 2>/dev/null", atoi(text));
	for (int i = 0; i < 100 && proc_run(command, NULL, 10, NULL, &e) == -1; i++)
		clock_sleep_ns(20 * CLOCK_MS);
	assert_int_equal(proc_run(command, NULL, 10, NULL, &e), 0);
	free(command);
	free(file);
}

static void
a_command_that_never_stops_talking_has_a_deadline_too(void **state)
{
	int64_t before = clock_boot_ns();

	(void)state;
	assert_int_equal(proc_run("yes", NULL, 1, &out, &e), -1);
	assert_non_null(strstr(e.text, "was stopped"));
	assert_int_equal(proc_run("yes >&2", NULL, 1, NULL, &e), -1);
	assert_true(clock_boot_ns() - before < 20 * CLOCK_S);
}

static void
who_ignores_term_is_killed(void **state)
{
	int64_t before = clock_boot_ns();

	(void)state;
	assert_int_equal(proc_run("trap '' TERM; sleep 1000; sleep 1000; sleep 1000", NULL, 1, NULL,
			     &e),
	    -1);
	assert_true(clock_boot_ns() - before < 30 * CLOCK_S);
	assert_non_null(strstr(e.text, "was stopped"));
}

static bool
after_a_moment(void *arg)
{
	return clock_boot_ns() - *(const int64_t *)arg > CLOCK_S / 2;
}

static void
who_is_asked_may_stop_it_and_all_of_its_group(void **state)
{
	int64_t before = clock_boot_ns();

	(void)state;
	assert_int_equal(proc_run_until("sleep 1000 & sleep 1000", NULL, 600, NULL, after_a_moment,
	    &before, &e), -1);
	assert_int_equal(e.kind, ERR_CANCELLED);
	assert_true(clock_boot_ns() - before < 20 * CLOCK_S);
}

static void
a_daemon_left_behind_does_not_keep_us(void **state)
{
	int64_t before = clock_boot_ns();

	(void)state;
	assert_int_equal(proc_run("sleep 20 & echo $!", NULL, 60, &out, &e), 0);
	assert_true(clock_boot_ns() - before < 10 * CLOCK_S);
	assert_true(atoi(buf_str(&out)) > 1);
	kill(atoi(buf_str(&out)), SIGKILL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
		T(what_it_prints_comes_back),
		T(it_reads_nothing_and_sees_no_descriptor_of_ours),
		T(variables_are_added_and_replaced),
		T(a_hidden_variable_is_not_given_to_any_command),
		T(a_failure_names_the_command_and_quotes_the_end_of_its_stderr),
		T(a_long_stderr_is_quoted_from_a_whole_line_on),
		T(more_output_than_expected_is_an_error_and_the_command_does_not_hang),
		T(at_the_deadline_the_whole_group_is_ended),
		T(a_command_that_never_stops_talking_has_a_deadline_too),
		T(who_ignores_term_is_killed),
		T(who_is_asked_may_stop_it_and_all_of_its_group),
		T(a_daemon_left_behind_does_not_keep_us),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
