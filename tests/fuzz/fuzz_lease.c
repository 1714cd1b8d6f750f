/* The texts of the coordination place: the input as a lease. What is taken has one spelling. */
#include <stdlib.h>
#include <string.h>

#include "coord/lease.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct err e = { 0 };
	struct lease_text t;
	struct buf text, again;

	buf_init(&text, n);
	buf_init(&again, n);
	buf_add(&text, data, n);
	if (lease_text_read(&text, &t, &e) == -1) {
		if (e.kind != ERR_CORRUPT || e.text[0] == '\0')
			abort();
	} else {
		lease_text_write(&t, &again);
		if (again.over || again.len != n || memcmp(again.data, data, n) != 0 ||
		    strlen(t.holder) >= sizeof(t.holder) || t.until_ns < 0)
			abort();
	}
	buf_done(&text);
	buf_done(&again);
	return 0;
}
