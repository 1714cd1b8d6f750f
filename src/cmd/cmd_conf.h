#ifndef CMD_CMD_CONF_H
#define CMD_CMD_CONF_H

#include "cmd/command.h"

/* ffdr config show. */
extern const struct command cmd_conf_show;

#endif
