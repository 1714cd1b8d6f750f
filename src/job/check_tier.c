/*
 * Tiers by use. The probe is an object of its own kind of name, `check/<16 hex>`, which no listing
 * of the repository looks at; so one that a crash leaves behind is a few bytes and harms nothing.
 * It is put twice, because the promise that nothing is ever overwritten is the store's, and
 * everything rests on it.
 */
#include "job/check_tier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/units.h"
#include "filter/key.h"
#include "job/ability.h"

#define PROBE_BYTES 16
#define ROOM_WARN_PERCENT 5 /* less than that is a backup or two */

/* What a second put of other bytes did to the first. 0: all as promised. */
static int
probe_again(struct store *s, const char *name, const uint8_t first[PROBE_BYTES], struct err *e)
{
	uint8_t second[PROBE_BYTES];
	struct buf back;
	int put, rc = -1;

	buf_init(&back, 4 * PROBE_BYTES);
	key_random(second, sizeof(second));
	put = store_put(s, name, second, sizeof(second), STORE_NEW, e);
	if (put == -1 || store_get(s, name, &back, e) == -1)
		goto out;
	if (back.len != PROBE_BYTES || memcmp(back.data, first, PROBE_BYTES) != 0)
		err_set(e, ERR_UNSUPPORTED, "it overwrites objects that are there already");
	else if (put != 0)
		err_set(e, ERR_UNSUPPORTED, "it says it stored what it did not store");
	else
		rc = 0;
out:
	buf_done(&back);
	return rc;
}

/*
 * Two mounts of one place have different names and numbers; but what is put into one is in the
 * other.
 */
static int
probe_others(const struct tier_set *all, const struct store *s, const char *name, struct err *e)
{
	struct store_stat st;

	for (size_t i = 0; i < all->count; i++) {
		const struct tier *t = &all->tier[i];

		if (!t->store || t->store == s || store_stat(t->store, name, &st, NULL) != 1)
			continue;
		err_set(e, ERR_CONFIG, "is the same place as tier '%s': what is stored in one shows in "
			"the other, so a copy there is none", t->name);
		return err_line(e, "fix", "give each tier a place of its own");
	}
	return 0;
}

/* Puts, reads back, removes; *skew_ns is how far the store's time of the object is from ours. */
static int
probe(const struct tier_set *all, struct store *s, int64_t *skew_ns, struct err *e)
{
	char name[LAYOUT_NAME];
	uint8_t bytes[PROBE_BYTES];
	struct store_stat st;
	int rc = -1, got;

	ability_place(name);
	key_random(bytes, sizeof(bytes));
	if (store_put(s, name, bytes, sizeof(bytes), STORE_NEW, e) == -1)
		return -1;
	if (probe_again(s, name, bytes, e) == -1 || probe_others(all, s, name, e) == -1)
		goto out;
	got = store_stat(s, name, &st, e);
	if (got == 0)
		err_set(e, ERR_CORRUPT, "an object that was stored just now is not there");
	if (got != 1)
		goto out;
	*skew_ns = st.time_ns - clock_real_ns();
	rc = 0;
out:
	got = store_del(s, name, rc == 0 ? e : NULL);
	if (rc == 0 && got != 1) {
		if (got == 0)
			err_set(e, ERR_CORRUPT, "an object that was stored just now is gone");
		rc = -1;
	}
	return rc;
}

static int64_t
magnitude(int64_t ns)
{
	return ns < 0 ? -ns : ns;
}

static void
check_clock(struct check *c, const char *what, struct store *s, int64_t object_skew)
{
	char text[UNITS_TEXT];
	struct err e = { 0 };
	int64_t now, skew;

	if (store_clock(s, &now, &e) == -1) {
		check_error(c, CHECK_FAIL, what, &e);
		return;
	}
	skew = now - clock_real_ns();
	if (magnitude(object_skew) > magnitude(skew))
		skew = object_skew;
	units_duration(magnitude(skew) / CLOCK_MS, text);
	if (magnitude(skew) > LAYOUT_SKEW_NS)
		check_add(c, CHECK_FAIL, what, "set the clock of this host or of the store (chrony, ntp)",
		    "its clock is %s %s ours; at most 5 minutes are allowed", text,
		    skew > 0 ? "ahead of" : "behind");
	else
		check_add(c, CHECK_OK, what, NULL, "its clock is ours within %s", text);
}

static void
check_room(struct check *c, const char *what, const char *dir, uint64_t pack_size)
{
	char free_text[UNITS_TEXT], all_text[UNITS_TEXT];
	uint64_t room, all, inodes;
	enum check_verdict v = CHECK_OK;
	struct statvfs fs;

	if (statvfs(dir, &fs) == -1)
		return;
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	all = (uint64_t)fs.f_blocks * fs.f_frsize;
	inodes = fs.f_favail;
	if (room < 2 * pack_size || (fs.f_files > 0 && inodes == 0))
		v = CHECK_FAIL;
	else if (room < all / 100 * ROOM_WARN_PERCENT ||
	    (fs.f_files > 0 && inodes < fs.f_files / 100 * ROOM_WARN_PERCENT))
		v = CHECK_WARN;
	check_add(c, v, what, v == CHECK_OK ? NULL : "make room, or keep less (keep = in its section)",
	    "%s of %s free%s", units_size(room, free_text), units_size(all, all_text),
	    v != CHECK_OK && room >= 2 * pack_size ? ", or few inodes" : "");
}

