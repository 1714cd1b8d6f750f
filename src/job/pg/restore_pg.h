#ifndef JOB_RESTORE_PG_H
#define JOB_RESTORE_PG_H

#include "job/pg/pg_world.h"
#include "job/restore_kind.h"
#include "job/run.h"
#include "job/wal/wal_thaw.h"
#include "repo/reader.h"
#include "source/pg/pg_setup.h"

/* What the files of the restore of a database share: restore_pg.c has the order of things. */

struct tree_options;

struct restore_pg_space {
	uint32_t oid;
	char *was;  /* where it lay; a relative one lies in the data directory, and needs nothing */
	char *name; /* "" when the backup does not tell */
	char *to;
	bool told;  /* by --tablespace */
	char *path; /* in the snapshot: pg_tblspc/OID */
};

struct restore_pg {
	struct run run; /* stands first: run_warn() and run_stop() take it */
	const struct restore_options *o;
	struct restore_report *report;
	char source[64];
	char base[LAYOUT_NAME]; /* that was named; "": none */
	struct pg_world world;
	struct pg_target want;
	struct pg_target_plan plan;
	struct reader *reader;
	struct thaw *thaw;
	struct wal_thaw log; /* bundles of WAL that may have to be thawed for it */
	uint64_t from, to;   /* the log that `thaw` brought */
	size_t thawed;	     /* and the base */
	bool guessed;	     /* these are to be brought before there is a plan */
	struct restore_pg_space *space;
	size_t spaces;
};

/* ---- restore_pg_aim.c ---- */

/* `--at` into r->want; without it the newest, or the end of the base that was named. */
int restore_pg_at(struct restore_pg *r, struct err *e);
/* Value of a detail of the base, appended to out: 1/0. */
int restore_pg_detail(const struct restore_pg *r, const char *key, struct buf *out);
/* Files around the data, and the settings of the recovery. */
int restore_pg_setup(struct restore_pg *r, struct err *e);
/* What a standby does for ever, and what it takes to promote it. */
void restore_pg_tell_standby(struct restore_pg *r);
/*
 * Can the user that the server will run as get WAL? Tried once; a warning when not. Of a proof
 * (o->try_in): -1 with ERR_PERMISSION when that user cannot and we can.
 */
int restore_pg_try(struct restore_pg *r, struct err *e);

/* ---- restore_pg_thaw.c ---- */

/*
 * pg_world_choose() has failed with that ERR_FROZEN: the plan becomes one to be thawed and then chosen
 * anew. -1: it cannot be guessed, or what is frozen was brought before.
 */
int restore_pg_guess(struct restore_pg *r, struct err *e);
/* Packs and WAL of the plan, or of the guess, where they are not at hand. As thaw_snapshot(). */
int restore_pg_thaw(struct restore_pg *r, struct err *e);

/* ---- restore_pg_spool.c ---- */

/* Where the restored directory has what no tier had. */
#define RESTORE_PG_SPOOL "pg_wal/.ffdr-spool"
/* Does the recovery read WAL that only the spool of this host has? From where on. */
bool restore_pg_spooled(const struct restore_pg *r, uint64_t *from);
/* Does it go along, for the server to find? Not where it goes to the tiers. */
bool restore_pg_carries(const struct restore_pg *r);
/* That WAL, sealed as it is, into the restored directory, where its server may read it. */
int restore_pg_spool_copy(struct restore_pg *r, struct err *e);
/* All of the spool to the tiers: what a new epoch grows out of must be there. */
int restore_pg_spool_ship(struct restore_pg *r, struct err *e);

/* ---- restore_pg_space.c ---- */

/* Which tablespaces there are and where they go; refused where something is there. Changes nothing.
 */
int restore_pg_spaces(struct restore_pg *r, struct err *e);
void restore_pg_spaces_done(struct restore_pg *r);
/* Their files, each into its place. `to` is the options of the data directory's own files. */
int restore_pg_spaces_fill(struct restore_pg *r, const struct tree_options *to, struct err *e);
/* The links in pg_tblspc, and tablespace_map, which the server believes more than the links. */
int restore_pg_spaces_link(struct restore_pg *r, struct err *e);

/* ---- restore_pg_last.c ---- */

/* From here on no server starts in the target. */
int restore_pg_lock(struct restore_pg *r, struct err *e);
/* What is left, when all else is there; on disk, and what makes a server start is out of its sight. */
int restore_pg_wait(struct restore_pg *r, const struct tree_options *like, struct err *e);
/* Now one starts. */
int restore_pg_unlock(struct restore_pg *r, struct err *e);

/* ---- restore_pg_preview.c ---- */

/* What would go and come, into the report; changes nothing. */
int restore_pg_preview(struct restore_pg *r, struct err *e);

/* ---- restore_pg_adopt.c ---- */

/* A new epoch whose parent is the one that was read, up to where the recovery ends. */
int restore_pg_adopt(struct restore_pg *r, struct err *e);

#endif
