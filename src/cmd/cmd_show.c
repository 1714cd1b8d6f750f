/*
 * One snapshot in full: what its manifest says, what is known of it on each tier, and its files,
 * which come from the list inside.
 */
#include "cmd/cmd_show.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"
#include "cmd/cmd_list.h"
#include "cmd/output.h"
#include "cmd/progress.h"
#include "cmd/words.h"
#include "job/inventory.h"
#include "job/pick.h"
#include "job/proved.h"
#include "job/rehearse.h"
#include "repo/reader.h"
#include "repo/record.h"
#include "source/pg/pg_conf.h"

#define DETAIL_MAX 4096 /* a setting, a path */

struct show_options {
	struct common_options common;
	const char *tier, *as_of;
	bool files;
};
static const struct opt show_opts[] = {
	{ "files", 0, OPT_FLAG, offsetof(struct show_options, files), NULL,
	    "list its files; with PATH only those at and below it" },
	{ "tier", 0, OPT_STRING, offsetof(struct show_options, tier), "TIER",
	    "only what this tier has, and read from it first" },
	WORDS_AS_OF(show_options),
	{ 0 },
};

static void
unread(void *arg, const char *name, const struct err *why)
{
	(void)arg;
	(void)name;
	output_warn("%s; `ffdr verify --repair` sets it aside", why->text);
}

static const char *
level_text(int level)
{
	static const char *const text[] = { "level 0", "level 1", "level 2", "a restore" };

	return text[level < (int)ARRAY_LEN(text) ? level : (int)ARRAY_LEN(text) - 1];
}

static json_t *
proofs(struct session *s, const struct layout_snap *part)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->tiers.count; i++) {
		struct tier *t = &s->tiers.tier[i];
		struct err e = { 0 };
		struct proved p;
		char when[UNITS_TEXT];

		if (!t->store)
			continue;
		if (proved_read(s->repo, t, part, unread, &p, &e) == -1)
			output_warn("what was verified on %s is not known: %s", t->name, e.text);
		if (p.level >= 0 && p.broken == -1)
			output_detail("verified", "%s on %s, %s", level_text(p.level), t->name,
			    units_time(p.time_ns, when));
		if (p.broken >= 0)
			output_detail("broken", "on %s, found so by %s, %s: `ffdr verify %s %s`",
			    t->name, level_text(p.broken), units_time(p.broken_ns, when),
			    p.broken == REHEARSE_LEVEL ? "--restore" : "--repair", part->id);
		if (p.level < 0 && p.broken == -1)
			continue;
		json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:o}", "tier", t->name, "level",
		    p.level < 0 ? json_null() : json_integer(p.level), "time",
		    words_json_time(p.time_ns), "broken",
		    words_json_time(p.broken >= 0 ? p.broken_ns : 0)));
	}
	return list;
}

static void
show_hold(struct session *s, const char *id, json_t *object)
{
	struct record_holds holds;
	const struct record_hold *h;
	struct err e = { 0 };

	if (record_holds(s->repo, NULL, &holds, &e) == -1)
		output_warn("what is held is not known: %s", e.text);
	h = record_held(&holds, id);
	if (h)
		output_detail("held", "by %s%s%s", h->by, h->why[0] ? ": " : "", h->why);
	else
		output_detail("held", "no");
	json_object_set_new(object, "held", json_boolean(h != NULL));
	json_object_set_new(object, "held_by", h ? output_string(h->by) : json_null());
	json_object_set_new(object, "held_why", h ? output_string(h->why) : json_null());
	record_holds_done(&holds);
}

static const char *
snap_id(const char *name, struct layout_snap *part)
{
	return layout_snap_parse(name, part) == 0 ? part->id : "-";
}

/* A number among the source's own lines; 0 when it is not there. */
static uint64_t
detail_count(const struct manifest *m, const char *key)
{
	struct buf value;
	uint64_t n = 0;
	size_t at = 0;

	buf_init(&value, UNITS_TEXT);
	if (manifest_detail(m, &at, key, &value) == 1)
		n = strtoull(buf_str(&value), NULL, 10);
	buf_done(&value);
	return n;
}

/* ---- what a database's own lines say ---- */

/* All values of a key, as strings. */
static json_t *
detail_list(const struct manifest *m, const char *key)
{
	json_t *list = json_array();
	struct buf value;
	size_t at = 0;

	buf_init(&value, DETAIL_MAX);
	for (; manifest_detail(m, &at, key, &value) == 1; buf_reset(&value)) {
		struct buf shown;

		/* Manifests of earlier days have all that stood in a setting. */
		buf_init(&shown, DETAIL_MAX);
		pg_conf_unsecret(buf_str(&value), &shown);
		json_array_append_new(list, words_json(buf_str(&shown), shown.len));
		buf_done(&shown);
	}
	buf_done(&value);
	return list;
}

