/* Where receiving goes on: a table of who has what. */
#include "tests/lib/vector.h"

#include <string.h>

#include "base/mem.h"
#include "job/wal/wal_resume.h"

#define MIB (1u << 20)

/* Timeline 1 was left at 5.5 MiB, timeline 2 at 9 MiB; the server is on 3. */
static const char third[] = "1\t0/580000\tno recovery target specified\n"
			    "2\t0/900000\tno recovery target specified\n";

struct row {
	const char *name;
	struct wal_resume_at spool, tiers, server;
	uint64_t slot;
	struct wal_resume_at want; /* tli 0: refused */
};

static const struct row rows[] = {
	{ "nothing anywhere: the slot's segment", { 0, 0 }, { 0, 0 }, { 3, 12 * MIB }, 11 * MIB + 5,
	    { 3, 11 * MIB } },
	{ "nothing anywhere, no slot: the server's segment", { 0, 0 }, { 0, 0 }, { 3, 12 * MIB + 7 }, 0,
	    { 3, 12 * MIB } },
	{ "the spool is ahead of the tiers", { 3, 11 * MIB + 3 }, { 3, 10 * MIB }, { 3, 12 * MIB }, 0,
	    { 3, 11 * MIB + 3 } },
	{ "the tiers are ahead of the spool", { 3, 10 * MIB }, { 3, 11 * MIB }, { 3, 12 * MIB }, 0,
	    { 3, 11 * MIB } },
	{ "a slot that stands later hides no hole", { 3, 10 * MIB }, { 0, 0 }, { 3, 12 * MIB }, 12 * MIB,
	    { 3, 10 * MIB } },
	{ "an older timeline goes on to its end", { 2, 8 * MIB }, { 0, 0 }, { 3, 12 * MIB }, 0,
	    { 2, 8 * MIB } },
	{ "at its very end, too", { 2, 9 * MIB }, { 0, 0 }, { 3, 12 * MIB }, 0, { 2, 9 * MIB } },
	{ "beyond its end the next one begins with its segment", { 1, 7 * MIB }, { 0, 0 },
	    { 3, 12 * MIB }, 0, { 2, 5 * MIB } },
	{ "the newer timeline counts, not the higher position", { 1, 40 * MIB }, { 3, 10 * MIB },
	    { 3, 12 * MIB }, 0, { 3, 10 * MIB } },
	{ "a server that is behind is refused", { 3, 13 * MIB }, { 0, 0 }, { 3, 12 * MIB }, 0, { 0, 0 } },
	{ "so is one on an older timeline", { 4, 1 * MIB }, { 0, 0 }, { 3, 12 * MIB }, 0, { 0, 0 } },
};

static void
every_row_has_its_answer(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct wal_resume_view v = { .spool = r->spool, .tiers = r->tiers, .server = r->server,
			.slot = r->slot, .segment_size = MIB };
		struct wal_resume_at got = { 0, 0 };
		struct pg_history h;
		struct err e = { 0 };
		int rc;

		pg_history_init(&h, 3);
		assert_int_equal(pg_history_parse(3, third, strlen(third), &h, &e), 0);
		v.history = &h;
		rc = wal_resume_at(&v, &got, &e);
		if (rc != (r->want.tli ? 0 : -1) || got.tli != r->want.tli || got.lsn != r->want.lsn)
			fail_msg("%s: %d, timeline %u at %llx", r->name, rc, got.tli,
			    (unsigned long long)got.lsn);
		if (rc == -1)
			assert_int_equal(e.kind, ERR_STALE);
		pg_history_done(&h);
	}
}

static void
a_timeline_that_the_server_does_not_descend_from_is_refused(void **state)
{
	static const char other[] = "1\t0/580000\tno recovery target specified\n";
	struct wal_resume_at got;
	struct wal_resume_view v = { .spool = { 2, 8 * MIB }, .server = { 3, 12 * MIB },
		.segment_size = MIB };
	struct pg_history h;
	struct err e = { 0 };

	(void)state;
	pg_history_init(&h, 3);
	assert_int_equal(pg_history_parse(3, other, strlen(other), &h, &e), 0);
	v.history = &h;
	assert_int_equal(wal_resume_at(&v, &got, &e), -1);
	assert_int_equal(e.kind, ERR_STALE);
	assert_non_null(strstr(e.text, "timeline 2"));
	pg_history_done(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_has_its_answer),
		cmocka_unit_test(a_timeline_that_the_server_does_not_descend_from_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
