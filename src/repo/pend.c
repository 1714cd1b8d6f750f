/*
 * A copy relies on packs that lie at the target already, and a collection there may be about to
 * delete them: it may have listed the manifests before ours was to be seen. The pend/ object makes
 * every later collection see us; those that began earlier end within an hour. A collection writes
 * what it may delete as a list before it looks at manifests, and the list stays for a day: so what
 * is on no list is in no danger from one that has not seen us. What is on a list is doubtful, also
 * when we have just sent it (a collection under way may delete the new one for the old one), unless
 * the newest manifest of the source there names it. Only a copy that counts on something doubtful
 * waits, and only until its pend/ object is PEND_SETTLE_NS old. On a tier whose times come from
 * whoever writes, another host's pend/ object says nothing of its age: it is as old as we know it.
 *
 * The pend/ object dies after PEND_LIFE_NS, so a long copy puts another one in time. It never
 * removes the one before it until the end: a listing under way would miss both.
 */
#include "repo/pend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "repo/snapshot.h"
#include "repo/tomb.h"
#include "repo/transfer.h"
#include "store/aside.h"

/* Another pend/ object well before the old one dies, and none taken over that is older. */
#define RENEW_NS (24 * LAYOUT_HOUR_NS)
/* Packs missing again and again after they were sent: something at the target works against us. */
#define ROUNDS_MOST 10
#define WAIT_STEP_NS CLOCK_S /* so that an interruption is noticed */

/* A pack that the manifest names; the table is sorted by hash, like a listing. */
struct want {
	uint8_t sha[LAYOUT_SHA];
	uint64_t size;
	bool there; /* in the last listing, or sent since */
	bool safe;  /* the newest manifest of the source there names it */
	bool read;  /* its bytes came back from there with their hash */
};

struct copying {
	struct repo *r;
	struct tier *from, *to;
	const char *snap;
	const struct pend_options *o;
	struct pend_report *report;
	struct manifest m;
	struct buf bytes; /* of the manifest, as they are everywhere */
	struct buf scratch;
	struct want *want;
	char pend[LAYOUT_NAME]; /* "" when we have none */
	/* the store's time since when a pend/ object of this snapshot is there */
	int64_t since_ns;
	int64_t seen_ns;	/* boot time since when we know of it */
	int64_t held_ns;	/* boot time when we last saw or put one ... */
	int64_t age_ns;		/* ... of that age */
	/* there was a time without one: what we know of the target is void */
	bool lost;
	uint64_t todo_bytes;
};

static int
interrupted(const struct copying *c, struct err *e)
{
	if (c->o->interrupted == NULL || !c->o->interrupted(c->o->arg))
		return 0;
	return err_set(e, ERR_CANCELLED, "the copy of %s to '%s' was interrupted: the same command "
	    "goes on", c->snap + strlen("snap/"), c->to->name);
}

static int
judge_manifest(void *arg, const char *name, const struct buf *bytes, struct err *e)
{
	struct copying *c = arg;

	manifest_done(&c->m);
	return manifest_open(bytes, name, c->r->keys, &c->m, e);
}

static int
by_sha(const void *a, const void *b)
{
	return memcmp(a, b, LAYOUT_SHA); /* sha comes first in struct want */
}

static int
read_manifest(struct copying *c, struct err *e)
{
	if (tier_get(c->r->tiers, c->from, c->snap, &c->bytes, judge_manifest, c, NULL, e) == -1)
		return -1;
	c->report->sequence = c->m.sequence;
	c->want = xcalloc(c->m.packs, sizeof(*c->want));
	for (size_t i = 0; i < c->m.packs; i++) {
		memcpy(c->want[i].sha, c->m.pack[i].sha, LAYOUT_SHA);
		c->want[i].size = c->m.pack[i].size;
	}
	if (c->m.packs > 1)
		qsort(c->want, c->m.packs, sizeof(*c->want), by_sha);
	return 0;
}

/* ---- the pend/ object ---- */

