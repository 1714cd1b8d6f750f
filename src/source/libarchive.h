#ifndef SOURCE_LIBARCHIVE_H
#define SOURCE_LIBARCHIVE_H

#include "base/lazy.h"

#include <archive.h>
#include <archive_entry.h>

/*
 * libarchive, loaded when it is first used (base/lazy.h). The functions that may be called stand in the
 * list, and below it under their own names; nothing else changes for who calls them.
 */
#define LIBARCHIVE_FUNCTIONS \
	X(archive_entry_acl_add_entry) \
	X(archive_entry_clear) \
	X(archive_entry_copy_hardlink) \
	X(archive_entry_copy_pathname) \
	X(archive_entry_copy_symlink) \
	X(archive_entry_filetype) \
	X(archive_entry_free) \
	X(archive_entry_gid) \
	X(archive_entry_hardlink) \
	X(archive_entry_mtime) \
	X(archive_entry_new) \
	X(archive_entry_pathname) \
	X(archive_entry_perm) \
	X(archive_entry_set_filetype) \
	X(archive_entry_set_gid) \
	X(archive_entry_set_mtime) \
	X(archive_entry_set_perm) \
	X(archive_entry_set_rdev) \
	X(archive_entry_set_size) \
	X(archive_entry_set_uid) \
	X(archive_entry_size) \
	X(archive_entry_sparse_add_entry) \
	X(archive_entry_symlink) \
	X(archive_entry_uid) \
	X(archive_entry_xattr_add_entry) \
	X(archive_entry_xattr_next) \
	X(archive_entry_xattr_reset) \
	X(archive_errno) \
	X(archive_error_string) \
	X(archive_read_data_block) \
	X(archive_read_disk_entry_from_file) \
	X(archive_read_disk_new) \
	X(archive_read_disk_set_behavior) \
	X(archive_read_disk_set_symlink_physical) \
	X(archive_read_free) \
	X(archive_read_new) \
	X(archive_read_next_header) \
	X(archive_read_open) \
	X(archive_read_support_format_empty) \
	X(archive_read_support_format_tar) \
	X(archive_set_error) \
	X(archive_version_string) \
	X(archive_write_close) \
	X(archive_write_data) \
	X(archive_write_fail) \
	X(archive_write_free) \
	X(archive_write_header) \
	X(archive_write_new) \
	X(archive_write_open) \
	X(archive_write_set_bytes_in_last_block) \
	X(archive_write_set_format_pax)

#define X(f) __typeof__(&f) f##_;
struct libarchive {
	LIBARCHIVE_FUNCTIONS
};
#undef X
/* Filled; for any thread. */
const struct libarchive *libarchive(void);

#define archive_entry_acl_add_entry (libarchive()->archive_entry_acl_add_entry_)
#define archive_entry_clear (libarchive()->archive_entry_clear_)
#define archive_entry_copy_hardlink (libarchive()->archive_entry_copy_hardlink_)
#define archive_entry_copy_pathname (libarchive()->archive_entry_copy_pathname_)
#define archive_entry_copy_symlink (libarchive()->archive_entry_copy_symlink_)
#define archive_entry_filetype (libarchive()->archive_entry_filetype_)
#define archive_entry_free (libarchive()->archive_entry_free_)
#define archive_entry_gid (libarchive()->archive_entry_gid_)
#define archive_entry_hardlink (libarchive()->archive_entry_hardlink_)
#define archive_entry_mtime (libarchive()->archive_entry_mtime_)
#define archive_entry_new (libarchive()->archive_entry_new_)
#define archive_entry_pathname (libarchive()->archive_entry_pathname_)
#define archive_entry_perm (libarchive()->archive_entry_perm_)
#define archive_entry_set_filetype (libarchive()->archive_entry_set_filetype_)
#define archive_entry_set_gid (libarchive()->archive_entry_set_gid_)
#define archive_entry_set_mtime (libarchive()->archive_entry_set_mtime_)
#define archive_entry_set_perm (libarchive()->archive_entry_set_perm_)
#define archive_entry_set_rdev (libarchive()->archive_entry_set_rdev_)
#define archive_entry_set_size (libarchive()->archive_entry_set_size_)
#define archive_entry_set_uid (libarchive()->archive_entry_set_uid_)
#define archive_entry_size (libarchive()->archive_entry_size_)
#define archive_entry_sparse_add_entry (libarchive()->archive_entry_sparse_add_entry_)
#define archive_entry_symlink (libarchive()->archive_entry_symlink_)
#define archive_entry_uid (libarchive()->archive_entry_uid_)
#define archive_entry_xattr_add_entry (libarchive()->archive_entry_xattr_add_entry_)
#define archive_entry_xattr_next (libarchive()->archive_entry_xattr_next_)
#define archive_entry_xattr_reset (libarchive()->archive_entry_xattr_reset_)
#define archive_errno (libarchive()->archive_errno_)
#define archive_error_string (libarchive()->archive_error_string_)
#define archive_read_data_block (libarchive()->archive_read_data_block_)
#define archive_read_disk_entry_from_file (libarchive()->archive_read_disk_entry_from_file_)
#define archive_read_disk_new (libarchive()->archive_read_disk_new_)
#define archive_read_disk_set_behavior (libarchive()->archive_read_disk_set_behavior_)
#define archive_read_disk_set_symlink_physical (libarchive()->archive_read_disk_set_symlink_physical_)
#define archive_read_free (libarchive()->archive_read_free_)
#define archive_read_new (libarchive()->archive_read_new_)
#define archive_read_next_header (libarchive()->archive_read_next_header_)
#define archive_read_open (libarchive()->archive_read_open_)
#define archive_read_support_format_empty (libarchive()->archive_read_support_format_empty_)
#define archive_read_support_format_tar (libarchive()->archive_read_support_format_tar_)
#define archive_set_error (libarchive()->archive_set_error_)
#define archive_version_string (libarchive()->archive_version_string_)
#define archive_write_close (libarchive()->archive_write_close_)
#define archive_write_data (libarchive()->archive_write_data_)
#define archive_write_fail (libarchive()->archive_write_fail_)
#define archive_write_free (libarchive()->archive_write_free_)
#define archive_write_header (libarchive()->archive_write_header_)
#define archive_write_new (libarchive()->archive_write_new_)
#define archive_write_open (libarchive()->archive_write_open_)
#define archive_write_set_bytes_in_last_block (libarchive()->archive_write_set_bytes_in_last_block_)
#define archive_write_set_format_pax (libarchive()->archive_write_set_format_pax_)

#endif
