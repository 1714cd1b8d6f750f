#ifndef CMD_WORDS_H
#define CMD_WORDS_H

#include <jansson.h>

#include "cmd/command.h"
#include "job/session.h"

/*
 * What commands that name sources and snapshots share: operands read, tiers shown.
 */

/*
 * The configured sources that the operands name, `all` being every one. They are borrowed, the array
 * is the caller's.
 */
int words_configured(const struct conf *c, int argc, char **argv, const struct conf_source ***ret,
    size_t *count, struct err *e);
/*
 * Full names ("vol.uploads") of what the operands name, configured or not; none or `all`: *count is
 * 0.
 */
struct words {
	char (*name)[64];
	const char **item; /* the same as pointers */
	size_t count;
};
int words_sources(struct session *s, int argc, char **argv, struct words *ret, struct err *e);
void words_done(struct words *n);
/* What has a '/', `latest` and the beginning of a time name a snapshot; all else is a source. */
bool words_is_snapshot(const char *word);

/*
 * For who tells how things are: the repository open, or the tiers alone when every one of them is
 * away, so that each can be shown with its reason.
 */
int words_open(const struct conf *c, struct session *ret, struct err *e);

/* The tiers of the bits (job/inventory.h). */
json_t *words_tiers_json(const struct session *s, uint64_t on);
/* A warning for each tier that does not answer. Returns how many. */
unsigned words_warn_away(const struct session *s);
/* Only that nothing can be kept in `state`. */
void words_warn_state(const struct session *s);

/* A JSON string of any bytes: what is no UTF-8 is written as the escapes of the file list. */
json_t *words_json(const char *bytes, size_t n);
/* A time for JSON; null for 0. */
json_t *words_json_time(int64_t ns);
/* {"kind", "message"}; null when there is none. */
json_t *words_json_error(const struct err *e);

#endif
