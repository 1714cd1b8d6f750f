/*
 * What a store can do is tried, because what it says is no help: some take every header and do nothing,
 * others refuse one thing in four different words. Each question leaves one small object, and all of
 * them go, with their versions, as far as the store lets them: what is locked goes when its few seconds
 * are over, and what may not be deleted stays, a few bytes below check/.
 */
#include "storage-backends/s3_probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "filter/digest.h"
#include "storage-backends/s3_curl.h"
#include "storage-backends/s3_list.h"
#include "storage-backends/s3_talk.h"
#include "storage-backends/s3_xml.h"

/* Long enough that a slow store is asked to delete before it is over. */
#define LOCK_NS (5 * CLOCK_S)
#define TEXT_MOST 65536

struct probe {
	struct s3 *s;
	const char *place;
	struct store_abilities *can;
	bool locked; /* something is, until then */
	int64_t until_ns;
};

enum { EXCLUSIVE, CHECKS, LOCKS, CLASS, QUESTIONS };
static const char *const question[QUESTIONS] = { "exclusive", "checks", "locks", "class" };

/* Puts `text` for that question, with the header lines (NULL: none): 0 with any answer. */
static int
put(const struct probe *p, int which, const char *text, const uint8_t *sum,
    const char *const *more, struct s3_answer *a, struct err *e)
{
	char name[STORE_NAME_MAX], line[S3_TALK_LINE];
	const char *header[6] = { line, "x-amz-sdk-checksum-algorithm: SHA256" };
	struct s3_request r = {
		.method = "PUT", .body = text, .len = strlen(text), .header = header, .small = true,
	};
	uint8_t sha[DIGEST_LEN];

	digest_sha256(text, r.len, sha);
	r.sha = sha;
	s3_talk_sum(sum != NULL ? sum : sha, line);
	for (size_t i = 0; more != NULL && more[i] != NULL; i++)
		header[i + 2] = more[i];
	snprintf(name, sizeof(name), "%s-%s", p->place, question[which]);
	return s3_talk(p->s, &r, name, a, e);
}

/* A request about that object, or (which = -1) the bucket; what comes goes into out (may be NULL). */
static int
ask(const struct probe *p, int which, const char *method, const char *query, struct buf *out,
    struct s3_answer *a, struct err *e)
{
	struct s3_request r = { .method = method, .query = query, .out = out, .small = true };
	char name[STORE_NAME_MAX];

	if (which != -1)
		snprintf(name, sizeof(name), "%s-%s", p->place, question[which]);
	return s3_talk(p->s, &r, which == -1 ? NULL : name, a, e);
}

/* Not an answer to what was asked, but trouble: to be asked again. */
static bool
trouble(const struct s3_answer *a)
{
	return a->status == 429 || (a->status / 100 == 5 && a->status != 501 && a->status != 505);
}

static int
refused(const struct probe *p, int which, const char *verb, const struct s3_answer *a, struct err *e)
{
	char name[STORE_NAME_MAX];

	snprintf(name, sizeof(name), "%s-%s", p->place, question[which]);
	return s3_talk_refused(p->s, a, verb, name, e);
}

static int
troubled(const struct probe *p, const struct s3_answer *a, struct err *e)
{
	return s3_talk_refused(p->s, a, "probe", p->place, e);
}

static void
judge(struct store_ability *to, bool can, const struct s3_answer *a)
{
	struct s3_xml_error x;

	to->can = can ? STORE_CAN : STORE_CANNOT;
	if (can || a->status / 100 == 2)
		return;
	s3_xml_error(a->said, &x);
	snprintf(to->seen, sizeof(to->seen), "status %ld%s%s%s%.100s", a->status,
	    x.code[0] != '\0' ? " " : "", x.code, x.message[0] != '\0' ? ": " : "", x.message);
}

/* The version that this answer made, as a query; false: there are none. */
static bool
version_of(const struct s3_answer *a, char query[S3_LIST_QUERY])
{
	const char *id = a->header[S3_VERSION_ID];
	struct buf q;

	if (id[0] == '\0' || strcmp(id, "null") == 0)
		return false;
	buf_init(&q, S3_LIST_QUERY - 1);
	buf_adds(&q, "versionId=");
	s3_curl_encode(id, true, &q);
	snprintf(query, S3_LIST_QUERY, "%s", buf_str(&q));
	buf_done(&q);
	return true;
}

/*
 * The second writer of a name is told that it is taken, and what is there is still the first's. Where that
 * may not be read nothing was found out.
 */
