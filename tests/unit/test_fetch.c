/* Restoring: from plans of any length, and from tiers of which one is damaged. */
#include "tests/lib/testrepo.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "filter/zip.h"
#include "repo/fetch.h"
#include "repo/packs.h"
#include "repo/plan.h"
#include "repo/reader.h"
#include "store/copy.h"
#include "tests/lib/chance.h"
#include "tests/lib/faultstore.h"
#include "tests/lib/memstore.h"
#include "tests/lib/scratch.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

#define MIB (UINT64_C(1) << 20)

static struct testrepo t;
static struct manifest m;
static struct err e;

static int
copy(size_t from, size_t to, const char *name, const uint8_t *sha, struct err *why)
{
	struct buf bytes;
	int rc;

	buf_init(&bytes, STORE_OBJECT_MAX);
	rc = copy_read(t.kit.tier[from].store, name, sha, &bytes, why) == -1 ? -1 :
	    copy_send(t.kit.tier[to].store, name, sha, &bytes, why);
	buf_done(&bytes);
	return rc;
}

static int
copy_one(void *arg, const struct store_entry *entry, struct err *why)
{
	(void)arg; /* the second tier gets everything that the first one has */
	return copy(0, 1, entry->name, NULL, why) == -1 ? -1 : 0;
}

static void
build(bool files)
{
	chance_seed(21);
	testrepo_begin(&t, 2, files);
	fileset_add(&t.set, "big", 9 * MIB + 5);
	for (char c = 'd'; c < 'p'; c++)
		fileset_add(&t.set, (char[]){c, '\0'}, chance_below(300000));
	for (unsigned i = 0; i < 4; i++) {
		manifest_done(&m);
		testrepo_snapshot(&t, 0, &m);
		fileset_write(&t.set, fileset_find(&t.set, "big"), chance_below(1000), 9, i == 2);
		if (!files)
			vclock_pass(CLOCK_S);
	}
	manifest_done(&m);
	testrepo_snapshot(&t, 0, &m);
	assert_int_equal(store_list(t.kit.tier[0].store, "pack/", NULL, copy_one, NULL, &e), 0);
	assert_int_equal(store_list(t.kit.tier[0].store, "snap/", NULL, copy_one, NULL, &e), 0);
	err_clear(&e);
}

static int
begin(void **state)
{
	(void)state;
	vclock_install(INT64_C(1700000000) * CLOCK_S);
	build(false);
	return 0;
}

static int
begin_files(void **state)
{
	(void)state;
	build(true);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	manifest_done(&m);
	testrepo_done(&t);
	vclock_remove();
	return 0;
}

static void
a_spilled_plan_restores_the_same(void **state)
{
	static const size_t bound[] = {0, 1, 500, 3000};

	(void)state;
	/* What fetch handed out is compared with the files each time. */
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(testrepo_fetch(&t, 0, m.name, &t.set, 0, bound[i], &e), 0);
}

static size_t
open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* However many files there are: beyond its bound the plan is on the disk. */
static void
a_plan_leaves_memory_at_its_bound(void **state)
{
	static const uint8_t ids[1][GRAIN_ID_LEN];
	const struct reader_run run = {.count = 1, .ids = ids};
	const size_t most = FETCH_PLAN_MAX / sizeof(struct plan_row);
	const size_t before = open_files();
	struct reader *r = NULL;
	struct fetch *f;

	(void)state;
	assert_int_equal(reader_open(t.kit.repo, &t.kit.tier[0], m.name, &r, &e), 0);
	f = fetch_new(r, scratch_dir(), 0);
	for (size_t i = 0; i < most / 2; i++)
		assert_int_equal(fetch_add(f, i, &run, 1, &e), 0);
	assert_int_equal(open_files(), before);
	for (size_t i = 0; i < most; i++)
		assert_int_equal(fetch_add(f, i, &run, 1, &e), 0);
	assert_true(open_files() > before);
	fetch_free(f);
	reader_free(r);
}

static void
several_workers_restore_the_same(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers < 5; workers++) {
		assert_int_equal(testrepo_fetch(&t, 0, m.name, &t.set, workers, 0, &e), 0);
		assert_int_equal(testrepo_fetch(&t, 0, m.name, &t.set, workers, 400, &e), 0);
	}
}

