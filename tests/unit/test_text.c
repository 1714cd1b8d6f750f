/* Text forms of bytes: both ways, one form each; and the small questions asked of words. */
#include "tests/lib/vector.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

static void
hex_is_lower_case_and_strict(void **state)
{
	static const uint8_t bytes[] = { 0x00, 0x9f, 0xa0, 0xff };
	char text[TEXT_HEX(sizeof(bytes))];
	uint8_t back[4] = { 0 };

	(void)state;
	assert_string_equal(text_hex(bytes, sizeof(bytes), text), "009fa0ff");
	assert_int_equal(text_unhex("009fa0ff-more", back, 4), 0);
	assert_memory_equal(back, bytes, 4);
	assert_int_equal(text_unhex("009FA0FF", back, 4), -1);
	assert_int_equal(text_unhex("009fa0f", back, 4), -1);
	assert_int_equal(text_unhex("", back, 1), -1);
	assert_int_equal(text_unhex("0g", back, 1), -1);
}

static void
base64_has_the_known_answers(void **state)
{
	static const char *const row[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" }, { "\xff\xfe\xfd", "//79" }, { "\xfb\xef\xbe", "++++" } };
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		buf_reset(&b);
		text_base64((const uint8_t *)row[i][0], strlen(row[i][0]), &b);
		assert_string_equal(buf_str(&b), row[i][1]);
		buf_reset(&b);
		assert_int_equal(text_unbase64(row[i][1], strlen(row[i][1]), &b), 0);
		assert_string_equal(buf_str(&b), row[i][0]);
	}
	buf_done(&b);
}

static void
base64_has_one_form_only(void **state)
{
	static const char *const bad[] = { "Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zg==Zg==",
		"=Zg=", "Zm 9", "Zm9v\n", "Z===", "====", "Zm-_" };
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(text_unbase64(bad[i], strlen(bad[i]), &b), -1);
	buf_done(&b);
}

static void
any_bytes_become_one_word_and_come_back(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		const char *word;
	} row[] = {
		{ "", 0, "\\-" },
		{ "plain/Name_1.txt", 16, "plain/Name_1.txt" },
		{ "a b", 3, "a\\x20b" },
		{ "\\", 1, "\\x5c" },
		{ "\\-", 2, "\\x5c-" },
		{ "-", 1, "-" },
		{ "\0\n\x7f", 3, "\\x00\\x0a\\x7f" },
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "\xc3", 1, "\\xc3" },
		{ "\xc3z\xa4", 3, "\\xc3z\\xa4" },
		{ "\xc0\xaf", 2, "\\xc0\\xaf" },
		{ "\xed\xa0\x80", 3, "\\xed\\xa0\\x80" },
		{ "\xc2\x9b", 2, "\\xc2\\x9b" },
		{ "\xff", 1, "\\xff" },
	};
	struct buf word, back;

	(void)state;
	buf_init(&word, 100);
	buf_init(&back, 100);
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		buf_reset(&word);
		buf_reset(&back);
		text_escape(row[i].bytes, row[i].n, &word);
		assert_string_equal(buf_str(&word), row[i].word);
		assert_int_equal(text_unescape(row[i].word, strlen(row[i].word), &back), 0);
		assert_int_equal(back.len, row[i].n);
		if (row[i].n > 0)
			assert_memory_equal(back.data, row[i].bytes, row[i].n);
	}
	buf_done(&word);
	buf_done(&back);
}

static void
a_word_in_other_clothes_is_refused(void **state)
{
	static const char *const bad[] = { "", "a b", "\\x41", "\\", "\\x", "\\x4", "\\xZZ", "\\x0A",
		"a\\-", "\\-\\-", "\\n", "\xff", "\xc3", "\n", "\\xc3\\xa4", "ok\\x", "\xc2\x9b" };
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	buf_adds(&b, "kept");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(text_unescape(bad[i], strlen(bad[i]), &b), -1);
		assert_string_equal(buf_str(&b), "kept");
	}
	buf_done(&b);
}

static void
utf8_is_judged_strictly(void **state)
{
	static const char *const bad[] = { "\x80", "\xc1\x81", "\xe0\x80\x80", "\xf0\x80\x80\x80",
		"\xed\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "a\xc3" };

	(void)state;
	assert_true(text_utf8_valid("", 0));
	assert_true(text_utf8_valid("a\0\xc3\xa4\xf4\x8f\xbf\xbf", 8));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(text_utf8_valid(bad[i], strlen(bad[i])));
}

static void
patterns_stop_at_slashes(void **state)
{
	(void)state;
	assert_true(text_match("*.tmp", "a.tmp"));
	assert_true(text_match("pg.*", "pg.payments"));
	assert_true(text_match("*", ".hidden"));
	assert_true(text_match("a/[bc]?", "a/bx"));
	assert_true(text_match("\\*", "*"));
	assert_false(text_match("*.tmp", "d/a.tmp"));
	assert_false(text_match("a?b", "a/b"));
	assert_false(text_match("\\*", "x"));
	assert_false(text_match("a", "ab"));
}

static void
the_nearest_word_is_found_when_it_may_be_meant(void **state)
{
	static const char *const words[] = { "ship-every", "site", "state", "backlog", "keep",
		"rpo", "rto", NULL };
	char longest[200];

	(void)state;
	assert_string_equal(text_nearest("ship-evry", words), "ship-every");
	assert_string_equal(text_nearest("shpi-every", words), "ship-every");
	assert_string_equal(text_nearest("staet", words), "state");
	assert_string_equal(text_nearest("kep", words), "keep");
	assert_string_equal(text_nearest("rt", words), "rto");
	assert_null(text_nearest("x", words));
	assert_null(text_nearest("", words));
	assert_null(text_nearest("frequency", words));
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_null(text_nearest(longest, words));
}

static void
lists_are_split_trimmed_and_emptied_of_nothing(void **state)
{
	struct text_list list;

	(void)state;
	text_split(" local, regional ,,\tdr ,", &list);
	assert_int_equal(list.count, 3);
	assert_string_equal(list.item[0], "local");
	assert_string_equal(list.item[1], "regional");
	assert_string_equal(list.item[2], "dr");
	text_list_done(&list);
	text_split(" , ", &list);
	assert_int_equal(list.count, 0);
	text_list_done(&list);
	text_split("", &list);
	assert_int_equal(list.count, 0);
	text_split("a b", &list);
	assert_int_equal(list.count, 1);
	assert_string_equal(list.item[0], "a b");
	text_list_done(&list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hex_is_lower_case_and_strict),
		cmocka_unit_test(base64_has_the_known_answers),
		cmocka_unit_test(base64_has_one_form_only),
		cmocka_unit_test(any_bytes_become_one_word_and_come_back),
		cmocka_unit_test(a_word_in_other_clothes_is_refused),
		cmocka_unit_test(utf8_is_judged_strictly),
		cmocka_unit_test(patterns_stop_at_slashes),
		cmocka_unit_test(the_nearest_word_is_found_when_it_may_be_meant),
		cmocka_unit_test(lists_are_split_trimmed_and_emptied_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
