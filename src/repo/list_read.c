/*
 * Reading the lines of a file list. A list comes from a store and may say anything: every field is
 * checked for its form and against its neighbours, so whoever gets an entry may rely on it.
 *
 * An entry borrows its strings from one scratch buffer that is made large enough before the first
 * of them is put there, so none moves while the entry lives.
 */
#include "repo/list.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

static const uint8_t zero_id[GRAIN_ID_LEN];

/* One line being read: p moves on, `bad` is sticky, so a line is judged once at its end. */
struct scan {
	const char *p, *end;
	bool bad;
};

static void
eat(struct scan *s, char c)
{
	if (s->p < s->end && *s->p == c)
		s->p++;
	else
		s->bad = true;
}

static uint64_t
number(struct scan *s, uint64_t max)
{
	const char *start = s->p;
	uint64_t v = 0;

	for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++) {
		unsigned d = (unsigned)(*s->p - '0');
		if (v > (max - d) / 10) {
			s->bad = true;
			return 0;
		}
		v = v * 10 + d;
	}
	if (s->p == start)
		s->bad = true;
	return v;
}

static uint32_t
number32(struct scan *s)
{
	return (uint32_t)number(s, UINT32_MAX);
}

static uint32_t
octal(struct scan *s)
{
	uint32_t v = 0;

	if (s->end - s->p < 4) {
		s->bad = true;
		return 0;
	}
	for (int i = 0; i < 4; i++, s->p++) {
		if (*s->p < '0' || *s->p > '7')
			s->bad = true;
		v = v << 3 | (uint32_t)(*s->p & 7);
	}
	return v;
}

static void
time_of(struct scan *s, int64_t *sec, uint32_t *ns)
{
	bool minus = s->p < s->end && *s->p == '-';
	const char *start;
	uint64_t abs;

	if (minus)
		s->p++;
	abs = number(s, minus ? (uint64_t)INT64_MAX + 1 : INT64_MAX);
	*sec = (int64_t)(minus ? 0 - abs : abs);
	eat(s, '.');
	start = s->p;
	*ns = (uint32_t)number(s, 999999999);
	if (s->p - start != 9)
		s->bad = true;
}

static struct entry_ref
ref_of(struct scan *s)
{
	struct entry_ref r;

	r.pack = (uint32_t)number(s, LIST_NO_PACK - 1);
	eat(s, '.');
	r.frame = (uint16_t)number(s, UINT16_MAX);
	eat(s, '.');
	r.grain = (uint16_t)number(s, UINT16_MAX);
	return r;
}

static void
hex_id(struct scan *s, uint8_t id[GRAIN_ID_LEN])
{
	if (s->end - s->p < 2 * GRAIN_ID_LEN || text_unhex(s->p, id, GRAIN_ID_LEN) == -1) {
		s->bad = true;
		return;
	}
	s->p += 2 * GRAIN_ID_LEN;
}

static void
id_of(struct scan *s, uint8_t id[GRAIN_ID_LEN])
{
	memset(id, 0, GRAIN_ID_LEN);
	if (s->p < s->end && *s->p == '-')
		s->p++;
	else
		hex_id(s, id);
}

/* The next word, unescaped into scratch, which has room for all of the entry already. */
static const char *
word_of(struct scan *s, struct buf *scratch, size_t *len)
{
	const char *stop = memchr(s->p, ' ', (size_t)(s->end - s->p));
	size_t start = scratch->len;

	if (!stop)
		stop = s->end;
	if (stop == s->p || text_unescape(s->p, (size_t)(stop - s->p), scratch) == -1)
		s->bad = true;
	*len = scratch->len - start;
	buf_addc(scratch, '\0');
	s->p = stop;
	return (const char *)scratch->data + start;
}

static void
place_of(struct scan *s, struct list_reader *r)
{
	struct entry *en = &r->entry;
	char kind = s->p < s->end ? *s->p++ : '\0';

	if (kind == 'g') {
		en->single = true;
		en->ref = ref_of(s);
	} else if (kind == 'm') {
		do {
			struct entry_map m = {.ref.pack = LIST_NO_PACK};
			if (s->p < s->end && *s->p == '-') {
				s->p++;
			} else {
				m.ref = ref_of(s);
				eat(s, '/');
				hex_id(s, m.digest);
			}
			en->map = mem_grow(en->map, &r->map_room, en->maps + 1, sizeof(m));
			en->map[en->maps++] = m;
		} while (!s->bad && s->p < s->end && *s->p == ',' && s->p++);
	} else if (kind != '-') {
		s->bad = true;
	}
}

static void
needs_of(struct scan *s, struct list_reader *r)
{
	struct entry *en = &r->entry;

	if (s->p < s->end && *s->p == '-') {
		s->p++;
		return;
	}
	do {
		struct entry_need n = {.pack = number32(s)};
		eat(s, ':');
		n.grains = number32(s);
		en->need = mem_grow(en->need, &r->need_room, en->needs + 1, sizeof(n));
		en->need[en->needs++] = n;
	} while (!s->bad && s->p < s->end && *s->p == ',' && s->p++);
}

/* What the place says must be what size and grain size ask for. */
static void
check_place(struct scan *s, const struct entry *en)
{
	uint64_t gib = en->size >> LIST_MAP_SPAN_LOG2;
	bool has_id = memcmp(en->id, zero_id, GRAIN_ID_LEN) != 0;

	if (en->grain_log2 < 9 || en->grain_log2 > 20) {
		s->bad = true;
		return;
	}
	if (en->size & ((UINT64_C(1) << LIST_MAP_SPAN_LOG2) - 1))
		gib++;
	if (en->single && (en->size > UINT64_C(1) << en->grain_log2 || en->size == 0 || !has_id))
		s->bad = true;
	if (en->maps > 0 && (en->maps != gib || en->size <= UINT64_C(1) << en->grain_log2))
		s->bad = true;
	if (!en->single && en->maps == 0 && has_id)
		s->bad = true;
}