struct holding {
	struct copying *c;
	int64_t now_ns;
	bool remove; /* all of them: the end */
};

static char *
pend_prefix(const struct copying *c, char out[LAYOUT_NAME])
{
	snprintf(out, LAYOUT_NAME, "pend/%s.", c->snap + strlen("snap/"));
	return out;
}

/* Of several that an earlier copy left, the oldest one that has long to live. */
static int
hold_seen(void *arg, const struct store_entry *entry, struct err *e)
{
	struct holding *h = arg;
	struct copying *c = h->c;

	(void)e;
	if (entry->size != c->bytes.len || h->now_ns - entry->time_ns > RENEW_NS)
		return 0;
	if (c->pend[0] != '\0' && entry->time_ns >= c->since_ns)
		return 0;
	snprintf(c->pend, sizeof(c->pend), "%s", entry->name);
	c->since_ns = entry->time_ns;
	c->age_ns = h->now_ns - entry->time_ns;
	return 0;
}

static int
put_pend(struct copying *c, struct err *e)
{
	struct store_stat st;
	int rc;

	layout_pend_new(c->snap, c->pend);
	rc = store_put(c->to->store, c->pend, c->bytes.data, c->bytes.len, STORE_NEW, e);
	if (rc == 1)
		rc = store_stat(c->to->store, c->pend, &st, e);
	if (rc == 0)
		err_set(e, ERR_REMOTE, "'%s' is not there after it was put", c->pend);
	if (rc != 1)
		return -1;
	if (c->since_ns == 0)
		c->since_ns = st.time_ns;
	c->age_ns = 0;
	c->held_ns = clock_boot_ns();
	return 0;
}

static int
begin_pend(struct copying *c, struct err *e)
{
	int rc = put_pend(c, e);

	c->seen_ns = c->held_ns;
	return rc;
}

/* Goes on with what an earlier copy of this snapshot left, or begins. */
static int
hold(struct copying *c, struct err *e)
{
	char prefix[LAYOUT_NAME];
	struct holding h = { .c = c };

	c->pend[0] = '\0';
	c->since_ns = 0;
	c->lost = false;
	for (size_t i = 0; i < c->m.packs; i++)
		c->want[i].safe = false;
	if (store_clock(c->to->store, &h.now_ns, e) == -1 ||
	    store_list(c->to->store, pend_prefix(c, prefix), NULL, hold_seen, &h, e) == -1)
		return -1;
	c->seen_ns = c->held_ns = clock_boot_ns();
	return c->pend[0] != '\0' ? 0 : begin_pend(c, e);
}

static int
drop_seen(void *arg, const struct store_entry *entry, struct err *e)
{
	struct copying *c = arg;

	return store_del(c->to->store, entry->name, e) == -1 ? -1 : 0;
}

static int
drop_pends(struct copying *c, struct err *e)
{
	char prefix[LAYOUT_NAME];

	return store_list(c->to->store, pend_prefix(c, prefix), NULL, drop_seen, c, e);
}

/* 1 when the pend/ object is there and lives on for longer than a commit takes, 0 when not. */
static int
alive(struct copying *c, const char *pend, struct err *e)
{
	struct store_stat st;
	int64_t now;
	int rc;

	if (store_clock(c->to->store, &now, e) == -1)
		return -1;
	rc = store_stat(c->to->store, pend, &st, e);
	if (rc == 1 && now - st.time_ns > PEND_LIFE_NS - RENEW_NS)
		rc = 0;
	return rc;
}

/*
 * When to do it is judged by our own boot clock: a request for every pack would tell no more. That
 * the old one was alive until the new one was there is judged by the store's.
 */
static int
renew(struct copying *c, struct err *e)
{
	char old[LAYOUT_NAME];
	int rc;

	if (c->age_ns + clock_boot_ns() - c->held_ns < RENEW_NS)
		return 0;
	memcpy(old, c->pend, sizeof(old));
	if (put_pend(c, e) == -1)
		return -1;
	rc = alive(c, old, e);
	if (rc == 0)
		c->lost = true;
	return rc == -1 ? -1 : 0;
}

