/*
 * The parts of a base backup without a server: messages, the manifest's sum, and tars into a writer.
 */
#include "tests/lib/vector.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "repo/reader.h"
#include "source/pg/pg_base_manifest.h"
#include "source/pg/pg_base_tar.h"
#include "source/pg/pg_base_wire.h"
#include "tests/lib/repokit.h"

static struct err e;

/* ---- messages ---- */

static void
messages_are_names_data_progress_and_manifest(void **s)
{
	struct pg_base_wire_msg m;

	(void)s;
	assert_int_equal(pg_base_wire_read("n16385.tar\0/srv/x\0", 18, &m, &e), 0);
	assert_string_equal(m.name, "16385.tar");
	assert_string_equal(m.path, "/srv/x");
	assert_int_equal(pg_base_wire_read("nbase.tar\0\0", 11, &m, &e), 0);
	assert_string_equal(m.path, "");
	assert_int_equal(pg_base_wire_read("dxyz", 4, &m, &e), 0);
	assert_int_equal(m.len, 3);
	assert_memory_equal(m.data, "xyz", 3);
	assert_int_equal(pg_base_wire_read("p\0\0\0\0\0\0\1\2", 9, &m, &e), 0);
	assert_true(m.done == 0x102);
	assert_int_equal(pg_base_wire_read("m", 1, &m, &e), 0);
	assert_int_equal(m.type, 'm');
	assert_int_equal(pg_base_wire_read("?unknown", 8, &m, &e), 0);
	assert_true(m.type == '?' && m.len == 0 && !m.name);
}

