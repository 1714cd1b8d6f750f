/*
 * A recovery that meets a page which is not what it should be does not fail: it takes that for the
 * end of the log, and promotes. So whoever stores WAL or hands it out looks at every page first.
 *
 * What would surprise: a page may be of an older timeline than its file's name says. The segment in
 * which a timeline began is copied up to there from its parent. And a page of zeros is no damage in
 * itself: behind a switch record the server writes zeros without headers.
 */
#include "source/pg/pg_walpage.h"

#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/lsn.h"
#include "base/mem.h"

/* xlp_info */
#define CONTINUES 0x01
#define LONG_HEADER 0x02
#define OVERWRITES 0x08
#define ALL_FLAGS 0x0f

static const struct {
	int version;
	uint16_t magic;
} versions[] = { { 14, 0xd10d }, { 15, 0xd110 }, { 16, 0xd113 }, { 17, 0xd116 }, { 18, 0xd118 } };

int
pg_walpage_version(uint16_t magic)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++)
		if (versions[i].magic == magic)
			return versions[i].version;
	return 0;
}

uint16_t
pg_walpage_magic(int version)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++)
		if (versions[i].version == version)
			return versions[i].magic;
	return 0;
}

static bool
all_zero(const uint8_t *bytes, size_t n)
{
	return n == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0);
}

/* Why these two bytes begin no page that we read. */
static int
refuse_magic(uint16_t magic, struct err *e)
{
	if (pg_walpage_version((uint16_t)(magic << 8 | magic >> 8)))
		return err_set(e, ERR_UNSUPPORTED,
		    "WAL of a big-endian server, expected a little-endian one");
	if (magic >> 8 == 0xd0 || magic >> 8 == 0xd1)
		return err_set(e, ERR_UNSUPPORTED,
		    "WAL of another version of PostgreSQL (pages begin with %04X), expected 14 to 18",
		    magic);
	return err_set(e, ERR_CORRUPT, "not a page of WAL: it begins with %04X", magic);
}

bool
pg_walpage_is_long(const uint8_t *bytes)
{
	return buf_get_u16(bytes + 2) & LONG_HEADER;
}

static int
read_long(const uint8_t *bytes, size_t n, struct pg_walpage *p, struct err *e)
{
	if (n < PG_WALPAGE_LONG)
		return err_set(e, ERR_CORRUPT, "the header of a segment's first page is cut off");
	p->header = PG_WALPAGE_LONG;
	p->sysid = buf_get_u64(bytes + 24);
	p->seg_size = buf_get_u32(bytes + 32);
	if (buf_get_u32(bytes + 36) != PG_WALPAGE_LEN)
		return err_set(e, ERR_UNSUPPORTED,
		    "WAL in pages of %" PRIu32 " bytes, expected %u, as every packaged server has",
		    buf_get_u32(bytes + 36), PG_WALPAGE_LEN);
	if (!lsn_segment_valid(p->seg_size) || p->sysid == 0)
		return err_set(e, ERR_CORRUPT,
		    "a page says segments of %" PRIu32 " bytes and system id %" PRIu64,
		    p->seg_size, p->sysid);
	return 0;
}

int
pg_walpage_read(const uint8_t *bytes, size_t n, struct pg_walpage *ret, struct err *e)
{
	struct pg_walpage p = { .header = PG_WALPAGE_SHORT };
	uint16_t info;

	if (n < PG_WALPAGE_SHORT)
		return err_set(e, ERR_CORRUPT, "the header of a page is cut off");
	if (all_zero(bytes, PG_WALPAGE_SHORT))
		return 0;
	p.version = pg_walpage_version(buf_get_u16(bytes));
	if (!p.version)
		return refuse_magic(buf_get_u16(bytes), e);
	info = buf_get_u16(bytes + 2);
	p.timeline = buf_get_u32(bytes + 4);
	p.lsn = buf_get_u64(bytes + 8);
	p.rest = buf_get_u32(bytes + 16);
	p.overwritten = info & OVERWRITES;
	if (info & ~ALL_FLAGS || p.timeline == 0 || p.lsn % PG_WALPAGE_LEN ||
	    (p.rest > 0) != ((info & CONTINUES) > 0) || (p.overwritten && p.rest))
		return err_set(e, ERR_CORRUPT, "a page's header makes no sense");
	if (pg_walpage_is_long(bytes) && read_long(bytes, n, &p, e) == -1)
		return -1;
	*ret = p;
	return 1;
}

