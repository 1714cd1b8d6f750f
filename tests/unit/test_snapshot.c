#include "repo/snapshot.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/manifest.h"
#include "tests/lib/memstore.h"
#include "tests/lib/repokit.h"
#include "tests/lib/vector.h"

#define K repokit

/* A manifest of that id on a tier; nothing in it. */
static void
put(size_t tier, const char *id, bool partial)
{
	struct manifest m;
	struct layout_snap part;
	struct buf bytes;
	struct err e = { 0 };

	manifest_init(&m);
	snprintf(m.name, sizeof(m.name), "snap/%s", id);
	assert_int_equal(layout_snap_parse(m.name, &part), 0);
	memcpy(m.source, part.source, sizeof(m.source));
	m.root = xstrdup("/srv");
	m.started_ns = m.finished_ns = m.compared_ns = part.time_ns;
	m.partial = partial;
	buf_init(&bytes, STORE_OBJECT_MAX);
	if (manifest_seal(&m, K.repo->keys, &bytes, &e) == -1)
		fail_msg("%s", e.text);
	assert_int_equal(store_put(K.tier[tier].store, m.name, bytes.data, bytes.len, STORE_NEW,
	    &e), 1);
	buf_done(&bytes);
	manifest_done(&m);
}

/* Over all tiers of the kit, as job/pick.c does: the union in byte order. */
static int
resolve(const char *text, bool partial, char name[LAYOUT_NAME], struct err *e)
{
	struct snapshot_list all = { 0 };
	int rc;

	for (size_t t = 0; t < 2; t++) {
		struct snapshot_list l;

		assert_int_equal(snapshot_list(K.tier[t].store, NULL, &l, e), 0);
		for (size_t i = 0; i < l.count; i++) {
			size_t at = 0;

			while (at < all.count && strcmp(all.item[at].name, l.item[i].name) < 0)
				at++;
			if (at < all.count && strcmp(all.item[at].name, l.item[i].name) == 0)
				continue;
			all.item = mem_grow(all.item, &all.room, all.count + 1,
			    sizeof(*all.item));
			memmove(&all.item[at + 1], &all.item[at],
			    (all.count++ - at) * sizeof(*all.item));
			all.item[at] = l.item[i];
		}
		snapshot_list_done(&l);
	}
	rc = snapshot_resolve(K.repo, &all, text, partial, name, e);
	snapshot_list_done(&all);
	return rc;
}

static void
assert_means(const char *text, const char *id)
{
	char name[LAYOUT_NAME];
	struct err e = { 0 };

	if (resolve(text, false, name, &e) != 1)
		fail_msg("'%s': %s", text, e.text);
	assert_string_equal(name + strlen("snap/"), id);
}

static void
assert_unclear(const char *text, enum err_kind kind, const char *says)
{
	char name[LAYOUT_NAME];
	struct err e = { 0 };

	assert_int_equal(resolve(text, false, name, &e), -1);
	if (e.kind != kind || strstr(e.text, says) == NULL)
		fail_msg("'%s': %s: %s", text, err_word(e.kind), e.text);
}

static void
assert_nothing(const char *text)
{
	char name[LAYOUT_NAME];
	struct err e = { 0 };

	assert_int_equal(resolve(text, false, name, &e), 0);
}

static void
put_some(void)
{
	put(0, "vol.uploads/20261121T010000Z-11111111", false);
	put(0, "vol.uploads/20261121T020000Z-22222222", false);
	put(0, "vol.uploads/20261122T010000Z-33333333", true);
	put(0, "pg.uploads/20261121T020000Z-44444444", false);
	put(0, "pg.payments/20261120T020000Z-55555555", false);
}

