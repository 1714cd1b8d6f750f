#ifndef SOURCE_ATTR_H
#define SOURCE_ATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/err.h"
#include "repo/list.h"

/*
 * Everything an entry is beside its name and contents: kind, mode, owner, times, device, target of
 * a symbolic link, extended attributes. ACLs and file capabilities are the raw extended attributes
 * of Linux.
 */

/* A name in an open directory, and the open file when there is one (else -1). fd wins where it can.
 */
struct attr_place {
	int dirfd;
	const char *name;
	int fd;
};

/* The mark that a restore puts on the root directory; it is never captured. Value: the source's
 * name. */
#define ATTR_RESTORED "user.ffdr.restored"

/* ---- capture ---- */

struct attr;
struct attr *attr_new(void);
void attr_free(struct attr *a);
/*
 * Fills all of *ret but path and contents. What it points to lives until the next call. -1:
 * attributes could not be read (the rest is filled), so the caller may warn and go on.
 */
int attr_read(struct attr *a, const struct attr_place *at, const struct stat *st,
    struct entry *ret, struct err *e);
/* Only what stat says: no system call, no attributes, no target. */
void attr_from_stat(const struct stat *st, struct entry *ret);

/* ---- restore ---- */

/* Whose new files in the target are (also through squashing and set-group-id), so that most need no
 * chown. */
struct attr_born {
	bool known;
	uid_t uid;
	gid_t gid;
};

enum attr_denied { ATTR_OWNER = 1, ATTR_XATTR = 2, ATTR_MODE = 4, ATTR_TIME = 8 };

struct attr_set {
	struct attr_born born;
	bool fresh; /* made by this restore: has no attribute yet and the owner `born` */
	/*
	 * What the system did not let us set (rights, or not supported there): told once a kind by
	 * the caller. Not an error. `denied_name` is an attribute's name.
	 */
	unsigned denied;
	char denied_name[256];
};
/* Owner, extended attributes, mode, times, in the only order that works. Never follows a link. */
int attr_apply(const struct attr_place *at, const struct entry *en, struct attr_set *set,
    struct err *e);

#endif
