#ifndef SOURCE_PG_CONTROL_H
#define SOURCE_PG_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* What stands at the head of global/pg_control, the same in every version from 14 to 18: whose
 * directory is it? Pure. */
struct pg_control {
	uint64_t sysid;
	uint32_t version; /* of the file: 1300 is PostgreSQL 14 to 16 */
	uint32_t catalog;
	uint32_t state;
};
/* state: replays WAL that it is given, and writes none of its own: a standby, or a restore. */
#define PG_CONTROL_REPLAYING 5
#define PG_CONTROL_FILE "global/pg_control"
#define PG_CONTROL_MIN 296 /* no version has a shorter one */

/* ERR_CORRUPT when it is no pg_control, or its checksum is wrong; ERR_UNSUPPORTED for another
 * version. */
int pg_control_parse(const void *bytes, size_t n, struct pg_control *ret, struct err *e);

#endif
