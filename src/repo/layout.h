#ifndef REPO_LAYOUT_H
#define REPO_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The names of objects, the same on every tier, and the numbers that are decisions about them.
 * The one place that spells "pack/" or "snap/".
 */
#define LAYOUT_NAME 200	     /* room for any name and its NUL */
#define LAYOUT_REPO_ID 16
#define LAYOUT_EPOCH 4
#define LAYOUT_SHA 32

#define LAYOUT_GRAIN_LOG2 17	  /* 128 KiB for everything but database pages */
#define LAYOUT_GRAIN_PAGE_LOG2 13 /* 8 KiB, a page of PostgreSQL */
#define LAYOUT_FRAME_MAX (128u << 10) /* raw bytes of a data frame */

/* W: the longest a backup may take. The garbage rules rest on it. */
#define LAYOUT_W_NS (INT64_C(24) * 3600 * 1000000000)
#define LAYOUT_HOUR_NS (INT64_C(3600) * 1000000000)
#define LAYOUT_COMMIT_NS (INT64_C(1800) * 1000000000) /* the commit's PUT, all tries together */
#define LAYOUT_SKEW_NS (INT64_C(300) * 1000000000)    /* clocks that differ by more are refused */

char *layout_pack(const uint8_t sha[LAYOUT_SHA], char out[LAYOUT_NAME]); /* pack/hh/<sha> */
int layout_pack_parse(const char *name, uint8_t sha[LAYOUT_SHA]);	 /* 0 or -1 */
char *layout_repo(unsigned n, char out[LAYOUT_NAME]);			 /* repo/<n> */
int layout_repo_parse(const char *name, unsigned *ret);			 /* 0 or -1 */
char *layout_key(const uint8_t epoch[LAYOUT_EPOCH], const char *kek_id, char out[LAYOUT_NAME]);
bool layout_recipient_valid(const char *recipient);
int layout_key_parse(const char *name, uint8_t epoch[LAYOUT_EPOCH], char *kek_id, size_t room);
/* A new name for now: snap/<source>/<yyyymmddThhmmssZ>-<8 random hex>. */
char *layout_snap_new(const char *source, int64_t time_ns, char out[LAYOUT_NAME]);
char *layout_record_new(const char *kind, const char *source, int64_t time_ns,
    char out[LAYOUT_NAME]); /* rec/<kind>/<source>/<time>-<8hex> */
char *layout_gc_new(int64_t time_ns, char out[LAYOUT_NAME]);
int layout_gc_parse(const char *name, int64_t *ret_ns); /* 0 or -1 */
/* pend/<source>/<time>-<8hex>.<8hex>: the copier's place for snap/<source>/<time>-<8hex>. */
char *layout_pend_new(const char *snap, char out[LAYOUT_NAME]);
int layout_pend_snap(const char *pend, char snap[LAYOUT_NAME]); /* the snap/ name it stands for */

/* Parts of "snap/<source>/<time>-<hex>" (also pend/, rec/<kind>/ after its prefix): */
struct layout_snap {
	char source[64];
	int64_t time_ns; /* from the name */
	char id[96];	 /* "<source>/<time>-<hex>": what people see */
};
int layout_snap_parse(const char *name, struct layout_snap *ret); /* 0 or -1 */
bool layout_source_valid(const char *source); /* "vol.uploads": kind.name, kind [a-z]{2,8} */

#endif
