#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * The configuration: one file, then conf.d/ beside it in name order, every key known to the
 * table in conf_keys.c. Read once at start, const from then on. Only job/ and cmd/ see it; the
 * modules below receive values. All strings live as long as the struct.
 */
struct conf_tier {
	const char *name;
	const char *url, *site;
	const char *driver; /* NULL: from the url */
	int64_t keep, rpo, rto; /* milliseconds */
	const char *takes;	/* "all", "hourly", "daily", "weekly"; from rpo where unset */
	uint64_t rate; /* bytes a second; 0: no limit */
	bool shared;
};

struct conf_volume {
	const char *name; /* "uploads" of vol.uploads */
	const char *path;
	const char *exclude; /* comma separated patterns, or NULL */
	bool one_file_system;
	const char *before, *after; /* commands, or NULL */
	const char *compare; /* "content", "stat" */
	const char *tiers; /* never NULL: all where none were named */
	const char *site;
	int64_t keep; /* 0: the tier's; -1: forever */
};

struct conf {
	/* [ffdr] */
	const char *site, *state, *scratch, *credentials;
	/* [keys] */
	const char *kek, *signing;
	const char *escrow; /* NULL: none */
	/* [repository] */
	int64_t horizon;
	uint64_t pack_size;
	/* hidden from small installations, documented all the same */
	int64_t level;	 /* zstd level */
	int64_t workers; /* 0: one a processor */

	struct conf_tier *tier;
	size_t tiers;
	struct conf_volume *volume;
	size_t volumes;

	const char *file; /* the main file's path */
	/* Who set what, and the memory behind every string above; see conf_origin(). */
	struct conf_origin *origin;
	size_t origins;
	char **text;
	size_t texts;
};

/*
 * Reads file (NULL: FFDR_CONFIG or /etc/ffdr/ffdr.ini). Every problem of the whole configuration
 * is reported, one line each: "FILE:LINE: [section] key: what is wrong, did you mean ...?".
 * ERR_CONFIG. The error holds as many lines as it has room for and says how many more there are;
 * conf_load_all() appends all of them to `problems` as well.
 */
int conf_load(const char *file, struct conf **ret, struct err *e);
int conf_load_all(const char *file, struct conf **ret, struct buf *problems, struct err *e);
/* The same from a text in memory, for tests and the fuzzer; name stands for the file. */
int conf_parse(const char *name, const char *text, size_t n, struct conf **ret, struct err *e);
void conf_free(struct conf *c);

/*
 * Where a key of [ffdr] (index 0), the n-th tier or the n-th volume was set: "FILE:LINE" into out,
 * or "default". `key` is a row's section and key.
 */
void conf_origin(const struct conf *c, const char *section, size_t index, const char *key,
    struct buf *out);

const struct conf_tier *conf_find_tier(const struct conf *c, const char *name);
/* "vol.uploads", or "uploads" where only one source has that name; else ERR_NOTFOUND. */
int conf_find_source(const struct conf *c, const char *name, const struct conf_volume **ret,
    struct err *e);
/*
 * The tiers of a source, in its order, into ret (cap entries); returns how many there are, NULL or
 * "" meaning all of the configuration. Every one exists, conf_load checked it.
 */
size_t conf_source_tiers(const struct conf *c, const char *tiers, const struct conf_tier **ret,
    size_t cap);

#endif
