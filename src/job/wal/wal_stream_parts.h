#ifndef JOB_WAL_STREAM_PARTS_H
#define JOB_WAL_STREAM_PARTS_H

#include <stdatomic.h>
#include <sys/types.h>

#include "job/wal/wal_place.h"
#include "job/wal/wal_receive.h"
#include "job/wal/wal_resume.h"
#include "job/wal/wal_ship.h"
#include "job/wal/wal_stream.h"
#include "repo/spool.h"
#include "repo/wal_lineage.h"
#include "repo/walread.h"
#include "source/pg/pg_slot.h"

struct stream_elder;

/* Where archive and server were seen to part. */
struct stream_other {
	uint32_t tli;  /* 0: they were not */
	uint64_t lsn;  /* a byte of that timeline: they do so in its segment, or before */
	uint64_t sure; /* what begins before was received from this server */
};

/* What the parts of one receiver share. Not for others: job/wal/wal_stream.h is. */
struct stream {
	struct repo *repo;
	const struct wal_stream_options *o;
	const struct watch *watch;
	struct wal_stream_report *report;

	/* known once a server was reached */
	struct wal_place place;
	uint32_t segment_size, version;
	struct spool *spool;
	struct spool_dir dir;
	struct wal_ship *ship;
	uint32_t tli; /* being received; 0: not yet */
	uint64_t found; /* end of what the spool had of it when we began */
	/* nothing more comes before it: a hole, or the end of a timeline */
	struct wal_resume_at beyond;
	struct wal_resume_at newest;   /* in the spool */
	struct wal_resume_at archived; /* on the tiers when they were asked */
	struct wal_resume_at leg;      /* the shipper's last one begins there */
	bool asked;
	struct wal_from from; /* of the epoch; parent 0: none is known */

	struct buf known; /* to be compared with what the server sends first */
	uint64_t known_from;
	bool unproven; /* the server does not have so much any more */
	bool unproven_told;
	uint32_t checked; /* the history of this timeline is the archive's, or new */
	uint64_t confirmed; /* what our slot says that we had */
	struct stream_other other, contest; /* contest: a tier said so, and is not believed yet */
	bool tolerated; /* and nothing can be done about it */

	struct stream_elder *elder; /* epochs before this one that the spool still has something of */
	size_t elders;

	char *conninfo; /* the one in use */
	char *former;	/* used before it, until something came by the new one */
	char *refused;	/* what the configuration has now, and cannot be used */
	int64_t try_boot_ns, soon_boot_ns; /* tried again then; the latter while the one in use fails */
	int64_t back_ns; /* it was used in vain: so long until it is used again; 0: it was not */
	int64_t conf_boot_ns; /* read again then */
	bool conf_unread;     /* told once */
	bool turned;	      /* it leads elsewhere: this connection is not the one any more */

	/* of one connection */
	struct pg_conn *conn, *sql;
	struct wal_receive *receive;
	struct wal_resume_at at; /* it began there */
	bool heard, greeted;	 /* something came, of this one, or of any */
	uint32_t told_tli;	 /* the timeline that was last told of */
	struct wal_ship_seen seen;
	struct pg_commit_tally before; /* of earlier connections */
	uint64_t counted;	       /* up to here in the report's bytes */

	bool waited; /* somebody on the server may wait until we have flushed */
	int64_t waited_boot_ns; /* asked again then */

	struct lease lease;
	bool leased, lease_told;
	int64_t lease_boot_ns, upkeep_boot_ns, pause_ns;
	bool full;   /* the backlog is: receiving waits */
	bool let_go; /* and the slots were dropped for it */
	bool failed; /* so is the last round; told once */
	bool answered;	/* the server did, in the last round */
	unsigned tries; /* in vain, since it did and nothing came */
	bool unread_told;
	bool moved; /* another epoch has begun: this connection is not the one any more */
	atomic_bool hasty;  /* a tier that does not answer at once is away */
	bool due;    /* a base backup is, behind a gap */
	pid_t backup; /* who makes it; 0: nobody */
	int64_t due_boot_ns, again_ns;
	atomic_bool enough; /* we want to end: the shipper's workers wait for nobody any more */
};

/* wal_stream.c */
void __attribute__((format(printf, 3, 4)))
wal_stream_event(struct stream *s, const char *kind, const char *fmt, ...);

