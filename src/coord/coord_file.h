#ifndef COORD_COORD_FILE_H
#define COORD_COORD_FILE_H

#include "coord/coord.h"

/*
 * The place as a directory, file:/PATH: for the processes of one host. Made (0700) when only its
 * last part is missing. Also right on a shared file system where flock(2) works between hosts.
 */
extern const struct coord_ops coord_file;

#endif
