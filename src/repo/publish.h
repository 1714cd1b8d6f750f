#ifndef REPO_PUBLISH_H
#define REPO_PUBLISH_H

#include "repo/keyring.h"
#include "repo/manifest.h"
#include "store/store.h"

/*
 * What commits a snapshot: the manifest is sealed, put under its name and read back, and everything
 * that it names is looked for once more. When something of it is not so it is taken away again. Once it
 * was put nobody's stop counts (store_stop_when()): what others see is settled first.
 */
int publish_manifest(struct store *s, struct manifest *m, const struct keyring *keys,
    struct err *e);

#endif