static void
a_listing_is_in_order_and_knows_the_newest_of_each_source(void **state)
{
	struct snapshot_list l;
	struct err e = { 0 };

	(void)state;
	put_some();
	assert_int_equal(snapshot_list(K.tier[0].store, NULL, &l, &e), 0);
	assert_int_equal(l.count, 5);
	for (size_t i = 1; i < l.count; i++)
		assert_true(strcmp(l.item[i - 1].name, l.item[i].name) < 0);
	assert_string_equal(snapshot_newest(&l, "vol.uploads")->part.id,
	    "vol.uploads/20261122T010000Z-33333333");
	assert_string_equal(snapshot_newest(&l, "pg.payments")->part.id,
	    "pg.payments/20261120T020000Z-55555555");
	assert_string_equal(snapshot_newest(&l, NULL)->part.id,
	    "vol.uploads/20261122T010000Z-33333333");
	assert_null(snapshot_newest(&l, "vol.other"));
	snapshot_list_done(&l);
	assert_int_equal(snapshot_list(K.tier[0].store, "pg.uploads", &l, &e), 0);
	assert_int_equal(l.count, 1);
	assert_true(l.item[0].size > 200);
	snapshot_list_done(&l);
	assert_int_equal(snapshot_list(K.tier[0].store, "../x", &l, &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
}

static void
a_name_that_is_not_ours_among_snapshots_stops_the_listing(void **state)
{
	struct snapshot_list l;
	struct err e = { 0 };

	(void)state;
	put_some();
	assert_int_equal(store_put(K.tier[0].store, "snap/vol.uploads/odd", "x", 1, STORE_NEW, &e),
	    1);
	assert_int_equal(snapshot_list(K.tier[0].store, NULL, &l, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_non_null(strstr(e.text, "snap/vol.uploads/odd"));
}

static void
people_name_snapshots_by_what_is_unique(void **state)
{
	(void)state;
	put_some();
	assert_means("vol.uploads/20261121T020000Z-22222222",
	    "vol.uploads/20261121T020000Z-22222222");
	assert_means("snap/vol.uploads/20261121T02", "vol.uploads/20261121T020000Z-22222222");
	assert_means("vol.uploads/20261121T01", "vol.uploads/20261121T010000Z-11111111");
	assert_means("20261121T020000Z-4", "pg.uploads/20261121T020000Z-44444444");
	assert_means("20261120", "pg.payments/20261120T020000Z-55555555");
	assert_means("payments", "pg.payments/20261120T020000Z-55555555");
	assert_means("pg.uploads", "pg.uploads/20261121T020000Z-44444444");
}

static void
latest_is_the_newest_that_was_finished(void **state)
{
	char name[LAYOUT_NAME];
	struct err e = { 0 };

	(void)state;
	put_some();
	assert_means("vol.uploads/latest", "vol.uploads/20261121T020000Z-22222222");
	assert_means("vol.uploads", "vol.uploads/20261121T020000Z-22222222");
	assert_int_equal(resolve("vol.uploads", true, name, &e), 1);
	assert_string_equal(name, "snap/vol.uploads/20261122T010000Z-33333333");
	put(0, "vol.new/20261122T010000Z-66666666", true);
	assert_unclear("vol.new/latest", ERR_NOTFOUND, "no complete snapshot");
	assert_unclear("vol.new/20261122T010000Z-66666666", ERR_REFUSED, "is partial");
}

static void
what_may_mean_several_is_shown_not_guessed(void **state)
{
	(void)state;
	put_some();
	assert_unclear("latest", ERR_USAGE, "possible  pg.payments/latest");
	assert_unclear("uploads", ERR_USAGE, "several sources");
	assert_unclear("20261121T02", ERR_USAGE, "possible  vol.uploads/20261121T020000Z-22222222");
	assert_unclear("vol.uploads/20261121", ERR_USAGE, "several snapshots");
	assert_nothing("vol.uploads/2025");
	assert_nothing("vol.upload");
	assert_nothing("vol.upload/latest");
	for (char c = 'a'; c < 'k'; c++) {
		char id[64];

		snprintf(id, sizeof(id), "vol.uploads/20261123T000000Z-0000000%c", c < 'g' ? c :
		    (char)('0' + c - 'g'));
		put(0, id, false);
	}
	assert_unclear("vol.uploads/20261123", ERR_USAGE, "and 4 more");
}

static void
what_is_unique_on_one_tier_alone_is_not_unique(void **state)
{
	(void)state;
	put(0, "vol.a/20261121T010000Z-11111111", false);
	put(0, "vol.a/20261121T020000Z-22222222", false);
	put(1, "vol.a/20261121T010000Z-11111111", false);
	assert_unclear("vol.a/2026", ERR_USAGE, "possible  vol.a/20261121T020000Z-22222222");
	assert_unclear("vol.a/", ERR_USAGE, "several snapshots");
	assert_means("vol.a/20261121T01", "vol.a/20261121T010000Z-11111111");
	put(1, "vol.b/20261121T030000Z-33333333", false);
	assert_unclear("latest", ERR_USAGE, "possible  vol.b/latest");
	assert_means("b", "vol.b/20261121T030000Z-33333333");
}

static void
a_damaged_newest_manifest_is_read_from_another_tier_or_named(void **state)
{
	static const char *const id = "vol.a/20261121T020000Z-22222222";
	char name[LAYOUT_NAME];
	size_t len;

	(void)state;
	put(0, "vol.a/20261121T010000Z-11111111", false);
	put(0, id, false);
	put(1, id, false);
	snprintf(name, sizeof(name), "snap/%s", id);
	memstore_bytes(K.tier[0].store, name, &len)[100] ^= 1;
	assert_means("vol.a", id);
	memstore_drop(K.tier[1].store, name);
	/* Falling back to an older one is not for us to decide. */
	assert_unclear("vol.a", ERR_CORRUPT, id);
}

static void
only_what_is_damaged_may_be_given_up_without_a_word_more(void **state)
{
	static const struct {
		enum err_kind kind;
		const char *says; /* NULL: nothing */
	} row[] = {
		{ ERR_CORRUPT, "`ffdr expire --discard vol.a/1 --why TEXT` gives it up" },
		{ ERR_KEY, "--discard vol.a/1 --lost-key KEY" },
		{ ERR_UNSUPPORTED, "use the version of ffdr that made it" },
		{ ERR_FROZEN, "it lies in an archive" },
		{ ERR_IO, "`ffdr verify --repair vol.a/1` fetches it" },
		{ ERR_REMOTE, NULL },
		{ ERR_PERMISSION, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct err e = { .kind = row[i].kind, .text = "why" };

		assert_int_equal(snapshot_unreadable("vol.a/1", &e), -1);
		assert_true(row[i].says ? strstr(e.text, row[i].says) != NULL : strcmp(e.text, "why") == 0);
		assert_int_equal(strstr(e.text, "--discard") != NULL, i < 2);
		assert_int_equal(strstr(e.text, "damaged for good") != NULL, i < 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, repokit_two_tiers, repokit_teardown)
		T(a_listing_is_in_order_and_knows_the_newest_of_each_source),
		T(a_name_that_is_not_ours_among_snapshots_stops_the_listing),
		T(people_name_snapshots_by_what_is_unique),
		T(latest_is_the_newest_that_was_finished),
		T(what_may_mean_several_is_shown_not_guessed),
		T(what_is_unique_on_one_tier_alone_is_not_unique),
		T(a_damaged_newest_manifest_is_read_from_another_tier_or_named),
		T(only_what_is_damaged_may_be_given_up_without_a_word_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
