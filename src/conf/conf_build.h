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
	size_t index;	 /* which of the tiers or volumes; 0 for the others */
	const char *file;
	unsigned line;
};

struct conf_build {
	struct conf *conf;
	struct conf_problems problems;
	size_t origin_room, text_room, tier_room, volume_room;
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

/* Where it was set, or NULL. key NULL: the section's line. */
const struct conf_origin *conf_build_origin(const struct conf *c, const char *section,
    const char *key, size_t index);

#endif
