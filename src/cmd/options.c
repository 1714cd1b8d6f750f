/*
 * Which command was meant. Common options may stand on either side of the command's words, as
 * people type both `ffdr --json list` and `ffdr list --json`; so the words are looked for first,
 * and what is left goes to opt_parse with one table of own and common options.
 */
#include "cmd/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define OPTIONS_NAME 64 /* room for "key escrow-test" */

const struct opt options_common[] = {
	{ "config", 0, OPT_STRING, offsetof(struct common_options, config), "FILE",
	    "read this configuration instead of /etc/ffdr/ffdr.ini" },
	{ "json", 0, OPT_FLAG, offsetof(struct common_options, json), NULL,
	    "print one JSON object at the end instead of text" },
	{ "events", 0, OPT_FLAG, offsetof(struct common_options, events), NULL,
	    "print a line of JSON for each event as it happens" },
	{ "quiet", 'q', OPT_FLAG, offsetof(struct common_options, quiet), NULL,
	    "no progress and no summary: only data, warnings and errors" },
	{ "help", 'h', OPT_FLAG, offsetof(struct common_options, help), NULL,
	    "show what the command does and its options" },
	{ 0 },
};

static size_t
rows(const struct opt *table)
{
	size_t n = 0;

	while (table && table[n].name)
		n++;
	return n;
}

struct opt *
options_table(const struct command *c)
{
	size_t own = c ? rows(c->options) : 0, common = rows(options_common);
	struct opt *table = xcalloc(own + common + 1, sizeof(*table));

	if (own > 0)
		memcpy(table, c->options, own * sizeof(*table));
	memcpy(table + own, options_common, common * sizeof(*table));
	return table;
}

void
options_peek(int argc, char **argv, struct common_options *ret)
{
	*ret = (struct common_options){ 0 };
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		ret->json |= strcmp(argv[i], "--json") == 0;
		ret->events |= strcmp(argv[i], "--events") == 0;
		ret->quiet |= strcmp(argv[i], "--quiet") == 0 || strcmp(argv[i], "-q") == 0;
	}
}

/* How many arguments a common option in front of the command takes: 1, or 2 with its value. */
static int
option_width(const char *arg)
{
	for (const struct opt *o = options_common; o->name; o++) {
		if (o->type != OPT_FLAG && strncmp(arg, "--", 2) == 0 &&
		    strcmp(arg + 2, o->name) == 0)
			return 2;
	}
	return 1;
}

/* "list, rotate" of a first word that only sub commands have ("key"); 0 when there are none. */
static size_t
sub_commands(const char *first, char *out, size_t room)
{
	size_t len = strlen(first), at = 0, count = 0;

	out[0] = '\0';
	for (size_t i = 0; command_table[i]; i++) {
		const char *name = command_table[i]->name;

		if (strncmp(name, first, len) != 0 || name[len] != ' ')
			continue;
		at += (size_t)snprintf(out + at, at < room ? room - at : 0, "%s%s",
		    count > 0 ? ", " : "", name + len + 1);
		count++;
	}
	return count;
}

int
options_unknown(const char *word, struct err *e)
{
	/* more commands than there will be; only bounds the hint */
	const char *names[64] = { NULL };
	const char *near;

	for (size_t i = 0; command_table[i] && i + 1 < ARRAY_LEN(names); i++)
		names[i] = command_table[i]->name;
	near = text_nearest(word, names);
	if (near)
		err_set(e, ERR_USAGE, "there is no command '%s', did you mean '%s'?", word, near);
	else
		err_set(e, ERR_USAGE, "there is no command '%s'", word);
	return err_line(e, "fix", "`ffdr help` lists the commands");
}

/* The row for argv[at] and perhaps argv[at + 1]; *words says how many of them it took. */
static int
find(int argc, char **argv, int at, int *words, const struct command **ret, struct err *e)
{
	char name[OPTIONS_NAME], subs[200];
	const char *second = at + 1 < argc ? argv[at + 1] : "";

	*words = 2;
	snprintf(name, sizeof(name), "%s %s", argv[at], second);
	*ret = command_find(name);
	if (*ret)
		return 1;
	*words = 1;
	*ret = command_find(argv[at]);
	if (*ret)
		return 1;
	if (sub_commands(argv[at], subs, sizeof(subs)) == 0)
		return options_unknown(argv[at], e);
	if (second[0] == '\0' || second[0] == '-')
		return err_set(e, ERR_USAGE, "'%s' needs a second word: %s", argv[at], subs);
	return err_set(e, ERR_USAGE, "there is no command '%s %s', '%s' has: %s", argv[at], second,
	    argv[at], subs);
}

int
options_command(int *argc, char **argv, const struct command **ret, struct err *e)
{
	int at = 1, words;

	while (at < *argc && argv[at][0] == '-')
		at += option_width(argv[at]);
	if (at >= *argc)
		return 0;
	if (find(*argc, argv, at, &words, ret, e) == -1)
		return -1;
	for (int i = at; i + words <= *argc; i++)
		argv[i] = argv[i + words]; /* argv ends with NULL, which moves along */
	*argc -= words;
	return 1;
}
