/*
 * [tier NAME] with an s3: url: what it may say, and what would not be what it looks like.
 */
#include "tests/lib/vector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/lib/confkit.h"

/* Its first problem begins like that. */
static void
refused(const char *text, const char *want)
{
	assert_int_equal(confkit_parse(text), -1);
	if (strstr(confkit.e.text, want) == NULL) {
		print_error("'%s' is not in: %s\n", want, confkit.e.text);
		fail();
	}
}

static void
a_bucket_is_named_with_a_prefix_of_plain_names(void **state)
{
	static const char *const good[] = { "s3://bkt", "s3://b.k-t/a/b_C.d/", "s3://bkt/" };
	static const char *const bad[] = { "s3://", "s3://b", "s3://Bkt/a", "s3://bkt/a//b",
		"s3://bkt/.a", "s3://bkt/a b", "s3://bkt/a?b", "s3://bkt:80/a" };
	char *text;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		text = xasprintf("[tier a]\nurl = %s\n", good[i]);
		assert_int_equal(confkit_parse(text), 0);
		free(text);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		text = xasprintf("[tier a]\nurl = %s\n", bad[i]);
		refused(text, ":2: [tier a] url: ");
		free(text);
	}
}

static void
what_only_a_bucket_has_is_refused_for_a_directory(void **state)
{
	static const char *const line[] = { "endpoint = http://h", "region = x", "profile = x",
		"style = host", "ca = /x", "class = x", "lock = none",
		"access-key = env:K\nsecret-key = env:S", "driver = s3" };
	char *text;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(line); i++) {
		text = xasprintf("[tier a]\n%s\nurl = file:///a\n", line[i]);
		refused(text, ":2: [tier a] ");
		free(text);
		text = xasprintf("[tier a]\n%s\nurl = s3://bkt\n", line[i]);
		assert_int_equal(confkit_parse(text), 0);
		free(text);
	}
	refused("[tier a]\nurl = s3://bkt\ndriver = fs\n", ":3: [tier a] driver: fs is not for");
	refused("[tier a]\nurl = s3://bkt\nshared = yes\n", ":3: [tier a] shared: is for file:");
	refused("[tier a]\nurl = s3://bkt\naccess-key = env:K\n",
	    ":3: [tier a] access-key: is nothing alone");
	refused("[tier a]\nurl = s3://bkt\ndriver = libs3\nendpoint = http://h\n"
	    "lock = governance\n", ":5: [tier a] lock: driver libs3 has none");
	refused("[tier a]\nurl = s3://bkt\nendpoint = h:80\n", ":3: [tier a] endpoint: 'h:80'");
	refused("[tier a]\nurl = s3://bkt\nendpoint = http://h/bkt\n", ":3: [tier a] endpoint: ");
}

static void
one_bucket_is_no_two_tiers_and_on_two_servers_it_is(void **state)
{
	(void)state;
	refused("[tier a]\nurl = s3://bkt/x\n[tier b]\nurl = s3://bkt/x/y\n",
	    ":4: [tier b] url: 's3://bkt/x/y' and 's3://bkt/x' of [tier a] lie in each other");
	assert_int_equal(confkit_parse("[tier a]\nurl = s3://bkt/x\n[tier b]\nurl = s3://bkt/xy\n"), 0);
	assert_int_equal(confkit_parse("[tier a]\nurl = s3://bkt\nendpoint = http://a\n"
	    "[tier b]\nurl = s3://bkt\nendpoint = http://b\n"), 0);
}

#define T(f) cmocka_unit_test_teardown(f, confkit_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_bucket_is_named_with_a_prefix_of_plain_names),
		T(what_only_a_bucket_has_is_refused_for_a_directory),
		T(one_bucket_is_no_two_tiers_and_on_two_servers_it_is),
	};

	return cmocka_run_group_tests_name("conf_bucket", tests, NULL, NULL);
}
