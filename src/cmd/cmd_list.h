#ifndef CMD_CMD_LIST_H
#define CMD_CMD_LIST_H

#include <jansson.h>

#include "cmd/command.h"
#include "repo/catalog.h"

/* What there is: ffdr list. */
extern const struct command cmd_list_list;
/* What a manifest says in few numbers, as list and show give it to programs. */
json_t *cmd_list_facts(const struct catalog_facts *f);

#endif
