/*
 * Sizes, durations and times. Two families of writers: one for people, rounded to what can be
 * taken in at a glance, and the `_key` ones, which read back to exactly the same value because
 * `config show` prints them and somebody will paste them.
 */
#include "base/units.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

#define MS_S INT64_C(1000)
#define MS_M (60 * MS_S)
#define MS_H (60 * MS_M)
#define MS_D (24 * MS_H)
#define MS_W (7 * MS_D)
#define MS_Y (365 * MS_D)
#define NS_S INT64_C(1000000000)

/* Longer than any law keeps records, and still whole nanoseconds in 64 bits. */
#define DURATION_MAX (200 * MS_Y)
/* The years that 64 bits of nanoseconds hold completely. */
#define YEAR_MIN 1678
#define YEAR_MAX 2261
#define COMPACT_LEN 16 /* "20261121T020000Z" */

struct unit {
	const char *name;
	uint64_t factor;
};

#define KI UINT64_C(1024)
#define KD UINT64_C(1000)

static const struct unit size_units[] = {
	{ "", 1 },
	{ "B", 1 },
	{ "k", KI },
	{ "K", KI },
	{ "m", KI * KI },
	{ "M", KI * KI },
	{ "g", KI * KI * KI },
	{ "G", KI * KI * KI },
	{ "t", KI * KI * KI * KI },
	{ "T", KI * KI * KI * KI },
	{ "KiB", KI },
	{ "MiB", KI * KI },
	{ "GiB", KI * KI * KI },
	{ "TiB", KI * KI * KI * KI },
	{ "kB", KD },
	{ "KB", KD },
	{ "MB", KD * KD },
	{ "GB", KD * KD * KD },
	{ "TB", KD * KD * KD * KD },
};

static const struct unit duration_units[] = {
	{ "ms", 1 },
	{ "s", MS_S },
	{ "m", MS_M },
	{ "h", MS_H },
	{ "d", MS_D },
	{ "w", MS_W },
	{ "y", MS_Y },
};

/* Decimal digits at *p as a number; moves *p behind them. -1: none, or too large. */
static int
take_number(const char **p, uint64_t *ret)
{
	const char *s = *p;
	uint64_t v = 0;

	if (*s < '0' || *s > '9')
		return -1;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return -1;
	*p = s;
	*ret = v;
	return 0;
}

/* The unit named by the len bytes at s, or NULL. */
static const struct unit *
find_unit(const struct unit *list, size_t count, const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strlen(list[i].name) == len && strncmp(list[i].name, s, len) == 0)
			return &list[i];
	return NULL;
}

int
units_parse_size(const char *s, uint64_t *ret, struct err *e)
{
	const char *p = s;
	const struct unit *u;
	uint64_t v;

	if (take_number(&p, &v) == 0) {
		if (p[0] == ' ' && p[1] != '\0')
			p++;
		u = find_unit(size_units, ARRAY_LEN(size_units), p, strlen(p));
		if (u && __builtin_mul_overflow(v, u->factor, &v))
			return err_set(e, ERR_USAGE, "'%s' is too large a size", s);
		if (u) {
			*ret = v;
			return 0;
		}
	}
	return err_set(e, ERR_USAGE, "'%s' is not a size, expected something like 32m or 100MB", s);
}

static int
bad_duration(const char *s, struct err *e)
{
	return err_set(e, ERR_USAGE,
	    "'%s' is not a duration, expected something like 30s, 4h or 7d", s);
}

int
units_parse_duration(const char *s, int64_t *ret_ms, struct err *e)
{
	uint64_t sum = 0, v, part;
	const struct unit *u;
	const char *p = s;
	size_t len;

	if (strcmp(s, "0") == 0) {
		*ret_ms = 0;
		return 0;
	}
	do {
		if (take_number(&p, &v) == -1)
			return bad_duration(s, e);
		len = strspn(p, "abcdefghijklmnopqrstuvwxyz");
		u = find_unit(duration_units, ARRAY_LEN(duration_units), p, len);
		if (!u)
			return bad_duration(s, e);
		if (__builtin_mul_overflow(v, u->factor, &part) ||
		    __builtin_add_overflow(sum, part, &sum) || sum > (uint64_t)DURATION_MAX)
			return err_set(e, ERR_USAGE, "'%s' is longer than 200 years", s);
		p += len;
		if (p[0] == ' ' && p[1] != '\0')
			p++;
	} while (*p);
	*ret_ms = (int64_t)sum;
	return 0;
}

/* Exactly n digits at s; -1 when there are others. */
static int
fixed_digits(const char *s, int n)
{
	int v = 0;

	for (; n > 0; n--, s++) {
		if (*s < '0' || *s > '9')
			return -1;
		v = v * 10 + (*s - '0');
	}
	return v;
}

