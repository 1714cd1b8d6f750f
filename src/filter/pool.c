/*
 * Frames are independent, so the parallel part of ffdr is this: a ring of tasks, workers that
 * each run the oldest task not begun, one owner that takes them back in order. One mutex covers
 * the ring; tasks are tens of microseconds long, so nobody waits for it long. Only the owner
 * moves head and tail and only workers move next. What would surprise: a system that refuses
 * threads (a pod's limit of processes) gives a smaller pool, in the end one that works inside
 * pool_submit, and not an error.
 */
#include "filter/pool.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

struct slot {
	pool_work *work;
	void *task;
	bool finished;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t begun;	 /* there is a task to begin, or the end has come */
	pthread_cond_t finished; /* the task at head is finished */
	pthread_t *worker;
	unsigned workers;
	bool ending;
	struct slot *slot; /* ring of `window`; the counts below grow for ever */
	size_t window;
	uint64_t head; /* the oldest that is out */
	uint64_t next; /* the oldest not begun */
	uint64_t tail; /* where the next one goes */
};

static struct slot *
slot_at(const struct pool *p, uint64_t n)
{
	return &p->slot[n % p->window];
}

static void *
work_loop(void *arg)
{
	struct pool *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		uint64_t mine;
		struct slot *s;

		while (p->next == p->tail && !p->ending)
			pthread_cond_wait(&p->begun, &p->lock);
		if (p->next == p->tail)
			break;
		mine = p->next++;
		s = slot_at(p, mine);
		pthread_mutex_unlock(&p->lock);
		s->work(s->task);
		pthread_mutex_lock(&p->lock);
		s->finished = true;
		if (mine == p->head)
			pthread_cond_signal(&p->finished);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct pool *
pool_new(unsigned workers, size_t window)
{
	struct pool *p = xcalloc(1, sizeof(*p));
	sigset_t all, before;

	p->window = window == 0 ? 1 : window;
	p->slot = xcalloc(p->window, sizeof(*p->slot));
	p->worker = xcalloc(workers == 0 ? 1 : workers, sizeof(*p->worker));
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->begun, NULL);
	pthread_cond_init(&p->finished, NULL);

	/* Signals belong to the owner. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (p->workers < workers &&
	    pthread_create(&p->worker[p->workers], NULL, work_loop, p) == 0)
		p->workers++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return p;
}

void
pool_free(struct pool *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->ending = true;
	pthread_cond_broadcast(&p->begun);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->workers; i++)
		pthread_join(p->worker[i], NULL);
	pthread_cond_destroy(&p->finished);
	pthread_cond_destroy(&p->begun);
	pthread_mutex_destroy(&p->lock);
	free(p->worker);
	free(p->slot);
	free(p);
}

void
pool_submit(struct pool *p, pool_work *work, void *task)
{
	struct slot *s;

	if (pool_full(p)) /* would overwrite a task that is out */
		abort();
	s = slot_at(p, p->tail);
	*s = (struct slot){ .work = work, .task = task };
	if (p->workers == 0) {
		work(task);
		s->finished = true;
		p->next++;
		p->tail++;
		return;
	}
	pthread_mutex_lock(&p->lock);
	p->tail++;
	pthread_cond_signal(&p->begun);
	pthread_mutex_unlock(&p->lock);
}

int
pool_full(const struct pool *p)
{
	return p->tail - p->head == p->window;
}

static void *
take(struct pool *p, bool wait)
{
	struct slot *s = slot_at(p, p->head);
	void *task = NULL;

	if (p->head == p->tail)
		return NULL;
	pthread_mutex_lock(&p->lock);
	while (wait && !s->finished)
		pthread_cond_wait(&p->finished, &p->lock);
	if (s->finished) {
		task = s->task;
		p->head++;
	}
	pthread_mutex_unlock(&p->lock);
	return task;
}

void *
pool_take(struct pool *p)
{
	return take(p, true);
}

void *
pool_take_ready(struct pool *p)
{
	return take(p, false);
}

unsigned
pool_quota(const char *cpu_max)
{
	unsigned long long quota, period;

	if (sscanf(cpu_max, "%llu %llu", &quota, &period) != 2 || period == 0)
		return UINT_MAX; /* "max 100000" */
	quota = (quota + period - 1) / period;
	if (quota == 0)
		return 1;
	return quota > UINT_MAX ? UINT_MAX : (unsigned)quota;
}

/* The first line of a small file into line; false when it cannot be read. */
static bool
first_line(const char *path, const char *starts, char *line, int size)
{
	FILE *f = fopen(path, "re");
	bool found = false;

	if (f == NULL)
		return false;
	while (!found && fgets(line, size, f) != NULL)
		found = strncmp(line, starts, strlen(starts)) == 0;
	fclose(f);
	line[strcspn(line, "\n")] = '\0';
	return found;
}

/* The tightest quota of this process's control group (version 2) and of all above it. */
static unsigned
quota_cpus(void)
{
	char group[4096], line[64];
	unsigned least = UINT_MAX;

	if (!first_line("/proc/self/cgroup", "0::/", group, sizeof(group)))
		return least;
	for (char *path = group + strlen("0::"), *slash; ; *slash = '\0') {
		char *file = xasprintf("/sys/fs/cgroup%s/cpu.max", path);
		unsigned got = UINT_MAX;

		if (first_line(file, "", line, sizeof(line)))
			got = pool_quota(line);
		free(file);
		if (got < least)
			least = got;
		slash = strrchr(path, '/');
		if (slash == NULL)
			return least;
	}
}

unsigned
pool_cpus(void)
{
	unsigned quota = quota_cpus();
	cpu_set_t set;
	long count;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		count = CPU_COUNT(&set);
	else /* more processors than the set has room for */
		count = sysconf(_SC_NPROCESSORS_ONLN);
	if (count < 1)
		count = 1;
	return (unsigned)count < quota ? (unsigned)count : quota;
}
