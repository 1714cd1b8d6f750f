#ifndef CMD_CMD_VERIFY_H
#define CMD_CMD_VERIFY_H

#include "cmd/command.h"

/* ffdr verify. */
extern const struct command cmd_verify_verify;

#endif
