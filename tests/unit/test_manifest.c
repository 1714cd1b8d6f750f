#include "tests/lib/vector.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/manifest.h"
#include "repo/object.h"
#include "tests/lib/chance.h"
#include "tests/lib/repokit.h"

static struct manifest m, back;
static struct buf text, other;
static struct err e;

static int
begin(void **state)
{
	(void)state;
	chance_seed(99);
	manifest_init(&m);
	manifest_init(&back);
	buf_init(&text, 64u << 20);
	buf_init(&other, 64u << 20);
	err_clear(&e);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	manifest_done(&m);
	manifest_done(&back);
	buf_done(&text);
	buf_done(&other);
	return 0;
}

static int64_t
some_second(void)
{
	return (int64_t)chance_below(UINT64_C(4000000000)) * CLOCK_S;
}

static void
some_packs(struct manifest *to, size_t n)
{
	uint32_t number = 0;

	to->pack = mem_grow(to->pack, &to->pack_room, n + 1, sizeof(*to->pack));
	for (to->packs = 0; to->packs < n; to->packs++) {
		struct manifest_pack *p = &to->pack[to->packs];

		number += 1 + (uint32_t)chance_below(5);
		*p = (struct manifest_pack){.number = number,
					    .size = (uint32_t)chance_below(STORE_OBJECT_MAX),
					    .time_ns = some_second(),
					    .grains = (uint32_t)chance_u64(),
					    .wanted = (uint32_t)chance_u64()};
		chance_bytes(p->sha, sizeof(p->sha));
		chance_bytes(p->epoch, sizeof(p->epoch));
	}
	to->next_pack = number + 1 + (uint32_t)chance_below(3);
}

static void
some_chunks(struct manifest *to, size_t n)
{
	to->chunk = mem_grow(to->chunk, &to->chunk_room, n + 1, sizeof(*to->chunk));
	for (to->chunks = 0; to->chunks < n; to->chunks++) {
		struct manifest_chunk *c = &to->chunk[to->chunks];

		*c =
		    (struct manifest_chunk){.ref = {to->pack[chance_below(to->packs)].number,
						    (uint16_t)chance_u64(), (uint16_t)chance_u64()},
					    .len = (uint32_t)chance_u64(),
					    .first = xstrdup(chance_one_in(2) ? "a/b\\x20c" : ".")};
		chance_bytes(c->id, sizeof(c->id));
	}
}

static void
some_manifest(struct manifest *to)
{
	manifest_done(to);
	memcpy(to->name, "snap/vol.up-1_x/20261121T020000Z-1a2b3c4d", 42);
	memcpy(to->source, "vol.up-1_x", 11);
	to->sequence = chance_u64();
	if (chance_one_in(2)) {
		memcpy(to->parent, "snap/vol.up-1_x/20261120T020000Z-00000000", 42);
		chance_bytes(to->parent_sha, sizeof(to->parent_sha));
	}
	to->started_ns = some_second();
	to->finished_ns = some_second();
	to->compared_ns = some_second();
	to->partial = chance_one_in(2);
	to->host = chance_one_in(2) ? xstrdup("h\xc3\xb6st name") : NULL;
	to->job = chance_one_in(2) ? xstrdup("") : NULL;
	to->slot = chance_one_in(2) ? xstrdup("root yes\n") : NULL;
	to->root = xstrdup(chance_one_in(2) ? "/srv/a b\\c" : "");
	to->entries = chance_u64();
	to->files = chance_u64();
	to->bytes = UINT64_MAX;
	to->read_bytes = chance_u64();
	to->stored_new = 0;
	to->changed_files = chance_u64();
	for (uint64_t i = chance_below(3); i > 0; i--)
		buf_adds(&to->detail, "detail lsn 0/16B3748\n");
	some_packs(to, 1 + chance_below(100));
	if (chance_one_in(2))
		some_chunks(to, chance_below(20));
	if (to->chunks == 0)
		buf_adds(&to->inline_list,
			 chance_one_in(2) ? "" : "what stands here\nis not looked at\n");
}

