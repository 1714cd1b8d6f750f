/*
 * The rate is kept by paying for bytes after they moved, with a second of credit, so that it holds on
 * average and a single object may go at full speed.
 *
 * Pauses are spread by a hash of the clock, not by a random number: hosts that failed together still
 * drift apart, and a simulation with its own clock repeats exactly.
 */
#include "store/patience.h"

#include <stdatomic.h>

#define PAUSE_FIRST_NS (100 * CLOCK_MS)
#define PAUSE_MOST_NS (10 * CLOCK_S)
#define CREDIT_NS CLOCK_S /* unused rate that may be used later */
/* Between two looks, in a pause, at whether to stop: a person waits for it. */
#define LOOK_NS (200 * CLOCK_MS)
/* However long the first took: one that stalled is no reason to give up. */
#define TRIES_LEAST 2

struct err *
patience_err(struct patience *p, struct err *e)
{
	p->unasked.kind = ERR_NONE;
	return e == NULL ? &p->unasked : e;
}

void
patience_begin(struct patience *p, int64_t limit_ns)
{
	p->limit_ns = limit_ns;
	p->end_ns = clock_boot_ns() + limit_ns;
	p->pause_ns = PAUSE_FIRST_NS;
	p->failed = 0;
	p->begun = false;
}

/* Between half of the pause and all of it. */
static int64_t
spread(int64_t pause_ns)
{
	uint64_t x = (uint64_t)clock_real_ns();

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	x ^= x >> 31;
	return pause_ns / 2 + (int64_t)(x % (uint64_t)(pause_ns / 2 + 1));
}

static void
pause_for(const struct store *s, int64_t ns)
{
	const int64_t most = s->stop == NULL && s->hurry == NULL ? ns : LOOK_NS;

	for (; ns > 0 && !store_stopped(s) && !store_hurries(s); ns -= most)
		clock_sleep_ns(ns < most ? ns : most);
}

bool
patience_wait(const struct store *s, struct patience *p, struct err *e)
{
	int64_t pause = spread(p->pause_ns);

	p->failed++;
	if (e->kind != ERR_REMOTE)
		return false;
	if (p->failed >= TRIES_LEAST && clock_boot_ns() + pause >= p->end_ns) {
		err_line(e, "tried", "%u times in %lld s", p->failed,
		    (long long)(p->limit_ns / CLOCK_S));
		return false;
	}
	pause_for(s, pause);
	if (store_stopped(s)) {
		e->kind = ERR_CANCELLED;
		err_in(e, "stopped waiting");
		return false;
	}
	if (store_hurries(s))
		return false;
	p->pause_ns *= 2;
	if (p->pause_ns > PAUSE_MOST_NS)
		p->pause_ns = PAUSE_MOST_NS;
	return true;
}

/* What another thread was told holds for all. */
int64_t
patience_try(struct store *s)
{
	int64_t now = clock_boot_ns(), rest = s->rest_ns;

	if (rest <= now)
		return now;
	pause_for(s, rest - now);
	return clock_boot_ns();
}

bool
patience_next(struct store *s, struct patience *p, int rc, struct err *e)
{
	if (p->begun && (rc != -1 || !patience_wait(s, p, e)))
		return false;
	p->begun = true;
	patience_try(s);
	return true;
}

void
patience_pay(struct store *s, int64_t begin_ns, uint64_t n)
{
	int64_t cost, until, paid = s->paid_ns, now;

	if (s->options.rate == 0 || n == 0)
		return;
	cost = (int64_t)((double)n / (double)s->options.rate * (double)CLOCK_S);
	/* Several workers put through one store. */
	do
		until = (paid > begin_ns - CREDIT_NS ? paid : begin_ns - CREDIT_NS) + cost;
	while (!atomic_compare_exchange_weak(&s->paid_ns, &paid, until));
	now = clock_boot_ns();
	if (until > now)
		pause_for(s, until - now);
}
