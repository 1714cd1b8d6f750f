#ifndef CMD_CMD_REPO_H
#define CMD_CMD_REPO_H

#include "cmd/command.h"

/* The repository as a whole: ffdr init, check, version. */
extern const struct command cmd_repo_init;
extern const struct command cmd_repo_check;
extern const struct command cmd_repo_version;

#endif
