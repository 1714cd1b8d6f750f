/* What people and programs see, caught at the two descriptors. */
#include "tests/lib/vector.h"

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/command.h"
#include "cmd/output.h"
#include "cmd/progress.h"

static char seen[2][8192]; /* stdout, stderr of the last act */
static int saved[2], file[2];

static void
catch(const struct common_options *o)
{
	fflush(stdout);
	for (int i = 0; i < 2; i++) {
		char name[] = "/tmp/test_output.XXXXXX";

		file[i] = mkstemp(name);
		assert_int_not_equal(file[i], -1);
		unlink(name);
		saved[i] = dup(i + 1);
		dup2(file[i], i + 1);
	}
	output_setup(o);
}

static void
release(void)
{
	fflush(stdout);
	for (int i = 0; i < 2; i++) {
		ssize_t n = pread(file[i], seen[i], sizeof(seen[i]) - 1, 0);

		seen[i][n > 0 ? n : 0] = '\0';
		dup2(saved[i], i + 1);
		close(saved[i]);
		close(file[i]);
	}
}

static const struct common_options plain = { 0 }, json = { .json = true },
				   events = { .events = true }, quiet = { .quiet = true };

static void
data_goes_to_stdout_and_complaints_to_stderr(void **state)
{
	struct err e = { .kind = ERR_REFUSED, .text = "restore refused: no\n  fix       --delta" };

	(void)state;
	catch(&plain);
	output_done("backed up %d", 1);
	output_detail("next", "%s", "ffdr check");
	output_line("data");
	output_warn("tier '%s' is away", "nas");
	output_note("waiting");
	output_error(&e);
	release();
	assert_string_equal(seen[0], "backed up 1\n  next      ffdr check\ndata\n");
	assert_string_equal(seen[1], "ffdr: warning: tier 'nas' is away\nffdr: waiting\n"
				     "ffdr: restore refused: no\n  fix       --delta\n");
	assert_int_equal(output_warnings(), 1);
}

static void
quiet_keeps_data_warnings_and_errors(void **state)
{
	(void)state;
	catch(&quiet);
	output_done("backed up");
	output_detail("next", "x");
	output_note("waiting");
	output_line("data");
	output_warn("careful");
	release();
	assert_string_equal(seen[0], "data\n");
	assert_string_equal(seen[1], "ffdr: warning: careful\n");
}

static void
json_is_one_object_and_nothing_else_on_stdout(void **state)
{
	json_t *object;

	(void)state;
	catch(&json);
	output_line("data");
	output_done("done");
	output_event("progress", NULL);
	output_json(json_pack("{s:s}", "id", "a"));
	release();
	object = json_loads(seen[0], 0, NULL);
	assert_non_null(object);
	assert_string_equal(json_string_value(json_object_get(object, "id")), "a");
	json_decref(object);
}

static void
an_error_is_an_object_too(void **state)
{
	struct err e = { .kind = ERR_BUSY, .text = "another run holds \xff it" };
	json_t *object, *error;

	(void)state;
	catch(&json);
	output_error(&e);
	release();
	object = json_loads(seen[0], 0, NULL);
	assert_non_null(object);
	error = json_object_get(object, "error");
	assert_string_equal(json_string_value(json_object_get(error, "kind")), "busy");
	assert_string_equal(json_string_value(json_object_get(error, "message")),
	    "another run holds \\xff it");
	json_decref(object);
}

static void
events_are_lines_with_a_word_and_a_time(void **state)
{
	json_t *first, *last;
	char *second;

	(void)state;
	catch(&events);
	output_warn("careful");
	output_json(json_pack("{s:i}", "n", 3));
	release();
	second = strchr(seen[0], '\n') + 1;
	second[-1] = '\0';
	first = json_loads(seen[0], 0, NULL);
	last = json_loads(second, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(first, "event")), "warning");
	assert_string_equal(json_string_value(json_object_get(first, "message")), "careful");
	assert_int_equal(strlen(json_string_value(json_object_get(first, "time"))), 20);
	assert_string_equal(json_string_value(json_object_get(last, "event")), "result");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(last, "result"), "n")),
	    3);
	json_decref(first);
	json_decref(last);
}

static void
names_cannot_send_commands_to_a_terminal(void **state)
{
	(void)state;
	catch(&plain);
	output_line("a\033[31mb\rc\x7f\xc2\x9b" "d \xc3\xa9");
	output_warn("\033]0;title\a");
	release();
	assert_string_equal(seen[0], "a\\x1b[31mb\\x0dc\\x7f\\xc2\\x9bd \xc3\xa9\n");
	assert_string_equal(seen[1], "ffdr: warning: \\x1b]0;title\\x07\n");
}

