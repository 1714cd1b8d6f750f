#ifndef SOURCE_CONTENT_H
#define SOURCE_CONTENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"
#include "repo/writer.h"

/* The bytes of one open file into the writer (between writer_begin and writer_end), its holes as
 * holes. */
struct content_source {
	struct writer *w;
	int fd;
	/* as it was opened: no more than this size is read of a file that has grown */
	const struct stat *st;
	size_t beside; /* how long the file's line is without its contents */
	bool (*stop)(void *arg);
	void (*progress)(void *arg);
	void *arg;
};

struct content_result {
	uint64_t size;	   /* what was given to the writer */
	bool changed;	   /* what was read is not one moment of the file */
	const char *how;   /* for people: "it grew", ... ; NULL when not changed */
	int error;	   /* errno that ended the reading early, or 0 */
	struct stat after; /* when it had been read */
};

/* 1 done (with what *ret says), 0 the writer is late: ends early, `changed`; -1 the writer failed
 * or `stop`. */
int content_read(const struct content_source *s, struct content_result *ret, struct err *e);

#endif
