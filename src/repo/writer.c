/*
 * One snapshot from open to commit. What comes from the source passes through the cut and comes
 * back in order with ids; an entry's contents then decide what is stored, its line goes into the
 * list, and what it wants into the ledger. Only when every pack was read back from the store is the
 * manifest put, and it is put last and read back, too.
 *
 * Two clocks guard the commit: the store's, and the one that goes on through suspend. Garbage
 * collection counts on no run being longer than W; a host that slept for two days must not publish
 * what it began before.
 */
#include "repo/writer.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "repo/chunks.h"
#include "repo/contents.h"
#include "repo/cut.h"
#include "repo/ledger.h"
#include "repo/packer.h"
#include "repo/parent.h"
#include "repo/presence.h"
#include "repo/publish.h"
#include "repo/snapshot.h"
#include "repo/sorter.h"

/* A run that has come so near to W stops and commits what it has: W / 24 is an hour. */
#define LATE_PART 24

/*
 * What is still on its way through the cut when a source asks whether a line is full: a sixteenth,
 * some 200 KiB, is what gigabytes take.
 */
#define LINE_PART 16

/* Lines of a list in any order that wait in memory. */
#define SORT_MAX (32u << 20)

/* An entry between writer_begin and its line. */
struct pending {
	struct entry *was;  /* the parent's, copied; NULL */
	struct entry *meta; /* as it is at the end */
	uint8_t grain_log2;
	bool keep;
	bool begun; /* its contents are in hand */
	bool loads; /* by: */
	struct writer_loader loader;
};

struct writer {
	struct repo *repo;
	struct tier *tier;
	struct manifest out; /* what will be committed */
	struct reader *reader; /* of the parent; NULL: none */
	bool reuse;	       /* may its packs be named again? */
	struct parent *parent;
	struct packer *data, *maps;
	struct ledger *ledger;
	struct cut *cut;
	struct contents *contents;
	struct chunks *chunks;
	struct sorter *sorter; /* lines wait here when entries come in any order; NULL */
	struct pending *now; /* begun, not ended; the cut's */
	int64_t started_boot, longest;
	size_t line_max;
	int64_t newest_ns; /* of the names of this source that are there */
	uint64_t kept_unread;
	struct err trouble; /* why the newest manifest could not be read */
};

/* For the loader: no worker speaks to it any more. */
static void
tell_done(struct pending *p, struct entry *meta, const struct cut_loaded *got)
{
	struct writer_loaded said = {got->bytes, got->padded, got->cut_short};

	if (p->loads && p->loader.done)
		p->loader.done(p->loader.arg, meta, &said);
	p->loads = false;
}

static void
pending_free(struct pending *p)
{
	if (!p)
		return;
	tell_done(p, NULL, &(struct cut_loaded){0});
	free(p->was);
	free(p->meta);
	free(p);
}

/* The store's time now, without asking it: by the clock that never jumps. */
static int64_t
store_now(const struct writer *w)
{
	return w->out.started_ns + (clock_boot_ns() - w->started_boot);
}

/* ---- what the cut gives back ---- */

static int
take_grain(void *arg, void *entry, const struct cut_grain *g, struct err *e)
{
	struct writer *w = arg;
	struct pending *p = entry;

	if (!p->begun) {
		contents_begin(w->contents, p->grain_log2, p->was);
		p->begun = true;
	}
	return contents_grain(w->contents, g, e);
}

static void
take_over(struct entry *en, const struct entry *was)
{
	en->size = was->size;
	en->grain_log2 = was->grain_log2;
	memcpy(en->id, was->id, GRAIN_ID_LEN);
	en->single = was->single;
	en->ref = was->ref;
	en->map = was->map;
	en->maps = was->maps;
	en->need = was->need;
	en->needs = was->needs;
}

static int
fill_file(struct writer *w, struct pending *p, struct err *e)
{
	if (p->keep) {
		take_over(p->meta, p->was);
	} else {
		if (!p->begun)
			contents_begin(w->contents, p->grain_log2, p->was);
		if (contents_end(w->contents, p->meta, e) == -1)
			return -1;
	}
	if (!p->was || p->was->size != p->meta->size ||
	    memcmp(p->was->id, p->meta->id, GRAIN_ID_LEN) != 0)
		w->out.changed_files++;
	w->out.files++;
	w->out.bytes += p->meta->size;
	return 0;
}

static int
add_line(struct writer *w, const struct entry *en, struct err *e)
{
	w->out.entries++;
	for (size_t i = 0; i < en->needs; i++)
		if (ledger_want(w->ledger, en->need[i].pack, en->need[i].grains, e) == -1)
			return -1;
	return w->sorter ? sorter_add(w->sorter, en, e) : chunks_add(w->chunks, en, e);
}

