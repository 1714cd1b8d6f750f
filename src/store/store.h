#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Where objects live: a flat space of names over [A-Za-z0-9._/-] holding whole, immutable objects
 * of at most STORE_OBJECT_MAX bytes. A driver does what it is told once; patience (retry,
 * deadline) is the store_ functions' business. Drivers are in storage-backends/.
 */
#define STORE_OBJECT_MAX (160u << 20)
#define STORE_NAME_MAX 512

enum store_put {
	STORE_NEW,     /* never replaces: 0 when the name is taken */
	STORE_REPLACE, /* beat/, and a bad object by a good one: in one step, or not at all */
};

struct store_stat {
	uint64_t size;
	int64_t time_ns; /* when it was stored, by the store's own clock */
};

struct store_entry {
	const char *name;
	uint64_t size;
	int64_t time_ns;
};
/*
 * May an object be read now? What lies in an archive has to be ordered back, which takes hours, and
 * goes again some days later.
 */
enum store_state {
	STORE_READABLE, /* at once, and always */
	STORE_FROZEN,	/* it has to be ordered */
	STORE_THAWING,	/* it is ordered, and not there yet */
	STORE_THAWED,	/* until then */
};
struct store_cold {
	enum store_state state;
	int64_t until_ns; /* of STORE_THAWED, by the store's clock; 0: it does not say */
	uint64_t size;
	char class[40]; /* of storage, in the store's word; "" where it says none */
	bool summed;	/* the store holds this SHA-256 of it, compared with the bytes when they came */
	uint8_t sha[32];
};
/* How fast, and at what price. */
enum store_speed { STORE_STANDARD, STORE_EXPEDITED, STORE_BULK };

/* Return 0 to go on, -1 (with e set) to end the listing with that error. */
typedef int store_seen(void *arg, const struct store_entry *entry, struct err *e);

/*
 * What is done for objects whose name begins with that. Of a list of rules the first that fits counts,
 * and where none does nothing is done.
 */
struct store_rule {
	const char *prefix; /* NULL ends the list */
	bool cold;	    /* goes into the tier's class of storage */
	int64_t lock_ms;    /* nobody can delete it before; 0: not locked */
};

enum store_lock {
	STORE_LOCK_NONE,
	STORE_LOCK_GOVERNANCE, /* who has a right of its own may */
	STORE_LOCK_COMPLIANCE, /* nobody */
};

/* What a tier's section says about its store; borrowed for the life of the store. */
struct store_options {
	const char *url;
	const char *driver; /* by name; NULL: the first of the url's kind */
	uint64_t rate;	    /* bytes a second, 0 = no limit */
	/* Of stores over HTTP; NULL: what the driver takes then. */
	const char *endpoint, *region;
	const char *access_key, *secret_key; /* as they are */
	const char *profile;		     /* of the shared credentials, where there are no keys */
	const char *ca;			     /* a file of certificates */
	bool host_style;
	const char *class; /* of storage, for what may lie cold; NULL: none */
	enum store_lock lock;
	const struct store_rule *rule; /* NULL: none */
	/* Found by probing: it replaces what it was told not to, so a put looks first. */
	bool overwrites;
	/* And: it refuses bytes that are not those of their sum, so one that it keeps was compared. */
	bool compares;
	/* Shows what there was at this time, by the store's clock, and changes nothing; 0: as it is. */
	int64_t as_of_ns;
};

/*
 * What a store does, found by trying it: never known by its name. `seen` are the store's own words
 * where it refused; "" where there are none.
 */
enum store_can { STORE_UNKNOWN, STORE_CANNOT, STORE_CAN };
struct store_ability {
	enum store_can can;
	char seen[256];
};
struct store_abilities {
	struct store_ability exclusive; /* of many writers of one name one wins: nothing is replaced */
	struct store_ability checks;	/* refuses bytes that are not those of their checksum */
	struct store_ability versions;	/* what is deleted or replaced is still there, hidden */
	struct store_ability locks;	/* keeps what is locked until its time, from everybody */
	struct store_ability class;	/* puts into the class of the options, and says so */
	struct store_ability tidies;	/* removes what is hidden by itself, in time */
	/* Locks also what must go (pend/, gc/): the place has a default of its own. */
	bool locks_all;
	bool expires; /* removes by age what is there, by a rule of its own */
};

