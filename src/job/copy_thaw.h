#ifndef JOB_COPY_THAW_H
#define JOB_COPY_THAW_H

#include "job/session.h"
#include "job/thaw.h"
#include "job/watch.h"

/*
 * What a whole run of copies will read out of archives, ordered back together before anything is
 * copied: so somebody agrees to one sum, and waits once. Who copies goes over all twice: first it hands
 * in here what it would copy.
 */
struct copy_thaw;
struct copy_thaw *copy_thaw_new(struct session *s, const struct watch *w);
void copy_thaw_free(struct copy_thaw *c);
/* May anything that goes to that tier lie in the archive of another? */
bool copy_thaw_may(const struct session *s, const struct tier *to);

/*
 * That snapshot will go there: its packs that are not listed there, and of a base backup its own WAL.
 * What cannot be found out is left out: the copy will say why.
 */
void copy_thaw_snapshot(struct copy_thaw *c, struct tier *from, struct tier *to, const char *name);
/* And the WAL that is missing there then, also for base backups that were handed in for that tier. */
void copy_thaw_wal(struct copy_thaw *c, const struct conf_source *source, struct tier *to);
/*
 * Orders all of it and waits, as thaw_objects() does, also where several lack the same. never: as in
 * struct thaw_options.
 */
int copy_thaw_order(struct copy_thaw *c, const struct thaw_wish *wish, struct tier *never,
    const struct watch *w, struct err *e);

#endif
