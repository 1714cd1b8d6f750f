#include "tests/lib/entrygen.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/chance.h"
#include "tests/lib/vector.h"

#define MOST 6

static struct {
	char path[600], target[600], name[MOST][60];
	uint8_t value[MOST][300];
	struct entry_map map[MOST];
	struct entry_need need[MOST];
	struct entry_xattr xattr[MOST];
} held;

/* Bytes that look like trouble. */
static size_t
some_name(char *out, size_t most, bool slashes)
{
	static const char *const part[] = {"a",	       " ",	 "\n",	    "\\", "\\-",
					   "\xc3\xa4", "\xff",	 "\x80",    "x ", "-",
					   "-rf",      "..a",	 "\x1b[0m", "%s", "\xe2\x80\xae",
					   "\x7f",     "f 0644", "\t",	    "=",  "\xed\xa0\x80"};
	size_t n = 0;

	do {
		const char *p = part[chance_below(sizeof(part) / sizeof(*part))];
		if (slashes && n > 0 && chance_one_in(5))
			out[n++] = '/';
		memcpy(out + n, p, strlen(p));
		n += strlen(p);
	} while (n + 10 < most && !chance_one_in(6));
	return n;
}

/* Small, huge or in between. */
static uint64_t
some_number(uint64_t max)
{
	switch (chance_below(4)) {
	case 0:
		return 0;
	case 1:
		return max;
	default:
		return chance_u64() >> chance_below(64) & max;
	}
}

static struct entry_ref
some_ref(void)
{
	return (struct entry_ref){(uint32_t)(some_number(UINT32_MAX) % LIST_NO_PACK),
				  (uint16_t)some_number(UINT16_MAX),
				  (uint16_t)some_number(UINT16_MAX)};
}

static void
some_contents(struct entry *en)
{
	en->grain_log2 = (uint8_t)(13 + chance_below(5));
	en->size = some_number(INT64_MAX);
	if (chance_one_in(4))
		return;
	chance_bytes(en->id, sizeof(en->id));
	en->id[5] |= 1;
	en->needs = 1 + chance_below(MOST);
	en->need = held.need;
	for (size_t i = 0; i < en->needs; i++)
		held.need[i] = (struct entry_need){(uint32_t)some_number(UINT32_MAX),
						   (uint32_t)some_number(UINT32_MAX)};
	if (chance_one_in(2)) {
		en->single = true;
		en->size = 1 + chance_below(UINT64_C(1) << en->grain_log2);
		en->ref = some_ref();
		return;
	}
	en->maps = 1 + chance_below(MOST);
	en->map = held.map;
	en->size = ((uint64_t)(en->maps - 1) << LIST_MAP_SPAN_LOG2) + (1u << 18) +
		   chance_below((1u << 30) - (1u << 18));
	for (size_t i = 0; i < en->maps; i++) {
		held.map[i] = (struct entry_map){.ref = some_ref()};
		chance_bytes(held.map[i].digest, GRAIN_ID_LEN);
		if (chance_one_in(3))
			held.map[i] = (struct entry_map){.ref.pack = LIST_NO_PACK};
	}
}

static void
some_xattrs(struct entry *en)
{
	en->xattrs = chance_one_in(3) ? chance_below(MOST) : 0;
	en->xattr = held.xattr;
	for (size_t i = 0; i < en->xattrs; i++) {
		held.name[i][some_name(held.name[i], sizeof(held.name[i]), false)] = '\0';
		held.xattr[i].name = held.name[i];
		held.xattr[i].value = held.value[i];
		held.xattr[i].len = chance_below(sizeof(held.value[i]));
		chance_bytes(held.value[i], held.xattr[i].len);
	}
}

