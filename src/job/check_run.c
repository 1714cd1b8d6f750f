/*
 * ffdr check. Claims are proved by use and not by looking: a key is right when it opens the
 * repository, a tier is writable when something was written. The checks run in the order in which a
 * failing one explains those after it, and all of them run, so that one visit finds everything.
 */
#include "job/check_run.h"

#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "conf/conf_build.h"
#include "conf/secret.h"
#include "filter/key.h"
#include "job/check_clock.h"
#include "job/check_need.h"
#include "job/check_plan.h"
#include "job/check_source.h"
#include "job/check_tier.h"
#include "job/check_time.h"
#include "job/ground.h"
#include "job/init.h"
#include "job/recall.h"
#include "job/session.h"
#include "job/whose.h"
#include "repo/kek.h"
#include "repo/repo_audit.h"
#include "repo/repo_spread.h"

/* Of letters and digits: more than a year of guessing for who has a thousand machines. */
#define PASSPHRASE_LEAST 12

/* ---- this host ---- */

/*
 * All that lies in `state` must be of use to whoever may use the directory. Root may use
 * everything, so for root it is the owner that counts.
 */
static bool
usable(const struct stat *dir, const FTSENT *f)
{
	if (geteuid() == 0)
		return f->fts_statp->st_uid == dir->st_uid || f->fts_statp->st_gid == dir->st_gid;
	return access(f->fts_path, f->fts_info == FTS_F ? R_OK : R_OK | W_OK | X_OK) == 0;
}

static void
check_state_files(struct check *c, const char *state)
{
	char *roots[] = { (char *)state, NULL };
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	size_t files = 0, bad = 0;
	char *first = NULL, *fix;
	struct stat dir;
	FTSENT *f;

	while (fts && stat(state, &dir) == 0 && (f = fts_read(fts)) != NULL) {
		if (f->fts_info == FTS_DP || f->fts_level == 0)
			continue;
		files++;
		if (f->fts_info != FTS_NS && f->fts_info != FTS_DNR && usable(&dir, f))
			continue;
		if (bad++ == 0)
			first = xstrdup(f->fts_path);
	}
	if (fts)
		fts_close(fts);
	fix = xasprintf("as root: chown -R --reference='%s' '%s'", state, state);
	if (bad > 0)
		check_add(c, CHECK_FAIL, "state", fix,
		    "%zu of %zu files in it belong to somebody else, "
		    "the first is '%s'",
		    bad, files, first);
	else
		check_add(c, CHECK_OK, "state", NULL,
		    "'%s' is there and may be written, with all %zu "
		    "files in it",
		    state, files);
	free(fix);
	free(first);
}

static void
check_state(struct check *c, const struct conf *conf)
{
	struct err e = { 0 };

	if (session_state(conf, &e) == -1)
		check_error(c, CHECK_FAIL, "state", &e);
	else
		check_state_files(c, conf->state);
}

/* The way out for a key that cannot be fetched: init makes files, nothing else. */
static const char *
key_fix(const char *ref)
{
	struct secret_ref parsed;

	if (secret_parse(ref, &parsed, NULL) == 0 && parsed.kind == SECRET_PASSPHRASE)
		return key_fix(parsed.value);
	if (secret_parse(ref, &parsed, NULL) == 0 && parsed.kind == SECRET_COMMAND)
		return "run that command by hand: it must print the key and nothing else";
	return "ffdr init makes it for a new repository; else bring it from another host or the "
	       "safe";
}

/* A key that cannot be fetched: on a new host that is the next step, on an old one an alarm. */
static void
key_error(struct check *c, const char *what, const char *ref, struct err *e)
{
	if (e->kind != ERR_PERMISSION && !strstr(e->text, "\n  fix "))
		err_line(e, "fix", "%s", key_fix(ref));
	check_error(c, CHECK_FAIL, what, e);
}

/* Its hooks and commands are run by whoever runs ffdr: who may write there is as good as him. */
static void
check_conf_file(struct check *c, const char *file)
{
	struct stat st;
	char *fix;

	if (stat(file, &st) == -1 || (st.st_mode & S_IWOTH) == 0)
		return;
	fix = xasprintf("chmod o-w '%s', and read it before the next run", file);
	check_add(c, CHECK_FAIL, "configuration", fix,
	    "everybody may write '%s', and commands in it are "
	    "run",
	    file);
	free(fix);
}

static void
check_conf_files(struct check *c, const struct conf *conf)
{
	const char *last = conf->file;

	check_conf_file(c, last);
	for (size_t i = 0; i < conf->origins; i++) {
		const char *file = conf->origin[i].file;

		if (strcmp(file, last) == 0 || strcmp(file, conf->file) == 0)
			continue;
		last = file;
		check_conf_file(c, last);
	}
}

