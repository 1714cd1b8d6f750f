/*
 * Two protocols. Up to 14 every tablespace is a copy of its own, tars have no end, and the manifest
 * is one more copy. From 15 on there is one copy of small messages which say what follows; a part
 * ends where the next begins. Here both become parts and chunks.
 *
 * The server says at the very end, after the end position, whether the pages it sent were whole. A
 * client that stops reading at the position takes a broken backup for a good one.
 */
#include "source/pg/pg_base_wire.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/lsn.h"
#include "base/mem.h"
#include "source/pg/pg_ahead.h"
#include "source/pg/pg_conn_parts.h"

/* BASE_BACKUP's new stream and options in parentheses. */
#define VERSION_FRAMED 150000
#define STATE_BAD_PAGES "XX001"

/* ---- messages ---- */

int
pg_base_wire_read(const void *bytes, size_t n, struct pg_base_wire_msg *ret, struct err *e)
{
	const char *p = bytes;
	const char *end;
	uint64_t done;

	*ret = (struct pg_base_wire_msg){ 0 };
	if (n == 0)
		return err_set(e, ERR_CORRUPT, "an empty message in the base backup");
	ret->type = *p++;
	n--;
	switch (ret->type) {
	case 'd':
		ret->data = (const uint8_t *)p;
		ret->len = n;
		break;
	case 'n':
		end = memchr(p, '\0', n);
		if (!end || !memchr(end + 1, '\0', n - (size_t)(end + 1 - p)))
			return err_set(e, ERR_CORRUPT, "an archive of the base backup has no name");
		ret->name = p;
		ret->path = end + 1;
		break;
	case 'p':
		if (n != sizeof(done))
			return err_set(e, ERR_CORRUPT,
			    "a progress message of %zu bytes in the base backup", n);
		memcpy(&done, p, sizeof(done));
		ret->done = be64toh(done);
		break;
	default:
		break;
	}
	return 0;
}

/* ---- before the first byte ---- */

/* One row: position and timeline. */
static int
read_position(struct pg_base_wire *x, uint64_t *lsn, uint32_t *tli, struct err *e)
{
	PGresult *r = NULL;
	char *rest;
	unsigned long t;
	int rc = -1;

	if (pg_conn_expect(x->c, PGRES_TUPLES_OK, &r, e) == -1)
		return -1;
	if (PQntuples(r) == 1 && PQnfields(r) >= 2) {
		t = strtoul(PQgetvalue(r, 0, 1), &rest, 10);
		if (lsn_parse(PQgetvalue(r, 0, 0), lsn) == 0 && !*rest && t > 0 &&
		    t <= UINT32_MAX) {
			*tli = (uint32_t)t;
			rc = 0;
		}
	}
	PQclear(r);
	return rc == 0 ? 0
		       : err_set(e, ERR_CORRUPT, "postgres at %s: the base backup has no position",
			     pg_conn_place(x->c));
}

static int
read_place(struct pg_base_wire *x, const PGresult *r, int row, struct err *e)
{
	struct pg_base_wire_place *p = &x->place[x->places++];
	char *rest;
	unsigned long oid = 0;

	p->path = xstrdup(PQgetvalue(r, row, 1));
	/* Kilobytes, rounded up; NULL when it was not asked for. */
	p->size = strtoull(PQgetvalue(r, row, 2), NULL, 10) * 1024;
	if (PQgetisnull(r, row, 0))
		return 0;
	oid = strtoul(PQgetvalue(r, row, 0), &rest, 10);
	if (oid == 0 || oid > UINT32_MAX || *rest)
		return err_set(e, ERR_CORRUPT, "postgres at %s: '%.20s' is no tablespace",
		    pg_conn_place(x->c), PQgetvalue(r, row, 0));
	p->oid = (uint32_t)oid;
	return 0;
}

static int
read_places(struct pg_base_wire *x, struct err *e)
{
	PGresult *r = NULL;
	size_t bases = 0;
	int rc = 0;

	if (pg_conn_expect(x->c, PGRES_TUPLES_OK, &r, e) == -1)
		return -1;
	x->place = xcalloc((size_t)PQntuples(r) + 1, sizeof(*x->place));
	if (PQnfields(r) < 3)
		rc = err_set(
		    e, ERR_CORRUPT, "postgres at %s: no list of tablespaces", pg_conn_place(x->c));
	for (int i = 0; rc == 0 && i < PQntuples(r); i++) {
		rc = read_place(x, r, i, e);
		bases += rc == 0 && x->place[i].oid == 0;
	}
	if (rc == 0 && bases != 1)
		rc = err_set(e, ERR_CORRUPT,
		    "postgres at %s: a base backup with %zu base directories", pg_conn_place(x->c),
		    bases);
	PQclear(r);
	return rc;
}

static int
begin_copy(struct pg_base_wire *x, struct err *e)
{
	if (pg_conn_expect(x->c, PGRES_COPY_OUT, NULL, e) == -1)
		return -1;
	x->copy = pg_ahead_start(x->c);
	return 0;
}

static void
end_copy(struct pg_base_wire *x)
{
	pg_ahead_free(x->copy);
	x->copy = NULL;
}

int
pg_base_wire_start(struct pg_base_wire *x, struct pg_conn *c, const char *command,
    struct err *e)
{
	x->c = c;
	x->framed = pg_conn_version(c) >= VERSION_FRAMED;
	if (pg_conn_send(c, command, e) == -1 ||
	    read_position(x, &x->start_lsn, &x->start_tli, e) == -1 || read_places(x, e) == -1)
		return -1;
	return x->framed ? begin_copy(x, e) : 0;
}

