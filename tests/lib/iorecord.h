#ifndef TESTS_LIB_IORECORD_H
#define TESTS_LIB_IORECORD_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A recorder of the calls that change a file system, between the program and the C library. A
 * test program that links with -Wl,--wrap= for each of them (IORECORD_WRAP in Makefile.am) gets
 * every call of ours recorded below one directory, and may have the n-th one fail or be its
 * process's last.
 */
enum io_call {
	IO_OPEN_DIR, /* openat of a directory: only to fail, it changes nothing */
	IO_CREATE,   /* openat with O_CREAT */
	IO_WRITE,
	IO_FSYNC,
	IO_LINK,
	IO_RENAME,
	IO_MKDIR,
	IO_UNLINK,
};

struct io_event {
	enum io_call call;
	char path[1000]; /* below the directory; "." is itself */
	char to[1000];	 /* link, rename */
	size_t len;	 /* write: bytes that were written */
	int error;	 /* errno when it failed */
};

/* Forgets all and records below dir, a path as /proc shows it, from now on. NULL stops. */
void iorecord_begin(const char *dir);
size_t iorecord_count(void);
const struct io_event *iorecord_event(size_t i);

/* The n-th call from now on (from 1; 0: none) fails with this errno and is not made ... */
void iorecord_fail(unsigned n, int error);
/* ... the n-th of one kind ... */
void iorecord_fail_call(enum io_call call, unsigned n, int error);
/* ... or SIGKILL comes instead of it. */
void iorecord_kill(unsigned n);
/* True once one of these struck. */
bool iorecord_struck(void);
/* Writes take at most so many bytes at a time; 0: as many as they like. */
void iorecord_short_writes(size_t most);

#endif
