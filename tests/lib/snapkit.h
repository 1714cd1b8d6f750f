#ifndef TESTS_LIB_SNAPKIT_H
#define TESTS_LIB_SNAPKIT_H

#include "tests/lib/repokit.h"

/*
 * Snapshots that are nothing but a manifest with a pack table, over packs that are a few bytes: all
 * that retention, collection and copying look at. A pack is a number; its name is the hash of its
 * bytes.
 *
 * A test of them begins with a repository on so many tiers, and a clock that the test alone moves.
 * Both return 0, as what cmocka calls before and after a test does.
 */
int snapkit_begin(struct repokit *k, size_t tiers);
int snapkit_done(struct repokit *k);

void snapkit_sha(unsigned pack, uint8_t sha[LAYOUT_SHA]);
void snapkit_put_pack(struct repokit *k, size_t tier, unsigned pack);
bool snapkit_has_pack(struct repokit *k, size_t tier, unsigned pack);

struct snapkit_snap {
	const char *source; /* NULL: "vol.test" */
	int64_t time_ns;    /* in its name; 0: now */
	bool partial;
	unsigned pack[8]; /* up to the first 0 */
};
/* The manifest, and the packs that are not there, on that tier; its name into name. */
void snapkit_put(struct repokit *k, size_t tier, const struct snapkit_snap *s, char name[LAYOUT_NAME]);
bool snapkit_has(struct repokit *k, size_t tier, const char *name);
/* Objects whose name begins so. */
size_t snapkit_count(struct repokit *k, size_t tier, const char *prefix);

#endif
