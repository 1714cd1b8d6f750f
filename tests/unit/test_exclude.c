/* Patterns of what a volume leaves out, against a table and against a matcher that tries
 * everything. */
#include "tests/lib/vector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "source/exclude.h"

static bool
hit(const char *pattern, const char *path, bool directory)
{
	struct exclude *x = NULL;
	struct err e = { 0 };
	const char *name = strrchr(path, '/');
	bool yes;

	if (exclude_new(&pattern, 1, &x, &e) == -1)
		fail_msg("'%s': %s", pattern, e.text);
	yes = exclude_match(x, path, name ? name + 1 : path, directory);
	exclude_free(x);
	return yes;
}

static void
patterns_match_what_the_manual_says(void **state)
{
	static const struct {
		const char *pattern, *path;
		bool directory, yes;
	} cases[] = {
		{ "*.tmp", "a.tmp", false, true },
		{ "*.tmp", "d/e/a.tmp", false, true },
		{ "*.tmp", "a.tmp", true, true },
		{ "*.tmp", "a.tmp.gz", false, false },
		{ "*.tmp", ".tmp", false, true },
		{ "cache/", "cache", true, true },
		{ "cache/", "x/cache", true, true },
		{ "cache/", "x/cache", false, false },
		{ "/top", "top", false, true },
		{ "/top", "d/top", false, false },
		{ "a/b", "a/b", false, true },
		{ "a/b", "x/a/b", false, false },
		{ "a/*.log", "a/x.log", false, true },
		{ "a/*.log", "a/b/x.log", false, false },
		{ "a/**.log", "a/b/x.log", false, true },
		{ "a/**/b", "a/b", false, true },
		{ "a/**/b", "a/x/y/b", false, true },
		{ "a/**/b", "a/xb", false, false },
		{ "**/b", "b", false, true },
		{ "**/b", "x/y/b", false, true },
		{ "**/b", "x/yb", false, false },
		{ "a/**", "a/x/y", false, true },
		{ "a/**", "a", true, false },
		{ "?", "x", false, true },
		{ "?", "xy", false, false },
		{ "a/?b", "a//b", false, false },
		{ "[a-c]x", "bx", false, true },
		{ "[a-c]x", "dx", false, false },
		{ "[!a-c]x", "dx", false, true },
		{ "[]]x", "]x", false, true },
		{ "[\\]]x", "]x", false, true },
		{ "\\*", "*", false, true },
		{ "\\*", "a", false, false },
		{ "\\!x", "!x", false, true },
		{ "\xff*", "\xff\xfe", false, true },
		{ "*a*b*c*", "xxaxxbxxcxx", false, true },
		{ "*a*b*c*", "xxaxxcxxbxx", false, false },
		{ "/x/*/z", "x/y/z", false, true },
		{ "/x/*/z", "x/y/y/z", false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (hit(cases[i].pattern, cases[i].path, cases[i].directory) != cases[i].yes)
			fail_msg("'%s' and '%s'%s", cases[i].pattern, cases[i].path,
			    cases[i].directory ? " (directory)" : "");
}

static void
patterns_that_cannot_be_meant_are_refused(void **state)
{
	static const char *const bad[] = {"",	  "/",	 "a//b",  "../x",   "a/./b",
					  "[abc", "x\\", "!keep", "a/[b/c]"};
	struct exclude *x = NULL;
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(exclude_new(&bad[i], 1, &x, &e), -1);
		assert_int_equal(e.kind, ERR_CONFIG);
		assert_non_null(strstr(e.text, "exclude: "));
	}
}

/* Tries everything: slow, and plain to see. */
static bool
naive(const char *p, const char *s, bool at_component)
{
	if (p[0] == '*' && p[1] == '*' && p[2] == '/' && at_component) {
		if (naive(p + 3, s, true))
			return true;
		for (; *s; s++)
			if (*s == '/' && naive(p + 3, s + 1, true))
				return true;
		return false;
	}
	if (p[0] == '*' && p[1] == '*') {
		for (;; s++) {
			if (naive(p + 2, s, false))
				return true;
			if (!*s)
				return false;
		}
	}
	if (*p == '*') {
		for (;; s++) {
			if (naive(p + 1, s, false))
				return true;
			if (!*s || *s == '/')
				return false;
		}
	}
	if (!*p || !*s)
		return !*p && !*s;
	if (*p == '?' ? *s == '/' : *p != *s)
		return false;
	return naive(p + 1, s + 1, *p == '/');
}

static void
every_short_pattern_agrees_with_a_matcher_that_tries_everything(void **state)
{
	static const char letters[] = "**ab/?";
	char pattern[12], path[12];
	unsigned hits = 0;

	(void)state;
	srand(1);
	for (int i = 0; i < 200000; i++) {
		size_t n = 1 + (size_t)rand() % 8, m = 1 + (size_t)rand() % 10, j;

		for (j = 0; j < n; j++)
			pattern[j] = letters[(size_t)rand() % (sizeof(letters) - 1)];
		pattern[n] = 0;
		for (j = 0; j < m; j++)
			path[j] = "aab/"[rand() % 4];
		path[m] = 0;
		/* Anchored by a slash inside, so that both see the whole path. */
		if (pattern[0] == '/' || pattern[n - 1] == '/' || strstr(pattern, "//") ||
		    !strchr(pattern, '/'))
			continue;
		hits += naive(pattern, path, true);
		if (hit(pattern, path, false) != naive(pattern, path, true))
			fail_msg("'%s' and '%s'", pattern, path);
	}
	assert_true(hits > 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_match_what_the_manual_says),
		cmocka_unit_test(patterns_that_cannot_be_meant_are_refused),
		cmocka_unit_test(every_short_pattern_agrees_with_a_matcher_that_tries_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
