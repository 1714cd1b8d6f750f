#ifndef SOURCE_WISH_H
#define SOURCE_WISH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "repo/reader.h"

/* Which part of a snapshot was asked for: some paths and what is below them; none means everything.
 */
enum wish_kind {
	WISH_NO,
	WISH_ABOVE,
	WISH_YES
}; /* ABOVE: only because something below it is wanted */

struct wish {
	const char *const *path; /* borrowed */
	size_t paths;
	struct wish_stand_in *stand_in; /* by target */
	size_t stand_ins, room;
	struct wish_left {
		char *path;
		size_t len;
	} *left;
	size_t lefts, left_room;
};
void wish_init(struct wish *w, const char *const *path, size_t paths);
void wish_done(struct wish *w);
/* ERR_USAGE: not a path as a snapshot has them; ERR_NOTFOUND: not in this one. */
int wish_check(const struct wish *w, struct reader *r, struct err *e);

/* From now on that path and what is below it are not wanted, whatever was asked for. */
void wish_leave(struct wish *w, const char *path, size_t len);
enum wish_kind wish_of(const struct wish *w, const char *path, size_t len);
/*
 * The name that stands in for the first name of a link, where that was not asked for: who asks
 * first becomes it (*made).
 */
const char *wish_stand_in(struct wish *w, const struct entry *link, const char *path, bool *made);

#endif
