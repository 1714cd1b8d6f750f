#ifndef COORD_COORD_H
#define COORD_COORD_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * The place where hosts agree: small texts under names, each changed only by whoever has seen what
 * it says now (compare and swap). The consensus is that of the place, never ours: a directory for
 * one host; drivers for several hosts are rows of coord_drivers.
 *
 * Names there: epoch, active/<source>, lease/wal/<source>, sample/<source> ... in the alphabet of
 * store/store.h.
 */
#define COORD_ETAG 96
#define COORD_MAX (64u << 10) /* bytes of a text */

struct coord;

struct coord_ops {
	const char *scheme; /* "file" */
	/* place: all of it, scheme included. ERR_REMOTE when it is not there or does not answer. */
	int (*open)(const char *place, struct coord **ret, struct err *e);
	/* Appends the text; 1, 0 there is none, -1. */
	int (*get)(struct coord *c, const char *name, struct buf *out, char etag[COORD_ETAG],
	    struct err *e);
	/* 1 made, 0 the name is taken, -1 (it may or may not have been made). */
	int (*create)(struct coord *c, const char *name, const void *data, size_t n,
	    char etag[COORD_ETAG], struct err *e);
	/*
	 * 1 changed, 0 it is not what etag (in) stood for any more, or gone; -1 (it may or may not
	 * have been changed). etag is the new one after 1, else as before.
	 */
	int (*swap)(struct coord *c, const char *name, char etag[COORD_ETAG], const void *data,
	    size_t n, struct err *e);
	void (*close)(struct coord *c);
};

/* First member of every driver's own struct. */
struct coord {
	const struct coord_ops *ops;
};

extern const struct coord_ops *const coord_drivers[]; /* ended by NULL */

/* "file:/var/lib/ffdr/coord". ERR_CONFIG for an unknown scheme names those there are. */
int coord_open(const char *place, struct coord **ret, struct err *e);
void coord_close(struct coord *c);
/* As in coord_ops, with name and length checked. */
int coord_get(struct coord *c, const char *name, struct buf *out, char etag[COORD_ETAG],
    struct err *e);
int coord_create(struct coord *c, const char *name, const void *data, size_t n,
    char etag[COORD_ETAG], struct err *e);
int coord_swap(struct coord *c, const char *name, char etag[COORD_ETAG], const void *data, size_t n,
    struct err *e);

#endif
