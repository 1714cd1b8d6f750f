/*
 * A store that takes a condition and does not keep it is found out once, by init and by every check,
 * and remembered by each host, because asking costs three requests and every call that stores WAL would
 * pay them. What is remembered belongs to a place: behind another url or server it counts for nothing.
 */
#include "job/ability.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "filter/key.h"

#define ABILITY_DIR "abilities" /* in state/, a file a tier */
#define TEXT_MOST 4096

void
ability_place(char out[LAYOUT_NAME])
{
	uint8_t random[8];
	char hex[TEXT_HEX(sizeof(random))];

	key_random(random, sizeof(random));
	snprintf(out, LAYOUT_NAME, "check/%s", text_hex(random, sizeof(random), hex));
}

static char *
path_of(const struct conf *c, const char *tier)
{
	return xasprintf("%s/" ABILITY_DIR "/%s", c->state, tier);
}

/* The first line: whose abilities these are. */
static char *
whose(const char *url, const char *endpoint)
{
	return xasprintf("of %s %s\n", url, endpoint == NULL ? "-" : endpoint);
}

static void
add(struct buf *text, const char *name, const struct store_ability *a)
{
	static const char *const word[] = { "unknown", "no", "yes" };

	buf_addf(text, "%s %s%s%s\n", name, word[a->can], a->seen[0] != '\0' ? " " : "", a->seen);
}

static int
keep(const struct conf *c, const struct tier *t, const struct store_abilities *a)
{
	char *path = path_of(c, t->name), *first = whose(t->options.url, t->options.endpoint);
	struct buf text;
	int rc;

	buf_init(&text, TEXT_MOST);
	buf_adds(&text, first);
	add(&text, "exclusive", &a->exclusive);
	add(&text, "checks", &a->checks);
	add(&text, "versions", &a->versions);
	add(&text, "locks", &a->locks);
	add(&text, "class", &a->class);
	add(&text, "tidies", &a->tidies);
	rc = file_put(AT_FDCWD, path, text.data, text.len, 0640, FILE_REPLACE, NULL);
	buf_done(&text);
	free(first);
	free(path);
	return rc;
}

void
ability_tell(const struct tier_set *all, const struct tier *t, const struct watch *w)
{
	char *text;

	w->count(w->arg, "trying tiers", (uint64_t)(t - all->tier), all->count);
	if (!tier_dir(t->options.url)) {
		text = xasprintf("tier '%s': trying what %s can do%s", t->name, t->options.url,
		    t->options.lock != STORE_LOCK_NONE ? ", and a lock of some seconds" : "");
		w->event(w->arg, "looking", text);
		free(text);
	}
}

int
ability_try(const struct conf *c, struct tier *t, struct store_abilities *ret, bool *kept,
    struct err *e)
{
	char place[LAYOUT_NAME];

	ability_place(place);
	if (store_probe(t->store, place, ret, e) == -1)
		return -1;
	t->store->options.overwrites = t->options.overwrites = ret->exclusive.can == STORE_CANNOT;
	t->store->options.compares = t->options.compares = ret->checks.can == STORE_CAN;
	*kept = keep(c, t, ret) != -1;
	return 0;
}

static int
refuse(const struct tier *t, const char *what, const struct store_ability *a, const char *fix,
    struct err *e)
{
	err_set(e, ERR_UNSUPPORTED, "tier '%s' asks for %s, and the store cannot do it", t->name, what);
	if (a->seen[0] != '\0')
		err_line(e, "store", "%s", a->seen);
	return err_line(e, "fix", "%s", fix);
}

int
ability_refuse(const struct tier *t, const struct store_abilities *a, struct err *e)
{
	char class[120];

	if (t->options.lock != STORE_LOCK_NONE && a->locks.can != STORE_CAN)
		return refuse(t, "lock", &a->locks, "a bucket that was made with Object Lock, or no lock "
		    "for the tier", e);
	snprintf(class, sizeof(class), "class = %.100s", t->options.class ? t->options.class : "");
	if (t->options.class != NULL && a->class.can != STORE_CAN)
		return refuse(t, class, &a->class, "class = one that the store has, or none", e);
	return 0;
}

void
ability_recall(const struct conf *c, const struct conf_tier *t, struct store_options *o)
{
	char *path = path_of(c, t->name), *first = whose(t->url, t->endpoint);
	struct buf text;

	buf_init(&text, TEXT_MOST);
	if (file_get(AT_FDCWD, path, &text, NULL) == 0 &&
	    strncmp(buf_str(&text), first, strlen(first)) == 0) {
		o->overwrites = strstr(buf_str(&text), "\nexclusive no") != NULL;
		o->compares = strstr(buf_str(&text), "\nchecks yes") != NULL;
	}
	buf_done(&text);
	free(first);
	free(path);
}
