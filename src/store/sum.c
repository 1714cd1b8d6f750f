/*
 * Nothing counts as stored that was not seen to come back. An archive class gives nothing back for
 * hours, so there the second best is taken: the store compared the bytes with their SHA-256 when it
 * took them, keeps it, and tells it on request. Reading is tried first, and the store's refusal
 * decides: an object that was thawed, or that lies in another class than its tier's, is read.
 *
 * What was sent a moment ago is another matter: read back it comes out of the store's memory, which
 * proves no more of its disks than the comparison did, and costs as much again, by the gigabyte where
 * regions are left. There the sum is enough, of a store that was seen to compare. Of a directory all is
 * read, and compared with the bytes that are still here.
 */
#include "store/sum.h"

#include <string.h>

#define PART (1u << 20)

int
sum_kept(struct store *s, const char *name, uint8_t sha[DIGEST_LEN], struct err *e)
{
	struct store_cold is;
	int rc = store_cold(s, name, &is, e);

	if (rc == -1)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_NOTFOUND, "'%s' is gone", name);
	if (!is.summed)
		return err_set(e, ERR_FROZEN, "'%s' lies in an archive, and the store does not tell the "
		    "SHA-256 of what it took", name);
	memcpy(sha, is.sha, DIGEST_LEN);
	return 0;
}

int
sum_of(struct store *s, const char *name, struct buf *scratch, uint8_t sha[DIGEST_LEN],
    struct err *e)
{
	struct err why = { 0 };

	buf_reset(scratch);
	if (store_get(s, name, scratch, &why) == 0) {
		digest_sha256(scratch->data, scratch->len, sha);
		return 0;
	}
	if (why.kind == ERR_FROZEN)
		return sum_kept(s, name, sha, e);
	if (e != NULL)
		*e = why;
	return -1;
}

/* By parts, so that no second buffer is needed, and without a second hash. */
static int
same_bytes(struct store *s, const char *name, const struct buf *sent, struct err *e)
{
	struct buf part;
	int rc = 1;

	buf_init(&part, STORE_OBJECT_MAX);
	for (size_t at = 0; rc == 1 && at < sent->len; at += PART) {
		const bool last = sent->len - at <= PART;
		const size_t len = last ? sent->len - at : PART;

		buf_reset(&part);
		if (store_get_range(s, name, at, last ? 0 : len, &part, e) == -1)
			rc = -1;
		else
			rc = part.len == len && memcmp(part.data, sent->data + at, len) == 0;
	}
	buf_done(&part);
	return rc;
}

int
sum_sent(struct store *s, const char *name, struct buf *sent, const uint8_t sha[DIGEST_LEN],
    struct err *e)
{
	uint8_t is[DIGEST_LEN];

	if (!s->ops->far && sent->len > 0)
		return same_bytes(s, name, sent, e);
	if ((!s->options.compares || sum_kept(s, name, is, NULL) == -1) &&
	    sum_of(s, name, sent, is, e) == -1)
		return -1;
	return digest_equal(is, sha, DIGEST_LEN);
}
