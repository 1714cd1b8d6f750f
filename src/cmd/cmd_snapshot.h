#ifndef CMD_CMD_SNAPSHOT_H
#define CMD_CMD_SNAPSHOT_H

#include "cmd/command.h"

/* Snapshots made and taken back: ffdr backup, restore. */
extern const struct command cmd_snapshot_backup;
extern const struct command cmd_snapshot_restore;

#endif
