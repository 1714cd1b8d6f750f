/*
 * Objects in a bucket by libs3: for stores that know signature version 2 and nothing newer. It has no
 * condition for a put, so a name is looked at before it is written: right for one host, and for several
 * the last would win. It has no class, no lock, no checksum and no session token either, it believes any
 * certificate, and never tells the store's clock: that is the time of a small object which is written
 * below tmp/ to learn it.
 *
 * All of that is said, by the configuration where it asks for more and by check where it was tried.
 */
#include "storage-backends/libs3.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "storage-backends/libs3_lib.h"
#include "storage-backends/s3_access.h"

#define PAGE_NAMES 1000
#define OWN "tmp/" /* what is ours alone and in no listing */
#define CLOCK OWN "clock"

struct libs3 {
	struct store store;
	char *bucket, *prefix;
	const char *host; /* of the endpoint */
	S3Protocol protocol;
	S3UriStyle style;
	struct s3_access *access;
};

/* One call: what goes in, and what its callbacks saw. */
struct call {
	struct libs3 *s;
	struct s3_access_pair who;
	S3BucketContext place;
	S3Status status;
	char said[200];
	const char *body; /* of a put, what is left of it */
	size_t left;
	struct buf *out; /* of a get */
	uint64_t got;
	uint64_t size; /* what the answer says */
	int64_t time_ns;
	/* a listing */
	store_seen *seen;
	void *arg;
	struct err *e;
	char *last;
	bool more, ended;
};

static struct libs3 *
libs3_of(struct store *s)
{
	return (struct libs3 *)s;
}

/* ---- callbacks ---- */

static S3Status
on_properties(const S3ResponseProperties *p, void *arg)
{
	struct call *c = arg;

	c->size = p->contentLength;
	c->time_ns = p->lastModified * CLOCK_S;
	return S3StatusOK;
}

static void
on_complete(S3Status status, const S3ErrorDetails *details, void *arg)
{
	struct call *c = arg;

	c->status = status;
	if (details != NULL && details->message != NULL)
		snprintf(c->said, sizeof(c->said), "%s", details->message);
}

static int
on_send(int room, char *to, void *arg)
{
	struct call *c = arg;
	size_t n = c->left < (size_t)room ? c->left : (size_t)room;

	memcpy(to, c->body, n);
	c->body += n;
	c->left -= n;
	return (int)n;
}

static S3Status
on_bytes(int n, const char *bytes, void *arg)
{
	struct call *c = arg;

	c->got += (uint64_t)n;
	if (c->out == NULL)
		return S3StatusAbortedByCallback;
	buf_add(c->out, bytes, (size_t)n);
	return c->out->over ? S3StatusAbortedByCallback : S3StatusOK;
}

static int
give(struct call *c, const S3ListBucketContent *x)
{
	size_t skip = strlen(c->s->prefix);
	struct store_entry entry = { .size = x->size, .time_ns = x->lastModified * CLOCK_S };

	if (strncmp(x->key, c->s->prefix, skip) != 0)
		return err_set(c->e, ERR_REMOTE, "'%s' lists '%s', which was not asked for", c->s->host,
		    x->key);
	if (c->last != NULL && strcmp(c->last, x->key) >= 0)
		return err_set(c->e, ERR_UNSUPPORTED, "'%s' does not list in the order of names: '%s' "
		    "after '%s'", c->s->host, x->key, c->last);
	free(c->last);
	c->last = xstrdup(x->key);
	entry.name = x->key + skip;
	return strncmp(entry.name, OWN, strlen(OWN)) == 0 ? 0 : c->seen(c->arg, &entry, c->e);
}

static S3Status
on_names(int more, const char *next, int count, const S3ListBucketContent *x, int prefixes,
    const char **prefix, void *arg)
{
	struct call *c = arg;

	(void)next;
	(void)prefixes;
	(void)prefix;
	c->more = more != 0;
	for (int i = 0; i < count && !c->ended; i++)
		c->ended = give(c, &x[i]) == -1;
	return c->ended ? S3StatusAbortedByCallback : S3StatusOK;
}

