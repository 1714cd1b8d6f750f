/*
 * Every verb of WAL begins here: which tiers, which archive, whose host. The coordination place says
 * which system is active, and not the configuration, so that a server that was cloned or set back
 * cannot speak for the source.
 */
#include "job/wal/wal_source.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "repo/repo_pin.h"

void
wal_source_host(char out[256])
{
	out[0] = out[255] = '\0';
	if (gethostname(out, 255) == -1)
		snprintf(out, 256, "localhost");
	for (char *p = out; *p; p++)
		*p = (char)tolower((unsigned char)*p);
}

/* A directory of this host goes with it, unless it is mounted from elsewhere. */
static bool
survives_host(const struct conf_tier *t)
{
	return strncmp(t->url, "file:", 5) != 0 || t->shared;
}

static void
add_tier(struct wal_source *w, struct session *s, const struct conf_tier *t)
{
	struct tier *tier = tier_find(&s->tiers, t->name);

	if (tier && w->tiers < WAL_SOURCE_TIERS) {
		w->off_host[w->tiers] = survives_host(t);
		w->tier[w->tiers++] = tier;
	}
}

static int
find_active(struct wal_source *w, const struct conf *c, struct err *e)
{
	if (coord_open(c->coord_place, &w->coord, e) == -1 ||
	    active_get(w->coord, w->source->name, &w->active, e) == -1)
		return -1;
	w->place = (struct wal_place){ .sysid = w->active.sysid, .epoch = w->active.epoch };
	snprintf(w->place.source, sizeof(w->place.source), "%s", w->source->name);
	return 0;
}

int
wal_source_open(
    struct session *s, const struct conf_source *source, struct wal_source *ret, struct err *e)
{
	const struct conf_tier *tier[WAL_SOURCE_TIERS];
	size_t count;

	*ret = (struct wal_source){ .source = source };
	wal_source_host(ret->host);
	ret->spool_path = xasprintf("%s/spool/%s", s->conf->state, source->name);
	ret->spool = (struct spool_dir){ ret->spool_path, s->repo ? s->repo->keys : NULL };
	count = conf_wal_tiers(s->conf, source->postgres, tier, WAL_SOURCE_TIERS);
	for (size_t i = 0; i < count; i++)
		add_tier(ret, s, tier[i]);
	if (ret->tiers == 0) {
		err_set(e, ERR_CONFIG, "no tier receives the WAL of %s", source->name);
		return err_line(e, "fix", "wal = TIER, ... in [postgres %s]", source->bare);
	}
	return find_active(ret, s->conf, e);
}

void
wal_source_done(struct wal_source *w)
{
	coord_close(w->coord);
	free(w->spool_path);
	*w = (struct wal_source){ 0 };
}

int
wal_source_only(struct wal_source *w, struct session *s, const char *tiers, struct err *e)
{
	struct text_list list;
	int rc = 0;

	text_split(tiers, &list);
	w->tiers = 0;
	for (size_t i = 0; rc == 0 && i < list.count; i++) {
		const struct conf_tier *t = conf_find_tier(s->conf, list.item[i]);

		if (t)
			add_tier(w, s, t);
		else
			rc = err_set(
			    e, ERR_USAGE, "'%s' is no tier of the configuration", list.item[i]);
	}
	text_list_done(&list);
	return rc;
}

int
wal_source_warm(struct wal_source *w, struct err *e)
{
	const size_t all = w->tiers;

	w->tiers = 0;
	for (size_t i = 0; i < all; i++) {
		if (w->tier[i]->archive)
			continue;
		w->off_host[w->tiers] = w->off_host[i];
		w->tier[w->tiers++] = w->tier[i];
	}
	if (w->tiers > 0)
		return 0;
	err_set(e, ERR_CONFIG, "every tier that receives the WAL of %s is of an archive class, and gets it "
	    "by copies alone", w->source->name);
	return err_line(e, "fix", "name a tier in wal of [postgres %s] that is read at once",
	    w->source->bare);
}

char *
wal_source_promise(const struct conf *c, const struct conf_source *source)
{
	const struct conf_tier *tier[WAL_SOURCE_TIERS];
	const size_t count = conf_wal_tiers(c, source->postgres, tier, WAL_SOURCE_TIERS);
	char *pin = session_pin(c), *line, hex[TEXT_HEX(LAYOUT_REPO_ID)];
	uint8_t id[LAYOUT_REPO_ID] = { 0 };
	struct buf text;

	(void)repo_pin_id(pin, id, NULL); /* none is remembered: zeros are nobody's */
	buf_init(&text, SIZE_MAX);
	buf_addf(&text, "repository %s ack %" PRId64, text_hex(id, sizeof(id), hex),
	    (int64_t)source->postgres->push_ack);
	for (size_t i = 0; i < count; i++)
		buf_addf(&text, " %s%s %s", tier[i]->name, survives_host(tier[i]) ? "" : "*",
		    tier[i]->url);
	line = xstrdup(buf_str(&text));
	buf_done(&text);
	free(pin);
	return line;
}

/* ---- which one? ---- */

/* How many are, and one of them: a clone that is protected, too, has the same system id. */
static size_t
pinned_to(const struct conf *c, uint64_t sysid, const struct conf_source **ret)
{
	size_t found = 0;
	struct coord *coord = NULL;
	struct active a;

	if (coord_open(c->coord_place, &coord, NULL) == -1)
		return 0;
	for (size_t i = 0; i < c->sources; i++)
		if (c->source[i].kind == CONF_KIND_POSTGRES &&
		    active_get(coord, c->source[i].name, &a, NULL) == 1 && a.sysid == sysid) {
			*ret = &c->source[i];
			found++;
		}
	coord_close(coord);
	return found;
}

int
wal_source_find(const struct conf *c, const char *name, uint64_t sysid,
    const struct conf_source **ret, struct err *e)
{
	const struct conf_source *only = NULL;
	size_t count = 0, pinned = 0;

	if (name) {
		if (conf_find_source(c, name, ret, e) == -1)
			return -1;
		if ((*ret)->kind != CONF_KIND_POSTGRES)
			return err_set(e, ERR_USAGE, "%s is no PostgreSQL server and has no WAL",
			    (*ret)->name);
		return 0;
	}
	for (size_t i = 0; i < c->sources; i++)
		if (c->source[i].kind == CONF_KIND_POSTGRES) {
			only = &c->source[i];
			count++;
		}
	if (count > 1 && sysid)
		pinned = pinned_to(c, sysid, &only);
	if (count == 1 || pinned == 1) {
		*ret = only;
		return 0;
	}
	if (pinned > 1)
		err_set(e, ERR_USAGE, "%zu sources are system %" PRIu64 ", a server and its copies: "
		    "whose WAL this is cannot be told", pinned, sysid);
	else
		err_set(e, ERR_USAGE, "it is not known whose WAL this is: %zu PostgreSQL servers are "
		    "configured", count);
	return err_line(e, "fix", "--source SOURCE");
}
