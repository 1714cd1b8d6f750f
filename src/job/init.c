/*
 * Making a repository. The order is the point: tiers are looked at before any key is made, because
 * a new key beside an old repository is worse than none: it looks as if it fitted. So where a tier
 * holds a repository, or does not answer and so might hold one, missing keys are asked for and not
 * made.
 *
 * The private half of the escrow key has to be written somewhere to be carried away. It goes beside
 * the public one, readable by root alone, and every later `ffdr check` complains as long as it lies
 * there.
 */
#include "job/init.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/secret.h"
#include "filter/key.h"
#include "job/ability.h"
#include "job/session.h"

#define INIT_GROUP "ffdr" /* people and services of this group run ffdr */
#define PEM_SUFFIX ".pem"

static void
note(struct init_report *r, const char *what, const char *path, bool made)
{
	r->item = mem_grow(r->item, &r->room, r->items + 1, sizeof(*r->item));
	r->item[r->items++] = (struct init_item){
		.what = xstrdup(what), .path = xstrdup(path), .made = made
	};
}

/* Beside that public half. */
static char *
private_beside(const char *public)
{
	size_t len = strlen(public);

	if (len > strlen(PEM_SUFFIX) && strcmp(public + len - strlen(PEM_SUFFIX), PEM_SUFFIX) == 0)
		len -= strlen(PEM_SUFFIX);
	return xasprintf("%.*s-private" PEM_SUFFIX, (int)len, public);
}

char *
init_escrow_private(const struct conf *c)
{
	char *public = c->escrow ? secret_path(c->escrow, c->credentials) : NULL, *ret;

	ret = public ? private_beside(public) : NULL;
	free(public);
	return ret;
}

/* The group of ffdr when root makes things for it, else -1. */
static gid_t
ffdr_group(void)
{
	const struct group *g = geteuid() == 0 ? getgrnam(INIT_GROUP) : NULL;

	return g ? g->gr_gid : (gid_t)-1;
}

/* Gives what was just made to the group, with the mode that root's things have. */
static int
share(const char *path, mode_t mode, struct err *e)
{
	gid_t gid = ffdr_group();

	if (gid == (gid_t)-1)
		return 0;
	if (chown(path, (uid_t)-1, gid) == -1 || chmod(path, mode) == -1)
		return err_sys(e, "give '%s' to the group " INIT_GROUP, path);
	return 0;
}

/* The directory a key goes to; made where it is missing. */
static int
make_parent(const char *path, struct err *e)
{
	char *dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	struct stat st;
	int rc = 0;

	if (*dir && stat(dir, &st) == -1 && errno == ENOENT) {
		rc = file_make_dirs(AT_FDCWD, dir, 0700, e);
		if (rc == 0)
			rc = share(dir, 0750, e);
	}
	free(dir);
	return rc;
}

/* 1 made, 0 there is something of that name, -1. */
static int
write_key(const char *path, const struct buf *bytes, bool group, struct err *e)
{
	int made;

	if (make_parent(path, e) == -1)
		return -1;
	made = file_put(AT_FDCWD, path, bytes->data, bytes->len, 0600, FILE_NEW, e);
	if (made == 1 && group && share(path, 0640, e) == -1)
		return -1;
	return made;
}

int
init_make_key(const struct conf *c, enum init_key which, const char *ref, struct err *e)
{
	char *path = secret_path(ref, c->credentials);
	uint8_t key[KEY_LEN];
	char hex[TEXT_HEX(KEY_LEN)];
	struct buf bytes;
	int made;

	buf_init(&bytes, SECRET_MAX);
	/* Not a file of ours: who asks for it may hear why it is not there. */
	if (!path && secret_get(ref, c->credentials, &bytes, e) == 0)
		err_set(e, ERR_CONFIG, "'%s' is nothing that can be made, expected credential:NAME or "
		    "file:PATH", ref);
	secret_done(&bytes);
	if (!path)
		return -1;
	/* All room at once: growing would leave a copy of a key in freed memory. */
	buf_reserve(&bytes, SECRET_MAX);
	if (which == INIT_KEK) {
		key_random(key, sizeof(key));
		buf_addf(&bytes, "%s\n", text_hex(key, sizeof(key), hex));
		key_wipe(key, sizeof(key));
		key_wipe(hex, sizeof(hex));
	} else {
		sign_key_free(sign_key_make(&bytes));
	}
	made = write_key(path, &bytes, true, e);
	secret_done(&bytes);
	free(path);
	return made;
}

