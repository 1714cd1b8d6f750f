/*
 * Every end of a range and every fix that a refusal names is typed again, over made-up logs with
 * holes, and must be accepted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/lsn.h"
#include "base/units.h"
#include "source/pg/pg_target.h"

#define S INT64_C(1000000000)
#define T0 INT64_C(1795132800000000000) /* 2026-11-20T00:00:00Z */
#define LOG 200 /* records, 0x30 long, every other one a commit */

struct made {
	struct pg_target_world w;
	struct pg_history history;
	struct commit {
		uint64_t lsn;
		int64_t ns;
	} commit[LOG];
	size_t commits;
	struct pg_target_base base[4];
	char id[4][16];
	struct pg_target_gap gap[3];
};

static int
look(void *arg, const struct pg_target *t, struct pg_target_hit *ret, struct err *e)
{
	const struct made *m = arg;

	(void)e;
	ret->found = false;
	for (size_t i = 0; t->kind == PG_TARGET_TIME && !ret->found && i < m->commits; i++)
		if (t->exclusive ? m->commit[i].ns >= t->time_ns : m->commit[i].ns > t->time_ns)
			*ret = (struct pg_target_hit){ true, m->commit[i].lsn,
				m->commit[i].lsn + 0x30 };
	return 0;
}

static uint32_t
random_below(uint32_t *seed, uint32_t n)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 8) % n;
}

/* A log whose clock now and then goes back or rests; bases; holes at records and amid them. */
static void
make(struct made *m, uint32_t seed)
{
	int64_t clock[LOG], now = T0 + random_below(&seed, 3) * S / 2;

	*m = (struct made){ .history = { .timeline = 3 } };
	m->w = (struct pg_target_world){ .source = "pg.payments", .tiers = "local, regional",
		.history = &m->history, .base = m->base, .gap = m->gap, .look = look,
		.look_arg = m };
	for (uint32_t i = 0; i < LOG; i++) {
		now += random_below(&seed, 5) * S / 7 - (random_below(&seed, 40) == 0 ? 3 * S : 0);
		clock[i] = now;
		if (i % 2)
			m->commit[m->commits++] = (struct commit){ 0x1000 + i * 0x30, now };
	}
	m->w.frontier = 0x1000 + LOG * 0x30;
	m->w.last = m->w.frontier - 0x30;
	m->w.frontier_ns = now + random_below(&seed, 2) * S / 3;
	m->w.bases = random_below(&seed, 4) + 1;
	for (uint32_t i = 0; i < m->w.bases; i++) {
		uint32_t at = random_below(&seed, LOG - 10);

		snprintf(m->id[i], sizeof(m->id[i]), "pg.payments/%u", i);
		m->base[i] = (struct pg_target_base){ m->id[i], 0x1000 + at * 0x30,
			0x1000 + (at + 5) * 0x30, 3, clock[at + 5] + random_below(&seed, 3) * S / 5 };
	}
	for (uint32_t i = random_below(&seed, 4); i > 0; i--) {
		uint64_t from = 0x1000 + random_below(&seed, LOG * 0x30 - 0x400);
		struct pg_target_gap g = { 3, from, from + 1 + random_below(&seed, 0x300), 0, 0 };

		for (size_t k = 0; k < m->commits; k++)
			if (m->commit[k].lsn + 0x30 <= from && m->commit[k].lsn + 0x180 > from &&
			    m->commit[k].ns > g.from_ns)
				g.from_ns = m->commit[k].ns;
		m->gap[m->w.gaps++] = g;
	}
}

/* Records in a hole are not seen, as in a log that has one. */
static void
sink(struct made *m)
{
	size_t n = 0;

	for (size_t k = 0; k < m->commits; k++) {
		bool lost = false;

		for (size_t i = 0; i < m->w.gaps; i++)
			lost |= m->commit[k].lsn + 0x30 > m->gap[i].from &&
			    m->commit[k].lsn < m->gap[i].to;
		if (!lost)
			m->commit[n++] = m->commit[k];
	}
	m->commits = n;
}