/* ---- packs ---- */

static int
there_seen(void *arg, const struct store_entry *entry, struct err *e)
{
	struct copying *c = arg;
	uint8_t sha[LAYOUT_SHA];
	struct want *w;

	(void)e;
	if (layout_pack_parse(entry->name, sha) == -1 || c->m.packs == 0)
		return 0;
	w = bsearch(sha, c->want, c->m.packs, sizeof(*w), by_sha);
	/* Of another size it is as good as missing: sending sets it aside. */
	if (w != NULL && entry->size == w->size)
		w->there = true;
	else if (w != NULL)
		w->read = false;
	return 0;
}

static int
list_packs(struct copying *c, struct err *e)
{
	for (size_t i = 0; i < c->m.packs; i++)
		c->want[i].there = false;
	return store_list(c->to->store, "pack/", NULL, there_seen, c, e);
}

/*
 * What lies there and is named by no manifest that we know of was put by a copy that was cut short,
 * or by nobody knows whom. What has not its hash makes way.
 */
static int
prove_there(struct copying *c, struct err *e)
{
	char name[LAYOUT_NAME];
	int rc;

	for (size_t i = 0; i < c->m.packs; i++) {
		struct want *w = &c->want[i];

		if (!w->there || w->safe || w->read)
			continue;
		if (interrupted(c, e) == -1)
			return -1;
		rc = transfer_read_back(c->to, w->sha, &c->scratch, &w->read, e);
		w->there = w->read;
		if (rc == -1)
			return -1;
		if (rc == 1)
			continue;
		if (aside_object(c->to->store, layout_pack(w->sha, name), NULL, e) == -1)
			return err_in(e, "set the damaged one aside");
		c->report->replaced++;
	}
	return 0;
}

/* What became of one that was sent. */
static int
land(struct copying *c, const struct transfer *s, struct err *e)
{
	struct want *w = bsearch(s->sha, c->want, c->m.packs, sizeof(*w), by_sha);
	struct store_stat st;

	w->there = w->read = s->rc != -1 && s->proved;
	if (s->rc == -1) {
		*e = s->err;
		/* A manifest names it, so it is no name that a person gave; unless that went, too. */
		if (e->kind == ERR_NOTFOUND && store_stat(c->from->store, c->snap, &st, NULL) == 1)
			e->kind = ERR_CORRUPT;
		return -1;
	}
	if (s->rc > 0) {
		c->report->gave |= UINT64_C(1) << ((s->gave - c->r->tiers->tier) & 63);
		c->report->replaced += s->rc == 2;
		c->report->sent++;
		c->report->sent_bytes += w->size;
	}
	if (c->o->progress != NULL)
		c->o->progress(c->o->arg, false, c->report->sent_bytes, c->todo_bytes);
	return 0;
}

static uint64_t
largest(const struct copying *c)
{
	uint64_t most = 1;

	for (size_t i = 0; i < c->m.packs; i++)
		if (c->want[i].size > most)
			most = c->want[i].size;
	return most;
}

/* After the first that fails none is begun, and of those under way it is still heard. */
static int
send_all(struct copying *c, size_t *missing, struct transfers *t, struct err *e)
{
	const struct transfer *ended;
	struct err why = { 0 };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < c->m.packs; i++) {
		if (c->want[i].there)
			continue;
		++*missing;
		if (transfer_full(t))
			rc = land(c, transfer_end(t), e);
		if (rc == 0 && (interrupted(c, e) == -1 || renew(c, e) == -1))
			rc = -1;
		if (rc == 0)
			transfer_begin(t, c->want[i].sha);
	}
	while ((ended = transfer_end(t)) != NULL)
		if (land(c, ended, rc == 0 ? e : &why) == -1)
			rc = -1;
	return rc;
}

