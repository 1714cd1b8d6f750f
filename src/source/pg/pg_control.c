/*
 * Only the first fields are read, whose places never moved. Where the checksum stands depends on
 * the version and on nothing else, so it is found by trying the few places it can be at: the file
 * after it is zero up to its end.
 */
#include "source/pg/pg_control.h"

#include <stdbool.h>
#include <string.h>

#include "filter/crc32c.h"

#define AT_SYSID 0
#define AT_VERSION 8
#define AT_CATALOG 12
#define AT_STATE 16
#define CRC_FIRST 280 /* it is somewhere here */
#define CRC_LAST 400

static bool
sound(const uint8_t *p, size_t n)
{
	uint32_t crc = crc32c(0, p, CRC_FIRST), stored;

	for (size_t at = CRC_FIRST; at + 4 <= n && at <= CRC_LAST; at += 4) {
		memcpy(&stored, p + at, 4);
		if (stored == crc)
			return true;
		crc = crc32c(crc, p + at, 4);
	}
	return false;
}

int
pg_control_parse(const void *bytes, size_t n, struct pg_control *ret, struct err *e)
{
	const uint8_t *p = bytes;
	struct pg_control c;

	if (n < PG_CONTROL_MIN)
		return err_set(e, ERR_CORRUPT, "pg_control has %zu bytes, expected %d or more", n,
		    PG_CONTROL_MIN);
	memcpy(&c.sysid, p + AT_SYSID, 8);
	memcpy(&c.version, p + AT_VERSION, 4);
	memcpy(&c.catalog, p + AT_CATALOG, 4);
	memcpy(&c.state, p + AT_STATE, 4);
	if (c.version % 65536 == 0 && c.version > 0)
		return err_set(
		    e, ERR_UNSUPPORTED, "pg_control is of a machine with another byte order");
	if (c.version < 1300 || c.version >= 2000)
		return err_set(e, ERR_UNSUPPORTED,
		    "pg_control has version %u, expected 1300 to 1999 (PostgreSQL 14 to 18)",
		    c.version);
	if (!sound(p, n))
		return err_set(e, ERR_CORRUPT, "pg_control has a wrong checksum");
	*ret = c;
	return 0;
}