static void
messages_that_are_cut_short_are_refused(void **s)
{
	struct pg_base_wire_msg m;

	(void)s;
	assert_int_equal(pg_base_wire_read("", 0, &m, &e), -1);
	for (size_t n = 1; n < 11; n++)
		assert_int_equal(pg_base_wire_read("nbase.tar\0\0", n, &m, &e), -1);
	for (size_t n = 1; n < 9; n++)
		assert_int_equal(pg_base_wire_read("p\0\0\0\0\0\0\1\2", n, &m, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
}

/* ---- manifest ---- */

/* Given in pieces of that size; what the check says. */
static int
check(const char *text, size_t n, size_t piece)
{
	struct pg_base_manifest m;
	int rc;

	pg_base_manifest_begin(&m);
	for (size_t at = 0; at < n; at += piece)
		pg_base_manifest_add(&m, text + at, n - at < piece ? n - at : piece);
	assert_int_equal(m.bytes, n);
	rc = pg_base_manifest_check(&m, &e);
	pg_base_manifest_done(&m);
	return rc;
}

static void
make_manifest(struct buf *b, size_t lines)
{
	uint8_t sum[DIGEST_LEN];
	char hex[TEXT_HEX(DIGEST_LEN)];

	buf_init(b, 1u << 20);
	buf_adds(b, "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n");
	for (size_t i = 0; i < lines; i++)
		buf_addf(b, "{ \"Path\": \"base/1/%zu\", \"Size\": 8192 },\n", i);
	digest_sha256(b->data, b->len, sum);
	buf_addf(b, "\"Manifest-Checksum\": \"%s\"}\n", text_hex(sum, sizeof(sum), hex));
}

static void
a_manifest_is_whole_however_it_arrives(void **s)
{
	static const size_t pieces[] = { 1, 7, 100, 255, 256, 257, 1000, 1u << 20 };
	struct buf b;

	(void)s;
	for (size_t lines = 0; lines < 40; lines += 3) {
		make_manifest(&b, lines);
		for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
			assert_int_equal(check(buf_str(&b), b.len, pieces[i]), 0);
		buf_done(&b);
	}
}

static void
a_manifest_with_one_wrong_or_missing_byte_is_refused(void **s)
{
	struct buf b;

	(void)s;
	make_manifest(&b, 12);
	for (size_t i = 0; i < b.len - 3; i++) {
		b.data[i] ^= 1;
		assert_int_equal(check(buf_str(&b), b.len, 50), -1);
		b.data[i] ^= 1;
	}
	for (size_t n = 0; n < b.len - 2; n++)
		assert_int_equal(check(buf_str(&b), n, 64), -1);
	buf_done(&b);
}

/* ---- tars ---- */

static struct repokit kit;
static struct writer *w;
static struct pg_base_tar t;
static struct buf label;
static bool late;

struct feed {
	const uint8_t *at;
	size_t left, piece, fail_after; /* 0: never */
};
static struct feed feed;

static int
next(void *arg, const uint8_t **data, size_t *n, struct err *why)
{
	(void)arg;
	if (feed.fail_after > 0 && --feed.fail_after == 0)
		return err_set(why, ERR_REMOTE, "the server is gone");
	*data = feed.at;
	*n = feed.left < feed.piece ? feed.left : feed.piece;
	feed.at += *n;
	feed.left -= *n;
	return *n > 0;
}

static struct buf *
copy(void *arg, const char *path)
{
	(void)arg;
	return strcmp(path, "backup_label") == 0 ? &label : NULL;
}

static int
begin(void **s)
{
	const struct writer_options o = { .source = "pg.test", .root = "/", .host = "here", .level = 1,
		.any_order = true };

	(void)s;
	err_clear(&e);
	repokit_init(&kit, 1);
	assert_int_equal(writer_open_snapshot(kit.repo, &kit.tier[0], &o, &w, &e), 0);
	late = false;
	buf_init(&label, 10000);
	t = (struct pg_base_tar){ .w = w, .next = next, .copy = copy, .late = &late };
	feed = (struct feed){ .piece = 511 };
	return 0;
}

static int
end(void **s)
{
	(void)s;
	writer_free(w);
	buf_done(&label);
	repokit_done(&kit);
	return 0;
}

/* One member; contents are its size in bytes of 'a' and so on. */
static void
member(struct archive *a, const char *path, unsigned type, size_t size)
{
	struct archive_entry *ae = archive_entry_new();
	char *bytes = xmalloc(size + 1);

	archive_entry_set_pathname(ae, path);
	archive_entry_set_filetype(ae, type);
	archive_entry_set_perm(ae, type == AE_IFDIR ? 0700 : 0600);
	archive_entry_set_uid(ae, 26);
	archive_entry_set_gid(ae, 27);
	archive_entry_set_mtime(ae, 1234567, 0);
	archive_entry_set_size(ae, (la_int64_t)size);
	if (type == AE_IFLNK)
		archive_entry_set_symlink(ae, "/elsewhere");
	assert_int_equal(archive_write_header(a, ae), ARCHIVE_OK);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)('a' + i % 23);
	if (size > 0)
		assert_int_equal(archive_write_data(a, bytes, size), size);
	archive_entry_free(ae);
	free(bytes);
}

static const struct member {
	const char *path;
	unsigned type;
	size_t size;
} usual[] = {
	{ "backup_label", AE_IFREG, 200 }, { "base/", AE_IFDIR, 0 }, { "base/5/", AE_IFDIR, 0 },
	{ "base/5/16384", AE_IFREG, 5 * 8192 }, { "base/5/PG_VERSION", AE_IFREG, 3 },
	{ "empty", AE_IFREG, 0 }, { "./global/", AE_IFDIR, 0 }, { "global/pg_control", AE_IFREG, 8192 },
	{ "pg_wal", AE_IFLNK, 0 },
};

static void
make_tar(const struct member *m, size_t count, struct buf *ret)
{
	struct archive *a = archive_write_new();
	size_t used = 0;

	buf_init(ret, 4u << 20);
	assert_non_null(buf_reserve(ret, 2u << 20));
	archive_write_set_format_ustar(a);
	archive_write_set_bytes_in_last_block(a, 1);
	assert_int_equal(archive_write_open_memory(a, ret->data, 2u << 20, &used), ARCHIVE_OK);
	for (size_t i = 0; i < count; i++)
		member(a, m[i].path, m[i].type, m[i].size);
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	ret->len = used;
}

static int
take(const struct buf *tar, size_t len, const char *under)
{
	feed.at = tar->data;
	feed.left = len;
	return pg_base_tar_read(&t, under, &e);
}

/* Ends the snapshot with the root, opens it. */
static struct reader *
commit(void)
{
	const struct entry root = { .type = ENTRY_DIR, .path = ".", .pathlen = 1, .mode = 0700 };
	const struct entry *parent;
	struct reader *r = NULL;
	struct manifest m;

	manifest_init(&m);
	assert_int_equal(writer_begin(w, &root, &parent, &e), 0);
	assert_int_equal(writer_end(w, &root, &e), 0);
	if (writer_commit(w, false, &m, &e) == -1)
		fail_msg("%s", e.text);
	assert_int_equal(reader_open(kit.repo, &kit.tier[0], m.name, &r, &e), 0);
	manifest_done(&m);
	return r;
}

static const struct entry *
find(struct reader *r, const char *path)
{
	const struct entry *en;

	if (reader_find(r, path, strlen(path), &en, &e) != 1)
		fail_msg("'%s' is not there", path);
	return en;
}

static void
members_become_entries_with_what_the_tar_says_of_them(void **s)
{
	const struct entry *en;
	struct reader *r;
	struct buf tar;

	(void)s;
	make_tar(usual, ARRAY_LEN(usual), &tar);
	assert_int_equal(take(&tar, tar.len, NULL), 0);
	assert_int_equal(t.entries, ARRAY_LEN(usual));
	assert_int_equal(t.files, 5);
	assert_int_equal(t.bytes, 200 + 5 * 8192 + 3 + 8192);
	assert_true(t.seen && t.uid == 26 && t.gid == 27 && t.mtime_s == 1234567);
	assert_int_equal(label.len, 200);
	assert_memory_equal(label.data, "abcdefgh", 8);
	r = commit();
	en = find(r, "base/5/16384");
	assert_int_equal(en->grain_log2, LAYOUT_GRAIN_PAGE_LOG2);
	assert_true(en->size == 5 * 8192 && en->mode == 0600 && en->uid == 26 && en->mtime_s == 1234567);
	assert_int_equal(find(r, "base/5/PG_VERSION")->size, 3);
	assert_int_equal(find(r, "global/pg_control")->grain_log2, LAYOUT_GRAIN_LOG2);
	assert_int_equal(find(r, "base/5")->type, ENTRY_DIR);
	en = find(r, "pg_wal");
	assert_true(en->type == ENTRY_SYMLINK && en->targetlen == 10);
	reader_free(r);
	buf_done(&tar);
}

static void
pieces_of_any_size_and_a_missing_end_make_no_difference(void **s)
{
	static const size_t pieces[] = { 1, 13, 512, 8192, 32768, 1u << 20 };
	struct reader *r;
	struct buf tar;
	char under[20];

	(void)s;
	make_tar(usual, ARRAY_LEN(usual), &tar);
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		feed.piece = pieces[i];
		snprintf(under, sizeof(under), "pg_tblspc/%zu", i);
		/* Servers up to 14 leave out the two blocks of zeros at the end. */
		assert_int_equal(take(&tar, tar.len - (i % 2) * 1024, under), 0);
		assert_int_equal(t.entries, (i + 1) * ARRAY_LEN(usual));
	}
	for (size_t i = 0; i <= ARRAY_LEN(pieces); i++) {
		struct entry dir = { .type = ENTRY_DIR, .path = under, .mode = 0700 };
		const struct entry *parent;

		if (i < ARRAY_LEN(pieces))
			snprintf(under, sizeof(under), "pg_tblspc/%zu", i);
		else
			snprintf(under, sizeof(under), "pg_tblspc");
		dir.pathlen = strlen(under);
		assert_int_equal(writer_begin(w, &dir, &parent, &e), 0);
		assert_int_equal(writer_end(w, &dir, &e), 0);
	}
	r = commit();
	for (size_t i = 1; i < ARRAY_LEN(pieces); i++) {
		char one[60];

		snprintf(one, sizeof(one), "pg_tblspc/%zu/base/5/16384", i);
		assert_int_equal(find(r, one)->size, 5 * 8192);
	}
	reader_free(r);
	buf_done(&tar);
}