static int
days_of_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* Seconds since 1970 of a date and time that exist, or -1. */
static int
to_seconds(int year, int month, int day, const int hms[3], int64_t *ret)
{
	struct tm tm = { 0 };

	if (year < YEAR_MIN || year > YEAR_MAX || month < 1 || month > 12 || day < 1 ||
	    day > days_of_month(year, month))
		return -1;
	/* 60 is the leap second that RFC 3339 allows; it counts as the next minute's first. */
	if (hms[0] < 0 || hms[0] > 23 || hms[1] < 0 || hms[1] > 59 || hms[2] < 0 || hms[2] > 60)
		return -1;
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	tm.tm_mday = day;
	tm.tm_hour = hms[0];
	tm.tm_min = hms[1];
	tm.tm_sec = hms[2];
	*ret = (int64_t)timegm(&tm);
	return 0;
}

/* ".123" at *p as nanoseconds; up to nine digits. */
static int
take_fraction(const char **p, int64_t *ret)
{
	int64_t scale = NS_S, v = 0;
	const char *s = *p;

	if (*s != '.') {
		*ret = 0;
		return 0;
	}
	for (s++; *s >= '0' && *s <= '9' && scale > 1; s++) {
		v = v * 10 + (*s - '0');
		scale /= 10;
	}
	if (scale == NS_S)
		return -1;
	*p = s;
	*ret = v * scale;
	return 0;
}

/* "Z", "+02:00", "+02" (as psql prints it) or nothing (UTC) at p, to the end; seconds east of UTC. */
static int
take_zone(const char *p, int64_t *ret)
{
	const size_t n = strlen(p);
	int h, m = 0;

	*ret = 0;
	if (*p == '\0' || ((*p == 'Z' || *p == 'z') && p[1] == '\0'))
		return 0;
	if ((*p != '+' && *p != '-') || (n != strlen("+02") && (n != strlen("+02:00") || p[3] != ':')))
		return -1;
	h = fixed_digits(p + 1, 2);
	if (n > strlen("+02"))
		m = fixed_digits(p + 4, 2);
	if (h < 0 || h > 23 || m < 0 || m > 59)
		return -1;
	*ret = (h * 3600 + m * 60) * (*p == '-' ? -1 : 1);
	return 0;
}

/* "02:00" or "02:00:07.25" at *p; moves *p behind it. */
static int
take_clock(const char **p, int hms[3], int64_t *fraction)
{
	const char *s = *p;

	if (strnlen(s, 5) < 5 || s[2] != ':')
		return -1;
	hms[0] = fixed_digits(s, 2);
	hms[1] = fixed_digits(s + 3, 2);
	hms[2] = 0;
	*p = s + 5;
	if (s[5] != ':')
		return 0;
	if (strnlen(s + 6, 2) < 2)
		return -1;
	hms[2] = fixed_digits(s + 6, 2);
	*p = s + 8;
	return take_fraction(p, fraction);
}

/* The parts of a time; -1 for anything that is not one. */
static int
parse_time(const char *s, int64_t *ret_ns)
{
	int64_t seconds, fraction = 0, zone = 0;
	int hms[3] = { 0 };
	const char *p;

	if (strnlen(s, 10) < 10 || s[4] != '-' || s[7] != '-')
		return -1;
	p = s + 10;
	if (*p != '\0') {
		if (!strchr("Tt ", *p++) || take_clock(&p, hms, &fraction) == -1)
			return -1;
		if (*p == ' ' && p[1] != '\0') /* "2026-11-21 02:00:00 +01:00" */
			p++;
		if (take_zone(p, &zone) == -1)
			return -1;
	}
	if (to_seconds(fixed_digits(s, 4), fixed_digits(s + 5, 2), fixed_digits(s + 8, 2), hms,
		&seconds) == -1)
		return -1;
	*ret_ns = (seconds - zone) * NS_S + fraction;
	return 0;
}

int
units_parse_time(const char *s, int64_t *ret_ns, struct err *e)
{
	if (parse_time(s, ret_ns) == 0)
		return 0;
	return err_set(e, ERR_USAGE,
	    "'%s' is not a time, expected something like '2026-11-21 02:00', 2026-11-21T02:00:00Z "
	    "(both UTC), 2026-11-21T03:00:00+01:00 or a day, 2026-11-21", s);
}

int
units_parse_until(const char *s, int64_t *ret_ns, struct err *e)
{
	if (units_parse_time(s, ret_ns, e) == -1)
		return -1;
	if (strlen(s) == strlen("2026-11-21"))
		*ret_ns += INT64_C(86400) * NS_S - 1;
	return 0;
}

int
units_parse_time_compact(const char *s, int64_t *ret_ns)
{
	int64_t seconds;
	int hms[3];

	if (strnlen(s, COMPACT_LEN) < COMPACT_LEN || s[8] != 'T' || s[15] != 'Z')
		return -1;
	hms[0] = fixed_digits(s + 9, 2);
	hms[1] = fixed_digits(s + 11, 2);
	hms[2] = fixed_digits(s + 13, 2);
	/* A name has one form only, so no leap second here. */
	if (hms[2] > 59 || to_seconds(fixed_digits(s, 4), fixed_digits(s + 4, 2),
			       fixed_digits(s + 6, 2), hms, &seconds) == -1)
		return -1;
	*ret_ns = seconds * NS_S;
	return 0;
}

