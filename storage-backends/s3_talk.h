#ifndef STORAGE_BACKENDS_S3_TALK_H
#define STORAGE_BACKENDS_S3_TALK_H

#include "storage-backends/s3_http.h"
#include "store/store.h"

/* A bucket, as the files of the driver see it. */
struct s3 {
	struct store store;
	struct s3_http_place place;
	char *bucket, *prefix, *endpoint; /* prefix: "" or "a/b/" */
	struct s3_access *access;
	struct s3_http *http;
	_Atomic int64_t over_boot_ns; /* its clock of boot time here, by the dates of its answers */
	_Atomic int64_t dated_ns; /* when the last of them came; 0: none has */
};

static inline struct s3 *
s3_talk_of(struct store *s)
{
	return (struct s3 *)s;
}

/* The request about an object (NULL: the bucket), made once; 0 with any answer. */
int s3_talk(struct s3 *s, struct s3_request *r, const char *name, struct s3_answer *ret,
    struct err *e);
/* The store's clock now, by its answers so far. At least one has come: that to open. */
int64_t s3_talk_now(const struct s3 *s);
/* What a bad answer to `verb` about that object means: always -1. */
int s3_talk_refused(const struct s3 *s, const struct s3_answer *a, const char *verb, const char *name,
    struct err *e);
/* A date of HTTP as nanoseconds; -1 with e. */
int s3_talk_date(const struct s3 *s, const char *text, int64_t *ret_ns, struct err *e);

/* "x-amz-checksum-sha256: ..." of that hash. */
#define S3_TALK_LINE 100
void s3_talk_sum(const uint8_t *sha, char out[S3_TALK_LINE]);
/* The two lines that lock an object until then. */
void s3_talk_lock(enum store_lock lock, int64_t until_ns, char mode[S3_TALK_LINE],
    char until[S3_TALK_LINE]);

#endif
