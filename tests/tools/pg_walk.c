/*
 * Prints what the product reads in WAL, in the words of pg_waldump, so that a test can hold one
 * beside the other: a line a record with its resource manager, length, transaction and place, and
 * below it what recovery could stop at. Segments are given as files in the order of the log.
 *
 *	pg_walk [--slice BYTES] FILE...
 *	pg_walk --check FILE...		each as a finished segment
 *
 * Bytes go in as slices of that size at most (0: a file at once), because how they arrive must not
 * matter.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/lsn.h"
#include "base/units.h"
#include "source/pg/pg_commit.h"
#include "source/pg/pg_walname.h"
#include "source/pg/pg_walpage.h"
#include "source/pg/pg_walrecord.h"

#include <fcntl.h>

static const char *const words[] = {
	[PG_COMMIT_DONE] = "commit",
	[PG_COMMIT_ABORTED] = "abort",
	[PG_COMMIT_POINT] = "point",
	[PG_COMMIT_CHECKPOINT] = "checkpoint",
	[PG_COMMIT_SHUTDOWN] = "shutdown",
	[PG_COMMIT_RECOVERED] = "recovered",
};

static void
print_commit(const struct pg_commit *c)
{
	char redo[LSN_TEXT], at[UNITS_TEXT];

	printf("\t%s xid %" PRIu32 " prepared %d time %" PRId64 " (%s) name '%s' redo %s "
	    "timeline %" PRIu32 " parent %" PRIu32 "\n", words[c->kind], c->xid, c->prepared,
	    c->time_ns, units_time(c->time_ns, at), c->name, lsn_text(c->redo, redo), c->timeline,
	    c->parent);
}

static int
print_record(void *arg, const struct pg_walrecord *r, struct err *e)
{
	char start[LSN_TEXT], prev[LSN_TEXT], end[LSN_TEXT];
	struct pg_commit c;
	int rc;

	(void)arg;
	printf("%u %" PRIu32 " %" PRIu32 " %s %s %02x %s %zu\n", r->rmgr, r->len, r->xid,
	    lsn_text(r->start, start), lsn_text(r->prev, prev), r->info, lsn_text(r->end, end),
	    r->main_len);
	rc = pg_commit_read(r, &c, e);
	if (rc == 1)
		print_commit(&c);
	return rc == -1 ? -1 : 0;
}

static void
die(const char *path, const struct err *e)
{
	fprintf(stderr, "%s: %s: %s\n", path, err_word(e->kind), e->text);
	exit(1);
}

/* Timeline and LSN by the file's name, and its bytes. */
static void
read_segment(const char *path, struct buf *bytes, struct pg_walname *name,
    struct pg_walpage *first)
{
	const char *slash = strrchr(path, '/');
	struct err e = { .kind = ERR_NONE };

	buf_reset(bytes);
	if (file_get(AT_FDCWD, path, bytes, &e) == -1 ||
	    pg_walpage_read(bytes->data, bytes->len, first, &e) == -1)
		die(path, &e);
	pg_walname_parse(slash ? slash + 1 : path, name);
}

static int
check(int n, char **path, struct buf *bytes)
{
	struct pg_walpage_segment seg;
	struct pg_walpage first;
	struct pg_walname name;
	struct err e = { .kind = ERR_NONE };
	uint64_t lsn;

	for (int i = 0; i < n; i++) {
		read_segment(path[i], bytes, &name, &first);
		if (pg_walname_start(&name, bytes->len, &lsn, &e) == -1 ||
		    pg_walrecord_check(bytes->data, bytes->len, name.timeline, lsn, 0, &seg, &e) == -1)
			die(path[i], &e);
		printf("%s %d %" PRIu64 "\n", path[i], seg.version, seg.sysid);
	}
	return 0;
}

static void
walk(int n, char **path, size_t slice, struct buf *bytes)
{
	struct pg_walrecord_options o = { .wanted = PG_WALRECORD_ALL };
	struct pg_walrecords *w = NULL;
	struct pg_walpage first;
	struct pg_walname name;
	struct err e = { .kind = ERR_NONE };
	int rc = 0;

	for (int i = 0; i < n && rc == 0; i++) {
		read_segment(path[i], bytes, &name, &first);
		if (!w) {
			o.lsn = first.lsn;
			o.seg_size = first.seg_size;
			w = pg_walrecord_new(&o, print_record, NULL);
		}
		for (size_t off = 0, k; off < bytes->len && rc == 0; off += k) {
			k = slice && slice < bytes->len - off ? slice : bytes->len - off;
			rc = pg_walrecord_feed(w, bytes->data + off, k, &e);
		}
		if (rc == -1)
			die(path[i], &e);
	}
	pg_walrecord_free(w);
}

int
main(int argc, char **argv)
{
	struct buf bytes;
	size_t slice = 0;
	int rc = 0;

	buf_init(&bytes, SIZE_MAX / 2);
	if (argc > 2 && strcmp(argv[1], "--check") == 0) {
		rc = check(argc - 2, argv + 2, &bytes);
	} else if (argc > 3 && strcmp(argv[1], "--slice") == 0) {
		slice = strtoul(argv[2], NULL, 10);
		walk(argc - 3, argv + 3, slice, &bytes);
	} else {
		walk(argc - 1, argv + 1, slice, &bytes);
	}
	buf_done(&bytes);
	return rc;
}
