/*
 * A tier from which the newest snapshots were taken away is consistent in itself: everything that
 * is there is signed and whole. Only somebody who has seen more can tell, and that is the host.
 *
 * Newest is meant as everywhere: by the order of names, which the writer keeps rising on a tier.
 * The sequence number is remembered for people. It would not do as the rule: while a tier is away
 * its sources go on elsewhere from an older parent, and come back with a lower number and a later
 * name. An ordinary expiry never takes the newest, so what was the newest is only ever outlived.
 *
 * The next backup would be the newest, and so would hide what is missing. So that is kept on a line
 * of its own until a person has looked. A name alone outlives nothing: whoever can delete can also
 * put something under a newer name. So a newer one is opened before it counts, and only then.
 */
#include "repo/newest.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "repo/lines.h"
#include "repo/snapshot.h"

#define FIRST_LINE "ffdr-newest"
#define MEMORY_MAX 1024
#define NEWER_READ 16 /* newer ones that are opened: who put so many that are none did not mean well */

struct seen {
	char id[96]; /* "": none */
	uint64_t sequence;
};
struct memory {
	struct seen newest;
	struct seen missed; /* was the newest, and was gone when the next one came */
};

static char *
path_of(const char *dir, const char *tier, const char *source)
{
	return xasprintf("%s/%s/%s", dir, tier, source);
}

static int
source_of(const char *id, char out[64], struct err *e)
{
	const char *slash = strchr(id, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - id);

	if (n == 0 || n >= 64)
		return err_set(e, ERR_BUG, "'%s' is no name of a snapshot", id);
	memcpy(out, id, n);
	out[n] = '\0';
	return 0;
}

/* ---- the file ---- */

static int
take_seen(struct lines *l, const char *id_key, const char *number_key, struct seen *ret,
    struct err *e)
{
	struct buf id;
	int rc = -1;

	buf_init(&id, sizeof(ret->id) - 1);
	if (lines_take(l, id_key, &id, e) == 0 &&
	    lines_take_number(l, number_key, UINT64_MAX, &ret->sequence, e) == 0) {
		snprintf(ret->id, sizeof(ret->id), "%s", buf_str(&id));
		rc = 0;
	}
	buf_done(&id);
	return rc;
}

static int
take_memory(void *arg, struct lines *l, struct err *e)
{
	struct memory *m = arg;

	if (take_seen(l, "snapshot", "number", &m->newest, e) == -1)
		return -1;
	return lines_next_is(l, "missed") ? take_seen(l, "missed", "missed-number", &m->missed, e) : 0;
}

/* 1/0/-1 */
static int
read_memory(const char *path, struct memory *ret, struct err *e)
{
	memset(ret, 0, sizeof(*ret));
	return lines_memory_read(path, MEMORY_MAX, FIRST_LINE, "which snapshot was the newest there",
	    take_memory, ret, e);
}

static int
write_memory(const char *path, const struct memory *m, struct err *e)
{
	struct buf text;
	int rc;

	buf_init(&text, MEMORY_MAX);
	buf_addf(&text, "snapshot %s\nnumber %" PRIu64 "\n", m->newest.id, m->newest.sequence);
	if (m->missed.id[0] != '\0')
		buf_addf(&text, "missed %s\nmissed-number %" PRIu64 "\n", m->missed.id,
		    m->missed.sequence);
	rc = lines_memory_write(path, FIRST_LINE, &text, e);
	buf_done(&text);
	return rc;
}

/* ---- against the tier ---- */

static bool
listed(const struct snapshot_list *l, const char *id)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->item[i].part.id, id) == 0)
			return true;
	return false;
}

/* The newest that is there, and not newer than `than` (NULL: any is); "" when there is none. */
static const char *
newest_listed(const struct snapshot_list *l, const char *than)
{
	for (size_t i = l->count; i > 0; i--)
		if (than == NULL || strcmp(l->item[i - 1].part.id, than) <= 0)
			return l->item[i - 1].part.id;
	return "";
}

