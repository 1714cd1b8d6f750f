/*
 * Any bytes as a compressed frame: the first two are the length expected, the rest is the frame.
 * What comes out must, packed again, come out the same.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "filter/zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct err e = { 0 };
	uint8_t *raw, *again;
	size_t rawlen;
	struct buf out;

	if (n < 2)
		return 0;
	rawlen = buf_get_u16(data);
	raw = xmalloc(rawlen + 1);
	again = xmalloc(rawlen + 1);
	buf_init(&out, rawlen + 1);
	if (zip_unpack(data + 2, n - 2, raw, rawlen, &e) == 0) {
		zip_pack(raw, rawlen, 1, &out);
		if (zip_unpack(out.data, out.len, again, rawlen, &e) == -1 ||
		    memcmp(raw, again, rawlen) != 0)
			abort();
	}
	buf_done(&out);
	free(raw);
	free(again);
	return 0;
}
