#include "coord/coord.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "coord/active.h"
#include "coord/lease.h"
#include "tests/lib/chance.h"
#include "tests/lib/repokit.h"
#include "tests/lib/scratch.h"
#include "tests/lib/vclock.h"
#include "tests/lib/vector.h"

#define AT (INT64_C(1795226400) * 1000000000)
#define S (INT64_C(1000000000))

static const struct lease_times times = { .ttl_ms = 30000, .skew_ms = 5000 };
static struct coord *c;
static char *place;
static unsigned made;

static int
setup(void **state)
{
	struct err e = { 0 };

	(void)state;
	place = xasprintf("file:%s/coord%u", scratch_dir(), made++);
	if (coord_open(place, &c, &e) == -1)
		fail_msg("%s", e.text);
	vclock_install(AT);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	vclock_remove();
	coord_close(c);
	free(place);
	return 0;
}

static void
a_text_is_made_once_and_changed_only_by_who_saw_it(void **state)
{
	char etag[COORD_ETAG] = "", old[COORD_ETAG], seen[COORD_ETAG];
	struct err e = { 0 };
	struct buf got;

	(void)state;
	buf_init(&got, COORD_MAX);
	assert_int_equal(coord_get(c, "lease/wal/pg.a", &got, seen, &e), 0);
	assert_int_equal(coord_swap(c, "lease/wal/pg.a", strcpy(etag, "1-00"), "x", 1, &e), 0);
	assert_int_equal(coord_create(c, "lease/wal/pg.a", "one", 3, etag, &e), 1);
	assert_int_equal(coord_create(c, "lease/wal/pg.a", "two", 3, seen, &e), 0);
	assert_int_equal(coord_get(c, "lease/wal/pg.a", &got, seen, &e), 1);
	assert_string_equal(buf_str(&got), "one");
	assert_string_equal(seen, etag);
	strcpy(old, etag);
	assert_int_equal(coord_swap(c, "lease/wal/pg.a", etag, "two", 3, &e), 1);
	assert_int_equal(coord_swap(c, "lease/wal/pg.a", etag, "one", 3, &e), 1);
	/* The text is what it was, the world is not. */
	assert_int_equal(coord_swap(c, "lease/wal/pg.a", old, "x", 1, &e), 0);
	assert_int_equal(coord_swap(c, "lease/wal/pg.a", etag, "", 0, &e), 1);
	buf_reset(&got);
	assert_int_equal(coord_get(c, "lease/wal/pg.a", &got, seen, &e), 1);
	assert_int_equal(got.len, 0);
	buf_done(&got);
}

static void
a_place_that_cannot_be_is_refused_with_the_ones_there_are(void **state)
{
	struct coord *other;
	struct err e = { 0 };
	struct buf big;

	(void)state;
	repokit_refused(coord_open("etcd:https://x", &other, &e), &e, ERR_CONFIG, "known");
	repokit_refused(-1, &e, ERR_CONFIG, "file:");
	repokit_refused(coord_open("/tmp", &other, &e), &e, ERR_CONFIG, "no driver");
	repokit_refused(coord_open("file:here", &other, &e), &e, ERR_CONFIG, "absolute");
	repokit_refused(coord_open("file:/no/such/parent/coord", &other, &e), &e, ERR_REMOTE,
	    "not there");
	repokit_refused(coord_create(c, ".lock", "x", 1, (char[COORD_ETAG]){ 0 }, &e), &e, ERR_BUG,
	    "no name");
	repokit_refused(coord_create(c, "a/.x", "x", 1, (char[COORD_ETAG]){ 0 }, &e), &e, ERR_BUG,
	    "no name");
	buf_init(&big, COORD_MAX + 1);
	memset(buf_reserve(&big, COORD_MAX + 1), 'x', COORD_MAX + 1);
	assert_int_equal(coord_create(c, "big", big.data, COORD_MAX, (char[COORD_ETAG]){ 0 }, &e), 1);
	repokit_refused(coord_create(c, "bigger", big.data, COORD_MAX + 1,
	    (char[COORD_ETAG]){ 0 }, &e), &e, ERR_BUG, "at most");
	buf_done(&big);
}

