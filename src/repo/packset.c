/*
 * Open addressing with linear probing. A pack's name is a hash already, so its first bytes choose
 * the slot; whoever could choose names to collide could as well delete packs. Nothing is ever taken
 * out: collections build a set, ask it and throw it away.
 */
#include "repo/packset.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define ROOM_FIRST 64

static const uint8_t zeros[LAYOUT_SHA];

/* The slot that holds sha, or the free one where it would go. */
static size_t
seek(const struct packset *s, const uint8_t *sha)
{
	uint64_t start;
	size_t i;

	memcpy(&start, sha, sizeof(start));
	for (i = (size_t)start & (s->room - 1); memcmp(s->slot[i], zeros, LAYOUT_SHA) != 0;
	     i = (i + 1) & (s->room - 1))
		if (memcmp(s->slot[i], sha, LAYOUT_SHA) == 0)
			break;
	return i;
}

static void
grow(struct packset *s)
{
	struct packset more = { .room = s->room == 0 ? ROOM_FIRST : s->room * 2 };

	more.slot = xcalloc(more.room, LAYOUT_SHA);
	for (size_t i = 0; i < s->room; i++)
		if (memcmp(s->slot[i], zeros, LAYOUT_SHA) != 0)
			memcpy(more.slot[seek(&more, s->slot[i])], s->slot[i], LAYOUT_SHA);
	free(s->slot);
	s->slot = more.slot;
	s->room = more.room;
}

void
packset_done(struct packset *s)
{
	free(s->slot);
	memset(s, 0, sizeof(*s));
}

bool
packset_add(struct packset *s, const uint8_t sha[LAYOUT_SHA])
{
	if (packset_has(s, sha))
		return false;
	s->count++;
	if (memcmp(sha, zeros, LAYOUT_SHA) == 0) {
		s->zeros = true;
		return true;
	}
	if (s->count * 4 > s->room * 3)
		grow(s);
	memcpy(s->slot[seek(s, sha)], sha, LAYOUT_SHA);
	return true;
}

bool
packset_has(const struct packset *s, const uint8_t sha[LAYOUT_SHA])
{
	if (memcmp(sha, zeros, LAYOUT_SHA) == 0)
		return s->zeros;
	return s->room > 0 && memcmp(s->slot[seek(s, sha)], zeros, LAYOUT_SHA) != 0;
}

const uint8_t *
packset_next(const struct packset *s, size_t *at)
{
	while (*at < s->room) {
		const uint8_t *sha = s->slot[(*at)++];

		if (memcmp(sha, zeros, LAYOUT_SHA) != 0)
			return sha;
	}
	if (*at > s->room || !s->zeros)
		return NULL;
	(*at)++;
	return zeros;
}
