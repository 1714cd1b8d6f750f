/*
 * A tombstone list is the memory between two collections. Its age is the store's, like every age
 * that matters; the time in its name only makes names differ. Lists are records, so nobody without
 * the signing key can make one that condemns a pack.
 */
#include "repo/tomb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "repo/record.h"

#define LINE_LEN (sizeof("pack ") + 2 * LAYOUT_SHA) /* with its newline */
_Static_assert(256 + TOMB_PACKS_MOST * LINE_LEN < RECORD_LIST_MAX, "a full list can be written");
/* Lists of one second take the next free one. */
#define NAME_TRIES 60

struct found {
	char name[LAYOUT_NAME];
	int64_t time_ns;
};
struct finding {
	struct found *list;
	size_t count, room;
};

static int
seen(void *arg, const struct store_entry *entry, struct err *e)
{
	struct finding *f = arg;
	int64_t when;

	(void)e;
	if (layout_gc_parse(entry->name, &when) == -1)
		return 0;
	f->list = mem_grow(f->list, &f->room, f->count + 1, sizeof(*f->list));
	f->list[f->count].time_ns = entry->time_ns;
	snprintf(f->list[f->count++].name, LAYOUT_NAME, "%s", entry->name);
	return 0;
}

static int
take_text(const struct buf *text, struct packset *into, struct err *e)
{
	const char *line = buf_str(text), *end;
	uint8_t sha[LAYOUT_SHA];

	for (; *line != '\0'; line = end + 1) {
		end = strchr(line, '\n');
		if (end == NULL)
			return err_set(e, ERR_CORRUPT, "the last line has no end");
		if (strncmp(line, "pack ", 5) != 0)
			continue;
		if ((size_t)(end - line) + 1 != LINE_LEN ||
		    text_unhex(line + 5, sha, LAYOUT_SHA) == -1)
			return err_set(e, ERR_CORRUPT, "expected 'pack SHA256', found '%.*s'",
			    (int)(end - line), line);
		packset_add(into, sha);
	}
	return 0;
}

/* 1 read, 0 gone or damaged, -1. */
static int
take(const struct repo *r, struct tier *t, const char *name, struct packset *into, struct err *e)
{
	struct err why = { 0 };
	struct buf text;
	int rc = 1;

	buf_init(&text, RECORD_LIST_MAX);
	if (record_get(r, t->store, name, &text, &why) == -1 || take_text(&text, into, &why) == -1) {
		rc = 0;
		if (why.kind != ERR_NOTFOUND && why.kind != ERR_CORRUPT && why.kind != ERR_KEY &&
		    why.kind != ERR_UNSUPPORTED) {
			*e = why;
			rc = -1;
		}
	}
	buf_done(&text);
	return rc;
}

int
tomb_read(const struct repo *r, struct tier *t, int64_t now_ns, int64_t rest_ns,
    struct tomb_lists *ret, struct err *e)
{
	struct finding f = { 0 };
	int rc = -1;

	memset(ret, 0, sizeof(*ret));
	if (store_list(t->store, "gc/", NULL, seen, &f, e) == -1)
		goto out;
	for (size_t i = 0; i < f.count; i++) {
		bool old = now_ns - f.list[i].time_ns >= rest_ns;
		int got = take(r, t, f.list[i].name, old ? &ret->rested : &ret->fresh, e);

		if (got == -1)
			goto out;
		ret->unreadable += got == 0;
		if (!old)
			continue;
		ret->old = mem_grow(ret->old, &ret->old_room, ret->olds + 1, sizeof(*ret->old));
		memcpy(ret->old[ret->olds++], f.list[i].name, LAYOUT_NAME);
	}
	rc = 0;
out:
	free(f.list);
	if (rc == -1)
		tomb_done(ret);
	return rc;
}

void
tomb_done(struct tomb_lists *l)
{
	packset_done(&l->rested);
	packset_done(&l->fresh);
	free(l->old);
	memset(l, 0, sizeof(*l));
}

static void
write_text(const struct tier *t, const struct packset *packs, struct buf *out)
{
	char hex[TEXT_HEX(LAYOUT_SHA)];
	const uint8_t *sha;
	size_t at = 0, n = 0;

	buf_addf(out, "tier %s\n", t->name);
	while (n++ < TOMB_PACKS_MOST && (sha = packset_next(packs, &at)) != NULL)
		buf_addf(out, "pack %s\n", text_hex(sha, LAYOUT_SHA, hex));
}

int
tomb_put(const struct repo *r, struct tier *t, int64_t now_ns, const struct packset *packs,
    struct err *e)
{
	char name[LAYOUT_NAME];
	struct buf text;
	int rc = 0;

	buf_init(&text, RECORD_LIST_MAX);
	write_text(t, packs, &text);
	for (int try = 0; rc == 0 && try < NAME_TRIES; try++)
		rc = record_put_as(r, t->store, layout_gc_new(now_ns + try * CLOCK_S, name), &text, e);
	if (rc == 0)
		err_set(e, ERR_BUSY, "'%s' and the names before it are taken", name);
	buf_done(&text);
	return rc == 1 ? 0 : -1;
}
