/*
 * What a server or libpq says and we take apart: messages of the replication stream and of a base
 * backup, the end of a manifest, the reasons of a failed connection. The first byte of the input
 * chooses one.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "source/pg/pg_base_manifest.h"
#include "source/pg/pg_base_wire.h"
#include "source/pg/pg_error.h"
#include "source/pg/pg_stream_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(int condition)
{
	if (!condition)
		abort();
}

static void
try_stream(const uint8_t *data, size_t n)
{
	struct pg_stream_msg m;
	struct err e;
	int r = pg_stream_msg_read(data, n, &m, &e);

	must(r != -1 || e.kind == ERR_CORRUPT);
	if (r == 1 && m.type == PG_STREAM_MSG_WAL) {
		must(m.data + m.len == data + n);
		must(m.lsn + m.len >= m.lsn);
	} else {
		must(m.len == 0);
	}
}

static void
try_base(const uint8_t *data, size_t n)
{
	struct pg_base_wire_msg m;
	struct err e;

	if (pg_base_wire_read(data, n, &m, &e) == -1)
		return;
	if (m.name)
		must(strlen(m.name) + strlen(m.path) + 3 <= n);
	if (m.data)
		must(m.data + m.len == data + n);
}

/* Pieces of any size make no difference. */
static void
try_manifest(const uint8_t *data, size_t n)
{
	const size_t piece = n > 0 ? (size_t)data[0] + 1 : 1;
	struct pg_base_manifest whole, parts;
	struct err e;

	pg_base_manifest_begin(&whole);
	pg_base_manifest_begin(&parts);
	pg_base_manifest_add(&whole, data, n);
	for (size_t at = 0; at < n; at += piece)
		pg_base_manifest_add(&parts, data + at, n - at < piece ? n - at : piece);
	must(pg_base_manifest_check(&whole, &e) == pg_base_manifest_check(&parts, &e));
	pg_base_manifest_done(&whole);
	pg_base_manifest_done(&parts);
}

static void
try_error(const char *text)
{
	char state[PG_ERROR_STATE];
	struct err e = { 0 };

	must(pg_error_connect("db1:5432", text, state, &e) == -1);
	must(strlen(state) == 0 || strlen(state) == 5);
	must(e.kind != ERR_NONE && strncmp(e.text, "postgres at db1:5432: ", 22) == 0);
	must(pg_error_conninfo(text, &e) == -1 && e.kind == ERR_CONFIG);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *s;

	if (n == 0)
		return 0;
	switch (data[0]) {
	case 's':
		try_stream(data + 1, n - 1);
		break;
	case 'b':
		try_base(data + 1, n - 1);
		break;
	case 'm':
		try_manifest(data + 1, n - 1);
		break;
	case 'e':
		s = xstrndup((const char *)data + 1, n - 1);
		try_error(s);
		free(s);
		break;
	default:
		break;
	}
	return 0;
}
