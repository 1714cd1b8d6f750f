/*
 * What lies in an archive. The store alone keeps the state of an order, and tells it with every look at
 * the object: so nothing of it is written down here, and whoever asks again goes on where it stands.
 *
 * That a class has the name of an archive says nothing: some stores take the name and give the object at
 * once. So an object of any class but the usual one, of which no order is known, is asked for one byte,
 * and the answer decides. An order that was given before is answered in three ways (again, with 200, or
 * refused): whatever the words, a look at the object tells what it meant.
 *
 * Of a bucket that is looked at as it was, a version is meant and not what has the name now: it is
 * found as reading finds it, and named in every request.
 */
#include "storage-backends/s3_thaw.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "filter/digest.h"
#include "storage-backends/s3_list.h"
#include "storage-backends/s3_refusal.h"
#include "storage-backends/s3_talk.h"

#define ONGOING "ongoing-request=\""
#define EXPIRY "expiry-date=\""
#define USUAL "STANDARD"

/* What x-amz-restore says; false: nothing that counts now. */
static bool
read_order(struct s3 *s, const char *text, struct store_cold *ret)
{
	const char *ongoing = strstr(text, ONGOING), *expiry = strstr(text, EXPIRY);
	char date[S3_HEADER_MOST];

	if (ongoing == NULL)
		return false;
	if (strncmp(ongoing + strlen(ONGOING), "true", 4) == 0) {
		ret->state = STORE_THAWING;
		return true;
	}
	ret->state = STORE_THAWED;
	if (expiry != NULL) {
		expiry += strlen(EXPIRY);
		snprintf(date, sizeof(date), "%.*s", (int)strcspn(expiry, "\""), expiry);
		if (s3_talk_date(s, date, &ret->until_ns, NULL) == -1)
			ret->until_ns = 0;
	}
	/* Some go on telling of one that has gone. */
	return ret->until_ns == 0 || ret->until_ns > s3_talk_now(s);
}

static void
read_sum(const struct s3_answer *a, struct store_cold *ret)
{
	struct buf sum;

	buf_init(&sum, S3_HEADER_MOST);
	ret->summed = text_unbase64(a->header[S3_CHECKSUM], strlen(a->header[S3_CHECKSUM]), &sum) == 0 &&
	    sum.len == sizeof(ret->sha);
	if (ret->summed)
		memcpy(ret->sha, sum.data, sum.len);
	buf_done(&sum);
}

/*
 * What is meant by the name: 1, with a query that names its version, NULL where it is that of now; 0
 * there was none then; -1.
 */
static int
meant(struct s3 *s, const char *name, char room[S3_LIST_QUERY], const char **query, struct err *e)
{
	struct store_stat then;
	int rc;

	*query = NULL;
	if (s->store.options.as_of_ns == 0)
		return 1;
	rc = s3_list_then(s, name, room, &then, e);
	*query = room;
	return rc;
}

/* Asks for a byte of it. */
static int
try_byte(struct s3 *s, const char *name, const char *version, struct store_cold *ret, struct err *e)
{
	static const char *const header[] = { "Range: bytes=0-0", NULL };
	struct s3_request r = {
		.method = "GET", .query = version, .header = header, .small = true,
	};
	struct s3_answer a;
	struct err why = { 0 };

	if (s3_talk(s, &r, name, &a, e) == -1)
		return -1;
	/* 416: it is empty. */
	if (a.status == 200 || a.status == 206 || a.status == 416) {
		ret->state = STORE_READABLE;
		return 1;
	}
	s3_talk_refused(s, &a, "look at", name, &why);
	if (why.kind == ERR_FROZEN) {
		ret->state = STORE_FROZEN;
		return 1;
	}
	if (why.kind == ERR_NOTFOUND)
		return 0;
	if (e != NULL)
		*e = why;
	return -1;
}

int
s3_thaw_look(struct store *store, const char *name, struct store_cold *ret, struct err *e)
{
	static const char *const header[] = { "x-amz-checksum-mode: ENABLED", NULL };
	struct s3 *s = s3_talk_of(store);
	struct s3_request r = { .method = "HEAD", .header = header, .small = true };
	char version[S3_LIST_QUERY];
	struct store_stat st;
	struct s3_answer a;
	int rc = meant(s, name, version, &r.query, e);

	if (rc != 1)
		return rc;
	if (s3_talk(s, &r, name, &a, e) == -1)
		return -1;
	if (a.status == 404) {
		rc = store->ops->stat(store, name, &st, e);
		return rc != 1 ? rc : err_set(e, ERR_REMOTE, "'%s' has just come: it is looked at again",
		    name);
	}
	if (a.status != 200)
		return s3_talk_refused(s, &a, "look at", name, e);
	ret->size = a.length < 0 ? 0 : (uint64_t)a.length;
	snprintf(ret->class, sizeof(ret->class), "%.*s", (int)sizeof(ret->class) - 1,
	    a.header[S3_STORAGE_CLASS]);
	read_sum(&a, ret);
	if (a.header[S3_RESTORE][0] != '\0' && read_order(s, a.header[S3_RESTORE], ret))
		return 1;
	ret->state = STORE_READABLE;
	ret->until_ns = 0;
	return ret->class[0] == '\0' || strcmp(ret->class, USUAL) == 0 ? 1 :
	    try_byte(s, name, r.query, ret, e);
}

static const char *
speed_word(enum store_speed speed)
{
	return speed == STORE_EXPEDITED ? "Expedited" : speed == STORE_BULK ? "Bulk" : "Standard";
}

int
s3_thaw_order(struct store *store, const char *name, enum store_speed speed, unsigned days,
    struct err *e)
{
	struct s3 *s = s3_talk_of(store);
	char body[300], room[S3_LIST_QUERY], query[S3_LIST_QUERY + 20];
	struct s3_request r = { .method = "POST", .query = query, .body = body, .small = true };
	const char *version, *fix;
	struct store_cold is;
	struct s3_answer a;
	int rc = meant(s, name, room, &version, e);

	if (rc != 1)
		return rc == -1 ? -1 : err_set(e, ERR_NOTFOUND, "'%s' was not there then", name);
	/* In the order of the keys, as the signature wants them. */
	snprintf(query, sizeof(query), "restore=%s%s", version ? "&" : "", version ? version : "");
	r.len = (size_t)snprintf(body, sizeof(body),
	    "<RestoreRequest xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Days>%u</Days>"
	    "<GlacierJobParameters><Tier>%s</Tier></GlacierJobParameters></RestoreRequest>",
	    days, speed_word(speed));
	if (s3_talk(s, &r, name, &a, e) == -1)
		return -1;
	if (a.status == 202)
		return 1;
	if (a.status == 200)
		return 0;
	if ((a.status == 409 || a.status == 403) && s3_thaw_look(store, name, &is, NULL) == 1 &&
	    is.state != STORE_FROZEN)
		return 0;
	s3_talk_refused(s, &a, "order back", name, e);
	if (version != NULL)
		err_line(e, err_fix(e, &fix) > 0 ? "or" : "fix", "order that version back by the "
		    "store's own tools (restore-object, %s), then the same command", version);
	if (speed == STORE_EXPEDITED)
		err_line(e, "or", "--thaw standard: the store may have no room for hurry now");
	return -1;
}
