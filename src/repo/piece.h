#ifndef REPO_PIECE_H
#define REPO_PIECE_H

#include "repo/layout_wal.h"
#include "repo/wal_beat.h"

/*
 * A piece of WAL as an object of type W: its name, a head of a few lines, the bytes in frames of
 * kind 5. *.partial and *.backup files are stored the same way.
 */
#define PIECE_MAX (16u << 20) /* WAL bytes of a piece: the segment nearly everybody has */

struct piece {
	struct layout_wal at;  /* what its name says: a piece, or an `other` */
	uint32_t segment_size; /* the server's; 0 in an `other`: not known */
	uint32_t version;      /* its server_version_num; 0: not known (pushed) */
	char host[WAL_BEAT_HOST]; /* who stored it */
	bool sampled;
	struct wal_sample sample;
};

/* An `other` longer than that goes in parts of PIECE_MAX: it might not fit into an object. */
#define PIECE_OTHER_MAX (128u << 20)

/*
 * Seals n bytes (at.end - at.start of them; any number for an `other` that is whole) into out, whose
 * memory is replaced; name gets the object's name. No shared state: may run in a worker. ERR_BUG for what
 * no piece can be (across a segment's end, longer than PIECE_MAX), ERR_KEY, ERR_FULL.
 */
int piece_seal(const struct keyring *k, const struct piece *p, const void *wal, size_t n,
    struct buf *out, char name[LAYOUT_NAME], struct err *e);
/*
 * Opens what was found under that name: hash, repository, own name, head against name, ids, and
 * that the bytes are as many as the name says. They are appended to wal (NULL: only the head is
 * wanted, yet all of the object must be there). ERR_CORRUPT, ERR_KEY, ERR_UNSUPPORTED.
 */
int piece_open(const struct keyring *k, const char *name, const struct buf *sealed,
    struct piece *ret, struct buf *wal, struct err *e);
/*
 * The same for handing WAL to a server, into an empty wal: nothing is hashed. Every frame has its
 * tag, and every record of WAL a sum that the server looks at.
 */
int piece_read(const struct keyring *k, const char *name, const struct buf *sealed,
    struct piece *ret, struct buf *wal, struct err *e);
/*
 * Puts a sealed piece under its name, never over another: 1 stored; 0 the name was taken by a piece
 * with the same bytes of WAL; 2 stored, and what had the name, which did not even hash to its own
 * trailer, was set aside (store/aside.h). -1: ERR_EXISTS when the name holds other WAL (the message
 * names both hosts), else why it could not be read or stored. May run in a worker that has the
 * store for itself.
 */
int piece_put(const struct keyring *k, struct store *to, const char *name,
    const struct buf *sealed, struct err *e);

#endif