static void
assert_same(const struct manifest *a, const struct manifest *b)
{
	assert_string_equal(a->source, b->source);
	assert_string_equal(a->parent, b->parent);
	assert_memory_equal(a->parent_sha, b->parent_sha, LAYOUT_SHA);
	assert_true(a->sequence == b->sequence && a->started_ns == b->started_ns &&
		    a->finished_ns == b->finished_ns && a->compared_ns == b->compared_ns &&
		    a->partial == b->partial && a->next_pack == b->next_pack &&
		    a->entries == b->entries && a->files == b->files && a->bytes == b->bytes &&
		    a->read_bytes == b->read_bytes && a->stored_new == b->stored_new &&
		    a->changed_files == b->changed_files);
	for (int i = 0; i < 4; i++) {
		const char *x = ((char *const[]){a->host, a->job, a->slot, a->root})[i];
		const char *y = ((char *const[]){b->host, b->job, b->slot, b->root})[i];
		assert_int_equal(x == NULL, y == NULL);
		if (x)
			assert_string_equal(x, y);
	}
	assert_string_equal(buf_str(&a->detail), buf_str(&b->detail));
	assert_string_equal(buf_str(&a->inline_list), buf_str(&b->inline_list));
	assert_int_equal(a->packs, b->packs);
	for (size_t i = 0; i < a->packs; i++) {
		const struct manifest_pack *x = &a->pack[i], *y = &b->pack[i];
		assert_memory_equal(x->sha, y->sha, LAYOUT_SHA);
		assert_memory_equal(x->epoch, y->epoch, LAYOUT_EPOCH);
		assert_true(x->number == y->number && x->size == y->size &&
			    x->time_ns == y->time_ns && x->grains == y->grains &&
			    x->wanted == y->wanted);
	}
	assert_int_equal(a->chunks, b->chunks);
	for (size_t i = 0; i < a->chunks; i++) {
		const struct manifest_chunk *x = &a->chunk[i], *y = &b->chunk[i];
		assert_memory_equal(x->id, y->id, GRAIN_ID_LEN);
		assert_string_equal(x->first, y->first);
		assert_true(x->ref.pack == y->ref.pack && x->ref.frame == y->ref.frame &&
			    x->ref.grain == y->ref.grain && x->len == y->len);
	}
}

static void
any_manifest_comes_back_as_it_was_written(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		some_manifest(&m);
		buf_reset(&text);
		manifest_encode(&m, &text);
		manifest_done(&back);
		if (manifest_parse(buf_str(&text), text.len, &back, &e) == -1)
			fail_msg("%s\n%s", e.text, buf_str(&text));
		assert_same(&m, &back);
	}
}

static void
a_pack_is_found_by_its_number(void **state)
{
	(void)state;
	some_manifest(&m);
	for (uint32_t n = 0; n < m.next_pack + 5; n++) {
		const struct manifest_pack *p = manifest_pack(&m, n), *by_walk = NULL;

		for (size_t i = 0; i < m.packs; i++)
			if (m.pack[i].number == n)
				by_walk = &m.pack[i];
		assert_ptr_equal(p, by_walk);
	}
	manifest_init(&back);
	assert_null(manifest_pack(&back, 0));
}

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID "0123456789abcdef01234567"

static const char whole[] = "ffdr-manifest 1\n"
			    "source vol.a\n"
			    "sequence 3\n"
			    "parent snap/vol.a/20261121T020000Z-1a2b3c4d " SHA "\n"
			    "started 2026-11-22T02:00:00Z\n"
			    "finished 2026-11-22T02:00:10Z\n"
			    "compared 2026-11-22T02:00:00Z\n"
			    "host h\n"
			    "root /srv\n"
			    "next-pack 9\n"
			    "entries 2\n"
			    "files 1\n"
			    "bytes 5\n"
			    "read 5\n"
			    "new 7\n"
			    "changed 1\n"
			    "detail a b\n"
			    "packs 2\n"
			    "P 3 " SHA " 100 00000001 1700000000 5 4\n"
			    "P 8 " SHA " 100 00000001 1700000000 5 4\n"
			    "chunks 1\n"
			    "C 3.0.1 " ID " 70000 .\n"
			    "list 0\n"
			    "end 2 1 5\n";