static const S3ResponseHandler answer = { on_properties, on_complete };

/* ---- one call ---- */

static int
begin(struct libs3 *s, struct call *c, struct err *e)
{
	*c = (struct call){ .s = s, .e = e, .status = S3StatusInternalError };
	if (s3_access_get(s->access, &c->who, e) == -1)
		return -1;
	if (c->who.token[0] != '\0')
		return err_set(e, ERR_CONFIG, "%s gives a session token, which driver libs3 has no room "
		    "for, expected driver = s3", s3_access_from(s->access));
	c->place = (S3BucketContext){ s->host, s->bucket, s->protocol, s->style, c->who.key,
		c->who.secret };
	return 0;
}

/* The keys are not needed any more. */
static void
end(struct call *c)
{
	OPENSSL_cleanse(&c->who, sizeof(c->who));
	free(c->last);
	c->last = NULL;
}

static char *
full_name(const struct libs3 *s, const char *name)
{
	return xasprintf("%s%s", s->prefix, name);
}

static enum err_kind
kind_of(S3Status status)
{
	switch (status) {
	case S3StatusErrorNoSuchKey:
		return ERR_NOTFOUND;
	case S3StatusErrorInvalidRange:
		return ERR_CORRUPT;
	case S3StatusErrorAccessDenied:
	case S3StatusErrorInvalidAccessKeyId:
	case S3StatusErrorSignatureDoesNotMatch:
	case S3StatusErrorRequestTimeTooSkewed:
	case S3StatusHttpErrorForbidden:
		return ERR_PERMISSION;
	case S3StatusErrorNotImplemented:
	case S3StatusErrorMethodNotAllowed:
	case S3StatusHttpErrorBadRequest:
		return ERR_UNSUPPORTED;
	case S3StatusErrorPermanentRedirect:
	case S3StatusServerFailedVerification:
		return ERR_CONFIG;
	default:
		/* Also a bucket that is not there: a store that is away says so, too. */
		return ERR_REMOTE;
	}
}

static int
refused(const struct call *c, const char *verb, const char *name, struct err *e)
{
	const struct libs3 *s = c->s;

	if (c->out != NULL && c->out->over)
		return err_set(e, ERR_CORRUPT, "'%s' sends more than was asked for", s->host);
	return err_set(e, kind_of(c->status), "%s '%s' at %s/%s: %s%s%s", verb, name, s->host, s->bucket,
	    S3_get_status_name(c->status), c->said[0] != '\0' ? ": " : "", c->said);
}

/* ---- opening ---- */

static void
libs3_close(struct store *store)
{
	struct libs3 *s = libs3_of(store);

	s3_access_free(s->access);
	free(s->bucket);
	free(s->prefix);
	free(s);
}

static int
parse(struct libs3 *s, const struct store_options *o, struct err *e)
{
	const char *bucket = o->url + strlen("s3://"), *rest = bucket + strcspn(bucket, "/");
	size_t n = strlen(rest);

	s->bucket = xstrndup(bucket, (size_t)(rest - bucket));
	while (n > 0 && rest[n - 1] == '/')
		n--;
	s->prefix = n < 2 ? xstrdup("") : xasprintf("%.*s/", (int)n - 1, rest + 1);
	if (o->endpoint == NULL || strstr(o->endpoint, "://") == NULL)
		return err_set(e, ERR_CONFIG, "driver libs3 needs an endpoint, expected https://HOST or "
		    "http://HOST:PORT");
	s->host = strstr(o->endpoint, "://") + 3;
	s->protocol = strncmp(o->endpoint, "https:", 6) == 0 ? S3ProtocolHTTPS : S3ProtocolHTTP;
	s->style = o->host_style ? S3UriStyleVirtualHost : S3UriStylePath;
	return 0;
}

