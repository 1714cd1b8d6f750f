/*
 * The promise of the repository under everything that can happen to it: several hosts back up,
 * expire, collect and copy on the same tiers, sleep for days, die and come back, and whatever the
 * order, every manifest on a tier has all its packs there, and every snapshot restores to what was
 * written.
 *
 *	sim_repo			2,000 histories; then each rule switched off must be noticed
 *	sim_repo --seeds FROM COUNT	these histories
 *	sim_repo --break RULE ...	with a rule switched off: ends at the first violation
 *	sim_repo --trace SEED		the history of one
 *
 * The code is the product's; only stores, clock and randomness are ours (world.c). The
 * first invariant is checked at each change of a store, strictly: also between a commit and the
 * writer's own check.
 */
#include "tests/lib/vector.h" /* cmocka, for repokit */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/owed.h"
#include "repo/gc.h"
#include "repo/pend.h"
#include "repo/prune.h"
#include "repo/snapshot.h"
#include "tests/lib/repokit.h"
#include "tests/sim/model.h"
#include "tests/sim/witness.h"
#include "tests/sim/world.h"

#define HOUR LAYOUT_HOUR_NS
#define DAY (24 * HOUR)
#define SEEDS 2000
/* The rarest of the rules, 'hour' and 'settle', are missed once in some 2,000 histories. */
#define BROKEN_SEEDS (4 * SEEDS)
#define STEPS_MOST 1500
#define SOURCES 2
#define HOSTS 16

/* What is switched off, by a parameter of the product or by a lie of the world. */
struct rule {
	const char *name;
	enum world_lie lie;
	bool young;  /* collectors take every pack for old and delete at once */
	bool parent; /* expirers let go of the newest too; collectors do not wait a day */
	bool longest; /* writers may take as long as they like */
	bool owed; /* expirers do not ask what other tiers have yet to get */
};
static const struct rule rules[] = {
	{ .name = "none" },
	{ .name = "young", .young = true },
	{ .name = "parent", .parent = true },
	{ .name = "longest", .longest = true },
	{ .name = "pend", .lie = WORLD_LIE_PEND },
	{ .name = "settle", .lie = WORLD_LIE_SETTLE },
	{ .name = "hour", .lie = WORLD_LIE_HOUR },
	{ .name = "owed", .owed = true },
};

struct totals {
	unsigned long backups, partials, keeps, expired, condemned, deleted, copies, waits, goings_on,
	    restores, steps, hours;
};
static struct totals totals;

struct source {
	char name[16];
	struct model_tree tree;
	bool large;
};
/* One host: its own ways to the tiers. */
struct host {
	struct world_actor *a;
	struct repo repo;
	struct tier tier[WORLD_TIERS];
	struct tier_set set;
	struct source *source;
	unsigned home; /* the tier it works on */
	int64_t period_ns;
	char name[24];
	struct model_tree writing; /* what its next manifest stands for */
	bool cut;
};

static struct {
	const struct rule *rule;
	struct repokit kit;
	struct source source[SOURCES];
	unsigned sources;
	struct host host[HOSTS];
	unsigned hosts;
	int64_t keep_ns[WORLD_TIERS];
	bool promise; /* a tier keeps what another would take */
} sim;

/* ---- what hosts do ---- */

/* What a host was writing when its manifest came. */
static bool
who_writes(const char *host, struct witness_written *ret)
{
	for (unsigned i = 0; i < sim.hosts; i++) {
		if (strcmp(sim.host[i].name, host) != 0)
			continue;
		ret->tree = sim.host[i].writing;
		ret->partial = sim.host[i].cut;
		return true;
	}
	return false;
}

/* Damage is never the answer while the rules hold; death and lost requests are. */
static void
judge_error(const struct host *h, const char *what, const struct err *e)
{
	world_note("%s: %s", what, e->text);
	if ((e->kind == ERR_CORRUPT || e->kind == ERR_BUG || e->kind == ERR_KEY) && !world_dead(h->a))
		witness_violated("%s: %s (tier %u)", what, e->text, h->home);
}

