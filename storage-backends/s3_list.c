/*
 * Listings, of what there is and of what there was. What rests on them merges them with others, so the
 * order of names is checked here: a store may have another one, and then it is no store for us.
 *
 * Where a bucket keeps versions, the listing of them tells what it looked like at any time: of each
 * name the newest version that is not younger counts, and where that is a mark of deletion there was
 * nothing. Versions of one name come newest first.
 */
#include "storage-backends/s3_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "storage-backends/s3_curl.h"
#include "storage-backends/s3_refusal.h"
#include "storage-backends/s3_xml.h"

#define PAGE_MOST (8u << 20) /* a page of a listing: 1000 names of 1024 bytes, every one encoded */
#define PAGE_NAMES 1000
#define QUERY_MOST 16384

struct listing {
	struct s3 *s;
	bool versions;
	store_seen *seen;
	void *arg;
	char *last; /* name given, or decided on, before; NULL */
};

static void
add_query(struct buf *q, const char *key, const char *value)
{
	if (q->len > 0)
		buf_addc(q, '&');
	buf_adds(q, key);
	buf_addc(q, '=');
	s3_curl_encode(value, true, q);
}

/* In the order of the keys, as the signature wants them. */
static void
query_of(const struct listing *l, const char *prefix, const char *after,
    const struct s3_xml_page *page, struct buf *q)
{
	char names[20];

	snprintf(names, sizeof(names), "%d", PAGE_NAMES);
	if (!l->versions && page->token != NULL)
		add_query(q, "continuation-token", page->token);
	add_query(q, "encoding-type", "url");
	if (l->versions && (page->token != NULL || after != NULL))
		add_query(q, "key-marker", page->token != NULL ? page->token : after);
	if (!l->versions)
		add_query(q, "list-type", "2");
	add_query(q, "max-keys", names);
	add_query(q, "prefix", prefix);
	if (!l->versions && after != NULL)
		add_query(q, "start-after", after);
	if (l->versions && page->version_mark != NULL)
		add_query(q, "version-id-marker", page->version_mark);
	if (l->versions)
		add_query(q, "versions", "");
}

static bool
same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* A page may be empty; but one that sends back to itself would be asked for without end. */
static int
must_go_on(const struct s3 *s, const struct s3_xml_page *was, const struct s3_xml_page *page,
    struct err *e)
{
	if (!page->more || !same(was->token, page->token) || !same(was->version_mark, page->version_mark))
		return 0;
	return err_set(e, ERR_REMOTE, "'%s' goes on with a listing where it was: at '%s'",
	    s->place.endpoint, page->token);
}

/*
 * The next page of what begins with `prefix`, the store's own before it: its entries go to seen(), and
 * `page` says what comes after.
 */
static int
one_page(struct listing *l, const char *prefix, const char *after, s3_xml_seen *seen, void *arg,
    struct s3_xml_page *page, struct err *e)
{
	struct s3_request r = { .method = "GET" };
	struct s3_xml_page was = *page;
	struct s3_answer a;
	struct buf query, text;
	int rc;

	memset(page, 0, sizeof(*page));
	buf_init(&query, QUERY_MOST);
	buf_init(&text, PAGE_MOST);
	query_of(l, prefix, after, &was, &query);
	r.query = buf_str(&query);
	r.out = &text;
	rc = s3_talk(l->s, &r, NULL, &a, e);
	if (rc == 0 && a.status != 200) {
		char right[STORE_NAME_MAX];

		snprintf(right, sizeof(right), "most likely s3:ListBucket%s on '%s', for what begins with "
		    "'%s'", l->versions ? "Versions" : "", l->s->bucket, prefix);
		rc = s3_refusal_right(&l->s->place, &a, "list", right, e);
	}
	if (rc == 0)
		rc = s3_xml_list(&text, seen, arg, page, e);
	if (rc == 0)
		rc = must_go_on(l->s, &was, page, e);
	s3_xml_page_done(&was);
	buf_done(&query);
	buf_done(&text);
	return rc;
}

static int
note_name(struct listing *l, const char *name, struct err *e)
{
	if (l->last != NULL && strcmp(l->last, name) >= 0)
		return err_set(e, ERR_UNSUPPORTED, "'%s' does not list in the order of names: '%s' after "
		    "'%s'", l->s->place.endpoint, name, l->last);
	free(l->last);
	l->last = xstrdup(name);
	return 0;
}

