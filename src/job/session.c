/*
 * The start of every job. Tiers that are away do not end it here: a restore needs one tier, a
 * backup the first that answers; only nobody at all is an error. Secrets are fetched as late as
 * possible and live in the session alone. Where the way in fails, the text says the way out,
 * because this is what a person meets first on a new host.
 */
#include "job/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"
#include "conf/secret.h"
#include "job/ground.h"
#include "job/session_empty.h"
#include "job/tiers.h"
#include "repo/repo_ours.h"
#include "repo/repo_pin.h"

#define SESSION_PIN "repository" /* file in state/: which repository this host has seen, and how new */
#define SESSION_CLOCK "clock"	/* and the clock of the last run that looked at it */
#define PEM_BEGIN "-----BEGIN "

int
session_state(const struct conf *c, struct err *e)
{
	struct err why = { 0 };
	bool rights;

	if (file_make_dirs(AT_FDCWD, c->state, 0700, &why) == -1) {
		rights = why.kind == ERR_PERMISSION;
		err_set(e, why.kind, "the state directory cannot be made: %s", why.text);
	} else if (access(c->state, R_OK | W_OK | X_OK) == -1) {
		rights = errno == EACCES;
		err_sys(e, "the state directory '%s' cannot be written to", c->state);
	} else {
		return 0;
	}
	/* Root has every right, so then it is not that. */
	if (rights && geteuid() != 0)
		err_line(e, "fix", "run ffdr as root or in the group of that directory, or set state "
				   "in [ffdr] to one that this user may write");
	return -1;
}

/* May what is remembered there be looked at? Else errno. */
static bool
state_opens(const struct conf *c)
{
	int fd = open(c->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1)
		return false;
	close(fd);
	return access(c->state, X_OK) == 0;
}

void
session_state_lost(struct session *s, const struct err *why)
{
	if (s->state.kind == ERR_NONE)
		s->state = *why;
}

char *
session_pin(const struct conf *c)
{
	return xasprintf("%s/" SESSION_PIN, c->state);
}

char *
session_clock(const struct conf *c)
{
	return xasprintf("%s/" SESSION_CLOCK, c->state);
}

/* The bytes of a passphrase without the newline its editor put behind it. */
static void
trim_newline(struct buf *b)
{
	while (b->len > 0 && (b->data[b->len - 1] == '\n' || b->data[b->len - 1] == '\r'))
		b->data[--b->len] = '\0';
}

/* Hands the bytes over: no second copy of a secret. */
static int
take_bytes(enum kek_kind kind, struct buf *bytes, struct kek *ret)
{
	ret->kind = kind;
	ret->secret = *bytes;
	buf_init(bytes, SECRET_MAX);
	return 0;
}

int
session_kek(const struct conf *c, const char *ref, struct kek *ret, struct err *e)
{
	struct secret_ref parsed;
	struct buf bytes;
	int rc = -1;

	*ret = (struct kek){ .kind = KEK_KEY };
	buf_init(&bytes, SECRET_MAX);
	if (secret_parse(ref, &parsed, e) == -1)
		goto out;
	if (parsed.kind == SECRET_PASSPHRASE) {
		if (secret_get(parsed.value, c->credentials, &bytes, e) == -1)
			goto out;
		trim_newline(&bytes);
		if (bytes.len == 0) {
			err_set(e, ERR_KEY, "the passphrase is empty");
			goto out;
		}
		rc = take_bytes(KEK_PASSPHRASE, &bytes, ret);
		goto out;
	}
	if (secret_get(ref, c->credentials, &bytes, e) == -1)
		goto out;
	/* The private half out of the safe stands in for a kek that is lost. */
	if (memmem(bytes.data, bytes.len, PEM_BEGIN, strlen(PEM_BEGIN)))
		rc = take_bytes(KEK_ESCROW, &bytes, ret);
	else
		rc = kek_from_bytes(&bytes, ret, e);
out:
	if (rc == -1)
		err_in(e, "[keys] kek = %s", ref);
	secret_done(&bytes);
	return rc;
}

static void
only_public(struct err *e)
{
	err_set(e, ERR_KEY, "that is only the public half");
	err_line(e, "fix", "this host may read and restore; to back up it needs the private key of the "
	    "repository");
}

/* Everybody may read it, and it is no secret: what is wrong is another matter than its mode. */
static bool
public_half(const struct conf *c, const char *ref)
{
	struct sign_key *key = NULL;
	bool public = false;

	if (session_signer(c, ref, false, &key, NULL) == 0)
		public = !sign_key_is_private(key);
	sign_key_free(key);
	return public;
}