static void
file_of(struct scan *s, struct list_reader *r)
{
	struct entry *en = &r->entry;

	en->size = number(s, INT64_MAX);
	eat(s, ' ');
	en->grain_log2 = (uint8_t)number(s, 63);
	eat(s, ' ');
	id_of(s, en->id);
	eat(s, ' ');
	place_of(s, r);
	eat(s, ' ');
	needs_of(s, r);
	eat(s, ' ');
	if (!s->bad)
		check_place(s, en);
}

static void
common_of(struct scan *s, struct entry *en)
{
	eat(s, ' ');
	en->mode = octal(s);
	eat(s, ' ');
	en->uid = number32(s);
	eat(s, ' ');
	en->gid = number32(s);
	eat(s, ' ');
	time_of(s, &en->mtime_s, &en->mtime_ns);
	eat(s, ' ');
	time_of(s, &en->ctime_s, &en->ctime_ns);
	eat(s, ' ');
	en->dev = number(s, UINT64_MAX);
	eat(s, ':');
	en->ino = number(s, UINT64_MAX);
	eat(s, ' ');
	en->note = (unsigned)number(s, ENTRY_NOTES);
	eat(s, ' ');
}

static void
entry_of(struct scan *s, struct list_reader *r)
{
	struct entry *en = &r->entry;

	en->type = (enum entry_type)*s->p++;
	common_of(s, en);
	switch (en->type) {
	case ENTRY_FILE:
		file_of(s, r);
		break;
	case ENTRY_SYMLINK:
	case ENTRY_HARDLINK:
		en->target = word_of(s, &r->scratch, &en->targetlen);
		eat(s, ' ');
		break;
	case ENTRY_BLOCK:
	case ENTRY_CHAR:
		en->rdev_major = number32(s);
		eat(s, ':');
		en->rdev_minor = number32(s);
		eat(s, ' ');
		break;
	case ENTRY_DIR:
	case ENTRY_FIFO:
	case ENTRY_SOCKET:
		break;
	default:
		s->bad = true;
	}
	if (s->bad || ((en->note & ENTRY_ELSEWHERE) != 0 && en->type != ENTRY_DIR)) {
		s->bad = true;
		return;
	}
	en->path = word_of(s, &r->scratch, &en->pathlen);
	if (s->p != s->end || en->pathlen == 0)
		s->bad = true;
}

static void
xattr_of(struct scan *s, struct list_reader *r)
{
	struct entry *en = &r->entry;
	struct entry_xattr x;
	size_t start, len;

	s->p += 2;
	x.name = word_of(s, &r->scratch, &len);
	eat(s, ' ');
	if (s->bad || len == 0 || strlen(x.name) != len) {
		s->bad = true;
		return;
	}
	start = r->scratch.len;
	if (text_unbase64(s->p, (size_t)(s->end - s->p), &r->scratch) == -1)
		s->bad = true;
	x.value = r->scratch.data + start;
	x.len = r->scratch.len - start;
	en->xattr = mem_grow(en->xattr, &r->xattr_room, en->xattrs + 1, sizeof(x));
	en->xattr[en->xattrs++] = x;
}

void
list_reader_init(struct list_reader *r)
{
	*r = (struct list_reader){0};
	buf_init(&r->scratch, SIZE_MAX / 2);
}

void
list_reader_done(struct list_reader *r)
{
	buf_done(&r->scratch);
	free(r->entry.map);
	free(r->entry.need);
	free(r->entry.xattr);
	list_reader_init(r);
}

void
list_reader_set(struct list_reader *r, const void *text, size_t n)
{
	r->at = text;
	r->end = r->at + n;
	r->line = 0;
}

/* The entry's strings go to scratch, so it must not move once the first is there. */
static void
start_entry(struct list_reader *r, size_t bytes)
{
	struct entry *en = &r->entry, clean = {
	    .map = en->map, .need = en->need, .xattr = en->xattr};

	*en = clean;
	buf_reset(&r->scratch);
	buf_reserve(&r->scratch, bytes + 1);
}

static const char *
line_end(const char *p, const char *end)
{
	return p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
}

static bool
is_xattr_line(const char *p, const char *end)
{
	return end - p >= 2 && p[0] == 'x' && p[1] == ' ';
}

int
list_next(struct list_reader *r, const struct entry **ret, struct err *e)
{
	const char *stop, *last;
	struct scan s;

	if (r->at == r->end)
		return 0;
	r->line++;
	stop = line_end(r->at, r->end);
	last = stop;
	while (last && is_xattr_line(last + 1, r->end))
		last = line_end(last + 1, r->end);
	if (!last || stop == r->at)
		return err_set(e, ERR_CORRUPT, "file list: line %zu is cut off or empty", r->line);
	/* Every word gets a NUL, so twice the text is room enough for any line. */
	start_entry(r, (size_t)(last - r->at) * 2);
	s = (struct scan){.p = r->at, .end = stop};
	entry_of(&s, r);
	while (!s.bad && stop != last) {
		const char *next = stop + 1;
		stop = line_end(next, r->end);
		r->line++;
		s = (struct scan){.p = next, .end = stop};
		xattr_of(&s, r);
	}
	if (s.bad)
		return err_set(e, ERR_CORRUPT, "file list: line %zu is not an entry", r->line);
	r->at = last + 1;
	*ret = &r->entry;
	return 1;
}
