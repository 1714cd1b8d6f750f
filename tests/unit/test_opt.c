/* The command line by a table. */
#include "tests/lib/vector.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/opt.h"

struct options {
	bool dry, verbose;
	const char *to;
	uint64_t size;
	int64_t keep, count;
	struct opt_list exclude;
};

static const struct opt table[] = {
	{ "dry-run", 'n', OPT_FLAG, offsetof(struct options, dry), NULL, "show only" },
	{ "verbose", 'v', OPT_FLAG, offsetof(struct options, verbose), NULL, "say more" },
	{ "to", 't', OPT_STRING, offsetof(struct options, to), "DIR", "where" },
	{ "size", 0, OPT_SIZE, offsetof(struct options, size), "SIZE", "how much" },
	{ "keep", 0, OPT_DURATION, offsetof(struct options, keep), "TIME", "how long" },
	{ "count", 'c', OPT_NUMBER, offsetof(struct options, count), "N", "how many" },
	{ "exclude", 0, OPT_LIST, offsetof(struct options, exclude), "PATTERN", "what not" },
	{ .name = NULL },
};

static struct options o;
static struct err e;
static char *argv[20];
static char line[400];

/* Parses a command line written with blanks; "" is written as @. */
static int
parse(const char *words)
{
	int argc = 0;
	char *word, *rest = line;

	opt_list_done(&o.exclude);
	memset(&o, 0, sizeof(o));
	err_clear(&e);
	strcpy(line, words);
	while ((word = strsep(&rest, " ")) != NULL)
		argv[argc++] = strcmp(word, "@") == 0 ? word + 1 : word;
	argv[argc] = NULL;
	return opt_parse(table, &o, argc, argv, &e);
}

static void
options_and_operands_may_stand_in_any_order(void **state)
{
	(void)state;
	assert_int_equal(parse("cmd one --dry-run two --to /x - three --size=32m"), 4);
	assert_true(o.dry);
	assert_string_equal(o.to, "/x");
	assert_true(o.size == 32u << 20);
	assert_string_equal(argv[0], "one");
	assert_string_equal(argv[1], "two");
	assert_string_equal(argv[2], "-");
	assert_string_equal(argv[3], "three");
	assert_int_equal(parse("cmd"), 0);
	assert_false(o.dry);
}

static void
two_dashes_end_the_options(void **state)
{
	(void)state;
	assert_int_equal(parse("cmd a -- --dry-run -n --"), 4);
	assert_false(o.dry);
	assert_string_equal(argv[1], "--dry-run");
	assert_string_equal(argv[2], "-n");
	assert_string_equal(argv[3], "--");
}

static void
letters_may_be_joined_and_carry_a_value(void **state)
{
	(void)state;
	assert_int_equal(parse("cmd -nv -t/x"), 0);
	assert_true(o.dry && o.verbose);
	assert_string_equal(o.to, "/x");
	assert_int_equal(parse("cmd -nt /y z"), 1);
	assert_true(o.dry && !o.verbose);
	assert_string_equal(o.to, "/y");
	assert_int_equal(parse("cmd -c-12"), 0);
	assert_int_equal(o.count, -12);
	assert_int_equal(parse("cmd -nx"), -1);
	assert_string_equal(e.text, "unknown option '-x' in '-nx'");
}

static void
values_have_their_kinds(void **state)
{
	(void)state;
	assert_int_equal(parse("cmd --size 1kB --keep 7d --count 5 --to @"), 0);
	assert_int_equal(o.size, 1000);
	assert_int_equal(o.keep, 7 * 86400 * 1000);
	assert_int_equal(o.count, 5);
	assert_string_equal(o.to, "");
	assert_int_equal(parse("cmd --to=a=b --to --last"), 0);
	assert_string_equal(o.to, "--last");
}

static void
lists_collect_in_order(void **state)
{
	(void)state;
	assert_int_equal(parse("cmd --exclude a x --exclude=b,c"), 1);
	assert_int_equal(o.exclude.count, 2);
	assert_string_equal(o.exclude.item[0], "a");
	assert_string_equal(o.exclude.item[1], "b,c");
	opt_list_done(&o.exclude);
	assert_int_equal(o.exclude.count, 0);
}

static void
mistakes_are_named_with_the_way_out(void **state)
{
	static const struct {
		const char *words, *text;
	} row[] = {
		{ "cmd --dryrun", "unknown option '--dryrun', did you mean --dry-run?" },
		{ "cmd --exlude=x", "unknown option '--exlude', did you mean --exclude?" },
		{ "cmd --zzzzzzz", "unknown option '--zzzzzzz'" },
		{ "cmd --to", "option --to needs a value: --to DIR" },
		{ "cmd -t", "option --to needs a value: --to DIR" },
		{ "cmd --dry-run=yes", "option --dry-run takes no value" },
		{ "cmd --count 5x", "--count: '5x' is not a whole number" },
		{ "cmd --count 99999999999999999999",
		    "--count: '99999999999999999999' is not a whole number" },
		{ "cmd --count=+5", "--count: '+5' is not a whole number" },
		{ "cmd --size big",
		    "--size: 'big' is not a size, expected something like 32m or 100MB" },
		{ "cmd --keep 5",
		    "--keep: '5' is not a duration, expected something like 30s, 4h or 7d" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		assert_int_equal(parse(row[i].words), -1);
		assert_int_equal(e.kind, ERR_USAGE);
		assert_string_equal(e.text, row[i].text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_and_operands_may_stand_in_any_order),
		cmocka_unit_test(two_dashes_end_the_options),
		cmocka_unit_test(letters_may_be_joined_and_carry_a_value),
		cmocka_unit_test(values_have_their_kinds),
		cmocka_unit_test(lists_collect_in_order),
		cmocka_unit_test(mistakes_are_named_with_the_way_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
