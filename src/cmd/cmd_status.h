#ifndef CMD_CMD_STATUS_H
#define CMD_CMD_STATUS_H

#include "cmd/command.h"

/* Are the promises of the tiers kept: ffdr status. */
extern const struct command cmd_status_status;

#endif
