/*
 * Names are built and taken apart here and nowhere else, so that a tier can be read by a program
 * that knows only this file and docs/format.md. Parsing is strict: a name that would not come out
 * of the builder again byte for byte is not ours. That matters because a listing decides what may
 * be deleted, and because a name that two readers understand differently could bring one object
 * in for another.
 */
#include "repo/layout.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "filter/key.h"

#define TIME_LEN 16 /* yyyymmddThhmmssZ */
#define TAG_LEN 8   /* the random part: two runs of one second must not meet */
#define KIND_MIN 2
#define KIND_MAX 8
#define OWN_MAX 48
#define RECORD_KIND_MAX 16
#define RECIPIENT_LEN 17 /* a letter and 16 digits */

static const char lower_hex[] = "0123456789abcdef";

char *
layout_pack(const uint8_t sha[LAYOUT_SHA], char out[LAYOUT_NAME])
{
	char hex[TEXT_HEX(LAYOUT_SHA)];

	text_hex(sha, LAYOUT_SHA, hex);
	snprintf(out, LAYOUT_NAME, "pack/%.2s/%s", hex, hex);
	return out;
}

int
layout_pack_parse(const char *name, uint8_t sha[LAYOUT_SHA])
{
	uint8_t got[LAYOUT_SHA];
	char again[LAYOUT_NAME];

	if (strnlen(name, LAYOUT_NAME) != strlen("pack/hh/") + 2 * LAYOUT_SHA ||
	    text_unhex(name + strlen("pack/hh/"), got, LAYOUT_SHA) == -1)
		return -1;
	if (strcmp(layout_pack(got, again), name) != 0)
		return -1;
	memcpy(sha, got, LAYOUT_SHA);
	return 0;
}

char *
layout_repo(unsigned n, char out[LAYOUT_NAME])
{
	snprintf(out, LAYOUT_NAME, "repo/%u", n);
	return out;
}

int
layout_repo_parse(const char *name, unsigned *ret)
{
	char again[LAYOUT_NAME];
	unsigned n = 0;
	const char *p = name;

	if (strncmp(name, "repo/", strlen("repo/")) != 0)
		return -1;
	for (p += strlen("repo/"); *p >= '0' && *p <= '9'; p++) {
		if (n > (UINT_MAX - 9) / 10)
			return -1;
		n = n * 10 + (unsigned)(*p - '0');
	}
	if (strcmp(layout_repo(n, again), name) != 0)
		return -1;
	*ret = n;
	return 0;
}

char *
layout_key(const uint8_t epoch[LAYOUT_EPOCH], const char *kek_id, char out[LAYOUT_NAME])
{
	char hex[TEXT_HEX(LAYOUT_EPOCH)];

	snprintf(out, LAYOUT_NAME, "key/%s.%s", text_hex(epoch, LAYOUT_EPOCH, hex), kek_id);
	return out;
}

bool
layout_recipient_valid(const char *recipient)
{
	return strlen(recipient) == RECIPIENT_LEN && *recipient >= 'a' && *recipient <= 'z' &&
	    strspn(recipient + 1, lower_hex) == RECIPIENT_LEN - 1;
}

int
layout_key_parse(const char *name, uint8_t epoch[LAYOUT_EPOCH], char *kek_id, size_t room)
{
	const char *id = name + strlen("key/") + 2 * LAYOUT_EPOCH + 1;
	uint8_t got[LAYOUT_EPOCH];

	if (strncmp(name, "key/", strlen("key/")) != 0 ||
	    text_unhex(name + strlen("key/"), got, LAYOUT_EPOCH) == -1 || id[-1] != '.')
		return -1;
	if (strnlen(id, room) == room || !layout_recipient_valid(id))
		return -1;
	memcpy(epoch, got, LAYOUT_EPOCH);
	memcpy(kek_id, id, strlen(id) + 1);
	return 0;
}

/* <prefix>/<source>/<time>-<8 random hex>; the part from the source on is an id. */
static char *
new_name(const char *prefix, const char *source, int64_t time_ns, char *out)
{
	uint8_t tag[TAG_LEN / 2];
	char hex[TEXT_HEX(sizeof(tag))], when[UNITS_TEXT];

	key_random(tag, sizeof(tag));
	snprintf(out, LAYOUT_NAME, "%s/%s/%s-%s", prefix, source, units_time_compact(time_ns, when),
	    text_hex(tag, sizeof(tag), hex));
	return out;
}

char *
layout_snap_new(const char *source, int64_t time_ns, char out[LAYOUT_NAME])
{
	return new_name("snap", source, time_ns, out);
}

