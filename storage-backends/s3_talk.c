/*
 * What every question to the bucket goes through: the prefix of the tier before the name, the store's
 * clock and its wish to be left alone out of each answer. The clock matters where objects are locked:
 * until when is the store's time, and ours may be wrong.
 */
#include "storage-backends/s3_talk.h"

#include <stdatomic.h>
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

/*
 * A date is cut to whole seconds and was written before it came, so each tells what the clock is at
 * least: the highest stays, as long as it is not a second above what the newest says.
 */
static void
note_date(struct s3 *s, const struct s3_answer *a)
{
	int64_t date = 0, ahead, old = s->over_boot_ns;

	if (a->header[S3_DATE][0] == '\0' || s3_talk_date(s, a->header[S3_DATE], &date, NULL) == -1)
		return;
	ahead = date - a->began_ns;
	while ((s->dated_ns == 0 || ahead > old || ahead <= old - CLOCK_S) &&
	    !atomic_compare_exchange_weak(&s->over_boot_ns, &old, ahead))
		continue;
	s->dated_ns = a->began_ns;
}

static bool
hurries(void *store)
{
	return store_hurries(store);
}

int
s3_talk(struct s3 *s, struct s3_request *r, const char *name, struct s3_answer *ret,
    struct err *e)
{
	char *full = name == NULL ? NULL : xasprintf("%s%s", s->prefix, name);
	int rc;

	r->name = full;
	if (r->out != NULL && r->body == NULL) { /* changes nothing */
		r->enough = hurries;
		r->enough_arg = &s->store;
	}
	rc = s3_http_do(s->http, r, ret, e);
	free(full);
	if (rc == -1)
		return -1;
	slow_down(s, ret);
	note_date(s, ret);
	return 0;
}

int64_t
s3_talk_now(const struct s3 *s)
{
	return clock_boot_ns() + s->over_boot_ns;
}

/* What each call needs, as a policy writes it. */
static const char *
right_of(const char *verb)
{
	static const struct {
		const char *verb, *right;
	} rights[] = {
		{ "probe", "s3:PutObject" }, /* it begins with one */
		{ "put", "s3:PutObject" },
		{ "get", "s3:GetObject" },
		{ "look at", "s3:GetObject (or s3:ListBucket, where it is not there)" },
		{ "delete", "s3:DeleteObject" },
		{ "ask for the lock of", "s3:GetObjectRetention" },
		{ "lock", "s3:PutObjectRetention" },
		{ "order back", "s3:RestoreObject" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rights); i++)
		if (strcmp(rights[i].verb, verb) == 0)
			return rights[i].right;
	return NULL;
}

int
s3_talk_refused(const struct s3 *s, const struct s3_answer *a, const char *verb, const char *name,
    struct err *e)
{
	const char *needs = right_of(verb);
	char what[STORE_NAME_MAX + 40], right[2 * STORE_NAME_MAX];

	snprintf(what, sizeof(what), "%s '%s'", verb, name);
	if (needs != NULL)
		snprintf(right, sizeof(right), "most likely %s on '%s/%s%s': does the policy name that "
		    "prefix?", needs, s->bucket, s->prefix, name);
	s3_refusal_right(&s->place, a, what, needs == NULL ? NULL : right, e);
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