int
session_signer(const struct conf *c, const char *ref, bool private, struct sign_key **ret,
    struct err *e)
{
	struct sign_key *key = NULL;
	struct buf pem;
	int got, rc = -1;

	buf_init(&pem, SECRET_MAX);
	got = private ? secret_get(ref, c->credentials, &pem, e) :
			secret_get_public(ref, c->credentials, &pem, e);
	if (got == -1 && private && public_half(c, ref)) {
		only_public(e);
		goto out;
	}
	if (got == -1 || sign_key_parse(buf_str(&pem), pem.len, &key, e) == -1)
		goto out;
	if (private && !sign_key_is_private(key)) {
		only_public(e);
		goto out;
	}
	*ret = key;
	key = NULL;
	rc = 0;
out:
	if (rc == -1)
		err_in(e, "[keys] signing = %s", ref);
	sign_key_free(key);
	secret_done(&pem);
	return rc;
}

/* Has this host seen one? If not, `init` may be what comes next. */
static bool
knows_repository(const struct conf *c)
{
	char *pin = session_pin(c);
	bool there = access(pin, F_OK) == 0;

	free(pin);
	return there;
}

int
session_escrow(struct session *s, struct err *e)
{
	const char *ref = s->conf->escrow;

	if (!ref || s->escrow_pem.len > 0)
		return 0;
	if (secret_get_public(ref, s->conf->credentials, &s->escrow_pem, e) == -1) {
		err_in(e, "[keys] escrow = %s", ref);
		return err_line(e, "fix", "%sfrom the private half: openssl pkey -in PRIVATE.pem "
		    "-pubout -out PUBLIC.pem; or an empty `escrow =`, for none",
		    knows_repository(s->conf) ? "" : "`ffdr init` makes it for a new repository; else ");
	}
	return 0;
}

/*
 * Signers are added by signers, so without the key there is no way to write, whatever else opens.
 */
static int
no_signer(const struct conf *c, struct err *e)
{
	if (e->kind == ERR_CONFIG && !strstr(e->text, "\n  fix ")) {
		err_line(e, "fix", "bring the private signing key from the safe, or from a host that "
		    "has it");
		if (!knows_repository(c))
			err_line(e, "or", "`ffdr init` makes it, where there is no repository yet");
		err_line(e, "or", "where it is lost, the repository can be read and not be written: keep "
		    "it for restores, and `ffdr init` a new one on other directories");
	}
	return -1;
}

int
session_repo_options(struct session *s, enum session_need need, struct repo_options *o,
    char **pin_path, struct err *e)
{
	const struct conf *c = s->conf;
	struct sign_key *sign = NULL;
	struct err why = { 0 };
	bool pinned = false;
	int escrow;

	if (s->kek.secret.len == 0 && session_kek(c, c->kek, &s->kek, e) == -1)
		return -1;
	/*
	 * Only a new epoch needs it; who makes one has called session_escrow() and heard why not.
	 */
	escrow = session_escrow(s, NULL);
	if (session_signer(c, c->signing, need == SESSION_WRITE, &sign, &why) == -1 &&
	    need == SESSION_WRITE) {
		*e = why;
		return no_signer(c, e);
	}
	*pin_path = session_pin(c);
	if (need == SESSION_READ && repo_pin_read(*pin_path, &why) == -1)
		session_state_lost(s, &why);
	else
		pinned = state_opens(c);
	*o = (struct repo_options){
		.horizon_ms = c->horizon,
		.pack_size = c->pack_size,
		.kek = &s->kek,
		.escrow_pem = s->escrow_pem.len > 0 ? buf_str(&s->escrow_pem) : NULL,
		.escrow_unread = escrow == -1,
		.sign = sign,
		.pin_path = pinned ? *pin_path : NULL,
		.past = s->as_of_ns != 0,
	};
	return 0;
}

/* Nobody answers: each tier's reason on a line of its own. conf/ sees that there is a tier. */
static int
all_away(const struct session *s, struct err *e)
{
	const bool past = s->as_of_ns != 0, one = s->tiers.count == 1 || s->only;
	const struct tier *t = s->only ? tier_find(&s->tiers, s->only) : s->tiers.tier;

	err_set(e, t->why.kind, "%s %s", one ? "the tier" : "no tier",
	    !past ? (one ? "cannot be reached" : "can be reached") :
	    one ? "cannot be looked at as it was" : "can be looked at as it was");
	for (size_t i = 0; i < s->tiers.count; i++)
		if (!session_unasked(s, &s->tiers.tier[i]))
			err_line(e, s->tiers.tier[i].name, "%s", s->tiers.tier[i].why.text);
	return -1;
}