const char *
units_size(uint64_t bytes, char *out)
{
	static const char *const unit[] = { "kB", "MB", "GB", "TB", "PB", "EB" };
	double v = (double)bytes / 1000;
	size_t i = 0;

	if (bytes < 1000) {
		snprintf(out, UNITS_TEXT, "%u B", (unsigned)bytes);
		return out;
	}
	/* 999.5 would be printed as 1000. */
	while (v >= 999.5 && i + 1 < ARRAY_LEN(unit)) {
		v /= 1000;
		i++;
	}
	snprintf(out, UNITS_TEXT, "%.*f %s", v < 9.995 ? 2 : v < 99.95 ? 1 : 0, v, unit[i]);
	return out;
}

const char *
units_size_key(uint64_t bytes, char *out)
{
	static const char unit[] = "kmgt";
	size_t i = 0;

	while (bytes > 0 && bytes % 1024 == 0 && i < strlen(unit)) {
		bytes /= 1024;
		i++;
	}
	snprintf(out, UNITS_TEXT, "%llu%.1s", (unsigned long long)bytes, i > 0 ? unit + i - 1 : "");
	return out;
}

/* The two largest units: "4m 31s", "3d"; ms is at least a minute. */
static void
two_units(uint64_t ms, const char *sign, char *out)
{
	static const char *const name[] = { "y", "d", "h", "m", "s" };
	static const uint64_t factor[] = { MS_Y, MS_D, MS_H, MS_M, MS_S };
	uint64_t first, second;
	size_t i = 0;

	while (ms < factor[i])
		i++;
	first = ms / factor[i];
	second = ms % factor[i] / factor[i + 1];
	if (second > 0)
		snprintf(out, UNITS_TEXT, "%s%llu%s %llu%s", sign, (unsigned long long)first,
		    name[i], (unsigned long long)second, name[i + 1]);
	else
		snprintf(out, UNITS_TEXT, "%s%llu%s", sign, (unsigned long long)first, name[i]);
}

const char *
units_duration(int64_t ms, char *out)
{
	const char *sign = ms < 0 ? "-" : "";
	uint64_t v = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;

	if (v < MS_S)
		snprintf(out, UNITS_TEXT, "%s%llu ms", sign, (unsigned long long)v);
	else if (v < MS_M)
		snprintf(out, UNITS_TEXT, "%s%llu.%llu s", sign, (unsigned long long)(v / MS_S),
		    (unsigned long long)(v % MS_S / 100));
	else
		two_units(v, sign, out);
	return out;
}

const char *
units_count(uint64_t n, const char *one, char *out)
{
	const size_t len = strlen(one);
	const bool y = n != 1 && one[len - 1] == 'y';

	snprintf(out, UNITS_TEXT, "%llu %.*s%s", (unsigned long long)n, (int)(y ? len - 1 : len), one,
	    n == 1 ? "" : y ? "ies" : "s");
	return out;
}

const char *
units_duration_key(int64_t ms, char *out)
{
	/* No weeks and no months: "7d" and "365d" are what people write. Years from two on. */
	static const struct unit unit[] = { { "d", MS_D }, { "h", MS_H }, { "m", MS_M },
		{ "s", MS_S }, { "ms", 1 } };
	uint64_t v = ms < 0 ? 0 : (uint64_t)ms;
	size_t i = 0;

	if (v == 0) {
		snprintf(out, UNITS_TEXT, "0");
	} else if (v % MS_Y == 0 && v > MS_Y) {
		snprintf(out, UNITS_TEXT, "%lluy", (unsigned long long)(v / MS_Y));
	} else {
		while (v % unit[i].factor != 0)
			i++;
		snprintf(out, UNITS_TEXT, "%llu%s", (unsigned long long)(v / unit[i].factor),
		    unit[i].name);
	}
	return out;
}

static void
to_utc(int64_t ns, struct tm *ret)
{
	/* Down, not towards 1970: a time is never shown later than it was. */
	time_t seconds = (time_t)(ns / NS_S - (ns % NS_S < 0));

	gmtime_r(&seconds, ret);
}

const char *
units_time(int64_t ns, char *out)
{
	struct tm tm;

	to_utc(ns, &tm);
	strftime(out, UNITS_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return out;
}

const char *
units_time_exact(int64_t ns, char *out)
{
	const int64_t rest = ns % NS_S, us = (rest < 0 ? rest + NS_S : rest) / 1000;
	struct tm tm;
	size_t n;

	if (us == 0)
		return units_time(ns, out);
	to_utc(ns, &tm);
	n = strftime(out, UNITS_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, UNITS_TEXT - n, ".%06dZ", (int)us);
	return out;
}

const char *
units_time_compact(int64_t ns, char *out)
{
	struct tm tm;

	to_utc(ns, &tm);
	strftime(out, UNITS_TEXT, "%Y%m%dT%H%M%SZ", &tm);
	return out;
}
