#ifndef REPO_SPOOL_FILE_H
#define REPO_SPOOL_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "repo/keyring.h"
#include "repo/layout_wal.h"

/*
 * One file of a spool: a header, then records, each the WAL of one sync, sealed under a key of its
 * own. docs/format.md is the norm. Used by spool.c and spool_dir.c alone.
 */
#define SPOOL_FILE_HEAD 96
#define SPOOL_FILE_RECORD 48 /* header of a record */
#define SPOOL_FILE_TAG 16
#define SPOOL_FILE_NAME 100
#define SPOOL_FILE_WAL_MAX (1u << 20) /* of one record */

struct spool_file_head {
	uint64_t sysid;
	uint32_t epoch, tli, segment_size;
	uint64_t start;
	uint8_t bytes[SPOOL_FILE_HEAD]; /* as it stands: authenticated with every record */
};

/* Fills bytes from the other fields; ERR_KEY without a key to seal with. */
int spool_file_head_make(struct spool_file_head *h, const struct keyring *k, struct err *e);
/* ERR_CORRUPT, ERR_UNSUPPORTED. */
int spool_file_head_parse(const uint8_t bytes[SPOOL_FILE_HEAD], const struct keyring *k,
    struct spool_file_head *ret, struct err *e);
/* Appends the record that will lie at `off` of the file. ERR_KEY. */
int spool_file_seal(const struct spool_file_head *h, const struct keyring *k, uint64_t off,
    uint64_t lsn, const void *wal, size_t n, struct buf *out, struct err *e);

/*
 * Names: <sysid>-<epoch>-<tli>-<start>.<8 hex>, and once closed <sysid>-<epoch>-<tli>-<start>-<end>
 * .<8 hex>.
 */
struct spool_file_name {
	uint64_t sysid;
	uint32_t epoch, tli;
	uint64_t start, end; /* end 0: not closed */
	uint32_t tag;
};
char *spool_file_name(const struct spool_file_name *n, char out[SPOOL_FILE_NAME]);
int spool_file_name_parse(const char *name, struct spool_file_name *ret); /* 0 or -1 */

/*
 * A file opened for reading; it may grow meanwhile. A copy goes its own way until the file is closed.
 */
struct spool_file_window;
struct spool_file {
	int fd;
	const struct keyring *keys;
	struct spool_file_head head;
	uint64_t off, lsn; /* of the next record */
	uint64_t last_off, last_lsn; /* of the one before; last_off 0: none */
	struct spool_file_window *window; /* where headers are looked for */
};
/* Opens and reads the header. ERR_NOTFOUND when it is gone. */
int spool_file_open(struct spool_file *f, int dirfd, const char *name, const struct keyring *k,
    struct err *e);
void spool_file_close(struct spool_file *f);
/*
 * The next record: its WAL is appended to out; with out NULL it is passed over and only its header
 * looked at. 1; 0 no more, a torn one included: f->lsn is where the file ends; -1.
 */
int spool_file_next(struct spool_file *f, struct buf *out, struct err *e);
/* Passes over all, proves the last one: f->off and f->lsn are where the file ends. */
int spool_file_end(struct spool_file *f, struct err *e);

#endif