static void
what_others_wrote_into_the_place_is_not_believed(void **state)
{
	char etag[COORD_ETAG], *path = xasprintf("%s/epoch", place + strlen("file:"));
	struct err e = { 0 };
	struct buf got;
	uint32_t epoch;
	FILE *f = fopen(path, "w");

	(void)state;
	fputs("7\n", f);
	fclose(f);
	buf_init(&got, COORD_MAX);
	repokit_refused(coord_get(c, "epoch", &got, etag, &e), &e, ERR_CORRUPT, "not written by ffdr");
	assert_int_equal(active_epoch(c, &epoch, &e), -1);
	buf_done(&got);
	free(path);
}

/* ---- several processes ---- */

#define RACERS 5
#define ROUNDS 40

struct board {
	unsigned made[ROUNDS], swapped[ROUNDS];
	uint32_t epoch[RACERS * ROUNDS];
	unsigned arrived[2 * ROUNDS];
};

/* Waits until all are here. */
static void
meet(struct board *b, unsigned where)
{
	__atomic_add_fetch(&b->arrived[where], 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&b->arrived[where], __ATOMIC_SEQ_CST) < RACERS)
		usleep(50);
}

static void
race(struct board *b, unsigned me)
{
	struct err e = { 0 };
	struct coord *own;

	if (coord_open(place, &own, &e) == -1)
		_exit(1);
	for (unsigned i = 0; i < ROUNDS; i++) {
		char name[40], etag[COORD_ETAG], text[40];
		struct buf got;

		snprintf(name, sizeof(name), "round/%u", i);
		snprintf(text, sizeof(text), "%u", me);
		meet(b, 2 * i);
		if (coord_create(own, name, text, strlen(text), etag, &e) == 1)
			__atomic_add_fetch(&b->made[i], 1, __ATOMIC_SEQ_CST);
		buf_init(&got, COORD_MAX);
		/* All see the same text before any of them changes it. */
		if (coord_get(own, name, &got, etag, &e) != 1)
			_exit(2);
		buf_done(&got);
		meet(b, 2 * i + 1);
		if (coord_swap(own, name, etag, text, strlen(text), &e) == 1)
			__atomic_add_fetch(&b->swapped[i], 1, __ATOMIC_SEQ_CST);
		if (active_epoch_raise(own, &b->epoch[me * ROUNDS + i], &e) == -1)
			_exit(3);
	}
	coord_close(own);
	_exit(0);
}

static void
of_many_processes_that_create_or_swap_exactly_one_wins_each_round(void **state)
{
	struct board *b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
	    -1, 0);
	static bool seen[RACERS * ROUNDS + 1];

	(void)state;
	assert_ptr_not_equal(b, MAP_FAILED);
	vclock_remove();
	for (unsigned i = 0; i < RACERS; i++) {
		pid_t pid = fork();

		assert_int_not_equal(pid, -1);
		if (pid == 0)
			race(b, i);
	}
	for (unsigned i = 0; i < RACERS; i++) {
		int status;

		assert_int_not_equal(wait(&status), -1);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		assert_int_equal(b->made[i], 1);
		assert_int_equal(b->swapped[i], 1);
	}
	/* And the counter gave each number once, none left out as nobody died. */
	for (unsigned i = 0; i < RACERS * ROUNDS; i++) {
		assert_in_range(b->epoch[i], 1, RACERS * ROUNDS);
		assert_false(seen[b->epoch[i]]);
		seen[b->epoch[i]] = true;
	}
	munmap(b, sizeof(*b));
}

/* ---- leases ---- */

static struct lease_text
who(const char *holder)
{
	struct lease_text t = { .pid = 4711 };

	snprintf(t.holder, sizeof(t.holder), "%s", holder);
	snprintf(t.host, sizeof(t.host), "host of %s", holder);
	snprintf(t.purpose, sizeof(t.purpose), "shipping");
	return t;
}

