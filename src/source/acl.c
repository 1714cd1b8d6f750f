/*
 * The value of system.posix_acl_access and _default: a version, 2, of 32 bits, then entries of tag
 * (16 bits), permissions (16) and id (32), all little endian (linux/posix_acl_xattr.h). The three
 * entries of every file (owner, group, others) are in it, too.
 */
#include "source/acl.h"

#include <string.h>

#include "base/buf.h"
#include "source/libarchive.h"

#define ACL_VERSION 2
#define ACL_HEAD 4
#define ACL_ENTRY 8

enum {
	TAG_USER_OBJ = 1,
	TAG_USER = 2,
	TAG_GROUP_OBJ = 4,
	TAG_GROUP = 8,
	TAG_MASK = 16,
	TAG_OTHER = 32
};

bool
acl_is(const char *xattr_name)
{
	return strcmp(xattr_name, "system.posix_acl_access") == 0 ||
	    strcmp(xattr_name, "system.posix_acl_default") == 0;
}

static int
archive_tag(unsigned tag)
{
	switch (tag) {
	case TAG_USER_OBJ:
		return ARCHIVE_ENTRY_ACL_USER_OBJ;
	case TAG_USER:
		return ARCHIVE_ENTRY_ACL_USER;
	case TAG_GROUP_OBJ:
		return ARCHIVE_ENTRY_ACL_GROUP_OBJ;
	case TAG_GROUP:
		return ARCHIVE_ENTRY_ACL_GROUP;
	case TAG_MASK:
		return ARCHIVE_ENTRY_ACL_MASK;
	case TAG_OTHER:
		return ARCHIVE_ENTRY_ACL_OTHER;
	default:
		return -1;
	}
}

int
acl_add(struct archive_entry *entry, const struct entry_xattr *acl, mode_t mode)
{
	const int type = strcmp(acl->name, "system.posix_acl_access") == 0
	    ? ARCHIVE_ENTRY_ACL_TYPE_ACCESS
	    : ARCHIVE_ENTRY_ACL_TYPE_DEFAULT;
	const uint8_t *at, *end = acl->value + acl->len;
	unsigned tag, perm;
	int id;

	if (acl->len < ACL_HEAD || (acl->len - ACL_HEAD) % ACL_ENTRY != 0 ||
	    buf_get_u32(acl->value) != ACL_VERSION)
		return -1;
	for (at = acl->value + ACL_HEAD; at < end; at += ACL_ENTRY)
		if (archive_tag(buf_get_u16(at)) == -1 || buf_get_u16(at + 2) > 7)
			return -1;
	for (at = acl->value + ACL_HEAD; at < end; at += ACL_ENTRY) {
		tag = buf_get_u16(at);
		perm = buf_get_u16(at + 2);
		id = tag == TAG_USER || tag == TAG_GROUP ? (int)buf_get_u32(at + 4) : -1;
		archive_entry_acl_add_entry(entry, type, (int)perm, archive_tag(tag), id, NULL);
	}
	/* The entries for owner, group and others moved the permission bits, where the group's is
	 * no mask. */
	archive_entry_set_perm(entry, mode & 07777);
	return 0;
}