static void
detail_text(const struct manifest *m, const char *key, char *out, size_t room)
{
	json_t *list = detail_list(m, key);

	snprintf(out, room, "%s", json_array_size(list) > 0 ?
	    json_string_value(json_array_get(list, 0)) : "-");
	json_decref(list);
}

static json_t *
database_json(const struct manifest *m)
{
	static const char *const one[] = { "system-id", "server-version", "segment-size", "checksums",
		"start-lsn", "start-timeline", "stop-lsn", "stop-timeline", "method", "from-standby" };
	static const char *const many[] = { "tablespace", "bad-page", "setting" };
	json_t *object = json_object();
	char value[UNITS_TEXT];

	if (detail_count(m, "system-id") == 0) {
		json_decref(object);
		return json_null();
	}
	for (size_t i = 0; i < ARRAY_LEN(one); i++) {
		detail_text(m, one[i], value, sizeof(value));
		json_object_set_new(object, one[i], json_string(value));
	}
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		json_object_set_new(object, many[i], detail_list(m, many[i]));
	return object;
}

static void
database_text(const struct manifest *m)
{
	char from[UNITS_TEXT], to[UNITS_TEXT], tli[UNITS_TEXT], id[UNITS_TEXT];
	json_t *bad;

	if (detail_count(m, "system-id") == 0)
		return;
	detail_text(m, "system-id", id, sizeof(id));
	detail_text(m, "start-lsn", from, sizeof(from));
	detail_text(m, "stop-lsn", to, sizeof(to));
	detail_text(m, "stop-timeline", tli, sizeof(tli));
	output_detail("server", "PostgreSQL %" PRIu64 ", system %s",
	    detail_count(m, "server-version") / 10000, id);
	output_detail("wal", "%s .. %s on timeline %s", from, to, tli);
	bad = detail_list(m, "bad-page");
	if (json_array_size(bad) > 0)
		output_detail("damaged", "%zu pages had a wrong checksum: --json names them",
		    json_array_size(bad));
	json_decref(bad);
}

static void
show_text(const struct manifest *m, const char *id)
{
	int64_t took_ms = (m->finished_ns - m->started_ns) / CLOCK_MS;
	char a[UNITS_TEXT], b[UNITS_TEXT], c[UNITS_TEXT];
	struct layout_snap parent;
	uint64_t packs = 0;

	for (size_t i = 0; i < m->packs; i++)
		packs += m->pack[i].size;
	output_done("%s%s", id, m->partial ? " is partial: unfinished, it cannot be restored" : "");
	output_detail("captured", "%s%s%s", m->root ? m->root : "", m->host ? " on " : "",
	    m->host ? m->host : "");
	/* Both times are whole seconds. */
	output_detail("when", "%s, took %s", units_time(m->started_ns, a),
	    took_ms == 0 ? "less than a second" : units_duration(took_ms, b));
	output_detail("holds", "%s in %s, %s", units_size(m->bytes, a),
	    units_count(m->files, "file", b), units_count(m->entries, "entry", c));
	output_detail("new", "%s stored after reading %s", units_size(m->stored_new, a),
	    units_size(m->read_bytes, b));
	output_detail("packs", "%zu, %s on each tier", m->packs, units_size(packs, a));
	output_detail("number", "%" PRIu64 ", after %s", m->sequence,
	    m->parent[0] ? snap_id(m->parent, &parent) : "none");
	output_detail("compared", "all contents, %s", units_time(m->compared_ns, a));
	if (m->parent[0])
		output_detail("differ", "%s from the snapshot before",
		    units_count(m->changed_files, "file", a));
	if (detail_count(m, "unreadable") > 0)
		output_detail("lacks", "%s that could not be read; --files marks them",
		    units_count(detail_count(m, "unreadable"), "entry", a));
	if (detail_count(m, "changed") > 0)
		output_detail("changed", "%s while being read",
		    units_count(detail_count(m, "changed"), "file", a));
	database_text(m);
	if (m->job)
		output_detail("job", "%s %s", m->job, m->slot ? m->slot : "");
}

