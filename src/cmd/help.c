/*
 * Help for a terminal. The list fits a screen; a command's help is its usage, what it does, its
 * options and examples to copy. man.c and completion.c say the same to other readers.
 */
#include "cmd/help.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/completion.h"
#include "cmd/man.h"
#include "cmd/options.h"
#include "cmd/output.h"

#define HELP_COLUMNS 80
#define HELP_OPTION_COLUMN 26 /* where an option's explanation starts; longer ones get two lines */

struct help_options {
	struct common_options common;
	const char *man;
	const char *completion;
};

/* Folds from column `at` on, which is 0 or, where a line has begun, the indent. */
static void
fold(FILE *out, const char *text, int indent, int at)
{
	bool first = true;

	while (*text) {
		size_t gap = strspn(text, " \n");
		bool paragraph = memmem(text, gap, "\n\n", 2) != NULL;
		size_t word = strcspn(text + gap, " \n");

		text += gap;
		if (word == 0)
			break;
		if (!first && (paragraph || at + 1 + (int)word > HELP_COLUMNS)) {
			fputs(paragraph ? "\n\n" : "\n", out);
			at = 0;
		} else if (!first) {
			at += fprintf(out, " ");
		}
		if (at == 0)
			at += fprintf(out, "%*s", indent, "");
		at += fprintf(out, "%.*s", (int)word, text);
		text += word;
		first = false;
	}
	if (!first)
		fputc('\n', out);
}

void
help_fold(FILE *out, const char *text, int indent)
{
	fold(out, text, indent, 0);
}

const char *
help_usage(const struct command *c, char *out, size_t room)
{
	snprintf(out, room, "ffdr %s%s%s%s", c->name, c->operands && *c->operands ? " " : "",
	    c->operands ? c->operands : "", c->options ? " [OPTION...]" : "");
	return out;
}

static void
options(FILE *out, const struct opt *table)
{
	for (; table && table->name; table++) {
		int at = fprintf(out, "  ");

		if (table->letter)
			at += fprintf(out, "-%c, ", table->letter);
		at += fprintf(out, "--%s", table->name);
		if (table->type != OPT_FLAG)
			at += fprintf(out, " %s", table->value ? table->value : "VALUE");
		if (at >= HELP_OPTION_COLUMN) {
			fputc('\n', out);
			at = 0;
		}
		fprintf(out, "%*s", HELP_OPTION_COLUMN - at, "");
		fold(out, table->help, HELP_OPTION_COLUMN, HELP_OPTION_COLUMN);
	}
}

void
help_command(FILE *out, const struct command *c)
{
	char usage[200];

	fprintf(out, "usage: %s\n\n", help_usage(c, usage, sizeof(usage)));
	help_fold(out, c->text, 0);
	if (c->options && c->options->name) {
		fputs("\noptions:\n", out);
		options(out, c->options);
	}
	fputs("\noptions of every command:\n", out);
	options(out, options_common);
	fputs("\nexamples:\n", out);
	for (const char *p = c->examples; *p;) {
		size_t n = strcspn(p, "\n");

		fprintf(out, "  %.*s\n", (int)n, p);
		p += n + (p[n] == '\n');
	}
}

static void
command_row(FILE *out, const struct command *c)
{
	fprintf(out, "  %-16s %s\n", c->name, c->summary);
}

void
help_list(FILE *out)
{
	fputs("usage: ffdr COMMAND [OPERAND...] [OPTION...]\n\n"
	      "Backs up, keeps copies in several places, proves them, and brings things back.\n\n",
	    out);
	for (size_t i = 0; command_table[i]; i++)
		command_row(out, command_table[i]);
	fputs("\nThe first steps: write /etc/ffdr/ffdr.ini, then `ffdr init`, `ffdr check`, "
	      "`ffdr backup all`.\n"
	      "`ffdr help COMMAND` shows one of them with examples; the manual is ffdr(1), the\n"
	      "configuration ffdr.conf(5).\n",
	    out);
}

/* "key" of "key list", "key rotate": the rows of one first word. */
static bool
in_family(const struct command *c, const char *first)
{
	size_t len = strlen(first);

	return strncmp(c->name, first, len) == 0 && c->name[len] == ' ';
}

