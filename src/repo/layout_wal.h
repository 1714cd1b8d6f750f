#ifndef REPO_LAYOUT_WAL_H
#define REPO_LAYOUT_WAL_H

#include <stdbool.h>
#include <stdint.h>

#include "repo/layout.h"

/*
 * The names below wal/, walb/ and beat/. Parsing is as strict as in layout.h: what parses is what would be
 * built again.
 *
 *	wal/<source>/<sysid>/<epoch>/<tli>/<start>-<end>	a piece, never across a segment's end
 *	walb/<source>/<sysid>/<epoch>/<tli>/<start>-<end>	a bundle: pieces, one behind the other
 *	wal/<source>/<sysid>/<epoch>/<tli>.history		the server's history file
 *	wal/<source>/<sysid>/<epoch>/from			where the epoch comes from
 *	wal/<source>/<sysid>/<epoch>/other/<file>		*.partial and *.backup as pushed
 *	wal/<source>/<sysid>/<epoch>/other/<file>.<start>-<end>	part of a *.partial that is too long
 *	beat/<source>						the newest sample
 */
#define LAYOUT_WAL_FILE 64 /* room for the file name of an `other` */
/*
 * So much of the log a bundle covers at most, however small it was packed. So whoever looks for a
 * byte knows how far before it the name of the bundle that has it may begin.
 */
#define LAYOUT_WAL_BUNDLE_SPAN (UINT64_C(1) << 30)

/* One writing life of one database: what `epoch` counts is in coord/active.h. */
struct wal_place {
	char source[64];
	uint64_t sysid;
	uint32_t epoch;
};

enum layout_wal_kind {
	LAYOUT_WAL_PIECE,
	LAYOUT_WAL_HISTORY,
	LAYOUT_WAL_FROM,
	LAYOUT_WAL_OTHER,
	LAYOUT_WAL_BUNDLE,
};

struct layout_wal {
	struct wal_place place;
	enum layout_wal_kind kind;
	uint32_t tli;		      /* piece, bundle, history */
	uint64_t start, end; /* piece, bundle: start < end; other: bytes of the file, end 0 when all */
	char file[LAYOUT_WAL_FILE]; /* other */
};

/* Does the name promise bytes of the log from start to end: a piece, or a bundle? */
bool layout_wal_is_log(const struct layout_wal *w);

/* Any of these names from its parts. */
char *layout_wal_name(const struct layout_wal *w, char out[LAYOUT_NAME]);
int layout_wal_parse(const char *name, struct layout_wal *ret); /* 0 or -1 */

char *layout_wal_piece(const struct wal_place *p, uint32_t tli, uint64_t start, uint64_t end,
    char out[LAYOUT_NAME]);
char *layout_wal_bundle(const struct wal_place *p, uint32_t tli, uint64_t start, uint64_t end,
    char out[LAYOUT_NAME]);
char *layout_wal_history(const struct wal_place *p, uint32_t tli, char out[LAYOUT_NAME]);
char *layout_wal_from(const struct wal_place *p, char out[LAYOUT_NAME]);
char *layout_wal_other(const struct wal_place *p, const char *file, char out[LAYOUT_NAME]);
/* With end 0 it is layout_wal_other(). */
char *layout_wal_part(const struct wal_place *p, const char *file, uint64_t start, uint64_t end,
    char out[LAYOUT_NAME]);
char *layout_wal_beat(const char *source, char out[LAYOUT_NAME]);

/* Prefixes for listings: of all of a source, of an epoch, of the pieces of a timeline. */
char *layout_wal_of_source(const char *source, char out[LAYOUT_NAME]);
char *layout_wal_of_place(const struct wal_place *p, char out[LAYOUT_NAME]);
char *layout_wal_of_timeline(const struct wal_place *p, uint32_t tli, char out[LAYOUT_NAME]);
/* The same of bundles. */
char *layout_wal_bundles_of_source(const char *source, char out[LAYOUT_NAME]);
char *layout_wal_bundles_of_place(const struct wal_place *p, char out[LAYOUT_NAME]);
char *layout_wal_bundles_of_timeline(const struct wal_place *p, uint32_t tli, char out[LAYOUT_NAME]);
/*
 * Of all pieces that start in the segment; it may bring those of its neighbours where the size
 * is no power of sixteen.
 */
char *layout_wal_of_segment(const struct wal_place *p, uint32_t tli, uint64_t start,
    uint64_t segment_size, char out[LAYOUT_NAME]);

#endif