static int
libs3_open(const struct store_options *o, struct store **ret, struct err *e)
{
	const struct s3_access_options who = {
		.key = o->access_key, .secret = o->secret_key, .profile = o->profile,
		.region = o->region != NULL ? o->region : "us-east-1",
	};
	struct libs3 *s = xcalloc(1, sizeof(*s));
	struct call c = { 0 };
	int rc = -1;

	s->store.ops = &store_libs3;
	s->store.options = *o;
	s->access = s3_access_new(&who);
	if (parse(s, o, e) == 0 && begin(s, &c, e) == 0) {
		S3_test_bucket(s->protocol, s->style, c.who.key, c.who.secret, s->host, s->bucket, 0, NULL,
		    NULL, &answer, &c);
		rc = c.status == S3StatusOK ? 0 : refused(&c, "open", s->bucket, e);
		/* Whatever it is that has no bucket, it is not a name that somebody typed. */
		if (rc == -1 && e != NULL && e->kind == ERR_NOTFOUND)
			e->kind = ERR_REMOTE;
	}
	end(&c);
	if (rc == 0)
		*ret = &s->store;
	else
		libs3_close(&s->store);
	return rc;
}

/* ---- one object ---- */

static int
libs3_get(struct store *store, const char *name, uint64_t off, uint64_t len, struct buf *out,
    struct err *e)
{
	static const S3GetObjectHandler handler = { { on_properties, on_complete }, on_bytes };
	struct libs3 *s = libs3_of(store);
	char *full = full_name(s, name);
	struct call c;
	int rc = -1;

	if (begin(s, &c, e) == 0) {
		c.out = out;
		S3_get_object(&c.place, full, NULL, off, len < STORE_OBJECT_MAX ? len : STORE_OBJECT_MAX,
		    NULL, &handler, &c);
		if (c.status != S3StatusOK)
			rc = refused(&c, "get", name, e);
		else if (len > 0 && c.got < len)
			rc = err_set(e, ERR_CORRUPT, "'%s' is shorter than expected: %llu bytes from %llu "
			    "on, there are %llu", name, (unsigned long long)len, (unsigned long long)off,
			    (unsigned long long)c.got);
		else if (c.got < c.size)
			rc = err_set(e, ERR_REMOTE, "'%s' broke off after %llu of %llu bytes of '%s'",
			    s->host, (unsigned long long)c.got, (unsigned long long)c.size, name);
		else
			rc = 0;
	}
	end(&c);
	free(full);
	return rc;
}

/* HEAD has no words, so what is not there is asked for again, as a byte of it. 1/0/-1. */
static int
libs3_stat(struct store *store, const char *name, struct store_stat *ret, struct err *e)
{
	static const S3GetObjectHandler handler = { { on_properties, on_complete }, on_bytes };
	struct libs3 *s = libs3_of(store);
	char *full = full_name(s, name);
	struct err why = { 0 };
	struct call c;
	int rc = -1;

	if (begin(s, &c, e) == -1)
		goto out;
	S3_head_object(&c.place, full, NULL, &answer, &c);
	if (c.status == S3StatusOK) {
		*ret = (struct store_stat){ c.size, c.time_ns };
		rc = 1;
	} else if (c.status == S3StatusHttpErrorNotFound || c.status == S3StatusErrorNoSuchKey) {
		S3_get_object(&c.place, full, NULL, 0, 1, NULL, &handler, &c);
		refused(&c, "look at", name, &why);
		rc = why.kind == ERR_NOTFOUND ? 0 : -1;
		if (rc == -1 && e != NULL)
			*e = why;
	} else {
		rc = refused(&c, "look at", name, e);
	}
out:
	end(&c);
	free(full);
	return rc;
}

