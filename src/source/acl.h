#ifndef SOURCE_ACL_H
#define SOURCE_ACL_H

#include <archive_entry.h>
#include <stdbool.h>
#include <sys/types.h>

#include "repo/list.h"

/* The ACLs that Linux keeps in extended attributes, for archives, which want them entry by entry.
 */
bool acl_is(const char *xattr_name);
/* Adds the ACL to the entry; 0, or -1 when the bytes are no ACL (nothing was added). */
int acl_add(struct archive_entry *entry, const struct entry_xattr *acl, mode_t mode);

#endif
