#ifndef REPO_LATELY_H
#define REPO_LATELY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * What this host has let go of lately: how many snapshots of a source expired from a tier within a
 * day. A small file each, DIR/<tier>/<source>, DIR being `state`/expired. Losing it costs nothing
 * but the bound of that day.
 */

/* How many within the day before now_ns; a file that cannot be read is an error. */
int lately_gone(const char *dir, const char *tier, const char *source, int64_t now_ns, size_t *ret,
    struct err *e);
/* `n` more go now. Written before the first is removed. */
int lately_add(const char *dir, const char *tier, const char *source, int64_t now_ns, size_t n,
    struct err *e);

#endif
