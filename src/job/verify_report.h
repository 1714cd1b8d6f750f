#ifndef JOB_VERIFY_REPORT_H
#define JOB_VERIFY_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "job/watch.h"
#include "repo/layout.h"

struct verify_finding {
	const char *tier; /* name, borrowed from the session */
	char object[LAYOUT_NAME];
	/* the first one that needs it; "": an object of the repository, all do */
	char snapshot[96];
	bool repaired;
	bool aside; /* no tier has a good one: moved below bad/, so that a backup stores it anew */
	struct err why;	  /* what is wrong */
	struct err repair; /* why it could not be repaired, when that was tried */
};
struct verify_report {
	struct verify_finding *finding;
	size_t count, room;
	size_t snapshots; /* verified, good and bad, a snapshot on two tiers being two */
	size_t good;	/* sound: at the level that was asked for, or by the store's word for packs */
	size_t unread;	/* neither: base backups whose WAL lies in an archive */
	size_t left;	/* for which there was no time */
	size_t packs;	/* looked at */
	size_t frozen;	/* of them: not read, for they lie in an archive */
	size_t pieces, pieces_left; /* of WAL: looked at, and for which there was no time */
	size_t pieces_frozen; /* of those looked at: not read */
	size_t holes; /* in the WAL that must be there */
	uint64_t bytes; /* read */
	uint64_t done;	/* of packs that were looked at, read or not */
	unsigned away;	/* tiers that do not answer */
	size_t broken;	/* findings not repaired */
	size_t aside;	/* of them: packs that were set aside */
};

/* A line for that object, good until the next one; not told yet. `snapshot` "": see above. */
struct verify_finding *verify_report_add(struct verify_report *r, const char *tier,
    const char *object, const char *snapshot, const struct err *why);
/* What could be done about it was done: it is counted, and told in these words. */
void verify_report_tell(struct verify_report *r, const struct verify_finding *f,
    const struct watch *w, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* -1 and ERR_CANCELLED: the person asked to stop. */
int verify_report_stopped(const struct watch *w, const char *tier, struct err *e);
void verify_report_done(struct verify_report *r);

#endif
