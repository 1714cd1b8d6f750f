/*
 * Objects in an archive are ordered back before they can be read, and that takes hours whatever is
 * done. So a tier of such a class has made a part of its rto before a byte moves. The hours are those
 * that the inventor of the classes promises; stores that took over the names took over the meaning.
 *
 * Prices are an estimate to decide by, and say whose they are. Besides the order itself, what is back is
 * stored twice until it goes again.
 */
#include "job/cold.h"

#include <stddef.h>
#include <string.h>

#include "base/mem.h"

#define MINUTE_MS (INT64_C(60) * 1000)
#define HOUR_MS (60 * MINUTE_MS)
#define DAYS_A_MONTH 30.0
#define GB 1e9
#define COPY_GB_MONTH 0.023 /* what is back lies in the usual class */

static const char *const words[] = {
	[STORE_STANDARD] = "standard",
	[STORE_EXPEDITED] = "expedited",
	[STORE_BULK] = "bulk",
};

/* An order: how long it takes, and dollars for a thousand objects and for a GB. */
struct order {
	int64_t wait_ms;
	double thousand, gb;
};
/* The cheapest first. A row that is left out is none that the class has: an ordinary order it is then. */
static const struct {
	const char *class;
	struct order order[ARRAY_LEN(words)];
} classes[] = {
	{ "DEEP_ARCHIVE", {
		[STORE_STANDARD] = { 12 * HOUR_MS, 0.10, 0.02 },
		[STORE_BULK] = { 48 * HOUR_MS, 0.025, 0.0025 },
	} },
	{ "GLACIER", {
		[STORE_STANDARD] = { 5 * HOUR_MS, 0.05, 0.01 },
		[STORE_EXPEDITED] = { 5 * MINUTE_MS, 10.0, 0.03 },
		[STORE_BULK] = { 12 * HOUR_MS, 0, 0 },
	} },
};

enum store_speed
cold_speed(const char *word)
{
	for (size_t i = 0; word && i < ARRAY_LEN(words); i++)
		if (strcmp(word, words[i]) == 0)
			return (enum store_speed)i;
	return STORE_STANDARD;
}

const char *
cold_speed_word(enum store_speed speed)
{
	return words[speed];
}

static const struct order *
order_in(size_t i, enum store_speed speed)
{
	const struct order *o = &classes[i].order[speed];

	return o->wait_ms > 0 ? o : &classes[i].order[STORE_STANDARD];
}

static const struct order *
order_of(const char *class, enum store_speed speed)
{
	for (size_t i = 0; class && i < ARRAY_LEN(classes); i++)
		if (strcmp(class, classes[i].class) == 0)
			return order_in(i, speed);
	return NULL;
}

enum store_speed
cold_speed_had(const char *class, enum store_speed wish)
{
	const struct order *o = order_of(class, wish);

	return o && o == order_of(class, STORE_STANDARD) ? STORE_STANDARD : wish;
}

int64_t
cold_wait_ms(const char *class, enum store_speed speed)
{
	const struct order *o = order_of(class, speed);

	return o ? o->wait_ms : 0;
}

const char *
cold_class_within(int64_t ms, enum store_speed speed)
{
	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		if (order_in(i, speed)->wait_ms < ms)
			return classes[i].class;
	return NULL;
}

unsigned
cold_days(int64_t ms)
{
	const int64_t day = 24 * HOUR_MS;

	return (unsigned)((ms + day - 1) / day);
}

double
cold_price(const char *class, enum store_speed speed, uint64_t objects, uint64_t bytes, unsigned days)
{
	const struct order *o = order_of(class, speed);
	const double gb = (double)bytes / GB;

	if (!o)
		return -1;
	return o->thousand * (double)objects / 1000 + o->gb * gb +
	    COPY_GB_MONTH * gb * days / DAYS_A_MONTH;
}
