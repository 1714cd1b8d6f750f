#ifndef BASE_LAZY_H
#define BASE_LAZY_H

#include <stddef.h>

/*
 * A library that comes into the process when one of its functions is called for the first time. A
 * server calls `ffdr wal push` and `wal get` for every segment, and most of these calls are over in
 * less time than it takes to load what other commands need.
 *
 * A header beside the user's code (source/libpq.h) lists the functions it may use.
 */

/*
 * Fills symbol[i] with the function of name[i]. The library stays. A process that wants a library
 * which is not installed, or another one of that name, cannot go on: it says so and ends as
 * mem_exit_with() says.
 */
void lazy_load(const char *soname, const char *const *name, void **symbol, size_t count);

#endif
