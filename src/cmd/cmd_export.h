#ifndef CMD_CMD_EXPORT_H
#define CMD_CMD_EXPORT_H

#include "cmd/command.h"

extern const struct command cmd_export_export;

#endif
