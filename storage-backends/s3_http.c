/*
 * HTTP by libcurl, signatures by its SigV4. libcurl 7.88 signs path and query as they stand, so
 * names are of an alphabet that needs no encoding and queries come sorted; and the hash of the body
 * is a header of ours, which S3 asks for anyway.
 *
 * A body of a bad answer must not land among an object's bytes: where bytes go is decided when the
 * first of them comes, and by then the status is known.
 *
 * A pack over a thin line takes its time, so the limit of a whole request goes by what it moves. One
 * that hardly moves for STALLED_S has died, also when the server is to blame.
 */
#include "storage-backends/s3_http.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "filter/digest.h"
#include "storage-backends/s3_curl.h"

#define CONNECT_S 10
/* Slower than that for so long, and another connection is the better way. */
#define STALLED_S 20
#define STALLED_BYTES 1024L
/* A transfer that drips has to end, too: beside a minute for the server it is allowed this speed. */
#define ANSWER_S 60
#define SLOWEST_BYTES 16384
#define TRANSFER_ROOM (512L * 1024) /* of a read or write by libcurl */
#define IDLE_MOST 32		    /* connections kept for later */

struct s3_http {
	struct s3_http_place place;
	struct s3_access *access;
	char *base;   /* url of the bucket */
	char *signer; /* provider, region and service */
	pthread_mutex_t lock;
	struct link {
		CURL *curl;
		char last[S3_HEADER_MOST]; /* id of the answer that came over it before */
	} idle[IDLE_MOST];
	size_t idles;
};

/* What the callbacks of one request see. */
struct transfer {
	CURL *curl;
	struct s3_answer *answer;
	struct buf *out;
	size_t said;
	bool full; /* more came than was asked for */
};

static const char *const header_name[S3_HEADERS] = {
	[S3_DATE] = "date",
	[S3_LAST_MODIFIED] = "last-modified",
	[S3_CONTENT_RANGE] = "content-range",
	[S3_BUCKET_REGION] = "x-amz-bucket-region",
	[S3_DELETE_MARKER] = "x-amz-delete-marker",
	[S3_VERSION_ID] = "x-amz-version-id",
	[S3_STORAGE_CLASS] = "x-amz-storage-class",
	[S3_RESTORE] = "x-amz-restore",
	[S3_CHECKSUM] = "x-amz-checksum-sha256",
	[S3_LOCK_MODE] = "x-amz-object-lock-mode",
	[S3_LOCK_UNTIL] = "x-amz-object-lock-retain-until-date",
	[S3_RETRY_AFTER] = "retry-after",
	[S3_REQUEST_ID] = "x-amz-request-id",
};

/* ---- where requests go ---- */

/* "https://host:port/bucket", or "https://bucket.host:port" */
static char *
base_url(const struct s3_http_place *p)
{
	const char *host = strstr(p->endpoint, "://") + 3;

	if (!p->host_style)
		return xasprintf("%s/%s", p->endpoint, p->bucket);
	return xasprintf("%.*s%s.%s", (int)(host - p->endpoint), p->endpoint, p->bucket, host);
}

struct s3_http *
s3_http_new(const struct s3_http_place *place, struct s3_access *access)
{
	struct s3_http *h = xcalloc(1, sizeof(*h));

	h->place = *place;
	h->access = access;
	h->base = base_url(place);
	h->signer = xasprintf("aws:amz:%s:s3", place->region);
	pthread_mutex_init(&h->lock, NULL);
	return h;
}

void
s3_http_free(struct s3_http *h)
{
	if (h == NULL)
		return;
	while (h->idles > 0)
		curl_easy_cleanup(h->idle[--h->idles].curl);
	pthread_mutex_destroy(&h->lock);
	free(h->base);
	free(h->signer);
	free(h);
}

static struct link
take(struct s3_http *h)
{
	struct link l = { 0 };

	pthread_mutex_lock(&h->lock);
	if (h->idles > 0)
		l = h->idle[--h->idles];
	pthread_mutex_unlock(&h->lock);
	if (l.curl == NULL)
		l.curl = s3_curl_new();
	return l;
}

static void
give_back(struct s3_http *h, struct link *l)
{
	/* Its options go, its connection stays. */
	curl_easy_reset(l->curl);
	pthread_mutex_lock(&h->lock);
	if (h->idles < IDLE_MOST) {
		h->idle[h->idles++] = *l;
		l->curl = NULL;
	}
	pthread_mutex_unlock(&h->lock);
	curl_easy_cleanup(l->curl);
}

