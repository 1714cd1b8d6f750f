#ifndef REPO_REPO_AUDIT_H
#define REPO_REPO_AUDIT_H

#include "repo/repo.h"

/*
 * What a tier holds of the repository's own objects, repo/ and key/, judged as if it were the only
 * tier left: each there and sound, and each epoch opened from there alone.
 */
struct repo_flaw {
	char object[LAYOUT_NAME];
	/*
	 * ERR_NOTFOUND: it is not there, though it must be. ERR_CORRUPT, ERR_KEY: changed or
	 * forged, or nothing there opens this epoch for this kek.
	 */
	struct err why;
};
struct repo_audit {
	struct repo_flaw *flaw; /* at most one an object */
	size_t count, room;
	/* key objects that are there and that a signer of ours has signed */
	char (*sound)[LAYOUT_NAME];
	size_t sounds, sound_room;
	size_t opened; /* epochs of r->keys that the kek opens there */
};

/*
 * Must be there: every repo/<n> of the chain, byte for byte; every key object that some tier has
 * sound; one for the escrow of each epoch. What is there under another such name must be sound, too.
 * -1 only when the tier cannot be asked, ERR_REMOTE; *ret is to be freed by repo_audit_done() in any case.
 */
int repo_audit(struct repo *r, const struct kek *kek, struct tier *t, struct repo_audit *ret,
    struct err *e);
void repo_audit_done(struct repo_audit *a);
/* Of how many epochs of r->keys a sound key object for that recipient is there. */
size_t repo_audit_recipient(const struct repo_audit *a, const struct repo *r,
    const char *recipient);
/*
 * A tier_judge, arg being the struct repo: are these the bytes of that repo/ or key/ object? Needs
 * no secret.
 */
int repo_audit_judge(void *arg, const char *name, const struct buf *bytes, struct err *e);

#endif
