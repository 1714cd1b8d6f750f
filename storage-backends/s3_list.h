#ifndef STORAGE_BACKENDS_S3_LIST_H
#define STORAGE_BACKENDS_S3_LIST_H

#include "storage-backends/s3_talk.h"

/* As in store_ops. With as_of_ns in the options: as it was then. */
int s3_list(struct store *store, const char *prefix, const char *after, store_seen *seen, void *arg,
    struct err *e);
/*
 * The version that had the name at as_of_ns: 1, with its id as a query ("versionId=...") and what
 * stat() says of it; 0: there was none; -1.
 */
#define S3_LIST_QUERY 1100
int s3_list_then(struct s3 *s, const char *name, char query[S3_LIST_QUERY],
    struct store_stat *ret, struct err *e);

/* Deletes every version of a name that may be deleted; what may not, stays. For probes alone. */
void s3_list_delete(struct s3 *s, const char *name);

#endif
