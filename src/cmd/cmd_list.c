/*
 * What there is: all snapshots as a table, one of them in full. `list` opens no manifest and needs
 * no key, so it works when little else does; `show` opens one, and its files come from the list
 * inside.
 */
#include "cmd/cmd_list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"
#include "cmd/output.h"
#include "cmd/progress.h"
#include "cmd/words.h"
#include "job/inventory.h"
#include "job/pick.h"
#include "job/recall.h"
#include "repo/reader.h"
#include "repo/record.h"

/* ---- list ---- */

struct list_options {
	struct common_options common;
	const char *tier;
	bool refresh;
};
static const struct opt list_opts[] = {
	{ "tier", 0, OPT_STRING, offsetof(struct list_options, tier), "TIER",
	    "only what this tier has" },
	{ "refresh", 0, OPT_FLAG, offsetof(struct list_options, refresh), NULL,
	    "open the manifests that this host's catalog does not know" },
	{ 0 },
};

static int64_t
age_ms(int64_t time_ns, int64_t now_ns)
{
	return now_ns > time_ns ? (now_ns - time_ns) / CLOCK_MS : 0;
}

/* Made while a clock was wrong. */
static bool
in_future(int64_t time_ns, int64_t now_ns)
{
	return time_ns > now_ns + LAYOUT_SKEW_NS;
}

static const char *
age_text(int64_t time_ns, int64_t now_ns, char out[UNITS_TEXT])
{
	return in_future(time_ns, now_ns) ? "in the future" :
	    units_duration(age_ms(time_ns, now_ns), out);
}

static json_t *
facts_json(const struct catalog_facts *f)
{
	return json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "partial", f->partial,
	    "sequence", (json_int_t)f->sequence, "entries", (json_int_t)f->entries, "files",
	    (json_int_t)f->files, "bytes", (json_int_t)f->bytes, "read",
	    (json_int_t)f->read_bytes, "new", (json_int_t)f->stored_new, "started",
	    words_json_time(f->started_ns), "finished", words_json_time(f->finished_ns), "compared",
	    words_json_time(f->compared_ns));
}

static json_t *
item_json(const struct session *s, const struct inventory_item *item, int64_t now)
{
	json_t *object = json_pack("{s:s, s:s, s:o, s:I, s:b, s:o, s:b}", "snapshot", item->part.id,
	    "source", item->part.source, "time", words_json_time(item->part.time_ns), "age",
	    (json_int_t)(age_ms(item->part.time_ns, now) / 1000), "future",
	    in_future(item->part.time_ns, now), "tiers", words_tiers_json(s, item->on), "known",
	    item->known);

	if (item->known) {
		json_t *facts = facts_json(&item->facts);

		json_object_update(object, facts);
		json_decref(facts);
	}
	return object;
}

static void
list_print(const struct session *s, const struct inventory *inv)
{
	static const char *const header[] = { "SNAPSHOT", "TIERS", "WHEN", ">AGE", ">FILES",
		">SIZE", ">NEW", "" };
	struct output_table *t = output_table_new(header, ARRAY_LEN(header));
	int64_t now = clock_real_ns();

	for (size_t i = 0; i < inv->count; i++) {
		const struct inventory_item *item = &inv->item[i];
		char when[UNITS_TEXT], age[UNITS_TEXT], files[UNITS_TEXT] = "-",
		    size[UNITS_TEXT] = "-", new[UNITS_TEXT] = "-";
		char *tiers = inventory_tiers(s, item->on);

		if (item->known) {
			snprintf(files, sizeof(files), "%" PRIu64, item->facts.files);
			units_size(item->facts.bytes, size);
			units_size(item->facts.stored_new, new);
		}
		output_table_row(t, (const char *const[]){ item->part.id, tiers,
		    units_time(item->part.time_ns, when),
		    age_text(item->part.time_ns, now, age), files, size, new,
		    item->known && item->facts.partial ? "partial" : "" });
		free(tiers);
	}
	output_table_print(t);
}