static void
back_up(struct host *h)
{
	struct writer_options o = { .source = h->source->name, .root = "/", .host = h->name,
		.level = 1 };
	struct tier *t = &h->tier[world_chance(5) ? world_dice(h->set.count) : h->home];
	struct model_write mw = { .tree = &h->writing, .cut = world_chance(8),
		.keep = world_chance(2) };
	const struct witness_written *was = NULL;
	struct writer *w = NULL;
	struct manifest m;
	struct err e = { 0 };

	model_change(&h->source->tree, h->source->large);
	h->writing = h->source->tree;
	h->cut = mw.cut;
	o.read_all = !mw.keep && world_chance(2);
	if (sim.rule->longest)
		o.longest_ns = 1000 * DAY;
	manifest_init(&m);
	if (writer_open_snapshot(&h->repo, t, &o, &w, &e) == -1)
		goto out;
	if (world_chance(3)) {
		world_wake(WORLD_BACKUP, 4 * HOUR);
		world_wake(WORLD_EXPIRER, 12 * HOUR);
		world_wake(WORLD_COLLECTOR, 24 * HOUR);
	}
	if (writer_parent(w) != NULL)
		was = witness_find(writer_parent(w)->name);
	mw.was = was == NULL || was->partial ? NULL : &was->tree;
	if (model_write(w, &mw, &e) == -1 || writer_commit(w, mw.cut, &m, &e) == -1)
		goto out;
	totals.backups++;
	totals.partials += mw.cut;
	totals.keeps += mw.keep;
out:
	/*
	 * A host that slept for days after its commit finds what was rightly let go since: the
	 * watcher knows better.
	 */
	if (e.kind != ERR_NONE && e.kind != ERR_REFUSED && strstr(e.text, "after the commit") == NULL)
		judge_error(h, "backup", &e);
	manifest_done(&m);
	writer_free(w);
}

/* In some worlds each tier takes all there is: then an expiry waits for the copiers. */
static void
owe(struct host *h, const char *source, struct owed *ret)
{
	*ret = (struct owed){ .repo = &h->repo, .source = source };
	for (unsigned i = 0; i < h->set.count; i++)
		if (i != h->home)
			ret->tier[ret->tiers++] = (struct owed_tier){
				.tier = &h->tier[i], .keep_ns = sim.keep_ns[i]
			};
}

static void
expire(struct host *h)
{
	for (unsigned i = 0; i < sim.sources; i++) {
		struct prune_options o = { .keep_ns = sim.keep_ns[h->home],
			.more_than_half = !world_chance(3) };
		struct prune_report p;
		struct owed owed;
		struct err e = { 0 };

		owe(h, sim.source[i].name, &owed);
		if (sim.promise && !sim.rule->owed)
			o.owed = owed_mark;
		o.owed_arg = &owed;
		o.retire = sim.rule->parent;
		if (prune_source(&h->repo, &h->tier[h->home], sim.source[i].name, &o, &p, &e) == -1)
			judge_error(h, "expire", &e);
		totals.expired += p.gone;
		prune_done(&p);
	}
}

static void
collect(struct host *h)
{
	/* Without that brake there is more to go wrong. */
	struct gc_options o = { .empty_is_right = true };
	struct gc_report g;
	struct err e = { 0 };

	/* Histories in which things meet are the ones worth playing. */
	world_wake(WORLD_COPIER, world_chance(2) ? 2 * HOUR : 0);
	if (world_chance(4))
		world_wake(WORLD_COLLECTOR, HOUR);
	if (sim.rule->young)
		o.longest_ns = -HOUR;
	if (sim.rule->young || sim.rule->parent)
		o.rest_ns = 1;
	if (gc_collect(&h->repo, &h->tier[h->home], &o, &g, &e) == -1)
		judge_error(h, "gc", &e);
	totals.condemned += g.candidates;
	totals.deleted += g.deleted;
}

static void
copy(struct host *h)
{
	struct tier *to = &h->tier[h->home], *from = &h->tier[world_dice(h->set.count)];
	struct pend_options o = { 0 };
	struct snapshot_list list = { 0 };
	struct pend_report p = { 0 };
	struct err e = { 0 };
	size_t at;

	if (from == to)
		return;
	if (snapshot_list(from->store, NULL, &list, &e) == 0 && list.count > 0) {
		/* An old one shares packs with what was let go. */
		at = world_chance(4) ? list.count - 1 : world_dice(list.count);
		if (pend_copy(&h->repo, from, to, list.item[at].name, &o, &p, &e) == 0)
			totals.copies += !p.already;
		totals.waits += p.waited;
		totals.goings_on += p.there > 0;
	}
	if (e.kind != ERR_NONE)
		judge_error(h, "copy", &e);
	snapshot_list_done(&list);
}