static void
check_kek(struct check *c, const struct conf *conf)
{
	struct kek kek = { 0 };
	uint8_t id[8];
	struct err e = { 0 };

	/* Any PEM is taken for the private half of the escrow key; look whether it can be. */
	if (session_kek(conf, conf->kek, &kek, &e) == -1 || (kek.kind == KEK_ESCROW &&
	    key_escrow_id(buf_str(&kek.secret), id, &e) == -1))
		key_error(c, "key kek", conf->kek, &e);
	else if (kek.kind == KEK_ESCROW)
		check_add(c, CHECK_WARN, "key kek",
		    "ffdr key rotate --kek file:NEW, and the PEM back to "
		    "the safe",
		    "%s is a PEM, the private half of the escrow key: for an emergency", conf->kek);
	else if (kek.kind == KEK_PASSPHRASE && kek.secret.len < PASSPHRASE_LEAST)
		check_add(c, CHECK_WARN, "key kek",
		    "ffdr key rotate --kek with a longer one, such as "
		    "six random words",
		    "%s is a passphrase of %zu characters, which can be guessed by "
		    "who has a copy of a tier",
		    conf->kek, kek.secret.len);
	else
		check_add(c, CHECK_OK, "key kek", NULL, "%s is %s", conf->kek,
		    kek.kind == KEK_PASSPHRASE ? "a passphrase" : "a key of 256 bits");
	kek_done(&kek);
}

static void
check_signing(struct check *c, const struct conf *conf)
{
	struct sign_key *key = NULL;
	struct err e = { 0 };

	if (session_signer(conf, conf->signing, true, &key, &e) == 0)
		check_add(c, CHECK_OK, "key signing", NULL, "%s is a private Ed25519 key",
		    conf->signing);
	else if (session_signer(conf, conf->signing, false, &key, NULL) == 0 &&
	    !sign_key_is_private(key))
		check_add(c, CHECK_WARN, "key signing", NULL,
		    "%s is only the public half: this host "
		    "can read and restore, but not back up",
		    conf->signing);
	else
		key_error(c, "key signing", conf->signing, &e);
	sign_key_free(key);
}

static void
check_escrow(struct check *c, struct session *s)
{
	char *private_path = init_escrow_private(s->conf);
	struct kek_ready ready = { 0 };
	struct err e = { 0 };

	if (!s->conf->escrow)
		check_add(c, CHECK_WARN, "key escrow", "set escrow in [keys] and run ffdr init",
		    "there is none: whoever loses the kek loses every backup");
	else if (session_escrow(s, &e) == -1 ||
	    kek_prepare_escrow(buf_str(&s->escrow_pem), &ready, &e) == -1)
		key_error(c, "key escrow", s->conf->escrow, &e);
	else
		check_add(c, CHECK_OK, "key escrow", NULL, "%s is an RSA public key, id %s",
		    s->conf->escrow, ready.recipient + 1);
	if (private_path && access(private_path, F_OK) == 0)
		check_add(c, CHECK_WARN, "key escrow",
		    "move it to the safe and remove it here, then prove it by ffdr key escrow-test",
		    "the private half still lies at '%s': it opens every backup", private_path);
	kek_ready_done(&ready);
	free(private_path);
}

/* ---- the repository ---- */

static void
check_signer(struct check *c, const struct session *s)
{
	const struct keyring *keys = s->repo->keys;
	uint8_t id[SIGN_ID];
	char hex[TEXT_HEX(SIGN_ID)];

	if (!keys->sign)
		return;
	sign_key_id(sign_key_public(keys->sign), id);
	text_hex(id, sizeof(id), hex);
	if (keyring_signer(keys, id))
		check_add(c, CHECK_OK, "signer", NULL, "key %s may sign in this repository", hex);
	else
		check_add(c, CHECK_FAIL, "signer",
		    "on a host that has an older key: ffdr key rotate --signing REFERENCE, naming "
		    "this "
		    "key",
		    "key %s is not one of the %zu that may sign in this repository", hex,
		    keys->signers);
}

/* A rotation may have replaced it on another host, or here with the configuration left as it was. */
static void
check_escrow_current(struct check *c, const struct session *s)
{
	struct kek_ready ready = { 0 };
	struct err e = { 0 };

	if (s->escrow_pem.len > 0 &&
	    kek_prepare_escrow(buf_str(&s->escrow_pem), &ready, &e) == 0 &&
	    repo_replaced(s->repo, ready.recipient) != 0)
		check_add(c, CHECK_FAIL, "key escrow",
		    "escrow = the public key that `ffdr key rotate --escrow` was given",
		    "%s was replaced by a rotation: no key epoch is wrapped for it any more",
		    s->conf->escrow);
	kek_ready_done(&ready);
}

