#ifndef SOURCE_PG_BASE_H
#define SOURCE_PG_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "repo/writer.h"
#include "source/pg/pg_conn.h"

/*
 * A base backup as a stream of the server's (BASE_BACKUP), put into a writer that takes entries in
 * any order. Entries: "." and every member of the server's archives, the tree of a tablespace below
 * pg_tblspc/OID, backup_label, tablespace_map (empty when there are no tablespaces) and, byte for
 * byte, backup_manifest (SHA-256). No WAL is in it; the caller sees to that all of it from start to
 * stop exists. Files have the server's sizes, owners, modes and times; relation files are cut by
 * pages.
 *
 * A server 15 leaves tablespaces in place (allow_in_place_tablespaces, for its developers) out of
 * its base backups and says nothing: whoever can ask by SQL has to look for them.
 */
struct pg_base_options {
	const char *label;	   /* up to 1,000 bytes, no control characters; NULL: "ffdr" */
	bool fast;		   /* checkpoint at once, else spread over the server's usual time */
	uint64_t max_rate;	   /* bytes a second, 0: no limit; 32 KiB to 1 GiB, else ERR_USAGE */
	bool no_verify;		   /* the server does not check its pages */
	/*
	 * Pages with a wrong checksum are told, and the backup is kept. Otherwise it fails, but only
	 * at its end (the server looks at all pages first).
	 */
	bool allow_bad_pages;

	/* All are set. */
	void (*warn)(void *arg, const char *text); /* also what the server warns of */
	bool (*stop)(void *arg);		   /* true: cancelled, on the server too */
	/* Now and then: bytes of done and, estimated by the server, in all (0: not known). */
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

struct pg_base_tablespace {
	uint32_t oid;
	char *path; /* as the server has it; relative ("pg_tblspc/OID"): in place */
	uint64_t size; /* estimated by the server before it began */
};

struct pg_base_bad {
	char *file; /* path of the entry */
	uint32_t block;
};

struct pg_base_report {
	uint64_t start_lsn, stop_lsn;
	uint32_t start_tli, stop_tli; /* differ only when a standby followed a new timeline meanwhile */
	struct pg_base_tablespace *tablespace;
	size_t tablespaces;
	uint64_t entries, files, bytes; /* of the entries; bytes: of files */
	uint64_t estimated;		/* by the server, all together */
	struct buf label, map;		/* backup_label, tablespace_map (empty: none), as they are */
	uint64_t manifest_bytes;
	uint64_t warnings;		/* how often `warn` was called */
	bool damaged;			/* some page has a wrong checksum (allow_bad_pages) */
	/* Those the server named: it stops naming after five of a file. */
	struct pg_base_bad *bad;
	size_t bads, bad_room;
};

/*
 * Needs a replication connection, and takes it whole; it can be used again after 1. The writer must
 * have been opened with any_order. 1: all of it; 0: the writer is late, commit a partial, no restore
 * can be made of it, but the next backup stores less; -1: nothing may be committed (ERR_CANCELLED,
 * ERR_CORRUPT for bad pages and for a stream that is none, or as pg_conn.h says). The report is to be
 * released in any case.
 */
int pg_base_stream(struct pg_conn *c, struct writer *w, const struct pg_base_options *o,
    struct pg_base_report *ret, struct err *e);
void pg_base_report_done(struct pg_base_report *r);

#endif
