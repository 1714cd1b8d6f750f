#ifndef JOB_GROUND_H
#define JOB_GROUND_H

#include "conf/conf.h"
#include "job/check.h"
#include "source/exclude.h"
#include "source/own.h"

/* Where tiers, volumes and ffdr's own directories stand on this host, and who stands on whom. */

/*
 * ERR_CONFIG when two tiers are one directory, however it is spelled (a copy there is none), or one
 * lies in the other.
 */
int ground_tiers(const struct conf *c, struct err *e);
/* ERR_CONFIG when what the volume would capture is a tier, or lies in one. */
int ground_volume(const struct conf *c, const struct conf_source *s, struct err *e);
/* The directories that no backup may hold and no restore may touch. own_done() in any case. */
void ground_own(const struct conf *c, struct own *ret);
/*
 * May a restore make this directory, which may not be there yet? ERR_REFUSED where it would lie in
 * a tier, in `state`, or in the tree of its source, so that the next backup held it again.
 */
struct ground_place {
	const char *path;   /* absolute */
	const char *source; /* "vol.uploads" */
	const char *origin; /* where the source lives on this host; NULL: not here */
	const struct exclude *exclude; /* what its backups leave out; may be NULL */
};
int ground_target(const struct conf *c, const struct ground_place *p, struct err *e);
/*
 * FAIL for a tier that lies within a volume or around it, a warning for state and keys in one; FAIL
 * for a tier or state among the files of a server.
 */
void ground_check(struct check *c, const struct conf *conf);

#endif