/* ---- parts ---- */

static void
let_go(struct pg_base_wire *x)
{
	PQfreemem(x->held);
	x->held = NULL;
	x->held_len = 0;
}

/* "16385.tar", "base.tar". */
static int
which_archive(struct pg_base_wire *x, const char *name, struct err *e)
{
	char *rest;
	const unsigned long oid = strtoul(name, &rest, 10);

	x->manifest = false;
	if (strcmp(name, "base.tar") == 0) {
		x->oid = 0;
		return 1;
	}
	for (size_t i = 0; oid != 0 && strcmp(rest, ".tar") == 0 && i < x->places; i++)
		if (x->place[i].oid == oid) {
			x->oid = (uint32_t)oid;
			return 1;
		}
	return err_set(e, ERR_CORRUPT, "postgres at %s: an archive '%.80s' that was not announced",
	    pg_conn_place(x->c), name);
}

/* 1 a message in *m, 0 the copy is over, -1. */
static int
take_framed(struct pg_base_wire *x, struct pg_base_wire_msg *m, struct err *e)
{
	int r;

	if (!x->copy)
		return 0;
	let_go(x);
	r = pg_ahead_copy(x->copy, &x->held, &x->held_len, e);
	if (r == 0)
		end_copy(x);
	if (r != 1)
		return r;
	return pg_base_wire_read(x->held, x->held_len, m, e) == -1 ? -1 : 1;
}

/* Up to the message that begins the next part; it may have come already, behind the last chunk. */
static int
next_framed(struct pg_base_wire *x, struct err *e)
{
	struct pg_base_wire_msg m;
	int r = 1;

	if (x->ahead && pg_base_wire_read(x->held, x->held_len, &m, e) == -1)
		return -1;
	while (!x->ahead || (m.type != 'n' && m.type != 'm')) {
		r = take_framed(x, &m, e);
		if (r != 1)
			return r;
		x->ahead = true;
	}
	x->ahead = false;
	x->part++;
	if (m.type == 'n')
		return which_archive(x, m.name, e);
	x->manifest = true;
	return 1;
}

static int
chunk_framed(struct pg_base_wire *x, const uint8_t **data, size_t *n, struct err *e)
{
	struct pg_base_wire_msg m;
	int r;

	if (x->ahead)
		return 0;
	while ((r = take_framed(x, &m, e)) == 1) {
		if (m.type == 'n' || m.type == 'm') {
			x->ahead = true;
			return 0;
		}
		if (m.type != 'd' || m.len == 0)
			continue;
		*data = m.data;
		*n = m.len;
		return 1;
	}
	return r;
}

/* A copy for each place, and one for the manifest. */
static int
next_plain(struct pg_base_wire *x, struct err *e)
{
	if (x->part > x->places)
		return 0;
	if (begin_copy(x, e) == -1)
		return -1;
	x->manifest = x->part == x->places;
	x->oid = x->manifest ? 0 : x->place[x->part].oid;
	x->part++;
	return 1;
}

int
pg_base_wire_chunk(struct pg_base_wire *x, const uint8_t **data, size_t *n, struct err *e)
{
	int r;

	if (x->framed)
		return chunk_framed(x, data, n, e);
	if (!x->copy)
		return 0;
	do {
		let_go(x);
		r = pg_ahead_copy(x->copy, &x->held, &x->held_len, e);
	} while (r == 1 && x->held_len == 0);
	if (r == 0)
		end_copy(x);
	*data = (const uint8_t *)x->held;
	*n = x->held_len;
	return r;
}

int
pg_base_wire_next(struct pg_base_wire *x, struct err *e)
{
	const uint8_t *data;
	size_t n;
	int r;

	if (x->framed)
		return next_framed(x, e);
	while ((r = pg_base_wire_chunk(x, &data, &n, e)) == 1)
		continue;
	return r == -1 ? -1 : next_plain(x, e);
}

/* ---- the end ---- */

int
pg_base_wire_end(struct pg_base_wire *x, struct err *e)
{
	PGresult *r = NULL;
	int rc = 1;

	end_copy(x);
	if (read_position(x, &x->stop_lsn, &x->stop_tli, e) == -1)
		return -1;
	for (;;) {
		if (pg_conn_result(x->c, &r, e) == -1)
			return -1;
		if (!r)
			return rc;
		if (PQresultStatus(r) != PGRES_COMMAND_OK && rc == 1) {
			pg_conn_fail(x->c, r, e);
			rc = strcmp(pg_conn_sqlstate(x->c), STATE_BAD_PAGES) == 0 ? 0 : -1;
		}
		PQclear(r);
	}
}

void
pg_base_wire_reason(struct pg_base_wire *x, struct err *e)
{
	PGresult *r = NULL;
	struct err why = { 0 };

	if (!x->c || x->copy || e->kind != ERR_CORRUPT)
		return;
	if (pg_conn_result(x->c, &r, &why) == -1)
		return;
	if (r && PQresultStatus(r) == PGRES_FATAL_ERROR) {
		pg_conn_fail(x->c, r, &why);
		*e = why;
	}
	PQclear(r);
}

void
pg_base_wire_done(struct pg_base_wire *x)
{
	end_copy(x);
	let_go(x);
	for (size_t i = 0; i < x->places; i++)
		free(x->place[i].path);
	free(x->place);
}
