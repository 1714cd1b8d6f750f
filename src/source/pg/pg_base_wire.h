#ifndef SOURCE_PG_BASE_WIRE_H
#define SOURCE_PG_BASE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "source/pg/pg_conn.h"

/*
 * What BASE_BACKUP sends, as parts of bytes, whichever protocol the server has. For pg_base.c.
 *
 *	start -> { next -> chunk* }* -> end
 */

/* One message of a server 15 or newer. Points into the bytes. */
struct pg_base_wire_msg {
	char type; /* n, d, p, m; another one is not known: to be left aside */
	const char *name, *path; /* n */
	const uint8_t *data;	 /* d */
	size_t len;
	uint64_t done;		 /* p */
};
/* 0, -1 ERR_CORRUPT. */
int pg_base_wire_read(const void *bytes, size_t n, struct pg_base_wire_msg *ret, struct err *e);

struct pg_base_wire_place {
	uint32_t oid; /* 0: the base directory */
	char *path;
	uint64_t size;
};

struct pg_base_wire {
	struct pg_conn *c;
	bool framed; /* one copy with messages of its own (15 and newer), else a copy for each part */
	uint64_t start_lsn, stop_lsn;
	uint32_t start_tli, stop_tli;
	struct pg_base_wire_place *place; /* in the order in which they come */
	size_t places;
	/* Of the part that is being read. */
	bool manifest;
	uint32_t oid;

	size_t part;	   /* parts begun */
	bool ahead;	   /* the message that begins the next part has come */
	struct pg_ahead *copy; /* NULL: no copy is under way */
	char *held;	   /* libpq's; the last message, while it is in use */
	size_t held_len;
};

/* All zeros before; to be released in any case. -1: the server refused, or is gone. */
int pg_base_wire_start(struct pg_base_wire *x, struct pg_conn *c, const char *command,
    struct err *e);
/* 1: a part begins (manifest, or the archive of oid); 0 no more; -1. What is left of the last one
 * is passed over. */
int pg_base_wire_next(struct pg_base_wire *x, struct err *e);
/* The next bytes of the part, valid until the next call: 1; 0 its end; -1. */
int pg_base_wire_chunk(struct pg_base_wire *x, const uint8_t **data, size_t *n, struct err *e);
/*
 * Where it ended, and the server's last word, which comes after everything looked well. 1 good; 0:
 * good but for pages with a wrong checksum, e says so; -1.
 */
int pg_base_wire_end(struct pg_base_wire *x, struct err *e);
/* What came was not all (ERR_CORRUPT), for the server broke off: *e becomes what it says of that. */
void pg_base_wire_reason(struct pg_base_wire *x, struct err *e);
void pg_base_wire_done(struct pg_base_wire *x);

#endif
