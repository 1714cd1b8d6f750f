#ifndef STORAGE_BACKENDS_S3_CURL_H
#define STORAGE_BACKENDS_S3_CURL_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "storage-backends/s3_libcurl.h"

/* What every use of libcurl here begins with. */

/* A handle; dies without memory. */
CURL *s3_curl_new(void);
/* Options of every request. ca: NULL for the system's. */
void s3_curl_prepare(CURL *c, const char *ca);
/* The list with one line more; dies without memory. */
struct curl_slist *s3_curl_line(struct curl_slist *list, const char *line);

/* Appends text, encoded as a value of a query (then '/' is encoded, too) or as a path. */
void s3_curl_encode(const char *text, bool query, struct buf *out);

/*
 * A small question without a signature: method, lines (ended by NULL), form (NULL: none). The
 * status, with the body in `out`; -1 with ERR_REMOTE when nothing whole came within `seconds`.
 */
struct s3_curl_ask {
	const char *method, *url, *form, *ca;
	const char *const *line;
	long seconds;
};
long s3_curl_ask(const struct s3_curl_ask *q, struct buf *out, struct err *e);

#endif