struct store;
/* Returns 0 when it may be there now, -1 (with e set, or left as it is). From any thread. */
typedef int store_frozen(void *arg, struct store *s, const char *name, struct err *e);

struct store_ops {
	const char *scheme; /* "file" */
	const char *name;   /* "fs": of several for one scheme the configuration may choose */
	/* Must not create anything. A place that is not there is ERR_REMOTE. */
	int (*open)(const struct store_options *o, struct store **ret, struct err *e);
	/*
	 * 1 stored and durable, 0 the name was taken (STORE_NEW), -1. After -1 the object may or
	 * may not be there, whole. ERR_CORRUPT, also from the calls below: what has the name can be
	 * no object. After 0 nothing is known of the bytes that are there. sha: their SHA-256, where
	 * it is known already; NULL.
	 */
	int (*put)(struct store *s, const char *name, const void *data, size_t len,
	    const uint8_t *sha, enum store_put how, struct err *e);
	/*
	 * Appends bytes [off, off+len) to out; len 0 = to the end. ERR_NOTFOUND, ERR_CORRUPT when
	 * shorter than asked.
	 */
	int (*get)(struct store *s, const char *name, uint64_t off, uint64_t len, struct buf *out,
	    struct err *e);
	/* 1/0/-1 */
	int (*stat)(struct store *s, const char *name, struct store_stat *ret, struct err *e);
	/*
	 * Every object whose name starts with prefix, in byte order of names, and greater than
	 * `after` (NULL: all).
	 */
	int (*list)(struct store *s, const char *prefix, const char *after, store_seen *seen,
	    void *arg, struct err *e);
	/* 1 gone now, 0 was not there, -1 */
	int (*del)(struct store *s, const char *name, struct err *e);
	/* The store's own clock, the one its time_ns come from. */
	int (*clock)(struct store *s, int64_t *ret_ns, struct err *e);
	/*
	 * The same without asking, by what the store said within the last minute: true. NULL: it says
	 * nothing of the time by itself.
	 */
	bool (*clock_lately)(struct store *s, int64_t *ret_ns);
	/*
	 * Tries what the options ask for and a store may not have. Objects of it lie below `place` and
	 * are gone afterwards, where the store lets them go.
	 */
	int (*probe)(struct store *s, const char *place, struct store_abilities *ret, struct err *e);
	/*
	 * Locks what is there as its rule says, counted from now, where that is over slack_ms longer than
	 * it is locked already: 1 it is now, 0 there was no need, -1. A lock never becomes shorter. NULL:
	 * locks nothing.
	 */
	int (*relock)(struct store *s, const char *name, int64_t slack_ms, struct err *e);
	/* NULL: all that is there can be read. 1/0/-1 as stat. Nothing is ordered by it. */
	int (*cold)(struct store *s, const char *name, struct store_cold *ret, struct err *e);
	/*
	 * Orders it back for so many days: 1 ordered, 0 it had been, or need not be; what is back stays
	 * for so many days from now. NULL with `cold`.
	 */
	int (*thaw)(struct store *s, const char *name, enum store_speed speed, unsigned days,
	    struct err *e);
	/*
	 * Another place stands where the one was that was opened; no call reaches either then. NULL: an
	 * address is all there is, and leads to what stands there now.
	 */
	bool (*replaced)(struct store *s);
	void (*close)(struct store *s);
	/*
	 * time_ns may come from the clock of whoever stored it: so of what another host stored, or
	 * this one before it was started again, no age is proved.
	 */
	bool times_by_writer;
	/* Its clock and its times are cut to multiples of this; 0: they are not. */
	int64_t tick_ns;
	/* Can be opened as it was (as_of_ns): what was replaced or deleted is kept, out of sight. */
	bool looks_back;
	/* Behind a network: a call may wait long. open() is for any thread then, as the others are. */
	bool far;
};

/*
 * First member of every driver's own struct, which open() fills with zeros but for ops and
 * options.
 */
struct store {
	const struct store_ops *ops;
	struct store_options options;
	/* up to when the bytes moved so far fill the rate; boot time, patience.c's own */
	_Atomic int64_t paid_ns;
	/* store_slow_down() */
	_Atomic int64_t rest_ns;
	bool (*stop)(void *arg); /* store_stop_when() */
	void *stop_arg;
	bool (*hurry)(void *arg); /* store_hurry_when() */
	void *hurry_arg;
	store_frozen *frozen; /* store_when_frozen() */
	void *frozen_arg;
};

