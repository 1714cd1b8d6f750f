/*
 * The lists are those of the server's own base backup, so that both ways to take one give the same
 * files.
 */
#include "source/pg/pg_skip.h"

#include <string.h>

#include "base/mem.h"
#include "source/pg/pg_page.h"

static bool
is_one_of(const char *const *list, size_t count, const char *s, size_t len)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(list[i]) == len && memcmp(list[i], s, len) == 0)
			return true;
	return false;
}

static bool
begins(const char *s, size_t len, const char *word)
{
	const size_t n = strlen(word);

	return len >= n && memcmp(s, word, n) == 0;
}

static const char *
name_of(const char *path, size_t len, size_t *namelen)
{
	const char *slash = memrchr(path, '/', len);
	const char *name = slash ? slash + 1 : path;

	*namelen = (size_t)(path + len - name);
	return name;
}

bool
pg_skip_inside(const char *path, size_t len)
{
	static const char *const empty[] = { "pg_stat_tmp", "pg_replslot", "pg_dynshmem",
		"pg_notify", "pg_serial", "pg_snapshots", "pg_subtrans", "pg_wal/archive_status",
		"pg_wal/summaries" };
	size_t n;
	const char *name = name_of(path, len, &n);

	return is_one_of(empty, ARRAY_LEN(empty), path, len) || begins(name, n, "pgsql_tmp");
}

/* tN_M, in a directory of relations: a temporary relation. */
static bool
is_temporary(const char *name, size_t n)
{
	size_t i = 1;

	if (n < 4 || name[0] != 't')
		return false;
	while (i < n && name[i] >= '0' && name[i] <= '9')
		i++;
	return i > 1 && i + 1 < n && name[i] == '_' && name[i + 1] >= '0' && name[i + 1] <= '9';
}

bool
pg_skip_file(const char *path, size_t len)
{
	static const char *const names[] = { "postgresql.auto.conf.tmp", "current_logfiles.tmp",
		"backup_label", "tablespace_map", "backup_manifest", "postmaster.pid",
		"postmaster.opts", ".DS_Store" };
	size_t n;
	const char *name = name_of(path, len, &n);

	if (begins(path, len, "pg_wal/"))
		return true;
	return is_one_of(names, ARRAY_LEN(names), name, n) || begins(name, n, "pg_internal.init") ||
	    begins(name, n, "pgsql_tmp") || (name != path && is_temporary(name, n));
}

size_t
pg_skip_unlogged(const char *path, size_t len, size_t *name_at)
{
	size_t n, digits = 0;
	const char *name = name_of(path, len, &n);

	if (!pg_page_is_relation(path, len) || begins(path, len, "global/") ||
	    memmem(name, n, "_init", 5))
		return 0;
	while (digits < n && name[digits] >= '0' && name[digits] <= '9')
		digits++;
	*name_at = (size_t)(name - path);
	return digits;
}
