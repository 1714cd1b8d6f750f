/*
 * Pieces. The WAL goes into frames of 128 KiB at zstd's level 1: that is what a stream can be
 * compressed at while it comes in, and restoring asks for speed before size. The head repeats what
 * the name cannot say: who stored it, the server's segment size, and a sample of its clock.
 *
 * A name is a claim about bytes, so two hosts may have made the same claim; then only the bytes
 * decide. They are compared opened, for the sealed forms of equal WAL are never equal.
 */
#include "repo/piece.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/lsn.h"
#include "filter/zip.h"
#include "repo/lines.h"
#include "repo/object.h"
#include "store/aside.h"

#define WAL_LEVEL 1
#define HEAD_MAX 8192
/* Name, head, index and trailer beside the frames, each of which may be 17 bytes longer than raw. */
#define AROUND 65536

static int
check_place(const struct layout_wal *at, uint64_t segment_size, size_t n, struct err *e)
{
	char from[LSN_TEXT], to[LSN_TEXT];

	/* A .backup file says nothing of the server's segments. */
	if (!lsn_segment_valid(segment_size) &&
	    !(segment_size == 0 && at->kind == LAYOUT_WAL_OTHER && at->end == 0))
		return err_set(e, ERR_BUG, "segments of %" PRIu64 " bytes, expected a power of two "
		    "from 1 MiB to 1 GiB", segment_size);
	if (at->kind == LAYOUT_WAL_OTHER && at->end == 0)
		return 0;
	if (at->kind == LAYOUT_WAL_OTHER) {
		if (at->start < at->end && at->end - at->start == n && n <= PIECE_MAX &&
		    at->end <= segment_size)
			return 0;
		return err_set(e, ERR_BUG, "bytes %" PRIu64 " to %" PRIu64 ", %zu of them, are no "
		    "part of a file of at most %" PRIu64, at->start, at->end, n, segment_size);
	}
	if (at->kind != LAYOUT_WAL_PIECE || at->tli == 0 || at->start >= at->end ||
	    at->end - at->start != n || n > PIECE_MAX ||
	    lsn_segment(at->start, segment_size) != lsn_segment(at->end - 1, segment_size))
		return err_set(e, ERR_BUG, "WAL from %s to %s, %zu bytes, is no piece of a segment "
		    "of %" PRIu64, lsn_text(at->start, from), lsn_text(at->end, to), n,
		    segment_size);
	return 0;
}

static void
head_text(const struct piece *p, struct buf *out)
{
	buf_addf(out, "segment-size %u\nversion %u\n", p->segment_size, p->version);
	lines_add_text(out, "host", p->host);
	if (p->sampled)
		wal_beat_sample_text(&p->sample, out);
}

static int
head_parse(const struct buf *text, struct piece *p, struct err *e)
{
	uint64_t size, version;
	struct lines l;

	lines_set(&l, text);
	if (lines_take_number(&l, "segment-size", UINT32_MAX, &size, e) == -1 ||
	    lines_take_number(&l, "version", UINT32_MAX, &version, e) == -1 ||
	    lines_take_text(&l, "host", p->host, sizeof(p->host), e) == -1)
		return err_in(e, "head");
	p->sampled = lines_next_is(&l, "time");
	if ((p->sampled && wal_beat_sample_take(&l, &p->sample, e) == -1) ||
	    lines_end(&l, e) == -1)
		return err_in(e, "head");
	p->segment_size = (uint32_t)size;
	p->version = (uint32_t)version;
	return 0;
}

/* Frames whose ids are made together, while their bytes are at hand. */
#define TOGETHER 2

static void
add_wal(struct object_builder *b, const struct keyring *k, const uint8_t *wal, size_t n)
{
	uint8_t id[TOGETHER][GRAIN_ID_LEN];
	struct buf packed;

	buf_init(&packed, LAYOUT_FRAME_MAX + 1);
	while (n > 0) {
		const size_t len = n < LAYOUT_FRAME_MAX ? n : LAYOUT_FRAME_MAX;
		const size_t count = n < TOGETHER * len ? 1 : TOGETHER;

		digest_ids(&k->id, wal, len, count, id);
		for (size_t i = 0; i < count; i++, wal += len, n -= len) {
			struct object_grain grain = { .len = (uint32_t)len };

			memcpy(grain.id, id[i], sizeof(grain.id));
			buf_reset(&packed);
			zip_pack(wal, len, WAL_LEVEL, &packed);
			object_add(b, FRAME_WAL, packed.data, packed.len, len, &grain, 1);
		}
	}
	buf_done(&packed);
}

int
piece_seal(const struct keyring *k, const struct piece *p, const void *wal, size_t n,
    struct buf *out, char name[LAYOUT_NAME], struct err *e)
{
	struct object_builder b;
	uint8_t sha[LAYOUT_SHA];
	struct buf head;
	int rc = -1;

	if (check_place(&p->at, p->segment_size, n, e) == -1)
		return -1;
	layout_wal_name(&p->at, name);
	buf_init(&head, HEAD_MAX);
	head_text(p, &head);
	object_build(&b, OBJECT_WAL, p->at.end > 0 ? n + n / 1024 + AROUND :
	    STORE_OBJECT_MAX);
	object_add_name(&b, k, name);
	object_add_text(&b, k, head.data, head.len);
	add_wal(&b, k, wal, n);
	if (buf_check(&head, "head of a piece", e) == 0 && object_seal(&b, k, name, sha, e) == 0) {
		buf_done(out);
		*out = b.bytes;
		buf_init(&b.bytes, 0);
		rc = 0;
	} else {
		err_in(e, "'%s'", name);
	}
	object_build_done(&b);
	buf_done(&head);
	return rc;
}

