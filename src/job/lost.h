#ifndef JOB_LOST_H
#define JOB_LOST_H

#include "job/opened.h"
#include "job/watch.h"

/*
 * What a person is told when a snapshot could not be read because one of its packs is on no tier:
 * which, and the newest older snapshot whose packs are all there. true then; any other error stays
 * as it is.
 */
bool lost_explain(struct session *s, const struct opened *o, const struct watch *w, struct err *e);
/*
 * opened_new() failed with e. Where it was the manifest that no tier has whole, what can still be had
 * is told, and what gives that snapshot up: only where each tier said that it has none, or a damaged one,
 * and never where one may have it whole, or has it and it does not open here. -1. An older one is never
 * taken in its place: it may be the newest, damaged, and whoever asked for the newest would not know what
 * he lacks.
 */
int lost_manifest(struct session *s, const struct opened *o, const struct watch *w, struct err *e);

#endif
