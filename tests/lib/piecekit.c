#include "tests/lib/piecekit.h"

#include "tests/lib/vector.h"

void
piecekit_seal(const struct piecekit *k, uint64_t from, uint64_t to, struct buf *out,
    char name[LAYOUT_NAME])
{
	const struct piece p = {
		.at = { .place = k->place, .kind = LAYOUT_WAL_PIECE, .tli = k->tli, .start = from,
			.end = to },
		.segment_size = k->segment_size,
		.host = "h",
	};
	struct err e = { 0 };

	if (piece_seal(k->keys, &p, k->wal + (from - k->start), to - from, out, name, &e) == -1)
		fail_msg("%s", e.text);
}

void
piecekit_put(const struct piecekit *k, struct store *to, uint64_t from, uint64_t end)
{
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	struct buf sealed;

	buf_init(&sealed, STORE_OBJECT_MAX);
	piecekit_seal(k, from, end, &sealed, name);
	if (piece_put(k->keys, to, name, &sealed, &e) == -1)
		fail_msg("%s", e.text);
	buf_done(&sealed);
}

void
piecekit_flush(struct piecekit *k, struct store *to)
{
	char name[LAYOUT_NAME];
	struct err e = { 0 };

	layout_wal_bundle(&k->place, k->tli, k->from, k->to, name);
	if (k->all.len > 0 &&
	    store_put(to, name, k->all.data, k->all.len, STORE_NEW, &e) == -1)
		fail_msg("%s", e.text);
	buf_done(&k->all);
}

void
piecekit_add(struct piecekit *k, struct store *to, uint64_t from, uint64_t end)
{
	char name[LAYOUT_NAME];
	struct buf sealed;

	if (k->all.len > 0 && k->to != from)
		piecekit_flush(k, to);
	if (k->all.len == 0) {
		buf_init(&k->all, STORE_OBJECT_MAX);
		k->from = from;
	}
	k->to = end;
	buf_init(&sealed, STORE_OBJECT_MAX);
	piecekit_seal(k, from, end, &sealed, name);
	buf_add(&k->all, sealed.data, sealed.len);
	buf_done(&sealed);
}

void
piecekit_bundle(struct piecekit *k, struct store *to, uint64_t from, uint64_t end, uint64_t each)
{
	for (; from < end; from += each)
		piecekit_add(k, to, from, from + each < end ? from + each : end);
	piecekit_flush(k, to);
}
