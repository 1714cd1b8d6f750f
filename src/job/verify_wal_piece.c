/*
 * A piece is proved as a pack is: it hashes to its own trailer, and from level 2 on it opens and is of
 * the bytes its name says. Under a time budget each run goes on where the one before it ended, by a
 * cursor in the state directory; without that it would prove the same pieces for ever.
 */
#include "job/verify_wal_parts.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "job/mend.h"
#include "repo/bundle.h"
#include "repo/object.h"
#include "repo/piece.h"
#include "store/sum.h"

#define CURSOR_DIR "verify"

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct verify_wal_name *)a)->text, ((const struct verify_wal_name *)b)->text);
}

void
verify_wal_sort(struct verify_wal *p)
{
	size_t kept = 0;

	if (p->names > 1)
		qsort(p->name, p->names, sizeof(*p->name), by_name);
	for (size_t i = 0; i < p->names; i++)
		if (kept == 0 || by_name(&p->name[kept - 1], &p->name[i]) != 0)
			p->name[kept++] = p->name[i];
	p->names = kept;
}

/*
 * What has to be thawed is not, for a look. That the store has it is all that can be asked: a hash of it
 * that the store keeps is one of what was put, and there is nothing to compare that with.
 */
static int
prove_frozen(struct verify_wal *p, struct verify_wal_name *n, struct err *why)
{
	struct store_cold is;
	int rc;

	err_clear(why);
	rc = store_cold(p->t->store, n->text, &is, why);
	if (rc != 1)
		return rc == -1 ? -1 : err_set(why, ERR_NOTFOUND, "'%s' is not there", n->text);
	p->report->pieces_frozen++;
	n->seen = VERIFY_WAL_FROZEN;
	return 0;
}

/* 0 good, -1 and why. */
static int
prove(struct verify_wal *p, struct verify_wal_name *n, struct err *why)
{
	const char *name = n->text;
	const struct keyring *k = p->s->repo->keys;
	const bool opened = p->o->level == SCRUB_OPENED;
	struct layout_wal at;
	struct buf bytes;
	struct piece piece;
	int rc;

	buf_init(&bytes, STORE_OBJECT_MAX);
	rc = store_get(p->t->store, name, &bytes, why);
	p->report->bytes += bytes.len;
	if (rc == 0 && layout_wal_parse(name, &at) == 0 && at.kind == LAYOUT_WAL_BUNDLE)
		rc = opened ? bundle_check(k, name, &bytes, why) : bundle_check_plain(&bytes, why);
	else if (rc == 0)
		rc = opened ? piece_open(k, name, &bytes, &piece, NULL, why) :
			      object_check_plain(bytes.data, bytes.len, why);
	if (rc == -1 && why->kind == ERR_FROZEN)
		rc = prove_frozen(p, n, why);
	if (rc == -1 && why->kind == ERR_CORRUPT && p->o->level != SCRUB_OPENED)
		err_in(why, "'%s'", name);
	buf_done(&bytes);
	return rc;
}

int
verify_wal_prove(struct verify_wal *p, struct verify_wal_name *n, struct err *e)
{
	const char *name = n->text;
	struct layout_wal at;
	struct err why = { 0 }, repair = { 0 };
	int rc;

	n->seen = VERIFY_WAL_GOOD;
	rc = prove(p, n, &why);
	p->report->pieces++;
	/* Expired since it was listed: what is missing is seen by the listing. */
	if (rc == -1 && why.kind == ERR_NOTFOUND)
		n->seen = VERIFY_WAL_GONE;
	if (rc == 0 || why.kind == ERR_NOTFOUND)
		return 0;
	if (why.kind == ERR_REMOTE || why.kind == ERR_CANCELLED) {
		*e = why;
		return -1;
	}
	if (p->o->repair && layout_wal_parse(name, &at) == 0) {
		rc = mend_object(p->s, p->t, name, &repair);
		if (rc == -1 && verify_wal_open(p, &at.place, &repair) == 0) {
			err_clear(&repair);
			rc = verify_wal_mend(p, at.tli, at.start, at.end, name, &repair);
		}
	}
	n->seen = rc == 0 ? VERIFY_WAL_GOOD : VERIFY_WAL_BAD;
	p->id = "";
	verify_wal_find(p, name, &why, rc, &repair);
	return 0;
}

static char *
cursor_path(const struct verify_wal *p)
{
	return xasprintf("%s/" CURSOR_DIR "/%s.%s", p->s->conf->state, p->t->name, p->source);
}

/* The first name behind the one that was looked at last time. */
static size_t
begin_at(const struct verify_wal *p)
{
	char *path = cursor_path(p);
	struct buf text;
	size_t i = 0;

	buf_init(&text, LAYOUT_NAME);
	if (p->s->state.kind == ERR_NONE && file_get(AT_FDCWD, path, &text, NULL) == 0)
		while (i < p->names && strcmp(p->name[i].text, buf_str(&text)) <= 0)
			i++;
	buf_done(&text);
	free(path);
	return i < p->names ? i : 0;
}

/* A memory that is lost costs nothing but its order. */
static void
end_at(const struct verify_wal *p, const char *name)
{
	char *path = cursor_path(p), *dir = xasprintf("%s/" CURSOR_DIR, p->s->conf->state);

	if (p->s->state.kind == ERR_NONE && file_make_dirs(AT_FDCWD, dir, 0750, NULL) == 0)
		file_put(AT_FDCWD, path, name, strlen(name), 0640, FILE_REPLACE, NULL);
	free(dir);
	free(path);
}

int
verify_wal_pieces(struct verify_wal *p, int64_t end_ns, struct err *e)
{
	size_t first, i = 0;
	int rc = 0;

	verify_wal_sort(p);
	first = begin_at(p);
	for (; rc == 0 && i < p->names; i++) {
		if (i > 0 && end_ns != 0 && clock_boot_ns() >= end_ns)
			break;
		if (verify_report_stopped(p->w, p->t->name, e) == -1)
			return -1;
		rc = verify_wal_prove(p, &p->name[(first + i) % p->names], e);
	}
	if (i > 0 && rc == 0)
		end_at(p, p->name[(first + i - 1) % p->names].text);
	p->report->pieces_left += p->names - i;
	return rc;
}

struct verify_wal_name *
verify_wal_at(struct verify_wal *p, const char *name)
{
	struct verify_wal_name key;

	snprintf(key.text, sizeof(key.text), "%s", name);
	return p->names == 0 ? NULL : bsearch(&key, p->name, p->names, sizeof(*p->name), by_name);
}