static bool
is_family(const char *first)
{
	for (size_t i = 0; command_table[i]; i++)
		if (in_family(command_table[i], first))
			return true;
	return false;
}

/* To stdout what `write` writes; in JSON as one object. */
static void
say(void (*write)(FILE *out, const void *about), const void *about)
{
	char *text = NULL;
	size_t n;
	FILE *f;

	if (!output_is_json()) {
		write(stdout, about);
		return;
	}
	f = open_memstream(&text, &n);
	if (!f)
		return;
	write(f, about);
	fclose(f);
	output_json(json_pack("{s:s}", "text", text));
	free(text);
}

static void
list_page(FILE *out, const void *about)
{
	(void)about;
	help_list(out);
}

static void
program_page(FILE *out, const void *about)
{
	(void)about;
	man_program(out);
}

static void
configuration_page(FILE *out, const void *about)
{
	(void)about;
	man_configuration(out);
}

static void
bash_page(FILE *out, const void *about)
{
	(void)about;
	completion_bash(out);
}

static void
command_page(FILE *out, const void *about)
{
	help_command(out, about);
}

static void
family_page(FILE *out, const void *about)
{
	const char *first = about;

	fprintf(out, "usage: ffdr %s COMMAND [OPTION...]\n\n", first);
	for (size_t i = 0; command_table[i]; i++)
		if (in_family(command_table[i], first))
			command_row(out, command_table[i]);
	fprintf(out, "\n`ffdr help %s COMMAND` shows one of them with examples.\n", first);
}

void
help_answer(const struct command *c)
{
	say(c ? command_page : list_page, c);
}

static int
run_page(const char *page, struct err *e)
{
	if (strcmp(page, "ffdr.1") == 0)
		say(program_page, NULL);
	else if (strcmp(page, "ffdr.conf.5") == 0)
		say(configuration_page, NULL);
	else
		return err_set(e, ERR_USAGE, "there is no manual page '%s': ffdr.1, ffdr.conf.5",
		    page);
	return EXIT_DONE;
}

static int
run_help(const struct command_call *call, struct err *e)
{
	const struct help_options *o = call->options;
	const struct command *c;
	char name[64];

	if (o->man)
		return run_page(o->man, e);
	if (o->completion) {
		if (strcmp(o->completion, "bash") != 0)
			return err_set(e, ERR_USAGE, "there is no completion for '%s': bash",
			    o->completion);
		say(bash_page, NULL);
		return EXIT_DONE;
	}
	if (call->argc == 0) {
		help_answer(NULL);
		return EXIT_DONE;
	}
	snprintf(name, sizeof(name), "%s%s%s", call->argv[0], call->argc > 1 ? " " : "",
	    call->argc > 1 ? call->argv[1] : "");
	c = command_find(name);
	if (!c && is_family(name)) {
		say(family_page, name);
		return EXIT_DONE;
	}
	if (!c)
		return options_unknown(name, e);
	help_answer(c);
	return EXIT_DONE;
}

static const struct opt help_opts[] = {
	{ "man", 0, OPT_STRING, offsetof(struct help_options, man), "PAGE",
	    "write a manual page: ffdr.1 or ffdr.conf.5" },
	{ "completion", 0, OPT_STRING, offsetof(struct help_options, completion), "SHELL",
	    "write completion rules for a shell: bash" },
	{ 0 },
};

const struct command help_help = {
	.name = "help",
	.operands = "[COMMAND]",
	.summary = "list the commands, or explain one",
	.text = "Without an operand, lists all commands. With one, shows what that command does, its "
		"options and examples, as `ffdr COMMAND --help` does.\n\n"
		"The manual pages and the completion rules of an installation are made by this "
		"command, from the tables that the program itself works by.",
	.examples = "ffdr help restore\n"
		    "ffdr help --man ffdr.conf.5 | man -l -   # every key of the configuration\n"
		    "source <(ffdr help --completion bash)    # completion in this shell",
	.options = help_opts,
	.options_size = sizeof(struct help_options),
	.max_operands = 2,
	.conf = CONF_NONE,
	.run = run_help,
};
