/*
 * Names of WAL objects. Numbers stand in full width, so that a listing brings pieces in the order of
 * their LSNs, and those of one segment share a prefix: asking for a segment never lists a year.
 * As in layout.c, what parses is exactly what would be built.
 */
#include "repo/layout_wal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/lsn.h"

#define HEX32 8
#define HEX64 16
#define SYSID_MOST 20 /* decimal digits of 64 bits */

static const char lower_hex[] = "0123456789abcdef";

#define PIECES "wal"
#define BUNDLES "walb"

bool
layout_wal_is_log(const struct layout_wal *w)
{
	return w->kind == LAYOUT_WAL_PIECE || w->kind == LAYOUT_WAL_BUNDLE;
}

static char *
of_source(const char *top, const char *source, char out[LAYOUT_NAME])
{
	snprintf(out, LAYOUT_NAME, "%s/%s/", top, source);
	return out;
}

static char *
of_place(const char *top, const struct wal_place *p, char out[LAYOUT_NAME])
{
	snprintf(out, LAYOUT_NAME, "%s/%s/%" PRIu64 "/%08x/", top, p->source, p->sysid, p->epoch);
	return out;
}

static char *
of_timeline(const char *top, const struct wal_place *p, uint32_t tli, char out[LAYOUT_NAME])
{
	snprintf(out, LAYOUT_NAME, "%s/%s/%" PRIu64 "/%08x/%08x/", top, p->source, p->sysid,
	    p->epoch, tli);
	return out;
}

static char *
of_range(const char *top, const struct wal_place *p, uint32_t tli, uint64_t start, uint64_t end,
    char out[LAYOUT_NAME])
{
	snprintf(out, LAYOUT_NAME, "%s/%s/%" PRIu64 "/%08x/%08x/%016" PRIx64 "-%016" PRIx64, top,
	    p->source, p->sysid, p->epoch, tli, start, end);
	return out;
}

char *
layout_wal_of_source(const char *source, char out[LAYOUT_NAME])
{
	return of_source(PIECES, source, out);
}

char *
layout_wal_of_place(const struct wal_place *p, char out[LAYOUT_NAME])
{
	return of_place(PIECES, p, out);
}

char *
layout_wal_of_timeline(const struct wal_place *p, uint32_t tli, char out[LAYOUT_NAME])
{
	return of_timeline(PIECES, p, tli, out);
}

char *
layout_wal_bundles_of_source(const char *source, char out[LAYOUT_NAME])
{
	return of_source(BUNDLES, source, out);
}

char *
layout_wal_bundles_of_place(const struct wal_place *p, char out[LAYOUT_NAME])
{
	return of_place(BUNDLES, p, out);
}

char *
layout_wal_bundles_of_timeline(const struct wal_place *p, uint32_t tli, char out[LAYOUT_NAME])
{
	return of_timeline(BUNDLES, p, tli, out);
}

char *
layout_wal_of_segment(const struct wal_place *p, uint32_t tli, uint64_t start,
    uint64_t segment_size, char out[LAYOUT_NAME])
{
	char hex[HEX64 + 1];
	int keep = HEX64;

	/* Digits that tell bytes of one segment apart, the last of them perhaps only in part. */
	for (uint64_t span = 1; span < segment_size; span *= 16)
		keep--;
	snprintf(hex, sizeof(hex), "%016" PRIx64, start);
	snprintf(out, LAYOUT_NAME, "wal/%s/%" PRIu64 "/%08x/%08x/%.*s", p->source, p->sysid,
	    p->epoch, tli, keep, hex);
	return out;
}

char *
layout_wal_piece(const struct wal_place *p, uint32_t tli, uint64_t start, uint64_t end,
    char out[LAYOUT_NAME])
{
	return of_range(PIECES, p, tli, start, end, out);
}

char *
layout_wal_bundle(const struct wal_place *p, uint32_t tli, uint64_t start, uint64_t end,
    char out[LAYOUT_NAME])
{
	return of_range(BUNDLES, p, tli, start, end, out);
}

char *
layout_wal_history(const struct wal_place *p, uint32_t tli, char out[LAYOUT_NAME])
{
	snprintf(out, LAYOUT_NAME, "wal/%s/%" PRIu64 "/%08x/%08x.history", p->source, p->sysid,
	    p->epoch, tli);
	return out;
}

char *
layout_wal_from(const struct wal_place *p, char out[LAYOUT_NAME])
{
	snprintf(out, LAYOUT_NAME, "wal/%s/%" PRIu64 "/%08x/from", p->source, p->sysid, p->epoch);
	return out;
}

char *
layout_wal_other(const struct wal_place *p, const char *file, char out[LAYOUT_NAME])
{
	snprintf(out, LAYOUT_NAME, "wal/%s/%" PRIu64 "/%08x/other/%s", p->source, p->sysid,
	    p->epoch, file);
	return out;
}

char *
layout_wal_part(const struct wal_place *p, const char *file, uint64_t start, uint64_t end,
    char out[LAYOUT_NAME])
{
	size_t n;

	layout_wal_other(p, file, out);
	n = strlen(out);
	if (end > 0)
		snprintf(out + n, LAYOUT_NAME - n, ".%016" PRIx64 "-%016" PRIx64, start, end);
	return out;
}

char *
layout_wal_beat(const char *source, char out[LAYOUT_NAME])
{
	snprintf(out, LAYOUT_NAME, "beat/%s", source);
	return out;
}

