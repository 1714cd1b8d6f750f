/*
 * A file of a spool. One record is one sync, so at most one record was ever under way: the last. A
 * record that does not open is therefore a torn tail if nothing sound follows, and damage if
 * anything does; there is no third case, and no bit that could say otherwise and be wrong itself.
 *
 * A reader may look while the writer writes. What it took for torn may be whole a moment later,
 * with another one behind it; so before it speaks of damage it looks once more.
 *
 * Each record has a key of its own, from a salt that the bytes themselves go into: a machine that
 * was rolled back in the middle of a file and goes on with other WAL does not use a key twice.
 */
#include "repo/spool_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/lsn.h"
#include "base/mem.h"
#include "filter/key.h"
#include "filter/seal.h"

#define SALT 32
#define INFO "ffdr/spool"
#define SCAN (1u << 20) /* bytes looked through at a time */
/* A database of small commits makes 150,000 records a segment: no call of the system for each. */
#define WINDOW (64u << 10)

enum head_at {
	AT_EPOCH_KEY = 8,
	AT_EPOCH = 12,
	AT_TLI = 16,
	AT_SEGMENT = 20,
	AT_SYSID = 24,
	AT_START = 32,
	AT_REPO = 40,
	AT_SALT = 56,
	AT_ZERO = 88,
};
static const uint8_t head_magic[8] = { 'F', 'F', 'S', '1', 1, 0, 0, 0 };
static const uint8_t record_magic[4] = { 'F', 'F', 's', 'r' };

/* Bytes of the file as they were a moment ago. */
struct spool_file_window {
	uint64_t off;
	size_t len;
	uint8_t bytes[WINDOW];
};

enum record_at {
	AT_LENGTH = 4,
	AT_LSN = 8,
	AT_RECORD_SALT = 16,
};

/* ---- header ---- */

int
spool_file_head_make(struct spool_file_head *h, const struct keyring *k, struct err *e)
{
	const struct keyring_epoch *ep = keyring_current(k);

	if (ep == NULL)
		return err_set(e, ERR_KEY, "no data key to seal the spool with");
	memset(h->bytes, 0, sizeof(h->bytes));
	memcpy(h->bytes, head_magic, sizeof(head_magic));
	memcpy(h->bytes + AT_EPOCH_KEY, ep->epoch, LAYOUT_EPOCH);
	buf_put_u32(h->bytes + AT_EPOCH, h->epoch);
	buf_put_u32(h->bytes + AT_TLI, h->tli);
	buf_put_u32(h->bytes + AT_SEGMENT, h->segment_size);
	buf_put_u64(h->bytes + AT_SYSID, h->sysid);
	buf_put_u64(h->bytes + AT_START, h->start);
	memcpy(h->bytes + AT_REPO, k->repo_id, LAYOUT_REPO_ID);
	key_random(h->bytes + AT_SALT, SALT);
	return 0;
}

int
spool_file_head_parse(const uint8_t bytes[SPOOL_FILE_HEAD], const struct keyring *k,
    struct spool_file_head *ret, struct err *e)
{
	struct spool_file_head h = {
		.sysid = buf_get_u64(bytes + AT_SYSID),
		.epoch = buf_get_u32(bytes + AT_EPOCH),
		.tli = buf_get_u32(bytes + AT_TLI),
		.segment_size = buf_get_u32(bytes + AT_SEGMENT),
		.start = buf_get_u64(bytes + AT_START),
	};

	memcpy(h.bytes, bytes, sizeof(h.bytes));
	if (memcmp(bytes, head_magic, 4) != 0)
		return err_set(e, ERR_CORRUPT, "does not begin with FFS1: no file of a spool");
	if (memcmp(bytes, head_magic, sizeof(head_magic)) != 0 ||
	    buf_get_u64(bytes + AT_ZERO) != 0)
		return err_set(e, ERR_UNSUPPORTED, "file of a spool of a form this program does "
		    "not know");
	if (memcmp(bytes + AT_REPO, k->repo_id, LAYOUT_REPO_ID) != 0)
		return err_set(e, ERR_CORRUPT, "belongs to another repository");
	if (!lsn_segment_valid(h.segment_size))
		return err_set(e, ERR_CORRUPT, "speaks of segments of %u bytes", h.segment_size);
	*ret = h;
	return 0;
}