static int
take(const char *holder, struct lease *l, struct lease_text *other)
{
	struct lease_text want = who(holder);
	struct err e = { 0 };
	int rc = lease_take(c, "lease/wal/pg.a", &want, &times, l, other, &e);

	if (rc == -1)
		fail_msg("%s", e.text);
	return rc;
}

static void
a_lease_is_had_by_one_until_it_ends_beyond_all_doubt(void **state)
{
	struct lease_text other;
	struct lease a, b;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(take("a", &a, NULL), 1);
	assert_true(lease_good(&a));
	assert_int_equal(take("b", &b, &other), 0);
	assert_string_equal(other.holder, "a");
	assert_string_equal(other.host, "host of a");
	assert_int_equal(other.pid, 4711);
	assert_string_equal(other.purpose, "shipping");
	vclock_pass(29 * S);
	assert_true(lease_good(&a));
	assert_int_equal(lease_renew(&a, &e), 0);
	vclock_pass(30 * S);
	assert_false(lease_good(&a)); /* the holder stops first ... */
	vclock_pass(5 * S);
	assert_int_equal(take("b", &b, &other), 0);
	vclock_pass(1);
	assert_int_equal(take("b", &b, NULL), 1); /* ... and the other begins later */
	assert_int_equal(b.text.attempt, a.text.attempt + 1);
	repokit_refused(lease_renew(&a, &e), &e, ERR_STALE, "'host of b'");
	assert_int_equal(lease_release(&a, &e), 0);
	assert_int_equal(lease_renew(&b, &e), 0); /* that did not touch b's */
}

static void
what_is_given_back_can_be_taken_at_once_and_so_can_ones_own(void **state)
{
	struct lease_text there;
	struct lease a, again, b;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(lease_look(c, "lease/wal/pg.a", &times, &there, &e), 0);
	assert_int_equal(take("a", &a, NULL), 1);
	assert_int_equal(lease_look(c, "lease/wal/pg.a", &times, &there, &e), 1);
	assert_string_equal(there.holder, "a");
	assert_int_equal(take("a", &again, NULL), 1); /* after a restart */
	repokit_refused(lease_renew(&a, &e), &e, ERR_STALE, "lost");
	assert_int_equal(lease_release(&again, &e), 0);
	assert_false(lease_good(&again));
	assert_int_equal(lease_look(c, "lease/wal/pg.a", &times, &there, &e), 0);
	repokit_refused(lease_renew(&again, &e), &e, ERR_STALE, "gave it back");
	assert_int_equal(take("b", &b, NULL), 1);
	assert_int_equal(b.text.attempt, 3);
	vclock_pass(36 * S);
	assert_int_equal(lease_look(c, "lease/wal/pg.a", &times, &there, &e), 0);
}

/* A driver in front of the real one whose answers to writes get lost. */
struct lossy {
	struct coord coord;
	struct coord *inner;
	bool lose;
};

static int
lossy_get(struct coord *l, const char *name, struct buf *out, char etag[COORD_ETAG], struct err *e)
{
	return coord_get(((struct lossy *)l)->inner, name, out, etag, e);
}

static int
lossy_swap(struct coord *l, const char *name, char etag[COORD_ETAG], const void *data, size_t n,
    struct err *e)
{
	struct lossy *s = (struct lossy *)l;
	char new_etag[COORD_ETAG];
	int rc;

	strcpy(new_etag, etag);
	rc = coord_swap(s->inner, name, new_etag, data, n, e);
	if (s->lose)
		return err_set(e, ERR_REMOTE, "no answer");
	strcpy(etag, new_etag);
	return rc;
}

