/*
 * A library that comes in late: what it is asked for is there, or the process ends with the status
 * it was told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/lazy.h"
#include "base/mem.h"

#define STATUS 77

/* What a process says and ends with that loads that. */
static int
status_of(const char *soname, const char *function, char said[512])
{
	void *symbol = NULL;
	int p[2], status;
	ssize_t n;
	pid_t child;

	assert_int_equal(pipe(p), 0);
	child = fork();
	if (child == 0) {
		dup2(p[1], STDERR_FILENO);
		mem_exit_with(STATUS);
		lazy_load(soname, &function, &symbol, 1);
		_exit(symbol ? 0 : 1);
	}
	close(p[1]);
	n = read(p[0], said, 511);
	said[n > 0 ? n : 0] = '\0';
	close(p[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
a_function_of_a_library_is_found(void **state)
{
	static const char *const name[] = { "sqrt", "cos" };
	void *symbol[2] = { NULL };
	double (*root)(double);

	(void)state;
	lazy_load("libm.so.6", name, symbol, 2);
	assert_non_null(symbol[1]);
	memcpy(&root, &symbol[0], sizeof(root));
	assert_true(root(49.0) > 6.9 && root(49.0) < 7.1);
}

static void
a_library_that_is_missing_ends_the_process_as_it_was_told_and_says_which(void **state)
{
	char said[512];

	(void)state;
	assert_int_equal(status_of("libnobody.so.9", "sqrt", said), STATUS);
	assert_non_null(strstr(said, "libnobody.so.9"));
	assert_non_null(strstr(said, "fix"));
}

static void
a_library_without_the_function_is_another_one(void **state)
{
	char said[512];

	(void)state;
	assert_int_equal(status_of("libm.so.6", "no_such_function", said), STATUS);
	assert_non_null(strstr(said, "no_such_function"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_function_of_a_library_is_found),
		cmocka_unit_test(
		    a_library_that_is_missing_ends_the_process_as_it_was_told_and_says_which),
		cmocka_unit_test(a_library_without_the_function_is_another_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