static void
an_empty_archive_has_no_members(void **s)
{
	const struct buf zeros = { .data = xcalloc(1, 1024) };

	(void)s;
	assert_int_equal(take(&zeros, 0, NULL), 0);
	assert_int_equal(take(&zeros, 1024, NULL), 0);
	assert_int_equal(t.entries, 0);
	free(zeros.data);
}

static void
a_tar_that_ends_within_a_member_is_refused(void **s)
{
	struct buf tar;

	(void)s;
	make_tar(usual, 4, &tar);
	assert_int_equal(take(&tar, 4 * 512 + 512 + 3 * 8192, NULL), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_non_null(strstr(e.text, "base/5/16384"));
	buf_done(&tar);
}

static void
what_is_no_tar_is_refused(void **s)
{
	struct buf tar;

	(void)s;
	make_tar(usual, 4, &tar);
	tar.data[2 * 512 + 10] ^= 1; /* in a header: its own sum does not fit any more */
	assert_int_equal(take(&tar, tar.len, NULL), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	vector_noise(tar.data, 3000, 1);
	assert_int_equal(take(&tar, 3000, NULL), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	buf_done(&tar);
}

static void
members_that_would_leave_the_directory_are_refused(void **s)
{
	static const char *const paths[] = { "../x", "/etc/passwd", "base/../../x", "a//b", "a/./b" };
	struct buf tar;

	(void)s;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		const struct member m = { paths[i], AE_IFREG, 1 };

		make_tar(&m, 1, &tar);
		assert_int_equal(take(&tar, tar.len, i % 2 ? NULL : "pg_tblspc/5"), -1);
		assert_int_equal(e.kind, ERR_CORRUPT);
		buf_done(&tar);
	}
}

static void
the_reason_of_the_source_is_the_reason(void **s)
{
	struct buf tar;

	(void)s;
	make_tar(usual, ARRAY_LEN(usual), &tar);
	feed.fail_after = 20;
	assert_int_equal(take(&tar, tar.len, NULL), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_non_null(strstr(e.text, "the server is gone"));
	buf_done(&tar);
}

static void
a_late_run_leaves_an_entry_that_can_be_committed(void **s)
{
	struct manifest m;
	struct buf tar;

	(void)s;
	make_tar(usual, ARRAY_LEN(usual), &tar);
	late = true;
	feed.fail_after = 20;
	assert_int_equal(take(&tar, tar.len, NULL), -1);
	manifest_init(&m);
	assert_int_equal(writer_commit(w, true, &m, &e), 0);
	assert_true(m.bytes > 200 && m.bytes < 5 * 8192);
	manifest_done(&m);
	buf_done(&tar);
}

#define WITH_WRITER(test) cmocka_unit_test_setup_teardown(test, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_are_names_data_progress_and_manifest),
		cmocka_unit_test(messages_that_are_cut_short_are_refused),
		cmocka_unit_test(a_manifest_is_whole_however_it_arrives),
		cmocka_unit_test(a_manifest_with_one_wrong_or_missing_byte_is_refused),
		WITH_WRITER(members_become_entries_with_what_the_tar_says_of_them),
		WITH_WRITER(pieces_of_any_size_and_a_missing_end_make_no_difference),
		WITH_WRITER(an_empty_archive_has_no_members),
		WITH_WRITER(a_tar_that_ends_within_a_member_is_refused),
		WITH_WRITER(what_is_no_tar_is_refused),
		WITH_WRITER(members_that_would_leave_the_directory_are_refused),
		WITH_WRITER(the_reason_of_the_source_is_the_reason),
		WITH_WRITER(a_late_run_leaves_an_entry_that_can_be_committed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
