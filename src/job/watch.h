#ifndef JOB_WATCH_H
#define JOB_WATCH_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How a job tells what it is doing, and is asked to stop. cmd/ makes one from the terminal,
 * --events or nothing; a job calls it, from its own thread only (stop: from any), and knows no
 * more. All functions are set.
 */
struct watch {
	/* done of total (0: not known), in bytes; what: "reading", "restoring" ...: a literal. */
	void (*progress)(void *arg, const char *what, uint64_t done, uint64_t total);
	/* The same for what is counted and not measured in bytes: "reading manifests", 3 of 10. */
	void (*count)(void *arg, const char *what, uint64_t done, uint64_t total);
	/*
	 * One event: a stable word and a text for people ("warning", "vol.uploads: 'a/b' changed
	 * while it was read"). A "warning" is counted and shown; any other word is a note that
	 * --quiet drops.
	 */
	void (*event)(void *arg, const char *kind, const char *text);
	bool (*stop)(void *arg); /* a signal or person asked to stop */
	void *arg;
	bool person; /* somebody looks on: a total is worth counting for */
};
/* A watch that says nothing and never stops. */
extern const struct watch watch_none;

#endif
