#ifndef TESTS_LIB_TREEGEN_H
#define TESTS_LIB_TREEGEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Random directory trees, the same for the same seed: nested directories, files of many sizes
 * (empty, one grain, many, with holes, all zero), hard links, symbolic links, fifos, sockets, names
 * that are no UTF-8 or need escaping, modes, times to the nanosecond before and after 1970,
 * attributes and ACLs where the file system takes them; as root also owners, devices and
 * capabilities.
 */
struct treegen {
	uint64_t seed;
	unsigned entries;
	uint64_t largest; /* of a file; 0: 1 MiB */
	bool plain;	  /* no sockets, devices, attributes: what every tar can hold */
};
/* Makes the tree in dir, which must be there and empty. Dies with a message when it cannot. */
void treegen_make(const char *dir, const struct treegen *g);
/* A few random changes to such a tree: contents, sizes, removals, additions, renames, modes. */
void treegen_change(const char *dir, uint64_t seed, unsigned changes);

#endif
