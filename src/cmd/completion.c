/*
 * Completion for bash, written out of the tables: which words follow which, and what kind of value
 * an option wants by the word its help uses (FILE, DIR, TIER, SOURCE). Names of tiers and sources
 * are asked of `ffdr config show` when they are needed, so they are those of the day.
 */
#include "cmd/completion.h"

#include <string.h>

#include "cmd/options.h"

/* What completes a value, by the word that help calls it. */
static const struct {
	const char *value;
	const char *words; /* a compgen argument */
} kinds[] = {
	{ "FILE", "-f" },
	{ "DIR", "-d" },
	{ "TIER", "-W \"$(_ffdr_names tier '')\"" },
	{ "SOURCE", "-W \"$(_ffdr_names volume vol.)\"" },
};

/* Option names of a table, each with a blank in front. */
static void
names(FILE *out, const struct opt *table)
{
	for (; table && table->name; table++)
		fprintf(out, " --%s", table->name);
}

/* Has the first word of this command been seen on an earlier row? */
static int
seen_before(size_t row)
{
	size_t len = strcspn(command_table[row]->name, " ");

	for (size_t i = 0; i < row; i++) {
		if (strncmp(command_table[i]->name, command_table[row]->name, len) == 0 &&
		    strcspn(command_table[i]->name, " ") == len)
			return 1;
	}
	return 0;
}

static void
first_words(FILE *out)
{
	const char *between = "";

	for (size_t i = 0; command_table[i]; i++) {
		const char *name = command_table[i]->name;

		if (seen_before(i))
			continue;
		fprintf(out, "%s%.*s", between, (int)strcspn(name, " "), name);
		between = " ";
	}
}

/* "key) words='escrow-test list rotate'" for each word that has sub commands. */
static void
second_words(FILE *out)
{
	for (size_t i = 0; command_table[i]; i++) {
		const char *name = command_table[i]->name;
		size_t len = strcspn(name, " ");

		if (name[len] == '\0' || seen_before(i))
			continue;
		fprintf(out, "\t\"%.*s \") words='", (int)len, name);
		for (size_t k = i; command_table[k]; k++) {
			if (strncmp(command_table[k]->name, name, len + 1) == 0)
				fprintf(out, "%s%s", k == i ? "" : " ",
				    command_table[k]->name + len + 1);
		}
		fputs("' ;;\n", out);
	}
}

static void
command_words(FILE *out, const struct command *c)
{
	const char *sub = strchr(c->name, ' ');

	fprintf(out, "\t'%s%s'*) words='", c->name, sub ? "" : " ");
	names(out, c->options);
	names(out, options_common);
	fputc('\'', out);
	if (c->operands && strstr(c->operands, "SOURCE"))
		fputs("; operands=$(_ffdr_names volume vol.)", out);
	fputs(" ;;\n", out);
}

/* One case for each option of a command (any, if NULL) whose value can be completed. */
static void
values(FILE *out, const char *command, const struct opt *table)
{
	for (; table && table->name; table++) {
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
			if (!table->value || strcmp(table->value, kinds[i].value) != 0)
				continue;
			fputc('\t', out);
			if (command)
				fprintf(out, "'%s%s'", command, strchr(command, ' ') ? "" : " ");
			fprintf(out, "*' --%s') mapfile -t COMPREPLY < <(compgen %s -- \"$cur\"); "
				     "return ;;\n", table->name, kinds[i].words);
		}
	}
}

void
completion_bash(FILE *out)
{
	fputs("# Completion of ffdr for bash, written by: ffdr help --completion bash\n"
	      "_ffdr_names()\n"
	      "{\n"
	      "\tffdr config show 2>/dev/null | sed -n \"s/^\\\\[$1 \\\\(.*\\\\)\\\\]\\$/$2\\\\1/p\"\n"
	      "}\n\n"
	      "_ffdr()\n"
	      "{\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	      "\tlocal first='' second='' words='' operands='' i\n\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\tcase ${COMP_WORDS[i]} in\n"
	      "\t\t--config) ((i++)) ;;\n"
	      "\t\t-*) ;;\n"
	      "\t\t*) if [ -z \"$first\" ]; then first=${COMP_WORDS[i]}\n"
	      "\t\t\telif [ -z \"$second\" ]; then second=${COMP_WORDS[i]}; fi ;;\n"
	      "\t\tesac\n"
	      "\tdone\n\n"
	      "\tcase \"$first $second $prev\" in\n", out);
	values(out, NULL, options_common);
	for (size_t i = 0; command_table[i]; i++)
		values(out, command_table[i]->name, command_table[i]->options);
	fputs("\tesac\n\n"
	      "\tcase \"$first $second\" in\n"
	      "\t' ') words='", out);
	first_words(out);
	fputs("' ;;\n", out);
	second_words(out);
	for (size_t i = 0; command_table[i]; i++)
		command_words(out, command_table[i]);
	fputs("\tesac\n"
	      "\tmapfile -t COMPREPLY < <(compgen -W \"$words $operands\" -- \"$cur\")\n"
	      "}\n"
	      "complete -F _ffdr ffdr\n", out);
}
