/*
 * People name sources by their short or full name, or say `all`; the same everywhere, so it is read
 * here once. A source that is no longer configured, or is another host's, still has snapshots: what
 * only reads takes its full name; what captures needs it in the configuration.
 */
#include "cmd/words.h"

#include <stdlib.h>
#include <string.h>

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