static int
on_entry(void *arg, const struct s3_xml_entry *x, struct err *e)
{
	struct listing *l = arg;
	const char *prefix = l->s->prefix, *name = x->name + strlen(prefix);
	/* Whole seconds, as HEAD says. */
	struct store_entry entry = { .size = x->size, .time_ns = x->time_ns - x->time_ns % CLOCK_S };

	if (strncmp(x->name, prefix, strlen(prefix)) != 0)
		return err_set(e, ERR_REMOTE, "'%s' lists '%s', which was not asked for",
		    l->s->place.endpoint, x->name);
	if (l->versions) {
		if (x->time_ns > l->s->store.options.as_of_ns ||
		    (l->last != NULL && strcmp(l->last, name) == 0))
			return 0;
	}
	if (note_name(l, name, e) == -1)
		return -1;
	entry.name = name;
	return x->kind == S3_XML_MARKER ? 0 : l->seen(l->arg, &entry, e);
}

int
s3_list(struct store *store, const char *prefix, const char *after, store_seen *seen, void *arg,
    struct err *e)
{
	struct s3 *s = s3_talk_of(store);
	struct listing l = {
		.s = s, .seen = seen, .arg = arg, .versions = store->options.as_of_ns != 0,
	};
	char *full = xasprintf("%s%s", s->prefix, prefix);
	char *from = after == NULL ? NULL : xasprintf("%s%s", s->prefix, after);
	struct s3_xml_page page = { 0 };
	int rc;

	do
		rc = one_page(&l, full, from, on_entry, &l, &page, e);
	while (rc == 0 && page.more);
	s3_xml_page_done(&page);
	free(l.last);
	free(full);
	free(from);
	return rc;
}

/* ---- one name, then ---- */

struct wanted {
	struct listing l;
	const char *full;
	bool decided, there, past; /* past: names behind ours have come */
	char *query;
	struct store_stat stat;
};

static int
on_version(void *arg, const struct s3_xml_entry *x, struct err *e)
{
	struct wanted *w = arg;
	int order = strcmp(x->name, w->full);
	struct buf q;

	(void)e;
	w->past = w->past || order > 0;
	if (order != 0 || w->decided || x->time_ns > w->l.s->store.options.as_of_ns)
		return 0;
	w->decided = true;
	w->there = x->kind != S3_XML_MARKER;
	w->stat = (struct store_stat){ x->size, x->time_ns - x->time_ns % CLOCK_S };
	buf_init(&q, S3_LIST_QUERY - 1);
	add_query(&q, "versionId", x->version[0] != '\0' ? x->version : "null");
	snprintf(w->query, S3_LIST_QUERY, "%s", buf_str(&q));
	buf_done(&q);
	return 0;
}

int
s3_list_then(struct s3 *s, const char *name, char query[S3_LIST_QUERY],
    struct store_stat *ret, struct err *e)
{
	char *full = xasprintf("%s%s", s->prefix, name);
	struct wanted w = { .l = { .s = s, .versions = true }, .full = full, .query = query };
	struct s3_xml_page page = { 0 };
	int rc;

	do
		rc = one_page(&w.l, full, NULL, on_version, &w, &page, e);
	while (rc == 0 && page.more && !w.decided && !w.past);
	s3_xml_page_done(&page);
	free(full);
	if (rc == -1)
		return -1;
	*ret = w.stat;
	return w.there ? 1 : 0;
}

/* ---- every version of a name ---- */

struct doomed {
	const char *full;
	char **query;
	size_t count, room;
};

static int
on_doomed(void *arg, const struct s3_xml_entry *x, struct err *e)
{
	struct doomed *d = arg;
	struct buf q;

	(void)e;
	if (strcmp(x->name, d->full) != 0)
		return 0;
	buf_init(&q, S3_LIST_QUERY - 1);
	add_query(&q, "versionId", x->version[0] != '\0' ? x->version : "null");
	d->query = mem_grow(d->query, &d->room, d->count + 1, sizeof(*d->query));
	d->query[d->count++] = xstrdup(buf_str(&q));
	buf_done(&q);
	return 0;
}

void
s3_list_delete(struct s3 *s, const char *name)
{
	char *full = xasprintf("%s%s", s->prefix, name);
	struct listing l = { .s = s, .versions = true };
	struct doomed d = { .full = full };
	struct s3_xml_page page = { 0 };
	struct s3_answer a;

	one_page(&l, full, NULL, on_doomed, &d, &page, NULL);
	s3_xml_page_done(&page);
	for (size_t i = 0; i < d.count; i++) {
		struct s3_request r = { .method = "DELETE", .query = d.query[i], .small = true };

		s3_talk(s, &r, name, &a, NULL);
		free(d.query[i]);
	}
	free(d.query);
	free(full);
}
