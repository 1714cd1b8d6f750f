/*
 * What cannot be read is not always lost. Bytes that do not give their own hash are; but a whole
 * manifest whose key is not here, or that a newer program made, may be somebody's only backup,
 * and every host that lacks the key would be told to throw it away. So that wants the key named by
 * who says that it is gone for good, and a newer program is the one to ask.
 */
#include "job/expire_unread.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "repo/object.h"

#define KEY_TEXT TEXT_HEX(SIGN_ID)

/* Does it give the hash that it ends with? */
static bool
is_whole(const struct buf *bytes)
{
	const size_t trailer = object_trailer(OBJECT_MANIFEST);
	uint8_t sha[DIGEST_LEN];

	if (bytes->len < trailer)
		return false;
	digest_sha256(bytes->data, bytes->len - trailer, sha);
	return memcmp(sha, bytes->data + bytes->len - trailer, DIGEST_LEN) == 0;
}

/* Which key is not here: the signer's id, or the epoch. */
static const char *
missing_key(const struct repo *r, const struct buf *bytes, char out[KEY_TEXT])
{
	const uint8_t *id = bytes->data + bytes->len - SIGN_LEN - SIGN_ID;
	struct object_header h;

	if (keyring_signer(r->keys, id) == NULL)
		return text_hex(id, SIGN_ID, out);
	if (object_header_parse(bytes->data, bytes->len, &h, NULL) == -1)
		return "";
	return text_hex(h.epoch, LAYOUT_EPOCH, out);
}

static int
refuse(const struct tier *t, const char *name, const char *key, const struct err *why, struct err *e)
{
	err_set(e, ERR_REFUSED, "'%s' is whole on '%s', and is not given up: %.*s", name, t->name,
	    err_first_line(why), why->text);
	if (key[0] == '\0')
		return err_line(e, "fix", "use the version of ffdr that made it");
	err_line(e, "fix", "another host, or the key in the safe, may open it: [keys] kek");
	return err_line(e, "or", "--lost-key %s, where that key is gone for good", key);
}

int
expire_unread(const struct repo *r, struct tier *t, const char *name, const char *lost_key,
    const struct err *why, struct err *e)
{
	char room[KEY_TEXT];
	const char *key = "";
	struct buf bytes;
	int rc = 1;

	if (why->kind == ERR_CORRUPT)
		return 1;
	buf_init(&bytes, STORE_OBJECT_MAX);
	if (store_get(t->store, name, &bytes, e) == -1) {
		rc = -1;
	} else if (is_whole(&bytes)) {
		if (why->kind == ERR_KEY)
			key = missing_key(r, &bytes, room);
		if (key[0] == '\0' || lost_key == NULL || strcmp(key, lost_key) != 0)
			rc = refuse(t, name, key, why, e);
	}
	buf_done(&bytes);
	return rc;
}