/* ---- a record ---- */

static void
record_key(const struct spool_file_head *h, const struct keyring_epoch *ep,
    const uint8_t record[SPOOL_FILE_RECORD], uint8_t key[SEAL_KEY])
{
	uint8_t salt[2 * SALT], info[sizeof(INFO) - 1 + LAYOUT_REPO_ID];

	memcpy(salt, h->bytes + AT_SALT, SALT);
	memcpy(salt + SALT, record + AT_RECORD_SALT, SALT);
	memcpy(info, INFO, sizeof(INFO) - 1);
	memcpy(info + sizeof(INFO) - 1, h->bytes + AT_REPO, LAYOUT_REPO_ID);
	digest_hkdf(ep->data, salt, sizeof(salt), info, sizeof(info), key);
}

static void
record_salt(const struct keyring_epoch *ep, const uint8_t record[SPOOL_FILE_RECORD],
    const void *wal, size_t n, uint8_t salt[SALT])
{
	uint8_t seed[32 + 8 + 4 + DIGEST_LEN];
	struct digest *d = digest_new();

	key_random(seed, 32);
	buf_put_u64(seed + 32, (uint64_t)clock_real_ns());
	buf_put_u32(seed + 40, (uint32_t)getpid());
	digest_add(d, record, AT_RECORD_SALT);
	digest_add(d, wal, n);
	digest_end(d, seed + 44);
	digest_free(d);
	digest_hmac(ep->salt, sizeof(ep->salt), seed, sizeof(seed), salt);
	key_wipe(seed, sizeof(seed));
}

static const struct keyring_epoch *
epoch_of(const struct spool_file_head *h, const struct keyring *k, struct err *e)
{
	const struct keyring_epoch *ep = keyring_find(k, h->bytes + AT_EPOCH_KEY);

	if (ep == NULL)
		err_set(e, ERR_KEY, "sealed under a data key that is not here");
	return ep;
}

/* header of the file || header of the record */
static void
record_aad(const struct spool_file_head *h, const uint8_t record[SPOOL_FILE_RECORD],
    uint8_t aad[SPOOL_FILE_HEAD + SPOOL_FILE_RECORD])
{
	memcpy(aad, h->bytes, SPOOL_FILE_HEAD);
	memcpy(aad + SPOOL_FILE_HEAD, record, SPOOL_FILE_RECORD);
}

int
spool_file_seal(const struct spool_file_head *h, const struct keyring *k, uint64_t off,
    uint64_t lsn, const void *wal, size_t n, struct buf *out, struct err *e)
{
	const struct keyring_epoch *ep = epoch_of(h, k, e);
	uint8_t aad[SPOOL_FILE_HEAD + SPOOL_FILE_RECORD], key[SEAL_KEY], *p;
	struct seal *s;

	if (ep == NULL)
		return -1;
	p = buf_reserve(out, SPOOL_FILE_RECORD + n + SPOOL_FILE_TAG);
	if (p == NULL)
		return buf_check(out, "record of the spool", e);
	memcpy(p, record_magic, sizeof(record_magic));
	buf_put_u32(p + AT_LENGTH, (uint32_t)n);
	buf_put_u64(p + AT_LSN, lsn);
	record_salt(ep, p, wal, n, p + AT_RECORD_SALT);
	memcpy(p + SPOOL_FILE_RECORD, wal, n);
	record_aad(h, p, aad);
	record_key(h, ep, p, key);
	s = seal_new(key);
	seal_frame(s, off, aad, sizeof(aad), p + SPOOL_FILE_RECORD, n);
	seal_free(s);
	key_wipe(key, sizeof(key));
	out->len += SPOOL_FILE_RECORD + n + SPOOL_FILE_TAG;
	return 0;
}