struct wanted {
	const char *key, *what, *ref; /* of [keys]; for people; its value */
	enum init_key which;
};

/* Is there anything where the reference points, be it unusable? */
static bool
there(const struct conf *c, const char *ref)
{
	struct buf bytes;
	char *path;
	bool ret;

	buf_init(&bytes, SECRET_MAX);
	ret = secret_get(ref, c->credentials, &bytes, NULL) == 0;
	secret_done(&bytes);
	if (ret)
		return true;
	/* A file that cannot be read is there: it says so itself when it is opened. */
	path = secret_path(ref, c->credentials);
	ret = path && access(path, F_OK) == 0;
	free(path);
	return ret;
}

/* ---- directories of tiers ---- */

static int
make_tier(const struct conf_tier *t, struct init_report *r, struct err *e)
{
	const char *dir = tier_dir(t->url);
	char *what;
	struct stat st;

	if (!dir)
		return 0;
	what = xasprintf("tier '%s'", t->name);
	if (stat(dir, &st) == 0) {
		note(r, what, dir, false);
		free(what);
		return 0;
	}
	/* Only the last level: a missing parent is a disk that is not mounted, or a slip. */
	if (mkdir(dir, 0700) == -1) {
		err_sys(e, "%s: make directory '%s'", what, dir);
		if (e->kind == ERR_NOTFOUND)
			e->kind = ERR_CONFIG; /* a name of the configuration, not of the command line */
		if (errno == ENOENT)
			err_line(e, "fix", "mount the disk that belongs there, or mkdir -p the "
					   "directory above it");
		free(what);
		return -1;
	}
	note(r, what, dir, true);
	free(what);
	if (share(dir, 02770, e) == -1)
		return -1;
	return file_sync_dir(AT_FDCWD, dir, e);
}

/* A promise that a store cannot keep is better known before anything lies there. */
static int
try_tiers(struct session *s, const struct watch *w, struct err *e)
{
	struct store_abilities a;
	bool kept;

	for (size_t i = 0; i < s->tiers.count; i++) {
		struct tier *t = &s->tiers.tier[i];

		if (!t->store)
			continue;
		if (w->stop(w->arg))
			return err_set(e, ERR_CANCELLED, "init stopped before anything was made");
		ability_tell(&s->tiers, t, w);
		if (ability_try(s->conf, t, &a, &kept, e) == -1)
			return err_in(e, "tier '%s'", t->name);
		if (ability_refuse(t, &a, e) == -1)
			return -1;
	}
	return 0;
}

/* ---- keys ---- */

/* What on a tier says that a key exists: any name with this prefix and this in it. */
struct trace {
	const char *prefix, *part;
	bool found;
};

static int
seen(void *arg, const struct store_entry *entry, struct err *e)
{
	struct trace *trace = arg;

	if (!strstr(entry->name, trace->part))
		return 0;
	trace->found = true;
	return err_set(e, ERR_EXISTS, "found"); /* one is enough */
}

/*
 * The first tier that has a trace of the key, or does not answer; NULL when all are there without.
 */
static const struct tier *
first_in_use(const struct session *s, const struct wanted *k, bool *away)
{
	struct trace trace = { "repo/", "", false };

	/* Whose repository had no escrow key until now may have one made. */
	if (k->which == INIT_ESCROW)
		trace = (struct trace){ "key/", ".e", false };
	*away = false;
	for (size_t i = 0; i < s->tiers.count; i++) {
		const struct tier *t = &s->tiers.tier[i];
		struct err e = { 0 };
		int rc = -1;

		if (t->store)
			rc = store_list(t->store, trace.prefix, NULL, seen, &trace, &e);

		*away = rc == -1 && !trace.found;
		if (rc == -1)
			return t;
	}
	return NULL;
}

