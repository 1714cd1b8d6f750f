#ifndef CMD_CMD_EXPIRE_H
#define CMD_CMD_EXPIRE_H

#include "cmd/command.h"

/* What goes: ffdr expire, ffdr gc. */
extern const struct command cmd_expire_expire;
extern const struct command cmd_expire_gc;

#endif
