#ifndef BASE_LAZY_H
#define BASE_LAZY_H

#include <pthread.h>
#include <stddef.h>

#include "base/mem.h"

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

/*
 * Defines `const struct library *library(void)`, which that header declares: the struct has one
 * pointer for each function of `list`, a list of X(function), in that order. `set_up` is a statement
 * that runs once, when it is loaded; X is LAZY_NAME where this is used.
 */
#define LAZY_NAME(f) #f,
#define LAZY_LIBRARY(library, soname, list, set_up)                                                \
	static const char *const lazy_name[] = { list };                                           \
	static union {                                                                             \
		struct library functions;                                                          \
		void *symbol[ARRAY_LEN(lazy_name)];                                                \
	} lazy_table;                                                                              \
	static pthread_once_t lazy_once = PTHREAD_ONCE_INIT;                                       \
	_Static_assert(sizeof(lazy_table.functions) == sizeof(lazy_table.symbol),                  \
	    "a place for each function");                                                          \
	static void lazy_come(void)                                                                \
	{                                                                                          \
		lazy_load(soname, lazy_name, lazy_table.symbol, ARRAY_LEN(lazy_name));             \
		set_up;                                                                            \
	}                                                                                          \
	const struct library *library(void)                                                        \
	{                                                                                          \
		pthread_once(&lazy_once, lazy_come);                                               \
		return &lazy_table.functions;                                                      \
	}

#endif