char *
layout_wal_name(const struct layout_wal *w, char out[LAYOUT_NAME])
{
	switch (w->kind) {
	case LAYOUT_WAL_PIECE:
		return layout_wal_piece(&w->place, w->tli, w->start, w->end, out);
	case LAYOUT_WAL_HISTORY:
		return layout_wal_history(&w->place, w->tli, out);
	case LAYOUT_WAL_FROM:
		return layout_wal_from(&w->place, out);
	case LAYOUT_WAL_BUNDLE:
		return layout_wal_bundle(&w->place, w->tli, w->start, w->end, out);
	case LAYOUT_WAL_OTHER:
		break;
	}
	return layout_wal_part(&w->place, w->file, w->start, w->end, out);
}

/* Exactly n lower case hex digits at *s, which moves behind them; 0 or -1. */
static int
hex_take(const char **s, size_t n, uint64_t *ret)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++, (*s)++) {
		const char *digit = **s == '\0' ? NULL : strchr(lower_hex, **s);

		if (digit == NULL)
			return -1;
		v = v * 16 + (uint64_t)(digit - lower_hex);
	}
	*ret = v;
	return 0;
}

static int
hex32_take(const char **s, uint32_t *ret)
{
	uint64_t v;

	if (hex_take(s, HEX32, &v) == -1)
		return -1;
	*ret = (uint32_t)v;
	return 0;
}

/* "<source>/<sysid>/<epoch>/" at *s; what is too long or has zeros in front fails later. */
static int
place_take(const char **s, struct wal_place *ret)
{
	const char *p = *s, *slash = strchr(p, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - p);

	if (n == 0 || n >= sizeof(ret->source))
		return -1;
	memcpy(ret->source, p, n);
	ret->source[n] = '\0';
	if (!layout_source_valid(ret->source))
		return -1;
	p += n + 1;
	n = strspn(p, "0123456789");
	if (n == 0 || n > SYSID_MOST || p[n] != '/')
		return -1;
	for (ret->sysid = 0; *p != '/'; p++)
		if (__builtin_mul_overflow(ret->sysid, 10, &ret->sysid) ||
		    __builtin_add_overflow(ret->sysid, (uint64_t)(*p - '0'), &ret->sysid))
			return -1;
	p++;
	if (hex32_take(&p, &ret->epoch) == -1 || *p++ != '/')
		return -1;
	*s = p;
	return 0;
}

/* "<start>-<end>" and nothing behind it. */
static int
range_take(const char *p, struct layout_wal *w)
{
	if (hex_take(&p, HEX64, &w->start) == -1 || *p++ != '-' ||
	    hex_take(&p, HEX64, &w->end) == -1)
		return -1;
	return *p == '\0' && w->start < w->end ? 0 : -1;
}

/* The names a server gives to what is neither a segment nor a history: upper case hex. */
static int
other_take(const char *p, struct layout_wal *w)
{
	static const char upper_hex[] = "0123456789ABCDEF", partial[] = ".partial";
	const char *rest = p + 24;
	size_t n = strlen(p);

	if (strspn(p, upper_hex) != 24)
		return -1;
	if (strncmp(rest, partial, strlen(partial)) == 0 && rest[strlen(partial)] == '.') {
		rest += strlen(partial);
		n = (size_t)(rest - p);
		if (range_take(rest + 1, w) == -1)
			return -1;
	} else if (strcmp(rest, partial) != 0 &&
	    (*rest != '.' || strspn(rest + 1, upper_hex) != 8 ||
	    strcmp(rest + 1 + 8, ".backup") != 0)) {
		return -1;
	}
	if (n >= LAYOUT_WAL_FILE)
		return -1;
	memcpy(w->file, p, n);
	w->file[n] = '\0';
	return 0;
}

/* What stands behind the place of a bundle. */
static int
bundle_take(const char *p, struct layout_wal *w)
{
	w->kind = LAYOUT_WAL_BUNDLE;
	if (hex32_take(&p, &w->tli) == -1 || w->tli == 0 || *p++ != '/' || range_take(p, w) == -1)
		return -1;
	return w->end - w->start > LAYOUT_WAL_BUNDLE_SPAN ? -1 : 0;
}

/* What stands behind the place of all else. */
static int
rest_take(const char *p, struct layout_wal *w)
{
	if (strcmp(p, "from") == 0) {
		w->kind = LAYOUT_WAL_FROM;
		return 0;
	}
	if (strncmp(p, "other/", strlen("other/")) == 0) {
		w->kind = LAYOUT_WAL_OTHER;
		return other_take(p + strlen("other/"), w);
	}
	if (hex32_take(&p, &w->tli) == -1 || w->tli == 0)
		return -1;
	if (strcmp(p, ".history") == 0) {
		w->kind = LAYOUT_WAL_HISTORY;
		return 0;
	}
	w->kind = LAYOUT_WAL_PIECE;
	return *p++ == '/' ? range_take(p, w) : -1;
}

/* What follows; NULL: it does not begin so. */
static const char *
behind(const char *name, const char *prefix)
{
	const size_t n = strlen(prefix);

	return strncmp(name, prefix, n) == 0 ? name + n : NULL;
}

int
layout_wal_parse(const char *name, struct layout_wal *ret)
{
	struct layout_wal got = { 0 };
	char again[LAYOUT_NAME];
	const char *p = behind(name, BUNDLES "/");
	const bool bundle = p != NULL;

	if (p == NULL)
		p = behind(name, PIECES "/");
	if (p == NULL || place_take(&p, &got.place) == -1 ||
	    (bundle ? bundle_take(p, &got) : rest_take(p, &got)) == -1)
		return -1;
	if (strcmp(layout_wal_name(&got, again), name) != 0)
		return -1;
	*ret = got;
	return 0;
}
