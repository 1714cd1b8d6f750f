/* Errors as values: what a person reads, what a program decides by, and what never fits. */
#include "tests/lib/vector.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

static struct err e;

static void
an_error_has_kind_and_text_and_the_call_returns_minus_one(void **state)
{
	(void)state;
	assert_int_equal(err_set(&e, ERR_CORRUPT, "'%s' has %d bytes", "x", 7), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_string_equal(e.text, "'x' has 7 bytes");
	err_clear(&e);
	assert_int_equal(e.kind, ERR_NONE);
	assert_string_equal(e.text, "");
}

static void
a_system_error_takes_its_kind_from_errno(void **state)
{
	static const struct {
		int number;
		enum err_kind kind;
	} row[] = {
		{ ENOSPC, ERR_FULL },
		{ EDQUOT, ERR_FULL },
		{ EACCES, ERR_PERMISSION },
		{ EPERM, ERR_PERMISSION },
		{ EROFS, ERR_PERMISSION },
		{ ENOENT, ERR_NOTFOUND },
		{ EEXIST, ERR_EXISTS },
		{ EIO, ERR_IO },
		{ EISDIR, ERR_IO },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		errno = row[i].number;
		assert_int_equal(err_sys(&e, "open '%s'", "f"), -1);
		assert_int_equal(e.kind, row[i].kind);
		assert_int_equal(errno, row[i].number);
	}
	errno = ENOENT;
	err_sys(&e, "open '%s'", "f");
	assert_string_equal(e.text, "open 'f': No such file or directory");
	errno = 123456;
	err_sys(&e, "open");
	assert_string_equal(e.text, "open: unknown error");
}

static void
context_goes_in_front_and_lines_below(void **state)
{
	(void)state;
	err_set(&e, ERR_KEY, "no key");
	assert_int_equal(err_in(&e, "restore %s", "a"), -1);
	assert_int_equal(err_line(&e, "fix", "bring %d", 1), -1);
	assert_int_equal(err_line(&e, "possible", "this"), -1);
	assert_string_equal(e.text, "restore a: no key\n  fix       bring 1\n  possible  this");
	assert_int_equal(e.kind, ERR_KEY);
}

static void
an_error_may_be_built_from_its_own_text(void **state)
{
	(void)state;
	err_set(&e, ERR_IO, "first");
	err_set(&e, ERR_REMOTE, "second after '%s'", e.text);
	assert_string_equal(e.text, "second after 'first'");
	err_in(&e, "%s", e.text);
	assert_string_equal(e.text, "second after 'first': second after 'first'");
}

static void
a_text_too_long_ends_in_dots_between_two_characters(void **state)
{
	char longest[3000];
	size_t len;

	(void)state;
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	err_set(&e, ERR_IO, "%s", longest);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_string_equal(e.text + sizeof(e.text) - 5, "a...");
	/* Characters of two bytes, at both parities: a half one must never stay. */
	for (int shift = 0; shift < 2; shift++) {
		longest[0] = 'x';
		for (size_t i = (size_t)shift; i + 2 < sizeof(longest); i += 2)
			memcpy(longest + i, "\xc3\xa4", 2);
		err_set(&e, ERR_IO, "%s", longest);
		len = strlen(e.text);
		assert_string_equal(e.text + len - 5, "\xc3\xa4...");
	}
	/* A text that just fits is left alone. */
	longest[sizeof(e.text) - 1] = '\0';
	memset(longest, 'b', sizeof(e.text) - 1);
	err_set(&e, ERR_IO, "%s", longest);
	assert_string_equal(e.text, longest);
	err_in(&e, "c");
	assert_memory_equal(e.text, "c: b", 4);
	assert_string_equal(e.text + sizeof(e.text) - 4, "...");
}

static void
every_kind_has_a_word_of_its_own(void **state)
{
	(void)state;
	for (int a = 0; a < ERR_KINDS; a++) {
		assert_string_not_equal(err_word((enum err_kind)a), "unknown");
		for (int b = 0; b < a; b++)
			assert_string_not_equal(err_word((enum err_kind)a),
			    err_word((enum err_kind)b));
	}
	assert_string_equal(err_word(ERR_KINDS), "unknown");
	assert_string_equal(err_word(ERR_NOTFOUND), "not-found");
}

static void
the_way_out_is_found_in_the_text(void **state)
{
	struct err why = { 0 };
	const char *fix;

	(void)state;
	err_set(&why, ERR_REMOTE, "fix me");
	assert_int_equal(err_fix(&why, &fix), 0);
	err_line(&why, "looked", "here");
	err_line(&why, "fix", "mend %s", "it");
	err_line(&why, "fix", "or that");
	assert_int_equal(err_fix(&why, &fix), strlen("mend it"));
	assert_memory_equal(fix, "mend it", strlen("mend it"));
	err_set(&why, ERR_REMOTE, "x");
	err_line(&why, "fix", "last");
	assert_int_equal(err_fix(&why, &fix), strlen("last"));
}

static void
nobody_wanting_the_reason_is_fine(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, ERR_IO, "x"), -1);
	assert_int_equal(err_sys(NULL, "x"), -1);
	assert_int_equal(err_in(NULL, "x"), -1);
	assert_int_equal(err_line(NULL, "x", "y"), -1);
	err_clear(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_has_kind_and_text_and_the_call_returns_minus_one),
		cmocka_unit_test(a_system_error_takes_its_kind_from_errno),
		cmocka_unit_test(context_goes_in_front_and_lines_below),
		cmocka_unit_test(an_error_may_be_built_from_its_own_text),
		cmocka_unit_test(a_text_too_long_ends_in_dots_between_two_characters),
		cmocka_unit_test(every_kind_has_a_word_of_its_own),
		cmocka_unit_test(the_way_out_is_found_in_the_text),
		cmocka_unit_test(nobody_wanting_the_reason_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
