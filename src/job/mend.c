/*
 * The good copy is fetched and judged before anything is touched, the bad one is kept below bad/,
 * and then the one takes the other's place in a single step. So a crash leaves the bad one or the
 * good one, never neither: a manifest that is missing would be missed by nobody.
 */
#include "job/mend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "filter/digest.h"
#include "repo/bundle.h"
#include "repo/manifest.h"
#include "repo/object.h"
#include "repo/piece.h"
#include "repo/record.h"
#include "repo/repo_audit.h"
#include "store/aside.h"
#include "store/sum.h"

/*
 * Packs by their name, the repository's own objects and records by their signatures, WAL by its
 * trailer or what is in it; all else is a manifest.
 */
static int
judge(void *arg, const char *name, const struct buf *bytes, struct err *e)
{
	const struct session *s = arg;
	uint8_t sha[LAYOUT_SHA], got[DIGEST_LEN];
	struct manifest m;
	struct layout_wal w;
	struct piece piece;
	int rc;

	if (layout_pack_parse(name, sha) == 0) {
		digest_sha256(bytes->data, bytes->len, got);
		return digest_equal(sha, got, DIGEST_LEN) ? 0 :
		    err_set(e, ERR_CORRUPT, "does not hash to its name");
	}
	if (strncmp(name, "repo/", strlen("repo/")) == 0 || strncmp(name, "key/", strlen("key/")) == 0)
		return repo_audit_judge(s->repo, name, bytes, e);
	if (layout_wal_parse(name, &w) == 0 && w.kind == LAYOUT_WAL_BUNDLE)
		return bundle_check(s->repo->keys, name, bytes, e);
	if (layout_wal_parse(name, &w) == 0)
		return w.kind == LAYOUT_WAL_PIECE || w.kind == LAYOUT_WAL_OTHER ?
		    piece_open(s->repo->keys, name, bytes, &piece, NULL, e) :
		    object_check_plain(bytes->data, bytes->len, e);
	if (strncmp(name, "rec/", strlen("rec/")) == 0)
		return record_judge(s->repo, name, bytes, e);
	manifest_init(&m);
	rc = manifest_open(bytes, name, s->repo->keys, &m, e);
	manifest_done(&m);
	return rc;
}

/* What is to be thawed is judged by what the store took it with: 1, 0, -1 it does not tell. */
static int
judge_frozen(struct tier *t, const char *name, struct err *e)
{
	uint8_t sha[LAYOUT_SHA], kept[DIGEST_LEN];

	if (sum_kept(t->store, name, kept, e) == -1)
		return err_in(e, "tier '%s'", t->name);
	return layout_pack_parse(name, sha) == -1 || digest_equal(sha, kept, DIGEST_LEN);
}

int
mend_judge(struct session *s, struct tier *t, const char *name, struct err *e)
{
	struct err why = { 0 };
	struct buf bytes;
	int rc;

	buf_init(&bytes, STORE_OBJECT_MAX);
	rc = store_get(t->store, name, &bytes, &why);
	if (rc == 0)
		rc = judge(s, name, &bytes, &why);
	buf_done(&bytes);
	if (rc == 0)
		return 1;
	if (why.kind == ERR_FROZEN)
		return judge_frozen(t, name, e);
	if (why.kind == ERR_NOTFOUND || why.kind == ERR_CORRUPT || why.kind == ERR_KEY ||
	    why.kind == ERR_UNSUPPORTED)
		return 0;
	*e = why;
	return err_in(e, "tier '%s'", t->name);
}

/* A good copy from any tier but this one. Who did not answer is known to the session, too. */
static int
fetch(struct session *s, struct tier *t, const char *name, struct buf *out, struct err *e)
{
	struct tier_set others = { 0 };
	size_t n = 0;
	int rc;

	others.tier = xcalloc(s->tiers.count, sizeof(*others.tier));
	for (size_t i = 0; i < s->tiers.count; i++)
		if (&s->tiers.tier[i] != t)
			others.tier[others.count++] = s->tiers.tier[i];
	if (others.count == 0)
		rc = err_set(e, ERR_NOTFOUND, "there is no other tier to fetch '%s' from", name);
	else
		rc = tier_get(&others, NULL, name, out, judge, s, NULL, e);
	for (size_t i = 0; i < s->tiers.count; i++) {
		if (&s->tiers.tier[i] == t)
			continue;
		s->tiers.tier[i].mute = others.tier[n].mute;
		s->tiers.tier[i].why = others.tier[n++].why;
	}
	free(others.tier);
	return rc;
}

/* No tier has it. A key object that was never made can be; else e stays what it was. */
static int
make(struct session *s, struct tier *t, const char *name, struct err *e)
{
	struct store_stat st;
	struct err none = { 0 };

	if (strncmp(name, "key/", strlen("key/")) != 0 || repo_spread(s->repo, t, &none) != 1 ||
	    store_stat(t->store, name, &st, &none) != 1)
		return -1;
	err_clear(e);
	return 0;
}

static int
put_in_place(struct store *s, const char *name, const struct buf *good, struct err *e)
{
	char kept[ASIDE_NAME];
	struct err why = { 0 };
	int rc;

	if (aside_keep(s, name, kept, e) == -1)
		return -1;
	rc = store_put(s, name, good->data, good->len, STORE_REPLACE, &why);
	/* What has the name is no object, so nothing is lost with it: it makes way first. */
	if (rc == -1 && why.kind == ERR_CORRUPT)
		rc = store_del(s, name, e) == -1 ? -1 :
		    store_put(s, name, good->data, good->len, STORE_NEW, e);
	else if (rc == -1)
		*e = why;
	return rc == -1 ? -1 : 0;
}

int
mend_object(struct session *s, struct tier *t, const char *name, struct err *e)
{
	struct buf good;
	int rc = -1;

	buf_init(&good, STORE_OBJECT_MAX);
	if (fetch(s, t, name, &good, e) == -1) {
		rc = make(s, t, name, e);
		goto out;
	}
	rc = put_in_place(t->store, name, &good, e);
out:
	buf_done(&good);
	return rc;
}
