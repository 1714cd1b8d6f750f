/*
 * Objects in a bucket. One request an object, never in parts: a name has all its bytes or none, and
 * nothing is left behind by a process that died.
 *
 * Three things would surprise. An answer to HEAD has no body, so one that says "not there" is asked
 * again as a GET, whose body tells an object that is not there from a bucket that is not. DELETE says
 * the same whether there was something, so we look first. And a listing must come in the order of
 * names: what rests on it merges it with others.
 */
#include "storage-backends/s3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "filter/digest.h"
#include "storage-backends/s3_access.h"
#include "storage-backends/s3_curl.h"
#include "storage-backends/s3_http.h"
#include "storage-backends/s3_refusal.h"
#include "storage-backends/s3_xml.h"

#define REGION "us-east-1"
#define PAGE_MOST (8u << 20) /* a page of a listing: 1000 names of 1024 bytes, every one encoded */
#define PAGE_NAMES 1000

struct s3 {
	struct store store;
	struct s3_http_place place;
	char *bucket, *prefix, *endpoint; /* prefix: "" or "a/b/" */
	struct s3_access *access;
	struct s3_http *http;
};

static struct s3 *
s3_of(struct store *s)
{
	return (struct s3 *)s;
}

/* ---- one request ---- */

/* The request about an object (NULL: the bucket), made; 0 with any answer. */
static int
request(struct s3 *s, struct s3_request *r, const char *name, struct s3_answer *ret, struct err *e)
{
	char *full = name == NULL ? NULL : xasprintf("%s%s", s->prefix, name);
	int rc;

	r->name = full;
	rc = s3_http_do(s->http, r, ret, e);
	free(full);
	return rc;
}

static int
refusal(const struct s3 *s, const struct s3_answer *a, const char *verb, const char *name,
    struct err *e)
{
	char what[STORE_NAME_MAX + 40];

	snprintf(what, sizeof(what), "%s '%s'", verb, name);
	return s3_refusal(&s->place, a, what, e);
}

/* A date of HTTP as nanoseconds; -1 with e. */
static int
date_of(const struct s3 *s, const char *text, int64_t *ret_ns, struct err *e)
{
	time_t t = curl_getdate(text, NULL);

	if (t == -1)
		return err_set(e, ERR_REMOTE, "'%s' gives '%s' as a time", s->place.endpoint, text);
	*ret_ns = (int64_t)t * CLOCK_S;
	return 0;
}

/* ---- opening ---- */

