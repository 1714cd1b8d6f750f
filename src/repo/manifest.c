/*
 * The manifest's text, both ways. A snapshot is what its manifest says, so the parser takes nothing
 * on trust: every line must be the one expected, counts must fit, the pack table must be in order,
 * and every reference of a chunk must be to a pack of the table.
 *
 * The text is plain so that it can be read with a decoder and grep long after this program is gone.
 */
#include "repo/manifest.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"
#include "repo/object.h"
#include "store/store.h"

/*
 * Sealed at most 32 MiB; text compresses to a fifth or better, so this bound is never the nearer
 * one.
 */
#define TEXT_MAX (256u << 20)

void
manifest_init(struct manifest *m)
{
	*m = (struct manifest){0};
	buf_init(&m->detail, 1u << 20);
	buf_init(&m->inline_list, 4u << 20);
}

void
manifest_done(struct manifest *m)
{
	free(m->host);
	free(m->job);
	free(m->slot);
	free(m->root);
	free(m->pack);
	for (size_t i = 0; i < m->chunks; i++)
		free(m->chunk[i].first);
	free(m->chunk);
	buf_done(&m->detail);
	buf_done(&m->inline_list);
	manifest_init(m);
}

const struct manifest_pack *
manifest_pack(const struct manifest *m, uint32_t number)
{
	size_t lo = 0, hi = m->packs;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (m->pack[mid].number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < m->packs && m->pack[lo].number == number ? &m->pack[lo] : NULL;
}

int
manifest_detail(const struct manifest *m, size_t *at, const char *key, struct buf *value)
{
	static const char word[] = "detail ";
	const char *text = buf_str(&m->detail), *line, *end, *at_value;
	size_t keylen = strlen(key);

	while (*at < m->detail.len) {
		line = text + *at;
		end = strchr(line, '\n');
		if (!end)
			return 0;
		*at = (size_t)(end + 1 - text);
		at_value = line + strlen(word) + keylen;
		if (at_value >= end || *at_value != ' ' ||
		    strncmp(line + strlen(word), key, keylen) != 0)
			continue;
		buf_reset(value);
		if (text_unescape(at_value + 1, (size_t)(end - at_value - 1), value) == 0)
			return 1;
	}
	return 0;
}

/* ---- encoding ---- */

static void
add_word(struct buf *out, const char *key, const char *value)
{
	if (!value)
		return;
	buf_addf(out, "%s ", key);
	text_escape(value, strlen(value), out);
	buf_addc(out, '\n');
}

static void
add_time(struct buf *out, const char *key, int64_t ns)
{
	char t[UNITS_TEXT];

	buf_addf(out, "%s %s\n", key, units_time(ns, t));
}

static void
add_head(const struct manifest *m, struct buf *out)
{
	char hex[TEXT_HEX(LAYOUT_SHA)];

	buf_addf(out, "ffdr-manifest 1\nsource %s\nsequence %" PRIu64 "\n", m->source, m->sequence);
	if (m->parent[0])
		buf_addf(out, "parent %s %s\n", m->parent,
		    text_hex(m->parent_sha, LAYOUT_SHA, hex));
	else
		buf_adds(out, "parent -\n");
	add_time(out, "started", m->started_ns);
	add_time(out, "finished", m->finished_ns);
	add_time(out, "compared", m->compared_ns);
	if (m->partial)
		buf_adds(out, "partial yes\n");
	add_word(out, "host", m->host);
	add_word(out, "job", m->job);
	add_word(out, "slot", m->slot);
	add_word(out, "root", m->root ? m->root : "");
	buf_addf(out, "next-pack %" PRIu32 "\n", m->next_pack);
	buf_addf(out,
	    "entries %" PRIu64 "\nfiles %" PRIu64 "\nbytes %" PRIu64 "\nread %" PRIu64
	    "\nnew %" PRIu64 "\nchanged %" PRIu64 "\n",
	    m->entries, m->files, m->bytes, m->read_bytes, m->stored_new, m->changed_files);
	buf_add(out, m->detail.data, m->detail.len);
}

static void
add_tables(const struct manifest *m, struct buf *out)
{
	char hex[TEXT_HEX(LAYOUT_SHA)], epoch[TEXT_HEX(LAYOUT_EPOCH)], id[TEXT_HEX(GRAIN_ID_LEN)];

	buf_addf(out, "packs %zu\n", m->packs);
	for (size_t i = 0; i < m->packs; i++) {
		const struct manifest_pack *p = &m->pack[i];
		buf_addf(out, "P %" PRIu32 " %s %" PRIu32 " %s %" PRId64 " %" PRIu32 " %" PRIu32 "\n",
		    p->number, text_hex(p->sha, LAYOUT_SHA, hex), p->size,
		    text_hex(p->epoch, LAYOUT_EPOCH, epoch), p->time_ns / 1000000000, p->grains,
		    p->wanted);
	}
	buf_addf(out, "chunks %zu\n", m->chunks);
	for (size_t i = 0; i < m->chunks; i++) {
		const struct manifest_chunk *c = &m->chunk[i];
		buf_addf(out, "C %" PRIu32 ".%u.%u %s %" PRIu32 " %s\n", c->ref.pack, c->ref.frame,
		    c->ref.grain, text_hex(c->id, GRAIN_ID_LEN, id), c->len, c->first);
	}
}

void
manifest_encode(const struct manifest *m, struct buf *out)
{
	add_head(m, out);
	add_tables(m, out);
	buf_addf(out, "list %zu\n", m->inline_list.len);
	buf_add(out, m->inline_list.data, m->inline_list.len);
	buf_addf(out, "end %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", m->entries, m->files, m->bytes);
}

/* ---- decoding ---- */

struct lines {
	const char *at, *end;
	size_t number;
	char *word; /* the current line, NUL at its end */
	size_t room;
};

static int
bad(const struct lines *l, struct err *e, const char *expected)
{
	return err_set(e, ERR_CORRUPT, "manifest: line %zu is not %s", l->number, expected);
}

/* Takes the next line into l->word; -1 at the end or when a NUL is in it. */
static int
next_line(struct lines *l, struct err *e)
{
	const char *stop = memchr(l->at, '\n', (size_t)(l->end - l->at));
	size_t n;

	l->number++;
	if (!stop)
		return bad(l, e, "complete: the text ends");
	n = (size_t)(stop - l->at);
	l->word = mem_grow(l->word, &l->room, n + 1, 1);
	memcpy(l->word, l->at, n);
	l->word[n] = '\0';
	if (strlen(l->word) != n)
		return bad(l, e, "text");
	l->at = stop + 1;
	return 0;
}

/* The value when the line in hand is `key value`. */
static const char *
value_of(const struct lines *l, const char *key)
{
	size_t n = strlen(key);

	return strncmp(l->word, key, n) == 0 && l->word[n] == ' ' ? l->word + n + 1 : NULL;
}

/* Takes the next line, which must be `key value`. */
static int
want(struct lines *l, const char *key, const char **value, struct err *e)
{
	if (next_line(l, e) == -1)
		return -1;
	*value = value_of(l, key);
	if (!*value)
		return err_set(e, ERR_CORRUPT, "manifest: line %zu is not '%s ...'", l->number, key);
	return 0;
}

static int
parse_u64(const char **p, char stop, uint64_t max, uint64_t *ret)
{
	const char *s = *p;
	uint64_t v = 0;

	if (*s < '0' || *s > '9')
		return -1;
	for (; *s >= '0' && *s <= '9'; s++) {
		unsigned d = (unsigned)(*s - '0');
		if (d > max || v > (max - d) / 10)
			return -1;
		v = v * 10 + d;
	}
	if (*s != stop)
		return -1;
	*p = stop ? s + 1 : s;
	*ret = v;
	return 0;
}

static int
want_u64(struct lines *l, const char *key, uint64_t max, uint64_t *ret, struct err *e)
{
	const char *v;

	if (want(l, key, &v, e) == -1)
		return -1;
	return parse_u64(&v, '\0', max, ret) == -1 ? bad(l, e, "a number") : 0;
}

static int
want_time(struct lines *l, const char *key, int64_t *ret, struct err *e)
{
	char again[UNITS_TEXT];
	const char *v;

	if (want(l, key, &v, e) == -1)
		return -1;
	if (units_parse_time(v, ret, NULL) == -1 || strcmp(units_time(*ret, again), v) != 0)
		return bad(l, e, "a time");
	return 0;
}

static int
word_value(const struct lines *l, const char *value, char **ret, struct err *e)
{
	struct buf b;

	buf_init(&b, 1u << 20);
	if (text_unescape(value, strlen(value), &b) == -1 || strlen(buf_str(&b)) != b.len) {
		buf_done(&b);
		return bad(l, e, "an escaped word");
	}
	free(*ret);
	*ret = xstrdup(buf_str(&b));
	buf_done(&b);
	return 0;
}

static int
take_parent(struct lines *l, struct manifest *m, struct err *e)
{
	struct layout_snap part;
	const char *v, *blank;

	if (want(l, "parent", &v, e) == -1)
		return -1;
	if (strcmp(v, "-") == 0)
		return 0;
	blank = strchr(v, ' ');
	if (!blank || (size_t)(blank - v) >= sizeof(m->parent) ||
	    strlen(blank + 1) != 2 * LAYOUT_SHA ||
	    text_unhex(blank + 1, m->parent_sha, LAYOUT_SHA) == -1)
		return bad(l, e, "a parent's name and hash");
	memcpy(m->parent, v, (size_t)(blank - v));
	m->parent[blank - v] = '\0';
	if (layout_snap_parse(m->parent, &part) == -1)
		return bad(l, e, "a parent's name");
	return 0;
}

/* The lines that may be missing, up to `root`, which ends them. */
static int
take_optional(struct lines *l, struct manifest *m, struct err *e)
{
	static const char *const key[] = {"host", "job", "slot", "root"};
	char **const into[] = {&m->host, &m->job, &m->slot, &m->root};
	size_t at = 0;

	for (;;) {
		const char *v = NULL;

		if (next_line(l, e) == -1)
			return -1;
		if (at == 0 && !m->partial && strcmp(l->word, "partial yes") == 0) {
			m->partial = true;
			continue;
		}
		while (at < ARRAY_LEN(key) && !(v = value_of(l, key[at])))
			at++;
		if (!v)
			return bad(l, e, "'root ...'");
		if (word_value(l, v, into[at], e) == -1)
			return -1;
		if (into[at++] == &m->root)
			return 0;
	}
}

static int
take_head(struct lines *l, struct manifest *m, struct err *e)
{
	struct {
		const char *key;
		uint64_t *into;
	} count[] = {{"entries", &m->entries}, {"files", &m->files}, {"bytes", &m->bytes},
	    {"read", &m->read_bytes}, {"new", &m->stored_new}, {"changed", &m->changed_files}};
	const char *v;
	uint64_t n;

	if (want(l, "ffdr-manifest", &v, e) == -1)
		return -1;
	if (strcmp(v, "1") != 0)
		return err_set(e, ERR_UNSUPPORTED,
		    "manifest: format '%s' is not known to this program, which reads format 1", v);
	if (want(l, "source", &v, e) == -1)
		return -1;
	if (strlen(v) >= sizeof(m->source) || !layout_source_valid(v))
		return bad(l, e, "a source's name");
	memcpy(m->source, v, strlen(v) + 1);
	if (want_u64(l, "sequence", UINT64_MAX, &m->sequence, e) == -1 ||
	    take_parent(l, m, e) == -1 || want_time(l, "started", &m->started_ns, e) == -1 ||
	    want_time(l, "finished", &m->finished_ns, e) == -1 ||
	    want_time(l, "compared", &m->compared_ns, e) == -1 || take_optional(l, m, e) == -1 ||
	    want_u64(l, "next-pack", UINT32_MAX, &n, e) == -1)
		return -1;
	m->next_pack = (uint32_t)n;
	for (size_t i = 0; i < ARRAY_LEN(count); i++)
		if (want_u64(l, count[i].key, UINT64_MAX, count[i].into, e) == -1)
			return -1;
	return 0;
}

static int
parse_pack(const char *s, struct manifest_pack *p)
{
	uint64_t number, size, time, grains, wanted;

	if (parse_u64(&s, ' ', UINT32_MAX - 1, &number) == -1 || strlen(s) < 2 * LAYOUT_SHA + 1 ||
	    text_unhex(s, p->sha, LAYOUT_SHA) == -1 || s[2 * LAYOUT_SHA] != ' ')
		return -1;
	s += 2 * LAYOUT_SHA + 1;
	if (parse_u64(&s, ' ', STORE_OBJECT_MAX, &size) == -1 || strlen(s) < 2 * LAYOUT_EPOCH + 1 ||
	    text_unhex(s, p->epoch, LAYOUT_EPOCH) == -1 || s[2 * LAYOUT_EPOCH] != ' ')
		return -1;
	s += 2 * LAYOUT_EPOCH + 1;
	if (parse_u64(&s, ' ', INT64_MAX / 1000000000, &time) == -1 ||
	    parse_u64(&s, ' ', UINT32_MAX, &grains) == -1 ||
	    parse_u64(&s, '\0', UINT32_MAX, &wanted) == -1)
		return -1;
	p->number = (uint32_t)number;
	p->size = (uint32_t)size;
	p->time_ns = (int64_t)time * 1000000000;
	p->grains = (uint32_t)grains;
	p->wanted = (uint32_t)wanted;
	return 0;
}

/* Any number of `detail` lines, then the pack table. */
static int
take_packs(struct lines *l, struct manifest *m, struct err *e)
{
	const char *v;
	uint64_t n;

	if (next_line(l, e) == -1)
		return -1;
	while (value_of(l, "detail")) {
		buf_addf(&m->detail, "%s\n", l->word);
		if (buf_check(&m->detail, "manifest: details", e) == -1 || next_line(l, e) == -1)
			return -1;
	}
	v = value_of(l, "packs");
	if (!v || parse_u64(&v, '\0', UINT32_MAX, &n) == -1)
		return bad(l, e, "'packs NUMBER'");
	for (uint64_t i = 0; i < n; i++) {
		struct manifest_pack p;

		if (want(l, "P", &v, e) == -1)
			return -1;
		if (parse_pack(v, &p) == -1 || p.number >= m->next_pack ||
		    (m->packs > 0 && m->pack[m->packs - 1].number >= p.number))
			return bad(l, e, "the next pack of the table");
		m->pack = mem_grow(m->pack, &m->pack_room, m->packs + 1, sizeof(p));
		m->pack[m->packs++] = p;
	}
	return 0;
}

static int
parse_chunk(const char *s, struct manifest_chunk *c)
{
	uint64_t pack, frame, grain, len;

	if (parse_u64(&s, '.', UINT32_MAX - 1, &pack) == -1 ||
	    parse_u64(&s, '.', UINT16_MAX, &frame) == -1 ||
	    parse_u64(&s, ' ', UINT16_MAX, &grain) == -1 || strlen(s) < 2 * GRAIN_ID_LEN + 1 ||
	    text_unhex(s, c->id, GRAIN_ID_LEN) == -1 || s[2 * GRAIN_ID_LEN] != ' ')
		return -1;
	s += 2 * GRAIN_ID_LEN + 1;
	if (parse_u64(&s, ' ', UINT32_MAX, &len) == -1 || *s == '\0')
		return -1;
	c->ref = (struct entry_ref){(uint32_t)pack, (uint16_t)frame, (uint16_t)grain};
	c->len = (uint32_t)len;
	c->first = xstrdup(s);
	return 0;
}

static int
take_chunks(struct lines *l, struct manifest *m, struct err *e)
{
	const char *v;
	uint64_t n;

	if (want_u64(l, "chunks", UINT32_MAX, &n, e) == -1)
		return -1;
	for (uint64_t i = 0; i < n; i++) {
		struct manifest_chunk c;

		if (want(l, "C", &v, e) == -1)
			return -1;
		if (parse_chunk(v, &c) == -1)
			return bad(l, e, "a chunk of the list");
		m->chunk = mem_grow(m->chunk, &m->chunk_room, m->chunks + 1, sizeof(c));
		m->chunk[m->chunks++] = c;
		if (!manifest_pack(m, c.ref.pack))
			return bad(l, e, "a chunk in a pack of the table");
	}
	return 0;
}

static int
take_list(struct lines *l, struct manifest *m, struct err *e)
{
	const char *v;
	uint64_t n, entries, files, bytes;

	if (want_u64(l, "list", m->inline_list.limit, &n, e) == -1)
		return -1;
	if (n > (uint64_t)(l->end - l->at) || (n > 0 && m->chunks > 0))
		return bad(l, e, "the length of the list that follows");
	buf_add(&m->inline_list, l->at, n);
	l->at += n;
	if (want(l, "end", &v, e) == -1)
		return -1;
	if (parse_u64(&v, ' ', UINT64_MAX, &entries) == -1 ||
	    parse_u64(&v, ' ', UINT64_MAX, &files) == -1 ||
	    parse_u64(&v, '\0', UINT64_MAX, &bytes) == -1 || entries != m->entries ||
	    files != m->files || bytes != m->bytes || l->at != l->end)
		return bad(l, e, "the end with the counts of the head");
	return 0;
}

int
manifest_parse(const char *text, size_t n, struct manifest *ret, struct err *e)
{
	struct lines l = {.at = text, .end = text + n};
	int rc = -1;

	manifest_init(ret);
	if (take_head(&l, ret, e) == 0 && take_packs(&l, ret, e) == 0 &&
	    take_chunks(&l, ret, e) == 0 && take_list(&l, ret, e) == 0)
		rc = 0;
	free(l.word);
	if (rc == -1)
		manifest_done(ret);
	return rc;
}

/* ---- sealed ---- */

int
manifest_seal(struct manifest *m, const struct keyring *k, struct buf *out, struct err *e)
{
	struct object_builder b;
	uint8_t whole[LAYOUT_SHA];
	struct buf text;
	int rc = -1;

	buf_init(&text, TEXT_MAX);
	object_build(&b, OBJECT_MANIFEST, STORE_OBJECT_MAX);
	manifest_encode(m, &text);
	if (buf_check(&text, "manifest", e) == -1)
		goto out;
	object_add_name(&b, k, m->name);
	object_add_text(&b, k, text.data, text.len);
	if (object_seal(&b, k, m->name, whole, e) == -1)
		goto out;
	memcpy(m->sha, b.bytes.data + b.bytes.len - object_trailer(OBJECT_MANIFEST), LAYOUT_SHA);
	buf_add(out, b.bytes.data, b.bytes.len);
	rc = buf_check(out, "manifest", e);
out:
	object_build_done(&b);
	buf_done(&text);
	return rc;
}

int
manifest_open(const struct buf *bytes, const char *name, const struct keyring *k,
    struct manifest *ret, struct err *e)
{
	char snap[LAYOUT_NAME];
	struct layout_snap part;
	struct buf text;
	int rc = -1;

	manifest_init(ret);
	buf_init(&text, TEXT_MAX);
	if (layout_pend_snap(name, snap) == -1) {
		if (strlen(name) >= sizeof(snap)) {
			err_set(e, ERR_BUG, "'%s' is no manifest's name", name);
			goto out;
		}
		memcpy(snap, name, strlen(name) + 1);
	}
	if (object_read_signed(bytes, OBJECT_MANIFEST, name, k, FRAME_TEXT, &text, e) == -1)
		goto out;
	if (manifest_parse(buf_str(&text), text.len, ret, e) == -1) {
		err_in(e, "'%s'", name);
		goto out;
	}
	if (layout_snap_parse(snap, &part) == -1 || strcmp(part.source, ret->source) != 0) {
		manifest_done(ret);
		err_set(e, ERR_CORRUPT, "'%s': it speaks of another source than its name", name);
		goto out;
	}
	memcpy(ret->name, snap, strlen(snap) + 1);
	memcpy(ret->sha, bytes->data + bytes->len - object_trailer(OBJECT_MANIFEST), LAYOUT_SHA);
	rc = 0;
out:
	buf_done(&text);
	return rc;
}

int
manifest_get(struct store *s, const char *name, const struct keyring *k, struct manifest *ret,
    struct err *e)
{
	struct buf bytes;
	int rc = -1;

	manifest_init(ret);
	buf_init(&bytes, STORE_OBJECT_MAX);
	if (store_get(s, name, &bytes, e) == 0)
		rc = manifest_open(&bytes, name, k, ret, e);
	buf_done(&bytes);
	return rc;
}
