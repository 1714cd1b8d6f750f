/*
 * Tests share a bucket, which nobody empties between them: so each gets a prefix with the number of its
 * process and of this very moment.
 */
#include "tests/lib/s3place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define VARIABLE "FFDR_TEST_S3"

const char *
s3place_missing(void)
{
	const char *at = getenv(VARIABLE);

	if (at != NULL && strrchr(at, '/') != NULL)
		return NULL;
	return VARIABLE "=ENDPOINT/BUCKET names no S3 store";
}

const char *
s3place_old_missing(void)
{
	static char *url;
	struct store_options o;
	struct store *s = NULL;
	struct err e = { 0 };

	if (s3place_missing() != NULL)
		return s3place_missing();
	if (url == NULL)
		url = s3place_url();
	o = s3place_options(url, "libs3");
	if (store_open(&o, &s, &e) == -1 && e.kind == ERR_PERMISSION)
		return "the store of " VARIABLE " refuses signature version 2";
	store_close(s);
	return NULL;
}

char *
s3place_url(void)
{
	static unsigned count;
	const char *at = strrchr(getenv(VARIABLE), '/');

	return xasprintf("s3://%s/t%llx-%ld-%u", at + 1, (unsigned long long)clock_real_ns(),
	    (long)getpid(), count++);
}

struct store_options
s3place_options(const char *url, const char *driver)
{
	static char endpoint[200];
	const char *at = getenv(VARIABLE);

	if (strncmp(url, "s3:", 3) != 0)
		return (struct store_options){ .url = url, .driver = driver };
	snprintf(endpoint, sizeof(endpoint), "%.*s", (int)(strrchr(at, '/') - at), at);
	return (struct store_options){ .url = url, .endpoint = endpoint, .driver = driver };
}
