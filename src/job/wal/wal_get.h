#ifndef JOB_WAL_GET_H
#define JOB_WAL_GET_H

#include "repo/repo.h"
#include "repo/spool_dir.h"
#include "repo/walread.h"
#include "store/tier.h"

/*
 * What restore_command calls: one file of WAL comes from the tiers, checked before it has its name.
 * Segments behind it are fetched ahead by processes of their own, into a directory beside it.
 */
struct wal_get_options {
	const char *name; /* %f */
	const char *path; /* %p */
	const char *asked; /* all else that the call said, as text: what is fetched ahead is for it */
	struct wal_place place;
	struct tier *const *tier;
	size_t tiers;
	const struct spool_dir *spool; /* NULL: none */
	/* The newest segment may be unfinished: zeros follow what is known. Else such a one counts
	 * as absent. */
	bool unfinished;
	/* "Absent" ends the log for good: with WAL of the timeline behind it, it is a hole instead. */
	bool proves;
	/*
	 * The recovery ends before it: a server that looks ahead of what it replays asks for segments from
	 * there on in vain, and whatever keeps them from us is then no reason to stop. 0: not known.
	 */
	uint64_t until;
	/*
	 * A standby follows the newest history it is given. With `line`, the timeline it was restored to,
	 * it is given none behind the active one, as the coordination place, else the newest sample on a
	 * tier has it; where neither knows, none behind its own. 0: all there are.
	 */
	uint32_t line;
	const char *coord_place;
	uint32_t segment_size;
	unsigned ahead; /* segments to fetch in advance; 0: none */
};

/*
 * 1 it is there; 0 it is on none of the tiers, and every one of them said so; -1 it may exist
 * (ERR_REMOTE), is damaged everywhere or lies in a hole (ERR_CORRUPT): nobody may go on as if there
 * were no more.
 */
int wal_get_run(struct repo *repo, const struct wal_get_options *o, struct err *e);

#endif
