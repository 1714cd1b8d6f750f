#ifndef STORAGE_BACKENDS_S3_ACCESS_H
#define STORAGE_BACKENDS_S3_ACCESS_H

#include <stdint.h>

#include "base/err.h"

/*
 * Who we are to an S3 store. From the configuration, else from the first of the usual places that
 * has something: the environment, a profile, a web identity token, a metadata service that the
 * environment names. What ends is had anew in time. Any thread. The options are borrowed.
 */
struct s3_access_options {
	const char *key, *secret; /* of the configuration; NULL: the usual places */
	const char *profile;	  /* of the shared credentials; NULL: the one the environment names */
	const char *region;	  /* of the token service */
	const char *ca;
};

struct s3_access;

struct s3_access *s3_access_new(const struct s3_access_options *o);
void s3_access_free(struct s3_access *a);

#define S3_ACCESS_TEXT 4096
struct s3_access_pair {
	char key[256];
	char secret[256];
	char token[S3_ACCESS_TEXT]; /* "": none */
};
/* ERR_CONFIG names the places that were looked at; ERR_REMOTE: a service did not answer. */
int s3_access_get(struct s3_access *a, struct s3_access_pair *ret, struct err *e);
/* What get() gave was refused as ended: the next get() asks anew. */
void s3_access_ended(struct s3_access *a, const struct s3_access_pair *used);
/* "the environment", "profile 'dr' of '/root/.aws/credentials'": for people. */
const char *s3_access_from(const struct s3_access *a);

#endif
