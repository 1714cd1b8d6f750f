/*
 * Objects in an archive are ordered back before they can be read, and that takes hours whatever is
 * done. So a tier of such a class has made a part of its rto before a byte moves. The hours are those
 * that the inventor of the classes promises for an ordinary order; stores that took over the names
 * took over the meaning.
 */
#include "job/cold.h"

#include <stddef.h>
#include <string.h>

#include "base/mem.h"

#define HOUR_MS (INT64_C(3600) * 1000)

/* The cheapest first. */
static const struct {
	const char *class;
	int64_t wait_ms;
} classes[] = {
	{ "DEEP_ARCHIVE", 12 * HOUR_MS },
	{ "GLACIER", 5 * HOUR_MS },
};

int64_t
cold_wait_ms(const char *class)
{
	for (size_t i = 0; class && i < ARRAY_LEN(classes); i++)
		if (strcmp(class, classes[i].class) == 0)
			return classes[i].wait_ms;
	return 0;
}

const char *
cold_class_within(int64_t ms)
{
	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		if (classes[i].wait_ms <= ms)
			return classes[i].class;
	return NULL;
}
