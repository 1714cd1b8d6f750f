/*
 * Any text as a configuration. It is refused with a reason, or it holds what the rest of the
 * program relies on, and what `config show` makes of it can be read again.
 */
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "conf/conf_show.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(int condition)
{
	if (!condition)
		abort();
}

static void
judge_source(const struct conf *c, const struct conf_source *s)
{
	const struct conf_postgres *p = s->postgres;
	const struct conf_source *found = NULL;
	const struct conf_tier *tier[1];
	struct err e = { .kind = ERR_NONE };
	char slot[CONF_SLOT];

	must(conf_find_source(c, s->name, &found, NULL) == 0 && found == s);
	must(conf_source_tiers(c, s->tiers, tier, 1) == 1 && s->site);
	must((s->volume != NULL) + (p != NULL) == 1);
	if (!p)
		return;
	must(p->conninfo && p->method && p->wal_from && p->slot && p->checkpoint &&
	    p->backlog_full);
	must(p->readers > 0 && p->push_ack > 0 && p->ship_every >= 1000 && p->backlog > 0);
	must(!p->wal || conf_wal_tiers(c, p, tier, 1) == 1);
	must(conf_postgres_slot(p, "Db-1.example.org", slot, &e) == 0 || e.text[0]);
}

static void
judge(const struct conf *c)
{
	const struct conf_tier *tier[1];
	size_t i;

	must(c->tiers > 0);
	must(c->site && c->state && c->scratch && c->credentials && c->kek && c->signing);
	for (i = 0; i < c->tiers; i++)
		must(c->tier[i].url && c->tier[i].takes && c->tier[i].site &&
		    c->tier[i].keep > 0);
	for (i = 0; i < c->volumes; i++) {
		must(c->volume[i].path && c->volume[i].path[0] == '/' && c->volume[i].compare);
		must(conf_source_tiers(c, c->volume[i].tiers, tier, 1) == 1);
	}
	must(c->coord_place && strncmp(c->coord_place, "file:/", 6) == 0);
	must(c->coord_renew > 0 && c->coord_renew < c->coord_ttl && c->coord_skew > 0);
	must(c->sources == c->volumes + c->postgreses);
	for (i = 0; i < c->sources; i++)
		judge_source(c, &c->source[i]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct conf *c = NULL, *again = NULL;
	struct err e = { .kind = ERR_NONE };
	struct buf text;
	json_t *json;

	if (conf_parse("/etc/ffdr/fuzz.ini", (const char *)data, n, &c, &e) == -1) {
		must(e.kind == ERR_CONFIG && e.text[0] && !c);
		return 0;
	}
	judge(c);
	json = conf_show_json(c);
	must(json != NULL);
	json_decref(json);
	buf_init(&text, (size_t)16 << 20);
	conf_show_text(c, &text);
	must(!text.over);
	must(conf_parse("shown", buf_str(&text), text.len, &again, &e) == 0);
	must(again->tiers == c->tiers && again->volumes == c->volumes);
	must(strcmp(again->kek, c->kek) == 0 && again->pack_size == c->pack_size);
	buf_done(&text);
	conf_free(again);
	conf_free(c);
	return 0;
}
