#include "tests/lib/vector.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/mem.h"
#include "filter/zip.h"

#define MOST (4u << 20)

/* Bytes of which `share` in 256 are noise and the others repeat. */
static uint8_t *
mixture(size_t n, unsigned share, uint64_t seed)
{
	uint8_t *p = xmalloc(n + 1);

	vector_noise(p, n, seed);
	for (size_t i = 0; i < n; i++)
		if (i % 256 >= share)
			p[i] = (uint8_t)(i / 256 % 7);
	return p;
}

static void
what_is_packed_comes_out_again(void **state)
{
	static const size_t sizes[] = { 0, 1, 2, 31, 32, 33, 100, 8192, 131072, 131073, MOST };
	static const int levels[] = { -5, 1, 3, 19 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		for (size_t j = 0; j < ARRAY_LEN(levels); j++) {
			size_t n = sizes[i];
			uint8_t *raw = mixture(n, 100, i), *back = xmalloc(n + 1);
			struct err e = { 0 };
			struct buf out;

			if (n == MOST && levels[j] == 19)
				n = MOST / 16; /* slow, and nothing new */
			buf_init(&out, n + 100);
			buf_adds(&out, "before");
			zip_pack(raw, n, levels[j], &out);
			assert_memory_equal(out.data, "before", 6);
			assert_true(out.len <= 6 + 1 + n);
			assert_int_equal(zip_unpack(out.data + 6, out.len - 6, back, n, &e), 0);
			if (n > 0)
				assert_memory_equal(back, raw, n);
			buf_done(&out);
			free(raw);
			free(back);
		}
	}
}