static void
nothing_then(const struct session *s, struct err *e)
{
	char when[UNITS_TEXT];

	err_set(e, ERR_NOTFOUND, "no tier held a repository at %s", units_time_exact(s->as_of_ns, when));
	for (size_t i = 0; i < s->tiers.count; i++)
		if (!s->tiers.tier[i].store)
			err_line(e, s->tiers.tier[i].name, "%.*s",
			    (int)strcspn(s->tiers.tier[i].why.text, "\n"), s->tiers.tier[i].why.text);
	err_line(e, "fix", "--as-of with a later time: before the damage, and after `ffdr init`");
}

int
session_open_repo(struct session *s, enum session_need need, struct err *e)
{
	struct repo_options o = { 0 };
	char *pin = NULL;
	int rc = -1;

	if (session_repo_options(s, need, &o, &pin, e) == -1) {
		if (e->kind == ERR_CONFIG && !strstr(e->text, "\n  fix "))
			err_line(e, "fix", "for a new repository `ffdr init` makes it; else bring it "
					   "from another host or the safe");
		goto out;
	}
	rc = repo_open(&s->tiers, &o, &s->repo, e);
	if (rc == 0) {
		s->repo->clock_path = session_clock(s->conf);
	} else {
		sign_key_free(o.sign);
		/*
		 * A name nobody typed is not there: the installation, not the command line, is
		 * wrong.
		 */
		if (e->kind == ERR_NOTFOUND && s->as_of_ns != 0)
			nothing_then(s, e);
		else if (e->kind == ERR_NOTFOUND)
			e->kind = ERR_CONFIG;
	}
out:
	free(pin);
	return rc;
}

int
session_only_ours(struct session *s, struct err *e)
{
	struct sign_key *sign = NULL;
	char *pin = session_pin(s->conf);
	int rc;

	session_signer(s->conf, s->conf->signing, false, &sign, NULL);
	rc = repo_ours_look(&s->tiers, pin, sign, e);
	sign_key_free(sign);
	free(pin);
	return rc;
}

/*
 * What is kept in `state` saves work and is a second line of defence, so it may be lost. But one
 * that may not even be looked at is somebody else's, and then so is the writing.
 */
static int
open_state(struct session *s, enum session_need need, struct err *e)
{
	if (session_state(s->conf, &s->state) == 0 || need != SESSION_WRITE)
		return 0;
	if (state_opens(s->conf) || errno != EACCES)
		return 0;
	*e = s->state;
	return -1;
}

/* All as they were, and perhaps one more, as it is. */
static int
look_back(struct session *s, const char *now, struct err *e)
{
	const struct conf_tier *t = now ? conf_find_tier(s->conf, now) : NULL;
	struct tier *unknown;

	if (now && !t)
		return session_tier(s, now, &unknown, e);
	for (size_t i = 0; i < s->tiers.count; i++)
		s->tiers.tier[i].options.as_of_ns = s->as_of_ns;
	if (t)
		s->now = tiers_add(s->conf, t, &s->tiers);
	return 0;
}

int
session_open_past(const struct conf *c, int64_t as_of_ns, const char *now, enum session_need need,
    struct session *ret, struct err *e)
{
	return session_open_only(c, as_of_ns, now, NULL, need, ret, e);
}

int
session_open_only(const struct conf *c, int64_t as_of_ns, const char *now, const char *only,
    enum session_need need, struct session *ret, struct err *e)
{
	struct tier *unknown;
	size_t open;

	*ret = (struct session){ .conf = c, .as_of_ns = as_of_ns, .only = only };
	buf_init(&ret->escrow_pem, SECRET_MAX);
	if (ground_tiers(c, e) == -1)
		return -1;
	tiers_make(c, &ret->tiers);
	if ((as_of_ns != 0 && look_back(ret, now, e) == -1) ||
	    (only && !conf_find_tier(c, only) && session_tier(ret, only, &unknown, e) == -1)) {
		session_done(ret);
		return -1;
	}
	tiers_only(only, &ret->tiers);
	tiers_near(c, NULL, NULL, &ret->tiers);
	open = tier_open_all(&ret->tiers) - (ret->now && ret->now->store ? 1 : 0);
	if (need != SESSION_NEW && as_of_ns == 0)
		open -= session_empty_bar(ret);
	if (need == SESSION_NEW || need == SESSION_TIERS)
		return 0;
	if (open == 0)
		all_away(ret, e);
	else if (open_state(ret, need, e) == 0 && session_open_repo(ret, need, e) == 0)
		return 0;
	session_done(ret);
	return -1;
}

