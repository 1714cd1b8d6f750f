#ifndef TESTS_LIB_FILESET_H
#define TESTS_LIB_FILESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Files that exist only as numbers: a file is an array of cells of 8 KiB, a cell is the seed of its
 * bytes, seed 0 is zeros. So a file of gigabytes with holes costs little, and what a restore hands
 * out can be compared without having been kept.
 */
#define FILESET_CELL (UINT64_C(8) << 10)

struct fileset_file {
	char path[40];
	uint64_t ino, size;
	uint32_t *cell;
	size_t room;
	bool changed; /* since fileset_settle() */
};

struct fileset {
	struct fileset_file *file; /* in path order */
	size_t count, room;
	uint64_t next_ino;
	uint32_t next_seed;
};

void fileset_done(struct fileset *s);
/*
 * A new file of non-zero cells; the pointer lives until the next call that adds, renames or
 * removes.
 */
struct fileset_file *fileset_add(struct fileset *s, const char *path, uint64_t size);
/*
 * So many files in this directory, which must come last, with even numbers of five digits for
 * names; every one_in-th holds something.
 */
void fileset_add_many(struct fileset *s, const char *directory, unsigned n, unsigned one_in);
struct fileset_file *fileset_find(struct fileset *s, const char *path);
void fileset_remove(struct fileset *s, const char *path);
void fileset_rename(struct fileset *s, const char *from, const char *to);
/* Longer: new cells hold data, or zeros. */
void fileset_resize(struct fileset *s, struct fileset_file *f, uint64_t size, bool zeros);
/* Cells from .. from + n - 1 get new bytes, or become zeros. */
void fileset_write(struct fileset *s, struct fileset_file *f, size_t from, size_t n, bool zeros);
/* Some of everything above, by chance. */
void fileset_stir(struct fileset *s);
/* Nothing counts as changed any more. */
void fileset_settle(struct fileset *s);

size_t fileset_cells(const struct fileset_file *f);
/* Bytes [off, off + n) of the file. Any thread. */
void fileset_bytes(const struct fileset_file *f, uint64_t off, void *out, size_t n);
/* True when these are its bytes. Any thread. */
bool fileset_equal(const struct fileset_file *f, uint64_t off, const void *data, size_t n);
/* How many bytes lie in grains of 2^grain_log2 bytes that are not all zero. */
uint64_t fileset_nonzero(const struct fileset_file *f, unsigned grain_log2);

#endif
