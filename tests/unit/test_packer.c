#include "tests/lib/vector.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "filter/seal.h"
#include "filter/zip.h"
#include "repo/object.h"
#include "repo/packer.h"
#include "repo/proof.h"
#include "tests/lib/chance.h"
#include "tests/lib/faultstore.h"
#include "tests/lib/memstore.h"
#include "tests/lib/repokit.h"
#include "tests/lib/vclock.h"

#define PACK_SIZE (512u << 10)
#define MOST 20000

static struct keyring *keys;
static struct store *store, *mem;
static struct packer *packer;
static struct packer_pack done[200];
static size_t begun, stored;
static struct err e;

/* ---- memory that loses a bit ---- */

enum where { NOWHERE, BEFORE_ZIP, AFTER_ZIP, BEFORE_SEAL, AFTER_SEAL };
static enum where flip_where;
static unsigned flip_call; /* in which call of them, from 0 */
static size_t flip_at;	   /* at which byte, modulo how many there are */

void __real_zip_pack(const void *raw, size_t n, int level, struct buf *out);
void __wrap_zip_pack(const void *raw, size_t n, int level, struct buf *out);
void __real_seal_frame(struct seal *s, uint64_t offset, const void *aad, size_t aadlen, uint8_t *p,
    size_t n);
void __wrap_seal_frame(struct seal *s, uint64_t offset, const void *aad, size_t aadlen, uint8_t *p,
    size_t n);

static bool
flips(enum where where)
{
	if (flip_where != where || flip_call-- > 0)
		return false;
	flip_where = NOWHERE;
	return true;
}

void
__wrap_zip_pack(const void *raw, size_t n, int level, struct buf *out)
{
	size_t start = out->len;

	if (flips(BEFORE_ZIP))
		((uint8_t *)(uintptr_t)raw)[flip_at % n] ^= 4;
	__real_zip_pack(raw, n, level, out);
	if (flips(AFTER_ZIP))
		out->data[start + flip_at % (out->len - start)] ^= 4;
}

void
__wrap_seal_frame(struct seal *s, uint64_t offset, const void *aad, size_t aadlen, uint8_t *p,
    size_t n)
{
	if (flips(BEFORE_SEAL))
		p[flip_at % n] ^= 4;
	__real_seal_frame(s, offset, aad, aadlen, p, n);
	if (flips(AFTER_SEAL))
		p[flip_at % (n + SEAL_TAG)] ^= 4;
}

/* A grain that was placed. */
static struct {
	struct entry_ref ref;
	uint8_t id[GRAIN_ID_LEN];
} placed[MOST];
static size_t places;

static uint32_t
next_number(void *arg)
{
	(void)arg;
	return (uint32_t)begun++ + 1000;
}

static void
took(void *arg, const struct packer_pack *pack)
{
	(void)arg;
	assert_true(pack->number >= 1000 + stored && pack->number < 1000 + begun);
	assert_true(stored == 0 || pack->number > done[stored - 1].number);
	done[stored++] = *pack;
}

static enum frame_kind grain_kind;

static void
open_packer(enum frame_kind kind, unsigned workers)
{
	grain_kind = kind;
	packer = packer_new(&(struct packer_options){.keys = keys,
						     .store = store,
						     .pack_size = PACK_SIZE,
						     .level = 1,
						     .workers = workers,
						     .next_number = next_number,
						     .stored = took});
}

static int
begin(void **state)
{
	(void)state;
	chance_seed(30);
	vclock_install(INT64_C(1700000000) * CLOCK_S);
	keys = repokit_keyring();
	mem = memstore_new();
	store = faultstore_new(mem);
	begun = stored = places = 0;
	flip_where = NOWHERE;
	err_clear(&e);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	packer_free(packer);
	packer = NULL;
	keyring_free(keys);
	store_close(store);
	vclock_remove();
	return 0;
}

/* A grain whose bytes follow from its number; half of it repeats. */
static void
grain_bytes(size_t number, size_t n, uint8_t *out)
{
	memset(out, (int)number, n);
	vector_noise(out, n / 2, number);
}