/* All drivers, ended by NULL (storage-backends/backends.c). */
extern const struct store_ops *const store_backends[];

/*
 * Picks the driver by scheme and name. ERR_CONFIG for an unknown one, ERR_UNSUPPORTED when it is to be
 * opened as it was and keeps nothing of that.
 */
int store_open(const struct store_options *o, struct store **ret, struct err *e);
void store_close(struct store *s);
/* Is what these options open far (store_ops)? */
bool store_far(const struct store_options *o);

/*
 * From now on no put begins once `stop` says so, and pauses end then: ERR_CANCELLED. It is asked
 * from every thread that uses the store. NULL: never. What was begun is not broken off.
 */
void store_stop_when(struct store *s, bool (*stop)(void *arg), void *arg);
/* Does it say so now? */
bool store_stopped(const struct store *s);
/*
 * The same for who reads: pauses end then, nothing that failed is tried again, and what is being read
 * from afar is broken off, which is the store's own error or ERR_REMOTE. All else is done as before, so
 * that what is to be noted still can be. The caller knows why, and says so.
 */
void store_hurry_when(struct store *s, bool (*hurry)(void *arg), void *arg);
/* For drivers: does it hurry now? */
bool store_hurries(const struct store *s);
/*
 * From now on a get that meets what lies in an archive asks this function to have it brought back,
 * and tries again where it says so. NULL: then it is ERR_FROZEN at once.
 */
void store_when_frozen(struct store *s, store_frozen *frozen, void *arg);
/* For drivers: the store asked to be left alone for so long. No call begins before. */
void store_slow_down(struct store *s, int64_t ns);
/* The rule of that name; NULL: none. */
const struct store_rule *store_rule_of(const struct store_options *o, const char *name);

/*
 * As in store_ops, with names checked, the rate kept, and ERR_REMOTE tried again with growing
 * pauses until the deadline (30 s; a put below snap/ 30 min in all). What a failed try left
 * behind is settled: a put that finds its own bytes under the name says 1, a get adds nothing to
 * out when it fails, a listing goes on where it was.
 */
int store_put(struct store *s, const char *name, const void *data, size_t len, enum store_put how,
    struct err *e);
/* With the SHA-256 of the bytes, which some stores want: nobody shall compute it twice. */
int store_put_known(struct store *s, const char *name, const void *data, size_t len,
    const uint8_t *sha, enum store_put how, struct err *e);
int store_get(struct store *s, const char *name, struct buf *out, struct err *e);
int store_get_range(struct store *s, const char *name, uint64_t off, uint64_t len, struct buf *out,
    struct err *e);
int store_stat(struct store *s, const char *name, struct store_stat *ret, struct err *e);
int store_list(struct store *s, const char *prefix, const char *after, store_seen *seen, void *arg,
    struct err *e);
/* Is there any object below the prefix? 1, 0, -1. */
int store_any(struct store *s, const char *prefix, struct err *e);
int store_del(struct store *s, const char *name, struct err *e);
int store_clock(struct store *s, int64_t *ret_ns, struct err *e);
/*
 * With how far beyond that the clock may have been when this returned: what it cuts off, and what asking
 * took. For ages that must not be told too short.
 */
int store_clock_within(struct store *s, int64_t *ret_ns, int64_t *blur_ns, struct err *e);
/*
 * Where that tells it, without a question to the store. For dates that nobody removes anything by: a
 * host that was stopped in the meantime does not know it.
 */
int store_clock_lately(struct store *s, int64_t *ret_ns, struct err *e);
/* Without patience: for who was told ERR_REMOTE. */
static inline bool
store_replaced(struct store *s)
{
	return s->ops->replaced != NULL && s->ops->replaced(s);
}
int store_relock(struct store *s, const char *name, int64_t slack_ms, struct err *e);
int store_cold(struct store *s, const char *name, struct store_cold *ret, struct err *e);
int store_thaw(struct store *s, const char *name, enum store_speed speed, unsigned days,
    struct err *e);
int store_probe(struct store *s, const char *place, struct store_abilities *ret, struct err *e);
/*
 * 1 to STORE_NAME_MAX characters of the alphabet, parts between single slashes, none of them over
 * 255 long or with a dot in front, which other programs leave in directories and no listing shows;
 * and not below tmp/, which drivers keep for themselves.
 */
bool store_name_valid(const char *name);

#endif
