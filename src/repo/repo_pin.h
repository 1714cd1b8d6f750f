#ifndef REPO_REPO_PIN_H
#define REPO_REPO_PIN_H

#include "repo/repo_chain.h"

/*
 * What this host remembers of the repository between runs: its id and the highest repo/<n> seen.
 * A tier that was set back, or swapped for another, shows by it.
 */
/*
 * ERR_REFUSED when the memory contradicts. path NULL, or no such file: 0. `past`: the tiers are looked
 * at as they were, so fewer repo/<n> than were seen are no wonder.
 */
int repo_pin_check(const char *path, const struct repo_chain *c, bool past, struct err *e);
/* ERR_REFUSED when a repository is remembered although none was found. */
int repo_pin_check_none(const char *path, struct err *e);
/* Can it be read at all? 1, 0 nothing is remembered, -1 with the way out. */
int repo_pin_read(const char *path, struct err *e);
/* The id that is remembered: 1/0/-1 like that. */
int repo_pin_id(const char *path, uint8_t id[LAYOUT_REPO_ID], struct err *e);
/*
 * Remembers, where that can be. Failing is no error: memory is a second line, restoring comes
 * first.
 */
void repo_pin_write(const char *path, const struct repo_chain *c);

#endif