/* record: header, n sealed bytes, tag. The WAL goes to out. */
static int
record_open(const struct spool_file *f, uint64_t off, const uint8_t *record, size_t n,
    uint8_t *out, struct err *e)
{
	const struct keyring_epoch *ep = epoch_of(&f->head, f->keys, e);
	uint8_t aad[SPOOL_FILE_HEAD + SPOOL_FILE_RECORD], key[SEAL_KEY];
	struct seal *s;
	int rc;

	if (ep == NULL)
		return -1;
	record_aad(&f->head, record, aad);
	record_key(&f->head, ep, record, key);
	s = seal_new(key);
	rc = seal_open(s, off, aad, sizeof(aad), record + SPOOL_FILE_RECORD, n, out, e);
	seal_free(s);
	key_wipe(key, sizeof(key));
	return rc;
}

/* ---- names ---- */

char *
spool_file_name(const struct spool_file_name *n, char out[SPOOL_FILE_NAME])
{
	char end[20] = "";

	if (n->end != 0)
		snprintf(end, sizeof(end), "-%016" PRIx64, n->end);
	snprintf(out, SPOOL_FILE_NAME, "%" PRIu64 "-%08x-%08x-%016" PRIx64 "%s.%08x", n->sysid,
	    n->epoch, n->tli, n->start, end, n->tag);
	return out;
}

int
spool_file_name_parse(const char *name, struct spool_file_name *ret)
{
	struct spool_file_name n = { 0 };
	char again[SPOOL_FILE_NAME];

	/* What sscanf() lets pass, the comparison with the name built again does not. */
	if (sscanf(name, "%" SCNu64 "-%8" SCNx32 "-%8" SCNx32 "-%16" SCNx64 "-%16" SCNx64 ".%8"
	    SCNx32, &n.sysid, &n.epoch, &n.tli, &n.start, &n.end, &n.tag) != 6) {
		n = (struct spool_file_name){ 0 };
		if (sscanf(name, "%" SCNu64 "-%8" SCNx32 "-%8" SCNx32 "-%16" SCNx64 ".%8" SCNx32,
		    &n.sysid, &n.epoch, &n.tli, &n.start, &n.tag) != 5)
			return -1;
	}
	if (strcmp(spool_file_name(&n, again), name) != 0 || (n.end != 0 && n.end <= n.start))
		return -1;
	*ret = n;
	return 0;
}

/* ---- reading ---- */

/* As many of the n bytes at off as there are, or -1. */
static ssize_t
read_at(int fd, void *out, size_t n, uint64_t off, struct err *e)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = pread(fd, (char *)out + got, n - got, (off_t)(off + got));

		if (r == -1 && errno == EINTR)
			continue;
		if (r == -1)
			return err_sys(e, "read");
		if (r == 0)
			break;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

int
spool_file_open(struct spool_file *f, int dirfd, const char *name, const struct keyring *k,
    struct err *e)
{
	uint8_t bytes[SPOOL_FILE_HEAD];
	ssize_t got;

	*f = (struct spool_file){ .fd = -1 };
	if (k == NULL)
		return err_set(e, ERR_KEY, "'%s': the repository is not open, so it cannot be read",
		    name);
	*f = (struct spool_file){
		.fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW),
		.keys = k,
	};
	if (f->fd == -1)
		return err_sys(e, "open '%s'", name);
	got = read_at(f->fd, bytes, sizeof(bytes), 0, e);
	if (got >= 0 && (size_t)got < sizeof(bytes))
		err_set(e, ERR_CORRUPT, "has %zd bytes, its header alone has %d", got,
		    SPOOL_FILE_HEAD);
	else if (got >= 0 && spool_file_head_parse(bytes, k, &f->head, e) == 0) {
		f->window = xcalloc(1, sizeof(*f->window));
		f->off = SPOOL_FILE_HEAD;
		f->lsn = f->head.start;
		return 0;
	}
	spool_file_close(f);
	return err_in(e, "'%s'", name);
}

