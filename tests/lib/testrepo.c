#include "tests/lib/testrepo.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/fetch.h"
#include "repo/packs.h"
#include "repo/reader.h"
#include "tests/lib/chance.h"
#include "tests/lib/faultstore.h"
#include "tests/lib/memstore.h"
#include "tests/lib/scratch.h"
#include "tests/lib/vector.h"

#define SOURCE "vol.test"

static void
must(int rc, const struct err *e)
{
	if (rc == -1)
		fail_msg("%s: %s", err_word(e->kind), e->text);
}

/* ---- making ---- */

static struct store *
store_in_files(struct tier *tier)
{
	struct store *s = NULL;
	struct err e = {0};

	tier->options.url = scratch_path("file://", "%s", scratch_dir());
	must(store_open(&tier->options, &s, &e), &e);
	return s;
}

void
testrepo_begin(struct testrepo *t, size_t tiers, bool files)
{
	struct err e = {0};
	unsigned made;

	*t = (struct testrepo){.options = {.source = SOURCE, .root = "/srv/test", .level = 1},
			       .holes = true};
	repokit_begin(&t->kit, tiers);
	for (size_t i = 0; i < tiers; i++) {
		struct tier *tier = &t->kit.tier[i];

		if (files) {
			store_close(tier->store);
			tier->store = store_in_files(tier);
		}
		tier->store = t->fault[i] = faultstore_new(tier->store);
	}
	must(repo_init(&t->kit.tiers, repokit_options(&t->kit), &made, &t->kit.repo, &e), &e);
	fileset_add(&t->set, "a", 300000);
}

void
testrepo_done(struct testrepo *t)
{
	for (size_t i = 0; i < t->kit.tiers.count; i++)
		if (strncmp(t->kit.tier[i].options.url, "file://", 7) == 0)
			free((char *)(uintptr_t)t->kit.tier[i].options.url);
	repokit_done(&t->kit);
	fileset_done(&t->set);
	free(t->number);
}

struct store *
testrepo_mem(struct testrepo *t, size_t tier)
{
	return faultstore_inner(t->fault[tier]);
}

/* ---- writing ---- */

static int
write_data(struct writer *w, const struct fileset_file *f, uint64_t off, uint64_t end,
	   struct err *e)
{
	while (off < end) {
		size_t room;
		uint8_t *p = writer_space(w, &room, e);

		if (!p)
			return -1;
		assert_true(room > 0);
		if (room > end - off)
			room = (size_t)(end - off);
		if (chance_one_in(8))
			room = 1 + chance_below(room);
		fileset_bytes(f, off, p, room);
		if (writer_filled(w, room, e) == -1)
			return -1;
		off += room;
	}
	return 0;
}

static int
write_contents(const struct testrepo *t, struct writer *w, const struct fileset_file *f,
	       struct err *e)
{
	size_t cells = fileset_cells(f), next;

	for (size_t i = 0; i < cells; i = next) {
		bool zero = f->cell[i] == 0 && t->holes;
		uint64_t off = i * FILESET_CELL, end;

		for (next = i + 1; next < cells && (f->cell[next] == 0 && t->holes) == zero; next++)
			continue;
		end = next == cells ? f->size : next * FILESET_CELL;
		if ((zero ? writer_hole(w, end - off, e) : write_data(w, f, off, end, e)) == -1)
			return -1;
	}
	return 0;
}

static int
write_file(const struct testrepo *t, struct writer *w, const struct fileset_file *f, struct err *e)
{
	struct entry meta = {.type = ENTRY_FILE,
			     .path = f->path,
			     .pathlen = strlen(f->path),
			     .mode = 0644,
			     .ino = f->ino,
			     .dev = 1,
			     .size = f->size};
	const struct entry *was;
	int got = 0;

	if (writer_begin(w, &meta, &was, e) == -1)
		return -1;
	if (t->keep && was && !f->changed && was->ino == f->ino)
		got = writer_keep(w, e);
	if (got == -1 || (got == 0 && write_contents(t, w, f, e) == -1))
		return -1;
	return writer_end(w, &meta, e);
}

static int
write_all(const struct testrepo *t, struct writer *w, struct err *e)
{
	const struct entry root = {.type = ENTRY_DIR, .path = ".", .pathlen = 1, .mode = 0755};
	const struct entry *was;

	if (writer_begin(w, &root, &was, e) == -1 || writer_end(w, &root, e) == -1)
		return -1;
	for (size_t i = 0; i < t->set.count; i++) {
		if (t->stop_at > 0 && i == t->stop_at)
			break;
		if (write_file(t, w, &t->set.file[i], e) == -1)
			return -1;
	}
	return 0;
}

int
testrepo_write(struct testrepo *t, size_t tier, struct manifest *ret, struct err *e)
{
	struct writer *w = NULL;
	int rc;

	manifest_init(ret);
	if (writer_open_snapshot(t->kit.repo, &t->kit.tier[tier], &t->options, &w, e) == -1)
		return -1;
	writer_detail(w, "kind", "a test");
	rc = write_all(t, w, e);
	if (rc == 0)
		rc = writer_commit(w, t->partial, ret, e);
	t->troubled = *writer_trouble(w) != '\0';
	writer_free(w);
	return rc;
}

