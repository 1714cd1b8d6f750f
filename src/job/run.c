/*
 * The frame around one run of a verb. It is small on purpose: what a verb does is its own, but when
 * it began, who looks on, and what it must keep its hands off is the same for each.
 */
#include "job/run.h"

#include "base/clock.h"
#include "filter/pool.h"
#include "job/ground.h"

void
run_begin(struct run *r, struct session *s, const struct watch *w)
{
	*r = (struct run){ .session = s, .watch = w, .begun_ns = clock_boot_ns() };
	ground_own(s->conf, &r->own);
}

int64_t
run_end(struct run *r)
{
	own_done(&r->own);
	return clock_boot_ns() - r->begun_ns;
}

void
run_warn(void *run, const char *text)
{
	const struct run *r = run;

	r->watch->event(r->watch->arg, "warning", text);
}

void
run_note(void *run, const char *text)
{
	const struct run *r = run;

	r->watch->event(r->watch->arg, "note", text);
}

bool
run_stop(void *run)
{
	const struct run *r = run;

	return r->watch->stop(r->watch->arg);
}

unsigned
run_workers(const struct run *r)
{
	int64_t workers = r->session->conf->workers;

	return workers > 0 ? (unsigned)workers : pool_cpus();
}
