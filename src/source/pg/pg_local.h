#ifndef SOURCE_PG_LOCAL_H
#define SOURCE_PG_LOCAL_H

#include "source/pg/pg_base.h"

/*
 * A base backup read from the data directory itself, by as many readers as the writer has workers,
 * between pg_backup_start and pg_backup_stop. The same entries as pg_base.h has, but for the
 * manifest, which is ours (CRC-32C).
 */
struct pg_local_options {
	const char *data;     /* the data directory, here */
	const char *label;    /* NULL: "ffdr" */
	bool fast;	      /* checkpoint at once */
	uint64_t max_rate;    /* bytes a second, 0: no limit */
	bool allow_bad_pages; /* as in pg_base_options; here every bad page is named */

	/* All are set. */
	void (*warn)(void *arg, const char *text);
	bool (*stop)(void *arg);
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

/*
 * The connection is an ordinary one, as a role that may call those two functions, and is taken for
 * all of that time. ERR_REFUSED when `data` is not the directory of the server that answers. Else
 * as pg_base_stream().
 */
int pg_local_capture(struct pg_conn *c, struct writer *w, const struct pg_local_options *o,
    struct pg_base_report *ret, struct err *e);

#endif
