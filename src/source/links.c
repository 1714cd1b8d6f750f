/*
 * A hash table of (device, inode), chained, that forgets a file with its last name: a tree of hard
 * linked files costs memory for those that reach out of the directory being walked, and for
 * those with names outside of the tree.
 */
#include "source/links.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"

#define LINKS_FIRST 1024 /* chains to start with; doubled when full */

struct link {
	struct link *next;
	dev_t dev;
	ino_t ino;
	mode_t mode;
	off_t size;
	struct timespec mtime;
	nlink_t left; /* names still to come */
	char *path;
};

struct links {
	struct link **chain;
	size_t chains, count;
	char *last; /* what links_seen lent out after it forgot the file */
};

static size_t
place_of(const struct links *l, dev_t dev, ino_t ino)
{
	/* Inodes of one directory are neighbours; the factor spreads them. */
	return (size_t)((ino ^ dev << 20) * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (l->chains - 1);
}

struct links *
links_new(void)
{
	struct links *l = xcalloc(1, sizeof(*l));

	l->chains = LINKS_FIRST;
	l->chain = xcalloc(l->chains, sizeof(struct link *));
	return l;
}

static void
free_link(struct link *k)
{
	free(k->path);
	free(k);
}

void
links_free(struct links *l)
{
	struct link *k, *next;
	size_t i;

	if (!l)
		return;
	for (i = 0; i < l->chains; i++)
		for (k = l->chain[i]; k; k = next) {
			next = k->next;
			free_link(k);
		}
	free(l->chain);
	free(l->last);
	free(l);
}

static void
forget(struct links *l, struct link **at)
{
	struct link *k = *at;

	*at = k->next;
	free(l->last);
	l->last = k->path;
	k->path = NULL;
	free_link(k);
	l->count--;
}

static bool
same_file(const struct link *k, const struct stat *st)
{
	return k->mode == (st->st_mode & S_IFMT) && k->size == st->st_size &&
	    k->mtime.tv_sec == st->st_mtim.tv_sec && k->mtime.tv_nsec == st->st_mtim.tv_nsec;
}

const char *
links_seen(struct links *l, const struct stat *st)
{
	struct link **at = &l->chain[place_of(l, st->st_dev, st->st_ino)];
	const char *path;

	while (*at && ((*at)->ino != st->st_ino || (*at)->dev != st->st_dev))
		at = &(*at)->next;
	if (!*at)
		return NULL;
	if (!same_file(*at, st)) {
		forget(l, at);
		return NULL;
	}
	path = (*at)->path;
	if (--(*at)->left == 0)
		forget(l, at);
	return path;
}

static void
grow(struct links *l)
{
	struct link **old = l->chain, *k, *next;
	size_t i, n = l->chains, to;

	l->chains *= 2;
	l->chain = xcalloc(l->chains, sizeof(struct link *));
	for (i = 0; i < n; i++)
		for (k = old[i]; k; k = next) {
			next = k->next;
			to = place_of(l, k->dev, k->ino);
			k->next = l->chain[to];
			l->chain[to] = k;
		}
	free(old);
}

void
links_add(struct links *l, const struct stat *st, const char *path)
{
	struct link *k = xcalloc(1, sizeof(*k)), **at;

	if (l->count >= l->chains)
		grow(l);
	at = &l->chain[place_of(l, st->st_dev, st->st_ino)];
	*k = (struct link){
		.next = *at,
		.dev = st->st_dev,
		.ino = st->st_ino,
		.mode = st->st_mode & S_IFMT,
		.size = st->st_size,
		.mtime = st->st_mtim,
		.left = st->st_nlink - 1,
		.path = xstrdup(path),
	};
	*at = k;
	l->count++;
}
