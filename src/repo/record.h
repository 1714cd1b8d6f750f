#ifndef REPO_RECORD_H
#define REPO_RECORD_H

#include "repo/repo.h"

/*
 * Small signed objects rec/<kind>/<source>/<time>-<8hex>: what was verified, what is held, what
 * happened. The text is lines `key value`; the object is type R.
 */
#define RECORD_MAX (1u << 20)	 /* bytes of a record's text */
#define RECORD_LIST_MAX (64u << 20) /* of a tombstone list's */

int record_put(const struct repo *r, struct store *to, const char *kind, const char *source,
    int64_t time_ns, const struct buf *text, char name[LAYOUT_NAME], struct err *e);
/* Under a name that is given, gc/<time>: 1 stored, 0 the name is taken, -1. */
int record_put_as(const struct repo *r, struct store *to, const char *name, const struct buf *text,
    struct err *e);
/* Any R by its name; its text is appended. */
int record_get(const struct repo *r, struct store *from, const char *name, struct buf *text,
    struct err *e);
/* Are these bytes the R of that name? 0/-1 */
int record_judge(const struct repo *r, const char *name, const struct buf *bytes, struct err *e);
/*
 * Value of the first line with that key, copied into out; 1, or 0 when there is no such line or
 * no room for it.
 */
int record_value(const struct buf *text, const char *key, char *out, size_t room);
/* Names of records, as they are listed. Zeros are none; free() releases `name`. */
struct record_names {
	char (*name)[LAYOUT_NAME]; /* zeros behind each, so that equal names are equal bytes */
	size_t count, room;
};
/* Appends those below a prefix; one that is no record's name is ERR_CORRUPT. */
int record_list(struct store *s, const char *prefix, struct record_names *l, struct err *e);

/*
 * Holds: which snapshots may not go. rec/hold/<source>/... with "snapshot ID", "state on|off",
 * "by", "why"; of the records on all tiers that answer the newest about a snapshot counts. One that
 * no tier has readable is an error: it may be a hold.
 */
struct record_hold {
	char id[96];
	char by[320]; /* who said so; "" where the record does not tell */
	char why[1024];
};
struct record_holds {
	struct record_hold *hold;
	size_t count;
	char (*missing)[LAYOUT_NAME]; /* records that other tiers have and t has not */
	size_t missings;
	uint8_t names[DIGEST_LEN]; /* of all records that were read */
};
/* t must answer; NULL: those that do. record_holds_done() in any case. */
int record_holds(const struct repo *r, struct tier *t, struct record_holds *ret, struct err *e);
void record_holds_done(struct record_holds *h);
/* Once more: 1 a record has come or gone and all were read anew, 0 *h is still what it is, -1. */
int record_holds_again(const struct repo *r, struct tier *t, struct record_holds *h, struct err *e);
/* A record that cannot be read, or that has a name of none, and why. */
typedef void record_unread(void *arg, const char *name, const struct err *why);
/* Calls back for each hold record on t alone that stops whoever asks for holds. */
int record_holds_unread(const struct repo *r, const struct tier *t, record_unread *unread, void *arg,
    struct err *e);
/* Brings what is missing there to t, byte for byte. How many, or -1. */
int record_holds_bring(const struct repo *r, struct tier *t, const struct record_holds *h,
    struct err *e);
/* NULL: that one is not held. */
const struct record_hold *record_held(const struct record_holds *h, const char *id);

/*
 * What a person let go of past the rules is written down before it is gone: as rec/run, by these
 * words.
 */
#define RECORD_RUN "run"
#define RECORD_RETIRE "expire --retire"	  /* object SOURCE */
#define RECORD_DISCARD "expire --discard" /* object snap/ID */
/*
 * Did somebody who may sign write down on this tier, of this tier, that this snapshot is let go of
 * there, alone or with all of its source, later than it was made? Later is by when the record was
 * stored, where its name says more. What cannot be read says no.
 */
bool record_let_go(const struct repo *r, const struct tier *t, const char *id);

#define RECORD_VERIFIED "verified" /* the tier was seen to hold that snapshot whole */
#define RECORD_BROKEN "broken"	   /* and not to */
/*
 * Calls back for each record of one of these kinds of a source on this store, oldest first. seen
 * ends it by -1. One that cannot be read proves nothing and is passed over; it is told to `unread`,
 * which may be NULL.
 */
struct record_proved {
	const char *name; /* of the record */
	const char *id;	  /* the snapshot that was proved, or found bad or incomplete */
	int level;	  /* by looking so far */
	int asked; /* as far as that was wanted: more, where some of it lies in an archive */
	int64_t time_ns;
};
typedef int record_proof(void *arg, const struct record_proved *p);
int record_proofs(const struct repo *r, struct store *s, const char *kind, const char *source,
    record_proof *seen, record_unread *unread, void *arg, struct err *e);
/* The same, newest first: a record is an object to fetch, and who has seen enough ends it. */
int record_proofs_back(const struct repo *r, struct store *s, const char *kind, const char *source,
    record_proof *seen, record_unread *unread, void *arg, struct err *e);

#endif
