#ifndef JOB_EXPOSURE_H
#define JOB_EXPOSURE_H

#include "job/exposure_judge.h"
#include "job/session.h"
#include "job/watch.h"

/*
 * What would be lost now: per source and tier, as if nothing but that tier were left, and per site,
 * as if all that stands there were gone at once.
 */
struct exposure_line {
	char source[64];
	const char *tier, *site; /* borrowed from the configuration */
	bool wal;		 /* else by its newest snapshot */
	struct exposure is;
	struct err why; /* kind != ERR_NONE: why it is not known */
	int64_t rpo_ns; /* of the tier; 0: none */
	uint64_t replay; /* bytes of WAL that a recovery from there would read; 0: not known */
};

struct exposure_site {
	const char *site;
	/* The worst of its sources, each by the best tier elsewhere. */
	char source[64];
	const char *tier; /* NULL: no tier elsewhere has it */
	struct exposure is;
};

struct exposure_report {
	struct exposure_line *line;
	size_t count, room;
	struct exposure_site *site;
	size_t sites;
};

/* source NULL: all that are configured. exposure_done() in any case. */
int exposure_run(struct session *s, const struct conf_source *source, const struct watch *w,
		 struct exposure_report *ret, struct err *e);
void exposure_done(struct exposure_report *r);

#endif