static int
place(size_t n)
{
	uint8_t *bytes = xmalloc(n + 1);
	int rc;

	grain_bytes(places, n, bytes);
	digest_id(&keys->id, bytes, n, placed[places].id);
	rc = packer_place(packer,
	    &(struct packer_grain){.kind = grain_kind,
		.bytes = bytes,
		.len = n,
		.id = placed[places].id,
		.sum = proof_grain(placed[places].id, bytes, n)},
	    &placed[places].ref, &e);
	places++;
	free(bytes);
	return rc;
}

static struct object *
open_pack(const struct packer_pack *p, struct buf *bytes)
{
	struct object_header h;
	struct object *o = NULL;
	char name[LAYOUT_NAME];
	uint8_t sha[LAYOUT_SHA];

	buf_reset(bytes);
	assert_int_equal(store_get(mem, layout_pack(p->sha, name), bytes, &e), 0);
	assert_int_equal(bytes->len, p->size);
	digest_sha256(bytes->data, bytes->len, sha);
	assert_memory_equal(sha, p->sha, LAYOUT_SHA);
	assert_int_equal(object_header_parse(bytes->data, bytes->len, &h, &e), 0);
	assert_memory_equal(h.epoch, p->epoch, LAYOUT_EPOCH);
	assert_int_equal(
	    object_open(&h, bytes->data + h.index_off, object_index_len(&h), keys, &o, &e), 0);
	assert_int_equal(o->index.grains, p->grains);
	return o;
}

/* Every grain lies where it was promised, in packs no longer than they may be. */
static void
assert_all_there(enum frame_kind kind, size_t oversize)
{
	struct buf bytes;
	size_t at = 0;

	buf_init(&bytes, STORE_OBJECT_MAX);
	assert_int_equal(stored, begun);
	for (size_t i = 0; i < stored; i++) {
		struct object *o = open_pack(&done[i], &bytes);
		uint8_t *raw = xmalloc(OBJECT_RAW_MAX);

		assert_true(done[i].size <= (oversize > PACK_SIZE ? oversize : PACK_SIZE));
		for (size_t f = 0; f < o->index.frames; f++) {
			const struct object_frame *fr = &o->index.frame[f];

			assert_int_equal(fr->kind, kind);
			assert_true(fr->grains == 1 || fr->rawlen <= LAYOUT_FRAME_MAX);
			assert_int_equal(object_frame(o, f, bytes.data + fr->off, raw, &e), 0);
			assert_int_equal(object_check_ids(o, f, raw, keys, &e), 0);
			for (size_t g = 0; g < fr->grains; g++, at++) {
				assert_int_equal(placed[at].ref.pack, done[i].number);
				assert_int_equal(placed[at].ref.frame, f);
				assert_int_equal(placed[at].ref.grain, g);
				assert_memory_equal(placed[at].id,
						    o->index.grain[fr->first_grain + g].id,
						    GRAIN_ID_LEN);
			}
		}
		free(raw);
		object_free(o);
	}
	assert_int_equal(at, places);
	buf_done(&bytes);
}

static void
grains_lie_where_they_were_promised(void **state)
{
	static const size_t most[] = {131072, 8192, 300};

	(void)state;
	for (size_t round = 0; round < ARRAY_LEN(most); round++) {
		begun = stored = places = 0;
		packer_free(packer);
		open_packer(FRAME_DATA, 0);
		for (unsigned i = 0; i < 400; i++)
			assert_int_equal(place(1 + chance_below(most[round])), 0);
		assert_int_equal(packer_flush(packer, &e), 0);
		assert_all_there(FRAME_DATA, 0);
	}
}

static void
grains_larger_than_a_frame_or_a_pack_have_their_own(void **state)
{
	(void)state;
	open_packer(FRAME_MAP, 0);
	for (unsigned i = 0; i < 30; i++)
		assert_int_equal(place(chance_one_in(3) ? OBJECT_RAW_MAX - chance_below(5)
							: 1 + chance_below(200000)),
				 0);
	assert_int_equal(packer_flush(packer, &e), 0);
	assert_all_there(FRAME_MAP, OBJECT_RAW_MAX + 1000);
}

