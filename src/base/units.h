#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Sizes, durations and times as people write and read them. All parsers refuse trailing text and
 * fail with ERR_USAGE and a text that says what was expected; ret is then untouched.
 */

/* "32m" (1024; k m g t, KiB ...), "100MB" (1000; kB MB GB TB), "17": bytes. */
int units_parse_size(const char *s, uint64_t *ret, struct err *e);
/*
 * "30s" "4h" "7d" "1w" "1y" (365 d) "500ms": milliseconds; also "1h 30m". A bare number is
 * refused, but 0; so is more than 200 years.
 */
int units_parse_duration(const char *s, int64_t *ret_ms, struct err *e);
/*
 * RFC 3339 "2026-11-21T02:00:00Z", also with a blank, with fractions down to the nanosecond, and
 * with offsets; without a zone it is UTC. Seconds may be missing, and so may all but the day, which
 * then is its first moment in UTC. Nanoseconds since 1970; years 1678 to 2261. Our own files
 * have one form only: who reads them compares with units_time().
 */
int units_parse_time(const char *s, int64_t *ret_ns, struct err *e);
/* The same as a limit that is included: a day is its last moment. */
int units_parse_until(const char *s, int64_t *ret_ns, struct err *e);

#define UNITS_TEXT 48
/* "1 pack", "3 packs", "2 entries"; one: the word for one of them, at most 24 letters. */
const char *units_count(uint64_t n, const char *one, char *out);
/* Each writes into out (UNITS_TEXT bytes) and returns out. */
const char *units_size(uint64_t bytes, char *out);	 /* "4.84 GB" */
const char *units_size_key(uint64_t bytes, char *out);	 /* "32m": reads back exactly */
const char *units_duration(int64_t ms, char *out);	 /* "6.9 s", "4m 31s", "3d 2h" */
const char *units_duration_key(int64_t ms, char *out);	 /* "30d": reads back exactly */
const char *units_time(int64_t ns, char *out);		 /* "2026-11-21T02:00:00Z" */
/* With microseconds, where it has any: "2026-11-21T02:00:00.250000Z". */
const char *units_time_exact(int64_t ns, char *out);
const char *units_time_compact(int64_t ns, char *out);	 /* "20261121T020000Z", as in names */
/* The 16 characters at s, what follows is not looked at; 0 or -1. */
int units_parse_time_compact(const char *s, int64_t *ret_ns);

#endif
