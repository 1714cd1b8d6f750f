#ifndef CMD_CMD_COPY_H
#define CMD_CMD_COPY_H

#include "cmd/command.h"

/* ffdr copy. */
extern const struct command cmd_copy_copy;

#endif
