/*
 * The lease says who ships, not from where: after conninfo was changed, or an address moved, the
 * holder may be connected to the server of before. Which server a receiver is connected to is known
 * by that server: there its slot is in use.
 */
#include "job/pg/check_pg_receiver.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "coord/lease.h"
#include "source/pg/pg_slot.h"

/* A receiver that connects again is away for a moment. */
#define SLOT_LOOKS 6
#define SLOT_PAUSE_NS (CLOCK_S / 2)

/* ---- who ships, and from where ---- */

/* 1 it receives from that server, 0 not; -1. */
static int
is_connected(struct pg_conn *sql, const char *name, struct err *e)
{
	struct pg_slot slot;

	for (unsigned i = 0; i < SLOT_LOOKS; i++) {
		int got;

		if (i > 0)
			clock_sleep_ns(SLOT_PAUSE_NS);
		got = pg_slot_read(sql, name, &slot, e);
		if (got == -1 || (got == 1 && slot.active))
			return got;
	}
	return 0;
}

static void
tell_shipper(struct check *c, const struct conf_source *source, struct pg_conn *sql, const char *host)
{
	char slot[CONF_SLOT], *fix;
	struct err e = { 0 };
	int got = 1;

	if (sql && conf_postgres_slot(source->postgres, host, slot, &e) == 0)
		got = is_connected(sql, slot, &e);
	if (got == 1 && e.kind == ERR_NONE) {
		check_add(c, CHECK_OK, source->name, NULL, "'%s' ships its WAL", host);
	} else if (got == -1 || e.kind != ERR_NONE) {
		check_error(c, CHECK_UNKNOWN, source->name, &e);
	} else {
		fix = xasprintf("on '%s': journalctl -u ffdr-wal@%s says where it is connected; it "
		    "reads conninfo of the configuration there", host, source->bare);
		check_add(c, CHECK_FAIL, source->name, fix,
		    "'%s' ships its WAL, but does not receive from the server at %s: slot %s is not in "
		    "use there", host, pg_conn_place(sql), slot);
		free(fix);
	}
}

static void
shipper(struct check *c, struct session *s, const struct conf_source *source, struct pg_conn *sql,
    bool streams)
{
	const struct lease_times times = { s->conf->coord_ttl, s->conf->coord_skew };
	char *name = xasprintf("lease/wal/%s", source->name),
	     *fix = xasprintf("systemctl enable --now ffdr-wal@%s", source->bare);
	struct coord *coord = NULL;
	struct lease_text text;
	struct err e = { 0 };
	int got = -1;

	if (coord_open(s->conf->coord_place, &coord, &e) == 0)
		got = lease_look(coord, name, &times, &text, &e);
	if (got == -1)
		check_error(c, CHECK_FAIL, source->name, &e);
	else if (streams && got == 0)
		check_add(c, CHECK_WARN, source->name, fix, "nobody receives its WAL now");
	else if (streams)
		tell_shipper(c, source, sql, text.host);
	coord_close(coord);
	free(fix);
	free(name);
}

/* ---- the spool of this host ---- */

/* What it takes of its disk now; no key is needed for that, nor any tier. */
static uint64_t
held_in_spool(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *d;
	uint64_t held = 0;
	struct stat st;

	while (dir != NULL && (d = readdir(dir)) != NULL)
		if (fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			held += (uint64_t)st.st_blocks * 512;
	if (dir != NULL)
		closedir(dir);
	return held;
}

static void
spool(struct check *c, struct session *s, const struct conf_source *source)
{
	char *path = xasprintf("%s/spool/%s", s->conf->state, source->name), most[UNITS_TEXT],
	     room[UNITS_TEXT];
	const bool there = access(path, F_OK) == 0;
	uint64_t left, held = there ? held_in_spool(path) : 0;
	struct statvfs fs;

	if (statvfs(there ? path : s->conf->state, &fs) == -1) {
		free(path);
		return; /* a state directory that is not there has a line of its own */
	}
	left = (uint64_t)fs.f_bavail * fs.f_frsize + held;
	units_size(source->postgres->backlog, most);
	units_size(left, room);
	if (there && access(path, W_OK | X_OK) == -1)
		check_add(c, CHECK_FAIL, source->name,
			  "as root: give it to the user who runs ffdr wal stream",
			  "the spool '%s': %m", path);
	else if (left < source->postgres->backlog)
		check_add(c, CHECK_WARN, source->name,
			  "a larger disk below state, or a smaller backlog",
			  "the spool may hold backlog = %s, its "
			  "file system has room for %s",
			  most, room);
	else
		check_add(c, CHECK_OK, source->name, NULL,
			  "there is room for a backlog of %s in the spool", most);
	free(path);
}

void
check_pg_receiver(struct check *c, struct session *s, const struct conf_source *source,
    struct pg_conn *sql, bool streams)
{
	shipper(c, s, source, sql, streams);
	if (streams)
		spool(c, s, source);
}
