/*
 * Everything a test of volumes needs around it. One set at a time, in the open: a test reads and
 * changes what it wants.
 */
#include "tests/lib/vector.h"

#include "tests/lib/volumekit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "filter/key.h"
#include "tests/lib/scratch.h"
#include "tests/lib/treecmp.h"

#define K volumekit

struct volumekit volumekit;
static unsigned run;

bool
volumekit_stop(void *arg)
{
	(void)arg;
	return K.stop_after > 0 && --K.stop_after == 0;
}

void
volumekit_warn(void *arg, const char *text)
{
	const size_t n = strlen(K.warned);

	(void)arg;
	snprintf(K.warned + n, sizeof(K.warned) - n, "%s\n", text);
}

static void
progress(void *arg)
{
	(void)arg;
}

static void
tree_progress(void *arg, uint64_t done, uint64_t total)
{
	(void)arg;
	assert_true(done <= total);
}

int
volumekit_begin(void **state)
{
	static const uint8_t secret[KEY_LEN] = { 7 };
	struct kek kek = { .kind = KEK_KEY };
	struct repo_options o = {
		.horizon_ms = INT64_C(30) * 86400000, .pack_size = 16u << 20, .kek = &kek,
	};
	unsigned count;
	struct buf pem;
	char *dir;

	(void)state;
	memset(&K, 0, sizeof(K));
	K.top = scratch_dir();
	dir = scratch_path(K.top, "tier");
	assert_int_equal(mkdir(dir, 0700), 0);
	K.tier = (struct tier){ .name = "local" };
	K.tier.options.url = xasprintf("file://%s", dir);
	free(dir);
	K.set = (struct tier_set){ .tier = &K.tier, .count = 1 };
	assert_int_equal(tier_open_all(&K.set), 1);
	buf_init(&pem, 10000);
	o.sign = sign_key_make(&pem);
	buf_done(&pem);
	buf_init(&kek.secret, KEY_LEN);
	buf_add(&kek.secret, secret, sizeof(secret));
	if (repo_init(&K.set, &o, &count, &K.repo, &K.e) == -1)
		fail_msg("%s", K.e.text);
	buf_done(&kek.secret);
	K.volume = scratch_path(K.top, "volume");
	K.target = scratch_path(K.top, "target");
	assert_int_equal(mkdir(K.volume, 0755), 0);
	return 0;
}

int
volumekit_end(void **state)
{
	(void)state;
	repo_free(K.repo);
	tier_close_all(&K.set);
	free((void *)K.tier.options.url);
	free(K.volume);
	free(K.target);
	return 0;
}

int
volumekit_backup(const struct volumekit_how *how)
{
	const struct writer_options wo = {
		.source = VOLUMEKIT_SOURCE, .root = K.volume, .host = "here", .level = 1,
		.workers = run++ % 3, .read_all = !how->by_stat, .no_parent = how->no_parent,
		.longest_ns = how->longest_ns, .line_max = how->line_max,
	};
	const struct volume_options vo = {
		.source = VOLUMEKIT_SOURCE, .path = K.volume, .by_stat = how->by_stat,
		.clock_skew_ns = how->skew_ns,
		.exclude = how->exclude, .excludes = how->excludes,
		.before = how->before, .after = how->after, .warn = volumekit_warn,
		.stop = how->stop ? how->stop : volumekit_stop, .progress = progress,
	};
	struct manifest m;
	struct writer *w;
	int rc;

	manifest_init(&m);
	if (writer_open_snapshot(K.repo, &K.tier, &wo, &w, &K.e) == -1)
		fail_msg("%s", K.e.text);
	rc = volume_capture(w, &vo, &K.seen, &K.e);
	if (rc != -1) {
		if (writer_commit(w, rc == 0, &m, &K.e) == -1)
			fail_msg("commit: %s", K.e.text);
		memcpy(K.last, m.name, sizeof(K.last));
	}
	writer_free(w);
	if (how->ret && rc != -1)
		*how->ret = m;
	else
		manifest_done(&m);
	return rc;
}

int
volumekit_restore_with(const struct tree_options *o)
{
	struct tree_options all = *o;
	struct reader *r;
	int rc;

	all.source = VOLUMEKIT_SOURCE;
	all.no_sync = !K.sync;
	all.workers = run++ % 3;
	all.warn = volumekit_warn;
	all.note = volumekit_warn;
	all.stop = volumekit_stop;
	all.progress = tree_progress;
	if (reader_open(K.repo, &K.tier, K.last, &r, &K.e) == -1)
		fail_msg("%s", K.e.text);
	rc = tree_restore(r, K.target, &all, &K.made, &K.e);
	reader_free(r);
	return rc;
}

void
volumekit_restore(bool delta)
{
	if (volumekit_restore_with(&(struct tree_options){ .delta = delta }) == -1)
		fail_msg("restore: %s", K.e.text);
}

void
volumekit_same(const char *a, const char *b)
{
	char why[2000];

	if (treecmp(a, b, 0, why, sizeof(why)) != 0)
		fail_msg("%s", why);
}

void
volumekit_put(const char *dir, const char *name, const char *text)
{
	char *path = scratch_path(dir, "%s", name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);

	assert_true(fd != -1 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	free(path);
}

bool
volumekit_has(const char *dir, const char *name)
{
	char *path = scratch_path(dir, "%s", name);
	struct stat st;
	const bool there = lstat(path, &st) == 0;

	free(path);
	return there;
}

int
volumekit_sh(const char *fmt, ...)
{
	char *command;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	if (vasprintf(&command, fmt, ap) == -1)
		abort();
	va_end(ap);
	rc = system(command);
	free(command);
	return rc;
}

uint64_t
volumekit_seeds(uint64_t usual)
{
	const char *more = getenv("FFDR_TEST_SEEDS");

	return more ? strtoull(more, NULL, 10) : usual;
}
