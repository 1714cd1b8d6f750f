/*
 * A copy is the same bytes under the same name, so nothing is opened and no key is needed. The
 * hash is taken between the two stores: a bad source is seen before anything is sent, and never
 * becomes two bad copies.
 */
#include "store/copy.h"

#include "filter/digest.h"
#include "store/aside.h"

/* The target has the name: 1 with our length, 0 with another one, so one of the two is damaged. */
static int
compare_size(struct store *to, const char *name, size_t len, struct err *e)
{
	struct store_stat st;
	int rc = store_stat(to, name, &st, e);

	if (rc == -1)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_REMOTE, "'%s' is taken at the target and not there", name);
	if (st.size == len)
		return 1;
	err_set(e, ERR_CORRUPT, "'%s' has %llu bytes at the target, %zu here", name,
	    (unsigned long long)st.size, len);
	return 0;
}

/* Ours are the bytes that the name stands for, so the target's are not. */
static int
replace(struct store *to, const char *name, const struct buf *good, struct err *e)
{
	err_clear(e);
	if (aside_object(to, name, NULL, e) == -1)
		return err_in(e, "set the damaged one aside");
	if (store_put(to, name, good->data, good->len, STORE_NEW, e) == -1)
		return err_in(e, "send");
	return 2;
}

int
copy_read(struct store *from, const char *name, const uint8_t *sha256, struct buf *out,
    struct err *e)
{
	uint8_t sha[DIGEST_LEN];

	buf_reset(out);
	if (store_get(from, name, out, e) == -1)
		return err_in(e, "read");
	if (sha256 == NULL)
		return 0;
	digest_sha256(out->data, out->len, sha);
	return digest_equal(sha, sha256, DIGEST_LEN) ? 0 :
	    err_set(e, ERR_CORRUPT, "'%s' is damaged at the source: its %zu bytes have another hash",
		name, out->len);
}

int
copy_send(struct store *to, const char *name, const uint8_t *sha256, const struct buf *bytes,
    struct err *e)
{
	int rc = store_put_known(to, name, bytes->data, bytes->len, sha256, STORE_NEW, e);

	if (rc == -1 || rc == 1)
		return rc;
	rc = compare_size(to, name, bytes->len, e);
	if (rc == 0 && sha256 != NULL)
		return replace(to, name, bytes, e);
	return rc == 1 ? 0 : -1;
}
