#ifndef TESTS_LIB_WALKIT_H
#define TESTS_LIB_WALKIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* WAL of real servers (tests/unit/data/pg-wal), and what they said of it. */
#define WALKIT_SEGMENT (UINT64_C(1) << 20)

/* A file of that directory into out; one that ends in ".zst" is unpacked. Aborts when it is not there. */
void walkit_read(const char *name, struct buf *out);

struct walkit_fact {
	char kind[16]; /* commit, elsewhere, abort, prepared, point, sysid, segment, end */
	char value[32];
	uint64_t more; /* of a commit its time in microseconds since 1970 */
};

#define WALKIT_FACTS 32
size_t walkit_facts(int version, struct walkit_fact fact[WALKIT_FACTS]);
/* Where the version's segment begins. */
uint64_t walkit_start(int version);
/* Is a fact of that kind and value there? With its `more` in *ret, unless that is NULL. */
bool walkit_said(const struct walkit_fact *fact, size_t n, const char *kind, const char *value,
    uint64_t *ret);

/*
 * WAL made up: what a server would write for given records, in any layout. The bytes begin at
 * `start`, which is a segment's first byte.
 */
struct walkit_record {
	uint64_t start, end;
	uint32_t xid;
	uint8_t rmgr, info;
	uint32_t seed, len; /* the main data, walkit_main() */
};

struct walkit {
	struct buf bytes;
	uint64_t start;
	uint64_t seg_size;
	uint64_t sysid;
	int version;
	uint32_t timeline;
	uint64_t prev;
	struct walkit_record *record;
	size_t count, room;
};

void walkit_begin(struct walkit *w, int version, uint64_t start, uint64_t seg_size);
void walkit_done(struct walkit *w);
/* LSN behind the last byte. */
uint64_t walkit_end(const struct walkit *w);
/* A record with made-up main data of `len` bytes. */
void walkit_add(struct walkit *w, uint8_t rmgr, uint8_t info, uint32_t xid, uint32_t seed,
    uint32_t len);
/* One with these bytes behind its header: parts and data as they stand. */
void walkit_add_raw(struct walkit *w, uint8_t rmgr, uint8_t info, uint32_t xid, const void *body,
    size_t n);
/* A switch record, and zeros up to the next segment. */
void walkit_switch(struct walkit *w);
/* The beginning of a record of which a crash lost all behind the next page, declared void there. */
void walkit_void(struct walkit *w);
/* The byte at off of the main data made up from a seed. */
uint8_t walkit_main(uint32_t seed, size_t off);

#endif
