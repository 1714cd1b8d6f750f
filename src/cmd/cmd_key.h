#ifndef CMD_CMD_KEY_H
#define CMD_CMD_KEY_H

#include "cmd/command.h"

/* ffdr key list, key rotate, key escrow-test. */
extern const struct command cmd_key_list;
extern const struct command cmd_key_rotate;
extern const struct command cmd_key_escrow_test;

#endif