/*
 * An answer that came twice would be taken for that to the next question, and from then on each for the
 * one before: a put that failed would look like one that did not. Such a connection is not used again.
 */
static int
fresh_answer(const struct s3_http *h, struct link *l, const struct s3_answer *a, struct err *e)
{
	const char *id = a->header[S3_REQUEST_ID];

	if (id[0] != '\0' && strcmp(id, l->last) == 0) {
		curl_easy_cleanup(l->curl);
		*l = (struct link){ .curl = s3_curl_new() };
		return err_set(e, ERR_REMOTE, "'%s' gives the same answer to two questions: %s",
		    h->place.endpoint, id);
	}
	memcpy(l->last, id, sizeof(l->last));
	return 0;
}

/* ---- the answer, as it comes ---- */

/* Before the request is sent, each time. */
static int
on_send(void *arg, char *to, char *from, int to_port, int from_port)
{
	struct transfer *t = arg;

	(void)to, (void)from, (void)to_port, (void)from_port;
	t->answer->sent++;
	return CURL_PREREQFUNC_OK;
}

static size_t
on_body(char *bytes, size_t one, size_t n, void *arg)
{
	struct transfer *t = arg;
	struct s3_answer *a = t->answer;
	size_t keep;

	(void)one;
	if (a->status == 0)
		curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &a->status);
	if (a->status / 100 == 2) {
		if (t->out == NULL)
			return n;
		buf_add(t->out, bytes, n);
		t->full = t->out->over;
		return t->full ? 0 : n;
	}
	keep = sizeof(a->said) - 1 - t->said;
	keep = n < keep ? n : keep;
	memcpy(a->said + t->said, bytes, keep);
	t->said += keep;
	return n;
}

static size_t
on_header(char *line, size_t one, size_t n, void *arg)
{
	struct transfer *t = arg;
	const char *colon = memchr(line, ':', n), *end = line + n;
	size_t name = colon == NULL ? 0 : (size_t)(colon - line), i, len;

	(void)one;
	/* "HTTP/1.1 100 Continue" has headers of its own: those of the last answer count. */
	if (n > 5 && memcmp(line, "HTTP/", 5) == 0) {
		memset(t->answer->header, 0, sizeof(t->answer->header));
		t->answer->began_ns = clock_boot_ns();
	}
	for (i = 0; i < S3_HEADERS; i++)
		if (strlen(header_name[i]) == name && strncasecmp(line, header_name[i], name) == 0)
			break;
	if (i == S3_HEADERS)
		return n;
	for (colon++; colon < end && (*colon == ' ' || *colon == '\t'); colon++)
		continue;
	while (end > colon && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
		end--;
	len = (size_t)(end - colon);
	if (len < sizeof(t->answer->header[i])) {
		memcpy(t->answer->header[i], colon, len);
		t->answer->header[i][len] = '\0'; /* it may have come before, and been longer */
	}
	return n;
}

/* ---- the request ---- */

static struct curl_slist *
request_headers(const struct s3_request *r, const struct s3_access_pair *who)
{
	char line[S3_ACCESS_TEXT + 64], hex[TEXT_HEX(DIGEST_LEN)];
	uint8_t sha[DIGEST_LEN];
	struct curl_slist *list = NULL;

	if (r->sha == NULL)
		digest_sha256(r->body == NULL ? "" : r->body, r->len, sha);
	else
		memcpy(sha, r->sha, sizeof(sha));
	snprintf(line, sizeof(line), "x-amz-content-sha256: %s", text_hex(sha, sizeof(sha), hex));
	list = s3_curl_line(list, line);
	if (who->token[0] != '\0') {
		snprintf(line, sizeof(line), "x-amz-security-token: %s", who->token);
		list = s3_curl_line(list, line);
	}
	/* libcurl's own would be that of a form. It asks before it sends a large body: good, a name
	 * that is taken costs no transfer. */
	if (r->body != NULL)
		list = s3_curl_line(list, "Content-Type: application/octet-stream");
	for (size_t i = 0; r->header != NULL && r->header[i] != NULL; i++)
		list = s3_curl_line(list, r->header[i]);
	return list;
}

static char *
request_url(const struct s3_http *h, const struct s3_request *r)
{
	return xasprintf("%s%s%s%s%s", h->base, r->name == NULL ? (h->place.host_style ? "/" : "")
		: "/", r->name == NULL ? "" : r->name, r->query == NULL ? "" : "?",
	    r->query == NULL ? "" : r->query);
}

/* How long it may take in all. */
static long
seconds_for(const struct s3_request *r)
{
	size_t most = r->body != NULL ? r->len : r->out != NULL ? r->out->limit - r->out->len : 0;

	return r->small ? ANSWER_S : ANSWER_S + (long)(most / SLOWEST_BYTES);
}

static void
prepare(const struct s3_http *h, CURL *c, const struct s3_request *r,
    const struct s3_access_pair *who)
{
	s3_curl_prepare(c, h->place.ca);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, STALLED_BYTES);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)STALLED_S);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, seconds_for(r));
	if (h->place.rate > 0) {
		curl_easy_setopt(c, CURLOPT_MAX_SEND_SPEED_LARGE, (curl_off_t)h->place.rate);
		curl_easy_setopt(c, CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)h->place.rate);
	}
	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, TRANSFER_ROOM);
	curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, TRANSFER_ROOM);
	curl_easy_setopt(c, CURLOPT_AWS_SIGV4, h->signer);
	curl_easy_setopt(c, CURLOPT_USERNAME, who->key);
	curl_easy_setopt(c, CURLOPT_PASSWORD, who->secret);
	if (strcmp(r->method, "HEAD") == 0)
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	if (r->body != NULL) {
		/* Not copied. */
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->len);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, r->body);
	}
	if (strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0)
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, r->method);
}