static void
a_flood_of_tiny_grains_keeps_every_bound(void **state)
{
	(void)state;
	open_packer(FRAME_DATA, 0);
	for (unsigned i = 0; i < MOST; i++)
		assert_int_equal(place(1), 0);
	assert_int_equal(packer_flush(packer, &e), 0);
	assert_all_there(FRAME_DATA, 0);
}

static void
nothing_placed_is_nothing_stored(void **state)
{
	(void)state;
	open_packer(FRAME_DATA, 2);
	assert_int_equal(packer_flush(packer, &e), 0);
	assert_int_equal(packer_flush(packer, &e), 0);
	assert_int_equal(begun, 0);
	assert_int_equal(memstore_count(mem), 0);
	assert_int_equal(packer_stored_bytes(packer), 0);
}

static void
a_failure_is_told_by_what_follows_and_by_the_flush(void **state)
{
	(void)state;
	open_packer(FRAME_DATA, 0);
	faultstore_arm(store, &(struct fault){.kind = FAULT_FULL, .op = "put", .at = 2});
	while (places < 1000 && place(100000) == 0)
		continue;
	assert_true(places < 1000);
	assert_int_equal(e.kind, ERR_FULL);
	err_clear(&e);
	assert_int_equal(packer_flush(packer, &e), -1);
	assert_int_equal(e.kind, ERR_FULL);
	assert_true(stored < begun);
}

