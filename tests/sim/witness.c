/*
 * An index of the manifests that lie on the tiers, kept up to date by the changes themselves and
 * not by asking the product: each coming manifest must find its packs, each going pack must be
 * named by nobody.
 */
#include "tests/sim/witness.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/manifest.h"
#include "tests/lib/memstore.h"
#include "tests/sim/world.h"

/* A manifest on a tier. */
struct live {
	char name[LAYOUT_NAME];
	unsigned tier;
	struct manifest m;
	struct live *next;
};

static struct {
	const struct repo *repo;
	witness_who *who;
	struct witness_written *written;
	struct live *live;
	const int64_t *keep_ns; /* by tier; NULL: no promise */
	char violation[1200];
} seen;

void
witness_violated(const char *fmt, ...)
{
	va_list ap;

	if (seen.violation[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(seen.violation, sizeof(seen.violation), fmt, ap);
	va_end(ap);
	world_note("VIOLATION: %s", seen.violation);
	world_stop();
}

const char *
witness_violation(void)
{
	return seen.violation;
}

const struct witness_written *
witness_find(const char *name)
{
	const struct witness_written *s = seen.written;

	while (s != NULL && strcmp(s->name, name) != 0)
		s = s->next;
	return s;
}

static void
note_had(const char *name, unsigned tier)
{
	for (struct witness_written *s = seen.written; s != NULL; s = s->next)
		if (strcmp(s->name, name) == 0)
			s->had |= 1u << tier;
}

/* The newest complete one of a source on two tiers. */
static int64_t
newest_on(const char *source, unsigned a, unsigned b)
{
	int64_t newest = INT64_MIN;
	struct layout_snap part;

	for (const struct live *l = seen.live; l != NULL; l = l->next)
		if ((l->tier == a || l->tier == b) && !l->m.partial &&
		    layout_snap_parse(l->name, &part) == 0 && strcmp(part.source, source) == 0 &&
		    part.time_ns > newest)
			newest = part.time_ns;
	return newest;
}

/* It expires there, and is not a writer's to take back: have those who would keep it got it? */
static void
check_promise(const char *name, unsigned tier)
{
	const struct witness_written *s = witness_find(name);
	struct layout_snap part;

	if (seen.keep_ns == NULL || !world_acts(WORLD_EXPIRER) || s == NULL || s->partial ||
	    layout_snap_parse(name, &part) == -1)
		return;
	for (unsigned i = 0; i < seen.repo->tiers->count; i++)
		if (i != tier && !(s->had >> i & 1) &&
		    part.time_ns >= newest_on(part.source, tier, i) - seen.keep_ns[i])
			witness_violated("%s went before tier %u had it (tier %u)", name, i, tier);
}

/* A manifest that is new to the world stands for what its host was writing. */
static void
remember(const struct manifest *m)
{
	struct witness_written *s = xcalloc(1, sizeof(*s));

	if (m->host == NULL || witness_find(m->name) != NULL || !seen.who(m->host, s)) {
		free(s);
		return;
	}
	memcpy(s->name, m->name, sizeof(s->name));
	s->next = seen.written;
	seen.written = s;
}

static void
manifest_came(unsigned tier, const char *name, const void *data, size_t n)
{
	struct live *l = xcalloc(1, sizeof(*l));
	struct err e = { 0 };
	struct buf bytes;
	char pack[LAYOUT_NAME];

	buf_init(&bytes, n + 1);
	buf_add(&bytes, data, n);
	snprintf(l->name, sizeof(l->name), "%s", name);
	l->tier = tier;
	if (manifest_open(&bytes, name, seen.repo->keys, &l->m, &e) == -1)
		witness_violated("%s cannot be read: %s (tier %u)", name, e.text, tier);
	for (size_t i = 0; i < l->m.packs; i++)
		if (memstore_bytes(seen.repo->tiers->tier[tier].store, layout_pack(l->m.pack[i].sha, pack),
		    NULL) == NULL)
			witness_violated("%s came without %s (tier %u)", name, pack, tier);
	buf_done(&bytes);
	remember(&l->m);
	note_had(name, tier);
	l->next = seen.live;
	seen.live = l;
}

static void
manifest_went(unsigned tier, const char *name)
{
	for (struct live **p = &seen.live; *p != NULL; p = &(*p)->next) {
		struct live *l = *p;

		if (l->tier != tier || strcmp(l->name, name) != 0)
			continue;
		*p = l->next;
		manifest_done(&l->m);
		free(l);
		return;
	}
}

static void
pack_went(unsigned tier, const char *name, const uint8_t *sha)
{
	for (const struct live *l = seen.live; l != NULL; l = l->next)
		for (size_t i = 0; l->tier == tier && i < l->m.packs; i++)
			if (memcmp(l->m.pack[i].sha, sha, LAYOUT_SHA) == 0)
				witness_violated("%s is named by %s (tier %u)", name, l->name, tier);
}

void
witness_changed(void *arg, unsigned tier, const char *name, const void *data, size_t n)
{
	uint8_t sha[LAYOUT_SHA];

	(void)arg;
	if (strncmp(name, "snap/", 5) == 0 && data != NULL) {
		manifest_came(tier, name, data, n);
	} else if (strncmp(name, "snap/", 5) == 0) {
		check_promise(name, tier);
		manifest_went(tier, name);
	} else if (data == NULL && layout_pack_parse(name, sha) == 0) {
		pack_went(tier, name, sha);
	}
}

unsigned
witness_restore_all(void)
{
	struct err e = { 0 };
	unsigned n = 0;

	for (const struct live *l = seen.live; l != NULL; l = l->next) {
		const struct witness_written *s = witness_find(l->name);

		if (s == NULL)
			witness_violated("%s was never written (tier %u)", l->name, l->tier);
		else if (!s->partial && model_check(seen.repo, &seen.repo->tiers->tier[l->tier],
		    l->name, &s->tree, &e) == -1)
			witness_violated("%s does not restore: %s (tier %u)", l->name, e.text,
			    l->tier);
		n += s != NULL && !s->partial;
	}
	return n;
}

void
witness_begin(const struct repo *r, witness_who *who)
{
	seen.repo = r;
	seen.who = who;
	seen.keep_ns = NULL;
	seen.violation[0] = '\0';
}

void
witness_promise(const int64_t *keep_ns)
{
	seen.keep_ns = keep_ns;
}

void
witness_end(void)
{
	struct witness_written *s;

	while (seen.live != NULL)
		manifest_went(seen.live->tier, seen.live->name);
	while ((s = seen.written) != NULL) {
		seen.written = s->next;
		free(s);
	}
}
