/*
 * The one mistake nobody forgives is a restore over the wrong directory. A delta removes what the
 * snapshot does not have, so it needs proof that the directory is the source's: its configured
 * place, or the mark that source/tree.h puts on what it makes before the first byte. Where a file
 * system keeps no such mark, an interrupted restore begins anew in an empty directory.
 */
#include "job/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "source/tree.h"

#define TARGET_SOURCE 128 /* room for the mark: longer is not ours */

static bool
is_origin(const struct target_wish *wish, const char *path)
{
	char *origin = wish->origin ? realpath(wish->origin, NULL) : NULL;
	bool same = origin && strcmp(origin, path) == 0;

	free(origin);
	return same;
}

/* Whose mark it bears, "" for nobody's. */
static void
marked(const char *path, char source[TARGET_SOURCE])
{
	struct err e = { 0 };

	if (tree_restored_from(path, source, TARGET_SOURCE, &e) != 1)
		source[0] = '\0';
}

static int
refuse_own(const struct target_wish *wish, const char *path, struct err *e)
{
	err_set(e, ERR_REFUSED, "restore refused: '%s' is not empty", path);
	err_line(e, "checked", "it belongs to %s", wish->source);
	err_line(e, "possible", "--delta brings it to the state of the snapshot and removes what the "
				"snapshot does not have");
	return err_line(e, "fix", "--delta, or --to with another directory");
}

static int
refuse_strange(const struct target_wish *wish, const char *path, const char *mark, struct err *e)
{
	err_set(e, ERR_REFUSED, "restore refused: '%s' is not empty", path);
	if (mark[0])
		err_line(e, "checked", "a restore of %s made it, this is %s", mark, wish->source);
	else
		err_line(e, "checked", "neither does %s come from it, nor did an earlier restore "
				       "make it", wish->source);
	err_line(e, "possible", "a directory that is empty or not there yet%s%s",
	    wish->origin ? "; with --delta also " : "", wish->origin ? wish->origin : "");
	return err_line(e, "fix", "--to with another directory");
}

static int
refuse_other(const struct target_wish *wish, const char *path, struct err *e)
{
	err_set(e, ERR_REFUSED, "restore refused: '%s' is where %s lives on this host, and the snapshot "
				"is not of it", path, wish->source);
	err_line(e, "checked", "%s %s", wish->id, wish->other);
	err_line(e, "possible", "a snapshot of this host by its name (`ffdr list %s`), or an empty "
				"directory", wish->source);
	return err_line(e, "fix", "where that is the one to have here: --from-another-host; see "
				  "--dry-run first");
}

/* Of what is not there yet, for messages; NULL with errno. */
static char *
absolute(const char *path)
{
	char *here, *whole;

	if (path[0] == '/')
		return xstrdup(path);
	here = getcwd(NULL, 0);
	if (!here)
		return NULL;
	whole = xasprintf("%s/%s", strcmp(here, "/") == 0 ? "" : here, path);
	free(here);
	return whole;
}

int
target_judge(const struct target_wish *wish, char **path, struct err *e)
{
	char mark[TARGET_SOURCE];
	struct stat st;
	bool ours, there, made;
	int empty;

	*path = NULL;
	there = stat(wish->to, &st) == 0;
	if (!there && errno == ENOTDIR) {
		err_set(e, ERR_USAGE, "'%s' lies below a file, expected a directory", wish->to);
		return err_line(e, "fix", "--to with a directory that is empty or not there yet");
	}
	if (!there && errno != ENOENT)
		return err_sys(e, "'%s' cannot be used", wish->to);
	if (there && !S_ISDIR(st.st_mode)) {
		err_set(e, ERR_USAGE, "'%s' is a file, expected a directory", wish->to);
		return err_line(e, "fix", "--to with a directory that is empty or not there yet");
	}
	empty = tree_empty(wish->to, e);
	if (empty == -1)
		return -1;
	*path = realpath(wish->to, NULL);
	if (!*path && errno == ENOENT)
		*path = absolute(wish->to);
	if (!*path)
		return err_sys(e, "'%s' cannot be used", wish->to);
	if (empty == 1)
		return 0;
	marked(*path, mark);
	made = strcmp(mark, wish->source) == 0;
	ours = made || is_origin(wish, *path);
	if (ours && wish->delta && (made || !wish->other || wish->other_wanted))
		return 0;
	if (ours && wish->delta)
		refuse_other(wish, *path, e);
	else if (ours)
		refuse_own(wish, *path, e);
	else
		refuse_strange(wish, *path, mark, e);
	free(*path);
	*path = NULL;
	return -1;
}