/*
 * Whether a key may be made: only where nothing is known of a repository that has one. ERR_REFUSED
 * says what is known.
 */
static int
may_make(const struct session *s, const struct wanted *k, struct err *e)
{
	char *pin = session_pin(s->conf);
	bool away, pinned = k->which != INIT_ESCROW && access(pin, F_OK) == 0;
	const struct tier *t = first_in_use(s, k, &away);
	const char *fix;
	size_t n;

	free(pin);
	if (!t && !pinned)
		return 0;
	if (away) {
		err_set(e, ERR_REFUSED, "init refused: tier '%s' cannot be reached, so it is not "
					"known whether a repository is there that has keys",
		    t->name);
		if (t->why.kind != ERR_NONE)
			err_line(e, "why", "%.*s", err_first_line(&t->why), t->why.text);
		n = err_fix(&t->why, &fix);
		if (n > 0)
			err_line(e, "fix", "%.*s", (int)n, fix);
		return err_line(e, n > 0 ? "or" : "fix", "bring the tier back, or take it out of the "
		    "configuration");
	}
	if (t)
		err_set(e, ERR_REFUSED, "init refused: tier '%s' holds a repository, but its %s is "
					"not here", t->name, k->what);
	else
		err_set(e, ERR_REFUSED, "init refused: this host has worked with a repository, but "
					"its %s is not here", k->what);
	err_line(e, "looked", "%s (%s in [keys])", k->ref, k->key);
	err_line(e, "fix", "bring the key from the host that made the repository or from the safe; a "
			   "new one %s", k->which == INIT_SIGNING ?
			   "may not sign in it" : "would not open it");
	if (k->which == INIT_SIGNING)
		err_line(e, "or", "where it is lost, the repository can be read and not be written: keep "
		    "it for restores, and begin a new one on other directories");
	if (!t)
		err_line(e, "or", "to begin a new repository remove %s/repository", s->conf->state);
	return -1;
}

static int
make_key(const struct session *s, const struct wanted *k, struct init_report *r, struct err *e)
{
	bool have = there(s->conf, k->ref);
	char *path = secret_path(k->ref, s->conf->credentials);
	int rc = 0;

	if (!have)
		rc = may_make(s, k, e) == 0 ? init_make_key(s->conf, k->which, k->ref, e) : -1;
	if (rc != -1)
		note(r, k->what, have || !path ? k->ref : path, !have);
	else if (e->kind != ERR_REFUSED) /* a refusal is a sentence of its own */
		err_in(e, "%s in [keys]", k->key);
	free(path);
	return rc == -1 ? -1 : 0;
}

/*
 * The pair. The private half goes first and decides: what an init that died between the two has
 * left, or another one that was faster, all go on with, because the public half follows from it.
 * *made: the private half is new.
 */
static int
make_pair(const char *public_path, const char *private_path, bool *made, struct err *e)
{
	struct buf public, private;
	int rc = -1, got = 0;

	buf_init(&public, SECRET_MAX);
	buf_init(&private, SECRET_MAX);
	/* All room at once: growing would leave a copy of a key in freed memory. */
	buf_reserve(&private, SECRET_MAX);
	if (access(private_path, F_OK) == -1) {
		if (key_escrow_make(&public, &private, e) == -1)
			goto out;
		got = write_key(private_path, &private, false, e);
		if (got == -1)
			goto out;
	}
	if (got == 0) {
		buf_reset(&public);
		buf_reset(&private);
		if (file_get(AT_FDCWD, private_path, &private, e) == -1)
			goto out;
		if (key_escrow_public(buf_str(&private), &public, e) == -1) {
			err_in(e, "'%s'", private_path);
			goto out;
		}
	}
	*made = got == 1;
	rc = write_key(public_path, &public, true, e) == -1 ? -1 : 0;
out:
	secret_done(&private);
	buf_done(&public);
	return rc;
}

