#ifndef JOB_ALARMS_H
#define JOB_ALARMS_H

#include <stddef.h>

/* What a status found that needs attention, a sentence each. Begins as zeros. */
struct alarms {
	char **text;
	size_t count;
};

void alarms_add(struct alarms *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void alarms_done(struct alarms *a);

#endif