int
session_open(const struct conf *c, enum session_need need, struct session *ret, struct err *e)
{
	return session_open_past(c, 0, NULL, need, ret, e);
}

bool
session_left_out(const struct session *s, const struct tier *t)
{
	return s->as_of_ns != 0 && t != s->now && !t->store && t->why.kind == ERR_UNSUPPORTED;
}

void
session_hurry_when(struct session *s, bool (*stop)(void *arg), void *arg)
{
	for (size_t i = 0; i < s->tiers.count; i++)
		if (s->tiers.tier[i].store)
			store_hurry_when(s->tiers.tier[i].store, stop, arg);
}

bool
session_unasked(const struct session *s, const struct tier *t)
{
	return s->only && strcmp(s->only, t->name) != 0;
}

void
session_done(struct session *s)
{
	repo_free(s->repo);
	s->repo = NULL;
	tiers_free(&s->tiers);
	kek_done(&s->kek);
	buf_done(&s->escrow_pem);
}

/* It answers, but it is not for us to use. */
static const char *
how_away(const struct tier *t)
{
	return tier_answers(t) || t->why.kind == ERR_REFUSED || t->why.kind == ERR_UNSUPPORTED ?
	    "cannot be used" : "cannot be reached";
}

static void
tell_tiers(const struct session *s, struct err *e)
{
	struct buf known;

	buf_init(&known, 1u << 16);
	for (size_t i = 0; i < s->tiers.count; i++)
		buf_addf(&known, "%s%s", i > 0 ? ", " : "", s->tiers.tier[i].name);
	err_line(e, "possible", "%s", buf_str(&known));
	buf_done(&known);
}

int
session_tier(struct session *s, const char *name, struct tier **ret, struct err *e)
{
	struct tier *t = s->now && strcmp(s->now->name, name) == 0 ? s->now : tier_find(&s->tiers, name);
	const char **names, *near;

	if (t && t->store) {
		*ret = t;
		return 0;
	}
	if (t) {
		*e = t->why;
		return err_in(e, "tier '%s' %s", name, how_away(t));
	}
	names = xcalloc(s->tiers.count + 1, sizeof(*names));
	for (size_t i = 0; i < s->tiers.count; i++)
		names[i] = s->tiers.tier[i].name;
	near = text_nearest(name, names);
	if (near)
		err_set(e, ERR_USAGE, "there is no tier '%s', did you mean '%s'?", name, near);
	else
		err_set(e, ERR_USAGE, "there is no tier '%s' in the configuration", name);
	if (!near)
		tell_tiers(s, e);
	free(names);
	return -1;
}

size_t
session_source_tiers(struct session *s, const char *source, struct tier **ret, size_t cap)
{
	const struct conf_tier **found = xcalloc(cap, sizeof(*found));
	const struct conf_source *from = NULL;
	struct err none = { 0 };
	size_t n = 0, count;

	if (conf_find_source(s->conf, source, &from, &none) == 0) {
		count = conf_source_tiers(s->conf, from->tiers, found, cap);
		for (size_t i = 0; i < count && n < cap; i++)
			ret[n++] = tier_find(&s->tiers, found[i]->name);
	} else {
		for (size_t i = 0; i < s->tiers.count && n < cap; i++)
			ret[n++] = &s->tiers.tier[i];
	}
	free(found);
	return n;
}

void
session_warn_state(const struct session *s, void (*warn)(void *arg, const char *text), void *arg)
{
	if (s->state.kind != ERR_NONE)
		warn(arg, s->state.text);
}

void
session_warn_away(const struct session *s, void (*warn)(void *arg, const char *text), void *arg)
{
	session_warn_state(s, warn, arg);
	for (size_t i = 0; i < s->tiers.count; i++) {
		const struct tier *t = &s->tiers.tier[i];
		char *text;

		if (t->store || session_left_out(s, t) || session_unasked(s, t))
			continue;
		text = xasprintf("tier '%s' %s: %s", t->name, how_away(t), t->why.text);
		warn(arg, text);
		free(text);
	}
}
