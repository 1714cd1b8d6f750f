#ifndef REPO_SPOOL_DIR_H
#define REPO_SPOOL_DIR_H

#include <sys/types.h>

#include "base/lsn.h"
#include "repo/keyring.h"
#include "repo/layout_wal.h"

/*
 * The reading side of a spool (spool.h): a directory of sealed files that another process, or
 * another thread, may be appending to. Nothing is kept between calls and nothing is changed, so
 * any thread may ask. What a writer has written but not synced yet may be seen; only the writer
 * knows what is durable (spool_durable).
 *
 * The last record of a file may be torn: it never was promised to anybody and does not count.
 * Anything else that is damaged is ERR_CORRUPT and names the range. A directory that is not there
 * holds nothing.
 */
struct spool_dir {
	const char *path;
	const struct keyring *keys;
};

struct spool_dir_file {
	char name[100]; /* SPOOL_FILE_NAME */
	uint32_t epoch, tli;
	uint64_t sysid; /* as in its name; the header must say the same */
	uint64_t start, end;
	bool closed; /* its end stands in its name; else it was walked */
};
struct spool_dir_files {
	struct spool_dir_file *file; /* by system id, epoch, timeline, start */
	size_t count;
	uint64_t held; /* bytes of WAL in all of them */
};
/* All files, those of earlier processes included. spool_dir_done() in any case. */
int spool_dir_list(const struct spool_dir *d, struct spool_dir_files *ret, struct err *e);
void spool_dir_done(struct spool_dir_files *f);

/* What is held of a timeline, added to ret. The source of place is not looked at. */
int spool_dir_ranges(const struct spool_dir *d, const struct wal_place *p, uint32_t tli,
    struct lsn_set *ret, struct err *e);
/*
 * Appends the bytes from `from` on, as far as they are there without a hole, at most up to `to`; how
 * many, or -1 (out is then as before).
 */
ssize_t spool_dir_read(const struct spool_dir *d, const struct wal_place *p, uint32_t tli,
    uint64_t from, uint64_t to, struct buf *out, struct err *e);
/*
 * The files of that system and timeline, of whatever epoch, that have anything of [from, to), as they
 * are, sealed, into a directory (made when missing), durably: a spool for who cannot read this one.
 */
int spool_dir_copy(const struct spool_dir *d, uint64_t sysid, uint32_t tli, uint64_t from,
    uint64_t to, const char *into, struct err *e);

#endif