static void
live_on(struct host *h, void (*deed)(struct host *))
{
	while (!world_over()) {
		world_sleep((int64_t)world_dice((uint64_t)(2 * h->period_ns)));
		if (world_over())
			return;
		for (size_t i = 0; i < h->set.count; i++)
			err_clear(&h->tier[i].why);
		deed(h);
		world_revive(h->a);
	}
}

static void
life(struct world_actor *a, void *arg)
{
	struct host *h = arg;
	static void (*const deed[])(struct host *) = {
		[WORLD_BACKUP] = back_up, [WORLD_COPIER] = copy, [WORLD_EXPIRER] = expire,
		[WORLD_COLLECTOR] = collect,
	};

	h->a = a;
	live_on(h, deed[world_role(a)]);
}

/* ---- one history ---- */

static void
settle_host(enum world_role role, const char *what, unsigned home, int64_t period_ns)
{
	struct host *h = &sim.host[sim.hosts++];
	struct world_actor *a;

	memset(h, 0, sizeof(*h));
	snprintf(h->name, sizeof(h->name), "%s-%u-%u", what, sim.hosts, home);
	h->home = home;
	h->period_ns = period_ns;
	h->source = &sim.source[world_dice(sim.sources)];
	h->repo = *sim.kit.repo;
	h->repo.tiers = &h->set;
	h->set = (struct tier_set){ .tier = h->tier, .count = sim.kit.tiers.count };
	a = world_spawn(h->name, role, life, h);
	for (unsigned i = 0; i < h->set.count; i++)
		h->tier[i] = (struct tier){ .name = sim.kit.tier[i].name,
			.store = world_store(a, i) };
}

static void
people(void)
{
	unsigned tiers = (unsigned)sim.kit.tiers.count;

	sim.sources = 1 + !world_chance(3);
	for (unsigned i = 0; i < sim.sources; i++) {
		snprintf(sim.source[i].name, sizeof(sim.source[i].name), "vol.s%u", i);
		sim.source[i].tree = (struct model_tree){ 0 };
		sim.source[i].large = world_chance(8);
	}
	for (unsigned i = 0; i < sim.sources + 1; i++)
		settle_host(WORLD_BACKUP, "backup", world_chance(3) ? tiers - 1 : 0,
		    world_span(4 * HOUR, 40 * HOUR));
	for (unsigned i = 0; i < tiers; i++) {
		settle_host(WORLD_EXPIRER, "expire", i, world_span(4 * HOUR, 20 * HOUR));
		settle_host(WORLD_COLLECTOR, "gc", i, world_span(4 * HOUR, 30 * HOUR));
		settle_host(WORLD_COPIER, "copy", i, world_span(6 * HOUR, 60 * HOUR));
	}
	for (unsigned i = 0; i < 2; i++) {
		if (world_chance(2))
			settle_host(WORLD_COLLECTOR, "gc2", (unsigned)world_dice(tiers),
			    world_span(6 * HOUR, 30 * HOUR));
		if (world_chance(2))
			settle_host(WORLD_COPIER, "copy2", (unsigned)world_dice(tiers),
			    world_span(6 * HOUR, 60 * HOUR));
	}
}

/* True when all promises were kept. */
static bool
play(uint64_t seed, const struct rule *rule)
{
	struct store *store[WORLD_TIERS] = { 0 };
	unsigned tiers = seed % 3 == 0 ? 3 : 2;
	int64_t begin;

	sim.rule = rule;
	sim.hosts = 0;
	repokit_init(&sim.kit, tiers);
	for (unsigned i = 0; i < tiers; i++)
		store[i] = sim.kit.tier[i].store;
	world_begin(seed, store, tiers, rule->lie);
	witness_begin(sim.kit.repo, who_writes);
	world_watch(witness_changed, NULL);
	begin = world_now();
	sim.kit.repo->horizon_ns = world_span(3 * DAY, 60 * DAY);
	for (unsigned i = 0; i < tiers; i++)
		sim.keep_ns[i] = world_span(HOUR, 8 * DAY);
	people();
	/* Another rule that is off must be noticed by what it is for. */
	sim.promise = seed % 4 == 0 && (rule == rules || rule->owed);
	witness_promise(sim.promise ? sim.keep_ns : NULL);
	world_run(begin + 40 * DAY, STEPS_MOST);
	totals.steps += world_steps();
	totals.hours += (unsigned long)((world_now() - begin) / HOUR);
	world_end();
	if (witness_violation()[0] == '\0')
		totals.restores += witness_restore_all();
	witness_end();
	repokit_done(&sim.kit);
	return witness_violation()[0] == '\0';
}