/* Asked by the shipper's workers: the struct stream. */
bool wal_stream_enough(void *arg);

/* wal_stream_keep.c: lease, spool, slots. Now and then by itself; call it often. */
bool wal_stream_keep_lease(struct stream *s); /* may we ship? */
void wal_stream_keep_up(struct stream *s);

/* wal_stream_pace.c: so many bytes came and are flushed; how soon for the next? Waits as long. */
void wal_stream_pace(struct stream *s, uint64_t bytes);

/*
 * wal_stream_conf.c: s->conninfo becomes what the configuration says, and s->turned when it is
 * another that leads to the database.
 */
void wal_stream_conf_read(struct stream *s);
void wal_stream_conf_look(struct stream *s); /* now and then by itself; call it often */
/* The round failed: is it for a conninfo that is new? Then the one of before is in use again. */
bool wal_stream_conf_back(struct stream *s, const struct err *why);
/* That one is not the database any more: may the new one, which is tried again, still lead there? */
bool wal_stream_conf_waits(const struct stream *s, const struct err *why);
void wal_stream_conf_good(struct stream *s); /* something came by it */
void wal_stream_conf_end(struct stream *s);

/* wal_stream_epoch.c */
/* Who answers must be the active server: what it says of itself, and which epoch is its. */
int wal_stream_epoch_server(struct stream *s, const struct pg_identity *id,
    struct wal_place_server *server, struct wal_place *ret, struct err *e);
/* Which epoch this server's WAL belongs to; with its first one, or a new one, spool and shipper. */
int wal_stream_epoch(struct stream *s, const struct pg_identity *id, struct err *e);
/* The server may never come back: what the spool has of it goes to the tiers all the same. */
int wal_stream_epoch_alone(struct stream *s, struct err *e);
/* Has another one begun? */
void wal_stream_epoch_look(struct stream *s);

/* wal_stream_elder.c: shippers of earlier epochs, made like the one of this. */
int wal_stream_elders_find(struct stream *s, const struct wal_ship_options *like, struct err *e);
void wal_stream_elders_step(struct stream *s);
void wal_stream_elders_free(struct stream *s);
/* wal_stream_due.c: the base backup behind a gap. */
void wal_stream_due_look(struct stream *s); /* is one due? */
void wal_stream_due_step(struct stream *s); /* starts it, sees its end; call it often */
void wal_stream_due_end(struct stream *s);

/* wal_stream_other.c: s->other is dealt with. 0: an epoch of its own begins for the server; -1. */
int wal_stream_other(struct stream *s, const struct pg_identity *id, const struct pg_history *h,
    struct err *e);
/* Has a tier refused a piece, because it has another one there? */
void wal_stream_other_look(struct stream *s);

/*
 * wal_stream_hole.c: s->archived becomes the place where what spool and tiers have breaks off first,
 * as far back as it may not; `all`: every tier has answered.
 */
void wal_stream_hole(struct stream *s, const struct wal_resume_view *v, struct walread *r, bool all);

/* wal_stream_where.c */
/*
 * That shipper is told what the spool has of that place, up to timeline `highest`. *last, *end: the
 * last timeline and its end; 0 when there is none.
 */
int wal_stream_where_tell(struct stream *s, const struct wal_place *place, struct wal_ship *ship,
    uint32_t highest, uint32_t *last, uint64_t *end, struct err *e);
/* What the tiers have of it already needs not be sent again. */
int wal_stream_where_there(
    struct stream *s, const struct wal_place *place, struct wal_ship *ship, struct err *e);
/*
 * Where to go on receiving; the shipper is told what there is, when it is new. ERR_STALE as
 * wal_resume.h.
 */
int wal_stream_where(struct stream *s, const struct pg_identity *id, const struct pg_slot *slot,
    struct wal_resume_at *ret, struct err *e);
/* Without a server: the shipper is told what the spool has. */
int wal_stream_where_alone(struct stream *s, struct err *e);
/* Receiving goes on at `to`, and not at `from`. */
int wal_stream_where_skip(struct stream *s, const struct wal_resume_at *from, uint64_t to,
    struct err *e);
/*
 * The server does not have it any more: written down, told, and receiving goes on from where it
 * has.
 */
int wal_stream_where_gap(struct stream *s, const struct wal_resume_at *from, uint64_t to,
    const char *why, struct err *e);

#endif
