/*
 * Puts pg_conn, pg_slot, pg_stream and pg_base before a real server, for scenarios: one call a run,
 * what came of it as one JSON object a line. An error is {"error": kind, "text": ..., "state": ...}
 * and status 1.
 *
 *	pg_probe identify|note CONNINFO [repl]
 *	pg_probe show CONNINFO NAME [repl]
 *	pg_probe sql CONNINFO STATEMENT [PARAM...]
 *	pg_probe slot CONNINFO sql|repl create|temporary|read|drop|advance NAME [LSN]
 *	pg_probe history CONNINFO TLI
 *	pg_probe stream CONNINFO SLOT|- TLI LSN UNTIL FILE [eager|quick|mute]
 *		WAL into FILE up to UNTIL (LSN; - for the end); mute confirms nothing
 *	pg_probe base CONNINFO TARGET [fast] [rate=N] [noverify] [allow] [label=X] [stop=N] [late] [twice]
 *		a base backup into a new repository below TMPDIR, restored to TARGET
 *
 * PG_PROBE_PASSWORD is given as the password, PG_PROBE_TIMEOUT as the seconds to connect. SIGTERM
 * is the wish to stop.
 */
#include "tests/lib/vector.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/lsn.h"
#include "source/pg/pg_base.h"
#include "source/pg/pg_conn.h"
#include "source/pg/pg_slot.h"
#include "source/pg/pg_stream.h"
#include "tests/lib/volumekit.h"

static volatile sig_atomic_t told_to_stop;
static struct pg_conn *conn;

static void
on_term(int signal)
{
	(void)signal;
	told_to_stop = 1;
}

static bool
stop(void *arg)
{
	(void)arg;
	return told_to_stop;
}

