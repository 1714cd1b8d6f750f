#ifndef JOB_EXPIRE_UNREAD_H
#define JOB_EXPIRE_UNREAD_H

#include "repo/repo.h"

/*
 * A manifest that was not opened on that tier, for the reason `why`: may a person give it up? 1 yes:
 * it is damaged, or `lost_key` names the key that is missing (a key epoch, or a signer's id; NULL:
 * none was named); -1 ERR_REFUSED with the way out, or it could not be looked at.
 */
int expire_unread(const struct repo *r, struct tier *t, const char *name, const char *lost_key,
    const struct err *why, struct err *e);

#endif
