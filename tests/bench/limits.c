/*
 * What this machine can do at most, one core, on bytes of the kind that is backed up: the numbers
 * beside which a benchmark's figures mean something. Reads a file, prints `name value MB/s`.
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

static void
say(const char *name, size_t bytes, double since)
{
	printf("%s %.0f MB/s\n", name, (double)bytes / (now() - since) / 1e6);
}

static size_t
measure_read(const char *path, uint8_t *data)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t got;
	double t = now();

	if (fd == -1)
		return 0;
	while (n < MOST && (got = read(fd, data + n, n + PIECE > MOST ? MOST - n : PIECE)) > 0)
		n += (size_t)got;
	close(fd);
	say("read-cached", n, t);
	return n;
}

static void
measure_zip(const uint8_t *data, size_t n)
{
	struct buf packed;
	uint8_t *raw = xmalloc(PIECE);
	double packing = 0, unpacking = 0, t;
	struct err e = {0};
	size_t small = 0;

	buf_init(&packed, 2 * PIECE);
	for (size_t at = 0; at + PIECE <= n; at += PIECE) {
		buf_reset(&packed);
		t = now();
		zip_pack(data + at, PIECE, 1, &packed);
		packing += now() - t;
		small += packed.len;
		t = now();
		if (zip_unpack(packed.data, packed.len, raw, PIECE, &e) == -1)
			abort();
		unpacking += now() - t;
	}
	n -= n % PIECE;
	printf("zstd-1 %.0f MB/s\nunzstd %.0f MB/s\nratio %.2f x\n", (double)n / packing / 1e6,
	    (double)n / unpacking / 1e6, (double)n / (double)small);
	buf_done(&packed);
	free(raw);
}

static void
measure_seal(uint8_t *data, size_t n)
{
	static const uint8_t key[SEAL_KEY] = {1};
	struct seal *s = seal_new(key);
	uint8_t *frame = xmalloc(PIECE + SEAL_TAG);
	double t = now();

	for (size_t at = 0; at + PIECE <= n; at += PIECE) {
		memcpy(frame, data + at, PIECE);
		seal_frame(s, at, key, sizeof(key), frame, PIECE);
	}
	say("aes-256-gcm", n, t);
	seal_free(s);
	free(frame);
}

int
main(int argc, char **argv)
{
	uint8_t *data = xmalloc(MOST), id[GRAIN_ID_LEN];
	struct digest_idkey key;
	size_t n = argc == 2 ? measure_read(argv[1], data) : 0;
	double t;

	if (n < PIECE) {
		fprintf(stderr, "usage: limits FILE (of some MiB)\n");
		return 2;
	}
	digest_idkey_init(&key, data);
	t = now();
	for (size_t at = 0; at < n; at += PIECE)
		digest_id(&key, data + at, n - at < PIECE ? n - at : PIECE, id);
	say("grain-id", n, t);
	measure_zip(data, n);
	measure_seal(data, n);
	free(data);
	return 0;
}