static json_t *
show_json(const struct manifest *m, const char *id)
{
	struct catalog_facts f;
	struct layout_snap parent;
	json_t *object;

	catalog_facts(m, &f);
	object = cmd_list_facts(&f);
	json_object_set_new(object, "snapshot", json_string(id));
	json_object_set_new(object, "source", json_string(m->source));
	json_object_set_new(object, "root",
	    m->root ? words_json(m->root, strlen(m->root)) : json_null());
	json_object_set_new(object, "host",
	    m->host ? words_json(m->host, strlen(m->host)) : json_null());
	json_object_set_new(object, "parent", m->parent[0] ?
	    json_string(snap_id(m->parent, &parent)) : json_null());
	json_object_set_new(object, "packs", json_integer((json_int_t)m->packs));
	json_object_set_new(object, "differ", json_integer((json_int_t)m->changed_files));
	json_object_set_new(object, "unreadable",
	    json_integer((json_int_t)detail_count(m, "unreadable")));
	json_object_set_new(object, "changed", json_integer((json_int_t)detail_count(m, "changed")));
	json_object_set_new(object, "database", database_json(m));
	return object;
}

static void
mode_text(const struct entry *en, char out[11])
{
	static const char bits[] = "rwxrwxrwx";

	out[0] = en->type == ENTRY_FILE || en->type == ENTRY_HARDLINK ? '-' : (char)en->type;
	for (int i = 0; i < 9; i++)
		out[i + 1] = en->mode & (0400u >> i) ? bits[i] : '-';
	if (en->mode & S_ISUID)
		out[3] = en->mode & S_IXUSR ? 's' : 'S';
	if (en->mode & S_ISGID)
		out[6] = en->mode & S_IXGRP ? 's' : 'S';
	if (en->mode & S_ISVTX)
		out[9] = en->mode & S_IXOTH ? 't' : 'T';
	out[10] = '\0';
}

static const char *
note_word(unsigned note)
{
	if (note & ENTRY_UNREADABLE)
		return "unreadable";
	if (note & ENTRY_NO_ATTRS)
		return "no-attributes";
	return note & ENTRY_ELSEWHERE ? "elsewhere" : "changed";
}

static const char *
note_text(unsigned note)
{
	if (note & ENTRY_UNREADABLE)
		return "  (could not be read)";
	if (note & ENTRY_NO_ATTRS)
		return "  (some attributes could not be read)";
	if (note & ENTRY_ELSEWHERE)
		return "  (another file system, not entered)";
	return note & ENTRY_CHANGED ? "  (changed while it was read)" : "";
}

/* The time of a file, to the second; a file may claim to be of a year that no int64_t of ns has. */
static const char *
file_time(const struct entry *en, char out[UNITS_TEXT])
{
	if (en->mtime_s > INT64_MAX / CLOCK_S - 1 || en->mtime_s < INT64_MIN / CLOCK_S + 1)
		snprintf(out, UNITS_TEXT, "@%" PRId64, en->mtime_s);
	else
		units_time(en->mtime_s * CLOCK_S, out);
	return out;
}

static void
file_text(const struct entry *en)
{
	char *path = output_name(en->path, en->pathlen), *target = NULL;
	char mode[11], when[UNITS_TEXT], size[32];

	mode_text(en, mode);
	if (en->type == ENTRY_BLOCK || en->type == ENTRY_CHAR)
		snprintf(size, sizeof(size), "%" PRIu32 ",%" PRIu32, en->rdev_major, en->rdev_minor);
	else if (en->type == ENTRY_HARDLINK)
		snprintf(size, sizeof(size), "-"); /* that of the name behind '=' */
	else
		snprintf(size, sizeof(size), "%" PRIu64, en->size);
	if (en->targetlen > 0)
		target = output_name(en->target, en->targetlen);
	output_line("%s %5" PRIu32 " %5" PRIu32 " %12s %s %s%s%s%s", mode, en->uid, en->gid, size,
	    file_time(en, when), path,
	    en->targetlen == 0 ? "" : en->type == ENTRY_HARDLINK ? " = " : " -> ",
	    target ? target : "", note_text(en->note));
	free(target);
	free(path);
}

static json_t *
file_json(const struct entry *en)
{
	char type[2] = { (char)en->type, '\0' }, mode[8], id[TEXT_HEX(GRAIN_ID_LEN)];
	char when[UNITS_TEXT];
	json_t *object;

	snprintf(mode, sizeof(mode), "%04o", en->mode);
	object = json_pack("{s:o, s:s, s:s, s:I, s:I, s:I, s:s}", "path",
	    words_json(en->path, en->pathlen), "type", type, "mode", mode, "uid",
	    (json_int_t)en->uid, "gid", (json_int_t)en->gid, "size", (json_int_t)en->size, "mtime",
	    file_time(en, when));
	if (en->targetlen > 0)
		json_object_set_new(object, "target", words_json(en->target, en->targetlen));
	if (en->type == ENTRY_FILE)
		json_object_set_new(object, "id", json_string(text_hex(en->id, GRAIN_ID_LEN, id)));
	if (en->note != 0)
		json_object_set_new(object, "note", json_string(note_word(en->note)));
	return object;
}

