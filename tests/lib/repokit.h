#ifndef TESTS_LIB_REPOKIT_H
#define TESTS_LIB_REPOKIT_H

#include "repo/repo.h"

/*
 * What a host needs to work with a repository, over stores in memory. Tests take what they need:
 * the keys alone, or tiers with a repository on them. Any failure in here ends the test.
 */
#define REPOKIT_TIERS 3

struct repokit {
	struct tier tier[REPOKIT_TIERS]; /* "one", "two", "three" */
	struct store *own[REPOKIT_TIERS]; /* the same objects, also while the tier is closed */
	struct tier_set tiers;
	struct kek kek;
	struct buf sign_pem; /* the host's signing key */
	struct repo_options options; /* sign is filled by repokit_options() */
	struct repo *repo;
};

/* Empty tiers, a kek, a signing key; no repository yet. */
void repokit_begin(struct repokit *k, size_t tiers);
/*
 * The options for one call of repo_init or repo_open, with a signing key that the call takes over
 * on success.
 */
struct repo_options *repokit_options(struct repokit *k);
/* After a call that failed: the signing key was not taken. */
void repokit_failed(struct repokit *k);
/* begin, and a repository on all tiers, opened. */
void repokit_init(struct repokit *k, size_t tiers);
/*
 * For cmocka_unit_test_setup_teardown, where a test needs one and no more: `repokit`, made anew for
 * each, with so many tiers.
 */
extern struct repokit repokit;
int repokit_one_tier(void **state);
int repokit_two_tiers(void **state);
int repokit_teardown(void **state);
/* Closes the repository, opens it again as another run would, with tiers that were away as well. */
void repokit_reopen(struct repokit *k);
void repokit_done(struct repokit *k);
/* A kek of its own, and the repository opened as a host whose configuration names it (borrowed). */
void repokit_make_kek(struct kek *kek);
void repokit_turn_to(struct repokit *k, const struct kek *kek);

/* Asserts that rc is -1, of that kind, and that the text says it. */
void repokit_refused(int rc, const struct err *e, enum err_kind kind, const char *says);
/* init, or the repository closed and opened anew, is refused. */
void repokit_init_refused(struct repokit *k, enum err_kind kind, const char *says);
void repokit_open_refused(struct repokit *k, enum err_kind kind, const char *says);
/* init is done and made something on so many tiers. */
void repokit_must_init(struct repokit *k, unsigned expected);
/* A new object of that text. */
void repokit_put(struct store *s, const char *name, const char *text);

/* A keyring with one epoch and one signer, without any store. */
struct keyring *repokit_keyring(void);

#endif