static int
try_exclusive(struct probe *p, struct err *e)
{
	static const char *const once[] = { "If-None-Match: *", NULL };
	char version[S3_LIST_QUERY];
	struct s3_answer first, second, a;
	struct buf back;
	bool same;
	int rc;

	if (put(p, EXCLUSIVE, "first", NULL, once, &first, e) == -1)
		return -1;
	if (first.status == 501 || first.status == 400) {
		judge(&p->can->exclusive, false, &first);
		return 0;
	}
	if (first.status != 200)
		return troubled(p, &first, e);
	p->can->versions.can = version_of(&first, version) ? STORE_CAN : STORE_CANNOT;
	if (put(p, EXCLUSIVE, "second", NULL, once, &second, e) == -1)
		return -1;
	if (trouble(&second))
		return troubled(p, &second, e);
	buf_init(&back, TEXT_MOST);
	rc = ask(p, EXCLUSIVE, "GET", NULL, &back, &a, e);
	same = strcmp(buf_str(&back), "first") == 0;
	buf_done(&back);
	if (rc == 0 && a.status == 404) /* a rule of the bucket took it: that is told by its own line */
		return 0;
	if (rc == 0 && a.status != 200)
		rc = refused(p, EXCLUSIVE, "get", &a, e);
	if (rc == -1)
		return -1;
	judge(&p->can->exclusive, second.status == 412 && same, &second);
	if (second.status == 412 && !same)
		snprintf(p->can->exclusive.seen, sizeof(p->can->exclusive.seen), "what it said was "
		    "taken has other bytes now");
	return 0;
}

/*
 * Copies rely on that, so one refusal, which may have had any reason, proves nothing: the right sum has to
 * be taken between two wrong ones.
 */
static int
try_checks(struct probe *p, struct err *e)
{
	const uint8_t wrong[DIGEST_LEN] = { 0 };
	const uint8_t *const sum[] = { wrong, NULL, wrong };
	struct s3_answer a;

	for (size_t i = 0; i < ARRAY_LEN(sum); i++) {
		if (put(p, CHECKS, "bytes", sum[i], NULL, &a, e) == -1)
			return -1;
		if (trouble(&a))
			return troubled(p, &a, e);
		judge(&p->can->checks, sum[i] && a.status == 400, &a);
		if (a.status != (sum[i] ? 400 : 200)) {
			if (a.status / 100 != 2)
				p->can->checks.can = STORE_UNKNOWN;
			return 0;
		}
	}
	return 0;
}

static int
try_class(struct probe *p, struct err *e)
{
	const char *wanted = p->s->store.options.class;
	char line[100];
	const char *const more[] = { line, NULL };
	struct s3_answer a;

	if (wanted == NULL)
		return 0;
	snprintf(line, sizeof(line), "x-amz-storage-class: %s", wanted);
	if (put(p, CLASS, "bytes", NULL, more, &a, e) == -1)
		return -1;
	if (trouble(&a))
		return troubled(p, &a, e);
	if (a.status != 200) {
		judge(&p->can->class, false, &a);
		return 0;
	}
	if (ask(p, CLASS, "HEAD", NULL, NULL, &a, e) == -1)
		return -1;
	/* What is not said is the standard. */
	if (a.header[S3_STORAGE_CLASS][0] == '\0')
		snprintf(a.header[S3_STORAGE_CLASS], sizeof(a.header[0]), "STANDARD");
	p->can->class.can = strcmp(a.header[S3_STORAGE_CLASS], wanted) == 0 ? STORE_CAN : STORE_CANNOT;
	if (p->can->class.can == STORE_CANNOT)
		snprintf(p->can->class.seen, sizeof(p->can->class.seen), "it says %s of what was put there",
		    a.header[S3_STORAGE_CLASS]);
	return 0;
}

/* Locked for a few seconds: then who put it must not be able to delete it. */
static int
try_locks(struct probe *p, struct err *e)
{
	const enum store_lock lock = p->s->store.options.lock;
	char mode[S3_TALK_LINE], until[S3_TALK_LINE], version[S3_LIST_QUERY];
	const char *const more[] = { mode, until, NULL };
	struct s3_answer a;

	if (lock == STORE_LOCK_NONE)
		return 0;
	p->until_ns = s3_talk_now(p->s) + LOCK_NS;
	s3_talk_lock(lock, p->until_ns, mode, until);
	if (put(p, LOCKS, "bytes", NULL, more, &a, e) == -1)
		return -1;
	if (trouble(&a))
		return troubled(p, &a, e);
	if (a.status != 200 || !version_of(&a, version)) {
		judge(&p->can->locks, false, &a);
		return 0;
	}
	p->locked = true;
	if (ask(p, LOCKS, "DELETE", version, NULL, &a, e) == -1)
		return -1;
	if (trouble(&a))
		return troubled(p, &a, e);
	p->can->locks.can = a.status / 100 == 4 ? STORE_CAN : STORE_CANNOT;
	if (p->can->locks.can == STORE_CANNOT)
		snprintf(p->can->locks.seen, sizeof(p->can->locks.seen), "what was locked could be "
		    "deleted");
	return 0;
}

