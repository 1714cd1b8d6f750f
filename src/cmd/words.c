/*
 * People name sources by their short or full name, or say `all`; the same everywhere, so it is read
 * here once. A source that is no longer configured, or is another host's, still has snapshots: what
 * only reads takes its full name; what captures needs it in the configuration.
 */
#include "cmd/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"
#include "cmd/output.h"
#include "job/inventory.h"
#include "job/pick.h"

int
words_configured(const struct conf *c, int argc, char **argv, const struct conf_source ***ret,
    size_t *count, struct err *e)
{
	const struct conf_source **list;
	bool all = argc == 1 && strcmp(argv[0], "all") == 0;

	*count = 0;
	for (int i = 0; i < argc && argc > 1; i++)
		if (strcmp(argv[i], "all") == 0)
			return err_set(e, ERR_USAGE, "'all' stands alone: it is every source already");
	if (c->sources == 0)
		return err_set(e, ERR_CONFIG, "no source is configured, expected a section "
					      "[volume NAME] or [postgres NAME] in %s", c->file);
	list = xcalloc(c->sources + (size_t)argc, sizeof(*list));
	for (size_t i = 0; all && i < c->sources; i++)
		list[(*count)++] = &c->source[i];
	for (int i = 0; !all && i < argc; i++) {
		bool twice = false;

		if (conf_find_source(c, argv[i], &list[*count], e) == -1) {
			free(list);
			return -1;
		}
		for (size_t j = 0; j < *count; j++)
			twice = twice || list[j] == list[*count];
		*count += !twice;
	}
	*ret = list;
	return 0;
}

int
words_sources(struct session *s, int argc, char **argv, struct words *ret, struct err *e)
{
	memset(ret, 0, sizeof(*ret));
	for (int i = 0; i < argc && argc > 1; i++)
		if (strcmp(argv[i], "all") == 0)
			return err_set(e, ERR_USAGE, "'all' stands alone: it is every source already");
	if (argc == 0 || (argc == 1 && strcmp(argv[0], "all") == 0))
		return 0;
	ret->name = xcalloc((size_t)argc, sizeof(*ret->name));
	ret->item = xcalloc((size_t)argc, sizeof(*ret->item));
	for (int i = 0; i < argc; i++) {
		if (pick_source(s, argv[i], ret->name[i], e) == -1 ||
		    pick_known(s, ret->name[i], NULL, e) == -1) {
			words_done(ret);
			return -1;
		}
		ret->item[ret->count++] = ret->name[i];
	}
	return 0;
}

void
words_done(struct words *n)
{
	free(n->name);
	free(n->item);
	memset(n, 0, sizeof(*n));
}

int
words_open(const struct conf *c, struct session *ret, struct err *e)
{
	int rc = session_open(c, SESSION_READ, ret, e);

	if (rc == -1 && e->kind == ERR_REMOTE) {
		err_clear(e);
		rc = session_open(c, SESSION_TIERS, ret, e);
	}
	return rc;
}

static int
parse_as_of(const char *text, int64_t *ret, struct err *e)
{
	char now[UNITS_TEXT];

	if (units_parse_until(text, ret, e) == -1)
		return err_in(e, "--as-of");
	if (*ret <= clock_real_ns())
		return 0;
	err_set(e, ERR_USAGE, "--as-of %s is yet to come: it is %s", text,
	    units_time(clock_real_ns(), now));
	return err_line(e, "fix", "a time before the damage; without --as-of the tiers are shown as "
	    "they are");
}

/* A tier that never keeps what it had is nothing to be warned of. */
static void
tell_past(const struct session *s)
{
	struct buf seen, left;
	char when[UNITS_TEXT];

	buf_init(&seen, 1u << 16);
	buf_init(&left, 1u << 16);
	for (size_t i = 0; i < s->tiers.count; i++) {
		const struct tier *t = &s->tiers.tier[i];
		struct buf *to = session_left_out(s, t) ? &left : &seen;

		if (t != s->now && (t->store || to == &left))
			buf_addf(to, "%s%s", to->len > 0 ? ", " : "", t->name);
	}
	output_note("as of %s: %s%s%s%s", units_time_exact(s->as_of_ns, when),
	    seen.len > 0 ? buf_str(&seen) : "no tier",
	    left.len > 0 ? "; left out, because no older state is kept there: " : "", buf_str(&left),
	    s->now ? "; to be written as it is now" : "");
	buf_done(&seen);
	buf_done(&left);
}

