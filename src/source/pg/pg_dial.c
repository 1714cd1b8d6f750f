/*
 * Connecting by PQconnectStart, because PQconnectdb cannot be interrupted. But then libpq has no
 * timeout, and of several hosts it would wait for a dead first one as long as TCP does, which is
 * minutes: just when the primary lost its power and the standby should be found. So hosts are taken
 * one by one from what libpq made of the connection string, service file and environment, and each
 * gets its part of the time.
 *
 * prefer-standby needs two rounds then: first whoever is a standby, then anybody.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "source/pg/pg_conn_parts.h"

/* A dead peer is noticed after a minute, also where the kernel would wait for hours. */
#define KEEPALIVE_IDLE "30"
#define KEEPALIVE_INTERVAL "10"
#define KEEPALIVE_COUNT "3"
#define USER_TIMEOUT_MS "60000"

#define PARAMS_MAX 24

struct params {
	const char *key[PARAMS_MAX], *value[PARAMS_MAX];
	size_t count;
};

/* One server out of several, or all NULL. */
struct target {
	const char *host, *hostaddr, *port, *session;
};

/* The lists of libpq's, item by item; parallel, shorter ones stand for all. */
struct hosts {
	char **host, **hostaddr, **port;
	size_t count;
	char *session;
};

static void
set(struct params *p, const char *key, const char *value)
{
	if (!value)
		return;
	p->key[p->count] = key;
	p->value[p->count++] = value;
}

/* Later ones win over earlier ones, and the connection string stands in the middle. */
static void
make_params(struct params *p, const struct pg_conn_options *o, const struct target *t)
{
	*p = (struct params){ 0 };
	set(p, "keepalives_idle", KEEPALIVE_IDLE);
	set(p, "keepalives_interval", KEEPALIVE_INTERVAL);
	set(p, "keepalives_count", KEEPALIVE_COUNT);
	set(p, "tcp_user_timeout", USER_TIMEOUT_MS);
	set(p, "fallback_application_name", "ffdr");
	set(p, "dbname", o->conninfo);
	set(p, "password", o->password);
	set(p, "application_name", o->application);
	set(p, "client_encoding", o->replication ? NULL : "UTF8");
	set(p, "replication", o->replication ? "true" : NULL);
	set(p, "dbname", o->replication ? "replication" : NULL);
	set(p, "host", t->host);
	set(p, "hostaddr", t->hostaddr);
	set(p, "port", t->port);
	set(p, "target_session_attrs", t->session);
}

static void
pass_remark(void *arg, const PGresult *r)
{
	struct pg_conn *c = arg;

	if (c->remark && PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY))
		c->remark(c->remark_arg, PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY),
		    PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL));
}

void
pg_dial_place(struct pg_conn *c)
{
	const char *host = PQhost(c->pq), *port = PQport(c->pq);

	if (!host || !*host)
		host = "?";
	snprintf(c->place, sizeof(c->place),
	    host[0] == '/' ? "%.200s/.s.PGSQL.%.20s" : "%.200s:%.20s", host,
	    port && *port ? port : "?");
}

/* ---- one attempt ---- */

/* A moment at the socket. 0, or -1 with the reason to give up. */
static int
wait_socket(struct pg_conn *c, PostgresPollingStatusType want, int64_t until, struct err *e)
{
	struct pollfd p = { .fd = PQsocket(c->pq),
		.events = want == PGRES_POLLING_WRITING ? POLLOUT : POLLIN };
	int64_t left;

	for (;;) {
		if (c->stop && c->stop(c->arg))
			return err_set(
			    e, ERR_CANCELLED, "stopped while connecting to %s", c->place);
		left = (until - clock_boot_ns()) / CLOCK_MS;
		if (left <= 0)
			return err_set(
			    e, ERR_REMOTE, "postgres at %s: no answer in time", c->place);
		if (poll(&p, 1, left < PG_CONN_SLICE_MS ? (int)left + 1 : PG_CONN_SLICE_MS) > 0)
			return 0;
	}
}

static int
fail(struct pg_conn *c, struct err *e)
{
	pg_error_connect(c->place, PQerrorMessage(c->pq), c->sqlstate, e);
	if (!PQconnectionNeedsPassword(c->pq))
		return -1;
	e->kind = ERR_PERMISSION;
	return err_line(e, "fix", c->replication ?
	    "name a password for it, or give .pgpass a line for the database 'replication'" :
	    "name a password for it, or give .pgpass a line for it");
}

/* Begins to connect: libpq knows then what it would do. */
static int
begin(struct pg_conn *c, const struct pg_conn_options *o, const struct target *t, struct err *e)
{
	struct params p;

	PQfinish(c->pq);
	make_params(&p, o, t);
	c->pq = PQconnectStartParams(p.key, p.value, 1);
	if (!c->pq)
		return err_set(e, ERR_FULL, "postgres: no memory for a connection");
	PQsetNoticeReceiver(c->pq, pass_remark, c);
	PQsetErrorVerbosity(c->pq, PQERRORS_VERBOSE);
	pg_dial_place(c);
	return 0;
}

static int
finish(struct pg_conn *c, int64_t until, struct err *e)
{
	PostgresPollingStatusType want = PGRES_POLLING_WRITING;

	if (PQstatus(c->pq) == CONNECTION_BAD)
		return fail(c, e);
	while (want != PGRES_POLLING_OK) {
		if (wait_socket(c, want, until, e) == -1)
			return -1;
		want = PQconnectPoll(c->pq);
		pg_dial_place(c);
		if (want == PGRES_POLLING_FAILED)
			return fail(c, e);
	}
	return 0;
}

/* ---- which hosts ---- */

