/*
 * What a verification found. A finding is written down before anything is done about it and told
 * afterwards, with what came of that: a person who reads "repaired" may rely on it.
 */
#include "job/verify_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct verify_finding *
verify_report_add(struct verify_report *r, const char *tier, const char *object,
    const char *snapshot, const struct err *why)
{
	struct verify_finding *f;

	r->finding = mem_grow(r->finding, &r->room, r->count + 1, sizeof(*r->finding));
	f = &r->finding[r->count++];
	*f = (struct verify_finding){ .tier = tier, .why = *why };
	snprintf(f->object, sizeof(f->object), "%s", object);
	snprintf(f->snapshot, sizeof(f->snapshot), "%s", snapshot);
	return f;
}

void
verify_report_tell(struct verify_report *r, const struct verify_finding *f, const struct watch *w,
    const char *fmt, ...)
{
	struct err said = { 0 };
	char *text;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said.text, sizeof(said.text), fmt, ap);
	va_end(ap);
	r->broken += !f->repaired;
	text = xasprintf("%s%s", said.text, f->repaired ? "; repaired" : "");
	w->event(w->arg, f->repaired ? "repaired" : "warning", text);
	free(text);
}

int
verify_report_stopped(const struct watch *w, const char *tier, struct err *e)
{
	if (!w->stop(w->arg))
		return 0;
	return err_set(e, ERR_CANCELLED, "verification of '%s' was interrupted", tier);
}

void
verify_report_done(struct verify_report *r)
{
	free(r->finding);
	memset(r, 0, sizeof(*r));
}