char *
layout_record_new(const char *kind, const char *source, int64_t time_ns, char out[LAYOUT_NAME])
{
	char prefix[RECORD_KIND_MAX + sizeof("rec/")];

	snprintf(prefix, sizeof(prefix), "rec/%s", kind);
	return new_name(prefix, source, time_ns, out);
}

char *
layout_gc_new(int64_t time_ns, char out[LAYOUT_NAME])
{
	char when[UNITS_TEXT];

	snprintf(out, LAYOUT_NAME, "gc/%s", units_time_compact(time_ns, when));
	return out;
}

int
layout_gc_parse(const char *name, int64_t *ret_ns)
{
	const char *when = name + strlen("gc/");

	if (strncmp(name, "gc/", strlen("gc/")) != 0 || strlen(when) != TIME_LEN)
		return -1;
	return units_parse_time_compact(when, ret_ns);
}

/* How many bytes at s are a source, or 0. */
static size_t
source_length(const char *s)
{
	size_t kind = strspn(s, "abcdefghijklmnopqrstuvwxyz"), own;

	if (kind < KIND_MIN || kind > KIND_MAX || s[kind] != '.')
		return 0;
	own = strspn(s + kind + 1, "abcdefghijklmnopqrstuvwxyz0123456789_-");
	return own == 0 || own > OWN_MAX ? 0 : kind + 1 + own;
}

bool
layout_source_valid(const char *source)
{
	size_t n = source_length(source);

	return n > 0 && source[n] == '\0';
}

/* "<source>/<time>-<8 hex>" at the start of s; returns what follows, or NULL. */
static const char *
parse_id(const char *s, struct layout_snap *ret)
{
	size_t source = source_length(s);
	const char *when = s + source + 1, *tag = when + TIME_LEN + 1;
	size_t len = source + 1 + TIME_LEN + 1 + TAG_LEN;
	struct layout_snap got = { 0 };

	_Static_assert(KIND_MAX + 1 + OWN_MAX < sizeof(got.source), "a source fits");
	if (source == 0 || s[source] != '/' ||
	    units_parse_time_compact(when, &got.time_ns) == -1 || tag[-1] != '-' ||
	    strspn(tag, lower_hex) != TAG_LEN)
		return NULL;
	memcpy(got.source, s, source);
	memcpy(got.id, s, len);
	*ret = got;
	return s + len;
}

char *
layout_pend_new(const char *snap, char out[LAYOUT_NAME])
{
	uint8_t tag[TAG_LEN / 2];
	char hex[TEXT_HEX(sizeof(tag))];

	key_random(tag, sizeof(tag));
	snprintf(out, LAYOUT_NAME, "pend/%s.%s", snap + strlen("snap/"),
	    text_hex(tag, sizeof(tag), hex));
	return out;
}

int
layout_pend_snap(const char *pend, char snap[LAYOUT_NAME])
{
	struct layout_snap part;
	const char *rest;

	if (strncmp(pend, "pend/", strlen("pend/")) != 0)
		return -1;
	rest = parse_id(pend + strlen("pend/"), &part);
	if (rest == NULL || rest[0] != '.' || strlen(rest + 1) != TAG_LEN ||
	    strspn(rest + 1, lower_hex) != TAG_LEN)
		return -1;
	snprintf(snap, LAYOUT_NAME, "snap/%s", part.id);
	return 0;
}

/* rec/<kind>/ at the start of the name: its length, or 0. */
static size_t
record_prefix(const char *name)
{
	size_t kind;

	if (strncmp(name, "rec/", strlen("rec/")) != 0)
		return 0;
	kind = strspn(name + strlen("rec/"), "abcdefghijklmnopqrstuvwxyz");
	if (kind < KIND_MIN || kind > RECORD_KIND_MAX || name[strlen("rec/") + kind] != '/')
		return 0;
	return strlen("rec/") + kind + 1;
}

int
layout_snap_parse(const char *name, struct layout_snap *ret)
{
	struct layout_snap got;
	char snap[LAYOUT_NAME];
	const char *rest;
	size_t skip;

	if (layout_pend_snap(name, snap) == 0)
		name = snap;
	skip = strncmp(name, "snap/", strlen("snap/")) == 0 ? strlen("snap/") : record_prefix(name);
	if (skip == 0)
		return -1;
	rest = parse_id(name + skip, &got);
	if (rest == NULL || *rest != '\0')
		return -1;
	*ret = got;
	return 0;
}
