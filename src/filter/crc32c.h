#ifndef FILTER_CRC32C_H
#define FILTER_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * CRC-32C (Castagnoli), as PostgreSQL uses it for WAL records, pg_control and backup manifests. Not
 * for what ffdr itself stores: that has hashes.
 */
/* Goes on from `crc`, the value of what came before; 0 for the first byte. */
uint32_t crc32c(uint32_t crc, const void *data, size_t n);
/* That of two stretches one after the other, out of both their values and the length of the second.
 */
uint32_t crc32c_combine(uint32_t a, uint32_t b, uint64_t len_b);

#endif
