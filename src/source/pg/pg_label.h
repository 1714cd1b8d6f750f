#ifndef SOURCE_PG_LABEL_H
#define SOURCE_PG_LABEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * backup_label and tablespace_map, which tell a restored server where its recovery begins and where
 * tablespaces lie. They are stored byte for byte; read here only to know what they say. Pure.
 */
#define PG_LABEL_FILE "backup_label"
#define PG_LABEL_MAP_FILE "tablespace_map"

struct pg_label {
	uint64_t start_lsn, checkpoint_lsn;
	uint32_t start_tli;
	bool from_standby;
	bool incremental; /* cannot be restored by itself */
};
int pg_label_parse(const char *text, size_t n, struct pg_label *ret, struct err *e);

struct pg_label_space {
	uint32_t oid;
	char *path;
};
struct pg_label_map {
	struct pg_label_space *space;
	size_t count, room;
};
/* Lines `OID PATH`, with newline, return and backslash in PATH behind a backslash. */
int pg_label_map_parse(const char *text, size_t n, struct pg_label_map *ret, struct err *e);
void pg_label_map_write(const struct pg_label_map *m, struct buf *out);
void pg_label_map_done(struct pg_label_map *m);
void pg_label_map_add(struct pg_label_map *m, uint32_t oid, const char *path);
/* NULL: none with that number. */
struct pg_label_space *pg_label_map_find(const struct pg_label_map *m, uint32_t oid);

#endif
