#ifndef CMD_CMD_EXPIRE_WAL_H
#define CMD_CMD_EXPIRE_WAL_H

#include <jansson.h>

#include "job/expire.h"

/* What an expiry says of WAL: a line for each timeline and reason. */
void cmd_expire_wal_text(const struct expire_report *r, bool dry_run);
json_t *cmd_expire_wal_json(const struct wal_expire_report *w);

#endif
