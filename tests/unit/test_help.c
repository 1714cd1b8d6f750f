/* What the program says about itself covers everything the tables have. */
#include "tests/lib/vector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "cmd/completion.h"
#include "cmd/help.h"
#include "cmd/man.h"
#include "cmd/options.h"
#include "conf/conf_keys.h"

static char *text;
static size_t text_len;

static FILE *
begin(void)
{
	free(text);
	text = NULL;
	return open_memstream(&text, &text_len);
}

static int
forget(void **state)
{
	(void)state;
	free(text);
	text = NULL;
	return 0;
}

static void
assert_has(const char *what)
{
	if (!strstr(text, what))
		fail_msg("'%s' is missing", what);
}

static void
every_command_says_what_it_does_and_shows_an_example_of_itself(void **state)
{
	char start[100];

	(void)state;
	for (size_t i = 0; command_table[i]; i++) {
		const struct command *c = command_table[i];

		assert_non_null(c->name);
		/* One line of the list: 80 columns less the name's. */
		if (!c->summary || strlen(c->summary) < 10 || strlen(c->summary) > 61)
			fail_msg("summary of '%s'", c->name);
		assert_true(c->text && strlen(c->text) > 60);
		assert_non_null(c->run);
		snprintf(start, sizeof(start), "ffdr %s", c->name);
		if (!c->examples || !strstr(c->examples, start))
			fail_msg("'%s' has no example that begins 'ffdr %s'", c->name, c->name);
	}
}

static void
no_command_is_listed_twice(void **state)
{
	(void)state;
	for (size_t i = 0; command_table[i]; i++)
		assert_ptr_equal(command_find(command_table[i]->name), command_table[i]);
}

static void
no_option_is_explained_twice_or_hides_a_common_one(void **state)
{
	(void)state;
	for (size_t i = 0; command_table[i]; i++) {
		struct opt *table = options_table(command_table[i]);

		for (size_t a = 0; table[a].name; a++) {
			assert_true(table[a].help && *table[a].help);
			assert_int_equal(table[a].type == OPT_FLAG, table[a].value == NULL);
			for (size_t b = 0; b < a; b++) {
				assert_string_not_equal(table[a].name, table[b].name);
				assert_true(!table[a].letter || table[a].letter != table[b].letter);
			}
		}
		free(table);
	}
}

static void
options_lie_inside_the_struct_they_fill(void **state)
{
	(void)state;
	for (size_t i = 0; command_table[i]; i++) {
		const struct command *c = command_table[i];

		for (const struct opt *o = c->options; o && o->name; o++) {
			assert_true(o->offset >= sizeof(struct common_options));
			assert_true(o->offset < c->options_size);
		}
	}
}

static void
the_list_names_every_command(void **state)
{
	FILE *f = begin();

	(void)state;
	help_list(f);
	fclose(f);
	for (size_t i = 0; command_table[i]; i++) {
		assert_has(command_table[i]->name);
		assert_has(command_table[i]->summary);
	}
}

static void
help_of_a_command_has_its_options_and_fits_a_terminal(void **state)
{
	(void)state;
	for (size_t i = 0; command_table[i]; i++) {
		FILE *f = begin();
		char *prose_end, want[100];

		help_command(f, command_table[i]);
		fclose(f);
		for (const struct opt *o = command_table[i]->options; o && o->name; o++) {
			snprintf(want, sizeof(want), "--%s", o->name);
			assert_has(want);
		}
		assert_has("--config FILE");
		prose_end = strstr(text, "\nexamples:");
		assert_non_null(prose_end);
		for (char *p = text; p && p < prose_end; p = strchr(p, '\n') + 1)
			assert_true(strcspn(p, "\n") <= 80);
	}
}

static void
folding_keeps_paragraphs_and_words(void **state)
{
	FILE *f = begin();

	(void)state;
	help_fold(f, "one  two\nthree\n\nfour", 2);
	fclose(f);
	assert_string_equal(text, "  one two three\n\n  four\n");
}

static void
the_manual_has_every_command_option_and_exit_code(void **state)
{
	char want[200];
	FILE *f = begin();

	(void)state;
	man_program(f);
	fclose(f);
	for (size_t i = 0; command_table[i]; i++) {
		snprintf(want, sizeof(want), ".Ss ffdr %s", command_table[i]->name);
		assert_has(want);
		for (const struct opt *o = command_table[i]->options; o && o->name; o++) {
			snprintf(want, sizeof(want), "Fl -%s", o->name);
			assert_has(want);
		}
	}
	for (const struct command_status *s = command_statuses; s->meaning; s++) {
		snprintf(want, sizeof(want), ".It %d\n", s->code);
		assert_has(want);
		assert_true(s == command_statuses || s[-1].code < s->code);
	}
}

static void
every_kind_of_error_has_an_exit_code_that_the_manual_explains(void **state)
{
	(void)state;
	for (int kind = ERR_NONE; kind < ERR_KINDS; kind++) {
		int code = command_exit((enum err_kind)kind), explained = 0;

		assert_int_not_equal(code, 0);
		for (const struct command_status *s = command_statuses; s->meaning; s++)
			explained += s->code == code;
		assert_int_equal(explained, 1);
	}
	assert_int_equal(command_exit(ERR_USAGE), 2);
	assert_int_equal(command_exit(ERR_CORRUPT), 4);
	assert_int_equal(command_exit(ERR_REFUSED), 5);
	assert_int_equal(command_exit(ERR_REMOTE), 11);
	assert_int_equal(command_exit(ERR_BUSY), 12);
	assert_int_equal(command_exit(ERR_PERMISSION), 77);
	assert_int_equal(command_exit(ERR_CONFIG), 78);
	assert_int_equal(command_exit(ERR_KEY), 78);
}

