/*
 * A bundle has no table of its own, on purpose: it is what one gets by writing pieces one behind the
 * other, and whoever has it can cut them out again, byte for byte. So where the next piece begins is
 * told by the header of this one, and what it is by the name sealed inside it; the bundle's own name
 * only promises what they add up to. A flipped bit costs the piece it lies in and no other, unless it
 * is in a length.
 */
#include "repo/bundle.h"

#include <inttypes.h>
#include <string.h>

#include "base/lsn.h"
#include "repo/object.h"

int
bundle_begin(struct bundle_walk *w, const struct keyring *k, const char *name,
    const struct buf *bytes, struct err *e)
{
	*w = (struct bundle_walk){ .keys = k, .bytes = bytes };
	if (layout_wal_parse(name, &w->whole) == -1 || w->whole.kind != LAYOUT_WAL_BUNDLE)
		return err_set(e, ERR_CORRUPT, "'%s' is no name of a bundle", name);
	return 0;
}

/* The bytes of the object that begins there: 1, 0 the end, -1 nothing behind can be found. */
static int
cut(const struct buf *bytes, size_t *off, struct buf *ret, struct err *e)
{
	const size_t at = *off, left = bytes->len - at;
	struct object_header h;

	if (left == 0)
		return 0;
	*off = bytes->len;
	if (object_header_parse(bytes->data + at, left, &h, e) == -1)
		return err_in(e, "at byte %zu", at);
	if (h.type != OBJECT_WAL)
		return err_set(e, ERR_CORRUPT, "at byte %zu lies a %s, expected a %s", at,
		    object_type_word(h.type), object_type_word(OBJECT_WAL));
	if (h.total > left)
		return err_set(e, ERR_CORRUPT, "the %s at byte %zu has %" PRIu64 " bytes by its "
		    "header, there are %zu", object_type_word(h.type), at, h.total, left);
	*off = at + (size_t)h.total;
	*ret = (struct buf){ .data = bytes->data + at, .len = (size_t)h.total, .limit = (size_t)h.total };
	return 1;
}

int
bundle_next(struct bundle_walk *w, struct bundle_piece *ret, struct err *e)
{
	const struct layout_wal *whole = &w->whole;
	const size_t at = w->off;
	struct layout_wal *p = &ret->at;
	int got = cut(w->bytes, &w->off, &ret->sealed, e);

	if (got != 1)
		return got;
	if (object_read_name(&ret->sealed, w->keys, ret->name, e) == -1)
		return err_in(e, "at byte %zu", at);
	if (layout_wal_parse(ret->name, p) == 0 && p->kind == LAYOUT_WAL_PIECE &&
	    strcmp(p->place.source, whole->place.source) == 0 &&
	    p->place.sysid == whole->place.sysid && p->place.epoch == whole->place.epoch &&
	    p->tli == whole->tli && p->start >= whole->start && p->end <= whole->end)
		return 1;
	return err_set(e, ERR_CORRUPT, "at byte %zu lies '%s', which does not belong here", at,
	    ret->name);
}

int
bundle_check(const struct keyring *k, const char *name, const struct buf *bytes, struct err *e)
{
	char text[LSN_TEXT];
	struct bundle_piece p;
	struct bundle_walk w;
	struct piece piece;
	uint64_t at;
	int got = bundle_begin(&w, k, name, bytes, e);

	if (got == -1)
		return -1;
	at = w.whole.start;
	while ((got = bundle_next(&w, &p, e)) == 1) {
		if (p.at.start != at)
			got = err_set(e, ERR_CORRUPT, "'%s' stands where the piece from %s on has to "
			    "stand", p.name, lsn_text(at, text));
		else
			got = piece_open(k, p.name, &p.sealed, &piece, NULL, e);
		if (got == -1)
			break;
		at = p.at.end;
	}
	if (got == 0 && at != w.whole.end)
		got = err_set(e, ERR_CORRUPT, "ends at %s", lsn_text(at, text));
	return got == -1 ? err_in(e, "'%s'", name) : 0;
}

int
bundle_check_plain(const struct buf *bytes, struct err *e)
{
	struct buf one;
	size_t off = 0;
	int got;

	if (bytes->len == 0)
		return err_set(e, ERR_CORRUPT, "is empty, expected pieces of WAL");
	while ((got = cut(bytes, &off, &one, e)) == 1)
		if (object_check_plain(one.data, one.len, e) == -1)
			return err_in(e, "at byte %zu", off - one.len);
	return got;
}