static void
a_pack_that_comes_back_changed_is_not_stored(void **state)
{
	(void)state;
	for (unsigned at = 1; at < 4; at++) {
		begun = stored = places = 0;
		packer_free(packer);
		open_packer(FRAME_DATA, 0);
		place(5000);
		faultstore_arm(store, &(struct fault){.kind = FAULT_FLIP, .op = "get", .at = at});
		assert_int_equal(packer_flush(packer, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		assert_non_null(strstr(e.text, "reading back"));
		assert_int_equal(stored, 0);
	}
}

/* One pack of three frames, the last of which does not compress. */
static int
three_frames(void)
{
	static uint8_t noise[LAYOUT_FRAME_MAX];
	uint8_t id[GRAIN_ID_LEN];
	struct packer_grain g = {
	    .kind = FRAME_DATA, .bytes = noise, .len = sizeof(noise), .id = id};
	struct entry_ref ref;

	begun = stored = places = 0;
	packer_free(packer);
	open_packer(FRAME_DATA, 0);
	for (unsigned i = 0; i < 32; i++)
		place(8192);
	vector_noise(noise, sizeof(noise), 1);
	digest_id(&keys->id, noise, sizeof(noise), id);
	g.sum = proof_grain(id, noise, sizeof(noise));
	if (packer_place(packer, &g, &ref, &e) == -1)
		return -1;
	return packer_flush(packer, &e);
}

static void
a_bit_lost_anywhere_after_the_hash_is_no_stored_pack(void **state)
{
	(void)state;
	assert_int_equal(three_frames(), 0);
	assert_int_equal(stored, 1);
	for (enum where where = BEFORE_ZIP; where <= AFTER_SEAL; where++)
		/* Three frames, and sealed is the index, too. */
		for (unsigned call = 0; call < (where < BEFORE_SEAL ? 3u : 4u); call++)
			for (unsigned k = 0; k < 40; k++) {
				flip_where = where;
				flip_call = call;
				flip_at = k < 20 ? k : chance_below(200000);
				err_clear(&e);
				assert_int_equal(three_frames(), -1);
				assert_int_equal(flip_where, NOWHERE);
				assert_true(e.kind == ERR_CORRUPT || e.kind == ERR_UNSUPPORTED);
				assert_int_equal(stored, 0);
			}
}

/* Gives the bytes of another pack, which is as long, where the second one is read back. */
struct swap {
	uint8_t *other;
	size_t len;
	bool done;
};

static void
swap_pack(void *arg, const char *op, const char *name)
{
	struct swap *s = arg;
	uint8_t *bytes;
	size_t n;

	if (strcmp(op, "get") != 0 || s->done)
		return;
	bytes = memstore_bytes(mem, name, &n);
	assert_int_equal(n, s->len);
	memcpy(bytes, s->other, n);
	s->done = true;
}

static void
another_pack_of_the_same_contents_is_not_what_was_stored(void **state)
{
	struct swap s = { .other = NULL };
	char name[LAYOUT_NAME];

	(void)state;
	assert_int_equal(three_frames(), 0);
	s.other = xmemdup(memstore_bytes(mem, layout_pack(done[0].sha, name), &s.len), done[0].size);
	memstore_hook(mem, swap_pack, &s);
	assert_int_equal(three_frames(), -1);
	memstore_hook(mem, NULL, NULL);
	assert_true(s.done);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_int_equal(stored, 0);
	free(s.other);
}

static void
a_grain_that_changes_between_hash_and_placing_is_not_stored(void **state)
{
	uint8_t bytes[5000], id[GRAIN_ID_LEN];
	struct packer_grain g = {
	    .kind = FRAME_DATA, .bytes = bytes, .len = sizeof(bytes), .id = id};
	struct entry_ref ref;

	(void)state;
	for (unsigned wrong = 0; wrong < 3; wrong++) {
		begun = stored = 0;
		packer_free(packer);
		open_packer(FRAME_DATA, 2);
		grain_bytes(1, sizeof(bytes), bytes);
		digest_id(&keys->id, bytes, sizeof(bytes), id);
		g.sum = proof_grain(id, bytes, sizeof(bytes));
		bytes[4711] ^= wrong == 0;
		id[3] ^= wrong == 1 ? 128 : 0;
		g.sum ^= wrong == 2;
		assert_int_equal(packer_place(packer, &g, &ref, &e), 0);
		assert_int_equal(packer_flush(packer, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		assert_non_null(strstr(e.text, "just compressed"));
		assert_non_null(strstr(e.text, "memory"));
		assert_int_equal(memstore_count(mem), 0);
	}
}

static void
a_packer_given_up_in_the_middle_lets_go_of_everything(void **state)
{
	(void)state;
	for (unsigned grains = 0; grains < 60; grains += 3) {
		begun = stored = places = 0;
		open_packer(FRAME_DATA, 0);
		for (unsigned i = 0; i < grains; i++)
			place(1 + chance_below(60000));
		packer_free(packer);
		packer = NULL;
	}
}

static void
without_a_key_to_seal_with_there_is_an_error(void **state)
{
	struct keyring *none;
	static const uint8_t id[LAYOUT_REPO_ID] = {1};

	(void)state;
	none = keyring_new(id);
	none->id = keys->id;
	keyring_free(keys);
	keys = none;
	open_packer(FRAME_DATA, 0);
	place(10);
	assert_int_equal(packer_flush(packer, &e), -1);
	assert_int_equal(e.kind, ERR_KEY);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(grains_lie_where_they_were_promised),
	    T(grains_larger_than_a_frame_or_a_pack_have_their_own),
	    T(a_flood_of_tiny_grains_keeps_every_bound),
	    T(nothing_placed_is_nothing_stored),
	    T(a_failure_is_told_by_what_follows_and_by_the_flush),
	    T(a_pack_that_comes_back_changed_is_not_stored),
	    T(a_bit_lost_anywhere_after_the_hash_is_no_stored_pack),
	    T(another_pack_of_the_same_contents_is_not_what_was_stored),
	    T(a_grain_that_changes_between_hash_and_placing_is_not_stored),
	    T(a_packer_given_up_in_the_middle_lets_go_of_everything),
	    T(without_a_key_to_seal_with_there_is_an_error),
	};

	return cmocka_run_group_tests_name("packer", tests, NULL, NULL);
}
