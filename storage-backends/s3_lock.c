/*
 * A lock that goes on. It is asked for each time, for the store alone knows what became of it: whoever
 * has the right may have shortened one of mode GOVERNANCE, or taken it away.
 */
#include "storage-backends/s3_lock.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "filter/digest.h"
#include "storage-backends/s3_talk.h"

#define TEXT_MOST 4096
#define UNTIL "<RetainUntilDate>"

/* Until when; 0: it is not locked. */
static int
locked_until(struct s3 *s, const char *name, int64_t *ret_ns, struct err *e)
{
	struct s3_request r = { .method = "GET", .query = "retention=", .small = true };
	char when[UNITS_TEXT];
	const char *at;
	struct s3_answer a;
	struct buf text;
	int rc;

	*ret_ns = 0;
	buf_init(&text, TEXT_MOST);
	r.out = &text;
	rc = s3_talk(s, &r, name, &a, e);
	at = rc == 0 && a.status == 200 ? strstr(buf_str(&text), UNTIL) : NULL;
	if (at != NULL) {
		at += strlen(UNTIL);
		snprintf(when, sizeof(when), "%.*s", (int)strcspn(at, "<"), at);
		rc = units_parse_time(when, ret_ns, e);
	} else if (rc == 0 && a.status != 200 && a.status != 404 && a.status != 400) {
		rc = s3_talk_refused(s, &a, "ask for the lock of", name, e);
	}
	buf_done(&text);
	return rc;
}

int
s3_lock_again(struct store *store, const char *name, int64_t slack_ms, struct err *e)
{
	struct s3 *s = s3_talk_of(store);
	const struct store_rule *rule = store_rule_of(&store->options, name);
	char text[400], until[UNITS_TEXT], sum[S3_TALK_LINE];
	const char *const header[] = { sum, "x-amz-sdk-checksum-algorithm: SHA256", NULL };
	struct s3_request r = {
		.method = "PUT", .query = "retention=", .body = text, .header = header, .small = true,
	};
	int64_t now, had, end;
	uint8_t sha[DIGEST_LEN];
	struct s3_answer a;

	if (locked_until(s, name, &had, e) == -1)
		return -1;
	now = s3_talk_now(s);
	end = now + rule->lock_ms * CLOCK_MS;
	if (had >= end - slack_ms * CLOCK_MS)
		return 0;
	snprintf(text, sizeof(text), "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
	    "<Mode>%s</Mode>" UNTIL "%s</RetainUntilDate></Retention>",
	    store->options.lock == STORE_LOCK_COMPLIANCE ? "COMPLIANCE" : "GOVERNANCE",
	    units_time(end, until));
	r.len = strlen(text);
	digest_sha256(text, r.len, sha);
	r.sha = sha;
	s3_talk_sum(sha, sum);
	if (s3_talk(s, &r, name, &a, e) == -1)
		return -1;
	return a.status == 200 || a.status == 204 ? 1 : s3_talk_refused(s, &a, "lock", name, e);
}
