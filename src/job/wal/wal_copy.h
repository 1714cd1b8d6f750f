#ifndef JOB_WAL_COPY_H
#define JOB_WAL_COPY_H

#include "job/pg/pg_facts.h"
#include "job/session.h"
#include "job/watch.h"

/*
 * WAL from tier to tier: the same objects, byte for byte, from whichever tier has a whole one. Only
 * what the target lacks is sent, told by the bytes its pieces cover: they may have been cut
 * elsewhere.
 */
struct wal_copy_report {
	size_t sent; /* objects */
	uint64_t bytes;
	size_t left; /* that are younger than WAL_COPY_YOUNG_S, and a receiver's to bring */
	size_t waiting; /* pieces, for the next bundle */
};
#define WAL_COPY_YOUNG_S 600
/*
 * A cold tier gets pieces in bundles (repo/bundle.h): one that is full, or cannot grow, at once, the last
 * when its oldest piece is so old, or at half of the tier's rpo. So a quiet database makes 24 a day.
 */
#define WAL_COPY_HOLD_S 3600

/*
 * What a base backup cannot do without, [start, stop) with histories and where its epoch comes
 * from. Nothing is proved: that is wal_prove(). The report is added to.
 */
int wal_copy_base(struct session *s, const char *source, const struct pg_facts *f, struct tier *to,
		  const struct watch *w, struct wal_copy_report *ret, struct err *e);
/*
 * What is missing on a tier that receives the WAL of the source, from its oldest base backup up to
 * the newest that another tier has. While a receiver ships, what came in the last minutes is left
 * to it; to a cold tier none ships. Without a base backup there nothing is brought. `now`: no bundle
 * waits.
 */
int wal_copy_between(struct session *s, const struct conf_source *source, struct tier *to, bool now,
		     const struct watch *w, struct wal_copy_report *ret, struct err *e);

/*
 * What these would read out of bundles that others have: it is told, once for each, and nothing is
 * copied. For the second the target has the base backups that it is about to get, too.
 */
struct wal_copy_need {
	void (*seen)(void *arg, const char *name, uint64_t size);
	void *arg;
	const struct pg_facts *base; /* that are about to come */
	size_t bases;
};
int wal_copy_need_base(struct session *s, const char *source, const struct pg_facts *f, struct tier *to,
		       const struct watch *w, const struct wal_copy_need *need, struct err *e);
int wal_copy_need_between(struct session *s, const struct conf_source *source, struct tier *to,
			  const struct watch *w, const struct wal_copy_need *need, struct err *e);

/* One object of WAL from any tier of the set that has it whole: 1 sent, 0 the name was taken, -1;
 * ERR_NOTFOUND: nobody has it. */
int wal_copy_object(struct tier_set *set, struct tier *to, const char *name, uint64_t *bytes,
		    struct err *e);

#endif
