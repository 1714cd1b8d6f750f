#ifndef JOB_COLD_H
#define JOB_COLD_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

/* "expedited", "standard", "bulk", as [tier] has it; NULL, and any other word: standard. */
enum store_speed cold_speed(const char *word);
const char *cold_speed_word(enum store_speed speed);
/* What is ordered of that class where this was asked for: not each class has all of them. */
enum store_speed cold_speed_had(const char *class, enum store_speed wish);
/*
 * How long it takes at most, in ms, until what lies in a class of storage can be read, ordered that
 * fast; 0: at once, or nobody knows that class. NULL: none.
 */
int64_t cold_wait_ms(const char *class, enum store_speed speed);
/*
 * The cheapest class that is open before that; NULL: none that has to be waited for.
 */
const char *cold_class_within(int64_t ms, enum store_speed speed);

/* In whole days, as stores count. */
unsigned cold_days(int64_t ms);
/* Whose prices these are: to be told with every sum. Nobody asks the store what it charges. */
#define COLD_PRICES "list prices of us-east-1 as this version knows them, transfer not included"
/*
 * What it costs, in dollars, to order so many objects back and keep them so many days; negative: no
 * price is known of that class.
 */
double cold_price(const char *class, enum store_speed speed, uint64_t objects, uint64_t bytes,
    unsigned days);

#endif