int
init_make_escrow(const struct conf *c, const char *ref, char **private_path, struct err *e)
{
	char *public_path = secret_path(ref, c->credentials), *beside = NULL;
	bool made;
	int rc = 0;

	*private_path = NULL;
	if (!public_path)
		return 0;
	beside = private_beside(public_path);
	if (!there(c, ref))
		rc = make_pair(public_path, beside, &made, e) == -1 ? -1 : 1;
	if (rc != -1 && access(beside, F_OK) == 0) {
		*private_path = beside;
		beside = NULL;
	}
	free(beside);
	free(public_path);
	return rc;
}

static int
make_escrow(const struct session *s, struct init_report *r, struct err *e)
{
	const struct conf *c = s->conf;
	const struct wanted k = { "escrow", "public escrow key", c->escrow, INIT_ESCROW };
	char *private_path, *beside;
	bool had;
	int rc;

	if (!c->escrow)
		return 0;
	if (!there(c, c->escrow) && may_make(s, &k, e) == -1)
		return -1;
	beside = init_escrow_private(c);
	had = beside && access(beside, F_OK) == 0;
	rc = init_make_escrow(c, c->escrow, &private_path, e);
	if (rc == 0)
		note(r, "escrow key, public half", c->escrow, false);
	if (rc == 1) {
		char *public_path = secret_path(c->escrow, c->credentials);

		note(r, "escrow key, public half", public_path, true);
		note(r, "escrow key, PRIVATE half", beside, !had);
		free(public_path);
	}
	if (rc != -1)
		r->escrow_private = private_path;
	free(beside);
	return rc == -1 ? -1 : 0;
}

static int
make_keys(const struct session *s, struct init_report *r, struct err *e)
{
	const struct wanted kek = { "kek", "key-encryption key", s->conf->kek, INIT_KEK };
	const struct wanted signing = { "signing", "signing key", s->conf->signing, INIT_SIGNING };

	if (make_key(s, &kek, r, e) == -1 || make_key(s, &signing, r, e) == -1)
		return -1;
	return make_escrow(s, r, e);
}

/* ---- the repository ---- */

static int
make_repo(struct session *s, struct init_report *r, struct err *e)
{
	struct repo_options o = { 0 };
	char *pin = NULL;
	bool away;
	int rc = -1;

	if (session_escrow(s, e) == -1 ||
	    session_repo_options(s, SESSION_WRITE, &o, &pin, e) == -1)
		goto out;
	memcpy(r->signer, sign_key_public(o.sign), SIGN_PUB);
	r->made_repo = first_in_use(s, &(struct wanted){ .which = INIT_KEK }, &away) == NULL;
	rc = repo_init(&s->tiers, &o, &r->made_tiers, &s->repo, e);
	if (rc == -1)
		sign_key_free(o.sign);
	else
		memcpy(r->repo_id, s->repo->id, sizeof(r->repo_id));
out:
	free(pin);
	return rc;
}

static int
make_state(const struct conf *c, struct init_report *r, struct err *e)
{
	bool there_before = access(c->state, F_OK) == 0;

	if (session_state(c, e) == -1)
		return -1;
	note(r, "state", c->state, !there_before);
	return there_before ? 0 : share(c->state, 02770, e);
}

int
init_run(const struct conf *c, const struct watch *w, struct init_report *ret, struct err *e)
{
	struct session s = { 0 };
	int rc = -1;

	*ret = (struct init_report){ 0 };
	for (size_t i = 0; i < c->tiers; i++) {
		if (make_tier(&c->tier[i], ret, e) == -1)
			return -1;
	}
	if (make_state(c, ret, e) == -1)
		return -1;
	w->count(w->arg, "opening tiers", 0, c->tiers);
	if (session_open(c, SESSION_NEW, &s, e) == -1)
		return -1;
	if (try_tiers(&s, w, e) == -1 || make_keys(&s, ret, e) == -1)
		goto out;
	if (w->stop(w->arg)) {
		err_set(e, ERR_CANCELLED, "init stopped before the repository was made");
		goto out;
	}
	rc = make_repo(&s, ret, e);
out:
	session_done(&s);
	return rc;
}

void
init_done(struct init_report *r)
{
	for (size_t i = 0; i < r->items; i++) {
		free(r->item[i].what);
		free(r->item[i].path);
	}
	free(r->item);
	free(r->escrow_private);
	*r = (struct init_report){ 0 };
}
