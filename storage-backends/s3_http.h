#ifndef STORAGE_BACKENDS_S3_HTTP_H
#define STORAGE_BACKENDS_S3_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "storage-backends/s3_access.h"

/*
 * One signed request and its answer, once. Any thread; each takes a connection that another one has
 * left open.
 */
struct s3_http_place {
	const char *endpoint; /* "https://host[:port]", without a slash at the end */
	const char *bucket;
	const char *region;
	const char *ca;	 /* a file of certificates to believe; NULL: those of the system */
	bool host_style; /* the bucket is a part of the host's name */
	uint64_t rate;	 /* bytes a second at most, of one transfer; 0: no limit */
};

struct s3_request {
	const char *method;
	const char *name;  /* of the object, with the tier's prefix; NULL: the bucket itself */
	const char *query; /* sorted, encoded, every key with its '='; NULL */
	const void *body;
	size_t len;
	const uint8_t *sha;	   /* SHA-256 of the body; NULL: it is computed */
	const char *const *header; /* more of them, "Name: value", ended by NULL; NULL */
	struct buf *out;	   /* the body of a good answer goes here; NULL: nowhere */
	bool small;		   /* question and answer are: it has to be quick */
	bool (*enough)(void *arg); /* true breaks it off, ERR_REMOTE; NULL: never */
	void *enough_arg;
};

enum s3_header {
	S3_DATE,
	S3_LAST_MODIFIED,
	S3_CONTENT_RANGE,
	S3_BUCKET_REGION,
	S3_DELETE_MARKER,
	S3_VERSION_ID,
	S3_STORAGE_CLASS,
	S3_RESTORE,
	S3_CHECKSUM,
	S3_LOCK_MODE,
	S3_LOCK_UNTIL,
	S3_RETRY_AFTER,
	S3_REQUEST_ID, /* of the answer: no other has the same */
	S3_HEADERS
};

#define S3_HEADER_MOST 128
struct s3_answer {
	long status;
	unsigned sent;		      /* how often: libcurl repeats what met a connection that had died */
	int64_t length;		      /* as announced; -1: not */
	int64_t began_ns;	      /* when it began to come; boot time */
	char header[S3_HEADERS][S3_HEADER_MOST]; /* "" when absent */
	char said[4096];	      /* what a bad answer says, cut there */
};

struct s3_http *s3_http_new(const struct s3_http_place *place, struct s3_access *access);
void s3_http_free(struct s3_http *h);
/*
 * 0 when there was an answer, good or bad. -1: none that is whole, ERR_REMOTE; or a request that
 * cannot be made, or a server that is not who it should be: ERR_CONFIG. Of a bad answer nothing is
 * added to out; of one that broke off something may be.
 */
int s3_http_do(struct s3_http *h, const struct s3_request *r, struct s3_answer *ret, struct err *e);

#endif
