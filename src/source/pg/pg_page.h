#ifndef SOURCE_PG_PAGE_H
#define SOURCE_PG_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Pages of PostgreSQL's relation files: which files have them, and is one whole? Pure. */
#define PG_PAGE 8192
#define PG_PAGE_SEGMENT (UINT64_C(1) << 30) /* a relation's file ends there, and FILE.1 begins */

/*
 * Is it a file of a relation: base/OID/N, global/N, pg_tblspc/OID/PG_.../OID/N, with _fsm, _vm or
 * _init and .SEGMENT, temporary ones not? Its pages change one by one, so it is cut page by page.
 */
bool pg_page_is_relation(const char *path, size_t len);
/* Number of its first page: those of FILE.2 are counted on from those of FILE and FILE.1. */
uint32_t pg_page_first(const char *path, size_t len);

enum pg_page_state {
	PG_PAGE_GOOD,
	PG_PAGE_NEW,   /* never written: has no checksum */
	PG_PAGE_YOUNG, /* written since the backup began: the WAL will bring it whole */
	PG_PAGE_BAD,
};
/* What is in that page, number `block` of its relation; start_lsn: where the backup began. */
enum pg_page_state pg_page_check(const uint8_t page[PG_PAGE], uint32_t block, uint64_t start_lsn);
/* LSN of the last record that changed it. */
uint64_t pg_page_lsn(const uint8_t page[PG_PAGE]);
uint16_t pg_page_checksum(const uint8_t page[PG_PAGE], uint32_t block);

#endif
