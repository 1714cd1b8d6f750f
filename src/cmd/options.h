#ifndef CMD_OPTIONS_H
#define CMD_OPTIONS_H

#include "cmd/command.h"

/* The options that every command has, ended by a NULL name. */
extern const struct opt options_common[];

/* The command's own options, then the common ones, as one table. The caller frees it. */
struct opt *options_table(const struct command *c);

/*
 * Finds the command in argv ("key rotate" is two words, common options may stand before it) and
 * takes its words out: *argc and argv then are what opt_parse wants. 1 found, 0 there is no word at
 * all (only common options), -1 ERR_USAGE with a did-you-mean.
 */
int options_command(int *argc, char **argv, const struct command **ret, struct err *e);

/*
 * How the answer is wanted, as far as argv tells before anybody understands it: what a wrong
 * command line is answered in. Only json, events and quiet are set.
 */
void options_peek(int argc, char **argv, struct common_options *ret);

/* Sets ERR_USAGE for a name that is no command's, with a did-you-mean. Returns -1. */
int options_unknown(const char *name, struct err *e);

#endif
