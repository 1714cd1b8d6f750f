/*
 * The server reads these files with little forgiveness, so we take only what it would take. Lines
 * that are not known are passed over, as it does.
 */
#include "source/pg/pg_label.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define LINE_MAX_LEN 2048 /* a label has at most 1024 bytes */

/* The value of the line that begins with `key`, as a string; false: there is none. */
static bool
value_of(const char *text, size_t n, const char *key, char out[LINE_MAX_LEN])
{
	const char *at = text, *end = text + n;
	const size_t keylen = strlen(key);

	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((stop ? stop : end) - at);

		if (len >= keylen && memcmp(at, key, keylen) == 0 && len - keylen < LINE_MAX_LEN) {
			memcpy(out, at + keylen, len - keylen);
			out[len - keylen] = '\0';
			return true;
		}
		at += len + 1;
	}
	return false;
}

static int
lsn_of(const char *text, size_t n, const char *key, uint64_t *ret, struct err *e)
{
	char value[LINE_MAX_LEN];
	uint32_t high, low;

	if (!value_of(text, n, key, value) ||
	    sscanf(value, "%8" SCNx32 "/%8" SCNx32, &high, &low) != 2)
		return err_set(e, ERR_CORRUPT, "backup_label has no line '%sX/X'", key);
	*ret = (uint64_t)high << 32 | low;
	return 0;
}

int
pg_label_parse(const char *text, size_t n, struct pg_label *ret, struct err *e)
{
	char value[LINE_MAX_LEN];
	struct pg_label l = { 0 };

	if (lsn_of(text, n, "START WAL LOCATION: ", &l.start_lsn, e) == -1 ||
	    lsn_of(text, n, "CHECKPOINT LOCATION: ", &l.checkpoint_lsn, e) == -1)
		return -1;
	if (!value_of(text, n, "START TIMELINE: ", value) ||
	    sscanf(value, "%" SCNu32, &l.start_tli) != 1 || l.start_tli == 0)
		return err_set(e, ERR_CORRUPT, "backup_label has no line 'START TIMELINE: N'");
	l.from_standby = value_of(text, n, "BACKUP FROM: ", value) && strcmp(value, "standby") == 0;
	l.incremental = value_of(text, n, "INCREMENTAL FROM LSN: ", value);
	*ret = l;
	return 0;
}

/* ---- tablespace_map ---- */

void
pg_label_map_add(struct pg_label_map *m, uint32_t oid, const char *path)
{
	m->space = mem_grow(m->space, &m->room, m->count + 1, sizeof(*m->space));
	m->space[m->count++] = (struct pg_label_space){ oid, xstrdup(path) };
}

struct pg_label_space *
pg_label_map_find(const struct pg_label_map *m, uint32_t oid)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->space[i].oid == oid)
			return &m->space[i];
	return NULL;
}

void
pg_label_map_done(struct pg_label_map *m)
{
	for (size_t i = 0; i < m->count; i++)
		free(m->space[i].path);
	free(m->space);
	*m = (struct pg_label_map){ 0 };
}

void
pg_label_map_write(const struct pg_label_map *m, struct buf *out)
{
	for (size_t i = 0; i < m->count; i++) {
		buf_addf(out, "%" PRIu32 " ", m->space[i].oid);
		for (const char *p = m->space[i].path; *p; p++) {
			if (*p == '\n' || *p == '\r' || *p == '\\')
				buf_addc(out, '\\');
			buf_addc(out, *p);
		}
		buf_addc(out, '\n');
	}
}

/* One line, whose path may hold escaped line breaks, from *at on; 0, or -1. */
static int
take_space(const char **at, const char *end, struct pg_label_map *m)
{
	const char *p = *at;
	uint64_t oid = 0;
	struct buf path;
	int rc = -1;

	buf_init(&path, LINE_MAX_LEN);
	for (; p < end && *p >= '0' && *p <= '9' && oid <= UINT32_MAX; p++)
		oid = oid * 10 + (uint64_t)(*p - '0');
	if (oid == 0 || oid > UINT32_MAX || p == end || *p++ != ' ')
		goto out;
	for (; p < end && *p != '\n'; p++) {
		if (*p == '\\' && ++p == end)
			goto out;
		buf_addc(&path, *p);
	}
	if (p == end || path.len == 0 || path.over || memchr(path.data, '\0', path.len))
		goto out;
	pg_label_map_add(m, (uint32_t)oid, buf_str(&path));
	*at = p + 1;
	rc = 0;
out:
	buf_done(&path);
	return rc;
}

int
pg_label_map_parse(const char *text, size_t n, struct pg_label_map *ret, struct err *e)
{
	const char *at = text, *end = text + n;

	*ret = (struct pg_label_map){ 0 };
	while (at < end)
		if (take_space(&at, end, ret) == -1) {
			pg_label_map_done(ret);
			return err_set(
			    e, ERR_CORRUPT, "tablespace_map has a line that is not 'OID PATH'");
		}
	return 0;
}
