/*
 * `restore --delta --dry-run` of a database: what would go and what would come, by names, sizes and
 * times, in the data directory and in each tablespace, which is a tree of its own on one side and a
 * part of the snapshot on the other.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "job/preview.h"
#include "job/pg/restore_pg.h"
#include "source/pg/pg_label.h"

static int
look(struct restore_pg *r, const struct preview_options *o, struct preview *p, struct err *e)
{
	struct preview_options here = *o;

	if (o->target && access(o->target, F_OK) == -1)
		here.target = NULL;
	reader_rewind(r->reader);
	return preview_run(r->reader, &here, r->run.watch, p, e);
}

int
restore_pg_preview(struct restore_pg *r, struct err *e)
{
	const char **skip = xcalloc(r->spaces + 1, sizeof(*skip));
	struct preview p = { 0 };
	int rc;

	skip[0] = PG_LABEL_MAP_FILE; /* written where there are tablespaces, and only then */
	for (size_t i = 0; i < r->spaces; i++)
		skip[i] = r->space[i].path;
	rc = look(r,
	    &(struct preview_options){ .target = r->o->delta ? r->report->to : NULL,
		.own = &r->run.own, .skip = skip, .skips = r->spaces ? r->spaces : 1 },
	    &p, e);
	for (size_t i = 0; rc == 0 && i < r->spaces; i++)
		rc = look(r,
		    &(struct preview_options){ .target = r->o->delta ? r->space[i].to : NULL,
			.own = &r->run.own, .space = r->space[i].path },
		    &p, e);
	free(skip);
	r->report->removes = p.removes;
	r->report->makes = p.makes;
	r->report->changes = p.changes;
	r->report->adjusts = p.adjusts;
	r->report->entries = p.entries;
	r->report->files = p.files;
	r->report->bytes = p.bytes;
	r->report->written = p.write;
	r->report->unchanged = p.unchanged;
	r->report->removed = p.removes.count;
	return rc;
}
