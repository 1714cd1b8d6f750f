#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

/*
 * A world in one thread: actors are coroutines that give way at each store call, and time is a
 * number. An actor's call takes as long as the dice say, from microseconds to days; whoever is due
 * first goes on. The dice are seeded and everything else is deterministic, so a seed is a history.
 *
 * What the rules of the repository assume is the only limit on delays: a delete takes effect within
 * four minutes of being sent, a try to put below snap/ within ten. Anything else may take days,
 * which is how a host looks that slept.
 *
 * An actor dies by never reaching a store again: each call fails from then on, with or without
 * its last effect, until world_revive().
 */
#define WORLD_TIERS 3

/* A rule of the product switched off by a lie at its border, to see that the checks notice. */
enum world_lie {
	WORLD_TRUTH,
	WORLD_LIE_PEND,	  /* a collector sees no pend/ */
	WORLD_LIE_SETTLE, /* a copier believes that an hour more has gone by */
	WORLD_LIE_HOUR,	  /* a collector's boot clock stands still */
};
enum world_role { WORLD_BACKUP, WORLD_COPIER, WORLD_EXPIRER, WORLD_COLLECTOR };

struct world_actor;
typedef void world_life(struct world_actor *a, void *arg);

/* Called after each change of a tier. data is NULL for a removed object. */
typedef void world_changed(void *arg, unsigned tier, const char *name, const void *data, size_t n);

/* Installs clock and dice. The tiers are stores in memory, borrowed. */
void world_begin(uint64_t seed, struct store *const tier[], unsigned tiers, enum world_lie lie);
void world_watch(world_changed *changed, void *arg);
/* All actors leave: every call fails at once, world_over() is true, and they run to their end. */
void world_end(void);

struct world_actor *world_spawn(const char *name, enum world_role role, world_life *life, void *arg);
/* The actor's own way to a tier; it lives as long as the world. */
struct store *world_store(struct world_actor *a, unsigned tier);
/*
 * Until nobody has anything to do before `until_ns`, or `steps` calls were made, or world_stop().
 */
void world_run(int64_t until_ns, unsigned steps);
void world_stop(void);
bool world_over(void);

int64_t world_now(void);
void world_sleep(int64_t ns); /* the current actor's own pause */
/*
 * Actors of that role that sleep of their own will wake within that time; 0: within some calls of
 * the seed's pace.
 */
void world_wake(enum world_role role, int64_t within_ns);
enum world_role world_role(const struct world_actor *a);
bool world_acts(enum world_role role); /* is it one of these whose turn it is? */
bool world_dead(const struct world_actor *a);
void world_revive(struct world_actor *a);

uint64_t world_dice(uint64_t below);
bool world_chance(unsigned one_in);
int64_t world_span(int64_t low_ns, int64_t high_ns); /* even on a logarithmic scale */

/* What happened, kept in a buffer; world_history() is all of it. */
void world_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
const char *world_history(void);
unsigned world_steps(void);

#endif