static int
take_end(void *arg, void *entry, const struct cut_loaded *got, struct err *e)
{
	struct writer *w = arg;
	struct pending *p = entry;
	int rc = -1;

	if (p->meta->type == ENTRY_FILE && fill_file(w, p, e) == -1)
		goto out;
	tell_done(p, p->meta, got);
	rc = add_line(w, p->meta, e);
out:
	if (rc == -1)
		err_in(e, "'%.*s'", (int)p->meta->pathlen, p->meta->path);
	pending_free(p);
	return rc;
}

static void
drop_entry(void *arg, void *entry)
{
	(void)arg;
	pending_free(entry);
}

static uint32_t
number_pack(void *arg)
{
	struct writer *w = arg;

	return ledger_next(w->ledger);
}

static void
stored_pack(void *arg, const struct packer_pack *pack)
{
	struct writer *w = arg;

	ledger_stored(w->ledger, pack, store_now(w));
}

/* ---- opening ---- */

static char *
copy_or_null(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

/* The parent's manifest is another tier's: this one's is damaged. */
static void
note_fallback(struct writer *w)
{
	const char *text;
	unsigned asides;

	if (packs_fallbacks(reader_packs(w->reader), &asides, &text) > 0)
		err_set(&w->trouble, ERR_CORRUPT, "%s", text);
}

/* Of what the parent names; the packs themselves are stored anew, as far as they are wanted. */
static void
note_lost(struct writer *w, const struct manifest *m, const bool *there)
{
	size_t lost = 0;

	for (size_t i = 0; m && i < m->packs; i++)
		lost += !there[i];
	if (lost > 0 && w->trouble.kind == ERR_NONE)
		err_set(&w->trouble, ERR_CORRUPT, "%zu of its %zu packs are not there as they were stored",
		    lost, m->packs);
}

/*
 * The newest manifest of the source on this store, complete or partial, is what rule 1 allows to
 * reuse. When it cannot be read, a backup must still be possible: then an older one gives the
 * sequence number and nothing is reused. One that cannot be read and has a name of the future is none:
 * anybody can make it, and every backup from then on would be named for that time. It stops expiry, and
 * when it is gone the one below is the newest: so that one may be reused.
 */
static int
open_parent(struct writer *w, const struct writer_options *o, struct err *e)
{
	struct snapshot_list list = {0};
	const struct snapshot *newest;
	const struct manifest *m;
	struct err why = {0};
	size_t skipped = 0;
	int rc = -1;

	if (snapshot_list_known(w->tier->store, o->source, &list, e) == -1)
		goto out;
	while (skipped < list.count &&
	    reader_open(w->repo, w->tier, (newest = &list.item[list.count - 1 - skipped])->name, &w->reader,
		&why) == -1) {
		if (why.kind != ERR_CORRUPT && why.kind != ERR_NOTFOUND) {
			*e = why;
			goto out;
		}
		err_in(&why, "'%s'", newest->name);
		if (newest->part.time_ns > w->out.started_ns + LAYOUT_SKEW_NS)
			list.count--;
		else
			skipped++;
	}
	if (list.count > 0)
		w->newest_ns = list.item[list.count - 1].part.time_ns;
	if (skipped > 0)
		w->trouble = why;
	else if (w->reader)
		note_fallback(w);
	w->reuse = w->reader && skipped == 0 && !o->no_parent;
	w->out.sequence = 1 + skipped;
	rc = 0;
	if (!w->reader)
		goto out;
	m = reader_manifest(w->reader);
	w->out.sequence += m->sequence;
	memcpy(w->out.parent, m->name, sizeof(m->name));
	memcpy(w->out.parent_sha, m->sha, LAYOUT_SHA);
	w->out.compared_ns = m->compared_ns;
out:
	snapshot_list_done(&list);
	return rc;
}

/*
 * What may be taken over: nothing that the tier has lost, so that the next backup heals what a lost
 * pack broke.
 */
static int
make_parent(struct writer *w, const struct writer_options *o, struct err *e)
{
	const struct manifest *m = w->reuse ? reader_manifest(w->reader) : NULL;
	bool *there = xcalloc(m ? m->packs : 0, sizeof(*there));
	int rc = m ? presence_check(w->tier->store, m, there, e) : 0;

	if (rc == 0)
		note_lost(w, m, there);
	if (rc == 0)
		w->parent = parent_new(&(struct parent_options){.reader = m ? w->reader : NULL,
		    .there = there,
		    .now_ns = w->out.started_ns,
		    .horizon_ns = w->repo->horizon_ns,
		    .renew = o->read_all,
		    .any_order = o->any_order});
	free(there);
	return rc;
}

static void
make_parts(struct writer *w, const struct writer_options *o)
{
	struct packer_options p = {.keys = w->repo->keys,
	    .store = w->tier->store,
	    .pack_size = w->repo->pack_size,
	    .level = o->level,
	    .workers = o->workers,
	    .next_number = number_pack,
	    .stored = stored_pack,
	    .arg = w};
	struct contents_options c = {.key = &w->repo->keys->id};
	struct cut_target t = {.grain = take_grain, .end = take_end, .drop = drop_entry, .arg = w};

	w->ledger = ledger_new(w->reader ? reader_manifest(w->reader) : NULL);
	w->data = packer_new(&p);
	p.workers = o->workers > 0 ? 1 : 0;
	w->maps = packer_new(&p);
	c.parent = w->parent;
	c.data = w->data;
	c.maps = w->maps;
	w->contents = contents_new(&c);
	w->chunks = chunks_new(c.key, w->maps, w->parent);
	if (o->any_order)
		w->sorter = sorter_new(o->spill_dir, o->spill_above > 0 ? o->spill_above : SORT_MAX);
	w->cut = cut_new(c.key, &t, o->workers);
}

int
writer_open_snapshot(struct repo *repo, struct tier *tier, const struct writer_options *o,
    struct writer **ret, struct err *e)
{
	struct writer *w = xcalloc(1, sizeof(*w));

	w->repo = repo;
	w->tier = tier;
	w->longest = o->longest_ns > 0 ? o->longest_ns : LAYOUT_W_NS;
	w->line_max = o->line_max > 0 ? o->line_max : LIST_LINE_MAX;
	manifest_init(&w->out);
	/* The time first: whatever is read after it is at least as young. */
	w->started_boot = clock_boot_ns();
	if (store_clock(tier->store, &w->out.started_ns, e) == -1 || open_parent(w, o, e) == -1 ||
	    make_parent(w, o, e) == -1) {
		writer_free(w);
		return -1;
	}
	memcpy(w->out.source, o->source, strlen(o->source) + 1);
	/*
	 * Names have whole seconds and their order says which is newest: two runs in one second are
	 * none of one.
	 */
	if (w->out.started_ns < w->newest_ns + CLOCK_S)
		layout_snap_new(o->source, w->newest_ns + CLOCK_S, w->out.name);
	else
		layout_snap_new(o->source, w->out.started_ns, w->out.name);
	w->out.root = copy_or_null(o->root);
	w->out.host = copy_or_null(o->host);
	w->out.job = copy_or_null(o->job);
	w->out.slot = copy_or_null(o->slot);
	if (o->read_all || !w->reuse)
		w->out.compared_ns = w->out.started_ns;
	make_parts(w, o);
	*ret = w;
	return 0;
}

void
writer_free(struct writer *w)
{
	if (!w)
		return;
	chunks_free(w->chunks);
	sorter_free(w->sorter);
	contents_free(w->contents);
	packer_free(w->data);
	packer_free(w->maps);
	cut_free(w->cut); /* and the entry that was begun and not ended; nobody keeps its memory now */
	ledger_free(w->ledger);
	parent_free(w->parent);
	reader_free(w->reader);
	manifest_done(&w->out);
	free(w);
}

const struct manifest *
writer_parent(const struct writer *w)
{
	return w->reader ? reader_manifest(w->reader) : NULL;
}

const char *
writer_trouble(const struct writer *w)
{
	const struct err *lost = parent_lost(w->parent);

	return w->trouble.kind != ERR_NONE ? w->trouble.text : lost->text;
}

/* ---- entries ---- */

int
writer_begin(struct writer *w, const struct entry *meta, const struct entry **parent,
    struct err *e)
{
	const uint8_t grain_log2 = meta->grain_log2 > 0 ? meta->grain_log2 : LAYOUT_GRAIN_LOG2;
	const struct entry *was = NULL;
	int got;

	if (grain_log2 < LAYOUT_GRAIN_PAGE_LOG2 || grain_log2 > LAYOUT_GRAIN_LOG2)
		return err_set(e, ERR_BUG, "grains of 2^%u bytes, expected 8 to 128 KiB",
		    grain_log2);
	got = parent_find(w->parent, meta, &was, e);
	if (got == -1)
		return err_in(e, "looking up '%.*s' in %s", (int)meta->pathlen, meta->path,
		    w->out.parent);
	*parent = got == 1 ? was : NULL;
	w->now = xcalloc(1, sizeof(*w->now));
	w->now->grain_log2 = grain_log2;
	if (got == 1 && was->type == ENTRY_FILE)
		w->now->was = list_entry_copy(was);
	cut_begin(w->cut, w->now, grain_log2, meta->type == ENTRY_FILE ? meta->size : 0);
	return 0;
}

int
writer_keep(struct writer *w, struct err *e)
{
	const struct entry *was = w->now->was;

	if (!was)
		return err_set(e, ERR_BUG, "writer_keep: the parent has no such file");
	for (size_t i = 0; i < was->needs; i++)
		if (!parent_keepable(w->parent, was->need[i].pack))
			return 0;
	w->now->keep = true;
	w->kept_unread += was->size;
	return 1;
}

uint8_t *
writer_space(struct writer *w, size_t *room, struct err *e)
{
	return cut_space(w->cut, room, e);
}

int
writer_filled(struct writer *w, size_t n, struct err *e)
{
	return cut_filled(w->cut, n, e);
}

int
writer_hole(struct writer *w, uint64_t n, struct err *e)
{
	return cut_zeros(w->cut, n, e);
}

int
writer_load(struct writer *w, uint64_t len, const struct writer_loader *l, struct err *e)
{
	const struct cut_loader by = {.load = l->load, .arg = l->arg, .pad = l->pad};

	w->now->loader = *l;
	w->now->loads = true;
	return cut_load(w->cut, len, &by, e);
}

int
writer_end(struct writer *w, const struct entry *meta, struct err *e)
{
	w->now->meta = list_entry_copy(meta);
	w->now = NULL;
	return cut_end(w->cut, e);
}

int
writer_settle(struct writer *w, struct err *e)
{
	return cut_flush(w->cut, e);
}

bool
writer_full(const struct writer *w, size_t beside)
{
	return w->now->begun &&
	    contents_line(w->contents) + beside > w->line_max - w->line_max / LINE_PART;
}

bool
writer_late(const struct writer *w)
{
	return clock_boot_ns() - w->started_boot > w->longest - w->longest / LATE_PART;
}

void
writer_detail(struct writer *w, const char *key, const char *value)
{
	buf_addf(&w->out.detail, "detail %s ", key);
	text_escape(value, strlen(value), &w->out.detail);
	buf_addc(&w->out.detail, '\n');
}

void
writer_progress(const struct writer *w, struct writer_progress *ret)
{
	const struct contents_sums *s = contents_sums(w->contents);

	*ret = (struct writer_progress){.entries = w->out.entries,
	    .bytes_read = s->read,
	    .bytes_unread = w->kept_unread,
	    .bytes_new_raw = s->fresh,
	    .bytes_stored = packer_stored_bytes(w->data) + packer_stored_bytes(w->maps)};
}

/* ---- commit ---- */

/* Of entries that came in any order: their lines, in path order. */
static int
sort_lines(struct writer *w, struct err *e)
{
	struct sorter_line l;
	int got;

	if (sorter_end(w->sorter, !w->out.partial, e) == -1)
		return -1;
	while ((got = sorter_next(w->sorter, &l, e)) == 1)
		if (chunks_add_lines(w->chunks, &l, e) == -1)
			return -1;
	return got;
}

/* Everything that came in is in packs, and every pack was read back. */
static int
flush(struct writer *w, struct err *e)
{
	struct writer_progress sums;

	if (cut_flush(w->cut, e) == -1 || (w->sorter && sort_lines(w, e) == -1) ||
	    chunks_end(w->chunks, &w->out, e) == -1)
		return -1;
	if (packer_flush(w->data, e) == -1 || packer_flush(w->maps, e) == -1)
		return -1;
	for (size_t i = 0; i < w->out.chunks; i++)
		if (ledger_want(w->ledger, w->out.chunk[i].ref.pack, 1, e) == -1)
			return -1;
	ledger_end(w->ledger, &w->out);
	writer_progress(w, &sums);
	w->out.read_bytes = sums.bytes_read;
	w->out.stored_new = sums.bytes_stored;
	return buf_check(&w->out.detail, "details of the source", e);
}

/*
 * Neither clock may say that the run has been longer than W. One that went back was wrong when the run
 * began, and the snapshot bears that time in its name: it would be the newest until then.
 */
static int
check_age(struct writer *w, struct err *e)
{
	int64_t now, by_boot = clock_boot_ns() - w->started_boot;

	if (store_clock(w->tier->store, &now, e) == -1)
		return -1;
	w->out.finished_ns = now;
	if (now - w->out.started_ns < by_boot - LAYOUT_SKEW_NS)
		return err_set(e, ERR_REFUSED, "not committed: the clock of '%s' went back while the run "
		    "lasted, so when it began is not known\n  fix       run it again", w->tier->name);
	if (now - w->out.started_ns <= w->longest && by_boot <= w->longest)
		return 0;
	return err_set(e, ERR_REFUSED,
	    "not committed: the run took longer than the longest backup that garbage "
	    "collection reckons with, its packs may be gone\n  fix       run it again");
}

int
writer_commit(struct writer *w, bool partial, struct manifest *ret, struct err *e)
{
	manifest_init(ret);
	w->out.partial = partial;
	if (flush(w, e) == -1 || check_age(w, e) == -1 ||
	    publish_manifest(w->tier->store, &w->out, w->repo->keys, e) == -1)
		return -1;
	*ret = w->out;
	manifest_init(&w->out);
	return 0;
}
