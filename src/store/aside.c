/*
 * An object that is bad is worse than one that is missing: whoever looks by name and size takes it
 * for there, and nobody puts a good one. So it has to leave its name. But it may be all there is of
 * something, and most of its frames may open; so it is kept, out of the way. What no read can bring
 * back cannot be kept, and goes.
 *
 * An object may be set aside more than once, and the later one may be the better one. So the first
 * that is different from what lies there gets a name of its own, with a number behind.
 */
#include "store/aside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Far more than anybody sets aside by hand; where it is reached something is wrong with us. */
#define ASIDE_MOST 1000

char *
aside_name(const char *name, unsigned n, char out[ASIDE_NAME])
{
	if (n == 0)
		snprintf(out, ASIDE_NAME, "%s%s", ASIDE_PREFIX, name);
	else
		snprintf(out, ASIDE_NAME, "%s%s.%u", ASIDE_PREFIX, name, n + 1);
	return out;
}

char *
aside_plain(const char *aside, char out[ASIDE_NAME])
{
	char *dot;

	snprintf(out, ASIDE_NAME, "%s", aside + strlen(ASIDE_PREFIX));
	dot = strrchr(out, '.');
	if (dot != NULL && dot[1] != '\0' && strspn(dot + 1, "0123456789") == strlen(dot + 1) &&
	    strlen(dot + 1) < sizeof("1000"))
		*dot = '\0';
	return out;
}

/* Is it these bytes that have the name? 1/0/-1. */
static int
same(struct store *s, const char *aside, const struct buf *bytes, struct err *e)
{
	struct err why = { 0 };
	struct buf there;
	int rc;

	buf_init(&there, STORE_OBJECT_MAX);
	if (store_get(s, aside, &there, &why) == 0)
		rc = there.len == bytes->len &&
		    (there.len == 0 || memcmp(there.data, bytes->data, there.len) == 0);
	else
		rc = why.kind == ERR_REMOTE ? -1 : 0;
	if (rc == -1 && e != NULL)
		*e = why;
	buf_done(&there);
	return rc;
}

static int
keep(struct store *s, const char *name, const struct buf *bytes, char out[ASIDE_NAME], struct err *e)
{
	int rc = 0;

	for (unsigned n = 0; n < ASIDE_MOST && rc == 0; n++) {
		aside_name(name, n, out);
		rc = store_put(s, out, bytes->data, bytes->len, STORE_NEW, e);
		if (rc == 0)
			rc = same(s, out, bytes, e);
	}
	return rc != 0 ? rc : err_set(e, ERR_FULL, "'%s' was set aside %d times before: what lies below "
	    ASIDE_PREFIX " is to be looked at", name, ASIDE_MOST);
}

int
aside_keep(struct store *s, const char *name, char out[ASIDE_NAME], struct err *e)
{
	struct err why = { 0 };
	struct buf bad;
	int rc = 0;

	out[0] = '\0';
	buf_init(&bad, STORE_OBJECT_MAX);
	if (store_get(s, name, &bad, &why) == 0) {
		rc = keep(s, name, &bad, out, e);
	} else if (why.kind != ERR_NOTFOUND && why.kind != ERR_IO && why.kind != ERR_CORRUPT) {
		if (e != NULL)
			*e = why;
		rc = -1;
	}
	buf_done(&bad);
	return rc;
}

int
aside_object(struct store *s, const char *name, char out[ASIDE_NAME], struct err *e)
{
	char kept[ASIDE_NAME];

	if (aside_keep(s, name, out == NULL ? kept : out, e) == -1)
		return -1;
	return store_del(s, name, e) == -1 ? -1 : 0;
}