static json_t *
list_json(const struct session *s, const struct inventory *inv)
{
	json_t *items = json_array(), *away = json_array();
	int64_t now = clock_real_ns();

	for (size_t i = 0; i < inv->count; i++)
		json_array_append_new(items, item_json(s, &inv->item[i], now));
	for (size_t i = 0; i < s->tiers.count; i++) {
		if (!s->tiers.tier[i].store)
			json_array_append_new(away, json_string(s->tiers.tier[i].name));
	}
	return json_pack("{s:o, s:o, s:I}", "snapshots", items, "away", away, "unknown",
	    (json_int_t)inv->unknown);
}

/* What was taken away is in no listing; this host's memory knows it. */
static void
warn_missing(struct session *s, const struct inventory_options *io, const struct watch *w)
{
	for (size_t i = 0; i < io->sources; i++)
		recall_warn(s, io->tier, io->source[i], w);
	if (io->sources == 0)
		recall_warn(s, io->tier, NULL, w);
}

static int
list_run(const struct command_call *call, struct err *e)
{
	const struct list_options *o = call->options;
	struct inventory_options io = { .refresh = o->refresh };
	const struct watch *w;
	struct session s = { 0 };
	struct inventory inv = { 0 };
	struct words names = { 0 };
	int rc = -1;

	if (session_open(call->conf, o->refresh ? SESSION_READ : SESSION_TIERS, &s, e) == -1)
		goto out;
	/* A tier that is named is meant, also where nothing tells whose it is. */
	if (!s.repo && session_only_ours(&s, e) == -1 && !o->tier)
		goto out;
	if (o->tier && session_tier(&s, o->tier, &io.tier, e) == -1)
		goto out;
	if (words_sources(&s, call->argc, call->argv, &names, e) == -1)
		goto out;
	io.source = names.item;
	io.sources = names.count;
	w = progress_start("list");
	if (inventory_read(&s, &io, w, &inv, e) == -1)
		goto out;
	warn_missing(&s, &io, w);
	progress_end();
	if (!o->tier)
		words_warn_away(&s);
	if (inv.count == 0 && !output_is_json())
		output_note("no snapshot yet");
	else if (!output_is_json())
		list_print(&s, &inv);
	if (inv.unknown > 0)
		output_note("%zu of them are not in this host's catalog: `ffdr list --refresh` "
			    "reads them", inv.unknown);
	output_json(list_json(&s, &inv));
	rc = output_warnings() > 0 ? EXIT_DEGRADED : EXIT_DONE;
out:
	progress_end();
	inventory_done(&inv);
	words_done(&names);
	session_done(&s);
	return rc;
}

const struct command cmd_list_list = {
	.name = "list",
	.operands = "[SOURCE...]",
	.summary = "show the snapshots and the tiers that have them",
	.text = "Lists the snapshots of the sources named, or of all, by asking every tier that "
		"answers. Number of files, size and what was newly stored come from this host's "
		"catalog; '-' stands where it does not know them, and --refresh opens those "
		"manifests once. A snapshot marked partial is the unfinished state of a backup "
		"that ran out of time: the next run builds on it, it cannot be restored.\n\n"
		"A warning names a snapshot that this host has seen as the newest of a tier and that is "
		"not there any more.",
	.examples = "ffdr list                        # everything\n"
		    "ffdr list vol.uploads --tier dr  # what the tier dr could restore\n"
		    "ffdr list --refresh --json       # all facts, for a program",
	.options = list_opts,
	.options_size = sizeof(struct list_options),
	.max_operands = -1,
	.conf = CONF_LOAD,
	.run = list_run,
};

/* ---- show ---- */

struct show_options {
	struct common_options common;
	const char *tier;
	bool files;
};
static const struct opt show_opts[] = {
	{ "files", 0, OPT_FLAG, offsetof(struct show_options, files), NULL,
	    "list its files; with PATH only those at and below it" },
	{ "tier", 0, OPT_STRING, offsetof(struct show_options, tier), "TIER",
	    "only what this tier has, and read from it first" },
	{ 0 },
};

