/*
 * An archive class takes a price for every object, about that of 40 KB, and pieces come by the
 * minute. So they go there in bundles, cut where they stop to join or become too much. What is
 * decided here is the cut; when an unfinished one goes is its sender's business.
 *
 * A bundle cannot be looked at where it lies, so it is proved once, when it is put: by the hash that
 * the store checked it with.
 */
#include "job/wal/wal_copy_parts.h"

#include <stdlib.h>
#include <string.h>

#include "filter/digest.h"
#include "store/aside.h"
#include "store/sum.h"

static int
by_place(const void *a, const void *b)
{
	const struct layout_wal *x = &((const struct wal_copy_item *)a)->at,
				*y = &((const struct wal_copy_item *)b)->at;

	if (x->place.epoch != y->place.epoch)
		return x->place.epoch < y->place.epoch ? -1 : 1;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->end < y->end ? -1 : x->end > y->end;
}

void
wal_copy_bundle_sort(struct wal_copy_item *item, size_t n)
{
	if (n > 1)
		qsort(item, n, sizeof(*item), by_place);
}

size_t
wal_copy_bundle_next(const struct wal_copy_item *item, size_t n, bool *closed)
{
	uint64_t bytes = n > 0 ? item[0].size : 0;
	size_t i;

	for (i = 1; i < n; i++) {
		bytes += item[i].size;
		if (item[i].at.place.epoch != item[0].at.place.epoch ||
		    item[i].at.start != item[i - 1].at.end || bytes > BUNDLE_MAX ||
		    item[i].at.end - item[0].at.start > LAYOUT_WAL_BUNDLE_SPAN)
			break;
	}
	*closed = i < n;
	return n > 0 ? i : 0;
}

/* 1 it is there as it was sent, 0 another is, -1. */
static int
is_there(struct store *to, const char *name, const struct buf *bytes, struct buf *scratch,
	 struct err *e)
{
	uint8_t there[DIGEST_LEN], sent[DIGEST_LEN];

	if (sum_of(to, name, scratch, there, e) == -1)
		return -1;
	digest_sha256(bytes->data, bytes->len, sent);
	return digest_equal(there, sent, DIGEST_LEN);
}

/*
 * The name is taken: 0 by a bundle that is sound, for the same log may have been cut otherwise; 1 by
 * something damaged that is set aside now; -1. A frozen one was proved by whoever put it.
 */
static int
settle(const struct keyring *k, struct store *to, const char *name, struct buf *scratch,
       struct err *e)
{
	struct err why = { 0 };
	int rc;

	buf_reset(scratch);
	rc = store_get(to, name, scratch, &why);
	if (rc == -1 && why.kind == ERR_FROZEN) {
		uint8_t sum[DIGEST_LEN];

		return sum_kept(to, name, sum, e);
	}
	if (rc == 0 && bundle_check(k, name, scratch, &why) == 0)
		return 0;
	if (why.kind == ERR_CORRUPT)
		return aside_object(to, name, NULL, e) == -1 ? -1 : 1;
	*e = why;
	return -1;
}

/* 1 stored, 0 a sound one was there, -1. */
static int
put(const struct keyring *k, struct store *to, const char *name, const struct buf *bytes,
    struct buf *scratch, struct err *e)
{
	int rc = store_put(to, name, bytes->data, bytes->len, STORE_NEW, e);

	if (rc != 0)
		return rc;
	rc = settle(k, to, name, scratch, e);
	if (rc != 1)
		return rc;
	/* A second time only: whoever takes the name again is alive, and shall be heard. */
	rc = store_put(to, name, bytes->data, bytes->len, STORE_NEW, e);
	return rc == 0 ? err_set(e, ERR_BUSY, "'%s' is being stored by another host, too", name) : rc;
}

int
wal_copy_bundle_put(const struct keyring *k, struct store *to, const char *name,
		    const struct buf *bytes, struct err *e)
{
	struct buf scratch;
	int rc, there;

	buf_init(&scratch, STORE_OBJECT_MAX);
	rc = put(k, to, name, bytes, &scratch, e);
	there = rc == 1 ? is_there(to, name, bytes, &scratch, e) : 1;
	buf_done(&scratch);
	if (there == 0)
		return err_set(e, ERR_CORRUPT, "'%s' does not come back as it was sent", name);
	return there == -1 ? -1 : rc;
}

/* ---- on their way ---- */

static int
opens(void *arg, const char *name, const struct buf *bytes, struct err *e)
{
	const struct wal_copying *c = arg;
	struct piece piece;

	return piece_open(c->s->repo->keys, name, bytes, &piece, NULL, e);
}

static int
is_bundle(void *arg, const char *name, const struct buf *bytes, struct err *e)
{
	const struct wal_copying *c = arg;

	return bundle_check(c->s->repo->keys, name, bytes, e);
}

/* Each piece is opened: where they lie then, nobody can look. */
int
wal_copy_bundle_send(struct wal_copying *c, const struct wal_copy_item *item, size_t n,
		     struct err *e)
{
	const struct layout_wal *first = &item[0].at;
	char name[LAYOUT_NAME];
	struct buf all, one;
	int rc = 0;

	layout_wal_bundle(&first->place, first->tli, first->start, item[n - 1].at.end, name);
	buf_init(&all, STORE_OBJECT_MAX);
	buf_init(&one, STORE_OBJECT_MAX);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		buf_reset(&one);
		rc = wal_copy_go_on(c, e);
		if (rc == 0 && tier_get(&c->s->tiers, NULL, item[i].name, &one, opens, c, NULL, e) == -1)
			rc = err_in(e, "'%s'", item[i].name);
		buf_add(&all, one.data, one.len);
	}
	if (rc == 0)
		rc = buf_check(&all, name, e);
	if (rc == 0)
		rc = wal_copy_bundle_put(c->s->repo->keys, c->to->store, name, &all, e);
	if (rc == 1)
		wal_copy_was_sent(c, all.len);
	buf_done(&one);
	buf_done(&all);
	return rc == -1 ? -1 : 0;
}

int
wal_copy_bundle_pass(struct wal_copying *c, const struct wal_copy_item *item, uint64_t from,
		     uint64_t to, struct err *e)
{
	struct bundle_piece p;
	struct bundle_walk w;
	struct buf all;
	int got = 0, rc = wal_copy_go_on(c, e);

	buf_init(&all, STORE_OBJECT_MAX);
	if (rc == 0)
		rc = tier_get(&c->s->tiers, NULL, item->name, &all, is_bundle, c, NULL, e);
	if (rc == 0 && c->cold)
		rc = wal_copy_bundle_put(c->s->repo->keys, c->to->store, item->name, &all, e);
	if (rc == 1)
		wal_copy_was_sent(c, all.len);
	if (rc == 0 && !c->cold)
		rc = bundle_begin(&w, c->s->repo->keys, item->name, &all, e);
	while (rc == 0 && !c->cold && (got = bundle_next(&w, &p, e)) == 1) {
		if (p.at.end <= from || p.at.start >= to)
			continue;
		rc = piece_put(c->s->repo->keys, c->to->store, p.name, &p.sealed, e);
		if (rc > 0)
			wal_copy_was_sent(c, p.sealed.len);
		rc = rc == -1 ? -1 : wal_copy_go_on(c, e);
	}
	buf_done(&all);
	return rc == -1 || got == -1 ? err_in(e, "'%s'", item->name) : 0;
}
