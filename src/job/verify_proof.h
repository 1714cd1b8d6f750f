#ifndef JOB_VERIFY_PROOF_H
#define JOB_VERIFY_PROOF_H

#include "job/verify.h"
#include "job/verify_wal.h"
#include "repo/manifest.h"
#include "repo/packset.h"

struct verify_listed {
	uint8_t sha[LAYOUT_SHA]; /* first: compared alone */
	uint64_t size;
};

/* One tier being verified. */
struct verify_proof {
	struct session *s;
	struct tier *t;
	const struct verify_options *o;
	const struct watch *w;
	struct verify_report *report;
	int64_t end_ns; /* boot time of the budget's end; 0: none */
	uint64_t total; /* bytes of the run, all tiers; 0: not known */
	struct verify_listed *listed; /* packs, in order of hash */
	size_t packs, pack_room;
	struct packset good, bad; /* looked at in this run */
	struct packset frozen; /* of the good: by what the store says of them, for they lie in an archive */
	bool unsummed;	       /* of one it says no hash */
	struct verify_wal *wal; /* of databases: what was seen of it */
	size_t unproved;	/* snapshots that need what was not read */
	const char *id;		/* the snapshot in hand; "": what all need */
	bool mute;		/* the tier takes no records */
};

/* What --repair may do about it. */
enum verify_remedy {
	REMEDY_NONE,
	REMEDY_COPY,  /* another tier's copy helps */
	REMEDY_ASIDE, /* nobody misses it, and others are written: out of the way */
};

/*
 * Something is wrong with that object: noted, told, and mended when it can be. 1 when all is well
 * now, else 0.
 */
int verify_proof_find(struct verify_proof *p, const char *object, enum verify_remedy remedy,
    const struct err *why);

/* The tier's packs, to be listed after the manifests that name them. */
int verify_proof_list(struct verify_proof *p, struct err *e);
/* -1: ERR_NOTFOUND, or ERR_CORRUPT where its size is another. */
int verify_proof_listed(const struct verify_proof *p, const struct manifest_pack *mp,
    struct err *e);
/* Each pack once. 1 good, 0 bad, -1 the tier or the person ended it. */
int verify_proof_pack(struct verify_proof *p, const struct manifest_pack *mp, struct err *e);
void verify_proof_done(struct verify_proof *p);

#endif
