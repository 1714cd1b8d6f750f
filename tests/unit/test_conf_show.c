/* The configuration shown again, and the table that explains it. */
#include "tests/lib/vector.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "tests/lib/confkit.h"
#include "conf/conf_keys.h"
#include "conf/conf_show.h"
#include "conf/conf_value.h"

#define NAME CONFKIT_NAME
#define TIER CONFKIT_TIER
#define HOUR CONFKIT_HOUR

static void
what_is_shown_can_be_read_again(void **state)
{
	struct buf first, second;

	(void)state;
	buf_init(&first, 100000);
	buf_init(&second, 100000);
	assert_int_equal(confkit_parse("[keys]\nkek = passphrase:command:pass show ffdr\nescrow =\n" TIER
			       "keep = 10d\nrpo = 90m\n[volume v]\npath = /v\nkeep = forever\n"
			       "exclude = a b, [x]*\n[postgres p]\nconninfo = host=p user='a b'\n"
			       "wal =\ncheck-sql = SELECT a, b FROM t\nkeep = 1y\n"
			       "[postgres q]\nconninfo = service=q\n[coordination]\nttl = 1m\n"),
	    0);
	conf_show_text(confkit.c, &first);
	assert_non_null(strstr(buf_str(&first), "\nkek = passphrase:command:pass show ffdr "));
	assert_non_null(strstr(buf_str(&first), "; " NAME ":2\n"));
	assert_non_null(strstr(buf_str(&first), "\nkeep = forever "));
	assert_non_null(strstr(buf_str(&first), "\nhorizon = 30d"));
	assert_non_null(strstr(buf_str(&first), "\n; rto is not set: no promise\n"));
	if (confkit_parse(buf_str(&first)) == -1)
		fail_msg("%s", confkit.e.text);
	assert_null(confkit.c->escrow);
	assert_int_equal(confkit.c->volume[0].keep, -1);
	assert_int_equal(confkit.c->tier[0].keep, 10 * 24 * HOUR);
	assert_string_equal(confkit.c->tier[0].takes, "hourly");
	assert_string_equal(confkit.c->volume[0].exclude, "a b, [x]*");
	assert_string_equal(confkit.c->postgres[0].conninfo, "host=p user='a b'");
	assert_null(confkit.c->postgres[0].wal);
	assert_string_equal(confkit.c->postgres[0].check_sql, "SELECT a, b FROM t");
	assert_string_equal(confkit.c->postgres[1].wal, "a");
	assert_int_equal(confkit.c->coord_ttl, 60000);
	/* Shown again it is the same but for the origins, which are now all in the shown text. */
	conf_show_text(confkit.c, &second);
	for (char *p = strstr((char *)first.data, " ; "); p; p = strstr(p, " ; "))
		memset(p, '#', strcspn(p, "\n"));
	for (char *p = strstr((char *)second.data, " ; "); p; p = strstr(p, " ; "))
		memset(p, '#', strcspn(p, "\n"));
	for (char *p = (char *)first.data, *q = (char *)second.data; *p || *q;) {
		assert_int_equal(*p, *q);
		p += *p == '#' ? strspn(p, "#") : 1;
		q += *q == '#' ? strspn(q, "#") : 1;
	}
	buf_done(&first);
	buf_done(&second);
}

static void
the_json_form_holds_every_key(void **state)
{
	json_t *all, *s, *k;
	size_t i, j, keys = 0, rows = 0;
	bool seen = false;

	(void)state;
	assert_int_equal(confkit_parse(TIER "keep = 10d\n[volume v]\npath = /v\n[postgres p]\n"
			       "conninfo = host=p\n"), 0);
	all = conf_show_json(confkit.c);
	assert_string_equal(json_string_value(json_object_get(all, "file")), NAME);
	json_array_foreach(json_object_get(all, "sections"), i, s)
		json_array_foreach(json_object_get(s, "keys"), j, k) {
			keys++;
			if (strcmp(json_string_value(json_object_get(k, "key")), "keep") == 0 &&
			    strcmp(json_string_value(json_object_get(s, "section")), "tier") == 0) {
				seen = true;
				assert_string_equal(json_string_value(json_object_get(s, "name")),
				    "a");
				assert_string_equal(json_string_value(json_object_get(k, "value")),
				    "10d");
				assert_string_equal(json_string_value(json_object_get(k, "origin")),
				    NAME ":3");
			}
		}
	for (const struct conf_key *row = conf_keys_table; row->section; row++)
		rows++;
	assert_true(seen);
	assert_int_equal(keys, rows);
	json_decref(all);
}

static void
the_table_explains_itself_and_its_defaults_are_valid(void **state)
{
	union {
		struct conf conf;
		struct conf_tier tier;
		struct conf_volume volume;
		struct conf_postgres postgres;
	} into;
	const struct conf_key *k, *other;
	char *low;

	(void)state;
	for (k = conf_keys_table; k->section; k++) {
		assert_non_null(conf_keys_section(k->section));
		assert_ptr_equal(conf_keys_find(k->section, k->key), k);
		assert_non_null(k->summary);
		assert_true(strlen(k->summary) > 10);
		assert_null(strchr(k->summary, '\n'));
		/* Exactly one story of what happens when the key is absent. */
		assert_int_equal(k->required + (k->value != NULL) + (k->otherwise != NULL), 1);
		assert_int_equal(k->type == CONF_CHOICE, k->choices != NULL);
		if (k->value)
			assert_int_equal(conf_value_store(k, &into, k->value, &confkit.e), 0);
		if (k->least && strcmp(k->least, "0") != 0)
			assert_int_equal(conf_value_store(k, &into, k->least, &confkit.e), 0);
		if (k->most) {
			assert_int_equal(conf_value_store(k, &into, k->most, &confkit.e), 0);
			low = xasprintf("9%s", k->most);
			assert_int_equal(conf_value_store(k, &into, low, &confkit.e), -1);
			free(low);
		}
		for (other = conf_keys_table; other != k; other++)
			assert_false(strcmp(other->section, k->section) == 0 &&
			    other->offset == k->offset);
	}
}

static void
what_is_no_reference_to_a_secret_is_not_shown(void **state)
{
	const struct conf c = { .kek = (char *)"hunter2", .signing = (char *)"hunter2" };
	unsigned secrets = 0;
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	for (const struct conf_key *k = conf_keys_table; k->section; k++) {
		if (strcmp(k->section, "keys") != 0 || !k->secret)
			continue;
		conf_value_print(k, &c, &out);
		secrets++;
	}
	assert_true(secrets >= 2);
	assert_non_null(strstr(buf_str(&out), "(hidden)"));
	assert_null(strstr(buf_str(&out), "hunter2"));
	buf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_teardown(f, confkit_end)
		T(what_is_shown_can_be_read_again),
		T(the_json_form_holds_every_key),
		T(what_is_no_reference_to_a_secret_is_not_shown),
		T(the_table_explains_itself_and_its_defaults_are_valid),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
