/*
 * One bounded buffer in, one out: nothing is flushed, so a frame is a pure function of its bytes
 * and the level. Contexts of zstd cost more to make than to use on 128 KiB, so
 * each thread keeps one of each kind until it ends. The room given to zstd is what is worth
 * having: a frame that does not fit there is stored as it is, and nothing is compressed into
 * spare memory first. No checksum inside: the sealed frame has its tag and the grain its id.
 */
#include "filter/zip.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/mem.h"

/* Less than a 1/32 saved is not worth the time to unpack it at the worst moment. */
#define WORTH 32

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

void
zip_pack(const void *raw, size_t n, int level, struct buf *out)
{
	size_t start = out->len, room = n - (n + WORTH - 1) / WORTH, got;
	uint8_t *p = buf_reserve(out, n + 1);

	if (p == NULL)
		return;
	got = room == 0 ? 0 :
	    ZSTD_compressCCtx(contexts_get()->pack, p + 1, room, raw, n, level);
	if (room == 0 || ZSTD_isError(got)) {
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
