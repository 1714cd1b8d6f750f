#ifndef REPO_BATCH_H
#define REPO_BATCH_H

#include "repo/fetch.h"
#include "repo/plan.h"

/*
 * What a worker of a fetch does in one go: opens wanted frames of one pack, hashes every grain that
 * is wanted, and gives the target what belongs together in one piece.
 */

/* Raw bytes of one: a write that keeps a disk busy, and small enough to stay in a cache. */
#define BATCH_RAW (1u << 20)

struct batch {
	const struct object *object;
	const struct digest_idkey *key;
	const struct fetch_target *target;
	const struct plan_row *want; /* of one frame or more, in order */
	size_t wants;
	const uint8_t *sealed; /* the object from byte `off` */
	uint64_t off;

	size_t done;	  /* rows that the target has */
	uint64_t written; /* bytes */
	/*
	 * Where done < wants after batch_run(): what is wrong with the frame of want[done], or why
	 * the target refused something (then done is where it stood).
	 */
	struct err err;
	bool refused;
};

/* How many of the rows from want[at] on are of the same frame. */
size_t batch_rows(const struct plan_row *want, size_t wants, size_t at);
/* Room that a frame takes in a batch. */
size_t batch_room(const struct object *o, uint16_t frame);
/* Does the rows from `done` on; a task of a pool. */
void batch_run(void *batch);

#endif