static void
check_versions(struct check *c, const char *what, const struct store_abilities *a, bool looks_back)
{
	if (a->locks_all)
		check_add(c, CHECK_WARN, what, "take the default retention from the bucket; lock = in the "
		    "section locks what should be", "the bucket locks everything by itself, also what "
		    "must go after an hour: it stays as hidden versions");
	if (a->expires)
		check_add(c, CHECK_FAIL, what, "take the rule from the bucket, or its Expiration: what is "
		    "kept for how long is for `keep`", "a lifecycle rule of the bucket removes objects "
		    "by their age, whether a snapshot needs them or not");
	if (a->versions.can == STORE_CANNOT && looks_back)
		check_add(c, CHECK_WARN, what, "versioning for the bucket, and a lifecycle rule that "
		    "removes noncurrent versions some days after", "the bucket keeps no versions: what "
		    "somebody deletes or overwrites there is gone");
	if (a->versions.can != STORE_CAN)
		return;
	if (a->tidies.can == STORE_CAN)
		check_add(c, CHECK_OK, what, NULL, "what is deleted there can be had as long as the bucket "
			  "keeps old versions");
	else
		check_add(c, CHECK_WARN, what, "a lifecycle rule of the bucket that removes noncurrent "
		    "versions some days after", "the bucket keeps versions and %s removes them: what is "
		    "deleted takes up room for ever", a->tidies.can == STORE_CANNOT ? "nothing" :
		    "perhaps nothing");
}

/* What the store is able to do, against what its section asks for. */
static void
check_ability(struct check *c, const struct session *s, struct tier *t, const char *what)
{
	struct store_abilities a;
	struct err e = { 0 };
	bool kept;

	if (ability_try(s->conf, t, &a, &kept, &e) == -1 || ability_refuse(t, &a, &e) == -1) {
		check_error(c, CHECK_FAIL, what, &e);
		return;
	}
	if (a.exclusive.can == STORE_CANNOT)
		check_add(c, CHECK_WARN, what, "let no other host write to the tier",
		    "the store does not keep to `If-None-Match`%s%s: of two writers of one name the last "
		    "would win, so only one host may write there", a.exclusive.seen[0] ? ": " : "",
		    a.exclusive.seen);
	if (t->options.lock != STORE_LOCK_NONE)
		check_add(c, CHECK_OK, what, NULL, "what was locked could not be deleted");
	if (t->options.class != NULL)
		check_add(c, CHECK_OK, what, NULL, "takes objects of class %s", t->options.class);
	/* Of what lies in an archive the checksum is the only proof, until it is ordered back. */
	if (t->options.class != NULL && a.checks.can == STORE_CANNOT)
		check_add(c, CHECK_WARN, what, "a store that compares them, or no class = here and `ffdr "
		    "verify` now and then", "the store takes bytes that are not those of their "
		    "checksum: that what lies in class %s came there whole is not proved",
		    t->options.class);
	check_versions(c, what, &a, t->store->ops->looks_back);
}

void
check_tier_untold(struct check *c, struct tier *t, const struct err *why)
{
	char what[100];

	snprintf(what, sizeof(what), "tier %s", t->name);
	check_error(c, CHECK_FAIL, what, why);
	tier_untold(t, why);
}

static void
check_store(struct check *c, const struct session *s, struct tier *t, const struct watch *w)
{
	const char *dir = tier_dir(t->options.url);
	struct err e = { 0 };
	char what[100];
	int64_t skew = 0;

	snprintf(what, sizeof(what), "tier %s", t->name);
	if (!t->store) {
		check_error(c, CHECK_FAIL, what, &t->why);
		return;
	}
	ability_tell(&s->tiers, t, w);
	check_ability(c, s, t, what);
	if (probe(&s->tiers, t->store, &skew, &e) == -1) {
		if (e.kind == ERR_REMOTE)
			check_tier_untold(c, t, &e);
		else
			check_error(c, CHECK_FAIL, what, &e); /* what it has can be told all the same */
	} else {
		check_add(c, CHECK_OK, what, NULL, "%s: wrote, read back, refused to overwrite, removed",
		    t->options.url);
		check_clock(c, what, t->store, skew);
	}
	if (dir)
		check_room(c, what, dir, s->conf->pack_size);
}

void
check_tier_stores(struct check *c, const struct session *s, const struct watch *w)
{
	for (size_t i = 0; i < s->tiers.count; i++)
		check_store(c, s, &s->tiers.tier[i], w);
}

static int
device(const char *path, dev_t *ret)
{
	struct stat st;

	if (!path || stat(path, &st) == -1)
		return -1;
	*ret = st.st_dev;
	return 0;
}

/* Does any source lie on the disk of this tier? */
static void
check_source_device(struct check *c, const struct session *s, const struct tier *t, dev_t dev)
{
	char what[100];
	dev_t other;

	snprintf(what, sizeof(what), "tier %s", t->name);
	for (size_t i = 0; i < s->conf->sources; i++) {
		const struct conf_source *source = &s->conf->source[i];

		if (device(source->path, &other) == 0 && other == dev)
			check_add(c, CHECK_WARN, what,
			    "put the tier on another disk; more tiers help only if they are elsewhere",
			    "lies on the same file system as %s: one broken disk takes both",
			    source->name);
	}
}

void
check_tier_devices(struct check *c, const struct session *s)
{
	char what[100];
	dev_t dev, other;

	for (size_t i = 0; i < s->tiers.count; i++) {
		const struct tier *t = &s->tiers.tier[i];

		if (!t->store || device(tier_dir(t->options.url), &dev) == -1)
			continue;
		check_source_device(c, s, t, dev);
		snprintf(what, sizeof(what), "tier %s", t->name);
		for (size_t k = 0; k < i; k++) {
			const struct tier *u = &s->tiers.tier[k];

			if (u->store && device(tier_dir(u->options.url), &other) == 0 &&
			    other == dev)
				check_add(c, CHECK_WARN, what, "give each tier a disk of its own",
				    "lies on the same file system as tier %s: one broken disk takes "
				    "both", u->name);
		}
	}
}
