/*
 * The text is JSON, but its last line is the hash of all bytes before that line: so it is put
 * together as text, and read with the hash first.
 */
#include "source/pg/pg_manifest.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "filter/digest.h"

#define TEXT_LIMIT (512u << 20) /* some three million files */
#define CHECKSUM_LINE "\"Manifest-Checksum\": \""

void
pg_manifest_begin(struct pg_manifest *m, uint64_t sysid)
{
	*m = (struct pg_manifest){ 0 };
	buf_init(&m->text, TEXT_LIMIT);
	if (sysid)
		buf_addf(&m->text,
		    "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n\"System-Identifier\": %" PRIu64
		    ",\n\"Files\": [",
		    sysid);
	else
		buf_adds(&m->text, "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [");
}

void
pg_manifest_done(struct pg_manifest *m)
{
	buf_done(&m->text);
}

/* A name that is no UTF-8 has no place in JSON; the server writes its bytes in hex. */
static void
add_path(struct buf *out, const char *path)
{
	const size_t n = strlen(path);
	json_t *string;
	char *quoted;

	if (!text_utf8_valid(path, n)) {
		buf_adds(out, "{ \"Encoded-Path\": \"");
		for (size_t i = 0; i < n; i++)
			buf_addf(out, "%02x", (unsigned char)path[i]);
		buf_adds(out, "\", ");
		return;
	}
	string = json_string(path);
	quoted = json_dumps(string, JSON_ENCODE_ANY);
	buf_addf(out, "{ \"Path\": %s, ", quoted);
	free(quoted);
	json_decref(string);
}

void
pg_manifest_file(
    struct pg_manifest *m, const char *path, uint64_t size, int64_t mtime_s, uint32_t crc)
{
	const time_t t = (time_t)mtime_s;
	struct tm tm;
	char when[64];

	gmtime_r(&t, &tm);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S GMT", &tm);
	buf_adds(&m->text, m->files++ ? ",\n" : "\n");
	add_path(&m->text, path);
	buf_addf(&m->text,
	    "\"Size\": %" PRIu64
	    ", \"Last-Modified\": \"%s\", \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"",
	    size, when);
	/* as its bytes lie in memory */
	for (int i = 0; i < 4; i++)
		buf_addf(&m->text, "%02x", crc >> (8 * i) & 0xff);
	buf_adds(&m->text, "\" }");
}

int
pg_manifest_end(
    struct pg_manifest *m, uint32_t tli, uint64_t start_lsn, uint64_t stop_lsn, struct err *e)
{
	uint8_t sha[DIGEST_LEN];
	char hex[TEXT_HEX(DIGEST_LEN)];

	buf_addf(&m->text,
	    "\n],\n\"WAL-Ranges\": [\n{ \"Timeline\": %" PRIu32 ", \"Start-LSN\": \"%" PRIX32
	    "/%" PRIX32 "\", \"End-LSN\": \"%" PRIX32 "/%" PRIX32 "\" }\n],\n",
	    tli, (uint32_t)(start_lsn >> 32), (uint32_t)start_lsn, (uint32_t)(stop_lsn >> 32),
	    (uint32_t)stop_lsn);
	if (buf_check(&m->text, "the backup manifest", e) == -1)
		return -1;
	digest_sha256(m->text.data, m->text.len, sha);
	buf_addf(&m->text, CHECKSUM_LINE "%s\"}\n", text_hex(sha, DIGEST_LEN, hex));
	return buf_check(&m->text, "the backup manifest", e);
}

/* ---- reading ---- */

/* Where the last line begins. */
static size_t
last_line(const char *text, size_t n)
{
	size_t at = n;

	if (at > 0 && text[at - 1] == '\n')
		at--;
	while (at > 0 && text[at - 1] != '\n')
		at--;
	return at;
}

static int
check_sum(const char *text, size_t n, struct err *e)
{
	const size_t at = last_line(text, n), key = strlen(CHECKSUM_LINE);
	uint8_t sha[DIGEST_LEN];
	char hex[TEXT_HEX(DIGEST_LEN)];

	if (n - at < key + 2 * DIGEST_LEN || memcmp(text + at, CHECKSUM_LINE, key) != 0)
		return err_set(
		    e, ERR_CORRUPT, "backup_manifest does not end in its checksum: it is cut off");
	digest_sha256(text, at, sha);
	text_hex(sha, DIGEST_LEN, hex);
	if (memcmp(text + at + key, hex, 2 * DIGEST_LEN) != 0)
		return err_set(e, ERR_CORRUPT, "backup_manifest does not fit its checksum");
	return 0;
}

static int
lsn_of(const json_t *range, const char *key, uint64_t *ret)
{
	const char *text = json_string_value(json_object_get(range, key));
	uint32_t high, low;

	if (!text || sscanf(text, "%8" SCNx32 "/%8" SCNx32, &high, &low) != 2)
		return -1;
	*ret = (uint64_t)high << 32 | low;
	return 0;
}

static int
take_range(const json_t *range, struct pg_manifest_range *ret)
{
	json_int_t tli = json_integer_value(json_object_get(range, "Timeline"));

	if (tli <= 0 || tli > UINT32_MAX || lsn_of(range, "Start-LSN", &ret->start) == -1 ||
	    lsn_of(range, "End-LSN", &ret->end) == -1)
		return -1;
	ret->tli = (uint32_t)tli;
	return 0;
}

int
pg_manifest_ranges(
    const char *text, size_t n, struct pg_manifest_range *ret, size_t cap, struct err *e)
{
	json_t *root = NULL, *ranges;
	size_t count;
	int rc = -1;

	if (check_sum(text, n, e) == -1)
		return -1;
	root = json_loadb(text, n, 0, NULL);
	ranges = json_object_get(root, "WAL-Ranges");
	count = json_array_size(ranges);
	if (count == 0 || count > cap) {
		err_set(e, ERR_CORRUPT,
		    "backup_manifest names %zu ranges of WAL, expected 1 to %zu", count, cap);
		goto out;
	}
	for (size_t i = 0; i < count; i++)
		if (take_range(json_array_get(ranges, i), &ret[i]) == -1) {
			err_set(e, ERR_CORRUPT,
			    "backup_manifest has a range of WAL that cannot be read");
			goto out;
		}
	rc = (int)count;
out:
	json_decref(root);
	return rc;
}
