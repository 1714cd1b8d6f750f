/*
 * A wrong mount, a slip in a url or a hostile store puts somebody else's repository under one of
 * our tiers. That must cost this tier and not the others: at three in the morning nobody should
 * have to edit a configuration before the sound copy next to it can be read. But which one is the
 * stranger? A majority proves nothing. The host's memory does, and its signing key does: a
 * repository lists a key only when that key has signed. Two of the same id with different
 * beginnings are told apart by the key alone.
 */
#include "repo/repo_ours.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "repo/repo_chain.h"
#include "repo/repo_pin.h"

/* The beginning of what lies on one tier. */
struct first {
	struct identity it;
	bool sound;
	bool ours; /* may be */
};

struct firsts {
	const struct repo_scan *scan;
	struct first *f;
	struct err *why;
};

/* Of several tiers at once: each has its own. */
static void
read_first(void *arg, struct tier *tier, size_t i)
{
	const struct firsts *all = arg;
	const struct repo_scan_tier *t = &all->scan->tier[i];

	(void)tier;
	all->f[i].sound = !t->away && t->holds &&
	    repo_chain_read(t, 0, NULL, &all->f[i].it, &all->why[i]) == 0;
}

/* A tier that does not answer this question is away: whoever comes next does not wait for it, too. */
static struct first *
read_firsts(struct repo_scan *s)
{
	struct firsts all = {
		.scan = s,
		.f = xcalloc(s->count + 1, sizeof(*all.f)),
		.why = xcalloc(s->count + 1, sizeof(*all.why)),
	};

	tier_each(s->tiers, read_first, &all);
	for (size_t i = 0; i < s->count; i++) {
		if (all.why[i].kind != ERR_REMOTE)
			continue;
		tier_untold(s->tier[i].tier, &all.why[i]);
		s->tier[i].away = true;
	}
	repo_scan_count(s);
	free(all.why);
	return all.f;
}

static void
free_firsts(struct first *f, size_t count)
{
	for (size_t i = 0; i < count; i++)
		identity_done(&f[i].it);
	free(f);
}

static bool
same(const struct identity *a, const struct identity *b)
{
	return memcmp(a->sha, b->sha, DIGEST_LEN) == 0;
}

/* The only one among those that may be ours; NULL: there is none, or there are several. */
static const struct identity *
only_one(const struct first *f, size_t count)
{
	const struct identity *found = NULL;

	for (size_t i = 0; i < count; i++) {
		if (!f[i].sound || !f[i].ours)
			continue;
		if (found != NULL && !same(found, &f[i].it))
			return NULL;
		found = &f[i].it;
	}
	return found;
}

/* Does the repository that begins so know the key? Only tiers that hold this one are asked. */
static bool
knows(const struct repo_scan *s, const struct first *f, const struct identity *begin,
    const struct sign_key *sign)
{
	struct repo_scan part = *s;
	struct repo_chain c = { 0 };
	const struct keyring_signer *signer = NULL;
	uint8_t id[SIGN_ID];
	bool found = false;

	part.tier = xcalloc(s->count + 1, sizeof(*part.tier));
	part.highest = 0;
	for (size_t i = 0; i < s->count; i++) {
		part.tier[i] = s->tier[i];
		part.tier[i].away = !f[i].sound || !same(&f[i].it, begin);
		if (!part.tier[i].away && s->tier[i].highest > part.highest)
			part.highest = s->tier[i].highest;
	}
	sign_key_id(sign_key_public(sign), id);
	if (repo_chain_load(&part, &c, NULL) == 0) {
		signer = identity_signer(repo_chain_last(&c), id);
		found = signer != NULL &&
		    memcmp(signer->pub, sign_key_public(sign), SIGN_PUB) == 0;
	}
	repo_chain_done(&c);
	free(part.tier);
	return found;
}

