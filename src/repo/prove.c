/*
 * Packs can all be sound and a snapshot still be wrong: a map may point at another file's grain.
 * What ties them together is the id, which stands in the map and, beside the bytes it was made of,
 * in the pack. Comparing the two needs no contents, so it costs what the lists, maps and indexes
 * weigh.
 *
 * Reading goes through a set of tiers with only this one in it: help from others would hide what is
 * missing.
 */
#include "repo/prove.h"

#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "filter/digest.h"
#include "repo/packs.h"
#include "repo/reader.h"

struct proving {
	struct reader *reader;
	const struct keyring *keys;
	const struct prove_options *o;
	const struct entry *en;
	bool stored; /* the file has a run: so it is not all zero */
};

/* Of the grains from g on: each as long as its place in the file asks for. */
static int
check_lengths(const struct proving *p, const struct reader_run *run, const struct object_grain *g,
    struct err *e)
{
	const uint64_t grain = UINT64_C(1) << p->en->grain_log2, size = p->en->size;
	uint64_t at = run->offset, want;

	for (uint32_t i = 0; i < run->count; i++, at += grain) {
		if (at >= size)
			return err_set(e, ERR_CORRUPT, "its map goes beyond its size");
		want = size - at < grain ? size - at : grain;
		if (g[i].len != want)
			return err_set(e, ERR_CORRUPT, "%u bytes lie at %llu, where its size asks for "
			    "%llu", g[i].len, (unsigned long long)at, (unsigned long long)want);
	}
	return 0;
}

static int
check_run(void *arg, const struct reader_run *run, struct err *e)
{
	struct proving *p = arg;
	const struct manifest_pack *mp = manifest_pack(reader_manifest(p->reader), run->pack);
	const struct object_frame *f;
	const struct object *o;

	if (mp == NULL)
		return err_set(e, ERR_CORRUPT, "pack %u is not in the manifest", run->pack);
	if (packs_open(reader_packs(p->reader), mp->sha, &o, e) == -1)
		return -1;
	if (run->frame >= o->index.frames)
		return err_set(e, ERR_CORRUPT, "frame %u of pack %u does not exist", run->frame,
		    run->pack);
	f = &o->index.frame[run->frame];
	if (run->first > f->grains || run->count > (uint32_t)(f->grains - run->first))
		return err_set(e, ERR_CORRUPT, "frame %u of pack %u has %u grains, expected %u more "
		    "from %u on", run->frame, run->pack, f->grains, run->count, run->first);
	for (uint32_t i = 0; i < run->count; i++)
		if (!digest_equal(run->ids[i], o->index.grain[f->first_grain + run->first + i].id,
		    GRAIN_ID_LEN))
			return err_set(e, ERR_CORRUPT, "grain %u of frame %u of pack %u has another id",
			    run->first + i, run->frame, run->pack);
	p->stored = true;
	return check_lengths(p, run, &o->index.grain[f->first_grain + run->first], e);
}

/* The id of a file of several maps is made of their digests, which reader_map() has checked. */
static int
check_file_id(struct proving *p, const struct entry *en, struct err *e)
{
	static const uint8_t zero[GRAIN_ID_LEN];
	uint8_t id[GRAIN_ID_LEN];
	struct buf all;

	if (en->maps == 0)
		return 0;
	buf_init(&all, en->maps * GRAIN_ID_LEN);
	for (size_t i = 0; i < en->maps; i++)
		buf_add(&all, en->map[i].digest, GRAIN_ID_LEN);
	digest_id(&p->keys->id, all.data, all.len, id);
	buf_done(&all);
	if (digest_equal(id, en->id, GRAIN_ID_LEN) ||
	    (!p->stored && memcmp(en->id, zero, GRAIN_ID_LEN) == 0))
		return 0;
	return err_set(e, ERR_CORRUPT, "its maps make another id");
}

static int
check_entry(struct proving *p, const struct entry *en, struct err *e)
{
	struct buf path;

	if (p->o->entry != NULL && p->o->entry(p->o->arg, en, e) == -1)
		return -1; /* which names it: it may be no path at all */
	p->stored = false;
	p->en = en;
	if (en->type != ENTRY_FILE ||
	    (reader_runs(p->reader, en, check_run, p, e) == 0 && check_file_id(p, en, e) == 0))
		return 0;
	buf_init(&path, 4 * en->pathlen + 1);
	text_escape(en->path, en->pathlen, &path);
	err_in(e, "'%s'", buf_str(&path));
	buf_done(&path);
	return -1;
}

int
prove_contents(const struct repo *r, struct tier *t, const char *snap,
    const struct prove_options *o, struct err *e)
{
	struct tier_set only = { .tier = t, .count = 1 };
	struct repo one = *r;
	struct proving p = { .keys = r->keys, .o = o };
	const struct entry *en;
	int rc;

	one.tiers = &only;
	if (reader_open(&one, t, snap, &p.reader, e) == -1)
		return -1;
	while ((rc = reader_next(p.reader, &en, e)) == 1) {
		if (o->interrupted != NULL && o->interrupted(o->arg)) {
			rc = err_set(e, ERR_CANCELLED, "interrupted");
			break;
		}
		if (check_entry(&p, en, e) == -1) {
			rc = -1;
			break;
		}
	}
	reader_free(p.reader);
	return rc;
}
