/*
 * The lines of a file list. A run over a million small files writes and reads a million of them, so
 * numbers are put digit by digit rather than by printf; list_read.c is the other direction.
 *
 * Where a chunk of lines ends depends on lengths and the path of its last entry alone: adding a
 * file changes the chunk it falls into and one or two after it, until the ends fall together again.
 */
#include "repo/list.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"

/* One path in sixteen ends a chunk that is long enough. */
#define CUT_BELOW 16

#define LIST_ALIGN(n) (((n) + 7) & ~(size_t)7)

static const uint8_t zero_id[GRAIN_ID_LEN];

/*
 * '/' sorts below every other byte, so that a directory's entries follow it before its longer
 * siblings.
 */
static int
order_byte(char c)
{
	return c == '/' ? 0 : (unsigned char)c + 1;
}

static bool
is_root(const char *path, size_t len)
{
	return len == 1 && path[0] == '.';
}

int
list_path_order(const char *a, size_t alen, const char *b, size_t blen)
{
	size_t n = alen < blen ? alen : blen, i = 0;

	if (is_root(a, alen) || is_root(b, blen))
		return is_root(b, blen) - is_root(a, alen);
	while (i < n && a[i] == b[i])
		i++;
	if (i < n)
		return order_byte(a[i]) - order_byte(b[i]);
	return alen == blen ? 0 : alen < blen ? -1 : 1;
}

bool
list_cut_after(const char *path, size_t pathlen, size_t chunk_len)
{
	uint8_t sha[DIGEST_LEN];

	if (chunk_len < LIST_CHUNK_MIN)
		return false;
	if (chunk_len >= LIST_CHUNK_MAX)
		return true;
	digest_sha256(path, pathlen, sha);
	return sha[0] < CUT_BELOW;
}

/* ---- copying ---- */

/* Takes n bytes of the block at *at, aligned, and fills them from src. */
static void *
block_add(uint8_t **at, const void *src, size_t n)
{
	uint8_t *p = *at;

	if (n > 0)
		memcpy(p, src, n);
	*at += LIST_ALIGN(n);
	return p;
}

/* The same for a string of n bytes, with a NUL behind it. */
static char *
block_add_string(uint8_t **at, const char *src, size_t n)
{
	char *p = (char *)*at;

	memcpy(p, src, n);
	p[n] = '\0';
	*at += LIST_ALIGN(n + 1);
	return p;
}

static size_t
xattr_bytes(const struct entry *en)
{
	size_t n = LIST_ALIGN(en->xattrs * sizeof(*en->xattr));

	for (size_t i = 0; i < en->xattrs; i++)
		n += LIST_ALIGN(strlen(en->xattr[i].name) + 1) + LIST_ALIGN(en->xattr[i].len);
	return n;
}

struct entry *
list_entry_copy(const struct entry *en)
{
	size_t n = LIST_ALIGN(sizeof(*en)) + LIST_ALIGN(en->pathlen + 1) +
	    LIST_ALIGN(en->targetlen + 1) + LIST_ALIGN(en->maps * sizeof(*en->map)) +
	    LIST_ALIGN(en->needs * sizeof(*en->need)) + xattr_bytes(en);
	uint8_t *at = xmalloc(n);
	struct entry *copy = block_add(&at, en, sizeof(*en));

	copy->path = block_add_string(&at, en->path, en->pathlen);
	if (en->target)
		copy->target = block_add_string(&at, en->target, en->targetlen);
	copy->map = block_add(&at, en->map, en->maps * sizeof(*en->map));
	copy->need = block_add(&at, en->need, en->needs * sizeof(*en->need));
	copy->xattr = block_add(&at, en->xattr, en->xattrs * sizeof(*en->xattr));
	for (size_t i = 0; i < en->xattrs; i++) {
		const struct entry_xattr *x = &en->xattr[i];
		copy->xattr[i].name = block_add(&at, x->name, strlen(x->name) + 1);
		copy->xattr[i].value = block_add(&at, x->value, x->len);
	}
	return copy;
}

/* ---- encoding ---- */

