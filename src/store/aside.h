#ifndef STORE_ASIDE_H
#define STORE_ASIDE_H

#include "store/store.h"

/* Where objects lie that were found to be bad: below this, under the name they had. */
#define ASIDE_PREFIX "bad/"
#define ASIDE_NAME (STORE_NAME_MAX + sizeof(ASIDE_PREFIX))

/* The name an object has once it was set aside. Returns out. */
char *aside_name(const char *name, char out[ASIDE_NAME]);
/*
 * Moves a bad object out of its place: its bytes to aside_name(), unless something has that name,
 * then its name is free. One that is not there is no error. A crash between leaves both.
 */
int aside_object(struct store *s, const char *name, struct err *e);

#endif
