/*
 * The growing buffer. The limit is there because most of what is read comes from a disk or a
 * network that may lie about lengths; `over` is sticky, so that a builder which went past it
 * cannot end up with a text that has a hole in the middle and looks whole.
 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define BUF_FIRST_ROOM 64

void
buf_init(struct buf *b, size_t limit)
{
	memset(b, 0, sizeof(*b));
	b->limit = limit;
}

void
buf_done(struct buf *b)
{
	size_t limit = b->limit;

	free(b->data);
	buf_init(b, limit);
}

void
buf_cut(struct buf *b, size_t len)
{
	b->len = len;
	b->over = false;
	if (b->data)
		b->data[len] = '\0';
}

void
buf_reset(struct buf *b)
{
	buf_cut(b, 0);
}

uint8_t *
buf_reserve(struct buf *b, size_t n)
{
	size_t want, room;

	if (b->over || n > b->limit || b->len > b->limit - n ||
	    __builtin_add_overflow(b->len, n + 1, &want)) {
		b->over = true;
		return NULL;
	}
	if (want > b->room) {
		room = b->room ? b->room : BUF_FIRST_ROOM;
		while (room < want)
			room = room > SIZE_MAX / 2 ? want : room * 2;
		/* Doubling past the limit would only be memory that can never be used. */
		if (room - 1 > b->limit)
			room = b->limit + 1;
		b->data = xrealloc(b->data, room);
		b->room = room;
	}
	b->data[b->len + n] = '\0';
	return b->data + b->len;
}

void
buf_add(struct buf *b, const void *data, size_t n)
{
	uint8_t *p = buf_reserve(b, n);

	if (!p)
		return;
	if (n > 0)
		memcpy(p, data, n);
	b->len += n;
}

void
buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void
buf_addc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void
buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	uint8_t *p;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	p = n < 0 ? NULL : buf_reserve(b, (size_t)n);
	if (p) {
		vsnprintf((char *)p, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	} else {
		b->over = true;
	}
	va_end(again);
}

void
buf_add_u16(struct buf *b, uint16_t v)
{
	uint8_t raw[2];

	buf_put_u16(raw, v);
	buf_add(b, raw, sizeof(raw));
}

void
buf_add_u32(struct buf *b, uint32_t v)
{
	uint8_t raw[4];

	buf_put_u32(raw, v);
	buf_add(b, raw, sizeof(raw));
}

void
buf_add_u64(struct buf *b, uint64_t v)
{
	uint8_t raw[8];

	buf_put_u64(raw, v);
	buf_add(b, raw, sizeof(raw));
}

int
buf_check(const struct buf *b, const char *what, struct err *e)
{
	if (!b->over)
		return 0;
	return err_set(e, ERR_FULL, "%s is larger than the %zu bytes allowed for it", what,
	    b->limit);
}

const char *
buf_str(const struct buf *b)
{
	return b->data ? (const char *)b->data : "";
}

uint16_t
buf_get_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

uint32_t
buf_get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint64_t
buf_get_u64(const uint8_t *p)
{
	return (uint64_t)buf_get_u32(p) | (uint64_t)buf_get_u32(p + 4) << 32;
}

void
buf_put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

void
buf_put_u32(uint8_t *p, uint32_t v)
{
	buf_put_u16(p, (uint16_t)v);
	buf_put_u16(p + 2, (uint16_t)(v >> 16));
}

void
buf_put_u64(uint8_t *p, uint64_t v)
{
	buf_put_u32(p, (uint32_t)v);
	buf_put_u32(p + 4, (uint32_t)(v >> 32));
}
