#ifndef SOURCE_TAR_H
#define SOURCE_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "repo/reader.h"

/*
 * A snapshot as a tar stream, in the order of its paths: POSIX pax with times to the nanosecond,
 * numeric owners, hard links, devices, sparse files as such, ACLs and other attributes the way
 * bsdtar, GNU tar and star know them. Names are raw bytes. A socket has no place in a tar and is
 * left out with a warning. Bytes that no tier has are zeros, and the file is named in a warning.
 */
struct tar_options {
	int fd; /* where it goes; stays open */
	const char *const *path; /* as in tree_options */
	size_t paths;

	/* All are set. */
	void (*warn)(void *arg, const char *text);
	bool (*stop)(void *arg);
	void (*progress)(void *arg, uint64_t done); /* bytes of contents */
	void *arg;
};

struct tar_report {
	uint64_t entries, files;
	uint64_t bytes;
	uint64_t lost; /* files of which no tier has all bytes; why, the first */
	struct err lost_why;
	uint64_t warnings;
};

int tar_export(struct reader *r, const struct tar_options *o, struct tar_report *report,
    struct err *e);

#endif
