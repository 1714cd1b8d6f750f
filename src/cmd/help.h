#ifndef CMD_HELP_H
#define CMD_HELP_H

#include <stdio.h>

#include "cmd/command.h"

/*
 * What the program says about itself, all of it from the tables of commands, options and keys: so
 * nothing can be forgotten and nothing can be stale.
 */

/* ffdr help [COMMAND], help --man PAGE, help --completion SHELL. */
extern const struct command help_help;

/*
 * The answer to --help on stdout: that command, or with NULL the list. With --json an object with
 * the `text`.
 */
void help_answer(const struct command *c);
/* The list of all commands. */
void help_list(FILE *out);
/* One command: usage, text, options, examples. */
void help_command(FILE *out, const struct command *c);
/* "ffdr restore SOURCE|SNAPSHOT [OPTION...]" into out, which it returns. */
const char *help_usage(const struct command *c, char *out, size_t room);
/* Prose folded at HELP_COLUMNS, `indent` blanks in front; a blank line stays one. */
void help_fold(FILE *out, const char *text, int indent);

#endif
