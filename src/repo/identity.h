#ifndef REPO_IDENTITY_H
#define REPO_IDENTITY_H

#include "repo/keyring.h"

/*
 * One repo/<n>: the identity and numbers of the repository and who may sign, as signed clear
 * text. Each is signed by a signer of the one before, so trust in one key reaches all later ones.
 */
#define IDENTITY_TEXT_MAX (64u << 10)
#define IDENTITY_SIGNERS_MAX 256
#define IDENTITY_REPLACED_MAX 256
#define IDENTITY_SIGNATURES_MAX 2

struct identity_signature {
	uint8_t id[SIGN_ID];
	uint8_t sig[SIGN_LEN];
};

/* A key or escrow that no key object may be made for any more. */
struct identity_replaced {
	char recipient[KEK_RECIPIENT];
	int64_t at_ns;
};

struct identity {
	uint8_t repo_id[LAYOUT_REPO_ID];
	unsigned number;
	int64_t created_ns;
	int64_t horizon_ns;
	uint32_t pack_size;
	bool has_previous;
	uint8_t previous[DIGEST_LEN]; /* SHA-256 of repo/<number - 1> */
	struct keyring_signer *signer; /* oldest first */
	size_t signers;
	struct identity_replaced *replaced; /* oldest first */
	size_t replaceds;
	/* Of a parsed one: */
	struct identity_signature signature[IDENTITY_SIGNATURES_MAX];
	size_t signatures;
	uint8_t signed_sha[DIGEST_LEN]; /* of the text that is signed */
	uint8_t sha[DIGEST_LEN];	/* of all of it */
};

void identity_done(struct identity *it); /* zeros are an empty one */
void identity_add_signer(struct identity *it, const uint8_t pub[SIGN_PUB], int64_t from_ns);
const struct keyring_signer *identity_signer(const struct identity *it, const uint8_t id[SIGN_ID]);
void identity_add_replaced(struct identity *it, const char *recipient, int64_t at_ns);
/* NULL: it was not replaced. */
const struct identity_replaced *identity_replaced(const struct identity *it, const char *recipient);
/* Text signed by `by` and, when not NULL, by `also`, appended to out. */
int identity_encode(const struct identity *it, const struct sign_key *by,
    const struct sign_key *also, struct buf *out, struct err *e);
/* Form only. ERR_CORRUPT, ERR_UNSUPPORTED for a version this program does not know. */
int identity_parse(const struct buf *text, struct identity *ret, struct err *e);
/*
 * Is it the rightful successor of `before` (NULL: is it a sound repo/0)? ERR_CORRUPT says why
 * not.
 */
int identity_check(const struct identity *it, const struct identity *before, struct err *e);

#endif
