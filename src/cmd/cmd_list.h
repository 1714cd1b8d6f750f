#ifndef CMD_CMD_LIST_H
#define CMD_CMD_LIST_H

#include "cmd/command.h"

/* What there is: ffdr list, ffdr show. */
extern const struct command cmd_list_list;
extern const struct command cmd_list_show;

#endif