void
testrepo_snapshot(struct testrepo *t, size_t tier, struct manifest *ret)
{
	struct err e = {0};

	must(testrepo_write(t, tier, ret, &e), &e);
	testrepo_check(t, tier, ret->name, t->partial ? NULL : &t->set, t->options.workers);
	fileset_settle(&t->set);
}

/* ---- judging: counts ---- */

/* What an entry wants, by its maps; sums by pack number. */
struct counts {
	uint32_t *by_number;
	size_t numbers;
};

static void
count(struct counts *c, uint32_t number, uint32_t n)
{
	assert_true(number < c->numbers);
	c->by_number[number] += n;
}

static void
count_entry(struct reader *r, const struct entry *en, struct counts *c)
{
	struct err e = {0};
	struct map m;

	map_init(&m);
	if (en->single)
		count(c, en->ref.pack, 1);
	for (size_t i = 0; i < en->maps; i++) {
		if (en->map[i].ref.pack == LIST_NO_PACK)
			continue;
		must(reader_map(r, en, i, &m, &e), &e);
		for (size_t l = 0; l < m.links; l++)
			count(c, m.link[l].pack, 1);
		for (uint32_t g = 0; g < m.grains; g++)
			if (m.place[g].pack != MAP_ZERO)
				count(c, m.pack[m.place[g].pack], 1);
	}
	map_done(&m);
}

/* The entry's own needs, and all of them added to the sum. */
static void
check_needs(struct reader *r, const struct entry *en, struct counts *sum)
{
	struct counts mine = {xcalloc(sum->numbers, sizeof(*mine.by_number)), sum->numbers};
	size_t wants = 0;

	count_entry(r, en, &mine);
	for (size_t i = 0; i < mine.numbers; i++) {
		wants += mine.by_number[i] > 0;
		sum->by_number[i] += mine.by_number[i];
	}
	assert_int_equal(en->needs, wants);
	for (size_t i = 0; i < en->needs; i++)
		assert_int_equal(en->need[i].grains, mine.by_number[en->need[i].pack]);
	free(mine.by_number);
}

static void
check_pack(struct testrepo *t, size_t tier, struct reader *r, const struct manifest_pack *p)
{
	const struct manifest *m = reader_manifest(r);
	const struct object *o;
	char name[LAYOUT_NAME];
	struct store_stat st;
	struct err e = {0};

	assert_int_equal(store_stat(t->kit.tier[tier].store, layout_pack(p->sha, name), &st, &e),
			 1);
	assert_int_equal(st.size, p->size);
	must(packs_open(reader_packs(r), p->sha, &o, &e), &e);
	assert_int_equal(o->index.grains, p->grains);
	assert_memory_equal(o->header.epoch, p->epoch, LAYOUT_EPOCH);
	assert_true(p->wanted > 0);
	/* Never older than the horizon when it was named. */
	assert_true(m->started_ns - p->time_ns < t->kit.repo->horizon_ns);
}

/* A number stands for one pack for ever. */
static void
check_numbers(struct testrepo *t, const struct manifest *m)
{
	static const uint8_t none[LAYOUT_SHA];

	if (t->numbers < m->next_pack) {
		t->number = xreallocarray(t->number, m->next_pack, LAYOUT_SHA);
		memset(t->number + t->numbers, 0, (m->next_pack - t->numbers) * LAYOUT_SHA);
		t->numbers = m->next_pack;
	}
	for (size_t i = 0; i < m->packs; i++) {
		uint8_t *known = t->number[m->pack[i].number];

		if (memcmp(known, none, LAYOUT_SHA) == 0)
			memcpy(known, m->pack[i].sha, LAYOUT_SHA);
		assert_memory_equal(known, m->pack[i].sha, LAYOUT_SHA);
	}
}

static void
check_counts(struct testrepo *t, size_t tier, struct reader *r)
{
	const struct manifest *m = reader_manifest(r);
	struct counts sum = {xcalloc(m->next_pack + 1, sizeof(*sum.by_number)), m->next_pack};
	uint64_t entries = 0, files = 0, bytes = 0;
	const struct entry *en;
	char last[40] = "";
	struct err e = {0};
	int got;

	reader_rewind(r);
	while ((got = reader_next(r, &en, &e)) == 1) {
		assert_true(entries == 0 ||
			    list_path_order(last, strlen(last), en->path, en->pathlen) < 0);
		memcpy(last, en->path, en->pathlen + 1);
		entries++;
		files += en->type == ENTRY_FILE;
		bytes += en->size;
		check_needs(r, en, &sum);
	}
	must(got, &e);
	assert_int_equal(entries, m->entries);
	assert_int_equal(files, m->files);
	assert_int_equal(bytes, m->bytes);
	for (size_t i = 0; i < m->chunks; i++)
		count(&sum, m->chunk[i].ref.pack, 1);
	for (size_t i = 0; i < m->packs; i++) {
		check_pack(t, tier, r, &m->pack[i]);
		assert_int_equal(m->pack[i].wanted, sum.by_number[m->pack[i].number]);
		sum.by_number[m->pack[i].number] = 0;
	}
	for (size_t i = 0; i < sum.numbers; i++)
		assert_int_equal(sum.by_number[i], 0);
	check_numbers(t, m);
	free(sum.by_number);
}

