/*
 * A socket of the kernel holds 200 KB at most, so a server that sends a base backup and a client that
 * also sorts, copies and hands on what it got wait for each other by turns. Here the socket is
 * emptied at once; what came waits in memory, up to a bound that is small beside the writer's own.
 *
 * The thread does nothing but take: the order of things, and all that is told, stay with the caller.
 * So what the server remarks is queued between the messages, and told from there.
 */
#include "source/pg/pg_ahead.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "base/mem.h"

#define SLOTS 256
#define MOST (4u << 20) /* bytes that wait */

/* A message of the copy, or a remark of the server. */
struct item {
	char *data; /* libpq's; or NULL */
	size_t len;
	char *remark, *detail;
};

struct pg_ahead {
	struct pg_conn *c;
	struct pg_conn before; /* whom it asked and told */
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t came, went; /* something to take; room again */
	struct item item[SLOTS];
	size_t first, count;
	size_t bytes;
	bool over; /* nothing more comes, and how it ended */
	int result;
	struct err why;
	bool unwanted; /* nobody takes any longer */
};

static void
let_go(struct item *i)
{
	PQfreemem(i->data);
	free(i->remark);
	free(i->detail);
}

/* ---- the thread ---- */

static void
put(struct pg_ahead *a, const struct item *i)
{
	pthread_mutex_lock(&a->mutex);
	while (!a->unwanted && a->count > 0 && (a->count == SLOTS || a->bytes + i->len > MOST))
		pthread_cond_wait(&a->went, &a->mutex);
	if (a->unwanted) {
		struct item gone = *i;

		let_go(&gone);
	} else {
		a->item[(a->first + a->count++) % SLOTS] = *i;
		a->bytes += i->len;
		if (a->count == 1)
			pthread_cond_signal(&a->came);
	}
	pthread_mutex_unlock(&a->mutex);
}

static void
remarked(void *arg, const char *message, const char *detail)
{
	struct item i = { .remark = xstrdup(message), .detail = detail ? xstrdup(detail) : NULL };

	put(arg, &i);
}

static bool
stopped(void *arg)
{
	struct pg_ahead *a = arg;
	bool unwanted;

	pthread_mutex_lock(&a->mutex);
	unwanted = a->unwanted;
	pthread_mutex_unlock(&a->mutex);
	return unwanted || (a->before.stop && a->before.stop(a->before.arg));
}

static void *
take(void *arg)
{
	struct pg_ahead *a = arg;
	struct err why = { 0 };
	struct item i = { 0 };
	int r;

	/*
	 * Else each message that comes wakes it where the server runs, in the middle of the next
	 * one. What the kernel thinks of that is its own: no error.
	 */
	sched_setscheduler(0, SCHED_BATCH, &(const struct sched_param){ 0 });
	while ((r = pg_conn_copy(a->c, &i.data, &i.len, &why)) == 1)
		put(a, &i);
	pthread_mutex_lock(&a->mutex);
	a->over = true;
	a->result = r;
	a->why = why;
	pthread_cond_signal(&a->came);
	pthread_mutex_unlock(&a->mutex);
	return NULL;
}

/* ---- the caller ---- */

struct pg_ahead *
pg_ahead_start(struct pg_conn *c)
{
	struct pg_ahead *a = xcalloc(1, sizeof(*a));

	a->c = c;
	a->before = *c;
	pthread_mutex_init(&a->mutex, NULL);
	pthread_cond_init(&a->came, NULL);
	pthread_cond_init(&a->went, NULL);
	c->stop = stopped;
	c->arg = a;
	if (c->remark) {
		c->remark = remarked;
		c->remark_arg = a;
	}
	if (pthread_create(&a->thread, NULL, take, a) != 0)
		abort();
	return a;
}

int
pg_ahead_copy(struct pg_ahead *a, char **data, size_t *n, struct err *e)
{
	struct item i;

	for (;;) {
		pthread_mutex_lock(&a->mutex);
		while (a->count == 0 && !a->over)
			pthread_cond_wait(&a->came, &a->mutex);
		if (a->count == 0) {
			pthread_mutex_unlock(&a->mutex);
			if (a->result == -1)
				*e = a->why;
			return a->result;
		}
		i = a->item[a->first];
		a->first = (a->first + 1) % SLOTS;
		a->count--;
		a->bytes -= i.len;
		pthread_cond_signal(&a->went);
		pthread_mutex_unlock(&a->mutex);
		if (!i.remark) {
			*data = i.data;
			*n = i.len;
			return 1;
		}
		a->before.remark(a->before.remark_arg, i.remark, i.detail);
		let_go(&i);
	}
}

void
pg_ahead_free(struct pg_ahead *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->mutex);
	a->unwanted = true;
	pthread_cond_signal(&a->went);
	pthread_mutex_unlock(&a->mutex);
	pthread_join(a->thread, NULL);
	a->c->stop = a->before.stop;
	a->c->arg = a->before.arg;
	a->c->remark = a->before.remark;
	a->c->remark_arg = a->before.remark_arg;
	for (; a->count > 0; a->count--, a->first = (a->first + 1) % SLOTS)
		let_go(&a->item[a->first]);
	pthread_cond_destroy(&a->came);
	pthread_cond_destroy(&a->went);
	pthread_mutex_destroy(&a->mutex);
	free(a);
}
