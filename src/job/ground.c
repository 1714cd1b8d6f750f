/*
 * Names say little about directories: links, bind mounts and "../" make one look like two. So what
 * is compared is what the kernel says it is, and whether one lies in another is found by climbing
 * to the root and looking at each step.
 */
#include "job/ground.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/secret.h"
#include "job/init.h"
#include "store/tier.h"

#define GROUND_KEYS 4 /* kek, signing, escrow and its private half */

/*
 * Does `path` lie below that directory, or is it that one? Where `one_file_system`, what is mounted
 * in between is not below.
 */
static bool
lies_in(const char *path, const struct own *directory, bool one_file_system)
{
	struct stat st, above;
	bool in = false;
	int fd = path ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1, up;

	while (fd != -1 && fstat(fd, &st) == 0 && !(in = own_has(directory, &st))) {
		up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = up;
		if (fd == -1 || fstat(fd, &above) == -1 ||
		    (above.st_ino == st.st_ino && above.st_dev == st.st_dev) ||
		    (one_file_system && above.st_dev != st.st_dev))
			break;
	}
	if (fd != -1)
		close(fd);
	return in;
}

static bool
lies_in_directory(const char *path, const char *directory)
{
	struct own one = { 0 };
	bool in;

	own_add(&one, directory);
	in = lies_in(path, &one, false);
	own_done(&one);
	return in;
}

/* What is removed or counted in the one would be the other's. */
static int
nested(const struct conf_tier *in, const struct conf_tier *around, struct err *e)
{
	const char *dir = tier_dir(in->url), *other = tier_dir(around->url);

	if (!dir || !other || !lies_in_directory(dir, other))
		return 0;
	err_set(e, ERR_CONFIG, "tier '%s' lies in tier '%s': what happens to one happens to both", in->name,
	    around->name);
	err_line(e, in->name, "%s", in->url);
	err_line(e, around->name, "%s", around->url);
	return err_line(e, "fix", "give each a directory of its own, on another disk");
}

int
ground_tiers(const struct conf *c, struct err *e)
{
	for (size_t i = 0; i < c->tiers; i++) {
		const char *dir = tier_dir(c->tier[i].url);
		struct own one = { 0 };
		struct stat st;

		own_add(&one, dir);
		for (size_t k = 0; k < i; k++) {
			const char *other = tier_dir(c->tier[k].url);

			if (!other || stat(other, &st) == -1 || !own_has(&one, &st))
				continue;
			own_done(&one);
			err_set(e, ERR_CONFIG, "tiers '%s' and '%s' are one directory: a copy there is "
				"none", c->tier[k].name, c->tier[i].name);
			err_line(e, c->tier[k].name, "%s", c->tier[k].url);
			err_line(e, c->tier[i].name, "%s", c->tier[i].url);
			return err_line(e, "fix", "give each a directory of its own, on another disk");
		}
		own_done(&one);
	}
	for (size_t i = 0; i < c->tiers; i++)
		for (size_t k = 0; k < c->tiers; k++)
			if (i != k && nested(&c->tier[i], &c->tier[k], e) == -1)
				return -1;
	return 0;
}

int
ground_volume(const struct conf *c, const struct conf_source *s, struct err *e)
{
	for (size_t i = 0; i < c->tiers; i++) {
		const char *dir = tier_dir(c->tier[i].url);

		if (!dir || !lies_in_directory(s->path, dir))
			continue;
		err_set(e, ERR_CONFIG, "%s would hold earlier backups: its path lies in tier '%s'", s->name,
		    c->tier[i].name);
		err_line(e, "path", "%s", s->path);
		err_line(e, c->tier[i].name, "%s", dir);
		return err_line(e, "fix", "move the tier to another disk, or mend path of %s", s->name);
	}
	return 0;
}

/* The n-th file that is or was a key of this host, or NULL. The caller frees it. */
static char *
key_path(const struct conf *c, size_t n)
{
	const char *const ref[GROUND_KEYS - 1] = { c->kek, c->signing, c->escrow };

	if (n == GROUND_KEYS - 1)
		return init_escrow_private(c);
	return ref[n] ? secret_path(ref[n], c->credentials) : NULL;
}

void
ground_own(const struct conf *c, struct own *ret)
{
	*ret = (struct own){ 0 };
	for (size_t i = 0; i < c->tiers; i++)
		own_add(ret, tier_dir(c->tier[i].url));
	own_add(ret, c->state);
	own_add(ret, c->credentials);
	for (size_t i = 0; i < GROUND_KEYS; i++) {
		char *path = key_path(c, i);

		own_add_key(ret, path);
		free(path);
	}
}

/* The part of the path that is there; the caller frees. */
static char *
nearest(const char *path)
{
	char *there = xstrdup(path), *slash;

	while (access(there, F_OK) == -1 && (slash = strrchr(there, '/')) != NULL)
		slash[slash == there] = '\0';
	return there;
}

/* Is what lies below the root under that name left out, by its own name or by one above? */
static bool
left_out(const struct exclude *x, const char *below)
{
	char *path = xstrdup(below), *name = path;
	bool out = false;

	for (char *end = path; *end != '\0' && !out;) {
		char kept;

		end += strcspn(end, "/");
		kept = *end;
		*end = '\0';
		out = exclude_match(x, path, name, true);
		*end = kept;
		if (kept != '\0')
			name = ++end;
	}
	free(path);
	return out;
}

