/*
 * The last step of a backup, and the only one that others see: a manifest that exists says that all
 * of the snapshot does. So what follows the put can only confirm that or withdraw it.
 */
#include "repo/publish.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "repo/presence.h"

/* What this program cannot read nobody can restore: so it is read before anybody sees it. */
static int
check_readable(const struct manifest *m, const struct buf *bytes, const struct keyring *keys,
    struct err *e)
{
	struct manifest back;
	int rc;

	manifest_init(&back);
	rc = manifest_open(bytes, m->name, keys, &back, e);
	manifest_done(&back);
	return rc == -1 ? err_in(e, "the manifest cannot be read, so it is not committed") : 0;
}

/* Is it what was written? */
static int
check_back(struct store *s, const char *name, const struct buf *bytes, struct err *e)
{
	struct buf back;
	int rc;

	buf_init(&back, bytes->len);
	rc = store_get(s, name, &back, e);
	if (rc == 0 && (back.len != bytes->len || memcmp(back.data, bytes->data, back.len) != 0))
		rc = err_set(e, ERR_CORRUPT, "%s comes back otherwise than it was written", name);
	buf_done(&back);
	return rc;
}

/*
 * One that was tried and has no answer may be there, or come to be: whoever asked to stop meanwhile is
 * not told that nothing was committed.
 */
static int
put(struct store *s, const char *name, const struct buf *bytes, struct err *e)
{
	int got;

	if (store_stopped(s))
		return err_set(e, ERR_CANCELLED, "stopped before '%s' was put", name);
	got = store_put(s, name, bytes->data, bytes->len, STORE_NEW, e);
	if (got == 0)
		return err_set(e, ERR_EXISTS, "%s is taken", name);
	if (got == 1 || (e->kind != ERR_CANCELLED && e->kind != ERR_REMOTE))
		return got == 1 ? 0 : -1;
	if (check_back(s, name, bytes, NULL) == 0)
		return 0;
	e->kind = ERR_REMOTE;
	return err_line(e, "state", "whether %s was committed is not known: it is there, and complete, "
	    "when `ffdr list` names it", name + strlen("snap/"));
}

/* And is everything there that it names? */
static int
check_present(struct store *s, const struct manifest *m, struct err *e)
{
	bool *there = xcalloc(m->packs, sizeof(*there));
	char name[LAYOUT_NAME];
	int rc = presence_check(s, m, there, e);

	for (size_t i = 0; rc == 0 && i < m->packs; i++)
		if (!there[i])
			rc = err_set(e, ERR_CORRUPT,
			    "%s is missing or has another size right after the commit",
			    layout_pack(m->pack[i].sha, name));
	free(there);
	return rc;
}

/* A manifest that names what is not there must not stay: existing means complete. */
static int
withdraw(struct store *s, const char *name, struct err *e)
{
	struct err why = {0};

	if (store_del(s, name, &why) == -1)
		err_line(e, "left", "%s could not be removed: %s", name, why.text);
	return err_in(e, "snapshot withdrawn");
}

int
publish_manifest(struct store *s, struct manifest *m, const struct keyring *keys, struct err *e)
{
	struct buf bytes;
	int rc = -1;

	buf_init(&bytes, STORE_OBJECT_MAX);
	if (manifest_seal(m, keys, &bytes, e) == -1 ||
	    check_readable(m, &bytes, keys, e) == -1)
		goto out;
	fault_point("commit.before");
	if (put(s, m->name, &bytes, e) == -1)
		goto out;
	fault_point("commit.put");
	store_stop_when(s, NULL, NULL);
	if (check_back(s, m->name, &bytes, e) == -1 || check_present(s, m, e) == -1) {
		withdraw(s, m->name, e);
		goto out;
	}
	rc = 0;
out:
	buf_done(&bytes);
	return rc;
}