static bool
pack_there(void *arg, const uint8_t sha[LAYOUT_SHA])
{
	const struct copying *c = arg;
	const struct want *w = bsearch(sha, c->want, c->m.packs, sizeof(*w), by_sha);

	return w != NULL && w->there;
}

static int
send_missing(struct copying *c, size_t *missing, struct err *e)
{
	struct transfers *t;
	int rc;

	*missing = 0;
	c->todo_bytes = c->report->sent_bytes;
	for (size_t i = 0; i < c->m.packs; i++)
		if (!c->want[i].there)
			c->todo_bytes += c->want[i].size;
	if (c->o->ready != NULL && c->o->ready(c->o->arg, &c->m, pack_there, c, e) == -1)
		return -1;
	t = transfer_new(c->r, c->from, c->to, c->o->workers, largest(c));
	rc = send_all(c, missing, t, e);
	transfer_free(t);
	return rc;
}

/* ---- doubt ---- */

/*
 * What the newest manifest of the source at the target names is safe; unreadable, it makes nothing
 * safe.
 */
static int
learn_safe(struct copying *c, struct err *e)
{
	struct snapshot_list list = { 0 };
	const struct snapshot *newest;
	struct manifest m;
	struct want *w;
	int rc = -1;

	manifest_init(&m);
	if (snapshot_list_known(c->to->store, c->m.source, &list, e) == -1)
		goto out;
	rc = 0;
	newest = snapshot_newest(&list, c->m.source);
	if (newest == NULL || c->m.packs == 0 ||
	    manifest_get(c->to->store, newest->name, c->r->keys, &m, NULL) == -1)
		goto out;
	for (size_t i = 0; i < m.packs; i++) {
		w = bsearch(m.pack[i].sha, c->want, c->m.packs, sizeof(*w), by_sha);
		if (w != NULL)
			w->safe = true;
	}
out:
	manifest_done(&m);
	snapshot_list_done(&list);
	return rc;
}

/* 1 when a collection that has not seen us may delete something we count on. */
static int
doubtful(struct copying *c, struct err *e)
{
	struct tomb_lists lists;
	int rc = 0;

	if (tomb_read(c->r, c->to, 0, INT64_MAX, &lists, e) == -1) /* all are fresh to us */
		return -1;
	for (size_t i = 0; i < c->m.packs && rc == 0; i++) {
		const struct want *w = &c->want[i];

		if (!w->safe &&
		    (lists.unreadable > 0 || packset_has(&lists.fresh, w->sha)))
			rc = 1;
	}
	tomb_done(&lists);
	return rc;
}

/*
 * How much is missing until every collection that may not have seen us has ended; 0 or less: none.
 */
static int
unsettled(struct copying *c, int64_t *ret_ns, struct err *e)
{
	int64_t now;

	*ret_ns = c->seen_ns + PEND_SETTLE_NS - clock_boot_ns();
	if (c->to->store->ops->times_by_writer)
		return 0;
	if (store_clock(c->to->store, &now, e) == -1)
		return -1;
	*ret_ns = c->since_ns + PEND_SETTLE_NS - now;
	return 0;
}

static int
settle(struct copying *c, struct err *e)
{
	int64_t left, end, total = PEND_SETTLE_NS / CLOCK_S;

	for (;;) {
		if (unsettled(c, &left, e) == -1)
			return -1;
		if (left <= 0)
			return 0;
		c->report->waited = true;
		end = clock_boot_ns() + left;
		while ((left = end - clock_boot_ns()) > 0) {
			if (interrupted(c, e) == -1)
				return -1;
			if (c->o->progress != NULL)
				c->o->progress(c->o->arg, true,
				    (uint64_t)(total - left / CLOCK_S), (uint64_t)total);
			clock_sleep_ns(left < WAIT_STEP_NS ? left : WAIT_STEP_NS);
		}
	}
}

