#ifndef CONF_CONNINFO_H
#define CONF_CONNINFO_H

#include "base/err.h"

/*
 * A connection string as libpq takes it, "host=db user=ffdr" or postgresql://ffdr@db/postgres.
 * ERR_CONFIG when it cannot be read or holds a password; no message repeats any of it.
 */
int conninfo_check(const char *text, struct err *e);

#endif
