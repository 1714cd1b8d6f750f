/*
 * What a listing and an opened object may bring of WAL: the input as a name, as the text of a
 * `from`, as the head of a piece that is ours in all else, and as what stands behind such a one in a
 * bundle.
 */
#include <stdlib.h>
#include <string.h>

#include "base/lsn.h"
#include "base/mem.h"
#include "repo/bundle.h"
#include "repo/lines.h"
#include "repo/object.h"
#include "repo/piece.h"
#include "repo/wal_lineage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define NAME "wal/pg.a/77/00000003/00000002/0000000000100000-0000000000100010"

static struct keyring *keys;

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
names(const char *name)
{
	char again[LAYOUT_NAME], text[LSN_TEXT];
	struct layout_wal w;
	uint64_t lsn, back;

	if (layout_wal_parse(name, &w) == 0)
		must(strcmp(layout_wal_name(&w, again), name) == 0);
	if (lsn_parse(name, &lsn) == 0)
		must(lsn_parse(lsn_text(lsn, text), &back) == 0 && back == lsn);
}

static void
from(const struct buf *text)
{
	struct wal_from f, again;
	struct err e = { 0 };
	struct buf out;

	if (wal_lineage_from_parse(text, 5, &f, &e) == -1) {
		must(e.kind == ERR_CORRUPT && e.text[0] != '\0');
		return;
	}
	must(f.parent < 5 && f.tli > 0);
	buf_init(&out, text->len);
	wal_lineage_from_text(&f, &out);
	must(out.len == text->len && memcmp(out.data, text->data, out.len) == 0);
	must(wal_lineage_from_parse(&out, 5, &again, NULL) == 0 && again.fork == f.fork);
	buf_done(&out);
}

static void
head(const struct buf *text)
{
	struct object_builder b;
	uint8_t sha[LAYOUT_SHA];
	struct err e = { 0 };
	struct buf wal;
	struct piece p;

	object_build(&b, OBJECT_WAL, STORE_OBJECT_MAX);
	object_add_name(&b, keys, NAME);
	object_add_text(&b, keys, text->data, text->len);
	object_add_raw(&b, keys, FRAME_WAL, "0123456789abcdef", 16);
	must(object_seal(&b, keys, NAME, sha, &e) == 0);
	buf_init(&wal, 100);
	if (piece_open(keys, NAME, &b.bytes, &p, &wal, &e) == 0)
		must(wal.len == 16 && lsn_segment_valid(p.segment_size) &&
		    strlen(p.host) < sizeof(p.host) && p.sample.time_ns >= 0);
	else
		must(e.kind == ERR_CORRUPT && wal.len == 0);
	buf_done(&wal);
	object_build_done(&b);
}

/* A sound piece, then whatever comes. */
static void
bundle(const struct buf *tail)
{
	static struct buf piece;
	char name[LAYOUT_NAME];
	struct piece p = { .segment_size = 1 << 20 }, opened;
	struct bundle_walk w;
	struct bundle_piece one;
	struct buf all;
	size_t sound = 0, found = 0;
	int got;

	must(layout_wal_parse(NAME, &p.at) == 0);
	if (piece.data == NULL)
		must(piece_seal(keys, &p, "0123456789abcdef", 16, &piece, name, NULL) == 0);
	layout_wal_bundle(&p.at.place, p.at.tli, p.at.start, p.at.end, name);
	buf_init(&all, piece.len + tail->len);
	buf_add(&all, piece.data, piece.len);
	buf_add(&all, tail->data, tail->len);
	must((bundle_check(keys, name, &all, NULL) == 0) == (tail->len == 0));
	must(bundle_begin(&w, keys, name, &all, NULL) == 0);
	while ((got = bundle_next(&w, &one, NULL)) != 0) {
		must(++found <= all.len / OBJECT_HEADER + 1 && w.off <= all.len);
		sound += got == 1 && piece_open(keys, one.name, &one.sealed, &opened, NULL, NULL) == 0;
	}
	must(sound >= 1);
	/* And the same as a bit of it that is another one. */
	if (tail->len > 3 && tail->data[2] != 0) {
		buf_cut(&all, piece.len);
		all.data[buf_get_u16(tail->data) % piece.len] ^= tail->data[2];
		must(bundle_check(keys, name, &all, NULL) == -1 && bundle_check_plain(&all, NULL) == -1);
	}
	buf_done(&all);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint8_t id[LAYOUT_REPO_ID];
	char *name = xstrndup((const char *)data, n);
	struct buf text;

	if (keys == NULL) {
		keys = keyring_new(id);
		keyring_add_epoch(keys, 0);
	}
	buf_init(&text, n);
	buf_add(&text, data, n);
	names(name);
	from(&text);
	if (n < 10000)
		head(&text);
	bundle(&text);
	buf_done(&text);
	free(name);
	return 0;
}
