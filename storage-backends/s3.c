/*
 * Objects in a bucket. One request an object, never in parts: a name has all its bytes or none, and
 * nothing is left behind by a process that died.
 *
 * Three things would surprise. An answer to HEAD has no body, so one that says "not there" is asked
 * again as a GET, whose body tells an object that is not there from a bucket that is not. DELETE says
 * the same whether there was something, so we look first. And no version is ever deleted: where the
 * bucket keeps them, what we let go of is hidden, as what an intruder with our keys lets go of is, and
 * the bucket's own rules remove it in time.
 */
#include "storage-backends/s3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "filter/digest.h"
#include "storage-backends/s3_access.h"
#include "storage-backends/s3_list.h"
#include "storage-backends/s3_lock.h"
#include "storage-backends/s3_probe.h"
#include "storage-backends/s3_refusal.h"
#include "storage-backends/s3_talk.h"
#include "storage-backends/s3_thaw.h"

#define REGION "us-east-1"
/* So long the last answer's date will do; where much is stored, none is asked for. */
#define DATE_GOOD_NS (60 * CLOCK_S)
#define BUCKET_LEAST 3
#define BUCKET_MOST 63
#define ASKED_MOST 3
#define ASKED_QUICK_NS (2 * CLOCK_S)
#define ASKED_PAUSE_NS (CLOCK_S / 5)
#define VERSIONING_MOST 4096 /* what a bucket says of it */

/* ---- opening ---- */

static void
s3_close(struct store *store)
{
	struct s3 *s = s3_talk_of(store);

	s3_http_free(s->http);
	s3_access_free(s->access);
	free(s->bucket);
	free(s->prefix);
	free(s->endpoint);
	free(s);
}

