#ifndef TESTS_LIB_MEMSTORE_H
#define TESTS_LIB_MEMSTORE_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

/*
 * A store in memory that keeps every promise of store.h, for simulations and unit tests. Its
 * clock is clock_real_ns() plus its own skew. Every call first runs the hook of the handle it
 * came by, with the name of the operation ("put", "get", "stat", "list", "del", "clock") and the
 * object; a listing runs it again as "entry" before each name it reports, and the hook may change
 * the store in between, as other hosts do. The hook may leave by longjmp: nothing is half done
 * before it.
 *
 * Several handles may share one store's contents; the contents go with the last handle.
 */
typedef void memstore_before(void *arg, const char *op, const char *name);

struct store *memstore_new(void);
/* another handle to the same objects, without hook */
struct store *memstore_share(struct store *s);
void memstore_hook(struct store *s, memstore_before *before, void *arg);
void memstore_skew(struct store *s, int64_t ns);
/* While away every operation is ERR_REMOTE. For all handles. */
void memstore_away(struct store *s, bool away);
/*
 * What lies below that prefix (borrowed; NULL: nothing) has to be thawed before it is read, as in an
 * archive class; summed: the store tells the SHA-256 of what it took. For all handles.
 */
void memstore_freeze(struct store *s, const char *prefix, bool summed);

/* What a test wants to see and do behind the program's back. Not hooked. */
size_t memstore_count(const struct store *s);
/* The bytes of an object, to look at or to damage in place; NULL when absent. */
uint8_t *memstore_bytes(struct store *s, const char *name, size_t *ret_len);
void memstore_set_time(struct store *s, const char *name, int64_t time_ns);
void memstore_cut(struct store *s, const char *name, size_t len); /* shortens */
void memstore_drop(struct store *s, const char *name);

/* For tables of drivers: open() makes a new, empty store. */
extern const struct store_ops memstore_ops;

#endif
