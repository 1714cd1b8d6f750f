/*
 * An archive class takes a price for every object, about that of 40 KB, and pieces come by the
 * minute. So they go there in bundles, cut where they stop to join or become too much. What is
 * decided here is the cut; when an unfinished one goes is its sender's business.
 *
 * A bundle cannot be looked at where it lies, so it is proved once, when it is put: by the hash that
 * the store checked it with.
 */
#include "job/wal/wal_copy_bundle.h"

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