/* Head and name must fit, and the WAL be as long as they say. */
static int
check_opened(const struct piece *p, size_t n, struct err *e)
{
	if (check_place(&p->at, p->segment_size, n, e) == -1) {
		if (e != NULL)
			e->kind = ERR_CORRUPT;
		return -1;
	}
	return 0;
}

static int
open_into(const struct keyring *k, const char *name, const struct buf *sealed, bool hashed,
    struct piece *ret, struct buf *wal, struct err *e)
{
	struct piece p = { 0 };
	struct buf head;
	const struct object_part part[] = {
		{ .kind = FRAME_TEXT, .raw = &head },
		{ .kind = FRAME_WAL, .raw = wal },
	};
	size_t start = wal->len;
	int rc;

	if (layout_wal_parse(name, &p.at) == -1 ||
	    (p.at.kind != LAYOUT_WAL_PIECE && p.at.kind != LAYOUT_WAL_OTHER))
		return err_set(e, ERR_CORRUPT, "'%s' is no name of a piece", name);
	buf_init(&head, HEAD_MAX);
	rc = hashed ? object_read_parts(sealed, OBJECT_WAL, name, k, part, 2, e) :
		      object_read_tagged(sealed, name, k, part, 2, e);
	if (rc == 0 &&
	    (head_parse(&head, &p, e) == -1 || check_opened(&p, wal->len - start, e) == -1))
		rc = -1;
	buf_done(&head);
	if (rc == 0)
		*ret = p;
	return rc;
}

int
piece_open(const struct keyring *k, const char *name, const struct buf *sealed, struct piece *ret,
    struct buf *wal, struct err *e)
{
	size_t start = wal == NULL ? 0 : wal->len;
	struct buf unwanted;
	int rc;

	buf_init(&unwanted, SIZE_MAX);
	rc = open_into(k, name, sealed, true, ret, wal == NULL ? &unwanted : wal, e);
	if (rc == -1 && wal != NULL)
		buf_cut(wal, start);
	if (rc == -1)
		err_in(e, "'%s'", name);
	buf_done(&unwanted);
	return rc;
}

int
piece_read(const struct keyring *k, const char *name, const struct buf *sealed, struct piece *ret,
    struct buf *wal, struct err *e)
{
	if (open_into(k, name, sealed, false, ret, wal, e) == 0)
		return 0;
	buf_reset(wal);
	return err_in(e, "'%s'", name);
}

/* The name is taken by another piece: 0 the same WAL, -1. */
static int
compare(const struct keyring *k, const char *name, const struct buf *sealed,
    const struct buf *there, struct err *e)
{
	struct piece ours, theirs;
	struct buf a, b;
	int rc = -1;

	buf_init(&a, SIZE_MAX);
	buf_init(&b, SIZE_MAX);
	if (piece_open(k, name, there, &theirs, &b, e) == -1)
		err_line(e, "fix", "the name is taken by something that cannot be read: "
		    "`ffdr verify --repair` brings a good copy from another tier, or sets it aside");
	else if (piece_open(k, name, sealed, &ours, &a, e) == 0) {
		if (a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0))
			rc = 0;
		else
			err_set(e, ERR_EXISTS, "'%s' holds other bytes than the WAL of this host: "
			    "stored by '%s', and now another by '%s'", name, theirs.host, ours.host);
	}
	buf_done(&a);
	buf_done(&b);
	return rc;
}

/*
 * What has the name already. 0 equal, 1 it is away now (damaged and set aside, or gone meanwhile)
 * and the name may be tried again, -1.
 */
static int
settle(const struct keyring *k, struct store *to, const char *name, const struct buf *sealed,
    struct err *e)
{
	struct err why = { 0 };
	struct buf there;
	int rc;

	buf_init(&there, STORE_OBJECT_MAX);
	if (store_get(to, name, &there, e) == -1)
		rc = e->kind == ERR_NOTFOUND ? 1 : -1;
	else if (object_check_plain(there.data, there.len, &why) == -1 && why.kind == ERR_CORRUPT)
		rc = aside_object(to, name, NULL, e) == -1 ? -1 : 1;
	else
		rc = compare(k, name, sealed, &there, e);
	buf_done(&there);
	return rc;
}

int
piece_put(const struct keyring *k, struct store *to, const char *name, const struct buf *sealed,
    struct err *e)
{
	struct err unwanted;
	int rc;

	if (e == NULL)
		e = &unwanted;
	rc = store_put(to, name, sealed->data, sealed->len, STORE_NEW, e);
	if (rc != 0)
		return rc;
	rc = settle(k, to, name, sealed, e);
	if (rc != 1)
		return rc;
	/* A second time only: whoever takes the name again is alive, and shall be heard. */
	rc = store_put(to, name, sealed->data, sealed->len, STORE_NEW, e);
	if (rc == 0)
		return err_set(e, ERR_BUSY, "'%s' is being stored by another host, too", name);
	return rc == 1 ? 2 : -1;
}