static int
put_now(struct libs3 *s, const char *name, const void *data, size_t len, struct err *e)
{
	static const S3PutObjectHandler handler = { { on_properties, on_complete }, on_send };
	static const S3PutProperties plain = {
		.contentType = "application/octet-stream", .expires = -1, .cannedAcl = S3CannedAclPrivate,
	};
	char *full = full_name(s, name);
	struct call c;
	int rc = -1;

	if (begin(s, &c, e) == 0) {
		c.body = data;
		c.left = len;
		S3_put_object(&c.place, full, len, &plain, NULL, &handler, &c);
		rc = c.status == S3StatusOK ? 1 : refused(&c, "put", name, e);
	}
	end(&c);
	free(full);
	return rc;
}

static int
libs3_put(struct store *store, const char *name, const void *data, size_t len, const uint8_t *sha,
    enum store_put how, struct err *e)
{
	struct store_stat there;
	int rc = 0;

	(void)sha;
	if (how == STORE_NEW)
		rc = libs3_stat(store, name, &there, e);
	if (rc != 0)
		return rc == -1 ? -1 : 0;
	return put_now(libs3_of(store), name, len == 0 ? "" : data, len, e);
}

static int
libs3_del(struct store *store, const char *name, struct err *e)
{
	struct libs3 *s = libs3_of(store);
	char *full = full_name(s, name);
	struct store_stat there;
	struct call c = { 0 };
	int rc = libs3_stat(store, name, &there, e);

	if (rc == 1 && (rc = begin(s, &c, e)) == 0) {
		S3_delete_object(&c.place, full, NULL, &answer, &c);
		rc = c.status == S3StatusOK ? 1 : refused(&c, "delete", name, e);
	}
	end(&c);
	free(full);
	return rc;
}

static int
libs3_clock(struct store *store, int64_t *ret_ns, struct err *e)
{
	struct store_stat now;
	int rc = put_now(libs3_of(store), CLOCK, "?", 1, e);

	if (rc == 1)
		rc = libs3_stat(store, CLOCK, &now, e);
	if (rc == 0)
		return err_set(e, ERR_REMOTE, "'%s' does not have what it stored just now", CLOCK);
	if (rc == 1)
		*ret_ns = now.time_ns;
	return rc == 1 ? 0 : -1;
}

static int
libs3_list(struct store *store, const char *prefix, const char *after, store_seen *seen, void *arg,
    struct err *e)
{
	static const S3ListBucketHandler handler = { { on_properties, on_complete }, on_names };
	struct libs3 *s = libs3_of(store);
	char *full = full_name(s, prefix), *from = after == NULL ? NULL : full_name(s, after);
	struct call c;
	int rc;

	rc = begin(s, &c, e);
	c.seen = seen;
	c.arg = arg;
	while (rc == 0) {
		c.more = false;
		S3_list_bucket(&c.place, full, c.last != NULL ? c.last : from, NULL, PAGE_NAMES, NULL,
		    &handler, &c);
		if (c.ended)
			rc = -1;
		else if (c.status != S3StatusOK)
			rc = refused(&c, "list", prefix, e);
		if (!c.more)
			break;
	}
	end(&c);
	free(full);
	free(from);
	return rc;
}

static int
libs3_probe(struct store *store, const char *place, struct store_abilities *ret, struct err *e)
{
	static const struct store_ability none = { STORE_CANNOT, "driver libs3 has none of it" };
	int64_t now;

	(void)place;
	ret->exclusive = ret->checks = ret->locks = ret->class = none;
	return libs3_clock(store, &now, e);
}

const struct store_ops store_libs3 = {
	.scheme = "s3",
	.name = "libs3",
	.open = libs3_open,
	.put = libs3_put,
	.get = libs3_get,
	.stat = libs3_stat,
	.list = libs3_list,
	.del = libs3_del,
	.clock = libs3_clock,
	.tick_ns = CLOCK_S,
	.probe = libs3_probe,
	.close = libs3_close,
	.far = true,
};