/* Would a backup of the source hold it? The place of the source itself is another matter. */
static bool
is_captured(const struct ground_place *p, const char *there)
{
	char *root = p->origin ? realpath(p->origin, NULL) : NULL;
	char *real = realpath(there, NULL), *whole;
	size_t n = root ? strlen(root) : 0;
	bool in = false;

	/* Below "/" lies everything: there is no place outside it. */
	if (n > 1 && real) {
		whole = xasprintf("%s%s", real, p->path + strlen(there));
		in = strncmp(whole, root, n) == 0 && whole[n] == '/' &&
		    whole[n + strspn(whole + n, "/")] != '\0' &&
		    !left_out(p->exclude, whole + n + strspn(whole + n, "/"));
		free(whole);
	}
	free(real);
	free(root);
	return in;
}

static int
refuse_target(const struct ground_place *p, const char *what, const char *where, struct err *e)
{
	err_set(e, ERR_REFUSED, "restore refused: '%s' lies in %s", p->path, what);
	err_line(e, "checked", "%s is '%s'", what, where);
	return err_line(e, "fix", "--to with a directory outside it");
}

int
ground_target(const struct conf *c, const struct ground_place *p, struct err *e)
{
	char *there = nearest(p->path), *what;
	int rc = 0;

	for (size_t i = 0; i < c->tiers && rc == 0; i++) {
		const char *dir = tier_dir(c->tier[i].url);

		if (!dir || !lies_in_directory(there, dir))
			continue;
		what = xasprintf("tier '%s'", c->tier[i].name);
		rc = refuse_target(p, what, dir, e);
		free(what);
	}
	if (rc == 0 && lies_in_directory(there, c->state))
		rc = refuse_target(p, "the state directory", c->state, e);
	if (rc == 0 && is_captured(p, there)) {
		what = xasprintf("the tree of %s", p->source);
		rc = refuse_target(p, what, p->origin, e);
		free(what);
	}
	free(there);
	return rc;
}

static void
check_tier_in(struct check *c, const struct conf_tier *t, const struct conf_volume *v,
    const struct own *volume)
{
	const char *dir = tier_dir(t->url);
	struct own tier = { 0 };
	char what[100];

	own_add(&tier, dir);
	snprintf(what, sizeof(what), "tier %s", t->name);
	if (lies_in(dir, volume, v->one_file_system))
		check_add(c, CHECK_FAIL, what, "move the tier out of the volume, to another disk",
		    "lies in vol.%s, '%s': backups leave it out, and what is restored there is lost "
		    "with it", v->name, v->path);
	else if (lies_in(v->path, &tier, false))
		check_add(c, CHECK_FAIL, what, "move the tier, or mend path of the volume",
		    "vol.%s, '%s', lies in it: each backup would hold earlier ones", v->name, v->path);
	own_done(&tier);
}

static void
check_own_in(struct check *c, const char *key, const char *dir, const struct conf_volume *v,
    const struct own *volume)
{
	char what[100];

	snprintf(what, sizeof(what), "vol.%s", v->name);
	if (lies_in(dir, volume, v->one_file_system))
		check_add(c, CHECK_WARN, what, "none is needed, if keys have a copy in the safe",
		    "%s, '%s', lies in it: backups leave it out, and restores do not touch it", key, dir);
}

/* What lies among a server's files is copied with them, or removed by it. */
static void
check_server(struct check *c, const struct conf *conf, const struct conf_source *s)
{
	for (size_t i = 0; i < conf->tiers; i++) {
		const char *dir = tier_dir(conf->tier[i].url);

		if (dir && lies_in_directory(dir, s->path))
			check_add(c, CHECK_FAIL, s->name, "move the tier, best to another disk",
			    "tier '%s', '%s', lies in the data directory '%s'", conf->tier[i].name, dir,
			    s->path);
	}
	if (lies_in_directory(conf->state, s->path))
		check_add(c, CHECK_FAIL, s->name, "move state in [ffdr] out of it",
		    "state, '%s', lies in the data directory '%s'", conf->state, s->path);
}

void
ground_check(struct check *c, const struct conf *conf)
{
	for (size_t i = 0; i < conf->sources; i++)
		if (conf->source[i].postgres && conf->source[i].path)
			check_server(c, conf, &conf->source[i]);
	for (size_t i = 0; i < conf->volumes; i++) {
		const struct conf_volume *v = &conf->volume[i];
		struct own volume = { 0 };

		own_add(&volume, v->path);
		for (size_t k = 0; k < conf->tiers; k++)
			check_tier_in(c, &conf->tier[k], v, &volume);
		check_own_in(c, "state", conf->state, v, &volume);
		check_own_in(c, "credentials", conf->credentials, v, &volume);
		for (size_t k = 0; k < GROUND_KEYS; k++) {
			char *path = key_path(conf, k), *there = path ? realpath(path, NULL) : NULL;

			if (there) {
				*strrchr(there, '/') = '\0';
				check_own_in(c, "a key", there[0] ? there : "/", v, &volume);
			}
			free(there);
			free(path);
		}
		own_done(&volume);
	}
}
