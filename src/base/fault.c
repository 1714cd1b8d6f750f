/*
 * Named points of death. A crash test asks for one by name and, where a point is passed often,
 * by count; SIGKILL leaves no chance to clean up, which is what a power cut leaves. Counts are
 * kept per entry of the list, so two entries with one name count apart.
 */
#include "base/fault.h"

#ifdef FFDR_FAULT_POINTS
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define FAULT_ENTRIES 16 /* more than any test names at once */

void
fault_point(const char *name)
{
	static _Atomic long passed[FAULT_ENTRIES];
	const char *entry = getenv("FFDR_TEST_STOP");
	size_t i, len;
	long wanted;

	for (i = 0; entry && i < FAULT_ENTRIES; i++) {
		len = strcspn(entry, ":,");
		wanted = entry[len] == ':' ? strtol(entry + len + 1, NULL, 10) : 1;
		if (len == strlen(name) && strncmp(entry, name, len) == 0 && ++passed[i] == wanted)
			raise(SIGKILL);
		entry = strchr(entry, ',');
		if (entry)
			entry++;
	}
}
#endif
