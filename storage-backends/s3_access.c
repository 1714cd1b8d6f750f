/*
 * The usual places, in the order in which every other program that speaks S3 asks them. The first
 * that has anything decides: one that is there and wrong is an error, never a reason to go on with
 * somebody else's rights.
 *
 * What a service gives ends. It is asked anew some minutes before, and when a store says that it
 * has ended; if that fails and the old still counts, the old is used.
 */
#include "storage-backends/s3_access.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/units.h"
#include "storage-backends/s3_curl.h"
#include "storage-backends/s3_profile.h"
#include "storage-backends/s3_xml.h"

#define FILE_MOST 65536
#define EARLY_NS (300 * CLOCK_S)
#define SERVICE_S 10
/* An address on the link: who is not there within this time is no metadata service. */
#define METADATA_S 2
#define METADATA "http://169.254.169.254"
#define SESSION_S "3600"

struct s3_access {
	struct s3_access_options o;
	pthread_mutex_t lock;
	struct s3_access_pair pair;
	int64_t until_ns; /* INT64_MAX: for ever; 0: nothing is known yet */
	char from[300];
};

/* 1 has it, 0 has nothing to do with us, -1 should have it. */
typedef int place(struct s3_access *a, struct err *e);

static const char *
environment(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && *value != '\0' ? value : NULL;
}

static void
from(struct s3_access *a, const char *what)
{
	snprintf(a->from, sizeof(a->from), "%s", what);
}

/* All three, or why they do not fit. token may be NULL. */
static int
accept_pair(struct s3_access *a, const char *key, const char *secret, const char *token,
    struct err *e)
{
	struct s3_access_pair *p = &a->pair;

	if (key == NULL || secret == NULL || *key == '\0' || *secret == '\0')
		return err_set(e, ERR_CONFIG, "%s: expected an access key and its secret", a->from);
	if ((size_t)snprintf(p->key, sizeof(p->key), "%s", key) >= sizeof(p->key) ||
	    (size_t)snprintf(p->secret, sizeof(p->secret), "%s", secret) >= sizeof(p->secret) ||
	    (size_t)snprintf(p->token, sizeof(p->token), "%s", token == NULL ? "" : token) >=
		sizeof(p->token))
		return err_set(e, ERR_CONFIG, "%s: what it gives is too long to be a key", a->from);
	a->until_ns = INT64_MAX;
	return 1;
}

static int
of_configuration(struct s3_access *a, struct err *e)
{
	if (a->o.key == NULL && a->o.secret == NULL)
		return 0;
	from(a, "access-key and secret-key of the tier");
	return accept_pair(a, a->o.key, a->o.secret, NULL, e);
}