/* Items between commas, empty ones too: an empty one means the default. */
static size_t
split(const char *s, char ***ret)
{
	size_t n = 0, room = 0;
	char **item = NULL;

	while (s) {
		const char *comma = strchrnul(s, ',');

		item = mem_grow(item, &room, n + 1, sizeof(*item));
		item[n++] = xstrndup(s, (size_t)(comma - s));
		s = *comma ? comma + 1 : NULL;
	}
	*ret = item;
	return n;
}

static void
free_items(char **item, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(item[i]);
	free(item);
}

/* What libpq made of everything it looks at. More than one host: the lists, else count is 1. */
static void
find_hosts(PGconn *pq, struct hosts *h)
{
	PQconninfoOption *all = PQconninfo(pq), *at;
	size_t hosts = 0, addrs = 0, ports = 0;

	*h = (struct hosts){ .count = 1 };
	for (at = all; at && at->keyword; at++) {
		if (!at->val || !*at->val)
			continue;
		if (strcmp(at->keyword, "host") == 0)
			hosts = split(at->val, &h->host);
		else if (strcmp(at->keyword, "hostaddr") == 0)
			addrs = split(at->val, &h->hostaddr);
		else if (strcmp(at->keyword, "port") == 0)
			ports = split(at->val, &h->port);
		else if (strcmp(at->keyword, "target_session_attrs") == 0)
			h->session = xstrdup(at->val);
	}
	PQconninfoFree(all);
	h->count = addrs > hosts ? addrs : hosts;
	/* Lists that do not fit each other are for libpq to refuse. */
	if (h->count < 2 || (hosts > 0 && addrs > 0 && hosts != addrs) ||
	    (ports > 1 && ports != h->count)) {
		free_items(h->host, hosts);
		free_items(h->hostaddr, addrs);
		free_items(h->port, ports);
		h->host = h->hostaddr = h->port = NULL;
		h->count = 1;
		return;
	}
	/* One port is for all. */
	if (ports == 1) {
		h->port = xreallocarray(h->port, h->count, sizeof(*h->port));
		for (size_t i = 1; i < h->count; i++)
			h->port[i] = xstrdup(h->port[0]);
	}
}

static void
hosts_done(struct hosts *h)
{
	if (h->host)
		free_items(h->host, h->count);
	if (h->hostaddr)
		free_items(h->hostaddr, h->count);
	if (h->port)
		free_items(h->port, h->count);
	free(h->session);
}

/* ---- all of it ---- */

static int
check_conninfo(const struct pg_conn_options *o, struct err *e)
{
	char *why = NULL;
	PQconninfoOption *all = PQconninfoParse(o->conninfo, &why), *at;
	int rc = 0;

	if (!all) {
		pg_error_conninfo(why ? why : "it cannot be parsed", e);
		PQfreemem(why);
		return -1;
	}
	/* An @ in a password that is not escaped moves the rest of the password into the host. */
	for (at = all; at->keyword; at++)
		if (rc == 0 && at->val && strcmp(at->keyword, "host") == 0 && at->val[0] != '@' &&
		    strchr(at->val, '@')) {
			err_set(e, ERR_CONFIG, "the connection string has an '@' in the host");
			rc = err_line(e, "fix",
			    "in a postgresql:// URI write an '@' of the password as %%40");
		}
	PQconninfoFree(all);
	return rc;
}

/* The first line of each reason under a common one. */
static void
add_reason(struct err *all, const struct err *why, size_t count)
{
	const int line = (int)strcspn(why->text, "\n");

	if (all->kind == ERR_NONE)
		err_set(all, why->kind, "none of %zu servers can be used", count);
	/* One that may come back is worth another try, whatever the others say. */
	if (why->kind == ERR_REMOTE)
		all->kind = ERR_REMOTE;
	err_line(all, "tried", "%.*s", line, why->text);
}

static int
try_hosts(struct pg_conn *c, const struct pg_conn_options *o, const struct hosts *h,
    const char *session, int64_t until, struct err *e)
{
	struct err all = { 0 }, why;

	for (size_t i = 0; i < h->count; i++) {
		const struct target t = {
			.host = h->host ? h->host[i] : NULL,
			.hostaddr = h->hostaddr ? h->hostaddr[i] : NULL,
			.port = h->port ? h->port[i] : NULL, .session = session,
		};
		const int64_t now = clock_boot_ns(), left = until - now;

		err_clear(&why);
		if (begin(c, o, &t, &why) == 0 &&
		    finish(c, now + left / (int64_t)(h->count - i), &why) == 0)
			return 0;
		if (why.kind == ERR_CANCELLED) {
			*e = why;
			return -1;
		}
		add_reason(&all, &why, h->count);
	}
	*e = all;
	return -1;
}

int
pg_dial_server(const struct pg_conn_options *o, struct pg_conn *c, struct err *e)
{
	const int64_t s = o->timeout_s > 0 ? o->timeout_s : PG_CONN_TIMEOUT_S;
	const int64_t now = clock_boot_ns(), until = now + s * CLOCK_S;
	const struct target any = { 0 };
	struct hosts h;
	bool twice;
	int rc = -1;

	if (check_conninfo(o, e) == -1 || begin(c, o, &any, e) == -1)
		return -1;
	find_hosts(c->pq, &h);
	if (h.count == 1) {
		hosts_done(&h);
		return finish(c, until, e);
	}
	twice = h.session && strcmp(h.session, "prefer-standby") == 0;
	if (twice)
		rc = try_hosts(c, o, &h, "standby", now + s * CLOCK_S / 2, e);
	if (rc == -1 && (!twice || e->kind != ERR_CANCELLED))
		rc = try_hosts(c, o, &h, twice ? "any" : NULL, until, e);
	hosts_done(&h);
	return rc;
}
