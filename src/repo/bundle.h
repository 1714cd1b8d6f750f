#ifndef REPO_BUNDLE_H
#define REPO_BUNDLE_H

#include "repo/piece.h"

/*
 * A bundle of WAL: whole pieces of one timeline of one place, one behind the other, each beginning
 * where the one before it ends. Nothing stands between them or around them, for a piece's header says
 * how long it is. Where an archive class asks a price for every object, it is one object for many.
 */
/* As much as a pack, of which the price of an object is a thousandth; and one piece always fits. */
#define BUNDLE_MAX (32u << 20)

/* A piece where it lies; `sealed` borrows the bundle's bytes. */
struct bundle_piece {
	struct layout_wal at;
	char name[LAYOUT_NAME]; /* what it calls itself */
	struct buf sealed;
};

struct bundle_walk {
	const struct keyring *keys;
	const struct buf *bytes;
	struct layout_wal whole; /* what the bundle's name promises */
	size_t off;
};

/* ERR_CORRUPT when that is no name of a bundle. All is borrowed. */
int bundle_begin(struct bundle_walk *w, const struct keyring *k, const char *name,
    const struct buf *bytes, struct err *e);
/*
 * The next piece that belongs here, by the name inside it: 1; 0 there is none behind; -1 what stands
 * there is none, and the next call goes on behind it, as far as anything can be found there. Whether
 * they join is bundle_check()'s business; whether a piece is good is seen by opening it.
 */
int bundle_next(struct bundle_walk *w, struct bundle_piece *ret, struct err *e);

/* All of it: every piece opens (repo/piece.h), they join, and are what the name promises. */
int bundle_check(const struct keyring *k, const char *name, const struct buf *bytes, struct err *e);
/* The part that needs no key: nothing but whole W, each with its hash. */
int bundle_check_plain(const struct buf *bytes, struct err *e);

#endif
