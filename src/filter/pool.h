#ifndef FILTER_POOL_H
#define FILTER_POOL_H

#include <stddef.h>

/*
 * The only threads of the program. A pool has workers and one owner; the owner submits tasks and
 * takes them back finished, in the order it submitted them. A task is a function over data that
 * nobody else touches until the owner has it back: so there is nothing to lock anywhere else.
 *
 * With 0 workers a task runs inside pool_submit: the simulations use that to be deterministic.
 */
struct pool;
typedef void pool_work(void *task);

struct pool *pool_new(unsigned workers, size_t window); /* window: most tasks out at once */
/* Waits for all tasks (their results are dropped), ends the workers. */
void pool_free(struct pool *p);
/* May not be called when pool_full(). */
void pool_submit(struct pool *p, pool_work *work, void *task);
int pool_full(const struct pool *p);
/* The oldest task once finished, NULL when none is out. */
void *pool_take(struct pool *p);
/* The oldest task if it is finished already, else NULL: never waits. */
void *pool_take_ready(struct pool *p);
/* processors this process may use, by affinity and cgroup quota, at least 1 */
unsigned pool_cpus(void);

/*
 * How many processors a line of cpu.max grants ("150000 100000" is 2), UINT_MAX when it sets no
 * limit.
 */
unsigned pool_quota(const char *cpu_max);

#endif
