/*
 * Stores word the same refusal differently, so the status decides, and a word only where one status
 * has several meanings. A word that is not known changes nothing.
 *
 * "Not there" is believed of an object only: a store that has lost its drives may say that its bucket
 * is not there, and that is a store that is away.
 */
#include "storage-backends/s3_refusal.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "storage-backends/s3_xml.h"

struct meaning {
	long status; /* 0: any */
	const char *code; /* NULL: any */
	enum err_kind kind;
	const char *fix;
};

#define FIRST_DAY "operations.md, 'The first day with buckets',"
#define FIX_ROOM "make room, or let the quota of the bucket be raised"

/* The first that fits counts. */
static const struct meaning meanings[] = {
	{ 404, "NoSuchKey", ERR_NOTFOUND, NULL },
	{ 404, "NoSuchVersion", ERR_NOTFOUND, NULL },
	{ 404, "NoSuchBucket", ERR_REMOTE, "url = must name a bucket that is there; " FIRST_DAY
	    " says how one is made" },
	{ 404, NULL, ERR_REMOTE, NULL },
	{ 403, "QuotaExceeded", ERR_FULL, FIX_ROOM },
	{ 0, "XMinioAdminBucketQuotaExceeded", ERR_FULL, FIX_ROOM },
	{ 507, NULL, ERR_FULL, "make room in the store" },
	{ 0, "XMinioStorageFull", ERR_FULL, "make room in the store" },
	{ 0, "ExpiredToken", ERR_REMOTE, NULL },
	{ 403, "RequestTimeTooSkewed", ERR_PERMISSION, "set the clock of this host right (its NTP)" },
	{ 403, "InvalidObjectState", ERR_FROZEN, NULL }, /* who reads knows whether it can be ordered */
	{ 403, "SignatureDoesNotMatch", ERR_PERMISSION,
	    "what secret-key = names must be the secret that belongs to the key of access-key =" },
	{ 403, "InvalidAccessKeyId", ERR_PERMISSION,
	    "the store does not know the key that access-key = names: is it of this endpoint?" },
	{ 401, NULL, ERR_PERMISSION, NULL },
	{ 403, NULL, ERR_PERMISSION, "the key's owner needs the rights to list, get, put and delete; "
	    FIRST_DAY " has a policy" },
	{ 301, NULL, ERR_CONFIG, "region = and endpoint = must be those of the bucket" },
	{ 307, NULL, ERR_REMOTE, NULL },
	{ 400, "AuthorizationHeaderMalformed", ERR_CONFIG, "region = must be that of the bucket" },
	{ 400, "InvalidStorageClass", ERR_CONFIG, "class = must be one that the store has" },
	/* The bytes were changed on the way, or came too slowly: they are sent again. */
	{ 400, "XAmzContentSHA256Mismatch", ERR_REMOTE, NULL },
	{ 400, "XAmzContentChecksumMismatch", ERR_REMOTE, NULL },
	{ 400, "BadDigest", ERR_REMOTE, NULL },
	{ 400, "RequestTimeout", ERR_REMOTE, NULL },
	{ 400, "IncompleteBody", ERR_REMOTE, NULL },
	{ 408, NULL, ERR_REMOTE, NULL },
	{ 409, NULL, ERR_REMOTE, NULL },
	{ 416, NULL, ERR_CORRUPT, NULL },
	{ 429, NULL, ERR_REMOTE, NULL },
	{ 501, NULL, ERR_UNSUPPORTED, NULL },
	{ 505, NULL, ERR_UNSUPPORTED, NULL },
};

static const struct meaning *
meaning_of(long status, const char *code)
{
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
		const struct meaning *m = &meanings[i];

		if ((m->status == 0 || m->status == status) &&
		    (m->code == NULL || strcmp(m->code, code) == 0))
			return m;
	}
	return NULL;
}

int
s3_refusal(const struct s3_http_place *place, const struct s3_answer *a, const char *what,
    struct err *e)
{
	return s3_refusal_right(place, a, what, NULL, e);
}

int
s3_refusal_right(const struct s3_http_place *place, const struct s3_answer *a, const char *what,
    const char *right, struct err *e)
{
	struct s3_xml_error x;
	const struct meaning *m;
	enum err_kind kind;

	s3_xml_error(a->said, &x);
	m = meaning_of(a->status, x.code);
	kind = m != NULL ? m->kind : a->status / 100 == 5 ? ERR_REMOTE : ERR_UNSUPPORTED;
	err_set(e, kind, "%s at %s/%s: status %ld%s%s%s%s", what, place->endpoint, place->bucket,
	    a->status, x.code[0] != '\0' ? " " : "", x.code, x.message[0] != '\0' ? ": " : "", x.message);
	if (a->header[S3_BUCKET_REGION][0] != '\0' &&
	    strcmp(a->header[S3_BUCKET_REGION], place->region) != 0)
		err_line(e, "region", "the bucket lies in '%s', region = says '%s'",
		    a->header[S3_BUCKET_REGION], place->region);
	if (m != NULL && m->status == 403 && m->code == NULL && right != NULL)
		err_line(e, "lacks", "%s", right);
	if (m != NULL && m->fix != NULL)
		err_line(e, "fix", "%s", m->fix);
	return -1;
}

bool
s3_refusal_is(const struct s3_answer *a, const char *code)
{
	struct s3_xml_error x;

	s3_xml_error(a->said, &x);
	return strcmp(x.code, code) == 0;
}