/* As a person would type it, up to the end of the word. */
static void
typed(struct made *m, const struct pg_target *was, const char *text, size_t n, bool any_base)
{
	struct pg_target t = { .exclusive = was->exclusive, .base = any_base ? NULL : was->base };
	char word[64] = "";
	struct pg_target_plan p;
	struct err e = { .kind = ERR_NONE };

	assert_true(n > 0 && n < sizeof(word));
	memcpy(word, text, n);
	if (strcmp(word, "latest") == 0)
		t.kind = PG_TARGET_LATEST;
	else if (lsn_parse(word, &t.lsn) == 0)
		t.kind = PG_TARGET_LSN;
	else if (units_parse_until(word, &t.time_ns, &e) == 0)
		t.kind = PG_TARGET_TIME;
	else
		fail_msg("'%s' is none", word);
	if (pg_target_choose(&t, &m->w, &p, &e) == -1)
		fail_msg("'%s' was named: %s", word, e.text);
}

/* Every range of the line; how many. */
static unsigned
try_ranges(struct made *m, const struct pg_target *was, const char *text)
{
	const char *line = strstr(text, "\n  possible  "), *end, *mid;
	unsigned n = 0;

	if (!line || strncmp(line += strlen("\n  possible  "), "nothing", 7) == 0)
		return 0;
	for (;; line = end + 2) {
		mid = strstr(line, " .. ");
		assert_non_null(mid);
		end = mid + 4 + strcspn(mid + 4, ",\n ");
		/* an LSN with an LSN, a time with a time, and never backwards */
		assert_int_equal(memchr(line, '/', (size_t)(mid - line)) != NULL,
		    memchr(mid, '/', (size_t)(end - mid)) != NULL);
		if (end - mid - 4 == mid - line)
			assert_true(memcmp(line, mid + 4, (size_t)(mid - line)) <= 0);
		typed(m, was, line, (size_t)(mid - line), false);
		typed(m, was, mid + 4, (size_t)(end - mid - 4), false);
		n++;
		if (*end != ',')
			return n;
	}
}

static unsigned
try_fix(struct made *m, const struct pg_target *was, const char *text)
{
	const char *line = strstr(text, "\n  fix       "), *from;

	if (!line || !(from = strstr(line, "--at '")))
		return 0;
	from += strlen("--at '");
	typed(m, was, from, strcspn(from, "'"), strstr(line, "`restore ") != NULL);
	return 1;
}

static void
what_a_refusal_names_can_be_had(void **state)
{
	unsigned refused = 0, ranges = 0, lost = 0, stuck = 0;

	(void)state;
	for (uint32_t seed = 1; seed <= 4000; seed++) {
		uint32_t dice = seed;
		struct made m;
		struct pg_target t = { .kind = seed % 4 == 0 ? PG_TARGET_LSN :
				seed % 4 == 1 ? PG_TARGET_LATEST : PG_TARGET_TIME };
		struct pg_target_plan p;
		struct err e = { .kind = ERR_NONE };
		unsigned offers;

		make(&m, seed);
		sink(&m);
		t.time_ns = T0 - S + random_below(&dice, 80000) * (S / 1000);
		t.lsn = 0xf00 + random_below(&dice, LOG * 0x30 + 0x200);
		t.exclusive = random_below(&dice, 4) == 0;
		t.base = random_below(&dice, 3) == 0 ? m.base[0].id : NULL;
		if (pg_target_choose(&t, &m.w, &p, &e) == 0)
			continue;
		refused++;
		offers = try_ranges(&m, &t, e.text);
		ranges += offers;
		stuck += try_fix(&m, &t, e.text) == 0 && offers > 0;
		/* nothing is kept back: a base with its WAL can be had */
		lost += offers == 0 && pg_target_ranges(&m.w, t.base, NULL, 0) > 0;
	}
	assert_true(refused > 1000 && ranges > 1000);
	assert_int_equal(lost, 0);
	assert_int_equal(stuck, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_refusal_names_can_be_had),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
