#ifndef JOB_COLD_H
#define JOB_COLD_H

#include <stdint.h>

/*
 * How long it takes at most, in ms, until what lies in a class of storage can be read; 0: at once,
 * or nobody knows that class. NULL: none.
 */
int64_t cold_wait_ms(const char *class);
/* The cheapest class that waits no longer than that; NULL: none that has to be waited for. */
const char *cold_class_within(int64_t ms);

#endif
