/*
 * repo/0 is read from every tier, because that is where two repositories under one configuration
 * show; the later ones from whichever tier has a good copy. A number that verifies nowhere ends
 * the chain instead of the run: anybody who may write to a bucket could otherwise stop every
 * backup by putting rubbish under a high number. Whether the end is too early is for the pin and
 * for our own key to say, and then the reason is told. A newer format is another matter: what is
 * meant for a newer program must not be guessed at; and neither may a tier's silence shorten the
 * chain.
 */
#include "repo/repo_chain.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

void
repo_chain_done(struct repo_chain *c)
{
	for (size_t i = 0; i < c->count; i++)
		identity_done(&c->item[i]);
	free(c->item);
	*c = (struct repo_chain){ 0 };
}

void
repo_chain_add(struct repo_chain *c, struct identity *it)
{
	c->item = xreallocarray(c->item, c->count + 1, sizeof(*c->item));
	c->item[c->count++] = *it;
	*it = (struct identity){ 0 };
}

const struct identity *
repo_chain_last(const struct repo_chain *c)
{
	return c->count == 0 ? NULL : &c->item[c->count - 1];
}

/* Of repo/0 several ask, one after the other. */
static int
get_text(const struct repo_scan_tier *t, unsigned n, const char *name, struct buf *out, struct err *e)
{
	if (n > 0 || t->first->len == 0)
		return store_get(t->tier->store, name, out, e);
	buf_add(out, t->first->data, t->first->len);
	return 0;
}

int
repo_chain_read(const struct repo_scan_tier *t, unsigned n, const struct identity *before,
    struct identity *ret, struct err *e)
{
	struct identity it = { 0 };
	char name[LAYOUT_NAME];
	struct buf text;
	int rc = -1;

	buf_init(&text, IDENTITY_TEXT_MAX);
	layout_repo(n, name);
	if (get_text(t, n, name, &text, e) == 0 && identity_parse(&text, &it, e) == 0 &&
	    identity_check(&it, before, e) == 0) {
		if (n == 0 && t->first->len == 0)
			buf_add(t->first, text.data, text.len);
		*ret = it;
		it = (struct identity){ 0 };
		rc = 0;
	}
	if (rc == -1)
		err_in(e, "%s: '%s'", t->tier->name, name);
	identity_done(&it);
	buf_done(&text);
	return rc;
}

/* Both copies are sound; are they of one repository? */
static int
compare_first(const struct repo_scan_tier *a, const struct identity *ia,
    const struct repo_scan_tier *b, const struct identity *ib, struct err *e)
{
	char id_a[TEXT_HEX(LAYOUT_REPO_ID)], id_b[TEXT_HEX(LAYOUT_REPO_ID)];

	if (memcmp(ia->sha, ib->sha, DIGEST_LEN) == 0)
		return 0;
	text_hex(ia->repo_id, LAYOUT_REPO_ID, id_a);
	text_hex(ib->repo_id, LAYOUT_REPO_ID, id_b);
	err_set(e, ERR_REFUSED, "tiers '%s' and '%s' hold two different repositories",
	    a->tier->name, b->tier->name);
	err_line(e, a->tier->name, "%s", id_a);
	err_line(e, b->tier->name, "%s", id_b);
	return err_line(e, "fix", "all tiers of a configuration hold one repository: give one of "
	    "them a configuration of its own, or an empty place");
}

/* Every tier's repo/0: 0 when at least one is sound and no two differ. */
static int
load_first(const struct repo_scan *s, struct identity *ret, struct err *e)
{
	const struct repo_scan_tier *from = NULL;
	struct err bad = { 0 };

	for (size_t i = 0; i < s->count; i++) {
		const struct repo_scan_tier *t = &s->tier[i];
		struct identity it = { 0 };

		if (t->away || !t->holds || repo_chain_read(t, 0, NULL, &it, &bad) == -1)
			continue;
		if (from != NULL && compare_first(from, ret, t, &it, e) == -1) {
			identity_done(&it);
			identity_done(ret);
			return -1;
		}
		if (from != NULL) {
			identity_done(&it);
			continue;
		}
		*ret = it;
		from = t;
	}
	if (from != NULL)
		return 0;
	*e = bad;
	if (e->kind == ERR_NOTFOUND)
		e->kind = ERR_CORRUPT; /* later numbers are there, the beginning is not */
	return -1;
}

/*
 * Two hosts may add a signer at once, each on the tier that it asks first. Both are rightful, so all
 * hosts must choose the same one, whatever the order of their tiers.
 */
static bool
goes_before(const struct identity *a, const struct identity *b)
{
	if (a->created_ns != b->created_ns)
		return a->created_ns < b->created_ns;
	return memcmp(a->sha, b->sha, DIGEST_LEN) < 0;
}

bool
repo_chain_rival(const struct repo_chain *c, unsigned n, const struct buf *text)
{
	struct identity it = { 0 };
	bool is = n > 0 && n < c->count && identity_parse(text, &it, NULL) == 0 &&
	    identity_check(&it, &c->item[n - 1], NULL) == 0 &&
	    memcmp(it.sha, c->item[n].sha, DIGEST_LEN) != 0;

	identity_done(&it);
	return is;
}

/* The good copy of the next one that counts; e: what is wrong with the best of the others. */
static int
load_next(const struct repo_scan *s, const struct identity *before, struct identity *ret,
    struct err *e)
{
	struct identity it = { 0 };
	char name[LAYOUT_NAME];
	bool found = false;

	layout_repo(before->number + 1, name);
	err_set(e, ERR_CORRUPT, "'%s' is missing, though higher ones are there", name);
	for (size_t i = 0; i < s->count; i++) {
		struct err why = { 0 };

		if (!repo_scan_has(&s->tier[i], name))
			continue;
		if (repo_chain_read(&s->tier[i], before->number + 1, before, &it, &why) == 0) {
			if (!found || goes_before(&it, ret)) {
				identity_done(ret);
				*ret = it;
				it = (struct identity){ 0 };
			}
			identity_done(&it);
			found = true;
		} else if (e->kind == ERR_CORRUPT) {
			/* Damage is final; any other answer may hide a good copy. */
			*e = why;
		}
	}
	if (found)
		err_clear(e);
	return found ? 0 : -1;
}

int
repo_chain_load(const struct repo_scan *s, struct repo_chain *ret, struct err *e)
{
	struct repo_chain c = { 0 };
	struct identity it = { 0 };

	if (s->holding == 0)
		return err_set(e, ERR_NOTFOUND, "no tier holds a repository");
	if (load_first(s, &it, e) == -1)
		return -1;
	do {
		repo_chain_add(&c, &it);
	} while (c.item[c.count - 1].number < s->highest &&
	    load_next(s, &c.item[c.count - 1], &it, &c.broken) == 0);
	if (c.broken.kind != ERR_NONE && c.broken.kind != ERR_CORRUPT) {
		*e = c.broken;
		repo_chain_done(&c);
		return -1;
	}
	*ret = c;
	return 0;
}
