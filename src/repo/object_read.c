/*
 * Manifests and records are read whole, and the order of the questions is the order of trust: is
 * it whole (hash), is it ours (repository, signer, signature for this very name), and only then
 * is anything decrypted and parsed. So a damaged object, a foreign one, a forged one and one put
 * under a wrong name each say so in their own words.
 */
#include "repo/object.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "repo/object_trailer.h"

/* A manifest under pend/ bears its snap/ name. */
static const char *
own_name(const char *found, char room[LAYOUT_NAME])
{
	return layout_pend_snap(found, room) == 0 ? room : found;
}

/* Opens a frame into out, ids checked where there are keys for it. */
static int
read_frame(const struct object *o, const struct buf *bytes, const struct keyring *k, size_t i,
    struct buf *out, struct err *e)
{
	const struct object_frame *f = &o->index.frame[i];
	uint8_t *raw = buf_reserve(out, f->rawlen);

	if (raw == NULL)
		return err_set(e, ERR_CORRUPT, "text is longer than the %zu bytes allowed",
		    out->limit);
	if (object_frame(o, i, bytes->data + f->off, raw, e) == -1 ||
	    (k && object_check_ids(o, i, raw, k, e) == -1))
		return -1;
	out->len += f->rawlen;
	return 0;
}

/* The first frame and no other holds the object's own name: into an empty buf. */
static int
read_name(const struct object *o, const struct buf *bytes, const struct keyring *k,
    struct buf *name, struct err *e)
{
	if (o->index.frames == 0 || o->index.frame[0].kind != FRAME_NAME)
		return err_set(e, ERR_CORRUPT, "first frame is not its own name");
	return read_frame(o, bytes, k, 0, name, e);
}

static int
check_own_name(const struct object *o, const struct buf *bytes, const struct keyring *k,
    const char *own, struct err *e)
{
	struct buf name;
	int rc = -1;

	buf_init(&name, LAYOUT_NAME);
	if (read_name(o, bytes, k, &name, e) == 0 && strcmp(buf_str(&name), own) != 0)
		err_set(e, ERR_CORRUPT, "calls itself '%s'", buf_str(&name));
	else if (name.len > 0)
		rc = 0;
	buf_done(&name);
	return rc;
}

int
object_read_name(const struct buf *bytes, const struct keyring *k, char name[LAYOUT_NAME],
    struct err *e)
{
	struct object_header h;
	struct object *o = NULL;
	struct buf own;
	int rc = -1;

	buf_init(&own, LAYOUT_NAME - 1);
	if (object_header_parse(bytes->data, bytes->len, &h, e) == -1)
		goto out;
	if (h.type != OBJECT_WAL || h.total != bytes->len) {
		err_set(e, ERR_CORRUPT, "is a %s of %" PRIu64 " bytes, expected a %s of %zu",
		    object_type_word(h.type), h.total, object_type_word(OBJECT_WAL), bytes->len);
		goto out;
	}
	if (object_open(&h, bytes->data + h.index_off, object_index_len(&h), k, &o, e) == -1 ||
	    read_name(o, bytes, NULL, &own, e) == -1)
		goto out;
	snprintf(name, LAYOUT_NAME, "%s", buf_str(&own));
	rc = 0;
out:
	object_free(o);
	buf_done(&own);
	return rc;
}

static int
read_opened(const struct object *o, const struct buf *bytes, const struct keyring *k,
    const char *own, const struct object_part *part, size_t parts, struct err *e)
{
	if (check_own_name(o, bytes, k, own, e) == -1)
		return -1;
	for (size_t i = 1; i < o->index.frames; i++)
		for (size_t p = 0; p < parts; p++)
			if (o->index.frame[i].kind == part[p].kind &&
			    read_frame(o, bytes, k, i, part[p].raw, e) == -1)
				return -1;
	return 0;
}

/* All that is asked before anything is decrypted. */
static int
check_ours(const struct buf *bytes, enum object_type type, const char *own, const struct keyring *k,
    struct object_header *h, struct err *e)
{
	if (object_check_plain(bytes->data, bytes->len, e) == -1 ||
	    object_header_parse(bytes->data, bytes->len, h, e) == -1)
		return -1;
	if (h->type != type)
		return err_set(e, ERR_CORRUPT, "is a %s, expected a %s", object_type_word(h->type),
		    object_type_word(type));
	if (object_check_home(h, k, e) == -1)
		return -1;
	return type == OBJECT_WAL ? 0 : object_trailer_check(bytes, type, k, own, e);
}

int
object_check_signed(const struct buf *bytes, enum object_type type, const char *name,
    const struct keyring *k, struct err *e)
{
	char room[LAYOUT_NAME];
	struct object_header h;

	return check_ours(bytes, type, own_name(name, room), k, &h, e);
}

int
object_read_parts(const struct buf *bytes, enum object_type type, const char *name,
    const struct keyring *k, const struct object_part *part, size_t parts, struct err *e)
{
	char room[LAYOUT_NAME];
	const char *own = own_name(name, room);
	struct object_header h;
	struct object *o = NULL;
	int rc = -1;

	if (check_ours(bytes, type, own, k, &h, e) == 0 &&
	    object_open(&h, bytes->data + h.index_off, object_index_len(&h), k, &o, e) == 0)
		rc = read_opened(o, bytes, k, own, part, parts, e);
	object_free(o);
	return rc;
}

int
object_read_tagged(const struct buf *bytes, const char *name, const struct keyring *k,
    const struct object_part *part, size_t parts, struct err *e)
{
	struct object_header h;
	struct object *o = NULL;
	struct err why = { 0 };
	int rc = -1;

	if (object_header_parse(bytes->data, bytes->len, &h, &why) == 0 &&
	    h.total == bytes->len && h.type == OBJECT_WAL &&
	    object_open(&h, bytes->data + h.index_off, object_index_len(&h), k, &o, &why) == 0)
		rc = read_opened(o, bytes, NULL, name, part, parts, &why);
	object_free(o);
	if (rc == 0)
		return 0;
	for (size_t p = 0; p < parts; p++)
		buf_reset(part[p].raw);
	return object_read_parts(bytes, OBJECT_WAL, name, k, part, parts, e);
}

int
object_read_signed(const struct buf *bytes, enum object_type type, const char *name,
    const struct keyring *k, enum frame_kind kind, struct buf *text, struct err *e)
{
	const struct object_part part = { .kind = kind, .raw = text };
	size_t start = text->len;
	int rc = object_read_parts(bytes, type, name, k, &part, 1, e);

	if (rc == -1)
		text->len = start;
	return rc;
}
