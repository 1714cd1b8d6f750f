#ifndef CONF_CONF_BUILD_H
#define CONF_CONF_BUILD_H

#include "conf/conf.h"
#include "conf/conf_problem.h"

/*
 * A configuration in the making: fed with the text of each file in turn, then finished. Problems
 * are collected, nothing stops at the first one.
 */
struct conf_section;

/* Where a section or one of its keys was written. */
struct conf_origin {
	const char *section;
	const char *key; /* NULL: the section's own line */
	size_t index;	 /* which of those sections, where there are several; else 0 */
	const char *file;
	unsigned line;
};

struct conf_build {
	struct conf *conf;
	struct conf_problems problems;
	size_t origin_room, text_room, tier_room, volume_room, postgres_room;
	/* Where reading is. */
	const char *file;
	const struct conf_section *section; /* NULL: keys are skipped */
	size_t index;
	bool outside; /* before the first section of a file */
};

/* name: the main file, as shown in messages. */
void conf_build_init(struct conf_build *b, const char *name);
void conf_build_text(struct conf_build *b, const char *file, const char *text, size_t n);
/* Defaults, required keys, and what the lines mean together. */
void conf_build_finish(struct conf_build *b);
/* Frees what is left; the configuration too, unless it was taken by setting b->conf to NULL. */
void conf_build_done(struct conf_build *b);

/* The struct of the n-th section of that name; NULL behind the last one. */
void *conf_build_base(const struct conf *c, const char *section, size_t index);
/* Takes a heap string into the configuration's keeping. */
const char *conf_build_keep(struct conf_build *b, char *text);

/* What a problem is about, and the line it is told at (NULL: none, the file as a whole). */
struct conf_spot {
	const char *section;
	size_t index;
	const char *key;
	const struct conf_origin *at;
};
void conf_build_problem(struct conf_build *b, const struct conf_spot *spot, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Where it was set, or NULL. key NULL: the section's line. */
const struct conf_origin *conf_build_origin(const struct conf *c, const char *section,
    const char *key, size_t index);

#endif