static void
only_what_shrinks_enough_is_compressed(void **state)
{
	static const struct {
		int level;
		size_t worth;
	} at[] = { { 1, 16 }, { 2, 16 }, { 3, 32 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		unsigned packed = 0, plain = 0;

		for (unsigned share = 200; share <= 256; share++) {
			size_t n = 131072;
			uint8_t *raw = mixture(n, share, share);
			struct buf out;

			buf_init(&out, n + 1);
			zip_pack(raw, n, at[i].level, &out);
			if (out.data[0] == ZIP_RAW) {
				assert_int_equal(out.len, n + 1);
				plain++;
			} else {
				assert_true(out.len - 1 <= n - n / at[i].worth);
				packed++;
			}
			buf_done(&out);
			free(raw);
		}
		assert_true(packed > 5);
		assert_true(plain > 5);
	}
}

/* Each byte occurs as often as any other, but all of it comes again. */
static void
noise_that_repeats_is_compressed(void **state)
{
	static uint8_t raw[131072];
	struct buf out;

	(void)state;
	for (size_t at = 0; at < sizeof(raw); at += 4096)
		vector_noise(raw + at, 4096, 9);
	buf_init(&out, sizeof(raw) + 1);
	zip_pack(raw, sizeof(raw), 1, &out);
	assert_int_equal(out.data[0], ZIP_ZSTD);
	assert_true(out.len < sizeof(raw) / 8);
	buf_done(&out);
}

static void
a_full_buffer_is_noticed_and_not_overrun(void **state)
{
	uint8_t *raw = mixture(1000, 256, 1);
	struct err e = { 0 };
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	zip_pack(raw, 1000, 1, &out);
	assert_int_equal(out.len, 0);
	assert_int_equal(buf_check(&out, "frame", &e), -1);
	assert_int_equal(e.kind, ERR_FULL);
	buf_done(&out);
	free(raw);
}

static void
refuse(const uint8_t *in, size_t n, size_t rawlen, enum err_kind kind)
{
	uint8_t *raw = xmalloc(rawlen + 1), *copy = xmalloc(n + 1);
	struct err e = { 0 };

	if (n > 0)
		memcpy(copy, in, n); /* with nothing readable behind it for the sanitizer */
	assert_int_equal(zip_unpack(copy, n, raw, rawlen, &e), -1);
	assert_int_equal(e.kind, kind);
	free(raw);
	free(copy);
}

static void
wrong_lengths_codecs_and_damage_are_refused(void **state)
{
	size_t n = 10000;
	uint8_t *raw = mixture(n, 50, 3);
	struct buf out;

	(void)state;
	buf_init(&out, 3 * n);
	zip_pack(raw, n, 1, &out);
	assert_int_equal(out.data[0], ZIP_ZSTD);
	refuse(out.data, 0, n, ERR_CORRUPT);
	refuse(out.data, out.len, n - 1, ERR_CORRUPT);
	refuse(out.data, out.len, n + 1, ERR_CORRUPT);
	for (size_t cut = 1; cut < out.len; cut += 1 + cut / 8)
		refuse(out.data, cut, n, ERR_CORRUPT);
	buf_addc(&out, 'x');
	refuse(out.data, out.len, n, ERR_CORRUPT);
	out.data[0] = 2;
	refuse(out.data, out.len, n, ERR_UNSUPPORTED);
	out.data[0] = ZIP_RAW;
	refuse(out.data, out.len, n, ERR_CORRUPT);
	buf_done(&out);
	free(raw);
}

static void
a_frame_that_hides_its_length_or_has_a_second_behind_it_is_refused(void **state)
{
	uint8_t raw[500], in[2000];
	ZSTD_CCtx *ctx = ZSTD_createCCtx();
	size_t len, more;

	(void)state;
	memset(raw, 'r', sizeof(raw));
	in[0] = ZIP_ZSTD;
	ZSTD_CCtx_setParameter(ctx, ZSTD_c_contentSizeFlag, 0);
	len = ZSTD_compress2(ctx, in + 1, sizeof(in) - 1, raw, sizeof(raw));
	assert_false(ZSTD_isError(len));
	refuse(in, len + 1, sizeof(raw), ERR_CORRUPT);

	ZSTD_CCtx_setParameter(ctx, ZSTD_c_contentSizeFlag, 1);
	len = ZSTD_compress2(ctx, in + 1, sizeof(in) - 1, raw, sizeof(raw));
	more = ZSTD_compress2(ctx, in + 1 + len, sizeof(in) - 1 - len, raw, 0);
	assert_false(ZSTD_isError(more));
	refuse(in, 1 + len + more, sizeof(raw), ERR_CORRUPT);
	ZSTD_freeCCtx(ctx);
}

static void *
pack_in_a_thread(void *arg)
{
	uint8_t *raw = mixture(50000, 80, (uint64_t)(uintptr_t)arg), *back = xmalloc(50000);
	struct err e = { 0 };
	struct buf out;
	uintptr_t wrong = 0;

	buf_init(&out, 60000);
	for (int i = 0; i < 20; i++) {
		buf_reset(&out);
		zip_pack(raw, 50000, 1, &out);
		wrong += zip_unpack(out.data, out.len, back, 50000, &e) != 0 ||
		    memcmp(raw, back, 50000) != 0;
	}
	buf_done(&out);
	free(raw);
	free(back);
	return (void *)wrong;
}

static void
threads_have_contexts_of_their_own_and_leave_nothing(void **state)
{
	pthread_t thread[4];
	void *wrong;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, pack_in_a_thread,
		    (void *)(uintptr_t)i), 0);
	for (size_t i = 0; i < ARRAY_LEN(thread); i++) {
		assert_int_equal(pthread_join(thread[i], &wrong), 0);
		assert_null(wrong);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_packed_comes_out_again),
		cmocka_unit_test(only_what_shrinks_enough_is_compressed),
		cmocka_unit_test(noise_that_repeats_is_compressed),
		cmocka_unit_test(a_full_buffer_is_noticed_and_not_overrun),
		cmocka_unit_test(wrong_lengths_codecs_and_damage_are_refused),
		cmocka_unit_test(
		    a_frame_that_hides_its_length_or_has_a_second_behind_it_is_refused),
		cmocka_unit_test(threads_have_contexts_of_their_own_and_leave_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
