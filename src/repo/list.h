#ifndef REPO_LIST_H
#define REPO_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "filter/digest.h"

/*
 * The file list of a snapshot: one line an entry, in path order, cut into chunks at places that
 * depend on the paths alone, so that an unchanged stretch of the tree is an unchanged chunk.
 * docs/format.md has the line.
 */
enum entry_type {
	ENTRY_FILE = 'f',
	ENTRY_DIR = 'd',
	ENTRY_SYMLINK = 'l',
	ENTRY_HARDLINK = 'h', /* target = path of the first name */
	ENTRY_BLOCK = 'b',
	ENTRY_CHAR = 'c',
	ENTRY_FIFO = 'p',
	ENTRY_SOCKET = 's',
};

#define LIST_NO_PACK UINT32_MAX /* entry_map.ref.pack: a GiB of zeros, no map */
#define LIST_MAP_SPAN_LOG2 30	/* a map speaks of 1 GiB of a file */
#define LIST_FILE_MAX (UINT64_C(64) << 40) /* 65,536 maps: a line of 3 MiB, of the 4 one may have */

/* Where a grain lies: in the manifest's pack table, a frame of it, a grain of that. */
struct entry_ref {
	uint32_t pack;
	uint16_t frame;
	uint16_t grain;
};
struct entry_map {
	struct entry_ref ref;
	/* keyed digest of the map's ids: the file's id is made of these */
	uint8_t digest[GRAIN_ID_LEN];
};
/* How many grains (of data, maps, map chains) this entry wants from a pack. */
struct entry_need {
	uint32_t pack;
	uint32_t grains;
};
struct entry_xattr {
	const char *name;
	const uint8_t *value;
	size_t len;
};

/* What happened while it was read. */
enum entry_note {
	ENTRY_CHANGED = 1, /* changed, grew or shrank under us: contents are of several moments */
	ENTRY_UNREADABLE = 2, /* could not be read, or not to its end; size is what was */
	ENTRY_NO_ATTRS = 4, /* attributes could not be read: those listed may not be all */
	/* directory: another file system, which was not entered; what is in it is not known */
	ENTRY_ELSEWHERE = 8,
};
#define ENTRY_NOTES 15 /* all of them */

struct entry {
	enum entry_type type;
	const char *path; /* raw bytes, relative, no leading or trailing '/'; the root is "." */
	size_t pathlen;
	uint32_t mode; /* permission bits and set-id, sticky: 07777 */
	uint32_t uid, gid;
	int64_t mtime_s, ctime_s;
	uint32_t mtime_ns, ctime_ns;
	uint64_t dev, ino;
	uint64_t size;
	uint32_t rdev_major, rdev_minor;
	unsigned note;
	const char *target; /* symlink, hardlink: raw bytes */
	size_t targetlen;

	/* Contents of a file. */
	uint8_t grain_log2;
	/* of the one grain, or over the maps' digests; zeros: empty or all zero */
	uint8_t id[GRAIN_ID_LEN];
	bool single;		  /* one grain: ref */
	struct entry_ref ref;
	struct entry_map *map; /* one a GiB */
	size_t maps;
	struct entry_need *need;
	size_t needs;
	struct entry_xattr *xattr;
	size_t xattrs;
};

/*
 * Path order: component by component, bytewise; "." first; a directory before what is in it. <0, 0,
 * >0.
 */
int list_path_order(const char *a, size_t alen, const char *b, size_t blen);

/* A copy of all of it in one block; free() releases it. */
struct entry *list_entry_copy(const struct entry *en);

/* Appends the line(s) of an entry. */
void list_encode(const struct entry *en, struct buf *out);

/* Reads entries from a chunk of text. An entry's memory lives until the next call. */
struct list_reader {
	const char *at, *end;
	struct buf scratch;
	size_t line; /* for messages */
	struct entry entry;
	size_t map_room, need_room, xattr_room;
};
void list_reader_init(struct list_reader *r);
void list_reader_done(struct list_reader *r);
void list_reader_set(struct list_reader *r, const void *text, size_t n); /* borrowed */
/* 1 an entry, 0 the end, -1 ERR_CORRUPT. */
int list_next(struct list_reader *r, const struct entry **ret, struct err *e);

/* A chunk ends after this path (unless it is too small, or at any path once it is too large). */
#define LIST_CHUNK_MIN (64u << 10)
#define LIST_CHUNK_MAX (512u << 10)
/* What one entry may take: a chunk that it ends is a grain of at most 4 MiB. */
#define LIST_LINE_MAX ((4u << 20) - LIST_CHUNK_MAX)
bool list_cut_after(const char *path, size_t pathlen, size_t chunk_len);

#endif