static int
parse_url(struct s3 *s, const char *url, struct err *e)
{
	const char *bucket = url + strlen("s3://"), *end = bucket + strcspn(bucket, "/");
	size_t len = (size_t)(end - bucket), rest;

	if (len < BUCKET_LEAST || len > BUCKET_MOST ||
	    strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-") < len)
		return err_set(e, ERR_CONFIG, "'%s': expected s3://BUCKET or s3://BUCKET/PREFIX, the "
		    "bucket of 3 to 63 of a-z 0-9 . -", url);
	while (*end == '/')
		end++;
	rest = strlen(end);
	while (rest > 0 && end[rest - 1] == '/')
		rest--;
	s->bucket = xstrndup(bucket, len);
	s->prefix = rest == 0 ? xstrdup("") : xasprintf("%.*s/", (int)rest, end);
	if (rest > 0) {
		char *plain = xstrndup(end, rest);
		bool valid = store_name_valid(plain);

		free(plain);
		if (!valid)
			return err_set(e, ERR_CONFIG, "'%s': expected a prefix of A-Z a-z 0-9 . _ - and "
			    "single slashes", url);
	}
	return 0;
}

static int
parse_endpoint(struct s3 *s, const struct store_options *o, struct err *e)
{
	size_t n;

	s->endpoint = o->endpoint != NULL ? xstrdup(o->endpoint) :
	    xasprintf("https://s3.%s.amazonaws.com", s->place.region);
	for (n = strlen(s->endpoint); n > 0 && s->endpoint[n - 1] == '/'; n--)
		s->endpoint[n - 1] = '\0';
	if (strncmp(s->endpoint, "https://", 8) == 0 || strncmp(s->endpoint, "http://", 7) == 0)
		return 0;
	return err_set(e, ERR_CONFIG, "endpoint '%s': expected https://HOST or http://HOST:PORT",
	    s->endpoint);
}

static bool
s3_clock_lately(struct store *store, int64_t *ret_ns)
{
	const struct s3 *s = s3_talk_of(store);

	if (s->dated_ns == 0 || clock_boot_ns() - s->dated_ns >= DATE_GOOD_NS)
		return false;
	/* Whole seconds, as of what is stored. */
	*ret_ns = s3_talk_now(s);
	*ret_ns -= *ret_ns % CLOCK_S;
	return true;
}

/*
 * Of the bucket itself. Opening is not tried again by anybody, because one that is silent would cost its
 * twenty seconds as often. But where somebody took the question and broke off, or wants to be left alone
 * for a moment, that was no answer.
 */
static int
ask_bucket(struct s3 *s, struct s3_request *r, struct s3_answer *a, struct err *e)
{
	for (int64_t tries = 1;; tries++) {
		const int64_t began = clock_boot_ns();
		int rc;

		a->sent = 0;
		rc = s3_talk(s, r, NULL, a, e);
		if (rc == -1 ? a->sent == 0 :
			a->status != 429 && (a->status / 100 != 5 || a->status == 501))
			return rc;
		if (tries == ASKED_MOST || clock_boot_ns() - began > ASKED_QUICK_NS)
			return rc;
		clock_sleep_ns(tries * ASKED_PAUSE_NS);
		if (r->out != NULL)
			buf_reset(r->out);
	}
}

static int
s3_clock(struct store *store, int64_t *ret_ns, struct err *e)
{
	struct s3 *s = s3_talk_of(store);
	struct s3_request r = { .method = "HEAD", .small = true };
	struct s3_answer a;
	char right[STORE_NAME_MAX];

	if (ask_bucket(s, &r, &a, e) == -1)
		return -1;
	if (a.status == 200)
		return s3_talk_date(s, a.header[S3_DATE], ret_ns, e);
	/* Again, for the words. */
	r.method = "GET";
	r.query = "list-type=2&max-keys=1";
	if (ask_bucket(s, &r, &a, e) == -1)
		return -1;
	if (a.status == 200)
		return s3_talk_date(s, a.header[S3_DATE], ret_ns, e);
	snprintf(right, sizeof(right), "most likely s3:ListBucket on '%s'", s->bucket);
	return s3_refusal_right(&s->place, &a, "open the bucket", right, e);
}

/*
 * A bucket that never kept versions shows what is there now, as if it had been there then. Where they
 * were suspended, those of before are still kept. Who may not ask goes by what is listed.
 */
static int
keeps_versions(struct s3 *s, struct err *e)
{
	struct s3_request r = { .method = "GET", .query = "versioning=", .small = true };
	struct s3_answer a;
	struct buf text;
	int rc;

	buf_init(&text, VERSIONING_MOST);
	r.out = &text;
	rc = ask_bucket(s, &r, &a, e);
	if (rc == 0 && a.status == 200 && strstr(buf_str(&text), "<Status>") == NULL)
		rc = err_set(e, ERR_UNSUPPORTED, "'%s' cannot be looked at as it was: the bucket keeps "
		    "no versions", s->store.options.url);
	else if (rc == 0 && a.status != 200 && a.status != 403 && a.status != 501)
		rc = s3_refusal(&s->place, &a, "ask whether the bucket keeps versions", e);
	buf_done(&text);
	return rc;
}

static int
s3_open(const struct store_options *o, struct store **ret, struct err *e)
{
	struct s3 *s = xcalloc(1, sizeof(*s));
	struct s3_access_options who = {
		.key = o->access_key, .secret = o->secret_key, .profile = o->profile, .ca = o->ca,
	};
	int64_t now;

	s->store.ops = &store_s3;
	s->store.options = *o;
	s->place.region = who.region = o->region != NULL ? o->region : REGION;
	if (parse_url(s, o->url, e) == -1 || parse_endpoint(s, o, e) == -1)
		goto fail;
	s->place.endpoint = s->endpoint;
	s->place.bucket = s->bucket;
	s->place.ca = o->ca;
	s->place.host_style = o->host_style;
	s->place.rate = o->rate;
	s->access = s3_access_new(&who);
	s->http = s3_http_new(&s->place, s->access);
	if (s3_clock(&s->store, &now, e) == -1 ||
	    (o->as_of_ns != 0 && keeps_versions(s, e) == -1))
		goto fail;
	*ret = &s->store;
	return 0;
fail:
	s3_close(&s->store);
	return -1;
}

/* ---- one object ---- */

static int
refuse_past(const struct s3 *s, struct err *e)
{
	return s->store.options.as_of_ns == 0 ? 0 : err_set(e, ERR_REFUSED,
	    "'%s' is looked at as it was: nothing is changed there", s->store.options.url);
}

/* 1 there, 0 the store itself says that it is not, -1. */
static int
s3_stat(struct store *store, const char *name, struct store_stat *ret, struct err *e)
{
	struct s3 *s = s3_talk_of(store);
	struct s3_request r = { .method = "HEAD", .small = true };
	char version[S3_LIST_QUERY];
	struct s3_answer a;
	struct err why = { 0 };

	if (store->options.as_of_ns != 0)
		return s3_list_then(s, name, version, ret, e);
	if (s3_talk(s, &r, name, &a, e) == -1)
		return -1;
	if (a.status == 200) {
		if (a.length < 0)
			return err_set(e, ERR_REMOTE, "'%s' says no size of '%s'", s->place.endpoint,
			    name);
		ret->size = (uint64_t)a.length;
		return s3_talk_date(s, a.header[S3_LAST_MODIFIED], &ret->time_ns, e) == -1 ? -1 : 1;
	}
	if (a.status != 404)
		return s3_talk_refused(s, &a, "look at", name, e);
	r.method = "GET";
	if (s3_talk(s, &r, name, &a, e) == -1)
		return -1;
	if (a.status == 200)
		return err_set(e, ERR_REMOTE, "'%s' says both that '%s' is there and that it is not",
		    s->place.endpoint, name);
	s3_talk_refused(s, &a, "look at", name, &why);
	if (why.kind == ERR_NOTFOUND)
		return 0;
	if (e != NULL)
		*e = why;
	return -1;
}

/* The header lines of a put; `room` is theirs. */
struct put_lines {
	char sum[S3_TALK_LINE], class[100], mode[S3_TALK_LINE], until[S3_TALK_LINE];
	const char *line[8];
};

static void
put_lines(const struct s3 *s, const char *name, const uint8_t *sha, enum store_put how,
    struct put_lines *l)
{
	const struct store_options *o = &s->store.options;
	const struct store_rule *rule = store_rule_of(o, name);
	size_t n = 0;

	/* What the store is to hold, so that it refuses anything else, and keeps it beside the object. */
	s3_talk_sum(sha, l->sum);
	l->line[n++] = l->sum;
	l->line[n++] = "x-amz-sdk-checksum-algorithm: SHA256";
	if (how == STORE_NEW)
		l->line[n++] = "If-None-Match: *";
	if (o->class != NULL && rule != NULL && rule->cold) {
		snprintf(l->class, sizeof(l->class), "x-amz-storage-class: %s", o->class);
		l->line[n++] = l->class;
	}
	if (o->lock != STORE_LOCK_NONE && rule != NULL && rule->lock_ms > 0) {
		s3_talk_lock(o->lock, s3_talk_now(s) + rule->lock_ms * CLOCK_MS,
		    l->mode, l->until);
		l->line[n++] = l->mode;
		l->line[n++] = l->until;
	}
	l->line[n] = NULL;
}

static int
s3_put(struct store *store, const char *name, const void *data, size_t len, const uint8_t *sha,
    enum store_put how, struct err *e)
{
	struct s3 *s = s3_talk_of(store);
	uint8_t own[DIGEST_LEN];
	struct put_lines l;
	struct s3_request r = {
		.method = "PUT", .body = len == 0 ? "" : data, .len = len, .header = l.line,
	};
	struct store_stat there;
	struct s3_answer a;
	int rc;

	if (refuse_past(s, e) == -1)
		return -1;
	if (store->options.overwrites && how == STORE_NEW) {
		rc = s3_stat(store, name, &there, e);
		if (rc != 0)
			return rc == -1 ? -1 : 0;
	}
	if (sha == NULL)
		digest_sha256(data, len, own);
	r.sha = sha != NULL ? sha : own;
	put_lines(s, name, r.sha, how, &l);
	if (s3_talk(s, &r, name, &a, e) == -1)
		return -1;
	if (a.status == 412 && how == STORE_NEW) {
		/* The first sending may have taken effect, and only its answer be lost. */
		if (a.sent > 1)
			return err_set(e, ERR_REMOTE, "'%s': the connection broke, and what came of it "
			    "is not known", s->place.endpoint);
		return 0;
	}
	return a.status == 200 ? 1 : s3_talk_refused(s, &a, "put", name, e);
}

/* Is it the answer to this question? One that came twice is taken for that of the next. */
static bool
begins_at(const struct s3_answer *a, uint64_t off)
{
	char expected[40];

	snprintf(expected, sizeof(expected), "bytes %llu-", (unsigned long long)off);
	return a->header[S3_CONTENT_RANGE][0] == '\0' ||
	    strncmp(a->header[S3_CONTENT_RANGE], expected, strlen(expected)) == 0;
}

static int
s3_get(struct store *store, const char *name, uint64_t off, uint64_t len, struct buf *out,
    struct err *e)
{
	struct s3 *s = s3_talk_of(store);
	size_t before = out->len;
	char range[80] = "", version[S3_LIST_QUERY];
	const char *const header[] = { range, NULL };
	struct s3_request r = { .method = "GET", .out = out };
	struct store_stat then;
	struct s3_answer a;
	int rc;

	if (store->options.as_of_ns != 0) {
		rc = s3_list_then(s, name, version, &then, e);
		if (rc != 1)
			return rc == -1 ? -1 : err_set(e, ERR_NOTFOUND, "'%s' was not there then", name);
		r.query = version;
	}
	/* More than any object has is cut off, lest it run over; then there is too little, in any case. */
	if (len > 0)
		snprintf(range, sizeof(range), "Range: bytes=%llu-%llu", (unsigned long long)off,
		    (unsigned long long)(off + (len < STORE_OBJECT_MAX ? len : STORE_OBJECT_MAX) - 1));
	else if (off > 0)
		snprintf(range, sizeof(range), "Range: bytes=%llu-", (unsigned long long)off);
	if (range[0] != '\0')
		r.header = header;
	if (s3_talk(s, &r, name, &a, e) == -1)
		return -1;
	if (range[0] != '\0' && a.status == 200)
		return err_set(e, ERR_UNSUPPORTED, "'%s' sends the whole of '%s' for a part of it",
		    s->place.endpoint, name);
	if (a.status != (range[0] != '\0' ? 206 : 200))
		return s3_talk_refused(s, &a, "get", name, e);
	if (range[0] != '\0' && !begins_at(&a, off))
		return err_set(e, ERR_REMOTE, "'%s' was asked for '%s' from %llu on, and sent '%s'",
		    s->place.endpoint, name, (unsigned long long)off, a.header[S3_CONTENT_RANGE]);
	if (len > 0 && out->len - before < len)
		return err_set(e, ERR_CORRUPT, "'%s' is shorter than expected: %llu bytes from %llu on, "
		    "there are %zu", name, (unsigned long long)len, (unsigned long long)off,
		    out->len - before);
	return 0;
}

static int
s3_del(struct store *store, const char *name, struct err *e)
{
	struct s3 *s = s3_talk_of(store);
	struct s3_request r = { .method = "DELETE", .small = true };
	struct store_stat st;
	struct s3_answer a;
	int rc;

	if (refuse_past(s, e) == -1)
		return -1;
	rc = s3_stat(store, name, &st, e);
	if (rc != 1)
		return rc;
	if (s3_talk(s, &r, name, &a, e) == -1)
		return -1;
	return a.status == 204 || a.status == 200 ? 1 : s3_talk_refused(s, &a, "delete", name, e);
}

const struct store_ops store_s3 = {
	.scheme = "s3",
	.name = "s3",
	.open = s3_open,
	.put = s3_put,
	.get = s3_get,
	.stat = s3_stat,
	.list = s3_list,
	.del = s3_del,
	.clock = s3_clock,
	.tick_ns = CLOCK_S,
	.clock_lately = s3_clock_lately,
	.probe = s3_probe,
	.cold = s3_thaw_look,
	.thaw = s3_thaw_order,
	.close = s3_close,
	.relock = s3_lock_again,
	.looks_back = true,
	.far = true,
};
