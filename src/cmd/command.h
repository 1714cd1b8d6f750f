#ifndef CMD_COMMAND_H
#define CMD_COMMAND_H

#include <stdbool.h>

#include "base/err.h"
#include "base/opt.h"
#include "conf/conf.h"

/*
 * The commands are a table (cmd/command.c): dispatch, help, man page and completion walk it. One
 * row per command; a sub command ("key rotate") is a row whose name has a blank. The row lives
 * beside its function, is named <file>_<verb> (cmd_snapshot_backup) and is declared in that file's
 * header.
 */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_INTERNAL = 1,
	EXIT_USAGE = 2,
	EXIT_DEGRADED = 3,
	EXIT_VERIFY = 4,
	EXIT_REFUSED = 5,
	EXIT_PARTLY = 9,
	EXIT_STALE = 10,
	EXIT_UNREACHABLE = 11,
	EXIT_BUSY = 12,
	EXIT_LATER = 75,
	EXIT_DENIED = 77,
	EXIT_CONFIGURATION = 78,
};

/* Options every command has. First member of every command's own options. */
struct common_options {
	const char *config;
	bool json, events, quiet, help;
};

struct command_call {
	const struct common_options *common;
	const void *options; /* the command's own struct, which starts with common_options */
	int argc;	     /* operands */
	char **argv;
	const struct conf *conf; /* loaded, unless the command says it wants none */
};

enum command_conf { CONF_NONE, CONF_LOAD };

struct command {
	const char *name;	/* "restore" */
	const char *operands;	/* "SOURCE|SNAPSHOT" for the usage line; "" for none */
	const char *summary;	/* one line for the list */
	const char *text;	/* paragraphs for the man page, blank line between */
	/* one a line: "ffdr restore vol.uploads --to DIR   # what it does" */
	const char *examples;
	const struct opt *options; /* own options, ended by a NULL name; NULL: none */
	size_t options_size;	   /* of the struct they fill (starts zeroed); 0: common_options */
	int min_operands, max_operands; /* max -1: any number */
	enum command_conf conf;
	bool steps_back; /* nobody waits for it: the priority that `nice` in [ffdr] says */
	/*
	 * The exit code of every failure, lack of memory included, where the caller gives other
	 * meanings to them; 0: what the error's kind says.
	 */
	int failure;
	int (*run)(const struct command_call *call, struct err *e); /* exit code, or -1 with e */
};

/* Every command of the program, ended by NULL. */
extern const struct command *const command_table[];
/* NULL when there is none of that name. */
const struct command *command_find(const char *name);

/* The exit code an error kind means. */
int command_exit(enum err_kind kind);

/* What each exit code means: the EXIT STATUS of the manual. Ended by a NULL meaning. */
struct command_status {
	int code;
	const char *meaning;
};
extern const struct command_status command_statuses[];

#endif