/* What has a newer name and is no snapshot: the newest of them. */
struct junk {
	const struct snapshot *item; /* of the list; NULL: there is none */
	struct err why;
};

/*
 * Was the remembered newest taken away? `new` (NULL: none) is what has just come and does not count.
 * 1; 0 it is there, or a sound one outlived it; -1 nobody can tell.
 */
static int
taken(const struct memory *m, const struct tier *t, const struct snapshot_list *l, const char *new,
    const struct newest_judge *judge, struct junk *junk, struct err *e)
{
	unsigned opened = 0;

	*junk = (struct junk){ 0 };
	if (m->newest.id[0] == '\0' || listed(l, m->newest.id))
		return 0;
	for (size_t i = l->count; i > 0 && opened < NEWER_READ; i--) {
		const struct snapshot *s = &l->item[i - 1];
		struct err why = { 0 };
		int rc;

		if (strcmp(s->part.id, m->newest.id) < 0)
			break;
		if (new != NULL && strcmp(s->part.id, new) == 0)
			continue;
		opened++;
		rc = judge->sound(judge->arg, t, s->name, &why);
		if (rc == 1)
			return 0;
		if (rc == -1) {
			err_set(e, ERR_NOTFOUND, "%s was the newest on '%s' and is gone; whether '%s' "
			    "outlived it cannot be told", m->newest.id, t->name, s->name);
			return err_line(e, "why", "%.*s", err_first_line(&why), why.text);
		}
		if (junk->item == NULL)
			*junk = (struct junk){ s, why };
	}
	return 1;
}

int
newest_remember(const char *dir, const struct tier *t, const char *id, uint64_t sequence,
    const struct newest_judge *judge, struct err *e)
{
	struct snapshot_list list = { 0 };
	char source[64], *path = NULL;
	struct memory m;
	struct junk junk;
	int rc = -1, gone;

	if (source_of(id, source, e) == -1)
		goto out;
	path = path_of(dir, t->name, source);
	/* One that cannot be read is made anew. */
	if (read_memory(path, &m, NULL) == -1)
		memset(&m, 0, sizeof(m));
	if (strcmp(id, m.newest.id) <= 0 && strcmp(id, m.missed.id) != 0) {
		rc = 0;
		goto out;
	}
	if (snapshot_list_known(t->store, source, &list, e) == -1 ||
	    (gone = taken(&m, t, &list, id, judge, &junk, e)) == -1)
		goto out;
	if (gone)
		m.missed = m.newest;
	else if (listed(&list, m.missed.id))
		m.missed.id[0] = '\0';
	if (strcmp(id, m.newest.id) > 0) {
		snprintf(m.newest.id, sizeof(m.newest.id), "%s", id);
		m.newest.sequence = sequence;
	}
	rc = write_memory(path, &m, e);
out:
	if (rc == -1)
		err_in(e, "remember %s", id);
	snapshot_list_done(&list);
	free(path);
	return rc;
}

/*
 * Nothing on it says any more whose it is: somebody took more than snapshots, or wrote over it, and then
 * who opened the repository closed it (only to be looked at is it open now). NULL, or how to say it.
 */
static const char *
stripped(const struct tier *t)
{
	if (store_any(t->store, "repo/", NULL) == 0)
		return "repo/ is gone there, too";
	return t->found == TIER_RUINED ? "nothing says any more that it is of this repository" : NULL;
}