/* Everything the manifest names is at the target in a listing that nothing doubtful rests on. */
static int
fill(struct copying *c, struct err *e)
{
	size_t missing, first = SIZE_MAX;
	int64_t left;
	int doubt;

	for (int round = 0; round < ROUNDS_MOST; round++) {
		if (unsettled(c, &left, e) == -1 || list_packs(c, e) == -1 ||
		    learn_safe(c, e) == -1 || prove_there(c, e) == -1 ||
		    send_missing(c, &missing, e) == -1)
			return -1;
		if (first == SIZE_MAX) {
			first = missing;
			c->report->there = c->m.packs - missing;
		}
		if (left > 0) {
			if (learn_safe(c, e) == -1 || (doubt = doubtful(c, e)) == -1)
				return -1;
			if (doubt == 1) {
				if (settle(c, e) == -1)
					return -1;
				continue;
			}
		}
		if (missing == 0)
			return 0;
	}
	return err_set(e, ERR_REMOTE, "packs that were sent to '%s' are not there, %d times now",
	    c->to->name, ROUNDS_MOST);
}

/* 1 the target has the manifest, by its bytes; 0 not; -1 also when something else has its name. */
static int
is_there(struct copying *c, struct err *e)
{
	struct err why = { 0 };

	buf_reset(&c->scratch);
	if (store_get(c->to->store, c->snap, &c->scratch, &why) == -1) {
		if (why.kind == ERR_NOTFOUND)
			return 0;
		*e = why;
		return err_in(e, "'%s' on '%s'", c->snap, c->to->name);
	}
	if (c->scratch.len == c->bytes.len &&
	    memcmp(c->scratch.data, c->bytes.data, c->bytes.len) == 0)
		return 1;
	err_set(e, ERR_CORRUPT, "'%s' on '%s' holds other bytes than it does elsewhere", c->snap,
	    c->to->name);
	return err_line(e, "fix", "`ffdr verify --repair --tier %s`", c->to->name);
}

static int
settle_own(struct copying *c, bool last, struct err *e)
{
	return c->o->settle == NULL ? 0 : c->o->settle(c->o->arg, &c->m, last, e);
}

/* 1 the snapshot is there, 0 our hold was lost: once more from the beginning. */
static int
attempt(struct copying *c, struct err *e)
{
	int rc;

	rc = is_there(c, e);
	if (rc != 0) {
		c->report->already = rc == 1;
		return rc;
	}
	if (hold(c, e) == -1 || settle_own(c, false, e) == -1 || fill(c, e) == -1 ||
	    settle_own(c, true, e) == -1)
		return -1;
	rc = c->lost ? 0 : alive(c, c->pend, e);
	if (rc != 1)
		return rc;
	if (interrupted(c, e) == -1)
		return -1;
	rc = store_put(c->to->store, c->snap, c->bytes.data, c->bytes.len, STORE_NEW, e);
	return rc == 0 ? is_there(c, e) : rc; /* taken: by another copier, or by what? */
}

int
pend_copy(struct repo *r, struct tier *from, struct tier *to, const char *snap,
    const struct pend_options *o, struct pend_report *ret, struct err *e)
{
	struct copying c = { .r = r, .from = from, .to = to, .snap = snap, .o = o, .report = ret };
	int rc = 0;

	memset(ret, 0, sizeof(*ret));
	manifest_init(&c.m);
	buf_init(&c.bytes, STORE_OBJECT_MAX);
	buf_init(&c.scratch, STORE_OBJECT_MAX);
	if (repo_spread(r, to, e) == -1 || read_manifest(&c, e) == -1)
		rc = -1;
	for (int try = 0; rc == 0 && try < ROUNDS_MOST; try++)
		rc = attempt(&c, e);
	if (rc == 0)
		err_set(e, ERR_REMOTE, "the pend/ object on '%s' was removed, %d times now", to->name,
		    ROUNDS_MOST);
	if (rc == 1)
		rc = drop_pends(&c, e) == -1 ? -1 : 1;
	manifest_done(&c.m);
	buf_done(&c.bytes);
	buf_done(&c.scratch);
	free(c.want);
	return rc == 1 ? 0 : -1;
}