/* What is wrong with one object of the repository, and the way out. */
static void
flaw_line(struct check *c, const struct session *s, const char *what, const struct tier *t,
    const struct repo_flaw *f)
{
	struct err e = { 0 };

	err_set(&e, f->why.kind, "'%s': %s", f->object, f->why.text);
	if (s->tiers.count > 1)
		err_line(&e, "fix",
		    "ffdr verify --repair --tier %s brings a good one from another tier; "
		    "where none has one, see operations.md, 'A tier is damaged'",
		    t->name);
	else
		err_line(&e, "fix", "see operations.md, 'A tier is damaged'");
	check_error(c, CHECK_FAIL, what, &e);
}

/*
 * Every epoch must be there for a recipient on every tier, or that tier alone cannot be opened by
 * it.
 */
static void
epochs_line(struct check *c, const struct session *s, const char *what, size_t have, const char *by,
    const char *fix)
{
	size_t epochs = s->repo->keys->epochs;

	if (have == epochs)
		check_add(c, CHECK_OK, what, NULL, "%zu of %zu key epochs %s", have, epochs, by);
	else
		check_add(c, CHECK_FAIL, what, fix, "only %zu of %zu key "
			  "epochs %s", have, epochs, by);
}

static bool
is_replaced(const struct session *s, const char *name)
{
	uint8_t epoch[LAYOUT_EPOCH];
	char recipient[KEK_RECIPIENT];

	return layout_key_parse(name, epoch, recipient, sizeof(recipient)) == 0 &&
	    repo_replaced(s->repo, recipient) != 0;
}

/*
 * A key that was replaced still opens what a tier has for it: that tier was set back, or away. One
 * of another host's is told from it by what the repository object says.
 */
static void
replaced_lines(struct check *c, const struct session *s, const char *what,
    const struct repo_audit *a)
{
	const char *replaced = NULL, *other = NULL;

	for (size_t i = 0; i < a->sounds; i++) {
		if (is_replaced(s, a->sound[i]))
			replaced = a->sound[i];
		else if (!repo_spread_wanted(s->repo, a->sound[i]))
			other = a->sound[i];
	}
	if (replaced)
		check_add(c, CHECK_WARN, what, "the next backup or copy to that tier removes what is "
		    "for it; begin a new epoch by `ffdr key rotate` where it may be in wrong hands",
		    "'%s' opens there by a key that was replaced", replaced);
	if (other)
		check_add(c, CHECK_WARN, what, "if no other host uses that key, remove the object from "
		    "that tier, and begin a new epoch by `ffdr key rotate` where it may be in wrong "
		    "hands",
		    "'%s' opens there by another key than the kek of this host", other);
}

/* A tier as if it were the only one left: its own objects, opened by what opens the repository. */
static void
check_alone(struct check *c, struct session *s, struct tier *t)
{
	struct kek_ready ready = { 0 };
	struct repo_audit a;
	struct err e = { 0 };
	const char *fix;
	char what[100];

	snprintf(what, sizeof(what), "keys on %s", t->name);
	if (repo_audit(s->repo, &s->kek, t, &a, &e) == -1) {
		check_error(c, CHECK_FAIL, what, &e);
		goto out;
	}
	for (size_t i = 0; i < a.count; i++)
		flaw_line(c, s, what, t, &a.flaw[i]);
	replaced_lines(c, s, what, &a);
	/* Where no object is wrong, some were never made. */
	fix = a.count == 0 ? "ffdr init makes what is missing" : NULL;
	epochs_line(c, s, what, a.opened, "were opened there by the kek", fix);
	/* That key is in the safe: here only the signatures of its objects can be proved. */
	if (s->escrow_pem.len > 0 &&
	    kek_prepare_escrow(buf_str(&s->escrow_pem), &ready, &e) == 0 &&
	    repo_replaced(s->repo, ready.recipient) == 0)
		epochs_line(c, s, what, repo_audit_recipient(&a, s->repo, ready.recipient),
		    "are wrapped there for the key in the safe, by signature", fix);
out:
	kek_ready_done(&ready);
	repo_audit_done(&a);
}