static void
a_renewal_whose_answer_was_lost_is_still_ours(void **state)
{
	static const struct coord_ops ops = { .get = lossy_get, .swap = lossy_swap };
	struct lossy lossy = { .coord = { .ops = &ops }, .inner = c };
	struct lease a;
	struct err e = { 0 };
	int64_t good;

	(void)state;
	assert_int_equal(take("a", &a, NULL), 1);
	a.coord = &lossy.coord;
	lossy.lose = true;
	vclock_pass(10 * S);
	good = a.good_boot_ns;
	assert_int_equal(lease_renew(&a, &e), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	assert_int_equal(a.good_boot_ns, good); /* nothing is believed that was not answered */
	lossy.lose = false;
	assert_int_equal(lease_renew(&a, &e), 0);
	assert_true(a.good_boot_ns > good);
	lossy.lose = true;
	assert_int_equal(lease_renew(&a, &e), -1);
	lossy.lose = false;
	assert_int_equal(lease_release(&a, &e), 0);
	assert_int_equal(take("b", &a, NULL), 1);
}

static void
a_text_that_is_no_lease_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "free\n", "free x\n", "free 1", "free 01\n", "free 1\nmore\n",
		"holder a\nhost b\npid 1\npurpose c\nuntil 5\n",
		"holder a\nhost b\npid -1\npurpose c\nuntil 5\nattempt 1\n",
		"holder a\nhost b\npid 1\npurpose c d\nuntil 5\nattempt 1\n",
		"holder a\nhost b\npid 1\npurpose c\nuntil 99999999999999999999\nattempt 1\n",
		"host b\nholder a\npid 1\npurpose c\nuntil 5\nattempt 1\n",
	};
	struct lease_text t, back;
	struct err e = { 0 };
	struct buf text;

	(void)state;
	buf_init(&text, COORD_MAX);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		buf_reset(&text);
		buf_adds(&text, bad[i]);
		if (lease_text_read(&text, &t, &e) != -1 || e.kind != ERR_CORRUPT)
			fail_msg("taken for a lease: %s", bad[i]);
	}
	t = who("a b\nc");
	t.until_ns = AT + 123456000;
	t.attempt = UINT64_MAX;
	buf_reset(&text);
	lease_text_write(&t, &text);
	assert_int_equal(lease_text_read(&text, &back, &e), 0);
	assert_string_equal(back.holder, "a b\nc");
	assert_int_equal(back.until_ns, t.until_ns);
	assert_int_equal(back.attempt, UINT64_MAX);
	buf_done(&text);
}

/* ---- who is primary ---- */

static void
the_active_site_changes_only_for_who_saw_it_and_never_back_to_an_older_epoch(void **state)
{
	struct active a, b;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(active_get(c, "pg.a", &a, &e), 0);
	b = a;
	a.epoch = 3;
	a.sysid = UINT64_C(7420000000000000001);
	a.tli = 2;
	a.fork_lsn = UINT64_C(0x57c0000f8);
	snprintf(a.site, sizeof(a.site), "us-east1");
	assert_int_equal(active_set(c, "pg.a", &a, &e), 1);
	b.epoch = 4;
	assert_int_equal(active_set(c, "pg.a", &b, &e), 0);
	assert_int_equal(active_get(c, "pg.b", &b, &e), 0);
	assert_int_equal(active_get(c, "pg.a", &b, &e), 1);
	assert_int_equal(b.epoch, 3);
	assert_int_equal(b.sysid, a.sysid);
	assert_int_equal(b.tli, 2);
	assert_int_equal(b.fork_lsn, UINT64_C(0x57c0000f8));
	assert_string_equal(b.site, "us-east1");
	b.epoch = 2;
	repokit_refused(active_set(c, "pg.a", &b, &e), &e, ERR_REFUSED, "epoch 3");
	b.epoch = 5;
	assert_int_equal(active_set(c, "pg.a", &b, &e), 1);
	a.epoch = 6;
	assert_int_equal(active_set(c, "pg.a", &a, &e), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_text_is_made_once_and_changed_only_by_who_saw_it),
		TEST(a_place_that_cannot_be_is_refused_with_the_ones_there_are),
		TEST(what_others_wrote_into_the_place_is_not_believed),
		TEST(of_many_processes_that_create_or_swap_exactly_one_wins_each_round),
		TEST(a_lease_is_had_by_one_until_it_ends_beyond_all_doubt),
		TEST(what_is_given_back_can_be_taken_at_once_and_so_can_ones_own),
		TEST(a_renewal_whose_answer_was_lost_is_still_ours),
		TEST(a_text_that_is_no_lease_is_refused),
		TEST(the_active_site_changes_only_for_who_saw_it_and_never_back_to_an_older_epoch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
