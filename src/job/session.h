#ifndef JOB_SESSION_H
#define JOB_SESSION_H

#include "conf/conf.h"
#include "repo/repo.h"
#include "store/tier.h"

/*
 * What every job starts from: the configuration, its tiers opened, the repository with its keys.
 * Values go down from here; nothing below job/ sees the configuration. A state directory is not
 * needed to start: what cannot be kept there is a warning. A tier on which this host remembers
 * snapshots, and which has nothing at all now, is away: it is most likely not mounted.
 */
struct session {
	const struct conf *conf; /* borrowed */
	struct tier_set tiers;
	struct kek kek;
	struct buf escrow_pem; /* empty: none */
	struct repo *repo;     /* NULL with SESSION_TIERS */
	struct err state;      /* kind set: nothing can be kept in `state`, and why */
	int64_t as_of_ns;      /* the tiers are shown as they were then; 0: as they are */
	struct tier *now;      /* then: the one that is as it is, and may be written to; NULL */
	const char *only;      /* the one tier that was opened; NULL: all */
};

enum session_need {
	SESSION_NEW,   /* as SESSION_TIERS, for `init`: a tier that is empty now may be made anew */
	/* stores only, and those may all be away: what `check` and `list` start from */
	SESSION_TIERS,
	SESSION_READ,  /* repository open; signing key may be public or missing */
	SESSION_WRITE, /* and a private signing key */
};
/* On failure nothing is left to free; session_done() is harmless then too. */
int session_open(const struct conf *c, enum session_need need, struct session *ret, struct err *e);
void session_done(struct session *s);
/*
 * The same with the tiers as they were at a time (0: as they are). Those that cannot be looked at so are
 * left out, which is no warning (session_left_out()); where all are, that is the error. Nothing of such
 * a session is remembered in `state`. `now` (NULL: none) names a tier that is in the set once more, as it
 * is, behind the others: to be written to, and empty if need be.
 */
int session_open_past(const struct conf *c, int64_t as_of_ns, const char *now, enum session_need need,
    struct session *ret, struct err *e);
bool session_left_out(const struct session *s, const struct tier *t);
/*
 * The same with one tier alone, if `only` is not NULL: no other is asked for anything, so a dead one
 * costs no time. ERR_USAGE for an unknown one.
 */
int session_open_only(const struct conf *c, int64_t as_of_ns, const char *now, const char *only,
    enum session_need need, struct session *ret, struct err *e);
/* No tier is read for longer once somebody asked to stop (store_hurry_when()). */
void session_hurry_when(struct session *s, bool (*stop)(void *arg), void *arg);
/* Was not asked, because another one was meant. */
bool session_unasked(const struct session *s, const struct tier *t);
/* The second half of session_open(), for one that was opened with SESSION_TIERS. */
int session_open_repo(struct session *s, enum session_need need, struct err *e);
/*
 * Of a session with SESSION_TIERS, for who lists without keys: a tier that holds another repository
 * than ours is away. ERR_REFUSED when two differ and nothing tells which is ours.
 */
int session_only_ours(struct session *s, struct err *e);
/*
 * Options for repo_ functions out of the configuration: kek and escrow (read once, kept in the
 * session), signing key, pin file in state/. need: SESSION_READ lets the signing key be missing.
 * The caller frees *pin_path, and o->sign by sign_key_free() unless a repo_ function took it over.
 */
int session_repo_options(struct session *s, enum session_need need, struct repo_options *o,
    char **pin_path, struct err *e);
/* Reads the public escrow key, where one is configured, into the session: before new epochs. */
int session_escrow(struct session *s, struct err *e);
/*
 * The kek a reference names: a key of 32 bytes, by passphrase: a passphrase, or in PEM the private
 * half of the escrow key, which opens what a lost kek has locked. kek_done() in any case.
 */
int session_kek(const struct conf *c, const char *ref, struct kek *ret, struct err *e);
/* The signing key a reference names; `private`: the public half will not do. */
int session_signer(const struct conf *c, const char *ref, bool private, struct sign_key **ret,
    struct err *e);
/* Makes `state` when it is not there; -1 and the true reason when nothing can be kept there. */
int session_state(const struct conf *c, struct err *e);
/*
 * Nothing could be kept there: the first reason stays. Who keeps something looks at s->state
 * before.
 */
void session_state_lost(struct session *s, const struct err *why);
/* Where this host remembers the repository it works with. Caller frees. */
char *session_pin(const struct conf *c);
/* Where this host remembers its clock. Caller frees. */
char *session_clock(const struct conf *c);
/*
 * The tier by name, open, and as it is where there are both; ERR_USAGE for an unknown one, its own error
 * when it is away.
 */
int session_tier(struct session *s, const char *name, struct tier **ret, struct err *e);
/*
 * The tiers of a source ("vol.uploads") that are configured for it, in order, open or away; all
 * tiers when the source is not configured. At most cap; returns how many.
 */
size_t session_source_tiers(struct session *s, const char *source, struct tier **ret, size_t cap);
/* A warning when nothing can be kept in `state`. */
void session_warn_state(const struct session *s, void (*warn)(void *arg, const char *text),
    void *arg);
/* That, and tiers that are away. Calls back with one text each. */
void session_warn_away(const struct session *s, void (*warn)(void *arg, const char *text), void *arg);
#endif
