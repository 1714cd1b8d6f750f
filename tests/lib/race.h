#ifndef TESTS_LIB_RACE_H
#define TESTS_LIB_RACE_H

#include "store/store.h"

/*
 * Several processes put the same names at once, each with bytes of its own, and every name must have
 * been given to exactly one of them. open() opens the place; it is called in each process and in ours,
 * which then hands what it found to holds().
 */
void race_run(struct store *(*open)(void),
    void (*holds)(struct store *s, const char *name, const char *bytes));

#endif
