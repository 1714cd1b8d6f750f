/*
 * A small list is kept back as it grows; when it passes the bound, the chunks so far are placed and
 * every further one at once. So a snapshot of a few thousand files is one object, and one of ten
 * million needs no more memory.
 */
#include "repo/chunks.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "repo/proof.h"

/* A list up to here stands in the manifest: it is read with it, in one request. */
#define INLINE_MAX (1u << 20)

struct chunks {
	const struct digest_idkey *key;
	struct packer *maps;
	struct parent *parent;
	struct buf chunk; /* being filled */
	struct buf first; /* its first path, escaped */
	struct buf kept;  /* whole chunks kept back */
	bool placing;	  /* the list has passed the bound */
	struct manifest_chunk *done; /* while kept back only len and first are set */
	size_t count, room;
};

struct chunks *
chunks_new(const struct digest_idkey *key, struct packer *maps, struct parent *parent)
{
	struct chunks *c = xcalloc(1, sizeof(*c));

	c->key = key;
	c->maps = maps;
	c->parent = parent;
	buf_init(&c->chunk, OBJECT_RAW_MAX);
	buf_init(&c->first, OBJECT_RAW_MAX);
	buf_init(&c->kept, INLINE_MAX + OBJECT_RAW_MAX);
	return c;
}

void
chunks_free(struct chunks *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->count; i++)
		free(c->done[i].first);
	free(c->done);
	buf_done(&c->chunk);
	buf_done(&c->first);
	buf_done(&c->kept);
	free(c);
}

static int
place(struct chunks *c, struct manifest_chunk *m, const uint8_t *text, struct err *e)
{
	struct packer_grain new = {
	    .kind = FRAME_LIST, .bytes = text, .len = m->len, .id = m->id};
	const struct manifest_chunk *same;

	digest_id(c->key, text, m->len, m->id);
	same = parent_chunk(c->parent, m->id);
	if (same) {
		m->ref = same->ref;
		return 0;
	}
	new.sum = proof_grain(m->id, text, m->len);
	return packer_place(c->maps, &new, &m->ref, e);
}

/* The bound is passed: what was kept back is placed. */
static int
place_kept(struct chunks *c, struct err *e)
{
	const uint8_t *at = c->kept.data;

	for (size_t i = 0; i < c->count; i++) {
		if (place(c, &c->done[i], at, e) == -1)
			return -1;
		at += c->done[i].len;
	}
	buf_done(&c->kept);
	c->placing = true;
	return 0;
}

static int
close_chunk(struct chunks *c, struct err *e)
{
	struct manifest_chunk *m;

	if (c->chunk.len == 0)
		return 0;
	if (buf_check(&c->chunk, "file list", e) == -1)
		return -1;
	c->done = mem_grow(c->done, &c->room, c->count + 1, sizeof(*c->done));
	m = &c->done[c->count++];
	*m = (struct manifest_chunk){.len = (uint32_t)c->chunk.len,
	    .first = xstrdup(buf_str(&c->first))};
	if (c->placing) {
		if (place(c, m, c->chunk.data, e) == -1)
			return -1;
	} else {
		buf_add(&c->kept, c->chunk.data, c->chunk.len);
		if (c->kept.len > INLINE_MAX && place_kept(c, e) == -1)
			return -1;
	}
	buf_reset(&c->chunk);
	return 0;
}

static void
begin_entry(struct chunks *c, const char *path, size_t pathlen)
{
	if (c->chunk.len > 0)
		return;
	buf_reset(&c->first);
	text_escape(path, pathlen, &c->first);
}

static int
end_entry(struct chunks *c, const char *path, size_t pathlen, struct err *e)
{
	if (c->chunk.over)
		return err_set(e, ERR_UNSUPPORTED,
		    "'%.*s': its line in the file list would be over 4 MiB long", (int)pathlen,
		    path);
	return list_cut_after(path, pathlen, c->chunk.len) ? close_chunk(c, e) : 0;
}

int
chunks_add(struct chunks *c, const struct entry *en, struct err *e)
{
	begin_entry(c, en->path, en->pathlen);
	list_encode(en, &c->chunk);
	return end_entry(c, en->path, en->pathlen, e);
}

int
chunks_add_lines(struct chunks *c, const struct sorter_line *l, struct err *e)
{
	begin_entry(c, l->path, l->pathlen);
	buf_add(&c->chunk, l->text, l->len);
	return end_entry(c, l->path, l->pathlen, e);
}

int
chunks_end(struct chunks *c, struct manifest *m, struct err *e)
{
	if (close_chunk(c, e) == -1)
		return -1;
	if (!c->placing) {
		buf_add(&m->inline_list, c->kept.data, c->kept.len);
		return buf_check(&m->inline_list, "file list", e);
	}
	m->chunk = c->done;
	m->chunks = c->count;
	m->chunk_room = c->room;
	c->done = NULL;
	c->count = c->room = 0;
	return 0;
}
