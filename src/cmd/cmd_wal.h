#ifndef CMD_CMD_WAL_H
#define CMD_CMD_WAL_H

#include "cmd/command.h"

/* ffdr wal stream, push. */
extern const struct command cmd_wal_stream;
extern const struct command cmd_wal_push;

#endif
