/*
 * The newest record of a snapshot counts, and newest means by the time in its name, which has whole
 * seconds. So a record is dated after every other one of its source on the tiers: a release in the
 * same second as the hold, or on a host whose clock is behind, must still be the later word.
 */
#include "job/hold.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/pick.h"
#include "repo/record.h"

#define HOLD_KIND "hold"
#define HOLD_TEXT 4096
#define HOLD_WHY 1000 /* a sentence, not a document */

static int
seen_record(void *arg, const struct store_entry *entry, struct err *e)
{
	int64_t *newest = arg;
	struct layout_snap part;

	(void)e;
	/* Names that are none of ours are the listing's and the check's business, not a hold's. */
	if (layout_snap_parse(entry->name, &part) == 0 && part.time_ns > *newest)
		*newest = part.time_ns;
	return 0;
}

/* A time after every hold record of the source on any tier that answers. */
static int
record_time(struct session *s, const char *source, int64_t *ret, struct err *e)
{
	char *prefix = xasprintf("rec/" HOLD_KIND "/%s/", source);
	int64_t newest = 0, now = clock_real_ns();
	int rc = 0;

	for (size_t i = 0; i < s->tiers.count && rc == 0; i++) {
		if (s->tiers.tier[i].store)
			rc = store_list(s->tiers.tier[i].store, prefix, NULL, seen_record, &newest,
			    e);
	}
	*ret = now > newest + CLOCK_S ? now : newest + CLOCK_S;
	free(prefix);
	return rc;
}

/* One line of text whatever was typed. */
static void
add_line(struct buf *text, const char *key, const char *value)
{
	buf_addf(text, "%s ", key);
	for (; *value; value++)
		buf_addc(text, (unsigned char)*value < ' ' ? ' ' : *value);
	buf_addc(text, '\n');
}

static void
compose(const struct hold_options *o, const char *id, struct buf *text)
{
	const struct passwd *user = getpwuid(getuid());
	char host[256] = "";
	char *by;

	gethostname(host, sizeof(host) - 1);
	by = user ? xasprintf("%s@%s", user->pw_name, host) :
		    xasprintf("uid %ld@%s", (long)getuid(), host);
	add_line(text, "snapshot", id);
	add_line(text, "state", o->release ? "off" : "on");
	add_line(text, "by", by);
	if (o->why)
		add_line(text, "why", o->why);
	free(by);
}

/* Tells one tier; a failure is a warning as long as another tier was told. */
static void
tell(struct session *s, struct tier *t, const char *source, int64_t time_ns, const struct buf *text,
    const struct watch *w, struct hold_report *ret, struct err *why)
{
	char name[LAYOUT_NAME], *warning;

	if (!t->store)
		*why = t->why;
	if (t->store &&
	    record_put(s->repo, t->store, HOLD_KIND, source, time_ns, text, name, why) == 0) {
		ret->tiers++;
		return;
	}
	ret->away++;
	warning = xasprintf("tier '%s' does not know of this yet, run the command again when it is "
			    "back: %s", t->name, why->text);
	w->event(w->arg, "warning", warning);
	free(warning);
}

int
hold_run(struct session *s, const struct hold_options *o, const struct watch *w,
    struct hold_report *ret, struct err *e)
{
	const struct pick_options pick = { .text = o->snapshot, .partial = true };
	char name[LAYOUT_NAME];
	struct layout_snap part;
	struct err why = { 0 };
	struct tier *tier;
	struct buf text;
	int64_t time_ns;
	int rc = -1;

	*ret = (struct hold_report){ 0 };
	buf_init(&text, HOLD_TEXT);
	if (o->why && strlen(o->why) > HOLD_WHY) {
		err_set(e, ERR_USAGE, "--why is longer than %d bytes", HOLD_WHY);
		goto out;
	}
	if (pick_snapshot(s, &pick, name, &tier, e) == -1)
		goto out;
	if (layout_snap_parse(name, &part) == -1) {
		err_set(e, ERR_BUG, "'%s' is no name of a snapshot", name);
		goto out;
	}
	if (record_time(s, part.source, &time_ns, e) == -1)
		goto out;
	memcpy(ret->id, part.id, sizeof(ret->id));
	compose(o, part.id, &text);
	for (size_t i = 0; i < s->tiers.count; i++)
		tell(s, &s->tiers.tier[i], part.source, time_ns, &text, w, ret, &why);
	if (ret->tiers == 0) {
		*e = why;
		err_in(e, "no tier could be told");
		goto out;
	}
	rc = 0;
out:
	buf_done(&text);
	return rc;
}
