#ifndef BASE_OPT_H
#define BASE_OPT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/*
 * Command line options as a table: parsing, help, man page and completion walk the same rows.
 * Long names only but for a few letters; --name VALUE and --name=VALUE; -- ends options; options
 * may stand between operands.
 */
enum opt_type { OPT_FLAG, OPT_STRING, OPT_SIZE, OPT_DURATION, OPT_NUMBER, OPT_LIST };

struct opt {
	const char *name;  /* "dry-run" */
	char letter;	   /* 'n' or 0 */
	enum opt_type type;
	size_t offset;	   /* of a bool, const char *, uint64_t, int64_t, struct opt_list */
	const char *value; /* what help calls the value: "DIR"; NULL for a flag */
	const char *help;  /* one line */
};

struct opt_list {
	const char **item;
	size_t count;
};

/*
 * Fills `into` from argv (argv[0], the command's name, is skipped) and returns how many operands
 * there are; they are then argv[0] .. argv[n-1], over the name. -1 with ERR_USAGE and, for a
 * wrong name, a did-you-mean. The table ends with a NULL name. Values point into argv. Of an
 * option given twice the last counts, but OPT_LIST collects; opt_list_done() also after -1.
 */
int opt_parse(const struct opt *table, void *into, int argc, char **argv, struct err *e);
void opt_list_done(struct opt_list *list);

#endif