static void
add_number(struct buf *out, uint64_t v)
{
	char digit[20];
	size_t n = sizeof(digit);

	do {
		digit[--n] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	buf_add(out, digit + n, sizeof(digit) - n);
}

static void
add_octal(struct buf *out, uint32_t v)
{
	char digit[4];

	for (int i = 3; i >= 0; i--, v >>= 3)
		digit[i] = (char)('0' + (v & 7));
	buf_add(out, digit, sizeof(digit));
}

static void
add_time(struct buf *out, int64_t s, uint32_t ns)
{
	char digit[10] = ".";

	if (s < 0)
		buf_addc(out, '-');
	add_number(out, s < 0 ? (uint64_t)0 - (uint64_t)s : (uint64_t)s);
	for (int i = 9; i > 0; i--, ns /= 10)
		digit[i] = (char)('0' + ns % 10);
	buf_add(out, digit, sizeof(digit));
}

static void
add_pair(struct buf *out, uint64_t a, uint64_t b)
{
	add_number(out, a);
	buf_addc(out, ':');
	add_number(out, b);
}

static void
add_ref(struct buf *out, struct entry_ref r)
{
	add_number(out, r.pack);
	buf_addc(out, '.');
	add_number(out, r.frame);
	buf_addc(out, '.');
	add_number(out, r.grain);
}

static void
add_id(struct buf *out, const uint8_t id[GRAIN_ID_LEN])
{
	char hex[TEXT_HEX(GRAIN_ID_LEN)];

	if (memcmp(id, zero_id, GRAIN_ID_LEN) == 0)
		buf_addc(out, '-');
	else
		buf_adds(out, text_hex(id, GRAIN_ID_LEN, hex));
}

static void
add_place(struct buf *out, const struct entry *en)
{
	char hex[TEXT_HEX(GRAIN_ID_LEN)];

	if (en->single) {
		buf_addc(out, 'g');
		add_ref(out, en->ref);
		return;
	}
	if (en->maps == 0) {
		buf_addc(out, '-');
		return;
	}
	buf_addc(out, 'm');
	for (size_t i = 0; i < en->maps; i++) {
		if (i > 0)
			buf_addc(out, ',');
		if (en->map[i].ref.pack == LIST_NO_PACK) {
			buf_addc(out, '-');
			continue;
		}
		add_ref(out, en->map[i].ref);
		buf_addc(out, '/');
		buf_adds(out, text_hex(en->map[i].digest, GRAIN_ID_LEN, hex));
	}
}

static void
add_needs(struct buf *out, const struct entry *en)
{
	if (en->needs == 0)
		buf_addc(out, '-');
	for (size_t i = 0; i < en->needs; i++) {
		if (i > 0)
			buf_addc(out, ',');
		add_pair(out, en->need[i].pack, en->need[i].grains);
	}
}

static void
add_common(struct buf *out, const struct entry *en)
{
	buf_addc(out, (char)en->type);
	buf_addc(out, ' ');
	add_octal(out, en->mode);
	buf_addc(out, ' ');
	add_number(out, en->uid);
	buf_addc(out, ' ');
	add_number(out, en->gid);
	buf_addc(out, ' ');
	add_time(out, en->mtime_s, en->mtime_ns);
	buf_addc(out, ' ');
	add_time(out, en->ctime_s, en->ctime_ns);
	buf_addc(out, ' ');
	add_pair(out, en->dev, en->ino);
	buf_addc(out, ' ');
	add_number(out, en->note);
	buf_addc(out, ' ');
}

static void
add_file(struct buf *out, const struct entry *en)
{
	add_number(out, en->size);
	buf_addc(out, ' ');
	add_number(out, en->grain_log2);
	buf_addc(out, ' ');
	add_id(out, en->id);
	buf_addc(out, ' ');
	add_place(out, en);
	buf_addc(out, ' ');
	add_needs(out, en);
	buf_addc(out, ' ');
}

void
list_encode(const struct entry *en, struct buf *out)
{
	add_common(out, en);
	switch (en->type) {
	case ENTRY_FILE:
		add_file(out, en);
		break;
	case ENTRY_SYMLINK:
	case ENTRY_HARDLINK:
		text_escape(en->target, en->targetlen, out);
		buf_addc(out, ' ');
		break;
	case ENTRY_BLOCK:
	case ENTRY_CHAR:
		add_pair(out, en->rdev_major, en->rdev_minor);
		buf_addc(out, ' ');
		break;
	case ENTRY_DIR:
	case ENTRY_FIFO:
	case ENTRY_SOCKET:
		break;
	}
	text_escape(en->path, en->pathlen, out);
	buf_addc(out, '\n');
	for (size_t i = 0; i < en->xattrs; i++) {
		buf_adds(out, "x ");
		text_escape(en->xattr[i].name, strlen(en->xattr[i].name), out);
		buf_addc(out, ' ');
		text_base64(en->xattr[i].value, en->xattr[i].len, out);
		buf_addc(out, '\n');
	}
}