/* "a/b" is at or below "a"; everything is below ".". */
static bool
below(const struct entry *en, const char *top, size_t n)
{
	if (n == 0 || (n == 1 && top[0] == '.'))
		return true;
	return en->pathlen >= n && memcmp(en->path, top, n) == 0 &&
	    (en->pathlen == n || en->path[n] == '/');
}

static int
show_files(struct reader *r, const char *path, json_t *files, struct err *e)
{
	const struct entry *en;
	size_t n, seen = 0;
	int got;

	/* As people paste it: "/a/b/" is a/b. */
	while (path && *path == '/')
		path++;
	n = path ? strlen(path) : 0;
	while (n > 0 && path[n - 1] == '/')
		n--;
	while ((got = reader_next(r, &en, e)) == 1) {
		if (!below(en, path, n))
			continue;
		seen++;
		if (output_is_json())
			json_array_append_new(files, file_json(en));
		else
			file_text(en);
	}
	if (got == 0 && seen == 0)
		return err_set(e, ERR_NOTFOUND, "there is no '%.*s' in this snapshot", (int)n,
		    path ? path : "");
	return got;
}

static int
show_one(struct session *s, const struct command_call *call, const char *name, struct tier *first,
    struct err *e)
{
	const struct show_options *o = call->options;
	json_t *object = NULL, *files = json_array();
	struct layout_snap part = { 0 };
	struct reader *r = NULL;
	uint64_t on = inventory_where(s, name);
	bool list = o->files || call->argc > 1;
	char *tiers = inventory_tiers(s, on);
	int rc = -1;

	if (reader_open(s->repo, first, name, &r, e) == -1) {
		err_in(e, "'%s' on '%s' cannot be read", name, first->name);
		goto out;
	}
	if (layout_snap_parse(name, &part) == -1)
		goto out;
	object = show_json(reader_manifest(r), part.id);
	json_object_set_new(object, "tiers", words_tiers_json(s, on));
	if (!list) {
		output_data();
		show_text(reader_manifest(r), part.id);
		output_detail("tiers", "%s", tiers);
		show_hold(s, part.id, object);
		json_object_set_new(object, "verified", proofs(s, &part));
	} else if (show_files(r, call->argc > 1 ? call->argv[1] : NULL, files, e) == -1) {
		goto out;
	} else {
		json_object_set(object, "files", files);
	}
	output_json(object);
	object = NULL;
	rc = output_warnings() > 0 ? EXIT_DEGRADED : EXIT_DONE;
out:
	json_decref(object);
	json_decref(files);
	reader_free(r);
	free(tiers);
	return rc;
}

static int
show_run(const struct command_call *call, struct err *e)
{
	const struct show_options *o = call->options;
	struct pick_options po = { .text = call->argv[0], .partial = true };
	struct session s = { 0 };
	struct tier *first = NULL;
	char name[LAYOUT_NAME];
	int rc = -1;

	if (words_open_past(call->conf, o->as_of, NULL, SESSION_READ, &s, e) == -1)
		goto out;
	if (o->tier && session_tier(&s, o->tier, &po.tier, e) == -1)
		goto out;
	words_warn_away(&s);
	po.watch = progress_start("show");
	rc = pick_snapshot(&s, &po, name, &first, e);
	progress_end();
	if (rc == -1)
		goto out;
	rc = show_one(&s, call, name, first, e);
out:
	session_done(&s);
	return rc;
}

const struct command cmd_show_show = {
	.name = "show",
	.operands = "SNAPSHOT [PATH]",
	.summary = "show a snapshot: what it holds, where it lies, what proved it",
	.text = "A snapshot is named by its whole name, by a unique beginning of it, by SOURCE for "
		"the newest of that source, or by latest. With --files, or a PATH, its entries are "
		"listed as `ls -l` does: mode, owner, group, size, time of change, name. A further "
		"name of the same file shows the first after '='. Control characters in names are "
		"shown as \\xHH.",
	.examples = "ffdr show vol.uploads/latest          # the newest\n"
		    "ffdr show vol.uploads --files         # all its files\n"
		    "ffdr show vol.uploads photos/2026     # those below one directory",
	.options = show_opts,
	.options_size = sizeof(struct show_options),
	.min_operands = 1,
	.max_operands = 2,
	.conf = CONF_LOAD,
	.run = show_run,
};