static void
a_name_stays_on_its_line_and_in_its_column(void **state)
{
	static const char *const header[] = { "NAME", "WHERE" };
	static const char bad[] = "a\nffdr: done\t\033[2J \xc3\xa9";
	char *name = output_name(bad, strlen(bad));
	struct output_table *t;

	(void)state;
	assert_string_equal(name, "a\\x0affdr: done\\x09\\x1b[2J \xc3\xa9");
	free(name);
	/* Turned round it would show as report.txt */
	name = output_name("report\xe2\x80\xaetxt.exe \xe2\x82\xac", 20);
	assert_string_equal(name, "report\\xe2\\x80\\xaetxt.exe \xe2\x82\xac");
	free(name);
	name = output_name("cut", 2);
	assert_string_equal(name, "cu");
	free(name);
	catch(&plain);
	t = output_table_new(header, 2);
	output_table_row(t, (const char *const[]){ "b\nc", "local" });
	output_table_print(t);
	release();
	assert_string_equal(seen[0], "NAME    WHERE\nb\\x0ac  local\n");
}

static void
a_table_lines_up_characters_and_not_bytes(void **state)
{
	static const char *const header[] = { "NAME", ">SIZE", "WHERE" };
	struct output_table *t;

	(void)state;
	catch(&plain);
	t = output_table_new(header, 3);
	output_table_row(t, (const char *const[]){ "\xc3\xa9t\xc3\xa9s", "1 B", "local" });
	output_table_row(t, (const char *const[]){ "a", "22 kB", NULL });
	output_table_print(t);
	release();
	assert_string_equal(seen[0], "NAME   SIZE  WHERE\n"
				     "\xc3\xa9t\xc3\xa9s    1 B  local\n"
				     "a     22 kB\n");
}

static void
a_table_is_silent_with_json(void **state)
{
	static const char *const header[] = { "NAME" };

	(void)state;
	catch(&json);
	output_table_print(output_table_new(header, 1));
	release();
	assert_string_equal(seen[0], "");
}

static void
a_full_disk_behind_stdout_is_an_error(void **state)
{
	struct err e = { 0 };
	int full = open("/dev/full", O_WRONLY), rc;

	(void)state;
	assert_int_not_equal(full, -1);
	catch(&plain);
	dup2(full, STDOUT_FILENO);
	output_line("lost");
	rc = output_flush(&e);
	release();
	close(full);
	assert_int_equal(rc, -1);
	assert_int_equal(e.kind, ERR_FULL);
}

static void
a_pipe_gets_no_progress_line(void **state)
{
	const struct watch *w;

	(void)state;
	catch(&plain);
	w = progress_start("backup");
	w->progress(w->arg, "reading", 10, 100);
	w->event(w->arg, "warning", "'a' changed");
	progress_end();
	release();
	assert_string_equal(seen[0], "");
	assert_string_equal(seen[1], "ffdr: warning: 'a' changed\n");
}

static void
progress_is_an_event_for_programs(void **state)
{
	const struct watch *w;
	json_t *event;

	(void)state;
	catch(&events);
	w = progress_start("backup");
	w->progress(w->arg, "reading", 10, 100);
	w->progress(w->arg, "reading", 11, 100); /* too soon after the other */
	progress_end();
	release();
	event = json_loads(seen[0], 0, NULL);
	assert_non_null(event);
	assert_string_equal(json_string_value(json_object_get(event, "what")), "reading");
	assert_int_equal(json_integer_value(json_object_get(event, "done")), 10);
	assert_int_equal(json_integer_value(json_object_get(event, "total")), 100);
	json_decref(event);
}

static void
a_signal_asks_the_job_to_stop(void **state)
{
	const struct watch *w;

	(void)state;
	catch(&plain);
	w = progress_start("backup");
	assert_false(w->stop(w->arg));
	raise(SIGTERM);
	assert_true(w->stop(w->arg));
	progress_end();
	release();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_goes_to_stdout_and_complaints_to_stderr),
		cmocka_unit_test(quiet_keeps_data_warnings_and_errors),
		cmocka_unit_test(json_is_one_object_and_nothing_else_on_stdout),
		cmocka_unit_test(an_error_is_an_object_too),
		cmocka_unit_test(events_are_lines_with_a_word_and_a_time),
		cmocka_unit_test(names_cannot_send_commands_to_a_terminal),
		cmocka_unit_test(a_name_stays_on_its_line_and_in_its_column),
		cmocka_unit_test(a_table_lines_up_characters_and_not_bytes),
		cmocka_unit_test(a_table_is_silent_with_json),
		cmocka_unit_test(a_full_disk_behind_stdout_is_an_error),
		cmocka_unit_test(a_pipe_gets_no_progress_line),
		cmocka_unit_test(progress_is_an_event_for_programs),
		cmocka_unit_test(a_signal_asks_the_job_to_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