static void
the_manual_of_the_configuration_has_every_section_and_key(void **state)
{
	char want[200];
	FILE *f = begin();

	(void)state;
	man_configuration(f);
	fclose(f);
	for (const struct conf_section *s = conf_keys_sections; s->name; s++) {
		snprintf(want, sizeof(want), ".Ss [%s%s]\n", s->name, s->named ? " NAME" : "");
		assert_has(want);
	}
	for (const struct conf_key *k = conf_keys_table; k->section; k++) {
		snprintf(want, sizeof(want), ".It Ic %s\n", k->key);
		assert_has(want);
	}
}

/*
 * A line of a page that starts with a dot is a macro; only those this program writes may be there.
 */
static void
no_prose_becomes_a_macro(void **state)
{
	static const char *const known[] = { ".Dd ", ".Dt ", ".Os\n", ".Sh ", ".Ss ", ".Nm", ".Nd ",
		".Ar ", ".Op ", ".Bl ", ".El\n", ".It ", ".Pp\n", ".Bd ", ".Ed\n", ".Fl ", ".Ql ",
		".Xr ", ".br\n", ".Pa ", ".Ev " };
	FILE *f = begin();

	(void)state;
	man_program(f);
	man_configuration(f);
	fclose(f);
	for (char *p = text; *p; p = strchr(p, '\n') + 1) {
		size_t i = 0;

		if (strncmp(p, ".Bd ", 4) == 0)
			p = strstr(p, "\n.Ed\n") + 1; /* literal text may have blank lines */
		assert_int_not_equal(*p, '\n');
		assert_int_not_equal(*p, '\'');
		while (*p == '.' && i < ARRAY_LEN(known) &&
		    strncmp(p, known[i], strlen(known[i])) != 0)
			i++;
		if (i == ARRAY_LEN(known))
			fail_msg("unexpected macro: %.40s", p);
	}
}

static void
completion_knows_every_command_and_option(void **state)
{
	char want[200];
	FILE *f = begin();

	(void)state;
	completion_bash(f);
	fclose(f);
	for (size_t i = 0; command_table[i]; i++) {
		const struct command *c = command_table[i];
		char *row;

		snprintf(want, sizeof(want), "\t'%s%s'*) words='", c->name,
		    strchr(c->name, ' ') ? "" : " ");
		row = strstr(text, want);
		assert_non_null(row);
		row = xstrndup(row, strcspn(row, "\n"));
		for (const struct opt *o = c->options; o && o->name; o++) {
			snprintf(want, sizeof(want), " --%s", o->name);
			assert_non_null(strstr(row, want));
		}
		assert_non_null(strstr(row, " --config"));
		free(row);
	}
}

/* The command that words mean, "" when none; what is left of them goes to `rest`. */
static const char *
meant(const char *words, char *rest, struct err *e)
{
	static char line[200];
	char *argv[20], *word, *next = line;
	const struct command *c = NULL;
	int argc = 0, found;

	snprintf(line, sizeof(line), "%s", words);
	while ((word = strsep(&next, " ")) != NULL)
		argv[argc++] = word;
	argv[argc] = NULL;
	err_clear(e);
	found = options_command(&argc, argv, &c, e);
	rest[0] = '\0';
	for (int i = 1; argv[i]; i++) {
		strcat(rest, argv[i]);
		strcat(rest, " ");
	}
	return found == 1 ? c->name : found == 0 ? "" : "error";
}

static void
common_options_may_stand_on_either_side_of_the_command(void **state)
{
	char rest[200];
	struct err e;

	(void)state;
	assert_string_equal(meant("ffdr --config x hold a --json", rest, &e), "hold");
	assert_string_equal(rest, "--config x a --json ");
	assert_string_equal(meant("ffdr key rotate --data", rest, &e), "key rotate");
	assert_string_equal(rest, "--data ");
	assert_string_equal(meant("ffdr --config=x -q key list", rest, &e), "key list");
	assert_string_equal(rest, "--config=x -q ");
	assert_string_equal(meant("ffdr --json", rest, &e), "");
}

static void
a_wrong_command_is_answered_with_the_right_one(void **state)
{
	char rest[200];
	struct err e;

	(void)state;
	assert_string_equal(meant("ffdr hodl x", rest, &e), "error");
	assert_int_equal(e.kind, ERR_USAGE);
	assert_non_null(strstr(e.text, "'hold'"));
	assert_string_equal(meant("ffdr key", rest, &e), "error");
	assert_non_null(strstr(e.text, "list, rotate, escrow-test"));
	assert_string_equal(meant("ffdr key --json", rest, &e), "error");
	assert_non_null(strstr(e.text, "second word"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_says_what_it_does_and_shows_an_example_of_itself),
		cmocka_unit_test(no_command_is_listed_twice),
		cmocka_unit_test(no_option_is_explained_twice_or_hides_a_common_one),
		cmocka_unit_test(options_lie_inside_the_struct_they_fill),
		cmocka_unit_test(the_list_names_every_command),
		cmocka_unit_test(help_of_a_command_has_its_options_and_fits_a_terminal),
		cmocka_unit_test(folding_keeps_paragraphs_and_words),
		cmocka_unit_test(the_manual_has_every_command_option_and_exit_code),
		cmocka_unit_test(every_kind_of_error_has_an_exit_code_that_the_manual_explains),
		cmocka_unit_test(the_manual_of_the_configuration_has_every_section_and_key),
		cmocka_unit_test(no_prose_becomes_a_macro),
		cmocka_unit_test(completion_knows_every_command_and_option),
		cmocka_unit_test(common_options_may_stand_on_either_side_of_the_command),
		cmocka_unit_test(a_wrong_command_is_answered_with_the_right_one),
	};

	return cmocka_run_group_tests(tests, NULL, forget);
}
