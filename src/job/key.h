#ifndef JOB_KEY_H
#define JOB_KEY_H

#include "job/session.h"
#include "job/watch.h"
#include "repo/kek.h"

/* The keys of the repository: what there is, renewing them, proving the one in the safe. */

struct key_row {
	uint8_t epoch[LAYOUT_EPOCH];
	char recipient[KEK_RECIPIENT]; /* the id part of its name */
	uint64_t on;		       /* bit i: session.tiers.tier[i] has it */
};
struct key_report {
	struct key_row *row; /* one a key object, by epoch as the keyring has them */
	size_t count, room;
};
/*
 * What lies on the tiers that answer. The session has its repository open. key_list_done() always.
 */
int key_list(struct session *s, struct key_report *ret, struct err *e);
void key_list_done(struct key_report *r);
/* "key", "passphrase", "escrow": what a recipient's name says. */
const char *key_recipient_word(const char *recipient);

/*
 * A new data key for what is written from now on, and its epoch. The session is open for writing.
 */
int key_rotate_data(struct session *s, uint8_t epoch[LAYOUT_EPOCH], struct err *e);
/*
 * Wraps every data key for the key that `ref` names, made first when it is a file: or credential:
 * that is not there (*made). The old one opens nothing afterwards; but where the session was opened
 * by the escrow key, that and the lost kek go on to open what they did. A changed configuration is
 * the caller's to ask for.
 */
int key_rotate_kek(struct session *s, const char *ref, bool *made, struct err *e);
/*
 * Wraps every data key for the escrow key whose public half `ref` names; the pair is made when it is
 * not there (*made). *private_path: where the private half lies now, NULL: not here; caller frees.
 */
int key_rotate_escrow(struct session *s, const char *ref, bool *made, char **private_path,
    struct err *e);
/* Lets the signing key that `ref` names sign in this repository, made first as above. */
int key_rotate_signing(struct session *s, const char *ref, bool *made, uint8_t pub[SIGN_PUB],
    struct err *e);

struct key_escrow {
	size_t epochs; /* opened: all there are */
	size_t tiers;  /* that hold all of them for this key */
};
/*
 * Opens the repository with nothing but the private half in `path`, and looks for its key objects
 * on every tier. ERR_KEY when it is another key; ERR_CORRUPT when an epoch or a tier is without it.
 */
int key_escrow_test(const struct conf *c, const char *path, struct key_escrow *ret, struct err *e);

#endif
