#ifndef TESTS_SIM_MODEL_H
#define TESTS_SIM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/layout.h"
#include "repo/repo.h"
#include "repo/writer.h"

/*
 * A source that is a handful of small files, and what each of its snapshots must restore to.
 * Contents are numbers: a grain's bytes follow from its number, 0 being zeros.
 */
#define MODEL_FILES 5
#define MODEL_GRAINS 3

struct model_file {
	bool there;
	uint32_t grain[MODEL_GRAINS]; /* all full but the last */
	unsigned grains;
	uint32_t tail; /* bytes of the last one */
};
struct model_tree {
	struct model_file file[MODEL_FILES];
};

/* Some files change, come, go. large: now and then one of several grains. */
void model_change(struct model_tree *t, bool large);
/*
 * Writes the tree as a snapshot, taking over without reading what `was` (the parent's tree, may be
 * NULL) has equal when `keep` is said. Stops after some files when `cut` is said: for a partial
 * one.
 */
struct model_write {
	const struct model_tree *tree, *was;
	bool keep, cut;
};
int model_write(struct writer *w, const struct model_write *m, struct err *e);
/* ERR_CORRUPT unless the snapshot restores to exactly this tree from this tier alone. */
int model_check(const struct repo *r, struct tier *t, const char *snap, const struct model_tree *tree,
    struct err *e);

#endif
