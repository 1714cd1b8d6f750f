#ifndef JOB_WAL_FORGET_H
#define JOB_WAL_FORGET_H

#include "job/session.h"
#include "job/watch.h"
#include "source/pg/pg_slot.h"

/*
 * The slot of a host that will not come back is dropped, so that the server stops keeping WAL for
 * it. What only the spool of that host had stays on the server all the same as long as no tier off
 * this host has it: that is what the slot ffdr_hold is for.
 */
struct wal_forget_report {
	char slot[PG_SLOT_NAME];
	uint64_t behind; /* bytes that it kept */
	bool dropped;
};

/*
 * ERR_REFUSED while that host holds the lease of the source or its slot is streamed from, and when
 * neither can be told; ERR_NOTFOUND: it has no slot there, and which there are.
 */
int wal_forget_run(struct session *s, const struct conf_source *source, const char *host,
		   bool dry_run, const struct watch *w, struct wal_forget_report *ret,
		   struct err *e);

#endif
