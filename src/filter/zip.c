/*
 * One bounded buffer in, one out: nothing is flushed, so a frame is a pure function of its bytes
 * and the level. Contexts of zstd cost more to make than to use on 128 KiB, so
 * each thread keeps one of each kind until it ends. The room given to zstd is what is worth
 * having: a frame that does not fit there is stored as it is, and nothing is compressed into
 * spare memory first. No checksum inside: the sealed frame has its tag and the grain its id.
 *
 * To find out that a frame does not shrink costs more than to compress one that does. So what looks
 * like noise, by the bytes that occur in it, is tried in an eighth of it first.
 */
#include "filter/zip.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/mem.h"

/*
 * Less than a part of these saved is not worth the time to unpack it at the worst moment. Who asks
 * for a higher level than the quick ones wants the bytes.
 */
#define WORTH_QUICK 16
#define WORTH 32
#define QUICK_MOST 2
/* Shorter ones are tried as they are. */
#define PROBE_LEAST (64u << 10)
/* Bytes of noise among 4096 looked at: two of them are the same in one of 2^7 cases, or fewer. */
#define LOOK_PARTS 8
#define LOOK_PART 512
#define LOOK_NOISE (LOOK_PARTS * LOOK_PART * (LOOK_PARTS * LOOK_PART >> 7))

struct contexts {
	ZSTD_CCtx *pack;
	ZSTD_DCtx *unpack;
};

static pthread_key_t contexts_key;
static pthread_once_t contexts_once = PTHREAD_ONCE_INIT;

static void
contexts_free(void *arg)
{
	struct contexts *c = arg;

	ZSTD_freeCCtx(c->pack);
	ZSTD_freeDCtx(c->unpack);
	free(c);
}

static void
contexts_key_make(void)
{
	if (pthread_key_create(&contexts_key, contexts_free) != 0)
		abort();
}

/* This thread's own. */
static struct contexts *
contexts_get(void)
{
	struct contexts *c;

	pthread_once(&contexts_once, contexts_key_make);
	c = pthread_getspecific(contexts_key);
	if (c == NULL) {
		c = xmalloc(sizeof(*c));
		c->pack = ZSTD_createCCtx();
		c->unpack = ZSTD_createDCtx();
		if (c->pack == NULL || c->unpack == NULL ||
		    pthread_setspecific(contexts_key, c) != 0)
			abort();
	}
	return c;
}

/* Do all bytes occur about as often, in parts from all over it? Counted in two rows, for speed. */
static bool
looks_like_noise(const uint8_t *raw, size_t n)
{
	const size_t stride = n / LOOK_PARTS;
	uint16_t count[2][256] = { 0 };
	uint32_t sum = 0;

	for (size_t i = 0; i < LOOK_PARTS; i++) {
		/* not always at the same place of a page */
		const uint8_t *p = raw + i * stride + i * 1031 % (stride - LOOK_PART);

		for (size_t k = 0; k < LOOK_PART; k += 2) {
			count[0][p[k]]++;
			count[1][p[k + 1]]++;
		}
	}
	for (size_t i = 0; i < 256; i++) {
		const uint32_t c = (uint32_t)count[0][i] + count[1][i];

		sum += c * c;
	}
	return sum < LOOK_NOISE;
}

static size_t
most_of(size_t n, int level)
{
	const size_t worth = level > QUICK_MOST ? WORTH : WORTH_QUICK;

	return n - (n + worth - 1) / worth;
}

/* Does it fit into the room that is worth having? 0: no. */
static size_t
squeeze(const uint8_t *raw, size_t n, int level, uint8_t *to)
{
	const size_t room = most_of(n, level);
	size_t got;

	if (room == 0)
		return 0;
	got = ZSTD_compressCCtx(contexts_get()->pack, to, room, raw, n, level);
	return ZSTD_isError(got) ? 0 : got;
}

void
zip_pack(const void *raw, size_t n, int level, struct buf *out)
{
	const size_t start = out->len, part = n / LOOK_PARTS;
	uint8_t *p = buf_reserve(out, n + 1);
	size_t got = 0;

	if (p == NULL)
		return;
	if (level > QUICK_MOST || n < PROBE_LEAST || !looks_like_noise(raw, n) ||
	    squeeze((const uint8_t *)raw + n / 2, part, level, p + 1) > 0)
		got = squeeze(raw, n, level, p + 1);
	if (got == 0) {
		p[0] = ZIP_RAW;
		if (n > 0)
			memcpy(p + 1, raw, n);
		got = n;
	} else {
		p[0] = ZIP_ZSTD;
	}
	out->len = start + 1 + got;
	out->data[out->len] = '\0';
}

/* One frame of zstd, all of it, and it says itself how long its contents are. */
static int
unpack_zstd(const uint8_t *in, size_t n, uint8_t *raw, size_t rawlen, struct err *e)
{
	unsigned long long said = ZSTD_getFrameContentSize(in, n);
	size_t got;

	if (said != rawlen)
		return err_set(e, ERR_CORRUPT, "compressed frame: contents are not the %zu bytes "
		    "expected", rawlen);
	if (ZSTD_findFrameCompressedSize(in, n) != n)
		return err_set(e, ERR_CORRUPT, "compressed frame: %zu bytes are not one frame of "
		    "zstd", n);
	got = ZSTD_decompressDCtx(contexts_get()->unpack, raw, rawlen, in, n);
	if (ZSTD_isError(got))
		return err_set(e, ERR_CORRUPT, "compressed frame: %s", ZSTD_getErrorName(got));
	if (got != rawlen)
		return err_set(e, ERR_CORRUPT, "compressed frame: %zu bytes came out, expected "
		    "%zu", got, rawlen);
	return 0;
}

int
zip_unpack(const uint8_t *in, size_t n, uint8_t *raw, size_t rawlen, struct err *e)
{
	if (n == 0)
		return err_set(e, ERR_CORRUPT, "frame without a codec byte");
	switch (in[0]) {
	case ZIP_RAW:
		if (n - 1 != rawlen)
			return err_set(e, ERR_CORRUPT, "plain frame of %zu bytes, expected %zu",
			    n - 1, rawlen);
		if (rawlen > 0)
			memcpy(raw, in + 1, rawlen);
		return 0;
	case ZIP_ZSTD:
		return unpack_zstd(in + 1, n - 1, raw, rawlen, e);
	default:
		return err_set(e, ERR_UNSUPPORTED, "frame with codec %u, known are 0 (plain) and 1 "
		    "(zstd)", in[0]);
	}
}
