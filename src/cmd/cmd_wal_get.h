#ifndef CMD_CMD_WAL_GET_H
#define CMD_CMD_WAL_GET_H

#include "cmd/command.h"

extern const struct command cmd_wal_get;

#endif