/* Its repo/0 among those read; NULL: nothing tells. */
static const struct identity *
which(const struct repo_scan *s, struct first *f, const char *pin_path, const struct sign_key *sign)
{
	uint8_t pinned[LAYOUT_REPO_ID];
	bool pin = repo_pin_id(pin_path, pinned, NULL) == 1;
	const struct identity *found;

	for (size_t i = 0; i < s->count; i++)
		f[i].ours = f[i].sound &&
		    (!pin || memcmp(f[i].it.repo_id, pinned, LAYOUT_REPO_ID) == 0);
	found = only_one(f, s->count);
	if (found != NULL || sign == NULL)
		return found;
	for (size_t i = 0; i < s->count; i++)
		f[i].ours = f[i].ours && knows(s, f, &f[i].it, sign);
	return only_one(f, s->count);
}

/* Its objects are not ours to read, to trust or to add to. */
static void
close_foreign(struct repo_scan *s, size_t i, const uint8_t theirs[LAYOUT_REPO_ID],
    const uint8_t ours[LAYOUT_REPO_ID])
{
	struct tier *t = s->tier[i].tier;
	char a[TEXT_HEX(LAYOUT_REPO_ID)], b[TEXT_HEX(LAYOUT_REPO_ID)];

	store_close(t->store);
	t->store = NULL;
	t->found = TIER_OTHER;
	err_set(&t->why, ERR_REFUSED, "holds another repository, %s, not ours, %s",
	    text_hex(theirs, LAYOUT_REPO_ID, a), text_hex(ours, LAYOUT_REPO_ID, b));
	err_line(&t->why, "fix", "see that the right place is mounted there and its url right, or give "
				 "the tier an empty place");
	s->tier[i].away = true;
}

static size_t
close_all_but(struct repo_scan *s, const struct first *f, const struct identity *ours)
{
	size_t closed = 0;

	for (size_t i = 0; i < s->count; i++) {
		if (!f[i].sound || same(&f[i].it, ours))
			continue;
		close_foreign(s, i, f[i].it.repo_id, ours->repo_id);
		closed++;
	}
	repo_scan_count(s);
	return closed;
}

void
repo_ours_keep(struct repo_scan *s, const char *pin_path, const struct sign_key *sign)
{
	const struct identity *ours;
	struct first *f;

	if (s->holding < 2)
		return;
	f = read_firsts(s);
	ours = which(s, f, pin_path, sign);
	if (ours != NULL)
		close_all_but(s, f, ours);
	free_firsts(f, s->count);
}

size_t
repo_ours_only(struct repo_scan *s, const struct identity *first)
{
	struct first *f = read_firsts(s);
	size_t closed = close_all_but(s, f, first);

	free_firsts(f, s->count);
	return closed;
}

/* Against what this host remembers, not one of them may be listed as ours. */
static void
close_unremembered(struct repo_scan *s, const struct first *f, const char *pin_path)
{
	uint8_t pinned[LAYOUT_REPO_ID];

	if (repo_pin_id(pin_path, pinned, NULL) != 1)
		return;
	for (size_t i = 0; i < s->count; i++)
		if (f[i].sound && memcmp(f[i].it.repo_id, pinned, LAYOUT_REPO_ID) != 0)
			close_foreign(s, i, f[i].it.repo_id, pinned);
}

int
repo_ours_look(struct tier_set *tiers, const char *pin_path, const struct sign_key *sign,
    struct err *e)
{
	const struct identity *ours;
	struct repo_chain c = { 0 };
	struct err why = { 0 };
	struct repo_scan s;
	struct first *f;
	int rc = 0;

	repo_scan(tiers, &s);
	f = read_firsts(&s);
	ours = which(&s, f, pin_path, sign);
	if (ours != NULL)
		close_all_but(&s, f, ours);
	else
		close_unremembered(&s, f, pin_path);
	/* Damage does not matter to a listing, two repositories do. */
	if (repo_chain_load(&s, &c, &why) == -1 && why.kind == ERR_REFUSED) {
		*e = why;
		rc = -1;
	}
	repo_chain_done(&c);
	free_firsts(f, s.count);
	repo_scan_done(&s);
	return rc;
}
