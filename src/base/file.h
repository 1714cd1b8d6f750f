#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Durable files. The only place that knows the order: write new, fsync, link or rename, fsync
 * the directory. A failed fsync is never repeated on the same file: the temporary is unlinked
 * and the caller told.
 */
enum file_mode { FILE_NEW, FILE_REPLACE };

/*
 * How temporary names begin. They live in the directory of the file they become; a crash may
 * leave one, so listings skip them and whoever owns the directory may remove old ones.
 */
#define FILE_TMP_PREFIX ".tmp-"

/*
 * Makes `path` (below dirfd, or AT_FDCWD) hold exactly these bytes, durably, with the mode given.
 * Run as root, new files and directories get owner and group of the directory they are made in.
 * FILE_NEW links without replacing and returns 0 when the name was taken already, 1 when made;
 * FILE_REPLACE renames over and returns 1. Missing directories are made (0700) and made durable.
 * Fault points: file-written, file-synced, file-linked.
 */
int file_put(int dirfd, const char *path, const void *data, size_t len, mode_t perm,
    enum file_mode mode, struct err *e);
/*
 * Whole file into out (appended); ERR_NOTFOUND when absent, ERR_CORRUPT when it holds more than
 * out's limit leaves room for or is no plain file (a pipe is not waited for; a link to a plain file
 * will do). On failure out is as before.
 */
int file_get(int dirfd, const char *path, struct buf *out, struct err *e);
/*
 * Bytes [off, off+len) into out; ERR_CORRUPT when the file is shorter, or when what has that name
 * is no plain file: that is neither followed nor waited for.
 */
int file_get_range(int dirfd, const char *path, uint64_t off, size_t len, struct buf *out,
    struct err *e);
/* Unlinks and makes that durable; 1 done, 0 was not there. */
int file_del(int dirfd, const char *path, struct err *e);
/* Opens for reading and writing, made empty when missing, with the mode given; the fd, or -1. */
int file_open_shared(const char *path, mode_t perm, struct err *e);
/*
 * Run as root: the file fd, just made in that directory, gets the directory's owner and group,
 * where that can be done. Else nothing.
 */
void file_inherit(int fd, int dirfd);
/* mkdir -p, each new level made durable in its parent. */
int file_make_dirs(int dirfd, const char *path, mode_t perm, struct err *e);
/*
 * Full read or write, through EINTR and short counts. file_read returns the bytes got (< n at
 * the end). Their messages name no file: the caller adds it with err_in().
 */
ssize_t file_read(int fd, void *data, size_t n, struct err *e);
int file_write(int fd, const void *data, size_t n, struct err *e);
int file_pwrite(int fd, const void *data, size_t n, uint64_t off, struct err *e);
/* fsync of the directory itself. */
int file_sync_dir(int dirfd, const char *path, struct err *e);
/* Removes a tree below dirfd without following links; absent is fine. */
int file_remove_tree(int dirfd, const char *path, struct err *e);

#endif
