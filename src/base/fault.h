#ifndef BASE_FAULT_H
#define BASE_FAULT_H

/*
 * Named points where a test may end the process: FFDR_TEST_STOP=name[:n][,...] kills it with
 * SIGKILL at the n-th passing of that point. Compiled to nothing unless configured with
 * --enable-fault-points, and never in what `make install` ships.
 */
#ifdef FFDR_FAULT_POINTS
void fault_point(const char *name);
#else
static inline void
fault_point(const char *name)
{
	(void)name;
}
#endif

#endif
