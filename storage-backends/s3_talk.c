/*
 * What every question to the bucket goes through: the prefix of the tier before the name, the store's
 * clock and its wish to be left alone out of each answer. The clock matters where objects are locked:
 * until when is the store's time, and ours may be wrong.
 */
#include "storage-backends/s3_talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"
#include "filter/digest.h"
#include "storage-backends/s3_curl.h"
#include "storage-backends/s3_refusal.h"

/* How long the store wants to be left alone; it may also be a date, which nobody sends. */
static void
slow_down(struct s3 *s, const struct s3_answer *a)
{
	long seconds = strtol(a->header[S3_RETRY_AFTER], NULL, 10);

	if ((a->status == 429 || a->status == 503) && seconds > 0)
		store_slow_down(&s->store, (int64_t)seconds * CLOCK_S);
}

int
s3_talk(struct s3 *s, struct s3_request *r, const char *name, struct s3_answer *ret,
    struct err *e)
{
	char *full = name == NULL ? NULL : xasprintf("%s%s", s->prefix, name);
	int64_t now = 0;
	int rc;

	r->name = full;
	rc = s3_http_do(s->http, r, ret, e);
	free(full);
	if (rc == -1)
		return -1;
	slow_down(s, ret);
	if (ret->header[S3_DATE][0] != '\0' && s3_talk_date(s, ret->header[S3_DATE], &now, NULL) == 0)
		s->ahead_ns = now - clock_real_ns();
	return 0;
}

int
s3_talk_refused(const struct s3 *s, const struct s3_answer *a, const char *verb, const char *name,
    struct err *e)
{
	char what[STORE_NAME_MAX + 40];

	snprintf(what, sizeof(what), "%s '%s'", verb, name);
	s3_refusal(&s->place, a, what, e);
	if (strcmp(a->header[S3_DELETE_MARKER], "true") == 0)
		err_line(e, "hidden", "it was deleted, and the bucket still has it");
	return -1;
}

int
s3_talk_date(const struct s3 *s, const char *text, int64_t *ret_ns, struct err *e)
{
	time_t t = curl_getdate(text, NULL);

	if (t == -1)
		return err_set(e, ERR_REMOTE, "'%s' gives '%s' as a time", s->place.endpoint, text);
	*ret_ns = (int64_t)t * CLOCK_S;
	return 0;
}

void
s3_talk_sum(const uint8_t *sha, char out[S3_TALK_LINE])
{
	struct buf sum;

	buf_init(&sum, S3_TALK_LINE);
	text_base64(sha, DIGEST_LEN, &sum);
	snprintf(out, S3_TALK_LINE, "x-amz-checksum-sha256: %s", buf_str(&sum));
	buf_done(&sum);
}

void
s3_talk_lock(enum store_lock lock, int64_t until_ns, char mode[S3_TALK_LINE],
    char until[S3_TALK_LINE])
{
	char text[UNITS_TEXT];

	snprintf(mode, S3_TALK_LINE, "x-amz-object-lock-mode: %s",
	    lock == STORE_LOCK_COMPLIANCE ? "COMPLIANCE" : "GOVERNANCE");
	snprintf(until, S3_TALK_LINE, "x-amz-object-lock-retain-until-date: %s",
	    units_time(until_ns, text));
}
