/*
 * What this machine can do at most, one core, on bytes of the kind that is backed up: the numbers
 * beside which a benchmark's figures mean something. Reads the files, as many bytes as it keeps,
 * prints `name value MB/s`, and at last how many seconds of one core a GB of them costs to back up
 * and to restore where nothing but the work itself is done.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "filter/digest.h"
#include "filter/seal.h"
#include "filter/zip.h"

#define PIECE (128u << 10)
#define MOST (256u << 20)

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Seconds for all the bytes. */
struct work {
	double read, id, pack, unpack, seal;
	size_t packed;
};

static void
say(const char *name, size_t bytes, double seconds)
{
	printf("%s %.0f MB/s\n", name, (double)bytes / seconds / 1e6);
}

static size_t
read_all(char **path, uint8_t *data)
{
	size_t n = 0;

	for (; *path; path++) {
		int fd = open(*path, O_RDONLY | O_CLOEXEC);
		ssize_t got;

		while (fd != -1 && n < MOST &&
		    (got = read(fd, data + n, n + PIECE > MOST ? MOST - n : PIECE)) > 0)
			n += (size_t)got;
		if (fd != -1)
			close(fd);
	}
	return n;
}

static void
measure_ids(const uint8_t *data, size_t n, struct work *w)
{
	struct digest_idkey key;
	uint8_t id[GRAIN_ID_LEN];
	double t = now();

	digest_idkey_init(&key, data);
	for (size_t at = 0; at < n; at += PIECE)
		digest_id(&key, data + at, n - at < PIECE ? n - at : PIECE, id);
	w->id = now() - t;
}

static void
measure_zip(const uint8_t *data, size_t n, struct work *w)
{
	struct buf packed;
	uint8_t *raw = xmalloc(PIECE);
	struct err e = {0};

	buf_init(&packed, 2 * PIECE);
	for (size_t at = 0; at + PIECE <= n; at += PIECE) {
		double t = now(), between;

		buf_reset(&packed);
		zip_pack(data + at, PIECE, 1, &packed);
		between = now();
		w->pack += between - t;
		w->packed += packed.len;
		if (zip_unpack(packed.data, packed.len, raw, PIECE, &e) == -1)
			abort();
		w->unpack += now() - between;
	}
	buf_done(&packed);
	free(raw);
}

static void
measure_seal(const uint8_t *data, size_t n, struct work *w)
{
	static const uint8_t key[SEAL_KEY] = {1};
	struct seal *s = seal_new(key);
	uint8_t *frame = xmalloc(PIECE + SEAL_TAG);
	double t = now();

	for (size_t at = 0; at + PIECE <= n; at += PIECE) {
		memcpy(frame, data + at, PIECE);
		seal_frame(s, at, key, sizeof(key), frame, PIECE);
	}
	w->seal = now() - t;
	seal_free(s);
	free(frame);
}

int
main(int argc, char **argv)
{
	uint8_t *data = xmalloc(MOST);
	struct work w = {0};
	size_t n;

	memset(data, 1, MOST); /* fresh memory is not what is measured */
	w.read = now();
	n = argc > 1 ? read_all(argv + 1, data) : 0;
	w.read = now() - w.read;
	n -= n % PIECE;
	if (n == 0) {
		fprintf(stderr, "usage: limits FILE... (of some MiB)\n");
		return 2;
	}
	measure_ids(data, n, &w);
	measure_zip(data, n, &w);
	measure_seal(data, n, &w);
	say("read-cached", n, w.read);
	say("grain-id", n, w.id);
	say("zstd-1", n, w.pack);
	say("unzstd", n, w.unpack);
	printf("ratio %.2f x\n", (double)n / (double)w.packed);
	say("aes-256-gcm", n, w.seal);
	/* A GB read, identified, packed, sealed once packed; opened, unpacked, identified. */
	w.seal *= (double)w.packed / (double)n;
	printf("backup %.2f s/GB\n", (w.read + w.id + w.pack + w.seal) / (double)n * 1e9);
	printf("restore %.2f s/GB\n", (w.seal + w.unpack + w.id) / (double)n * 1e9);
	free(data);
	return 0;
}