void
entrygen_any(struct entry *en, const char *path)
{
	static const enum entry_type type[] = {
	    ENTRY_FILE,	    ENTRY_FILE,	 ENTRY_FILE, ENTRY_DIR,	 ENTRY_SYMLINK,
	    ENTRY_HARDLINK, ENTRY_BLOCK, ENTRY_CHAR, ENTRY_FIFO, ENTRY_SOCKET};

	*en = (struct entry){
	    .type = type[chance_below(sizeof(type) / sizeof(*type))],
	    .path = path ? path : held.path,
	    .pathlen = path ? strlen(path) : some_name(held.path, sizeof(held.path), true),
	    .mode = (uint32_t)chance_below(010000),
	    .uid = (uint32_t)some_number(UINT32_MAX),
	    .gid = (uint32_t)some_number(UINT32_MAX),
	    .mtime_s = (int64_t)some_number(UINT64_MAX),
	    .ctime_s = chance_one_in(9) ? INT64_MIN : (int64_t)some_number(UINT64_MAX),
	    .mtime_ns = (uint32_t)chance_below(1000000000),
	    .ctime_ns = chance_one_in(2) ? 999999999 : 0,
	    .dev = some_number(UINT64_MAX),
	    .ino = some_number(UINT64_MAX),
	    .note = (unsigned)chance_below(8)};
	if (en->type == ENTRY_DIR && chance_one_in(2))
		en->note |= ENTRY_ELSEWHERE;
	some_xattrs(en);
	if (en->type == ENTRY_FILE)
		some_contents(en);
	if (en->type == ENTRY_SYMLINK || en->type == ENTRY_HARDLINK) {
		en->target = held.target;
		en->targetlen =
		    chance_one_in(9) ? 0 : some_name(held.target, sizeof(held.target), true);
	}
	if (en->type == ENTRY_BLOCK || en->type == ENTRY_CHAR) {
		en->rdev_major = (uint32_t)some_number(UINT32_MAX);
		en->rdev_minor = (uint32_t)some_number(UINT32_MAX);
	}
}

static void
assert_same_contents(const struct entry *a, const struct entry *b)
{
	assert_int_equal(a->size, b->size);
	assert_int_equal(a->grain_log2, b->grain_log2);
	assert_memory_equal(a->id, b->id, GRAIN_ID_LEN);
	assert_int_equal(a->single, b->single);
	if (a->single) {
		assert_int_equal(a->ref.pack, b->ref.pack);
		assert_int_equal(a->ref.frame, b->ref.frame);
		assert_int_equal(a->ref.grain, b->ref.grain);
	}
	assert_int_equal(a->maps, b->maps);
	for (size_t i = 0; i < a->maps; i++) {
		assert_int_equal(a->map[i].ref.pack, b->map[i].ref.pack);
		if (a->map[i].ref.pack == LIST_NO_PACK)
			continue;
		assert_int_equal(a->map[i].ref.frame, b->map[i].ref.frame);
		assert_int_equal(a->map[i].ref.grain, b->map[i].ref.grain);
		assert_memory_equal(a->map[i].digest, b->map[i].digest, GRAIN_ID_LEN);
	}
	assert_int_equal(a->needs, b->needs);
	for (size_t i = 0; i < a->needs; i++) {
		assert_int_equal(a->need[i].pack, b->need[i].pack);
		assert_int_equal(a->need[i].grains, b->need[i].grains);
	}
}

void
entrygen_assert_same(const struct entry *a, const struct entry *b)
{
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->pathlen, b->pathlen);
	assert_memory_equal(a->path, b->path, a->pathlen);
	assert_int_equal(a->mode, b->mode);
	assert_int_equal(a->uid, b->uid);
	assert_int_equal(a->gid, b->gid);
	assert_int_equal(a->mtime_s, b->mtime_s);
	assert_int_equal(a->mtime_ns, b->mtime_ns);
	assert_int_equal(a->ctime_s, b->ctime_s);
	assert_int_equal(a->ctime_ns, b->ctime_ns);
	assert_int_equal(a->dev, b->dev);
	assert_int_equal(a->ino, b->ino);
	assert_int_equal(a->note, b->note);
	assert_int_equal(a->rdev_major, b->rdev_major);
	assert_int_equal(a->rdev_minor, b->rdev_minor);
	assert_int_equal(a->targetlen, b->targetlen);
	if (a->targetlen > 0)
		assert_memory_equal(a->target, b->target, a->targetlen);
	assert_same_contents(a, b);
	assert_int_equal(a->xattrs, b->xattrs);
	for (size_t i = 0; i < a->xattrs; i++) {
		assert_string_equal(a->xattr[i].name, b->xattr[i].name);
		assert_int_equal(a->xattr[i].len, b->xattr[i].len);
		if (a->xattr[i].len > 0)
			assert_memory_equal(a->xattr[i].value, b->xattr[i].value, a->xattr[i].len);
	}
}
