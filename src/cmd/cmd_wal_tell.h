#ifndef CMD_CMD_WAL_TELL_H
#define CMD_CMD_WAL_TELL_H

#include "cmd/command.h"

/* ffdr wal status, wal forget and exposure. */
extern const struct command cmd_wal_tell_status;
extern const struct command cmd_wal_tell_forget;
extern const struct command cmd_wal_tell_exposure;

#endif
