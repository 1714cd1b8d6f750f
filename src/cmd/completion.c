/*
 * Completion for bash, written out of the tables: which words follow which, and what kind of value
 * an option or operand wants by the word its help uses (FILE, DIR, TIER, SOURCE). Names of tiers
 * and sources are asked of `ffdr config show` when they are needed, so they are those of the day.
 * Names of snapshots come from this host's catalog: a key press asks no tier.
 */
#include "cmd/completion.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/options.h"
#include "conf/conf_keys.h"

/* What completes a value, by the word that help calls it; the first that fits. */
static const struct {
	const char *value;
	const char *option; /* NULL: any */
	const char *words;  /* a compgen argument */
} kinds[] = {
	{ "FILE", NULL, "-f" },
	{ "DIR", NULL, "-d" },
	{ "TIER", NULL, "-W \"$(_ffdr_names tier '')\"" },
	{ "SOURCE", "retire", "-W \"$(_ffdr_gone)\"" },
	{ "SOURCE", NULL, "-W \"$(_ffdr_names postgres pg.)\"" },
	{ "SNAPSHOT", NULL, "-W \"$(_ffdr_snapshots)\"" },
	{ "LEVEL", NULL, "-W '0 1 2'" },
	{ "all", NULL, "-W all" },
	{ "PAGE", NULL, "-W 'ffdr.1 ffdr.conf.5'" },
	{ "SHELL", NULL, "-W bash" },
};

/* The same for operands, by what their words contain. */
static const struct {
	const char *operands;
	const char *words;
} operand_kinds[] = {
	{ "SNAPSHOT", "$(_ffdr_snapshots)" },
	{ "SOURCE...", "all $(_ffdr_sources)" },
	{ "SOURCE", "$(_ffdr_names postgres pg.)" }, /* one alone: whose WAL */
	{ "COMMAND", "$(_ffdr_commands \"$second\")" },
};

/* What the shell asks; $config, $cur and $second are those of _ffdr. */
static const char functions[] =
    "_ffdr_names()\n"
    "{\n"
    "\tffdr \"${config[@]}\" config show 2>/dev/null |\n"
    "\t\tsed -n \"s/^\\\\[$1 \\\\(.*\\\\)\\\\]\\$/$2\\\\1/p\"\n"
    "}\n\n"
    "# The sources that this host has seen snapshots of, and their snapshots.\n"
    "_ffdr_catalog()\n"
    "{\n"
    "\tlocal state\n"
    "\tstate=$(ffdr \"${config[@]}\" config show 2>/dev/null |\n"
    "\t\tsed -n '/^state = /{s/^state = \\(.*[^ ]\\)  *; .*$/\\1/p;q;}')\n"
    "\tls \"$state/catalog/$1\" 2>/dev/null\n"
    "}\n\n"
    "# Sources; once one of them is typed, its snapshots.\n"
    "_ffdr_snapshots()\n"
    "{\n"
    "\tcase $cur in\n"
    "\t*/*) echo \"${cur%%/*}/latest\"; _ffdr_catalog \"${cur%%/*}\" | sed \"s|^|${cur%%/*}/|\" ;;\n"
    "\t*) _ffdr_sources ;;\n"
    "\tesac\n"
    "}\n\n"
    "# Sources that are configured no more.\n"
    "_ffdr_gone()\n"
    "{\n"
    "\t_ffdr_catalog '' | grep -vxF -e \"$(_ffdr_sources)\"\n"
    "}\n\n";

/* What is configured of every kind of source. */
static void
sources(FILE *out)
{
	fputs("_ffdr_sources()\n{\n", out);
	for (const struct conf_section *s = conf_keys_sections; s->name; s++)
		if (s->source)
			fprintf(out, "\t_ffdr_names %s %s\n", s->name, s->source);
	fputs("}\n\n", out);
}

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

/* "key) echo 'escrow-test list rotate'" for each word that has sub commands. */
static void
second_words(FILE *out)
{
	for (size_t i = 0; command_table[i]; i++) {
		const char *name = command_table[i]->name;
		size_t len = strcspn(name, " ");

		if (name[len] == '\0' || seen_before(i))
			continue;
		fprintf(out, "\t%.*s) echo '", (int)len, name);
		for (size_t k = i; command_table[k]; k++) {
			if (strncmp(command_table[k]->name, name, len + 1) == 0)
				fprintf(out, "%s%s", k == i ? "" : " ",
				    command_table[k]->name + len + 1);
		}
		fputs("' ;;\n", out);
	}
}

static void
commands(FILE *out)
{
	fputs("# The words of commands that may follow this one.\n"
	      "_ffdr_commands()\n"
	      "{\n"
	      "\tcase $1 in\n"
	      "\t'') echo '", out);
	first_words(out);
	fputs("' ;;\n", out);
	second_words(out);
	fputs("\tesac\n"
	      "}\n\n", out);
}

static void
command_words(FILE *out, const struct command *c)
{
	const char *sub = strchr(c->name, ' ');

	fprintf(out, "\t'%s%s'*) words='", c->name, sub ? "" : " ");
	names(out, c->options);
	names(out, options_common);
	fputc('\'', out);
	for (size_t i = 0; i < ARRAY_LEN(operand_kinds); i++) {
		if (!c->operands || !strstr(c->operands, operand_kinds[i].operands))
			continue;
		fprintf(out, "; operands=\"%s\"", operand_kinds[i].words);
		break;
	}
	fputs(" ;;\n", out);
}

static void
value_case(FILE *out, const char *command, const struct opt *o, const char *words)
{
	fputc('\t', out);
	if (command)
		fprintf(out, "'%s%s'", command, strchr(command, ' ') ? "" : " ");
	fprintf(out, "*' --%s') mapfile -t COMPREPLY < <(compgen %s -- \"$cur\"); return ;;\n", o->name,
	    words);
}

/* "promote|pause": one of these. */
static void
choice(FILE *out, const char *command, const struct opt *o)
{
	char *words = xasprintf("-W '%s'", o->value);

	for (char *p = words; *p; p++)
		if (*p == '|')
			*p = ' ';
	value_case(out, command, o, words);
	free(words);
}

/* One case for each option of a command (any, if NULL) whose value can be completed. */
static void
values(FILE *out, const char *command, const struct opt *table)
{
	for (; table && table->name; table++) {
		if (table->value && strchr(table->value, '|')) {
			choice(out, command, table);
			continue;
		}
		for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
			if (!table->value || strcmp(table->value, kinds[i].value) != 0 ||
			    (kinds[i].option && strcmp(table->name, kinds[i].option) != 0))
				continue;
			value_case(out, command, table, kinds[i].words);
			break;
		}
	}
}

void
completion_bash(FILE *out)
{
	fputs("# Completion of ffdr for bash, written by: ffdr help --completion bash\n", out);
	fputs(functions, out);
	sources(out);
	commands(out);
	fputs("_ffdr()\n"
	      "{\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	      "\tlocal first='' second='' words='' operands='' config=() i\n\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\tcase ${COMP_WORDS[i]} in\n"
	      "\t\t--config) ((i++)); config=(--config \"${COMP_WORDS[i]}\") ;;\n"
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
	      "\tcase \"$first $second\" in\n", out);
	for (size_t i = 0; command_table[i]; i++)
		command_words(out, command_table[i]);
	fputs("\t*' ') words=$(_ffdr_commands \"$first\") ;;\n"
	      "\tesac\n"
	      "\tmapfile -t COMPREPLY < <(compgen -W \"$words $operands\" -- \"$cur\")\n"
	      "}\n"
	      "complete -F _ffdr ffdr\n", out);
}