static int
of_environment(struct s3_access *a, struct err *e)
{
	const char *key = environment("AWS_ACCESS_KEY_ID");

	if (key == NULL || a->o.profile != NULL)
		return 0;
	from(a, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
	return accept_pair(a, key, environment("AWS_SECRET_ACCESS_KEY"),
	    environment("AWS_SESSION_TOKEN"), e);
}

/* ---- a profile ---- */

static int
of_profile(struct s3_access *a, struct err *e)
{
	const char *file = environment("AWS_SHARED_CREDENTIALS_FILE"), *home = getenv("HOME");
	const char *named = a->o.profile != NULL ? a->o.profile : environment("AWS_PROFILE");
	struct s3_profile p = { 0 };
	const char *name;
	struct buf text;
	char *path;
	int rc;

	if (file == NULL && home == NULL)
		return 0;
	name = named != NULL ? named : "default";
	path = file != NULL ? xstrdup(file) : xasprintf("%s/.aws/credentials", home);
	snprintf(a->from, sizeof(a->from), "profile '%s' of '%s'", name, path);
	buf_init(&text, FILE_MOST);
	rc = file_get(AT_FDCWD, path, &text, e);
	if (rc == -1 && e->kind == ERR_NOTFOUND && file == NULL && named == NULL) {
		rc = 0;
	} else if (rc == 0) {
		if (s3_profile_find(buf_str(&text), text.len, name, &p))
			rc = accept_pair(a, p.key, p.secret, p.token, e);
		else if (named != NULL)
			rc = err_set(e, ERR_CONFIG, "%s: there is no such section", a->from);
	}
	s3_profile_done(&p);
	if (text.len > 0)
		OPENSSL_cleanse(text.data, text.len);
	buf_done(&text);
	free(path);
	return rc;
}

/* ---- services ---- */

/* The body of a good answer, else why not. */
static int
ask(const struct s3_access *a, const struct s3_curl_ask *q, struct buf *out, struct err *e)
{
	long status = s3_curl_ask(q, out, e);

	if (status == -1)
		return err_in(e, "%s", a->from);
	if (status == 200)
		return 0;
	return err_set(e, status / 100 == 5 || status == 429 ? ERR_REMOTE : ERR_PERMISSION,
	    "%s: '%s' answers with status %ld", a->from, q->url, status);
}

static void
until(struct s3_access *a, const char *text)
{
	int64_t ns;

	/* A service that does not say is asked again as if it had said: soon. */
	if (text == NULL || units_parse_time(text, &ns, NULL) == -1)
		ns = clock_real_ns() + 2 * EARLY_NS;
	a->until_ns = ns;
}

/* {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"}, as metadata and container services say. */
static int
of_json(struct s3_access *a, const struct buf *text, struct err *e)
{
	json_t *o = json_loadb(buf_str(text), text->len, 0, NULL);
	int rc;

	rc = accept_pair(a, json_string_value(json_object_get(o, "AccessKeyId")),
	    json_string_value(json_object_get(o, "SecretAccessKey")),
	    json_string_value(json_object_get(o, "Token")), e);
	if (rc == 1)
		until(a, json_string_value(json_object_get(o, "Expiration")));
	json_decref(o);
	return rc;
}

/* A token that lies in a file and is renewed there, so it is read each time; without its line end. */
static int
token_of(const char *path, struct buf *out, struct err *e)
{
	if (file_get(AT_FDCWD, path, out, e) == -1)
		return -1;
	while (out->len > 0 && strchr("\r\n ", out->data[out->len - 1]) != NULL)
		buf_cut(out, out->len - 1);
	return 0;
}

static int
web_identity(struct s3_access *a, const char *role, const struct buf *token, struct err *e)
{
	const char *service = environment("AWS_ENDPOINT_URL_STS");
	const char *session = environment("AWS_ROLE_SESSION_NAME");
	char *url = service != NULL ? xstrdup(service)
				    : xasprintf("https://sts.%s.amazonaws.com/", a->o.region);
	struct s3_xml_identity id = { 0 };
	struct buf form, answer;
	struct s3_curl_ask q = { .method = "POST", .url = url, .ca = a->o.ca, .seconds = SERVICE_S };
	int rc;

	buf_init(&form, 2 * FILE_MOST);
	buf_init(&answer, FILE_MOST);
	buf_adds(&form, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&DurationSeconds=" SESSION_S
			"&RoleArn=");
	s3_curl_encode(role, true, &form);
	buf_adds(&form, "&RoleSessionName=");
	s3_curl_encode(session != NULL ? session : "ffdr", true, &form);
	buf_adds(&form, "&WebIdentityToken=");
	s3_curl_encode(buf_str(token), true, &form);
	q.form = buf_str(&form);
	rc = ask(a, &q, &answer, e);
	if (rc == 0)
		rc = s3_xml_identity(&answer, &id, e);
	if (rc == 0)
		rc = accept_pair(a, id.key, id.secret, id.token, e);
	if (rc == 1)
		until(a, id.until);
	s3_xml_identity_done(&id);
	buf_done(&form);
	buf_done(&answer);
	free(url);
	return rc;
}

static int
of_web_identity(struct s3_access *a, struct err *e)
{
	const char *path = environment("AWS_WEB_IDENTITY_TOKEN_FILE");
	const char *role = environment("AWS_ROLE_ARN");
	struct buf token;
	int rc;

	if (path == NULL || role == NULL)
		return 0;
	snprintf(a->from, sizeof(a->from), "the web identity token '%s' for '%s'", path, role);
	buf_init(&token, FILE_MOST);
	rc = token_of(path, &token, e);
	if (rc == 0)
		rc = web_identity(a, role, &token, e);
	buf_done(&token);
	return rc;
}

static int
of_container(struct s3_access *a, struct err *e)
{
	const char *url = environment("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	const char *file = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *text = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	struct s3_curl_ask q = { .method = "GET", .url = url, .seconds = SERVICE_S };
	const char *line[2] = { NULL };
	struct buf token, answer;
	char *header = NULL;
	int rc = 0;

	if (url == NULL)
		return 0;
	from(a, "the service of AWS_CONTAINER_CREDENTIALS_FULL_URI");
	buf_init(&token, FILE_MOST);
	buf_init(&answer, FILE_MOST);
	if (file != NULL)
		rc = token_of(file, &token, e);
	else if (text != NULL)
		buf_adds(&token, text);
	if (token.len > 0)
		line[0] = header = xasprintf("Authorization: %s", buf_str(&token));
	q.line = line;
	if (rc == 0)
		rc = ask(a, &q, &answer, e);
	if (rc == 0)
		rc = of_json(a, &answer, e);
	free(header);
	buf_done(&token);
	buf_done(&answer);
	return rc;
}

/* Below latest/, with the session's token. */
static int
metadata(const struct s3_access *a, const char *base, const char *token, const char *what,
    struct buf *out, struct err *e)
{
	char *url = xasprintf("%s/latest/%s", base, what);
	char *header = token == NULL ? xstrdup("X-aws-ec2-metadata-token-ttl-seconds: 300")
				     : xasprintf("X-aws-ec2-metadata-token: %s", token);
	const char *const line[] = { header, NULL };
	const struct s3_curl_ask q = { .method = token == NULL ? "PUT" : "GET", .url = url,
		.line = line, .seconds = METADATA_S };
	int rc;

	buf_reset(out);
	rc = ask(a, &q, out, e);
	free(header);
	free(url);
	return rc;
}

static int
of_metadata(struct s3_access *a, struct err *e)
{
	const char *base = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	const char *off = environment("AWS_EC2_METADATA_DISABLED");
	bool named = base != NULL;
	struct buf token, answer;
	char *role = NULL;
	int rc;

	if (off != NULL && strcasecmp(off, "true") == 0)
		return 0;
	base = named ? base : METADATA;
	snprintf(a->from, sizeof(a->from), "the metadata service at %s", base);
	buf_init(&token, FILE_MOST);
	buf_init(&answer, FILE_MOST);
	rc = metadata(a, base, NULL, "api/token", &token, e);
	if (rc == -1 && !named) {
		rc = 0; /* this is no such machine */
		goto out;
	}
	if (rc == 0)
		rc = metadata(a, base, buf_str(&token), "meta-data/iam/security-credentials/", &answer, e);
	if (rc == 0) {
		role = xasprintf("meta-data/iam/security-credentials/%.*s",
		    (int)strcspn(buf_str(&answer), "\r\n"), buf_str(&answer));
		rc = metadata(a, base, buf_str(&token), role, &answer, e);
	}
	if (rc == 0)
		rc = of_json(a, &answer, e);
out:
	free(role);
	buf_done(&token);
	buf_done(&answer);
	return rc;
}

static place *const places[] = {
	of_configuration,
	of_environment,
	of_profile,
	of_web_identity,
	of_container,
	of_metadata,
};

/* ---- one for all threads ---- */

struct s3_access *
s3_access_new(const struct s3_access_options *o)
{
	struct s3_access *a = xcalloc(1, sizeof(*a));

	a->o = *o;
	pthread_mutex_init(&a->lock, NULL);
	return a;
}

void
s3_access_free(struct s3_access *a)
{
	if (a == NULL)
		return;
	pthread_mutex_destroy(&a->lock);
	OPENSSL_cleanse(&a->pair, sizeof(a->pair));
	free(a);
}

static int
find(struct s3_access *a, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		int rc = places[i](a, e);

		if (rc != 0)
			return rc == 1 ? 0 : -1;
	}
	err_set(e, ERR_CONFIG, "nobody says who we are to the store");
	err_line(e, "asked", "access-key, secret-key and profile of the tier, AWS_ACCESS_KEY_ID, "
	    "AWS_SHARED_CREDENTIALS_FILE or ~/.aws/credentials, AWS_WEB_IDENTITY_TOKEN_FILE, "
	    "AWS_CONTAINER_CREDENTIALS_FULL_URI, the metadata service");
	return err_line(e, "fix", "set access-key and secret-key in the tier's section");
}

int
s3_access_get(struct s3_access *a, struct s3_access_pair *ret, struct err *e)
{
	struct s3_access_pair old;
	int64_t old_until, now = clock_real_ns();
	int rc = 0;

	pthread_mutex_lock(&a->lock);
	if (a->until_ns == 0 || (a->until_ns != INT64_MAX && now > a->until_ns - EARLY_NS)) {
		old = a->pair;
		old_until = a->until_ns;
		rc = find(a, e);
		if (rc == -1 && now < old_until) {
			a->pair = old;
			a->until_ns = old_until;
			rc = 0;
		}
		OPENSSL_cleanse(&old, sizeof(old));
	}
	*ret = a->pair;
	pthread_mutex_unlock(&a->lock);
	return rc;
}

void
s3_access_ended(struct s3_access *a, const struct s3_access_pair *used)
{
	pthread_mutex_lock(&a->lock);
	/* Another thread may have renewed it already. */
	if (strcmp(a->pair.key, used->key) == 0 && strcmp(a->pair.token, used->token) == 0)
		a->until_ns = 0;
	pthread_mutex_unlock(&a->lock);
}

const char *
s3_access_from(const struct s3_access *a)
{
	return a->from;
}