/* With the only place of `from` replaced. */
static void
mutilate(const char *from, const char *to)
{
	const char *at = strstr(whole, from);

	assert_non_null(at);
	buf_reset(&text);
	buf_add(&text, whole, (size_t)(at - whole));
	buf_adds(&text, to);
	buf_adds(&text, at + strlen(from));
}

static void
what_is_wrong_with_a_manifest_is_said_with_its_line(void **state)
{
	static const struct {
		const char *from, *to, *says;
	} t[] = {
	    {"ffdr-manifest 1", "ffdr-manifest 2", "format '2' is not known"},
	    {"ffdr-manifest", "fdr-manifest", "line 1 is not 'ffdr-manifest ...'"},
	    {"source vol.a", "source a", "line 2 is not a source's name"},
	    {"source vol.a", "source Vol.a", "line 2 is not a source's name"},
	    {"sequence 3", "sequence -3", "line 3 is not a number"},
	    {"sequence 3", "sequence 18446744073709551616", "line 3 is not a number"},
	    {"sequence 3", "sequence 3 ", "line 3 is not a number"},
	    {"sequence 3\n", "", "line 3 is not 'sequence ...'"},
	    {" " SHA "\nstarted", "\nstarted", "line 4 is not a parent's name and hash"},
	    {"parent snap/vol.a/", "parent snap/vol.a", "line 4 is not a parent's name"},
	    {"parent snap", "parent rec", "line 4 is not a parent's name"},
	    {"02:00:00Z\nfin", "02:00:00\nfin", "line 5 is not a time"}, /* one form only */
	    {"02:00:00Z\nfin", "today\nfin", "line 5 is not a time"},
	    {"finished", "started", "line 6 is not 'finished ...'"},
	    {"host h", "partial no", "line 8 is not 'root ...'"},
	    {"host h", "partial yes", NULL},
	    {"host h\n", "host h\npartial yes\n", "line 9 is not 'root ...'"},
	    {"host h\n", "job a\nhost b\n", "line 9 is not 'root ...'"},
	    {"host h\n", "host \\x41\n", "line 8 is not an escaped word"},
	    {"host h\n", "host \\x00\n", "line 8 is not an escaped word"},
	    {"root /srv\n", "", "line 9 is not 'root ...'"},
	    {"next-pack 9", "next-pack 8", "line 20 is not the next pack of the table"},
	    {"changed 1", "changed x", "line 16 is not a number"},
	    {"detail a b", "details a b", "line 17 is not 'packs NUMBER'"},
	    {"packs 2", "packs 3", "line 21 is not 'P ...'"},
	    {"packs 2", "packs 1", "line 20 is not 'chunks ...'"},
	    {"P 8", "P 3", "line 20 is not the next pack of the table"},
	    {"P 8", "P 2", "line 20 is not the next pack of the table"},
	    {" 100 00000001 1700000000 5 4\nP 8", " 200000000 00000001 1700000000 5 4\nP 8",
	     "line 19 is not the next pack"},
	    {" 100 00000001 1700000000 5 4\nP 8", " 100 0000001 1700000000 5 4\nP 8",
	     "line 19 is not the next pack"},
	    {"1700000000 5 4\nP 8", "9223372037 5 4\nP 8", "line 19 is not the next pack"},
	    {"1700000000 5 4\nP 8", "-5 5 4\nP 8", "line 19 is not the next pack"},
	    {"1700000000 5 4\nP 8", "1700000000 5\nP 8", "line 19 is not the next pack"},
	    {"chunks 1", "chunks 2", "line 23 is not 'C ...'"},
	    {"C 3.0.1", "C 4.0.1", "line 22 is not a chunk in a pack of the table"},
	    {"C 3.0.1", "C 3.65536.1", "line 22 is not a chunk of the list"},
	    {"70000 .", "70000 ", "line 22 is not a chunk of the list"},
	    {"70000 .", "4294967296 .", "line 22 is not a chunk of the list"},
	    {"list 0", "list 1", "line 23 is not the length of the list"},
	    {"list 0", "list 99999999", "line 23 is not a number"},
	    {"end 2 1 5", "end 2 1 6", "line 24 is not the end with the counts"},
	    {"end 2 1 5\n", "end 2 1 5\n\n", "line 24 is not the end with the counts"},
	    {"end 2 1 5\n", "end 2 1 5", "line 24 is not complete"},
	    {"end 2 1 5\n", "", "line 24 is not complete"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		int rc;

		mutilate(t[i].from, t[i].to);
		manifest_done(&back);
		rc = manifest_parse(buf_str(&text), text.len, &back, &e);
		if (!t[i].says && rc == -1)
			fail_msg("'%s' is refused: %s", t[i].to, e.text);
		if (!t[i].says)
			continue;
		if (rc == 0)
			fail_msg("'%s' is accepted", t[i].to);
		assert_true(e.kind == ERR_CORRUPT || e.kind == ERR_UNSUPPORTED);
		if (!strstr(e.text, t[i].says))
			fail_msg("'%s': '%s' does not say '%s'", t[i].to, e.text, t[i].says);
	}
	mutilate("host", "host");
	assert_int_equal(manifest_parse(buf_str(&text), text.len, &back, &e), 0);
}

static void
a_manifest_cut_anywhere_is_refused(void **state)
{
	(void)state;
	for (size_t n = 0; n < strlen(whole); n++) {
		char *exact = xmemdup(whole, n);
		assert_int_equal(manifest_parse(exact, n, &back, &e), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		free(exact);
	}
}

static void
a_sealed_manifest_opens_under_its_name_and_pend_only(void **state)
{
	struct keyring *k = repokit_keyring();
	char pend[LAYOUT_NAME];

	(void)state;
	some_manifest(&m);
	if (manifest_seal(&m, k, &text, &e) == -1)
		fail_msg("%s", e.text);
	assert_int_equal(manifest_open(&text, m.name, k, &back, &e), 0);
	assert_same(&m, &back);
	assert_string_equal(back.name, m.name);
	assert_memory_equal(back.sha, m.sha, LAYOUT_SHA);
	manifest_done(&back);
	assert_int_equal(manifest_open(&text, layout_pend_new(m.name, pend), k, &back, &e), 0);
	assert_string_equal(back.name, m.name);
	manifest_done(&back);
	assert_int_equal(
	    manifest_open(&text, "snap/vol.up-1_x/20261121T020000Z-1a2b3c4e", k, &back, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	keyring_free(k);
}

static void
a_manifest_of_another_source_than_its_name_is_refused(void **state)
{
	struct keyring *k = repokit_keyring();

	(void)state;
	some_manifest(&m);
	m.source[0] = 'w';
	assert_int_equal(manifest_seal(&m, k, &text, &e), 0);
	assert_int_equal(manifest_open(&text, m.name, k, &back, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_non_null(strstr(e.text, "another source"));
	keyring_free(k);
}

static void
every_flipped_bit_of_a_sealed_manifest_is_found(void **state)
{
	struct keyring *k = repokit_keyring();

	(void)state;
	some_manifest(&m);
	assert_int_equal(manifest_seal(&m, k, &text, &e), 0);
	for (size_t i = 0; i < text.len; i += 1 + chance_below(20)) {
		text.data[i] = (uint8_t)(text.data[i] ^ 1u << chance_below(8));
		assert_int_equal(manifest_open(&text, m.name, k, &back, &e), -1);
		assert_true(e.kind == ERR_CORRUPT || e.kind == ERR_KEY ||
			    e.kind == ERR_UNSUPPORTED);
		buf_reset(&text);
		assert_int_equal(manifest_seal(&m, k, &text, &e), 0);
	}
	keyring_free(k);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(any_manifest_comes_back_as_it_was_written),
	    T(a_pack_is_found_by_its_number),
	    T(what_is_wrong_with_a_manifest_is_said_with_its_line),
	    T(a_manifest_cut_anywhere_is_refused),
	    T(a_sealed_manifest_opens_under_its_name_and_pend_only),
	    T(a_manifest_of_another_source_than_its_name_is_refused),
	    T(every_flipped_bit_of_a_sealed_manifest_is_found),
	};

	return cmocka_run_group_tests_name("manifest", tests, NULL, NULL);
}
