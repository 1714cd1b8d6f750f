/* What the tests of writer and parent start from. */
#include "tests/lib/lineage.h"

#include "base/clock.h"
#include "tests/lib/chance.h"
#include "tests/lib/vclock.h"

#define L lineage

struct lineage lineage;

int
lineage_setup(void **state)
{
	(void)state;
	chance_seed(5);
	vclock_install(INT64_C(1700000000) * CLOCK_S);
	testrepo_begin(&L.repo, 1, false);
	manifest_init(&L.newest);
	manifest_init(&L.before);
	return 0;
}

int
lineage_teardown(void **state)
{
	(void)state;
	manifest_done(&L.newest);
	manifest_done(&L.before);
	testrepo_done(&L.repo);
	vclock_remove();
	return 0;
}

void
lineage_next(int64_t later_ns)
{
	manifest_done(&L.before);
	L.before = L.newest;
	vclock_pass(later_ns);
	testrepo_snapshot(&L.repo, 0, &L.newest);
}