/* ---- judging: bytes ---- */

struct reading {
	struct reader *reader;
	const struct fileset_file *file;
	struct fetch *fetch;
	uint64_t index, covered;
	uint64_t nonzero;    /* of all files so far */
	unsigned grain_log2; /* of this one */
};

static int
read_run(void *arg, const struct reader_run *run, struct err *e)
{
	struct reading *x = arg;
	uint64_t off = run->offset;

	for (uint32_t i = 0; i < run->count; i++) {
		struct entry_ref ref = {run->pack, run->frame, (uint16_t)(run->first + i)};
		const uint8_t *bytes;
		size_t n;

		if (reader_grain(x->reader, ref, run->ids[i], &bytes, &n, e) == -1)
			return -1;
		assert_true(fileset_equal(x->file, off, bytes, n));
		x->covered += n;
		off += n;
	}
	return 0;
}

static int
add_run(void *arg, const struct reader_run *run, struct err *e)
{
	struct reading *x = arg;
	uint64_t n = (uint64_t)run->count << x->grain_log2;

	if (n > x->file->size - run->offset)
		n = x->file->size - run->offset;
	return fetch_add(x->fetch, x->index, run, n, e);
}

/* Calls fn for the runs of each file, which must be those of the set, in order. */
static int
each_file(struct reading *x, const struct fileset *set, reader_run_fn *fn, struct err *e)
{
	const struct entry *en;
	size_t i = 0;
	int got;

	reader_rewind(x->reader);
	while ((got = reader_next(x->reader, &en, e)) == 1) {
		if (en->type != ENTRY_FILE)
			continue;
		assert_true(i < set->count);
		x->file = &set->file[i];
		x->index = i++;
		x->covered = 0;
		x->grain_log2 = en->grain_log2;
		x->nonzero += fileset_nonzero(x->file, en->grain_log2);
		assert_string_equal(en->path, x->file->path);
		assert_int_equal(en->size, x->file->size);
		assert_int_equal(en->ino, x->file->ino);
		if (reader_runs(x->reader, en, fn, x, e) == -1)
			return -1;
		if (fn == read_run)
			assert_int_equal(x->covered, fileset_nonzero(x->file, en->grain_log2));
	}
	if (got == 0)
		assert_int_equal(i, set->count);
	return got;
}

struct landing {
	const struct fileset *set;
	_Atomic uint64_t covered, wrong;
};

static int
land(void *arg, uint64_t file, const struct fetch_piece *piece, size_t pieces, struct err *e)
{
	struct landing *l = arg;

	(void)e;
	for (size_t i = 0; i < pieces; i++) {
		if (file >= l->set->count ||
		    !fileset_equal(&l->set->file[file], piece[i].off, piece[i].data, piece[i].n))
			l->wrong++;
		l->covered += piece[i].n;
	}
	return 0;
}

int
testrepo_fetch(struct testrepo *t, size_t tier, const char *snap, const struct fileset *set,
	       unsigned workers, size_t bound, struct err *e)
{
	struct landing l = {.set = set};
	struct fetch_target target = {.write = land, .arg = &l};
	struct reading x = {0};
	int rc = -1;

	if (reader_open(t->kit.repo, &t->kit.tier[tier], snap, &x.reader, e) == -1)
		return -1;
	x.fetch = fetch_new(x.reader, scratch_dir(), workers);
	if (bound > 0)
		fetch_bound(x.fetch, bound);
	if (each_file(&x, set, add_run, e) == 0 && fetch_run(x.fetch, &target, e) == 0)
		rc = 0;
	assert_int_equal(l.wrong, 0);
	if (rc == 0) {
		assert_int_equal(l.covered, x.nonzero);
		assert_int_equal(fetch_wanted(x.fetch), x.nonzero);
	}
	fetch_free(x.fetch);
	reader_free(x.reader);
	return rc;
}

void
testrepo_check(struct testrepo *t, size_t tier, const char *snap, const struct fileset *set,
	       unsigned workers)
{
	struct reading x = {0};
	struct err e = {0};

	must(reader_open(t->kit.repo, &t->kit.tier[tier], snap, &x.reader, &e), &e);
	check_counts(t, tier, x.reader);
	if (set) {
		must(each_file(&x, set, read_run, &e), &e);
		must(testrepo_fetch(t, tier, snap, set, workers, 0, &e), &e);
	}
	reader_free(x.reader);
}
