#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * A growing byte buffer with a hard limit. data[len] is always a NUL byte once anything was
 * added, so a buffer of text is a string. Exceeding the limit sets `over` and drops the bytes:
 * builders check once at the end by buf_check().
 */
struct buf {
	uint8_t *data;
	size_t len;
	size_t room;
	size_t limit;
	bool over;
};

void buf_init(struct buf *b, size_t limit);
void buf_done(struct buf *b);  /* frees; the buffer may be used again with the same limit */
void buf_reset(struct buf *b); /* empties, keeps the memory */
void buf_cut(struct buf *b, size_t len); /* back to its first len bytes, and no more over */
/*
 * Makes room for n more bytes and returns where they go, or NULL (and over) past the limit. len
 * stays: the caller writes and then adds what it wrote. Once over, everything more is dropped.
 */
uint8_t *buf_reserve(struct buf *b, size_t n);
void buf_add(struct buf *b, const void *data, size_t n);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_add_u16(struct buf *b, uint16_t v); /* little endian, as everything in the repository */
void buf_add_u32(struct buf *b, uint32_t v);
void buf_add_u64(struct buf *b, uint64_t v);
/* -1 with ERR_FULL when something was dropped. */
int buf_check(const struct buf *b, const char *what, struct err *e);
const char *buf_str(const struct buf *b); /* "" when empty */

uint16_t buf_get_u16(const uint8_t *p);
uint32_t buf_get_u32(const uint8_t *p);
uint64_t buf_get_u64(const uint8_t *p);
void buf_put_u16(uint8_t *p, uint16_t v);
void buf_put_u32(uint8_t *p, uint32_t v);
void buf_put_u64(uint8_t *p, uint64_t v);

#endif
