/*
 * The name of a pack is its hash, so a store that keeps the hash of a frozen one attests it. The name of
 * WAL is a range: whatever has it is listed as that range, and the hash that the store keeps is that of
 * whatever was put. So a base backup whose WAL is frozen is not called sound, however good its packs are.
 *
 * What would surprise: a run under a time budget does not look at all of the WAL, and whether a bundle is
 * frozen must not hang on whose turn it was. So those that had none are asked for here, by a request each.
 */
#include "job/verify_frozen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void
verify_frozen_add(struct verify_frozen *f, const char *id, const char *name)
{
	struct verify_frozen_wal *w;

	f->item = mem_grow(f->item, &f->room, f->count + 1, sizeof(*f->item));
	w = &f->item[f->count++];
	*w = (struct verify_frozen_wal){ 0 };
	snprintf(w->id, sizeof(w->id), "%s", id);
	snprintf(w->name, sizeof(w->name), "%s", name);
}

/* One that is gone since it was listed is no matter of this. */
static bool
is_frozen(struct store *s, const char *name)
{
	struct store_cold is;
	int rc = store_cold(s, name, &is, NULL);

	return rc == -1 || (rc == 1 && (is.state == STORE_FROZEN || is.state == STORE_THAWING));
}

bool
verify_frozen_has(struct verify_frozen *f, struct store *s, const char *id)
{
	for (size_t i = 0; i < f->count; i++) {
		struct verify_frozen_wal *w = &f->item[i];

		if (strcmp(w->id, id) != 0)
			continue;
		w->frozen = w->frozen || is_frozen(s, w->name);
		if (w->frozen)
			return true;
	}
	return false;
}

void
verify_frozen_done(struct verify_frozen *f)
{
	free(f->item);
	*f = (struct verify_frozen){ 0 };
}
