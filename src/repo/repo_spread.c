/*
 * The repository's own objects are a few kilobytes without which nothing else can be read, so
 * they are on every tier, and a tier is believed to have one only when it was read back from
 * there. What is brought from one tier to another is judged first: damage and forgeries stay
 * where they are.
 */
#include "repo/repo_spread.h"

#include <string.h>

#include "repo/repo_audit.h"
#include "repo/repo_scan.h"

int
repo_spread_put(struct tier *t, const char *name, const struct buf *text, struct err *e)
{
	struct buf back;
	int rc = store_put(t->store, name, text->data, text->len, STORE_NEW, e);

	buf_init(&back, IDENTITY_TEXT_MAX);
	if (rc != -1 && store_get(t->store, name, &back, e) == -1)
		rc = -1;
	if (rc != -1 && (back.len != text->len || memcmp(back.data, text->data, back.len) != 0))
		rc = err_set(e, ERR_EXISTS, "'%s' holds other bytes than were to be stored", name);
	if (rc == -1)
		err_in(e, "tier '%s'", t->name);
	buf_done(&back);
	return rc;
}

int
repo_spread_put_all(struct tier_set *tiers, const char *name, const struct buf *text, struct err *e)
{
	for (size_t i = 0; i < tiers->count; i++)
		if (repo_spread_put(&tiers->tier[i], name, text, e) == -1)
			return -1;
	return 0;
}

/* Brings one object. A name that no tier has a good copy of is left alone: 0. */
static int
bring(struct repo *r, struct tier *to, const char *name, struct err *e)
{
	struct err why = { 0 };
	struct buf text;
	int rc;

	buf_init(&text, IDENTITY_TEXT_MAX);
	if (tier_get(r->tiers, NULL, name, &text, repo_audit_judge, r, NULL, &why) == 0) {
		rc = repo_spread_put(to, name, &text, e);
	} else if (why.kind == ERR_CORRUPT || why.kind == ERR_KEY || why.kind == ERR_NOTFOUND) {
		rc = 0;
	} else {
		*e = why;
		rc = -1;
	}
	buf_done(&text);
	return rc;
}

/* Brings what the target lacks, either the repo/ or the key/ objects; 1 something, 0 nothing. */
static int
bring_all(struct repo *r, const struct repo_scan *s, const struct repo_scan_tier *target,
    bool repo, struct err *e)
{
	const char *name = NULL;
	int rc = 0, got;

	while ((name = repo_scan_next(s, name)) != NULL) {
		if ((strncmp(name, "repo/", strlen("repo/")) == 0) != repo ||
		    repo_scan_has(target, name))
			continue;
		got = bring(r, target->tier, name, e);
		if (got == -1)
			return -1;
		rc = got == 1 ? 1 : rc;
	}
	return rc;
}

int
repo_spread(struct repo *r, struct tier *to, struct err *e)
{
	const struct repo_scan_tier *target;
	struct repo_scan s;
	int rc = 0;

	if (to->store == NULL)
		return err_set(e, ERR_REMOTE, "tier '%s' is away: %s", to->name, to->why.text);
	repo_scan(r->tiers, &s);
	target = repo_scan_find(&s, to);
	if (target == NULL || target->away)
		rc = err_set(e, ERR_REMOTE, "tier '%s' cannot be listed: %s", to->name,
		    to->why.text);
	/* A tier is the repository's once it has repo/0, so those go first. */
	for (int pass = 0; pass < 2 && rc != -1; pass++) {
		int got = bring_all(r, &s, target, pass == 0, e);

		rc = got == 0 ? rc : got;
	}
	repo_scan_done(&s);
	return rc;
}
