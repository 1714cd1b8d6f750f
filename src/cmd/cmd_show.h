#ifndef CMD_CMD_SHOW_H
#define CMD_CMD_SHOW_H

#include "cmd/command.h"

/* One snapshot: ffdr show. */
extern const struct command cmd_show_show;

#endif
