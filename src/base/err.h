#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stddef.h>

/*
 * Errors are values, owned by the caller and filled once. The kind decides exit code, retry and
 * metric label; the text is for people. The text may hold several lines: the first says what
 * happened, the others are labelled ("fix  ..."), as the messages in the manual show.
 */
enum err_kind {
	ERR_NONE,
	ERR_USAGE,	 /* the command line */
	ERR_CONFIG,	 /* the configuration */
	ERR_NOTFOUND,	 /* a thing that was asked for by name is not there */
	ERR_EXISTS,	 /* a thing is already there and may not be replaced */
	ERR_BUSY,	 /* another run holds it */
	ERR_STALE,	 /* a lease was lost, or what is meant belongs to another epoch */
	ERR_REFUSED,	 /* a safety rule says no */
	ERR_PERMISSION,	 /* file system or store rights */
	ERR_IO,		 /* local input or output */
	ERR_FULL,	 /* no space, no inodes, quota */
	ERR_REMOTE,	 /* a store or server does not answer; worth another try */
	ERR_FROZEN,	 /* it lies in an archive, and is not back yet; worth another try in hours */
	ERR_CORRUPT,	 /* bytes are not what they must be */
	ERR_KEY,	 /* wrong, missing or unusable key */
	ERR_UNSUPPORTED, /* a format, flag or feature this program does not know */
	ERR_CANCELLED,	 /* a person or a signal ended it */
	ERR_BUG,	 /* an assumption of ours is broken */
	ERR_KINDS
};

/* No allocation, so reporting an error cannot fail. */
struct err {
	enum err_kind kind;
	char text[1000];
};

/*
 * All return -1, so that `return err_set(...)` reads as one step. Arguments may point into the
 * error itself. A text too long ends in "...". A NULL e is allowed: nobody wants the reason.
 */
int err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds strerror(errno), takes the kind from errno: ENOSPC is ERR_FULL, EACCES ERR_PERMISSION... */
int err_sys(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Puts context in front: "context: text". */
int err_in(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds a labelled line below: "\n  label     text". */
int err_line(struct err *e, const char *label, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* How long its first "fix" is, and where; 0: it has none. */
size_t err_fix(const struct err *e, const char **ret);
void err_clear(struct err *e);
/* For "%.*s": how long the first line of its text is; an err may have more, with what to do. */
int err_first_line(const struct err *e);
/* "corrupt", "remote", ...: a stable word, used in --json and metrics. */
const char *err_word(enum err_kind kind);

#endif
