#ifndef STORE_ASIDE_H
#define STORE_ASIDE_H

#include "store/store.h"

/*
 * Where objects lie that were found to be bad: below this, under the name they had; where others of
 * that name lie there, with .2, .3 ... behind.
 */
#define ASIDE_PREFIX "bad/"
#define ASIDE_NAME (STORE_NAME_MAX + sizeof(ASIDE_PREFIX) + 8)
/* So many of one name a reader asks for; what was set aside yet again is for people. */
#define ASIDE_READ 4

/* The name that the n-th of an object has once it was set aside, from 0. Returns out. */
char *aside_name(const char *name, unsigned n, char out[ASIDE_NAME]);
/* The name that an object below ASIDE_PREFIX had. Returns out. */
char *aside_plain(const char *aside, char out[ASIDE_NAME]);
/*
 * Puts what has the name also below bad/, where nothing is ever replaced: 1 it is there, under
 * `out`; 0 there is nothing that can be read, out is ""; -1.
 */
int aside_keep(struct store *s, const char *name, char out[ASIDE_NAME], struct err *e);
/*
 * Moves a bad object out of its place: kept as above, then its name is free. One that is not there
 * is no error. `out` may be NULL. A crash between leaves both.
 */
int aside_object(struct store *s, const char *name, char out[ASIDE_NAME], struct err *e);

#endif
