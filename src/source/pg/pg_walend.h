#ifndef SOURCE_PG_WALEND_H
#define SOURCE_PG_WALEND_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Is that a segment which its server has finished? All pages are in their places (see
 * pg_walpage_check_segment(), whose errors these are), and the records of its last pages lead to its
 * end, or to a switch. ERR_REFUSED for one that is written up to somewhere only: behind that stand
 * zeros, or what an older file left there.
 */
int pg_walend_check(const uint8_t *bytes, size_t n, uint32_t timeline, uint64_t lsn, uint64_t sysid,
    struct err *e);

#endif