/* Is there such a word in that part of the bucket's configuration? An answer that is none: unknown. */
static int
configured(const struct probe *p, const char *part, const char *word, enum store_can *ret,
    struct err *e)
{
	struct s3_answer a;
	struct buf text;
	int rc;

	buf_init(&text, TEXT_MOST);
	rc = ask(p, -1, "GET", part, &text, &a, e);
	if (rc == 0 && a.status == 200)
		*ret = strstr(buf_str(&text), word) != NULL ? STORE_CAN : STORE_CANNOT;
	else if (rc == 0 && a.status == 404)
		*ret = STORE_CANNOT;
	buf_done(&text);
	return rc;
}

/* Of an element in [from, end) the text; the length, or -1. */
static int
element(const char *from, const char *end, const char *open, const char **ret)
{
	const char *at = memmem(from, (size_t)(end - from), open, strlen(open));

	if (at == NULL)
		return -1;
	*ret = at + strlen(open);
	return (int)strcspn(*ret, "<");
}

/* Does this rule remove what is there, at some age, and not only marks of what is gone? */
static bool
removes(const struct probe *p, const char *rule, const char *end)
{
	const char *text, *tail, *ours = p->s->prefix;
	int n = element(rule, end, "<Prefix>", &text);
	size_t both = n < 0 ? 0 : strlen(ours) < (size_t)n ? strlen(ours) : (size_t)n;

	if (n > 0 && strncmp(text, ours, both) != 0)
		return false;
	if (element(rule, end, "<Status>Enabled", &text) == -1 ||
	    element(rule, end, "<Expiration>", &text) == -1)
		return false;
	tail = memmem(text, (size_t)(end - text), "</Expiration>", strlen("</Expiration>"));
	return tail != NULL && (element(text, tail, "<Days>", &text) != -1 ||
	    element(text, tail, "<Date>", &text) != -1);
}

static int
try_lifecycle(struct probe *p, struct err *e)
{
	const char *rule, *end;
	struct s3_answer a;
	struct buf text;
	int rc;

	buf_init(&text, TEXT_MOST);
	rc = ask(p, -1, "GET", "lifecycle=", &text, &a, e);
	if (rc == 0 && a.status == 200)
		for (rule = strstr(buf_str(&text), "<Rule>"); rule != NULL; rule = strstr(end, "<Rule>")) {
			end = strstr(rule, "</Rule>");
			if (end == NULL)
				break;
			p->can->expires = p->can->expires || removes(p, rule, end);
		}
	buf_done(&text);
	return rc;
}

/* Every version of what was put, now that the locks are over; no harm is done where that fails. */
static void
clean(const struct probe *p)
{
	struct s3_answer a;

	if (p->locked) {
		int64_t left = p->until_ns + CLOCK_S - s3_talk_now(p->s);

		if (left > 0)
			clock_sleep_ns(left);
	}
	for (int which = 0; which < QUESTIONS; which++) {
		char name[STORE_NAME_MAX];

		snprintf(name, sizeof(name), "%s-%s", p->place, question[which]);
		s3_list_delete(p->s, name);
		ask(p, which, "DELETE", NULL, NULL, &a, NULL);
		s3_list_delete(p->s, name);
	}
}

int
s3_probe(struct store *store, const char *place, struct store_abilities *ret, struct err *e)
{
	struct probe p = { .s = s3_talk_of(store), .place = place, .can = ret };
	enum store_can all = STORE_UNKNOWN;
	int rc = -1;

	if (try_exclusive(&p, e) == 0 && try_checks(&p, e) == 0 && try_class(&p, e) == 0 &&
	    try_locks(&p, e) == 0 &&
	    configured(&p, "object-lock=", "<DefaultRetention>", &all, e) == 0 &&
	    configured(&p, "lifecycle=", "NoncurrentVersionExpiration", &ret->tidies.can, e) == 0 &&
	    try_lifecycle(&p, e) == 0)
		rc = 0;
	ret->locks_all = all == STORE_CAN;
	clean(&p);
	return rc;
}
