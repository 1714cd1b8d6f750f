/*
 * The text of a record, and the input as a name of an object: what a listing and a record may
 * bring.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/layout.h"
#include "repo/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What a name parses to must give the same name again. */
static void
names(const char *name)
{
	uint8_t sha[LAYOUT_SHA], epoch[LAYOUT_EPOCH];
	char again[LAYOUT_NAME], recipient[32];
	struct layout_snap part;
	unsigned number;
	int64_t ns;

	if (layout_pack_parse(name, sha) == 0 && strcmp(layout_pack(sha, again), name) != 0)
		abort();
	if (layout_repo_parse(name, &number) == 0 && strcmp(layout_repo(number, again), name) != 0)
		abort();
	if (layout_key_parse(name, epoch, recipient, sizeof(recipient)) == 0 &&
	    strcmp(layout_key(epoch, recipient, again), name) != 0)
		abort();
	if (layout_gc_parse(name, &ns) == 0 && strcmp(layout_gc_new(ns, again), name) != 0)
		abort();
	if (layout_snap_parse(name, &part) == 0 &&
	    (strstr(name, part.id) == NULL || !layout_source_valid(part.source)))
		abort();
	if (layout_pend_snap(name, again) == 0 && layout_snap_parse(again, &part) == -1)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const keys[] = { "snapshot", "state", "level", "by", "", "a b" };
	char *name = xstrndup((const char *)data, n), out[40];
	struct buf text;

	names(name);
	buf_init(&text, n);
	buf_add(&text, data, n);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		for (size_t room = 1; room <= sizeof(out); room += 13)
			if (record_value(&text, keys[i], out, room) == 1 &&
			    (strlen(out) >= room || strchr(out, '\n') != NULL))
				abort();
	buf_done(&text);
	free(name);
	return 0;
}
