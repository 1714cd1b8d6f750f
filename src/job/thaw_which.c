/*
 * Which packs will be read: those of a manifest, or of a part of its list, or whatever is named.
 */
#include "job/thaw_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/preview.h"

#define BUNDLES "walb/"

/* Where there is an archive, a pack that is missing elsewhere may lie there, whichever it is. */
static bool
has_archive(const struct thaw *t)
{
	for (size_t i = 0; i < t->tiers; i++)
		if (t->order[i]->archive)
			return true;
	return false;
}

/*
 * A rule of a bucket may have moved what is old. Two requests tell: what was stored first, and last. A
 * pack between them that was moved is met by on_frozen.
 */
static bool
may_be_cold(struct thaw *t, size_t oldest, size_t newest)
{
	const size_t sample[] = { oldest, newest };

	if (has_archive(t))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(sample); i++) {
		struct thaw_pack *p = &t->pack[sample[i]];

		thaw_ask_one(t, p, thaw_ask_look, NULL);
		if (p->on != t->order[0] || p->is.state != STORE_READABLE)
			return true;
	}
	return false;
}

static void
forget(struct thaw *t)
{
	free(t->pack);
	free(t->own);
	t->pack = NULL;
	t->own = NULL;
	t->packs = 0;
}

static int
bring_marked(struct thaw *t, const struct manifest *m, const bool *want, struct err *e)
{
	const size_t bundles = t->log ? t->log->bundles : 0;
	size_t oldest = 0, newest = 0;
	int64_t first = INT64_MAX, last = INT64_MIN;
	bool cold;

	pthread_mutex_lock(&t->lock);
	forget(t);
	t->pack = xcalloc(m->packs + bundles + 1, sizeof(*t->pack));
	for (size_t i = 0; i < m->packs; i++) {
		const struct manifest_pack *k = &m->pack[i];

		if (!want[i])
			continue;
		memcpy(t->pack[t->packs].sha, k->sha, LAYOUT_SHA);
		t->pack[t->packs].size = k->size;
		if (k->time_ns < first) {
			first = k->time_ns;
			oldest = t->packs;
		}
		if (k->time_ns >= last) {
			last = k->time_ns;
			newest = t->packs;
		}
		t->packs++;
	}
	for (size_t i = 0; i < bundles; i++) {
		t->pack[t->packs].log = &t->log->bundle[i];
		t->pack[t->packs++].size = t->log->bundle[i].size;
	}
	pthread_mutex_unlock(&t->lock);
	cold = t->packs > bundles && may_be_cold(t, oldest, newest);
	return thaw_bring(t, cold ? 0 : t->packs - bundles, e);
}

static void
mark(const struct manifest *m, uint32_t number, bool *want)
{
	const struct manifest_pack *k = manifest_pack(m, number);

	if (k)
		want[k - m->pack] = true;
}

static int
mark_named(struct reader *r, const char *const *path, size_t paths, bool *want, struct err *e)
{
	const struct manifest *m = reader_manifest(r);
	const struct entry *en;
	int got;

	reader_rewind(r);
	while ((got = reader_next(r, &en, e)) == 1) {
		if (!preview_wants(path, paths, en->path, en->pathlen))
			continue;
		for (size_t i = 0; i < en->needs; i++)
			mark(m, en->need[i].pack, want);
	}
	reader_rewind(r);
	return got;
}

/* Of a preview: what the list of files lies in was not ordered, and cannot be looked at. */
static int
list_at_hand(struct thaw *t, const struct manifest *m, struct err *e)
{
	char name[LAYOUT_NAME];

	for (size_t i = 0; i < m->chunks && t->preview; i++) {
		const struct manifest_pack *k = manifest_pack(m, m->chunk[i].ref.pack);
		const struct thaw_pack *p = k ? thaw_find(t, layout_pack(k->sha, name)) : NULL;
		char *what;
		int rc;

		if (!p || !p->on || p->is.state == STORE_READABLE || p->is.state == STORE_THAWED)
			continue;
		what = xasprintf("the list of files of %s", m->name + strlen("snap/"));
		rc = thaw_unsaid(t, what, e);
		free(what);
		return rc;
	}
	return 0;
}

static bool
wants_part(const char *const *path, size_t paths)
{
	for (size_t i = 0; i < paths; i++)
		if (strcmp(path[i], ".") == 0)
			return false;
	return paths > 0;
}

int
thaw_snapshot(struct thaw *t, struct reader *r, const char *const *path, size_t paths, struct err *e)
{
	const struct manifest *m = reader_manifest(r);
	const bool part = wants_part(path, paths);
	bool *want = xcalloc(m->packs + 1, sizeof(*want));
	int rc = 0;

	for (size_t i = 0; i < m->packs; i++)
		want[i] = !part;
	for (size_t i = 0; i < m->chunks && part; i++)
		mark(m, m->chunk[i].ref.pack, want);
	if (!part || m->chunks > 0)
		rc = bring_marked(t, m, want, e);
	if (rc == 0)
		rc = list_at_hand(t, m, e);
	if (rc == 0 && part) {
		rc = mark_named(r, path, paths, want, e);
		if (rc == 0)
			rc = bring_marked(t, m, want, e);
	}
	free(want);
	return rc;
}

int
thaw_missing(struct thaw *t, const struct manifest *m,
    bool (*have)(void *arg, const uint8_t sha[LAYOUT_SHA]), void *arg, struct err *e)
{
	bool *want = xcalloc(m->packs + 1, sizeof(*want));
	int rc;

	for (size_t i = 0; i < m->packs; i++)
		want[i] = !have || !have(arg, m->pack[i].sha);
	rc = bring_marked(t, m, want, e);
	free(want);
	return rc;
}

/* Before bundles packs, as they are read. */
static size_t
take(struct thaw *t, const struct thaw_object *o, size_t n)
{
	size_t packs = 0, bundles = 0;

	for (size_t i = 0; i < n; i++)
		if (layout_pack_parse(o[i].name, t->pack[packs].sha) == 0)
			t->pack[packs++].size = o[i].size;
	for (size_t i = 0; i < n; i++) {
		struct thaw_pack *p = &t->pack[packs + bundles];

		if (strncmp(o[i].name, BUNDLES, strlen(BUNDLES)) != 0)
			continue;
		snprintf(t->own[bundles].name, sizeof(t->own[bundles].name), "%s", o[i].name);
		p->log = &t->own[bundles++];
		p->size = o[i].size;
	}
	return packs + bundles;
}

int
thaw_objects(struct thaw *t, const struct thaw_object *o, size_t n, struct err *e)
{
	pthread_mutex_lock(&t->lock);
	forget(t);
	t->pack = xcalloc(n + 1, sizeof(*t->pack));
	t->own = xcalloc(n + 1, sizeof(*t->own));
	t->packs = take(t, o, n);
	pthread_mutex_unlock(&t->lock);
	return has_archive(t) ? thaw_bring(t, 0, e) : 0;
}
