#ifndef BASE_LSN_H
#define BASE_LSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Places in a write-ahead log: a byte offset, shown to people as PostgreSQL does. A range is
 * [from, to).
 */
#define LSN_TEXT 20
/* "5/7C0000F8" into out (LSN_TEXT bytes), which is returned. */
char *lsn_text(uint64_t lsn, char out[LSN_TEXT]);
/* "5/7C0000F8", one to eight hex digits on either side, nothing before or behind; 0 or -1. */
int lsn_parse(const char *s, uint64_t *ret);

/* 1 MiB to 1 GiB and a power of two: what a server may be built or initialised with. */
bool lsn_segment_valid(uint64_t segment_size);
/* Start of the segment that holds this byte. */
uint64_t lsn_segment(uint64_t lsn, uint64_t segment_size);

struct lsn_range {
	uint64_t from, to;
};

/* Ranges in order, no two of them touching. Starts as zeros. */
struct lsn_set {
	struct lsn_range *range;
	size_t count, room;
};

/* Puts [from, to) in; empty ranges change nothing. Cheap at the end of the set, linear else. */
void lsn_set_add(struct lsn_set *s, uint64_t from, uint64_t to);
void lsn_set_join(struct lsn_set *s, const struct lsn_set *other);
/* The first byte at or after lsn that is not in the set: lsn itself when that is not. */
uint64_t lsn_set_end(const struct lsn_set *s, uint64_t lsn);
bool lsn_set_has(const struct lsn_set *s, uint64_t from, uint64_t to); /* all of it */
void lsn_set_done(struct lsn_set *s); /* frees; empty afterwards */

#endif
