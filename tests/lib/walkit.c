/*
 * WAL for tests: real, from files that a script made with real servers, and made up, because no
 * server can be made to end a header three bytes before a segment does.
 */
#include "tests/lib/walkit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/file.h"
#include "base/mem.h"
#include "filter/crc32c.h"
#include "source/pg/pg_walname.h"
#include "source/pg/pg_walpage.h"

#define MOST (UINT64_C(64) << 20)
#define HEAD 24

static void
must(bool fine, const char *what)
{
	if (!fine) {
		fprintf(stderr, "walkit: %s\n", what);
		abort();
	}
}

void
walkit_read(const char *name, struct buf *out)
{
	const char *top = getenv("FFDR_SRCDIR"), *dot = strrchr(name, '.');
	char *path = xasprintf("%s/tests/unit/data/pg-wal/%s", top ? top : ".", name);
	struct buf raw;
	struct err e;
	unsigned long long n;

	buf_init(&raw, MOST);
	must(file_get(AT_FDCWD, path, &raw, &e) == 0, path);
	if (!dot || strcmp(dot, ".zst") != 0) {
		buf_add(out, raw.data, raw.len);
	} else {
		n = ZSTD_getFrameContentSize(raw.data, raw.len);
		if (n == ZSTD_CONTENTSIZE_UNKNOWN) /* compressed from a pipe */
			n = 4 * WALKIT_SEGMENT;
		must(n < MOST, path);
		n = ZSTD_decompress(buf_reserve(out, n), n, raw.data, raw.len);
		must(!ZSTD_isError(n), path);
		out->len += n;
	}
	buf_done(&raw);
	free(path);
}

size_t
walkit_facts(int version, struct walkit_fact fact[WALKIT_FACTS])
{
	struct buf text;
	char name[32];
	size_t n = 0;

	buf_init(&text, 65536);
	snprintf(name, sizeof(name), "%d.facts", version);
	walkit_read(name, &text);
	for (char *line = (char *)text.data; *line; line = strchr(line, '\n') + 1, n++) {
		must(n < WALKIT_FACTS, name);
		must(sscanf(line, "%15s %31s %ju", fact[n].kind, fact[n].value,
			 (uintmax_t *)&fact[n].more) == 3, name);
	}
	buf_done(&text);
	return n;
}

uint64_t
walkit_start(int version)
{
	struct walkit_fact fact[WALKIT_FACTS];
	size_t n = walkit_facts(version, fact);
	struct pg_walname name;
	uint64_t start = 0;

	for (size_t i = 0; i < n; i++)
		if (strcmp(fact[i].kind, "segment") == 0)
			must(pg_walname_parse(fact[i].value, &name) == PG_WALNAME_SEGMENT &&
			    pg_walname_start(&name, WALKIT_SEGMENT, &start, NULL) == 0, "segment");
	return start;
}

bool
walkit_said(const struct walkit_fact *fact, size_t n, const char *kind, const char *value,
    uint64_t *ret)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(fact[i].kind, kind) != 0 || strcmp(fact[i].value, value) != 0)
			continue;
		if (ret)
			*ret = fact[i].more;
		return true;
	}
	return false;
}

void
walkit_begin(struct walkit *w, int version, uint64_t start, uint64_t seg_size)
{
	*w = (struct walkit){ .start = start, .seg_size = seg_size, .sysid = 7710678679856150307,
		.version = version, .timeline = 1 };
	buf_init(&w->bytes, MOST);
}

void
walkit_done(struct walkit *w)
{
	buf_done(&w->bytes);
	free(w->record);
	w->record = NULL;
}

uint64_t
walkit_end(const struct walkit *w)
{
	return w->start + w->bytes.len;
}

