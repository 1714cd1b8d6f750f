/*
 * An object that is bad is worse than one that is missing: whoever looks by name and size takes it
 * for there, and nobody puts a good one. So it has to leave its name. But it may be all there is of
 * something, and most of its frames may open; so it is kept, out of the way. What no read can bring
 * back cannot be kept, and goes.
 */
#include "store/aside.h"

#include <stdio.h>

char *
aside_name(const char *name, char out[ASIDE_NAME])
{
	snprintf(out, ASIDE_NAME, "%s%s", ASIDE_PREFIX, name);
	return out;
}

int
aside_object(struct store *s, const char *name, struct err *e)
{
	char aside[ASIDE_NAME];
	struct err why = { 0 };
	struct buf bad;
	int rc = 0;

	buf_init(&bad, STORE_OBJECT_MAX);
	if (store_get(s, name, &bad, &why) == 0) {
		rc = store_put(s, aside_name(name, aside), bad.data, bad.len, STORE_NEW, e);
	} else if (why.kind != ERR_NOTFOUND && why.kind != ERR_IO && why.kind != ERR_CORRUPT) {
		*e = why;
		rc = -1;
	}
	buf_done(&bad);
	return rc == -1 || store_del(s, name, e) == -1 ? -1 : 0;
}