/* What a person is told, and how to get out. */
static void
explain(const struct seen *gone, const char *path, const char *now, const struct junk *junk,
    const struct tier_set *all, const struct tier *t, struct newest_missing *ret)
{
	const char *bare = stripped(t);
	const struct tier *from = NULL;
	struct store_stat st;
	char name[LAYOUT_NAME];

	memset(ret, 0, sizeof(*ret));
	memcpy(ret->id, gone->id, sizeof(ret->id));
	ret->sequence = gone->sequence;
	err_set(&ret->why, ERR_NOTFOUND, "was the newest there (number %" PRIu64 ") and is gone: it "
	    "was deleted, or the tier was set back", gone->sequence);
	err_line(&ret->why, "newest", "%s", now[0] == '\0' ? "none of this source" : now);
	if (junk->item != NULL)
		err_line(&ret->why, "newer", "'%s' does not count: %.*s; `ffdr expire --discard %s --tier "
		    "%s --why TEXT` removes it", junk->item->name, err_first_line(&junk->why),
		    junk->why.text, junk->item->part.id, t->name);
	snprintf(name, sizeof(name), "snap/%s", gone->id);
	for (size_t i = 0; i < all->count && from == NULL; i++)
		if (&all->tier[i] != t && all->tier[i].store != NULL &&
		    store_stat(all->tier[i].store, name, &st, NULL) == 1)
			from = &all->tier[i];
	if (bare != NULL)
		err_line(&ret->why, "fix", "%s, and nothing can be copied to it: %s"
		    "operations.md, 'A tier is damaged'", bare, t->store->ops->looks_back ?
		    "runbooks/after-an-attack.md, or " : "");
	else if (from != NULL)
		err_line(&ret->why, "fix", "`ffdr copy --to %s %s` brings it back from '%s'",
		    t->name, gone->id, from->name);
	err_line(&ret->why, bare != NULL || from != NULL ? "or" : "fix", "find out who did it; remove '%s' "
	    "when the loss is known and meant", path);
}

int
newest_check(const char *dir, const struct tier_set *all, const struct tier *t,
    const char *source, const struct newest_judge *judge, struct newest_missing *ret, struct err *e)
{
	char *path = path_of(dir, t->name, source);
	struct snapshot_list list = { 0 };
	const struct seen *gone = NULL;
	struct memory m;
	struct junk junk;
	int rc = read_memory(path, &m, e), away;

	if (rc != 1) {
		rc = rc == 0 ? 1 : -1;
		goto out;
	}
	if (snapshot_list_known(t->store, source, &list, e) == -1 ||
	    (away = taken(&m, t, &list, NULL, judge, &junk, e)) == -1) {
		rc = -1;
		goto out;
	}
	if (away)
		gone = &m.newest;
	else if (m.missed.id[0] != '\0' && !listed(&list, m.missed.id))
		gone = &m.missed;
	rc = gone == NULL;
	if (gone != NULL) {
		explain(gone, path, newest_listed(&list, away ? m.newest.id : NULL), &junk, all, t, ret);
	} else if (m.missed.id[0] != '\0') {
		/* It is back; when it expires one day, that is no loss. */
		m.missed.id[0] = '\0';
		write_memory(path, &m, NULL);
	}
out:
	snapshot_list_done(&list);
	free(path);
	return rc;
}

int
newest_remembered(const char *dir, const char *tier, const char *source, char id[96], struct err *e)
{
	char *path = path_of(dir, tier, source);
	struct memory m;
	int rc = read_memory(path, &m, e);

	if (rc == 1)
		memcpy(id, m.newest.id, sizeof(m.newest.id));
	free(path);
	return rc;
}

void
newest_sources(const char *dir, const char *tier, void (*seen)(void *arg, const char *source),
    void *arg)
{
	char *path = xasprintf("%s/%s", dir, tier);
	DIR *d = opendir(path);
	struct dirent *en;

	while (d != NULL && (en = readdir(d)) != NULL)
		if (layout_source_valid(en->d_name))
			seen(arg, en->d_name);
	if (d != NULL)
		closedir(d);
	free(path);
}

int
newest_forget(const char *dir, const char *tier, const char *source, const char *id, struct err *e)
{
	char *path = path_of(dir, tier, source);
	struct memory m;
	int rc = 0;

	if (id == NULL || (read_memory(path, &m, NULL) == 1 && strcmp(m.newest.id, id) == 0))
		rc = file_del(AT_FDCWD, path, e);
	else if (read_memory(path, &m, NULL) == 1 && strcmp(m.missed.id, id) == 0) {
		m.missed.id[0] = '\0';
		rc = write_memory(path, &m, e);
	}
	free(path);
	return rc == -1 ? -1 : 0;
}