static void
s3_close(struct store *store)
{
	struct s3 *s = s3_of(store);

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

	if (len < 3 || len > 63 ||
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
clock_of(struct store *store, int64_t *ret_ns, struct err *e)
{
	struct s3 *s = s3_of(store);
	struct s3_request r = { .method = "HEAD" };
	struct s3_answer a;

	if (request(s, &r, NULL, &a, e) == -1)
		return -1;
	if (a.status != 200)
		return s3_refusal(&s->place, &a, "open the bucket", e);
	return date_of(s, a.header[S3_DATE], ret_ns, e);
}

static int
s3_open(const struct store_options *o, struct store **ret, struct err *e)
{
	struct s3 *s = xcalloc(1, sizeof(*s));
	struct s3_access_options who = {
		.key = o->access_key, .secret = o->secret_key, .profile = o->profile, .ca = o->ca,
	};
	int64_t now;
	size_t n;

	s->store.ops = &store_s3;
	s->store.options = *o;
	if (parse_url(s, o->url, e) == -1)
		goto fail;
	s->place.region = who.region = o->region != NULL ? o->region : REGION;
	s->endpoint = o->endpoint != NULL ? xstrdup(o->endpoint)
					  : xasprintf("https://s3.%s.amazonaws.com", s->place.region);
	for (n = strlen(s->endpoint); n > 0 && s->endpoint[n - 1] == '/'; n--)
		s->endpoint[n - 1] = '\0';
	if (strstr(s->endpoint, "://") == NULL) {
		err_set(e, ERR_CONFIG, "endpoint '%s': expected https://HOST or http://HOST:PORT",
		    s->endpoint);
		goto fail;
	}
	s->place.endpoint = s->endpoint;
	s->place.bucket = s->bucket;
	s->place.ca = o->ca;
	s->place.host_style = o->host_style;
	s->access = s3_access_new(&who);
	s->http = s3_http_new(&s->place, s->access);
	if (clock_of(&s->store, &now, e) == -1)
		goto fail;
	*ret = &s->store;
	return 0;
fail:
	s3_close(&s->store);
	return -1;
}

/* ---- one object ---- */

static int
s3_put(struct store *store, const char *name, const void *data, size_t len, enum store_put how,
    struct err *e)
{
	struct s3 *s = s3_of(store);
	uint8_t sha[DIGEST_LEN];
	struct buf sum;
	char class[100], line[100];
	const char *header[4] = { line };
	size_t n = 1;
	struct s3_request r = { .method = "PUT", .body = data, .len = len, .sha = sha, .header = header };
	struct s3_answer a;
	int rc;

	digest_sha256(data, len, sha);
	/* What the store is to hold, so that it refuses anything else, and keeps it beside the object. */
	buf_init(&sum, 64);
	text_base64(sha, sizeof(sha), &sum);
	snprintf(line, sizeof(line), "x-amz-checksum-sha256: %s", buf_str(&sum));
	buf_done(&sum);
	if (how == STORE_NEW)
		header[n++] = "If-None-Match: *";
	if (store->options.class != NULL) {
		snprintf(class, sizeof(class), "x-amz-storage-class: %s", store->options.class);
		header[n++] = class;
	}
	rc = request(s, &r, name, &a, e);
	if (rc == -1)
		return -1;
	if (a.status == 412 && how == STORE_NEW)
		return 0;
	return a.status == 200 ? 1 : refusal(s, &a, "put", name, e);
}

static int
s3_get(struct store *store, const char *name, uint64_t off, uint64_t len, struct buf *out,
    struct err *e)
{
	struct s3 *s = s3_of(store);
	size_t before = out->len;
	char range[80] = "";
	const char *const header[] = { range, NULL };
	struct s3_request r = { .method = "GET", .out = out };
	struct s3_answer a;

	if (len > 0)
		snprintf(range, sizeof(range), "Range: bytes=%llu-%llu", (unsigned long long)off,
		    (unsigned long long)(off + len - 1));
	else if (off > 0)
		snprintf(range, sizeof(range), "Range: bytes=%llu-", (unsigned long long)off);
	if (range[0] != '\0')
		r.header = header;
	if (request(s, &r, name, &a, e) == -1)
		return -1;
	if (a.status != (range[0] != '\0' ? 206 : 200))
		return refusal(s, &a, "get", name, e);
	if (len > 0 && out->len - before < len)
		return err_set(e, ERR_CORRUPT, "'%s' is shorter than expected: %llu bytes from %llu on, "
		    "there are %zu", name, (unsigned long long)len, (unsigned long long)off,
		    out->len - before);
	return 0;
}

/* 1 there, 0 the store itself says that it is not, -1. */
static int
s3_stat(struct store *store, const char *name, struct store_stat *ret, struct err *e)
{
	struct s3 *s = s3_of(store);
	struct s3_request r = { .method = "HEAD" };
	struct s3_answer a;
	struct err why = { 0 };

	if (request(s, &r, name, &a, e) == -1)
		return -1;
	if (a.status == 200) {
		if (a.length < 0)
			return err_set(e, ERR_REMOTE, "'%s' says no size of '%s'", s->place.endpoint,
			    name);
		ret->size = (uint64_t)a.length;
		return date_of(s, a.header[S3_LAST_MODIFIED], &ret->time_ns, e) == -1 ? -1 : 1;
	}
	if (a.status != 404)
		return refusal(s, &a, "look at", name, e);
	r.method = "GET";
	if (request(s, &r, name, &a, e) == -1)
		return -1;
	if (a.status == 200)
		return err_set(e, ERR_REMOTE, "'%s' says both that '%s' is there and that it is not",
		    s->place.endpoint, name);
	refusal(s, &a, "look at", name, &why);
	if (why.kind == ERR_NOTFOUND)
		return 0;
	if (e != NULL)
		*e = why;
	return -1;
}

static int
s3_del(struct store *store, const char *name, struct err *e)
{
	struct s3 *s = s3_of(store);
	struct s3_request r = { .method = "DELETE" };
	struct store_stat st;
	struct s3_answer a;
	int rc = s3_stat(store, name, &st, e);

	if (rc != 1)
		return rc;
	if (request(s, &r, name, &a, e) == -1)
		return -1;
	return a.status == 204 || a.status == 200 ? 1 : refusal(s, &a, "delete", name, e);
}

/* ---- listing ---- */

struct listing {
	struct s3 *s;
	store_seen *seen;
	void *arg;
	char *last; /* name given before; NULL */
};

static int
on_entry(void *arg, const struct s3_xml_entry *x, struct err *e)
{
	struct listing *l = arg;
	size_t skip = strlen(l->s->prefix);
	/* Whole seconds, as HEAD says. */
	struct store_entry entry = { .size = x->size, .time_ns = x->time_ns - x->time_ns % CLOCK_S };

	if (strncmp(x->name, l->s->prefix, skip) != 0)
		return err_set(e, ERR_REMOTE, "'%s' lists '%s', which was not asked for",
		    l->s->place.endpoint, x->name);
	entry.name = x->name + skip;
	if (l->last != NULL && strcmp(l->last, entry.name) >= 0)
		return err_set(e, ERR_UNSUPPORTED, "'%s' does not list in the order of names: '%s' after "
		    "'%s'", l->s->place.endpoint, entry.name, l->last);
	free(l->last);
	l->last = xstrdup(entry.name);
	return l->seen(l->arg, &entry, e);
}

static void
add_query(struct buf *q, const char *key, const char *value)
{
	if (q->len > 0)
		buf_addc(q, '&');
	buf_adds(q, key);
	buf_addc(q, '=');
	s3_curl_encode(value, true, q);
}

static int
list_page(struct listing *l, const char *prefix, const char *after, struct s3_xml_page *page,
    struct err *e)
{
	struct s3_request r = { .method = "GET" };
	struct s3_answer a;
	struct buf query, text;
	int rc;

	/* In the order of the keys. */
	buf_init(&query, 16384);
	buf_init(&text, PAGE_MOST);
	if (page->token != NULL)
		add_query(&query, "continuation-token", page->token);
	add_query(&query, "encoding-type", "url");
	add_query(&query, "list-type", "2");
	buf_addf(&query, "&max-keys=%d", PAGE_NAMES);
	add_query(&query, "prefix", prefix);
	if (after != NULL)
		add_query(&query, "start-after", after);
	r.query = buf_str(&query);
	r.out = &text;
	s3_xml_page_done(page);
	memset(page, 0, sizeof(*page));
	rc = request(l->s, &r, NULL, &a, e);
	if (rc == 0 && a.status != 200)
		rc = s3_refusal(&l->s->place, &a, "list", e);
	if (rc == 0)
		rc = s3_xml_list(&text, on_entry, l, page, e);
	buf_done(&query);
	buf_done(&text);
	return rc;
}

static int
s3_list(struct store *store, const char *prefix, const char *after, store_seen *seen, void *arg,
    struct err *e)
{
	struct s3 *s = s3_of(store);
	struct listing l = { .s = s, .seen = seen, .arg = arg };
	char *full = xasprintf("%s%s", s->prefix, prefix);
	char *from = after == NULL ? NULL : xasprintf("%s%s", s->prefix, after);
	struct s3_xml_page page = { 0 };
	int rc;

	do
		rc = list_page(&l, full, from, &page, e);
	while (rc == 0 && page.more);
	s3_xml_page_done(&page);
	free(l.last);
	free(full);
	free(from);
	return rc;
}

const struct store_ops store_s3 = {
	.scheme = "s3",
	.open = s3_open,
	.put = s3_put,
	.get = s3_get,
	.stat = s3_stat,
	.list = s3_list,
	.del = s3_del,
	.clock = clock_of,
	.close = s3_close,
};
