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
	/* Of an s3: tier; NULL: the driver's default, or the usual places. */
	const char *endpoint, *region;
	const char *access_key, *secret_key; /* references */
	const char *profile;
	const char *style; /* "path", "host" */
	const char *ca;
	const char *class; /* of storage, for packs; NULL: the bucket's */
	const char *thaw;  /* "standard", "expedited", "bulk"; NULL: standard */
	int64_t thaw_keep; /* milliseconds; 0: unset */
	const char *lock;  /* "none", "governance", "compliance" */
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

/* Major versions whose programs may be named: postgres.14 to postgres.18. */
#define CONF_POSTGRES_FIRST 14
#define CONF_POSTGRES_LAST 18
#define CONF_POSTGRES_MAJORS (CONF_POSTGRES_LAST - CONF_POSTGRES_FIRST + 1)

struct conf_postgres {
	const char *name; /* "payments" of pg.payments */
	const char *conninfo; /* as libpq takes it; there is no password in it */
	const char *method;   /* "auto", "stream", "local" */
	const char *data;     /* its directory on this host, or NULL */
	const char *tiers;    /* as a volume's */
	const char *wal; /* the tiers that WAL goes to; NULL: none; see conf_wal_tiers() */
	const char *wal_from; /* "stream", "push" */
	int64_t ship_every;
	const char *slot; /* with %H in it; conf_postgres_slot() has the name */
	uint64_t backlog;
	const char *backlog_full; /* "hold", "drop-slot" */
	int64_t push_ack, readers;
	uint64_t rate;	       /* bytes a second; 0: no limit */
	const char *checkpoint; /* "fast", "spread" */
	const char *check_sql; /* or NULL */
	const char *site;
	int64_t keep; /* as a volume's */
};

/*
 * A source of any kind, as the verbs see it that work on all of them. What is a kind's own is behind
 * the one pointer that is set.
 */
enum conf_kind { CONF_KIND_VOLUME, CONF_KIND_POSTGRES };

struct conf_source {
	enum conf_kind kind;
	const char *name; /* "pg.payments" */
	const char *bare; /* "payments" */
	const char *tiers; /* never NULL */
	const char *site;
	int64_t keep;	  /* 0: the tier's; -1: forever */
	const char *path; /* where it lies on this host, or NULL: elsewhere, or nobody said */
	const struct conf_volume *volume;
	const struct conf_postgres *postgres;
};

struct conf {
	/* [ffdr] */
	const char *site, *state, *scratch, *credentials;
	const char *run_as;
	int64_t nice; /* of what steps back */
	/* Where the programs of major version CONF_POSTGRES_FIRST + n are; NULL: to be found. */
	const char *postgres_bin[CONF_POSTGRES_MAJORS];
	/* [keys] */
	const char *kek, *signing;
	const char *escrow; /* NULL: none */
	/* [repository] */
	int64_t horizon;
	uint64_t pack_size;
	/* hidden from small installations, documented all the same */
	int64_t level;	 /* zstd level */
	int64_t workers; /* 0: one a processor */
	/* [coordination] */
	const char *coord_place; /* "file:/var/lib/ffdr/coord" */
	int64_t coord_ttl, coord_renew, coord_skew;

	struct conf_tier *tier;
	size_t tiers;
	struct conf_volume *volume;
	size_t volumes;
	struct conf_postgres *postgres;
	size_t postgreses;
	/* All of them: first the volumes, then PostgreSQL, each in the order of the files. */
	struct conf_source *source;
	size_t sources;

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
 * Where a key of [ffdr] (index 0), the n-th tier, volume or [postgres] was set: "FILE:LINE" into
 * out, or "default". `key` is a row's section and key.
 */
void conf_origin(const struct conf *c, const char *section, size_t index, const char *key,
    struct buf *out);

const struct conf_tier *conf_find_tier(const struct conf *c, const char *name);
/* What stands in front of the dot: "vol", "pg". */
const char *conf_kind_word(enum conf_kind kind);
/*
 * "vol.uploads", or "uploads" where only one source has that name. ERR_NOTFOUND when none has,
 * ERR_USAGE when several have.
 */
int conf_find_source(const struct conf *c, const char *name, const struct conf_source **ret,
    struct err *e);
/*
 * The tiers of a source, in its order, into ret (cap entries); returns how many there are, NULL or
 * "" meaning all of the configuration. Every one exists, conf_load checked it.
 */
size_t conf_source_tiers(const struct conf *c, const char *tiers, const struct conf_tier **ret,
    size_t cap);
/* The same of the tiers that receive its WAL continuously; 0: none. */
size_t conf_wal_tiers(const struct conf *c, const struct conf_postgres *p,
    const struct conf_tier **ret, size_t cap);
/* Does it receive the WAL of that source? */
bool conf_wal_goes_to(const struct conf *c, const struct conf_postgres *p,
    const struct conf_tier *t);

#define CONF_SLOT 64 /* NAMEDATALEN of the server */
/* The slot that the server keeps for all hosts together: no host's own may have its name. */
#define CONF_SLOT_HOLD "ffdr_hold"
/*
 * The replication slot of a host: %H is its name in lower case, what no slot may have in it being
 * '_'. ERR_CONFIG when it is too long, or CONF_SLOT_HOLD.
 */
int conf_postgres_slot(const struct conf_postgres *p, const char *host, char out[CONF_SLOT],
    struct err *e);
/* Where the programs of a major version are; NULL when the configuration does not say. */
const char *conf_postgres_bin(const struct conf *c, unsigned major);

#endif
