/*
 * Nothing counts as stored that was not seen to come back. An archive class gives nothing back for
 * hours, so there the second best is taken: the store compared the bytes with their SHA-256 when it
 * took them, keeps it, and tells it on request. Reading is tried first, and the store's refusal
 * decides: an object that was thawed, or that lies in another class than its tier's, is read.
 */
#include "store/sum.h"

#include <string.h>

bool
sum_is_frozen(const struct err *why)
{
	return why->kind == ERR_FROZEN;
}

int
sum_of(struct store *s, const char *name, struct buf *scratch, uint8_t sha[DIGEST_LEN],
    struct err *e)
{
	struct store_cold is;
	struct err why = { 0 };
	int rc;

	buf_reset(scratch);
	if (store_get(s, name, scratch, &why) == 0) {
		digest_sha256(scratch->data, scratch->len, sha);
		return 0;
	}
	if (!sum_is_frozen(&why)) {
		if (e != NULL)
			*e = why;
		return -1;
	}
	rc = store_cold(s, name, &is, e);
	if (rc == -1)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_NOTFOUND, "'%s' is gone", name);
	if (!is.summed) {
		if (e != NULL)
			*e = why;
		return err_line(e, "proof", "nor does the store tell the SHA-256 of what it took");
	}
	memcpy(sha, is.sha, DIGEST_LEN);
	return 0;
}
