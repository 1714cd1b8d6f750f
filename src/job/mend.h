#ifndef JOB_MEND_H
#define JOB_MEND_H

#include "job/session.h"

/*
 * Replaces a bad or missing pack, manifest, repo/, key/, wal/ or walb/ object of a tier by the same of
 * another tier. The bad one is set aside under bad/ first, never dropped silently: it may be all there
 * is of something. ERR_NOTFOUND, ERR_CORRUPT when no other tier has a good one; the bad one is then
 * untouched. Another tier that did not answer has its reason in its `why` afterwards.
 */
int mend_object(struct session *s, struct tier *t, const char *name, struct err *e);

/*
 * Is what has that name there what it must be? 1, 0 it is not or not there, -1 that is not known. Of what
 * is frozen a pack by the hash that the store keeps; another object is believed when there is one.
 */
int mend_judge(struct session *s, struct tier *t, const char *name, struct err *e);

#endif
