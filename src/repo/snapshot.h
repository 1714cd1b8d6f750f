#ifndef REPO_SNAPSHOT_H
#define REPO_SNAPSHOT_H

#include "repo/layout.h"
#include "repo/repo.h"

/* Which snapshots a store holds, by listing; and which one a person meant. */
struct snapshot {
	char name[LAYOUT_NAME];
	struct layout_snap part;
	uint64_t size;
	int64_t stored_ns; /* by the store's clock */
};
struct snapshot_list {
	struct snapshot *item; /* in byte order of names: by source, then time */
	size_t count, room;
	size_t strange; /* names there that are none of a snapshot, left out */
	char first_strange[STORE_NAME_MAX + 1];
};
/*
 * source NULL: of all. Prefix is snap/ . Names that are not of our form are ERR_CORRUPT: before
 * anything is removed by this listing it must be known what they are.
 */
int snapshot_list(struct store *s, const char *source, struct snapshot_list *ret, struct err *e);
/* For who only reads, and says so: they are counted. */
int snapshot_list_known(struct store *s, const char *source, struct snapshot_list *ret,
    struct err *e);
void snapshot_list_done(struct snapshot_list *l);
const struct snapshot *snapshot_newest(const struct snapshot_list *l, const char *source);

/*
 * Which of the list was meant by "vol.uploads/20261121T02", "20261121T020000Z-1a2b3c4d",
 * "vol.uploads/latest", "vol.uploads" or "latest": 1; 0 none of them; -1, ERR_USAGE with the
 * candidates when it is not unique. Partial snapshots are skipped for latest (their manifests are
 * opened, from any tier), refused when named, unless `partial`. The list is in byte order of names;
 * a name must be asked for among all the snapshots there are, not tier by tier: what is unique on
 * one tier may be the wrong one of several. After -1 `name` is that of the snapshot whose manifest
 * cannot be read, or "".
 */
int snapshot_resolve(struct repo *r, const struct snapshot_list *l, const char *text, bool partial,
    char name[LAYOUT_NAME], struct err *e);
/*
 * Adds the ways out to an error that says why the manifest of that snapshot cannot be read; -1. Only of
 * what is damaged is it said that it may be given up: what is whole, and does not open here, is somebody's
 * backup.
 */
int snapshot_unreadable(const char *id, struct err *e);
/* May `text` mean the snapshot of that id ("vol.uploads/2026...")? `l` as above. */
bool snapshot_fits(const struct snapshot_list *l, const char *text, const struct layout_snap *part);

#endif
