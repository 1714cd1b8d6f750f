#ifndef STORAGE_BACKENDS_S3_REFUSAL_H
#define STORAGE_BACKENDS_S3_REFUSAL_H

#include "base/err.h"
#include "storage-backends/s3_http.h"

/*
 * What a bad answer means: always -1, with the kind, the store's own words and, where there is one,
 * the way out. `what` was tried: "get 'pack/00/ab...'".
 */
int s3_refusal(const struct s3_http_place *place, const struct s3_answer *a, const char *what,
    struct err *e);
/* `right`: what of it may be lacking, where the store says no more than no; NULL: nobody knows. */
int s3_refusal_right(const struct s3_http_place *place, const struct s3_answer *a, const char *what,
    const char *right, struct err *e);
/* The store's word for it is this one. */
bool s3_refusal_is(const struct s3_answer *a, const char *code);

#endif
