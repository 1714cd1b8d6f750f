#ifndef JOB_VERIFY_FROZEN_H
#define JOB_VERIFY_FROZEN_H

#include "repo/layout.h"
#include "store/store.h"

/*
 * Of the databases on one tier: what of the WAL that a base backup itself needs was not read, because it
 * lies in an archive. Nothing is proved of such but that it is listed.
 */
struct verify_frozen_wal {
	char id[96];	       /* the snapshot that needs it */
	char name[LAYOUT_NAME];
	bool frozen;	       /* that was seen; else it was not looked at, for want of time */
};
struct verify_frozen {
	struct verify_frozen_wal *item;
	size_t count, room;
};

void verify_frozen_add(struct verify_frozen *f, const char *id, const char *name);
/*
 * Does that snapshot need such? Of what was not looked at the store is asked; one that does not say is
 * taken for frozen.
 */
bool verify_frozen_has(struct verify_frozen *f, struct store *s, const char *id);
void verify_frozen_done(struct verify_frozen *f);

#endif
