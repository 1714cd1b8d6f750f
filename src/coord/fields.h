#ifndef COORD_FIELDS_H
#define COORD_FIELDS_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * A struct as lines `key value`, by a table of its members: what leases and the like look like in
 * the coordination place. One spelling, every key, in the order of the table.
 */
enum fields_type {
	FIELDS_TEXT, /* char[size], escaped as one word */
	FIELDS_U32,
	FIELDS_U64,
	FIELDS_LSN,  /* uint64_t, as people write it: 5/7C0000F8 */
	FIELDS_TIME, /* int64_t nanoseconds, kept as microseconds since 1970; never negative */
};

struct fields {
	const char *key; /* NULL ends the table */
	enum fields_type type;
	size_t offset, size;
};

void fields_write(const struct fields *table, const void *from, struct buf *out);
/* ERR_CORRUPT names the line; `into` is then half filled. */
int fields_read(const struct fields *table, const struct buf *text, void *into, struct err *e);

#endif