void
spool_file_close(struct spool_file *f)
{
	if (f->fd != -1)
		close(f->fd);
	f->fd = -1;
	free(f->window);
	f->window = NULL;
}

/* Is this the header of a record at or behind that LSN? Its length, or 0. */
static size_t
record_length(const struct spool_file *f, const uint8_t record[SPOOL_FILE_RECORD], uint64_t lsn,
    bool exactly)
{
	uint32_t n = buf_get_u32(record + AT_LENGTH);
	uint64_t at = buf_get_u64(record + AT_LSN);
	uint64_t end = lsn_segment(f->head.start, f->head.segment_size) + f->head.segment_size;

	if (memcmp(record, record_magic, sizeof(record_magic)) != 0 || n == 0 ||
	    n > SPOOL_FILE_WAL_MAX || at < lsn || (exactly && at != lsn) || at >= end ||
	    n > end - at)
		return 0;
	return n;
}

/* The n bytes at off as they are or were a moment ago, or NULL: there are not so many yet. */
static const uint8_t *
look(const struct spool_file *f, uint64_t off, size_t n)
{
	struct spool_file_window *w = f->window;
	ssize_t got;

	if (off < w->off || off + n > w->off + w->len) {
		got = n > WINDOW ? 0 : read_at(f->fd, w->bytes, WINDOW, off, NULL);
		w->off = off;
		w->len = got > 0 ? (size_t)got : 0;
	}
	return n <= w->len - (off - w->off) ? w->bytes + (off - w->off) : NULL;
}

/* The same from the window, for many small ones; false when it did not open: that proves nothing. */
static bool
record_seen(const struct spool_file *f, uint64_t off, uint64_t lsn, bool exactly, struct buf *wal)
{
	const uint8_t *record = look(f, off, SPOOL_FILE_RECORD);
	size_t n = record ? record_length(f, record, lsn, exactly) : 0;
	uint8_t *out = n > 0 ? buf_reserve(wal, n) : NULL;

	record = out ? look(f, off, SPOOL_FILE_RECORD + n + SPOOL_FILE_TAG) : NULL;
	if (!record || record_open(f, off, record, n, out, NULL) == -1)
		return false;
	wal->len += n;
	return true;
}

/*
 * The record at off into wal: 1; 0 when none opens there (yet); -1 when it cannot be read at all.
 */
static int
record_read(const struct spool_file *f, uint64_t off, uint64_t lsn, bool exactly, struct buf *wal,
    struct err *e)
{
	uint8_t head[SPOOL_FILE_RECORD], *all = NULL, *out;
	struct err why = { 0 };
	size_t n = 0, len;
	ssize_t got;
	int rc = 0;

	if (record_seen(f, off, lsn, exactly, wal))
		return 1;
	got = read_at(f->fd, head, sizeof(head), off, e);
	if (got == (ssize_t)sizeof(head))
		n = record_length(f, head, lsn, exactly);
	if (got == -1 || n == 0)
		return got == -1 ? -1 : 0;
	len = SPOOL_FILE_RECORD + n + SPOOL_FILE_TAG;
	all = xmalloc(len);
	out = buf_reserve(wal, n);
	got = read_at(f->fd, all, len, off, e);
	if (got == -1)
		rc = -1;
	else if (out == NULL)
		rc = buf_check(wal, "WAL of the spool", e);
	else if ((size_t)got == len && memcmp(all, head, sizeof(head)) == 0) {
		rc = record_open(f, off, all, n, out, &why) == 0;
		if (rc == 0 && why.kind == ERR_KEY)
			rc = err_set(e, ERR_KEY, "%s", why.text);
	}
	if (rc == 1)
		wal->len += n;
	free(all);
	return rc;
}

