#ifndef CMD_CMD_HOLD_H
#define CMD_CMD_HOLD_H

#include "cmd/command.h"

/* ffdr hold. */
extern const struct command cmd_hold_hold;

#endif