/* `open`: which tiers answered before the repository was looked for there. */
static void
check_tiers_alone(struct check *c, struct session *s, const bool *open)
{
	char what[100];

	for (size_t i = 0; i < s->tiers.count; i++) {
		struct tier *t = &s->tiers.tier[i];

		snprintf(what, sizeof(what), "keys on %s", t->name);
		if (t->store)
			check_alone(c, s, t);
		else if (open[i])
			check_error(c, CHECK_FAIL, what, &t->why);
	}
}

static void
missing_seen(void *arg, struct tier *t, const struct newest_missing *m)
{
	struct check *c = arg;
	struct err e = m->why;
	char what[100];

	snprintf(what, sizeof(what), "newest on %s", t->name);
	err_in(&e, "%s", m->id);
	check_error(c, CHECK_FAIL, what, &e);
}

static void
check_repo(struct check *c, struct session *s)
{
	bool *open = xcalloc(s->tiers.count + 1, sizeof(*open));
	char hex[TEXT_HEX(LAYOUT_REPO_ID)];
	struct err e = { 0 };

	for (size_t i = 0; i < s->tiers.count; i++)
		open[i] = s->tiers.tier[i].store != NULL;
	if (session_open_repo(s, SESSION_READ, &e) == -1) {
		check_error(c, CHECK_FAIL, "repository", &e);
		goto out;
	}
	if (s->state.kind != ERR_NONE)
		check_error(c, CHECK_WARN, "state", &s->state);
	check_add(c, CHECK_OK, "repository", NULL, "%s opens with this kek: %zu key epoch%s, %zu "
		  "signer%s", text_hex(s->repo->id, LAYOUT_REPO_ID, hex), s->repo->keys->epochs,
	    s->repo->keys->epochs == 1 ? "" : "s", s->repo->keys->signers,
	    s->repo->keys->signers == 1 ? "" : "s");
	if (repo_check_replaced(s->repo, &e) == -1)
		check_error(c, CHECK_FAIL, "keys", &e);
	check_signer(c, s);
	check_escrow_current(c, s);
	check_tiers_alone(c, s, open);
out:
	free(open);
}

/* What goes by what lies where. A tier that kept that back, and did not before, has a line of its own. */
static void
check_snapshots(struct check *c, struct session *s, const struct watch *w)
{
	const struct inventory_options all = { .once = true };
	bool *told = xcalloc(s->tiers.count + 1, sizeof(*told));
	struct inventory inv = { 0 };
	struct err e = { 0 };

	for (size_t i = 0; i < s->tiers.count; i++)
		told[i] = tier_tells(&s->tiers.tier[i]);
	if (inventory_read(s, &all, w, &inv, &e) == -1)
		check_error(c, CHECK_FAIL, "snapshots", &e);
	else
		check_need_tiers(c, s, &inv);
	for (size_t i = 0; i < s->tiers.count; i++) {
		struct tier *t = &s->tiers.tier[i];
		struct err why = t->why;

		if (!told[i] || tier_tells(t))
			continue;
		err_in(&why, "its snapshots cannot be listed");
		check_tier_untold(c, t, &why);
	}
	if (e.kind == ERR_NONE)
		check_time_tiers(c, s, &inv, w);
	inventory_done(&inv);
	free(told);
}

/* ---- sources ---- */

void
check_run(const struct conf *conf, const struct watch *w, struct check *ret)
{
	struct session s;
	struct err e = { 0 };

	*ret = (struct check){ 0 };
	check_add(ret, CHECK_OK, "configuration", NULL, "%s: %zu tier%s, %zu source%s", conf->file,
	    conf->tiers, conf->tiers == 1 ? "" : "s", conf->sources,
	    conf->sources == 1 ? "" : "s");
	w->count(w->arg, "opening tiers", 0, conf->tiers);
	if (session_open(conf, SESSION_TIERS, &s, &e) == -1) {
		check_error(ret, CHECK_FAIL, "tiers", &e);
		return;
	}
	check_conf_files(ret, conf);
	check_state(ret, conf);
	check_kek(ret, conf);
	check_signing(ret, conf);
	check_escrow(ret, &s);
	check_tier_stores(ret, &s, w);
	check_tier_devices(ret, &s);
	ground_check(ret, conf);
	check_clock_host(ret, &s);
	if (!w->stop(w->arg))
		check_repo(ret, &s);
	check_clock_snapshots(ret, &s); /* with the keys: anybody can make a name */
	recall_each(&s, NULL, NULL, w, missing_seen, ret);
	for (size_t i = 0; i < conf->sources; i++)
		check_source(ret, &s, &conf->source[i]);
	whose_check(ret, &s);
	check_plan_sources(ret, conf);
	check_plan_tiers(ret, conf);
	check_snapshots(ret, &s, w);
	session_done(&s);
}