static int
open_session(const struct conf *c, const char *as_of, const char *now, const char *only,
    enum session_need need, struct session *ret, struct err *e)
{
	int64_t as_of_ns = 0;

	if ((as_of && parse_as_of(as_of, &as_of_ns, e) == -1) ||
	    session_open_only(c, as_of_ns, as_of ? now : NULL, only, need, ret, e) == -1)
		return -1;
	if (as_of)
		tell_past(ret);
	return 0;
}

int
words_open_past(const struct conf *c, const char *as_of, const char *now, enum session_need need,
    struct session *ret, struct err *e)
{
	return open_session(c, as_of, now, NULL, need, ret, e);
}

int
words_open_only(const struct conf *c, const char *as_of, const char *only, enum session_need need,
    struct session *ret, struct err *e)
{
	return open_session(c, as_of, NULL, only, need, ret, e);
}

const char *
words_others(unsigned fallbacks, char out[WORDS_OTHERS])
{
	char n[UNITS_TEXT];

	out[0] = '\0';
	if (fallbacks > 0)
		snprintf(out, WORDS_OTHERS, " and, for %s, other tiers",
		    units_count(fallbacks, "object", n));
	return out;
}

const char *
words_amount_waited(uint64_t bytes, int64_t took_ns, int64_t waited_ns, char out[WORDS_AMOUNT])
{
	char a[UNITS_TEXT], b[UNITS_TEXT], c[UNITS_TEXT], d[UNITS_TEXT], wait[UNITS_TEXT + 40] = "";
	const int64_t moved_ns = took_ns - waited_ns;
	double rate = moved_ns > 0 ? (double)bytes * 1e9 / (double)moved_ns : 0;

	if (waited_ns > 0)
		snprintf(wait, sizeof(wait), ", %s of it waiting for an archive",
		    units_duration(waited_ns / CLOCK_MS, d));
	snprintf(out, WORDS_AMOUNT, "%s in %s%s (%s/s)", units_size(bytes, a),
	    units_duration(took_ns / CLOCK_MS, b), wait, units_size((uint64_t)rate, c));
	return out;
}

const char *
words_amount(uint64_t bytes, int64_t took_ns, char out[WORDS_AMOUNT])
{
	return words_amount_waited(bytes, took_ns, 0, out);
}

json_t *
words_tiers_json(const struct session *s, uint64_t on)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->tiers.count && i < INVENTORY_TIERS; i++) {
		if (on >> i & 1)
			json_array_append_new(list, json_string(s->tiers.tier[i].name));
	}
	return list;
}

static void
warn(void *arg, const char *text)
{
	unsigned *count = arg;

	output_warn("%s", text);
	(*count)++;
}

unsigned
words_warn_away(const struct session *s)
{
	unsigned count = 0;

	session_warn_away(s, warn, &count);
	return count;
}

void
words_warn_state(const struct session *s)
{
	unsigned count = 0;

	session_warn_state(s, warn, &count);
}

json_t *
words_json(const char *bytes, size_t n)
{
	struct buf escaped;
	json_t *text = text_utf8_valid(bytes, n) ? json_stringn(bytes, n) : NULL;

	if (text)
		return text;
	buf_init(&escaped, 4 * n + 3);
	text_escape(bytes, n, &escaped);
	text = json_string(buf_str(&escaped));
	buf_done(&escaped);
	return text;
}

json_t *
words_json_time(int64_t ns)
{
	char text[UNITS_TEXT];

	return ns == 0 ? json_null() : json_string(units_time(ns, text));
}

json_t *
words_json_error(const struct err *e)
{
	if (e->kind == ERR_NONE)
		return json_null();
	return json_pack("{s:s, s:o}", "kind", err_word(e->kind), "message",
	    words_json(e->text, strlen(e->text)));
}

bool
words_is_snapshot(const char *word)
{
	return strchr(word, '/') || strcmp(word, "latest") == 0 ||
	    (word[0] >= '0' && word[0] <= '9' && strchr(word, 'T'));
}
