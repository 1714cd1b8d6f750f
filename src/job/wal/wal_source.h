#ifndef JOB_WAL_SOURCE_H
#define JOB_WAL_SOURCE_H

#include "coord/active.h"
#include "job/session.h"
#include "repo/spool_dir.h"

/* What the verbs of WAL need of a source: where it goes, under which name, and who is active. */
#define WAL_SOURCE_TIERS 64

struct wal_source {
	const struct conf_source *source;
	struct tier *tier[WAL_SOURCE_TIERS]; /* that receive WAL, in order */
	bool off_host[WAL_SOURCE_TIERS];     /* does it survive this host? */
	size_t tiers;
	struct coord *coord;
	struct active active; /* etag "": nothing pinned yet */
	struct wal_place place;
	char host[256];	  /* in lower case */
	char *spool_path; /* of this host */
	struct spool_dir spool;
};

/*
 * The session's repository may be closed (SESSION_TIERS): then the spool cannot be read. ERR_CONFIG
 * when the source has no tier for WAL; wal_source_done() in any case.
 */
int wal_source_open(
    struct session *s, const struct conf_source *source, struct wal_source *ret, struct err *e);
void wal_source_done(struct wal_source *w);
/* Only these tiers, by name; ERR_USAGE for one that is not configured, whether it receives WAL or
 * not. */
int wal_source_only(struct wal_source *w, struct session *s, const char *tiers, struct err *e);

/*
 * Leaves those to who sends WAL as it comes, receiver or server: without the cold ones, which get it
 * in bundles, by `copy`. ERR_CONFIG when none is left.
 */
int wal_source_warm(struct wal_source *w, struct err *e);

/* The one of the configuration: by name, or the only one there is, or (sysid not 0) the one it is
 * pinned to. */
int wal_source_find(const struct conf *c, const char *name, uint64_t sysid,
    const struct conf_source **ret, struct err *e);

/*
 * Where a segment that is acknowledged now is durable, as one line: of which repository, on which
 * tiers, how many of them at least. Caller frees.
 */
char *wal_source_promise(const struct conf *c, const struct conf_source *source);

/* Name of this host as slots and leases have it. */
void wal_source_host(char out[256]);

#endif
