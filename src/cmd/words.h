#ifndef CMD_WORDS_H
#define CMD_WORDS_H

#include <jansson.h>

#include "base/units.h"
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

/*
 * What looks at the tiers as they were has this row, for a field `as_of`, and opens its session by
 * this: no text is now. `now` as in session_open_past(). Which tiers are left out is told.
 */
#define WORDS_AS_OF(type)                                                                          \
	{                                                                                          \
		"as-of", 0, OPT_STRING, offsetof(struct type, as_of), "TIME",                      \
		    "look at the buckets as they were at that TIME, where they keep versions: what " \
		    "was deleted or overwritten since is there, what came since is not; a day means " \
		    "its end"                                                                      \
	}
int words_open_past(const struct conf *c, const char *as_of, const char *now, enum session_need need,
    struct session *ret, struct err *e);
/* The same of one tier alone (session_open_only()); NULL: of all. */
int words_open_only(const struct conf *c, const char *as_of, const char *only,
    enum session_need need, struct session *ret, struct err *e);

/* " and, for 3 objects, other tiers": behind the tier that something was read from; "" for none. */
#define WORDS_OTHERS 96
const char *words_others(unsigned fallbacks, char out[WORDS_OTHERS]);
/* "4.84 GB in 6.9 s (701 MB/s)" into out, which it returns. */
#define WORDS_AMOUNT (5 * UNITS_TEXT + 40)
const char *words_amount(uint64_t bytes, int64_t took_ns, char out[WORDS_AMOUNT]);
/* "4.84 GB in 4h, 3h 59m of it waiting for an archive (701 MB/s)": the wait moves nothing. */
const char *words_amount_waited(uint64_t bytes, int64_t took_ns, int64_t waited_ns,
    char out[WORDS_AMOUNT]);
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