static int
check_first(const uint8_t *bytes, uint64_t lsn, uint64_t sysid, struct pg_walpage *p, struct err *e)
{
	char is[LSN_TEXT], want[LSN_TEXT];
	int got;

	got = pg_walpage_read(bytes, PG_WALPAGE_LEN, p, e);
	if (got == -1)
		return -1;
	if (got == 0)
		return err_set(e, ERR_CORRUPT, "it begins with zeros, expected WAL from %s",
		    lsn_text(lsn, want));
	if (p->header != PG_WALPAGE_LONG)
		return err_set(e, ERR_CORRUPT, "it does not begin as a segment does");
	if (sysid && p->sysid != sysid)
		return err_set(e, ERR_REFUSED,
		    "WAL of system id %" PRIu64 ", expected %" PRIu64 ": that is another server",
		    p->sysid, sysid);
	if (p->lsn != lsn)
		return err_set(e, ERR_CORRUPT, "it holds WAL from %s, expected %s",
		    lsn_text(p->lsn, is), lsn_text(lsn, want));
	if (lsn % p->seg_size)
		return err_set(e, ERR_CORRUPT, "no segment of %" PRIu32 " MiB begins at %s",
		    p->seg_size >> 20, lsn_text(lsn, want));
	return 0;
}

/* One page behind the first, which `prev` is the one before of. */
static int
check_next(const struct pg_walpage *p, const struct pg_walpage *prev, uint64_t lsn, struct err *e)
{
	char is[LSN_TEXT], want[LSN_TEXT];

	lsn_text(lsn, want);
	if (p->lsn != lsn)
		return err_set(e, ERR_CORRUPT, "the page at %s is that of %s", want,
		    lsn_text(p->lsn, is));
	if (p->version != prev->version || p->header != PG_WALPAGE_SHORT)
		return err_set(e, ERR_CORRUPT, "the page at %s is another server's", want);
	if (p->timeline < prev->timeline)
		return err_set(e, ERR_CORRUPT,
		    "the page at %s is of timeline %" PRIu32 ", the one before of %" PRIu32, want,
		    p->timeline, prev->timeline);
	return 0;
}

static int
check_page(const uint8_t *bytes, uint64_t lsn, struct pg_walpage *prev, uint64_t *end, struct err *e)
{
	char hole[LSN_TEXT], there[LSN_TEXT];
	struct pg_walpage p;
	int got;

	got = pg_walpage_read(bytes, PG_WALPAGE_LEN, &p, e);
	if (got == -1)
		return err_in(e, "the page at %s", lsn_text(lsn, there));
	if (got == 0 && all_zero(bytes, PG_WALPAGE_LEN))
		return 0;
	if (got == 0)
		return err_set(e, ERR_CORRUPT, "the page at %s lacks its header",
		    lsn_text(lsn, there));
	if (*end != lsn)
		return err_set(e, ERR_CORRUPT, "zeros from %s to %s, and WAL behind them",
		    lsn_text(*end, hole), lsn_text(lsn, there));
	if (check_next(&p, prev, lsn, e) == -1)
		return -1;
	*prev = p;
	*end = lsn + PG_WALPAGE_LEN;
	return 0;
}

int
pg_walpage_check_segment(const uint8_t *bytes, size_t n, uint32_t timeline, uint64_t lsn,
    uint64_t sysid, struct pg_walpage_segment *ret, struct err *e)
{
	struct pg_walpage p;
	struct pg_walpage_segment seg;

	if (n < PG_WALPAGE_LEN || n % PG_WALPAGE_LEN)
		return err_set(e, ERR_CORRUPT, "%zu bytes, expected whole pages of WAL", n);
	if (check_first(bytes, lsn, sysid, &p, e) == -1)
		return -1;
	if (n > p.seg_size)
		return err_set(e, ERR_CORRUPT, "%zu bytes, but its segments have %" PRIu32, n,
		    p.seg_size);
	seg = (struct pg_walpage_segment){ p.version, p.sysid, p.seg_size, p.timeline,
		lsn + PG_WALPAGE_LEN };
	for (size_t off = PG_WALPAGE_LEN; off < n; off += PG_WALPAGE_LEN)
		if (check_page(bytes + off, lsn + off, &p, &seg.end, e) == -1)
			return -1;
	if (p.timeline > timeline)
		return err_set(e, ERR_CORRUPT,
		    "it holds WAL of timeline %" PRIu32 ", expected %" PRIu32 " or before",
		    p.timeline, timeline);
	*ret = seg;
	return 0;
}