/* A page's header; rest: how much of an open record is still to come. */
static void
add_page(struct walkit *w, uint32_t rest, uint16_t flags)
{
	uint64_t lsn = walkit_end(w);
	bool is_long = lsn % w->seg_size == 0;

	buf_add_u16(&w->bytes, pg_walpage_magic(w->version));
	buf_add_u16(&w->bytes, (uint16_t)(flags | (rest ? 1 : 0) | (is_long ? 2 : 0)));
	buf_add_u32(&w->bytes, w->timeline);
	buf_add_u64(&w->bytes, lsn);
	buf_add_u32(&w->bytes, rest);
	buf_add_u32(&w->bytes, 0);
	if (!is_long)
		return;
	buf_add_u64(&w->bytes, w->sysid);
	buf_add_u32(&w->bytes, (uint32_t)w->seg_size);
	buf_add_u32(&w->bytes, PG_WALPAGE_LEN);
}

/* Bytes of a record, of which `more` will follow these. */
static void
add_bytes(struct walkit *w, const uint8_t *p, size_t n, size_t more)
{
	for (size_t i = 0; i < n; i++) {
		if (walkit_end(w) % PG_WALPAGE_LEN == 0)
			add_page(w, (uint32_t)(n - i + more), 0);
		buf_addc(&w->bytes, (char)p[i]);
	}
}

/* To where a record may begin. */
static void
align(struct walkit *w)
{
	while (walkit_end(w) % 8)
		buf_addc(&w->bytes, 0);
	if (walkit_end(w) % PG_WALPAGE_LEN == 0)
		add_page(w, 0, 0);
}

static void
make_head(const struct walkit *w, uint8_t rmgr, uint8_t info, uint32_t xid, const void *body,
    size_t n, uint8_t head[HEAD])
{
	memset(head, 0, HEAD);
	buf_put_u32(head, (uint32_t)(HEAD + n));
	buf_put_u32(head + 4, xid);
	buf_put_u64(head + 8, w->prev);
	head[16] = info;
	head[17] = rmgr;
	buf_put_u32(head + 20, crc32c(crc32c(0, body, n), head, 20));
}

void
walkit_add_raw(struct walkit *w, uint8_t rmgr, uint8_t info, uint32_t xid, const void *body,
    size_t n)
{
	struct walkit_record *r;
	uint8_t head[HEAD];

	align(w);
	w->record = mem_grow(w->record, &w->room, w->count + 1, sizeof(*w->record));
	r = &w->record[w->count++];
	*r = (struct walkit_record){ .start = walkit_end(w), .xid = xid, .rmgr = rmgr,
		.info = info };
	make_head(w, rmgr, info, xid, body, n, head);
	add_bytes(w, head, HEAD, n);
	add_bytes(w, body, n, 0);
	while (walkit_end(w) % 8)
		buf_addc(&w->bytes, 0);
	w->prev = r->start;
	r->end = walkit_end(w);
}

uint8_t
walkit_main(uint32_t seed, size_t off)
{
	return (uint8_t)(seed + off * 7 + (off >> 8));
}

void
walkit_add(struct walkit *w, uint8_t rmgr, uint8_t info, uint32_t xid, uint32_t seed, uint32_t len)
{
	struct buf body;

	buf_init(&body, MOST);
	if (len > 255) {
		buf_addc(&body, (char)254);
		buf_add_u32(&body, len);
	} else if (len > 0) {
		buf_addc(&body, (char)255);
		buf_addc(&body, (char)len);
	}
	for (uint32_t i = 0; i < len; i++)
		buf_addc(&body, (char)walkit_main(seed, i));
	walkit_add_raw(w, rmgr, info, xid, body.data, body.len);
	w->record[w->count - 1].seed = seed;
	w->record[w->count - 1].len = len;
	buf_done(&body);
}

void
walkit_switch(struct walkit *w)
{
	walkit_add_raw(w, 0, 0x40, 0, NULL, 0);
	while (walkit_end(w) % w->seg_size)
		buf_addc(&w->bytes, 0);
	w->record[w->count - 1].end = walkit_end(w);
}

void
walkit_void(struct walkit *w)
{
	static const uint8_t zeros[2 * PG_WALPAGE_LEN];
	uint8_t head[HEAD];

	align(w);
	make_head(w, 10, 0, 5, zeros, sizeof(zeros), head);
	add_bytes(w, head, HEAD, sizeof(zeros));
	while (walkit_end(w) % PG_WALPAGE_LEN)
		buf_addc(&w->bytes, 0);
	add_page(w, 0, 8);
}