/* libcurl asks all the time, and once a second when nothing comes. */
static int
on_progress(void *arg, curl_off_t down_of, curl_off_t down, curl_off_t up_of, curl_off_t up)
{
	const struct s3_request *r = arg;

	(void)down_of;
	(void)down;
	(void)up_of;
	(void)up;
	return r->enough(r->enough_arg);
}

/* What libcurl's code means to us. */
static int
broken(const struct s3_http *h, CURLcode code, const char *why, struct err *e)
{
	if (*why == '\0')
		why = curl_easy_strerror(code);
	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		err_set(e, ERR_CONFIG, "'%s': %s", h->place.endpoint, why);
		return err_line(e, "fix", "ca = FILE in the tier's section names the certificates to "
		    "believe");
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return err_set(e, ERR_CONFIG, "'%s': %s", h->place.endpoint, why);
	case CURLE_ABORTED_BY_CALLBACK:
		return err_set(e, ERR_REMOTE, "'%s': broken off, because a stop was asked for",
		    h->place.endpoint);
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(e, ERR_REMOTE, "'%s' let nobody in for %d s, or went too slowly for %d s",
		    h->place.endpoint, CONNECT_S, STALLED_S);
	default:
		return err_set(e, ERR_REMOTE, "'%s': %s", h->place.endpoint, why);
	}
}

static int
perform(struct s3_http *h, CURL *c, const struct s3_request *r, const struct s3_access_pair *who,
    struct s3_answer *ret, struct err *e)
{
	struct transfer t = { .curl = c, .answer = ret, .out = r->out };
	struct curl_slist *headers = request_headers(r, who);
	char *url = request_url(h, r), why[CURL_ERROR_SIZE] = "";
	curl_off_t length;
	CURLcode code;

	memset(ret, 0, sizeof(*ret));
	prepare(h, c, r, who);
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, &t);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, &t);
	curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, on_send);
	curl_easy_setopt(c, CURLOPT_PREREQDATA, &t);
	if (r->enough != NULL) {
		curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
		curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
		curl_easy_setopt(c, CURLOPT_XFERINFODATA, r);
	}
	code = curl_easy_perform(c);
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &ret->status);
	ret->length = curl_easy_getinfo(c, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length) == CURLE_OK
	    ? length : -1;
	curl_slist_free_all(headers);
	free(url);
	if (code == CURLE_OK)
		return 0;
	if (t.full)
		return err_set(e, ERR_CORRUPT, "'%s' sends more than was asked for", h->place.endpoint);
	return broken(h, code, why, e);
}

int
s3_http_do(struct s3_http *h, const struct s3_request *r, struct s3_answer *ret, struct err *e)
{
	struct s3_access_pair who;
	struct link l;
	int rc;

	if (s3_access_get(h->access, &who, e) == -1)
		return -1;
	l = take(h);
	rc = perform(h, l.curl, r, &who, ret, e);
	if (rc == 0)
		rc = fresh_answer(h, &l, ret, e);
	give_back(h, &l);
	/* A token that ended between our look and theirs. */
	if (rc == 0 && (ret->status == 400 || ret->status == 403) &&
	    strstr(ret->said, "<Code>ExpiredToken") != NULL)
		s3_access_ended(h->access, &who);
	OPENSSL_cleanse(&who, sizeof(who));
	return rc;
}