/* The highest level at which a tier was seen to hold this snapshot, and when. */
struct proof {
	const char *id;
	int level;
	int64_t time_ns;
};

static int
see_proof(void *arg, const char *id, int level, int64_t time_ns)
{
	struct proof *p = arg;

	if (strcmp(id, p->id) == 0 && (level > p->level ||
	    (level == p->level && time_ns > p->time_ns))) {
		p->level = level;
		p->time_ns = time_ns;
	}
	return 0;
}

static json_t *
proofs(struct session *s, const struct layout_snap *part)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->tiers.count; i++) {
		const struct tier *t = &s->tiers.tier[i];
		struct proof p = { .id = part->id, .level = -1 };
		struct err e = { 0 };
		char when[UNITS_TEXT];

		if (!t->store)
			continue;
		if (record_verified(s->repo, t->store, part->source, see_proof, &p, &e) == -1)
			output_warn("what was verified on %s is not known: %s", t->name, e.text);
		if (p.level < 0)
			continue;
		output_detail("verified", "level %d on %s, %s", p.level, t->name,
		    units_time(p.time_ns, when));
		json_array_append_new(list, json_pack("{s:s, s:i, s:o}", "tier", t->name, "level",
		    p.level, "time", words_json_time(p.time_ns)));
	}
	return list;
}

static bool
held(struct session *s, const char *id)
{
	struct record_holds holds;
	struct err e = { 0 };
	bool yes;

	if (record_holds(s->repo, NULL, &holds, &e) == -1)
		output_warn("what is held is not known: %s", e.text);
	yes = record_held(&holds, id);
	record_holds_done(&holds);
	return yes;
}

static const char *
snap_id(const char *name, struct layout_snap *part)
{
	return layout_snap_parse(name, part) == 0 ? part->id : "-";
}

static void
show_text(const struct manifest *m, const char *id)
{
	int64_t took_ms = (m->finished_ns - m->started_ns) / CLOCK_MS;
	char a[UNITS_TEXT], b[UNITS_TEXT];
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
	output_detail("holds", "%s in %" PRIu64 " files, %" PRIu64 " entries",
	    units_size(m->bytes, a), m->files, m->entries);
	output_detail("new", "%s stored after reading %s", units_size(m->stored_new, a),
	    units_size(m->read_bytes, b));
	output_detail("packs", "%zu, %s on each tier", m->packs, units_size(packs, a));
	output_detail("number", "%" PRIu64 ", after %s", m->sequence,
	    m->parent[0] ? snap_id(m->parent, &parent) : "none");
	output_detail("compared", "all contents, %s", units_time(m->compared_ns, a));
	if (m->parent[0])
		output_detail("differ", "%" PRIu64 " files from the snapshot before",
		    m->changed_files);
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
	object = facts_json(&f);
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
note_text(unsigned note)
{
	if (note & ENTRY_UNREADABLE)
		return "  (could not be read)";
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
		json_object_set_new(object, "note", json_string(en->note & ENTRY_UNREADABLE ?
		    "unreadable" : "changed"));
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
	bool list = o->files || call->argc > 1, hold;
	char *tiers = inventory_tiers(s, on);
	int rc = -1;

	if (reader_open(s->repo, first, name, &r, e) == -1 ||
	    layout_snap_parse(name, &part) == -1)
		goto out;
	object = show_json(reader_manifest(r), part.id);
	json_object_set_new(object, "tiers", words_tiers_json(s, on));
	if (!list) {
		show_text(reader_manifest(r), part.id);
		output_detail("tiers", "%s", tiers);
		hold = held(s, part.id);
		output_detail("held", "%s", hold ? "yes" : "no");
		json_object_set_new(object, "held", json_boolean(hold));
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

	if (session_open(call->conf, SESSION_READ, &s, e) == -1)
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

const struct command cmd_list_show = {
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
