#ifndef STORAGE_BACKENDS_S3_PROFILE_H
#define STORAGE_BACKENDS_S3_PROFILE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * One profile of a shared credentials file, as the programs around S3 write it: sections in brackets,
 * lines of NAME = VALUE, comments in lines of their own that begin with # or ;. What is not known is
 * passed over, indented lines (they nest) too.
 */
struct s3_profile {
	char *key, *secret, *token; /* NULL: not said */
};

/* Is the profile there? The last value of a name counts. The strings are wiped and freed by done(). */
bool s3_profile_find(const char *text, size_t n, const char *profile, struct s3_profile *ret);
void s3_profile_done(struct s3_profile *p);

#endif