/*
 * Who holds the data key and writes to the tier, but cannot sign: the pack is sealed anew with its
 * index, and other bytes in its frames. Packs of maps are left as they are.
 */
static void
forge(size_t tier, const struct manifest_pack *mp)
{
	struct store *s = testrepo_mem(&t, tier);
	uint8_t sha[LAYOUT_SHA], *raw = xmalloc(OBJECT_RAW_MAX);
	struct buf bytes, packed;
	struct object_header h;
	struct object_builder b;
	struct object *o = NULL;
	char name[LAYOUT_NAME];

	buf_init(&bytes, STORE_OBJECT_MAX);
	buf_init(&packed, STORE_OBJECT_MAX);
	assert_int_equal(store_get(s, layout_pack(mp->sha, name), &bytes, &e), 0);
	assert_int_equal(object_header_parse(bytes.data, bytes.len, &h, &e), 0);
	assert_int_equal(object_open(&h, bytes.data + h.index_off, object_index_len(&h),
			     t.kit.repo->keys, &o, &e), 0);
	object_build(&b, OBJECT_PACK, STORE_OBJECT_MAX);
	for (size_t i = 0; i < o->index.frames; i++) {
		const struct object_frame *f = &o->index.frame[i];

		assert_int_equal(object_frame(o, i, bytes.data + f->off, raw, &e), 0);
		raw[f->rawlen / 2] ^= f->kind == FRAME_DATA;
		buf_reset(&packed);
		zip_pack(raw, f->rawlen, 1, &packed);
		object_add(&b, f->kind, packed.data, packed.len, f->rawlen,
		    &o->index.grain[f->first_grain], f->grains);
	}
	assert_int_equal(object_seal(&b, t.kit.repo->keys, NULL, sha, &e), 0);
	memstore_drop(s, name);
	assert_int_equal(store_put(s, name, b.bytes.data, b.bytes.len, STORE_NEW, &e), 1);
	object_build_done(&b);
	object_free(o);
	buf_done(&bytes);
	buf_done(&packed);
	free(raw);
}

