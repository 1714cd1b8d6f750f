#ifndef REPO_PACKS_H
#define REPO_PACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "repo/object.h"
#include "repo/repo.h"

/*
 * Packs to read from, wherever a good copy lies: the tier named first, then the others, nearest first;
 * an archive (tier.last) is asked after all others, also where it is the one named. What was opened is
 * kept, a bounded number of indexes and of bytes of frames. For one thread.
 */
struct packs;

struct packs *packs_new(struct repo *repo, struct tier *first);
void packs_free(struct packs *p);

/* Header and index of a pack; lives until the next packs_ call. */
int packs_open(struct packs *p, const uint8_t sha[LAYOUT_SHA], const struct object **ret,
    struct err *e);
/*
 * The same from the choice-th tier, read anew and the caller's to free: 1, 0 there are not so many
 * choices, -1. What opens may still be another pack under this name: only ids tell.
 */
int packs_index(struct packs *p, const uint8_t sha[LAYOUT_SHA], unsigned choice,
    struct object **ret, struct err *e);
/*
 * For a caller whom ids told that the pack is not the one named: from now on the next tier's, whose
 * index opens. False when there is none.
 */
bool packs_other(struct packs *p, const uint8_t sha[LAYOUT_SHA], const struct err *why);
/* The raw bytes of a frame, every grain's id checked; they live until the next packs_ call. */
int packs_frame(struct packs *p, const uint8_t sha[LAYOUT_SHA], uint16_t frame,
    const struct object **object, const uint8_t **raw, struct err *e);
/*
 * Bytes [off, off + len) of a pack into out (emptied first), from the try-th choice of tier: 1, 0
 * when there are not so many choices, -1. For callers that judge the bytes themselves and come back
 * for another copy. May be called from any thread while the owner does nothing but packs_index.
 */
int packs_bytes(struct packs *p, const uint8_t sha[LAYOUT_SHA], uint64_t off, size_t len,
    unsigned choice, struct buf *out, struct err *e);
/*
 * Of the reasons why no copy can be had one counts: damage before absence, and before both that one lies
 * in an archive, for that can be had.
 */
void packs_weigh(struct err *worst, const struct err *why);
/* For the error of a copy: which tier's it is, and under which name it lies there. -1. */
int packs_in_place(const struct packs *p, const uint8_t *sha, unsigned choice, struct err *e);
/*
 * Of how many objects a tier's copy was missing or bad and another one served, or was had from another
 * tier because the first one is an archive; asides: of these, by one that had been set aside as bad;
 * text: the last such (may be "").
 */
unsigned packs_fallbacks(const struct packs *p, unsigned *asides, const char **text);
/* Of these, with how many nothing was wrong: the first is an archive, and another tier has it at hand. */
unsigned packs_frozen(const struct packs *p);
/* sha NULL: the manifest. */
void packs_count_fallback(struct packs *p, const uint8_t *sha, unsigned choice, const struct err *why);

/*
 * Every tier that answers was asked for that pack and has it not: ERR_CORRUPT, which says so, for a
 * snapshot names it. It is remembered. -1.
 */
int packs_nowhere(struct packs *p, const uint8_t sha[LAYOUT_SHA], struct err *e);
/* Was a pack wanted that is nowhere? The last one into sha. */
bool packs_lost(const struct packs *p, uint8_t sha[LAYOUT_SHA]);

#endif
