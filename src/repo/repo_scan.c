/*
 * One listing of two short prefixes tells what a tier is: a copy of the repository, empty, out of
 * reach, or stray: full of packs without the object that says whose. The last is told apart from
 * empty because making or adopting a repository over it would bury what is there.
 */
#include "repo/repo_scan.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/identity.h"

/* All other kinds of names of format 1, those of later sources included. */
static const char *const other_prefixes[] = {
	"pack/", "snap/", "pend/", "rec/", "gc/", "wal/", "walb/", "point/", "beat/", "audit/",
};

static int
add_name(void *arg, const struct store_entry *entry, struct err *e)
{
	struct repo_scan_tier *t = arg;
	uint8_t epoch[LAYOUT_EPOCH];
	char recipient[32];
	unsigned n;

	(void)e;
	if (layout_repo_parse(entry->name, &n) == 0) {
		t->holds = true;
		if (n > t->highest)
			t->highest = n;
	} else if (layout_key_parse(entry->name, epoch, recipient, sizeof(recipient)) == -1) {
		return 0; /* not ours to judge */
	}
	t->name = mem_grow(t->name, &t->room, t->names + 1, sizeof(*t->name));
	memcpy(t->name[t->names++], entry->name, strlen(entry->name) + 1);
	return 0;
}

static int
look_for_stray(struct repo_scan_tier *t, struct err *e)
{
	t->stray = t->names > 0;
	for (size_t i = 0; i < ARRAY_LEN(other_prefixes) && !t->stray; i++) {
		const int any = store_any(t->tier->store, other_prefixes[i], e);

		if (any == -1)
			return -1;
		t->stray = any == 1;
	}
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Of several tiers at once: each has its own. */
static void
scan_tier(void *arg, struct tier *tier, size_t i)
{
	struct repo_scan_tier *t = &((struct repo_scan *)arg)->tier[i];
	struct err e = { 0 };

	if (t->away)
		return;
	if (store_list(t->tier->store, "repo/", NULL, add_name, t, &e) == -1 ||
	    store_list(t->tier->store, "key/", NULL, add_name, t, &e) == -1 ||
	    (!t->holds && look_for_stray(t, &e) == -1)) {
		t->away = true;
		tier_untold(tier, &e);
		return;
	}
	if (t->names > 0)
		qsort(t->name, t->names, sizeof(*t->name), by_name);
}

void
repo_scan_count(struct repo_scan *s)
{
	s->away = s->holding = 0;
	s->highest = 0;
	for (size_t i = 0; i < s->count; i++) {
		const struct repo_scan_tier *t = &s->tier[i];

		s->away += t->away;
		s->holding += !t->away && t->holds;
		if (!t->away && t->highest > s->highest)
			s->highest = t->highest;
	}
}

void
repo_scan(struct tier_set *tiers, struct repo_scan *ret)
{
	struct repo_scan s = { .tiers = tiers, .count = tiers->count };

	s.tier = xcalloc(tiers->count + 1, sizeof(*s.tier));
	for (size_t i = 0; i < tiers->count; i++) {
		struct tier *t = &tiers->tier[i];

		s.tier[i].tier = t;
		s.tier[i].away = t->store == NULL || t->silent;
		t->silent = false;
		s.tier[i].first = xcalloc(1, sizeof(*s.tier[i].first));
		buf_init(s.tier[i].first, IDENTITY_TEXT_MAX);
	}
	tier_each(tiers, scan_tier, &s);
	repo_scan_count(&s);
	*ret = s;
}

void
repo_scan_done(struct repo_scan *s)
{
	for (size_t i = 0; i < s->count; i++) {
		buf_done(s->tier[i].first);
		free(s->tier[i].first);
		free(s->tier[i].name);
	}
	free(s->tier);
	*s = (struct repo_scan){ 0 };
}

const struct repo_scan_tier *
repo_scan_find(const struct repo_scan *s, const struct tier *t)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->tier[i].tier == t)
			return &s->tier[i];
	return NULL;
}

bool
repo_scan_has(const struct repo_scan_tier *t, const char *name)
{
	return !t->away && t->names > 0 &&
	    bsearch(name, t->name, t->names, sizeof(*t->name), by_name) != NULL;
}

bool
repo_scan_begins(const struct repo_scan_tier *t, const char *prefix)
{
	for (size_t i = 0; i < t->names && !t->away; i++)
		if (strncmp(t->name[i], prefix, strlen(prefix)) == 0)
			return true;
	return false;
}

bool
repo_scan_anywhere(const struct repo_scan *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (repo_scan_has(&s->tier[i], name))
			return true;
	return false;
}

const char *
repo_scan_next(const struct repo_scan *s, const char *after)
{
	const char *least = NULL;

	for (size_t i = 0; i < s->count; i++) {
		const struct repo_scan_tier *t = &s->tier[i];

		for (size_t n = 0; n < t->names && !t->away && t->holds; n++)
			if ((after == NULL || strcmp(t->name[n], after) > 0) &&
			    (least == NULL || strcmp(t->name[n], least) < 0))
				least = t->name[n];
	}
	return least;
}

size_t
repo_scan_tell_away(const struct repo_scan *s, struct err *e)
{
	const char *fix;
	size_t n, fixes = 0;

	for (size_t i = 0; i < s->count; i++) {
		const struct tier *t = s->tier[i].tier;

		if (!s->tier[i].away)
			continue;
		err_line(e, t->name, "%.*s", (int)err_first_line(&t->why), t->why.text);
		n = err_fix(&t->why, &fix);
		if (n > 0)
			err_line(e, "fix", "%.*s", (int)n, fix);
		fixes += n > 0;
	}
	return fixes;
}