static void
what_was_sealed_by_who_cannot_sign_is_not_restored(void **state)
{
	const struct entry *en;
	const uint8_t *bytes;
	struct reader *r = NULL;
	size_t n;

	(void)state;
	fileset_add(&t.set, "tiny", 1000);
	vclock_pass(CLOCK_S);
	manifest_done(&m);
	testrepo_snapshot(&t, 0, &m);
	assert_int_equal(store_list(t.kit.tier[0].store, "pack/", NULL, copy_one, NULL, &e), 0);
	for (size_t i = 0; i < m.packs; i++) {
		forge(0, &m.pack[i]);
		forge(1, &m.pack[i]);
	}
	err_clear(&e);
	assert_int_equal(testrepo_fetch(&t, 0, m.name, &t.set, 0, 0, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	/* Nor given to an export. */
	err_clear(&e);
	assert_int_equal(reader_open(t.kit.repo, &t.kit.tier[0], m.name, &r, &e), 0);
	assert_int_equal(reader_find(r, "tiny", 4, &en, &e), 1);
	assert_true(en->single);
	assert_int_equal(reader_grain(r, en->ref, en->id, &bytes, &n, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	reader_free(r);
}

enum damage { FLIP, HEAD, TAIL, CUT, EMPTY, GONE, SWAP, DAMAGES };

static void
damage(size_t tier, const struct manifest_pack *p, const struct manifest_pack *other,
       enum damage how)
{
	struct store *s = testrepo_mem(&t, tier);
	char name[LAYOUT_NAME], from[LAYOUT_NAME];
	uint8_t *bytes;
	size_t n;

	bytes = memstore_bytes(s, layout_pack(p->sha, name), &n);
	assert_non_null(bytes);
	switch (how) {
	case FLIP:
		bytes[80 + chance_below(n - 80)] ^= 4;
		break;
	case HEAD:
		bytes[chance_below(80)] ^= 1;
		break;
	case TAIL:
		bytes[n - 1] ^= 1;
		break;
	case CUT:
		memstore_cut(s, name, chance_below(n));
		break;
	case EMPTY:
		memstore_cut(s, name, 0);
		break;
	case GONE:
		memstore_drop(s, name);
		break;
	case SWAP: { /* a good pack under another one's name */
		struct buf good;

		buf_init(&good, STORE_OBJECT_MAX);
		assert_int_equal(store_get(s, layout_pack(other->sha, from), &good, &e), 0);
		assert_int_equal(store_put(s, name, good.data, good.len, STORE_REPLACE, &e), 1);
		buf_done(&good);
		break;
	}
	case DAMAGES:
		break;
	}
}

static void
a_damaged_copy_is_replaced_from_another_tier(void **state)
{
	(void)state;
	for (enum damage how = 0; how < DAMAGES; how++) {
		for (size_t i = 0; i < m.packs; i++) {
			char name[LAYOUT_NAME];

			damage(0, &m.pack[i], &m.pack[(i + 1) % m.packs], how);
			if (testrepo_fetch(&t, 0, m.name, &t.set, 0, 0, &e) == -1)
				fail_msg("damage %d of pack %zu: %s", how, i, e.text);
			/* Healed for the next one. */
			memstore_drop(testrepo_mem(&t, 0), layout_pack(m.pack[i].sha, name));
			assert_int_equal(copy(1, 0, name, m.pack[i].sha, &e), 1);
		}
	}
}

static void
damage_of_both_copies_names_the_pack(void **state)
{
	char name[LAYOUT_NAME];

	(void)state;
	for (size_t i = 0; i < m.packs; i++) {
		const struct manifest_pack *p = &m.pack[i];
		size_t n;

		layout_pack(p->sha, name);
		for (size_t tier = 0; tier < 2; tier++) {
			uint8_t *bytes = memstore_bytes(testrepo_mem(&t, tier), name, &n);
			for (size_t k = 80; k < n; k += 50)
				bytes[k] ^= 1;
		}
		assert_int_equal(testrepo_fetch(&t, 0, m.name, &t.set, 0, 0, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		assert_non_null(strstr(e.text, name));
		for (size_t tier = 0; tier < 2; tier++) {
			uint8_t *bytes = memstore_bytes(testrepo_mem(&t, tier), name, &n);
			for (size_t k = 80; k < n; k += 50)
				bytes[k] ^= 1;
		}
	}
	assert_int_equal(testrepo_fetch(&t, 0, m.name, &t.set, 0, 0, &e), 0);
}

static void
a_pack_that_no_tier_has_is_a_damage_that_names_them(void **state)
{
	char name[LAYOUT_NAME];

	(void)state;
	for (size_t tier = 0; tier < 2; tier++)
		memstore_drop(testrepo_mem(&t, tier), layout_pack(m.pack[0].sha, name));
	assert_int_equal(testrepo_fetch(&t, 0, m.name, &t.set, 0, 0, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_non_null(strstr(e.text, name));
	assert_non_null(strstr(e.text, "is on none of "));
}

static void
a_tier_that_is_away_is_replaced_by_another(void **state)
{
	(void)state;
	memstore_away(testrepo_mem(&t, 0), true);
	assert_int_equal(testrepo_fetch(&t, 0, m.name, &t.set, 0, 0, &e), 0);
	memstore_away(testrepo_mem(&t, 1), true);
	assert_int_equal(testrepo_fetch(&t, 0, m.name, &t.set, 0, 0, &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
}

static void
silence_of_a_moment_needs_no_other_tier(void **state)
{
	char name[LAYOUT_NAME];

	(void)state;
	for (size_t i = 0; i < m.packs; i++)
		memstore_drop(testrepo_mem(&t, 1), layout_pack(m.pack[i].sha, name));
	for (unsigned at = 1; at < 40; at++) {
		faultstore_arm(t.fault[0],
			       &(struct fault){.kind = FAULT_REMOTE, .at = at, .times = 2});
		assert_int_equal(testrepo_fetch(&t, 0, m.name, &t.set, 0, 0, &e), 0);
	}
}

/* Also where it falls silent, or shuts, when the index was had from there. */
static void
what_one_tier_does_not_tell_is_not_said_to_be_on_none(void **state)
{
	char name[LAYOUT_NAME];
	unsigned at = 0;

	(void)state;
	memstore_drop(testrepo_mem(&t, 0), layout_pack(m.pack[0].sha, name));
	do {
		err_clear(&e);
		faultstore_arm(t.fault[1],
		    &(struct fault){ .kind = FAULT_REMOTE, .at = ++at, .times = 1000 });
	} while (testrepo_fetch(&t, 0, m.name, &t.set, 0, 0, &e) == -1 && e.kind == ERR_REMOTE);
	assert_int_equal(e.kind, ERR_NONE);
	assert_true(at > 3);
}

/* ---- the target ---- */

static int
refuse(void *arg, uint64_t file, const struct fetch_piece *piece, size_t pieces, struct err *why)
{
	unsigned *left = arg;

	(void)file;
	(void)piece;
	if (*left < pieces)
		return err_set(why, ERR_FULL, "no space on the target");
	*left -= (unsigned)pieces;
	return 0;
}

static int
add_run(void *arg, const struct reader_run *run, struct err *why)
{
	return fetch_add(arg, 0, run, 0, why);
}

static void
a_target_that_refuses_ends_the_restore_with_its_reason(void **state)
{
	(void)state;
	for (unsigned at = 0; at < 28; at += 3) {
		unsigned left = at;
		struct fetch_target target = {.write = refuse, .arg = &left};
		struct reader *r = NULL;
		const struct entry *en;
		struct fetch *f;

		assert_int_equal(reader_open(t.kit.repo, NULL, m.name, &r, &e), 0);
		f = fetch_new(r, scratch_dir(), 0);
		while (reader_next(r, &en, &e) == 1)
			if (en->type == ENTRY_FILE)
				assert_int_equal(reader_runs(r, en, add_run, f, &e), 0);
		assert_int_equal(fetch_run(f, &target, &e), -1);
		assert_int_equal(e.kind, ERR_FULL);
		assert_non_null(strstr(e.text, "no space on the target"));
		fetch_free(f);
		reader_free(r);
	}
}

struct hands {
	const struct fileset *set;
	uint64_t bytes, wrong, lost;
	size_t most, askew;
};

static int
weigh(void *arg, uint64_t file, const struct fetch_piece *piece, size_t pieces, struct err *why)
{
	struct hands *h = arg;

	(void)why;
	for (size_t i = 0; i < pieces; i++) {
		const struct fetch_piece *p = &piece[i];

		h->wrong += !fileset_equal(&h->set->file[file], p->off, p->data, p->n);
		h->bytes += p->n;
		h->most = p->n > h->most ? p->n : h->most;
		h->askew += p->n >= 128u << 10 && p->off % FETCH_ALIGN == 0 &&
		    (uintptr_t)p->data % FETCH_ALIGN != 0;
	}
	return 0;
}

static void
count_lost(void *arg, uint64_t file, const struct err *why)
{
	struct hands *h = arg;

	(void)file;
	assert_int_equal(why->kind, ERR_CORRUPT);
	h->lost++;
}

struct adding {
	struct fetch *fetch;
	const struct entry *en;
	uint64_t file;
};

static int
add_sized(void *arg, const struct reader_run *run, struct err *why)
{
	const struct adding *a = arg;
	uint64_t n = (uint64_t)run->count << a->en->grain_log2;

	if (n > a->en->size - run->offset)
		n = a->en->size - run->offset;
	return fetch_add(a->fetch, a->file, run, n, why);
}

/* How many bytes were wanted. */
static uint64_t
fetch_into(struct hands *h, unsigned workers)
{
	const struct fetch_target target = {.write = weigh, .lost = count_lost, .arg = h};
	struct adding a = {.file = 0};
	struct reader *r = NULL;
	uint64_t wanted;

	*h = (struct hands){.set = &t.set};
	assert_int_equal(reader_open(t.kit.repo, NULL, m.name, &r, &e), 0);
	a.fetch = fetch_new(r, scratch_dir(), workers);
	while (reader_next(r, &a.en, &e) == 1)
		if (a.en->type == ENTRY_FILE) {
			assert_int_equal(reader_runs(r, a.en, add_sized, &a, &e), 0);
			a.file++;
		}
	assert_int_equal(fetch_run(a.fetch, &target, &e), 0);
	wanted = fetch_wanted(a.fetch);
	fetch_free(a.fetch);
	reader_free(r);
	return wanted;
}

static void
neighbours_come_in_one_piece_that_begins_on_a_page(void **state)
{
	struct hands h;
	uint64_t wanted;

	(void)state;
	wanted = fetch_into(&h, 0);
	assert_int_equal(h.bytes, wanted);
	assert_int_equal(h.wrong, 0);
	assert_int_equal(h.askew, 0);
	assert_true(h.most >= 512u << 10);
}

/* A frame in the middle of a batch: its neighbours on both sides must arrive. */
static void
what_opens_nowhere_is_all_that_is_lacking(void **state)
{
	struct hands h;
	uint64_t wanted;

	(void)state;
	for (size_t i = 0; i < m.packs; i++) {
		char name[LAYOUT_NAME];
		const size_t at = 80 + chance_below(5000);
		uint8_t *bytes;
		size_t n;

		for (size_t tier = 0; tier < 2; tier++) {
			bytes = memstore_bytes(testrepo_mem(&t, tier),
			    layout_pack(m.pack[i].sha, name), &n);
			if (at < n / 2)
				bytes[at] ^= 1;
		}
		/* A map or the list is not what this is about. */
		if (at >= n / 2 || testrepo_fetch(&t, 0, m.name, &t.set, 0, 0, &e) == 0 ||
		    !strstr(e.text, "frame at"))
			continue;
		wanted = fetch_into(&h, 0);
		assert_true(h.lost > 0);
		assert_int_equal(h.wrong, 0);
		assert_true(h.bytes < wanted);
		assert_true(wanted - h.bytes <= 128u << 10);
		return;
	}
	fail_msg("no pack of data was damaged");
}

static void
a_plan_of_nothing_is_done_at_once(void **state)
{
	struct fetch_target target = {0};
	struct reader *r = NULL;
	struct fetch *f;

	(void)state;
	assert_int_equal(reader_open(t.kit.repo, NULL, m.name, &r, &e), 0);
	f = fetch_new(r, "/nonexistent/at/all", 2);
	assert_int_equal(fetch_run(f, &target, &e), 0);
	fetch_free(f);
	/* One that cannot be spilled says where. */
	f = fetch_new(r, "/nonexistent/at/all", 0);
	fetch_bound(f, 1);
	assert_int_equal(fetch_add(f, 0,
				   &(struct reader_run){
				       .count = 1, .ids = (const uint8_t(*)[GRAIN_ID_LEN])m.sha},
				   1, &e),
			 0);
	assert_int_equal(fetch_add(f, 0,
				   &(struct reader_run){
				       .count = 1, .ids = (const uint8_t(*)[GRAIN_ID_LEN])m.sha},
				   1, &e),
			 -1);
	assert_non_null(strstr(e.text, "/nonexistent/at/all"));
	fetch_free(f);
	reader_free(r);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
#define T_FILES(f) cmocka_unit_test_setup_teardown(f, begin_files, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_spilled_plan_restores_the_same),
	    T(a_plan_leaves_memory_at_its_bound),
	    T(what_was_sealed_by_who_cannot_sign_is_not_restored),
	    T_FILES(several_workers_restore_the_same),
	    T(neighbours_come_in_one_piece_that_begins_on_a_page),
	    T(what_opens_nowhere_is_all_that_is_lacking),
	    T(a_damaged_copy_is_replaced_from_another_tier),
	    T(damage_of_both_copies_names_the_pack),
	    T(a_pack_that_no_tier_has_is_a_damage_that_names_them),
	    T(a_tier_that_is_away_is_replaced_by_another),
	    T(silence_of_a_moment_needs_no_other_tier),
	    T(what_one_tier_does_not_tell_is_not_said_to_be_on_none),
	    T(a_target_that_refuses_ends_the_restore_with_its_reason),
	    T(a_plan_of_nothing_is_done_at_once),
	};

	return cmocka_run_group_tests_name("fetch", tests, NULL, NULL);
}