static int
say(json_t *object)
{
	json_dumpf(object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	putchar('\n');
	fflush(stdout);
	json_decref(object);
	return 0;
}

static int
say_error(const struct err *e)
{
	say(json_pack("{s:s, s:s, s:s}", "error", err_word(e->kind), "text", e->text, "state",
	    conn ? pg_conn_sqlstate(conn) : ""));
	return 1;
}

static json_t *
lsn(uint64_t at)
{
	char text[LSN_TEXT];

	return json_string(lsn_text(at, text));
}

static int
open_conn(const char *conninfo, bool replication)
{
	const char *timeout = getenv("PG_PROBE_TIMEOUT");
	struct err e = { 0 };

	if (pg_conn_open(&(struct pg_conn_options){ .conninfo = conninfo,
		.password = getenv("PG_PROBE_PASSWORD"), .replication = replication,
		.timeout_s = timeout ? (int)strtol(timeout, NULL, 10) : 0, .stop = stop },
		&conn, &e) == -1) {
		say_error(&e);
		return -1;
	}
	return 0;
}

/* ---- statements ---- */

static int
identify(bool note)
{
	struct pg_identity id;
	struct err e = { 0 };

	if (note)
		return say(json_pack("{s:s, s:i, s:s}", "note", pg_conn_note(conn), "version",
		    pg_conn_version(conn), "place", pg_conn_place(conn)));
	if (pg_conn_identify(conn, &id, &e) == -1)
		return say_error(&e);
	return say(json_pack("{s:I, s:i, s:o, s:b, s:i}", "sysid", (json_int_t)id.sysid, "tli",
	    (int)id.tli, "flush", lsn(id.flush), "standby", id.standby, "version",
	    pg_conn_version(conn)));
}

static int
show(const char *name)
{
	char value[PG_CONN_SETTING];
	struct err e = { 0 };

	if (pg_conn_show(conn, name, value, &e) == -1)
		return say_error(&e);
	return say(json_pack("{s:s}", "value", value));
}

static int
sql(const char *statement, const char *const *param, size_t params)
{
	json_t *rows = json_array();
	struct err e = { 0 };
	struct pg_rows *r;

	if (pg_conn_exec(conn, statement, param, params, &r, &e) == -1) {
		json_decref(rows);
		return say_error(&e);
	}
	for (size_t i = 0; i < pg_conn_rows(r); i++) {
		json_t *row = json_array();

		for (size_t j = 0; j < pg_conn_columns(r); j++) {
			const char *s = pg_conn_value(r, i, j, NULL);

			json_array_append_new(row, s ? json_string(s) : json_null());
		}
		json_array_append_new(rows, row);
	}
	pg_conn_rows_free(r);
	return say(json_pack("{s:o}", "rows", rows));
}

static int
slot(const char *what, const char *name, const char *to)
{
	struct err e = { 0 };
	struct pg_slot s = { 0 };
	uint64_t at = 0;
	int r;

	if (to && lsn_parse(to, &at) == -1)
		return 2;
	if (strcmp(what, "read") == 0)
		r = pg_slot_read(conn, name, &s, &e);
	else if (strcmp(what, "drop") == 0)
		r = pg_slot_drop(conn, name, &e);
	else if (strcmp(what, "advance") == 0)
		r = pg_slot_advance(conn, name, at, &at, &e);
	else
		r = pg_slot_create(conn, name, strcmp(what, "temporary") == 0, &e);
	if (r == -1)
		return say_error(&e);
	return say(json_pack("{s:i, s:b, s:b, s:o, s:i, s:b, s:b, s:b, s:s, s:b, s:I, s:I, s:o}",
	    "result", r, "physical", s.physical, "reserves", s.reserves, "restart",
	    lsn(s.restart_lsn), "tli", (int)s.restart_tli, "full", s.full, "active", s.active,
	    "temporary", s.temporary, "wal", pg_slot_wal_word(s.wal), "limited", s.limited, "safe",
	    (json_int_t)s.safe_bytes, "behind", (json_int_t)s.behind, "at", lsn(at)));
}

static int
history(const char *tli)
{
	struct err e = { 0 };
	struct buf text;
	int r;

	buf_init(&text, 1u << 20);
	r = pg_stream_history(conn, (uint32_t)strtoul(tli, NULL, 10), &text, &e);
	r = r == -1 ? say_error(&e) : say(json_pack("{s:i, s:s}", "result", r, "text", buf_str(&text)));
	buf_done(&text);
	return r;
}

/* ---- stream ---- */

struct sink {
	int fd;
	uint64_t at, start;
};

static int
take_wal(void *arg, uint64_t at, const uint8_t *data, size_t n, uint64_t server_end, struct err *e)
{
	struct sink *s = arg;

	(void)server_end;
	s->at = at + n;
	return file_pwrite(s->fd, data, n, at - s->start, e);
}

static const char *const how_word[] = { "runs", "timeline", "closed", "removed" };

static int
say_stream(const struct pg_stream *s, const struct err *e)
{
	const struct pg_stream_end *end = pg_stream_end(s);
	struct pg_stream_state st;

	pg_stream_state(s, &st);
	return say(json_pack("{s:s, s:i, s:o, s:s, s:o, s:o, s:o, s:I, s:I, s:s, s:s}", "how",
	    how_word[end->how], "next_tli", (int)end->next_tli, "next_lsn", lsn(end->next_lsn), "why",
	    end->why.text, "received", lsn(st.received), "confirmed", lsn(st.confirmed),
	    "server_end", lsn(st.server_end), "messages", (json_int_t)st.messages, "unknown",
	    (json_int_t)st.unknown, "error", e->text, "kind", err_word(e->kind)));
}

static int
run_stream(struct pg_stream *s, struct sink *sink, uint64_t until, bool mute, struct err *e)
{
	struct pollfd p;
	int r = 1;

	while (r == 1 && sink->at < until && !told_to_stop) {
		int ms = pg_stream_wait_ms(s);

		p = (struct pollfd){ .fd = pg_stream_fd(s), .events = POLLIN };
		if (poll(&p, 1, ms) == -1 && errno != EINTR)
			return -1;
		r = pg_stream_step(s, e);
		if (r != -1 && !mute && sink->at > 0) {
			if (fdatasync(sink->fd) == -1)
				return err_sys(e, "fsync");
			if (pg_stream_confirm(s, sink->at, e) == -1)
				return -1;
		}
	}
	return r;
}

static int
stream(char **arg, const char *mode)
{
	struct pg_stream_options o = { .wal = take_wal, .slot = arg[0],
		.tli = (uint32_t)strtoul(arg[1], NULL, 10) };
	struct sink sink = { .fd = open(arg[4], O_RDWR | O_CREAT | O_CLOEXEC, 0600) };
	uint64_t until = UINT64_MAX;
	struct pg_stream *s;
	struct err e = { 0 };
	int r;

	if (strcmp(arg[0], "-") == 0)
		o.slot = NULL;
	if (sink.fd == -1 || lsn_parse(arg[2], &o.from) == -1 ||
	    (strcmp(arg[3], "-") != 0 && lsn_parse(arg[3], &until) == -1))
		return 2;
	o.arg = &sink;
	o.eager = strcmp(mode, "eager") == 0;
	sink.start = o.from;
	if (strcmp(mode, "quick") == 0) {
		o.status_ms = 300;
		o.silence_ms = 1000;
	}
	if (pg_stream_start(conn, &o, &s, &e) == -1)
		return say_error(&e);
	say(json_pack("{s:b}", "started", true));
	r = run_stream(s, &sink, until, strcmp(mode, "mute") == 0, &e);
	say_stream(s, &e);
	pg_stream_free(s);
	if (r != -1 && pg_conn_alive(conn))
		r = identify(false);
	close(sink.fd);
	return r == -1;
}

/* ---- base ---- */

struct wishes {
	struct pg_base_options o;
	uint64_t stop_at;
	bool late;
};

static bool
base_stop(void *arg)
{
	(void)arg;
	return told_to_stop;
}

static void
base_progress(void *arg, uint64_t done, uint64_t total)
{
	const struct wishes *w = arg;

	if (total > 0 && done > total)
		abort();
	if (w->stop_at > 0 && done >= w->stop_at)
		told_to_stop = 1;
}

static void
base_warn(void *arg, const char *text)
{
	(void)arg;
	say(json_pack("{s:s}", "warning", text));
}

static double
seconds(const struct timeval *t)
{
	return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

static void
say_report(int r, const struct pg_base_report *got, int64_t streamed, int64_t ns, const struct err *e)
{
	json_t *places = json_array(), *bads = json_array();
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	for (size_t i = 0; i < got->tablespaces; i++)
		json_array_append_new(places, json_pack("[i, s]", (int)got->tablespace[i].oid,
		    got->tablespace[i].path));
	for (size_t i = 0; i < got->bads; i++)
		json_array_append_new(bads, json_pack("[s, i]", got->bad[i].file, (int)got->bad[i].block));
	say(json_pack("{s:i, s:o, s:o, s:i, s:i, s:o, s:o, s:b, s:I, s:I, s:I, s:I, s:s, s:s, s:f, s:f,"
		      " s:f, s:s, s:s}",
	    "result", r, "start", lsn(got->start_lsn), "stop", lsn(got->stop_lsn), "start_tli",
	    (int)got->start_tli, "stop_tli", (int)got->stop_tli, "tablespaces", places, "bad", bads,
	    "damaged", got->damaged, "entries", (json_int_t)got->entries, "bytes",
	    (json_int_t)got->bytes, "estimated", (json_int_t)got->estimated, "manifest",
	    (json_int_t)got->manifest_bytes, "label", buf_str(&got->label), "map",
	    buf_str(&got->map), "streamed", (double)streamed / 1e9, "wall", (double)ns / 1e9, "cpu",
	    seconds(&ru.ru_utime) + seconds(&ru.ru_stime), "kind", err_word(e->kind), "text", e->text));
}

static int
backup(const struct wishes *w, struct manifest *m, struct err *e)
{
	const struct writer_options wo = { .source = VOLUMEKIT_SOURCE, .root = "/", .host = "here",
		.level = 1, .workers = 2, .read_all = true, .any_order = true,
		.longest_ns = w->late ? 24 : 0 };
	struct pg_base_report got;
	struct writer *writer;
	int64_t before, streamed;
	int r;

	if (writer_open_snapshot(volumekit.repo, &volumekit.tier, &wo, &writer, e) == -1)
		return -1;
	before = clock_boot_ns();
	r = pg_base_stream(conn, writer, &w->o, &got, e);
	streamed = clock_boot_ns() - before;
	if (r != -1 && !w->late && writer_commit(writer, r == 0, m, e) == -1)
		r = -1;
	say_report(r, &got, streamed, clock_boot_ns() - before, e);
	pg_base_report_done(&got);
	writer_free(writer);
	return r;
}

static int
base(const char *target, char **word)
{
	struct wishes w = { .o = { .stop = base_stop, .progress = base_progress, .warn = base_warn } };
	bool twice = false;
	struct err e = { 0 };
	struct manifest m;
	int r;

	w.o.arg = &w;
	for (; *word; word++) {
		if (strncmp(*word, "rate=", 5) == 0)
			w.o.max_rate = strtoull(*word + 5, NULL, 10);
		else if (strncmp(*word, "label=", 6) == 0)
			w.o.label = *word + 6;
		else if (strncmp(*word, "stop=", 5) == 0)
			w.stop_at = strtoull(*word + 5, NULL, 10);
		w.o.fast |= strcmp(*word, "fast") == 0;
		w.o.no_verify |= strcmp(*word, "noverify") == 0;
		w.o.allow_bad_pages |= strcmp(*word, "allow") == 0;
		w.late |= strcmp(*word, "late") == 0;
		twice |= strcmp(*word, "twice") == 0;
	}
	volumekit_begin(NULL);
	manifest_init(&m);
	r = backup(&w, &m, &e);
	if (r == 1 && twice) {
		manifest_done(&m);
		manifest_init(&m);
		r = backup(&w, &m, &e);
	}
	if (r == 1 && strcmp(target, "-") != 0) {
		free(volumekit.target);
		volumekit.target = strdup(target);
		memcpy(volumekit.last, m.name, sizeof(m.name));
		volumekit_restore(false);
	}
	manifest_done(&m);
	volumekit_end(NULL);
	/* Is it left in a state to go on? */
	told_to_stop = 0;
	if (r == -1 && pg_conn_alive(conn))
		identify(false);
	return r == -1;
}

int
main(int argc, char **argv)
{
	const char *verb = argc > 2 ? argv[1] : "";
	const bool repl_word = argc > 3 && strcmp(argv[argc - 1], "repl") == 0;
	const bool repl = repl_word || strcmp(verb, "history") == 0 || strcmp(verb, "stream") == 0 ||
	    strcmp(verb, "base") == 0 || (strcmp(verb, "slot") == 0 && strcmp(argv[3], "repl") == 0);
	int rc = 2;

	signal(SIGTERM, on_term);
	if (!*verb || open_conn(argv[2], repl) == -1)
		return *verb ? 1 : 2;
	if (strcmp(verb, "identify") == 0 || strcmp(verb, "note") == 0)
		rc = identify(*verb == 'n');
	else if (strcmp(verb, "show") == 0)
		rc = show(argv[3]);
	else if (strcmp(verb, "sql") == 0)
		rc = sql(argv[3], (const char *const *)argv + 4, (size_t)argc - 4);
	else if (strcmp(verb, "slot") == 0 && argc >= 6)
		rc = slot(argv[4], argv[5], argv[6]);
	else if (strcmp(verb, "history") == 0)
		rc = history(argv[3]);
	else if (strcmp(verb, "stream") == 0 && argc >= 8)
		rc = stream(argv + 3, argv[8] ? argv[8] : "");
	else if (strcmp(verb, "base") == 0)
		rc = base(argv[3], argv + 4);
	pg_conn_free(conn);
	return rc;
}