/* Does a record open anywhere behind off? 1, and *ret is its LSN; 0; -1. */
static int
later(const struct spool_file *f, uint64_t off, uint64_t lsn, uint64_t *ret, struct err *e)
{
	uint8_t *window = xmalloc(SCAN);
	struct buf wal;
	int rc = 0;

	buf_init(&wal, SPOOL_FILE_WAL_MAX);
	while (rc == 0) {
		ssize_t got = read_at(f->fd, window, SCAN, off, e);
		uint8_t *p = window, *end;

		if (got < (ssize_t)SPOOL_FILE_RECORD) {
			rc = got == -1 ? -1 : 0;
			break;
		}
		end = window + got;
		while (rc == 0 && (p = memmem(p, (size_t)(end - p), record_magic,
		    sizeof(record_magic))) != NULL && end - p >= SPOOL_FILE_RECORD) {
			rc = record_read(f, off + (uint64_t)(p - window), lsn, false, &wal, e);
			*ret = buf_get_u64(p + AT_LSN);
			p++;
		}
		off += (uint64_t)got - SPOOL_FILE_RECORD + 1;
	}
	buf_done(&wal);
	free(window);
	return rc;
}

/*
 * Nothing opened at f->off. 1 it does now, as the writer was in the middle of it; 0 the file ends
 * here; -1 something sound follows.
 */
static int
judge_end(struct spool_file *f, struct buf *wal, struct err *e)
{
	char from[LSN_TEXT], to[LSN_TEXT];
	uint64_t next = 0;
	int rc = later(f, f->off + 1, f->lsn, &next, e);

	if (rc != 1)
		return rc;
	rc = record_read(f, f->off, f->lsn, true, wal, e);
	if (rc != 0)
		return rc;
	return err_set(e, ERR_CORRUPT, "WAL from %s to %s of timeline %u is damaged in the spool",
	    lsn_text(f->lsn, from), lsn_text(next, to), f->head.tli);
}

static void
advance(struct spool_file *f, uint64_t n)
{
	f->last_off = f->off;
	f->last_lsn = f->lsn;
	f->off += SPOOL_FILE_RECORD + n + SPOOL_FILE_TAG;
	f->lsn += n;
}

/*
 * Passes over a record by its header: 1; 0 none begins here; -1. What the window does not have is
 * read anew, for it may have been written since.
 */
static int
pass_over(struct spool_file *f, struct err *e)
{
	struct spool_file_window *w = f->window;

	for (bool fresh = false;; fresh = true) {
		if (f->off >= w->off && f->off + SPOOL_FILE_RECORD <= w->off + w->len) {
			size_t n = record_length(f, w->bytes + (f->off - w->off), f->lsn, true);

			if (n > 0) {
				advance(f, n);
				return 1;
			}
		}
		if (fresh)
			return 0;
		ssize_t got = read_at(f->fd, w->bytes, WINDOW, f->off, e);

		w->off = f->off;
		w->len = got > 0 ? (size_t)got : 0;
		if (got == -1)
			return -1;
	}
}

int
spool_file_next(struct spool_file *f, struct buf *out, struct err *e)
{
	size_t before = out == NULL ? 0 : out->len;
	struct buf unwanted;
	int rc;

	if (out == NULL && (rc = pass_over(f, e)) != 0)
		return rc;
	buf_init(&unwanted, SPOOL_FILE_WAL_MAX);
	rc = out == NULL ? 0 : record_read(f, f->off, f->lsn, true, out, e);
	if (rc == 0)
		rc = judge_end(f, out == NULL ? &unwanted : out, e);
	if (rc == 1)
		advance(f, out == NULL ? unwanted.len : out->len - before);
	buf_done(&unwanted);
	return rc;
}

int
spool_file_end(struct spool_file *f, struct err *e)
{
	struct buf wal;
	int rc;

	do
		rc = spool_file_next(f, NULL, e);
	while (rc == 1);
	if (rc == -1 || f->last_off == 0)
		return rc;
	buf_init(&wal, SPOOL_FILE_WAL_MAX);
	/* The header of the last one may be whole and its bytes not. */
	f->off = f->last_off;
	f->lsn = f->last_lsn;
	do {
		buf_reset(&wal);
		rc = spool_file_next(f, &wal, e);
	} while (rc == 1);
	buf_done(&wal);
	return rc;
}
