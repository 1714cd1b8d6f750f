#ifndef JOB_RUN_H
#define JOB_RUN_H

#include "job/session.h"
#include "job/watch.h"
#include "source/own.h"

/*
 * What the runs of all verbs have in common. A verb's own struct begins with it: then the callbacks
 * below, which the layers under job/ call with their `arg`, take that struct as well.
 */
struct run {
	struct session *session;
	const struct watch *watch;
	struct own own; /* what is ffdr's own on this host: no backup holds it, no restore touches it */
	int64_t begun_ns;
};

void run_begin(struct run *r, struct session *s, const struct watch *w);
/* Releases it; returns how long it took, in ns. */
int64_t run_end(struct run *r);

/* A "warning" to the watch, and a "note". */
void run_warn(void *run, const char *text);
void run_note(void *run, const char *text);
bool run_stop(void *run);
/* How many threads this run may use. */
unsigned run_workers(const struct run *r);

#endif