/* ---- the program ---- */

static unsigned passed, failed;

static void
result(bool ok, const char *name)
{
	printf("%sok %u - %s\n", ok ? "" : "not ", passed + failed + 1, name);
	passed += ok;
	failed += !ok;
	fflush(stdout);
}

static void
show_failure(uint64_t seed)
{
	printf("# seed %llu: %s\n", (unsigned long long)seed, witness_violation());
	fputs(world_history(), stdout);
	printf("# again: sim_repo --trace %llu%s%s\n", (unsigned long long)seed,
	    sim.rule == rules ? "" : " --break ", sim.rule == rules ? "" : sim.rule->name);
}

static void
play_seeds(uint64_t from, uint64_t count)
{
	char name[40];

	for (uint64_t s = from; s < from + count; s++) {
		bool ok = play(s, &rules[0]);

		if (!ok)
			show_failure(s);
		snprintf(name, sizeof(name), "seed %llu", (unsigned long long)s);
		result(ok, name);
	}
}

/* A rule that is switched off must be missed: by the first history that needs it. */
static bool
break_rule(const struct rule *rule, uint64_t from, uint64_t count)
{
	char name[200];
	uint64_t s = from;

	while (s < from + count && play(s, rule))
		s++;
	snprintf(name, sizeof(name), "without rule '%s' something breaks (seed %llu: %.120s)",
	    rule->name, (unsigned long long)s, witness_violation());
	result(s < from + count, name);
	return s < from + count;
}

static void
print_totals(void)
{
	printf("# %lu hours, %lu steps: %lu backups (%lu partial, %lu keeping), %lu expired, "
	       "%lu packs condemned, %lu deleted, %lu copies (%lu waited, %lu found packs there), "
	       "%lu restores\n",
	    totals.hours, totals.steps, totals.backups, totals.partials, totals.keeps,
	    totals.expired, totals.condemned, totals.deleted, totals.copies, totals.waits,
	    totals.goings_on, totals.restores);
}

static void
play_all(void)
{
	play_seeds(1, SEEDS);
	print_totals();
	result(totals.partials > 0 && totals.expired > 0 && totals.deleted > 0 && totals.waits > 0 &&
	    totals.restores > 0, "all of it happened: backups, partial ones, expiry, deletions, copies");
	for (size_t i = 1; i < ARRAY_LEN(rules); i++)
		break_rule(&rules[i], 1, BROKEN_SEEDS);
}

static int
usage(void)
{
	fputs("usage: sim_repo [--seeds FROM COUNT | --trace SEED] [--break RULE]\n", stderr);
	for (size_t i = 1; i < ARRAY_LEN(rules); i++)
		fprintf(stderr, "  RULE %s\n", rules[i].name);
	return 2;
}

int
main(int argc, char **argv)
{
	const struct rule *rule = NULL;
	uint64_t from = 1, count = BROKEN_SEEDS;
	bool trace = false, some = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--seeds") == 0 && i + 2 < argc) {
			from = strtoull(argv[++i], NULL, 10);
			count = strtoull(argv[++i], NULL, 10);
			some = true;
		} else if (strcmp(argv[i], "--trace") == 0 && i + 1 < argc) {
			from = strtoull(argv[++i], NULL, 10);
			count = 1;
			trace = some = true;
		} else if (strcmp(argv[i], "--break") == 0 && i + 1 < argc) {
			i++;
			for (size_t k = 1; k < ARRAY_LEN(rules); k++)
				if (strcmp(argv[i], rules[k].name) == 0)
					rule = &rules[k];
			if (rule == NULL)
				return usage();
		} else {
			return usage();
		}
	}
	if (trace) {
		play(from, rule == NULL ? &rules[0] : rule);
		show_failure(from);
	} else if (rule != NULL) {
		break_rule(rule, from, count);
	} else if (some) {
		play_seeds(from, count);
	} else {
		play_all();
	}
	if (some && !trace)
		print_totals();
	if (!trace)
		printf("1..%u\n%u passed, %u failed\n", passed + failed, passed, failed);
	return failed > 0;
}
