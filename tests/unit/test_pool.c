#include "tests/lib/vector.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "filter/pool.h"

struct task {
	unsigned number;
	unsigned result;
	pthread_t by;
	unsigned sleep_us;
	atomic_int *gate; /* waits while it is 0 */
};

static void
work(void *arg)
{
	struct task *t = arg;

	while (t->gate != NULL && atomic_load(t->gate) == 0)
		usleep(100);
	if (t->sleep_us > 0)
		usleep(t->sleep_us);
	t->by = pthread_self();
	t->result = t->number * 3 + 1;
}

static void
run_all(unsigned workers, size_t window, unsigned count)
{
	struct pool *p = pool_new(workers, window);
	struct task *tasks = xcalloc(count, sizeof(*tasks)), *got;
	unsigned sent = 0, back = 0;

	while (back < count) {
		while (sent < count && !pool_full(p)) {
			tasks[sent].number = sent;
			tasks[sent].sleep_us = sent * 7919 % 13 * 10;
			pool_submit(p, work, &tasks[sent]);
			sent++;
		}
		got = pool_take(p);
		assert_non_null(got);
		assert_int_equal(got->number, back);
		assert_int_equal(got->result, back * 3 + 1);
		back++;
	}
	assert_null(pool_take(p));
	pool_free(p);
	free(tasks);
}

static void
tasks_come_back_finished_and_in_order(void **state)
{
	(void)state;
	for (unsigned workers = 0; workers <= 4; workers++)
		for (size_t window = 1; window <= 9; window += 4)
			run_all(workers, window, 300);
}

static void
without_workers_a_task_runs_inside_submit(void **state)
{
	struct pool *p = pool_new(0, 2);
	struct task t = { .number = 5 };

	(void)state;
	pool_submit(p, work, &t);
	assert_int_equal(t.result, 16);
	assert_true(pthread_equal(t.by, pthread_self()));
	assert_ptr_equal(pool_take_ready(p), &t);
	assert_null(pool_take_ready(p));
	pool_free(p);
}

static void
a_pool_is_full_at_its_window_and_not_before(void **state)
{
	struct pool *p = pool_new(1, 3);
	struct task t[3] = { 0 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_false(pool_full(p));
		pool_submit(p, work, &t[i]);
	}
	assert_true(pool_full(p));
	assert_ptr_equal(pool_take(p), &t[0]);
	assert_false(pool_full(p));
	pool_free(p);
}

static void
take_ready_does_not_wait_and_does_not_overtake(void **state)
{
	atomic_int gate = 0;
	struct pool *p = pool_new(2, 4);
	struct task slow = { .number = 1, .gate = &gate }, quick = { .number = 2 };

	(void)state;
	pool_submit(p, work, &slow);
	pool_submit(p, work, &quick);
	for (int i = 0; i < 20; i++) {
		assert_null(pool_take_ready(p));
		usleep(500);
	}
	atomic_store(&gate, 1);
	assert_ptr_equal(pool_take(p), &slow);
	assert_ptr_equal(pool_take(p), &quick);
	assert_int_equal(quick.result, 7);
	pool_free(p);
}

static void
freeing_a_pool_finishes_what_is_out(void **state)
{
	struct task t[50] = { 0 };
	struct pool *p = pool_new(2, 50);

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		t[i] = (struct task){ .number = i, .sleep_us = 20 };
		pool_submit(p, work, &t[i]);
	}
	pool_free(p);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(t[i].result, i * 3 + 1);
	pool_free(NULL);
}

static void
a_quota_of_the_control_group_counts_as_whole_processors(void **state)
{
	(void)state;
	assert_int_equal(pool_quota("max 100000"), UINT_MAX);
	assert_int_equal(pool_quota("100000 100000"), 1);
	assert_int_equal(pool_quota("150000 100000"), 2);
	assert_int_equal(pool_quota("400000 100000"), 4);
	assert_int_equal(pool_quota("1000 100000"), 1);
	assert_int_equal(pool_quota("100000 0"), UINT_MAX);
	assert_int_equal(pool_quota(""), UINT_MAX);
}

static void
there_is_a_processor_and_not_more_than_the_affinity_allows(void **state)
{
	cpu_set_t before, one;
	size_t cpu = 0;

	(void)state;
	assert_true(pool_cpus() >= 1);
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	while (!CPU_ISSET(cpu, &before))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(pool_cpus(), 1);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tasks_come_back_finished_and_in_order),
		cmocka_unit_test(without_workers_a_task_runs_inside_submit),
		cmocka_unit_test(a_pool_is_full_at_its_window_and_not_before),
		cmocka_unit_test(take_ready_does_not_wait_and_does_not_overtake),
		cmocka_unit_test(freeing_a_pool_finishes_what_is_out),
		cmocka_unit_test(a_quota_of_the_control_group_counts_as_whole_processors),
		cmocka_unit_test(there_is_a_processor_and_not_more_than_the_affinity_allows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
