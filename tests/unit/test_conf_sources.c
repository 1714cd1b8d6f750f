/* Sources of several kinds in the configuration, and what only PostgreSQL's have. */
#include "tests/lib/vector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "tests/lib/confkit.h"

#define NAME CONFKIT_NAME
#define TIER CONFKIT_TIER
#define HOUR CONFKIT_HOUR

static void
sources_of_all_kinds_stand_in_one_row(void **state)
{
	const struct conf_source *s = NULL;

	(void)state;
	assert_int_equal(confkit_parse(TIER "[postgres pay]\nconninfo = service=p\ndata = /d\nkeep "
					    "= 2y\n"
					    "[volume up]\npath=/u\nsite = x\n[postgres "
					    "up]\nconninfo = host=h\n"),
	    0);
	assert_int_equal(confkit.c->sources, 3);
	assert_string_equal(confkit.c->source[0].name, "vol.up");
	assert_string_equal(confkit.c->source[1].name, "pg.pay");
	assert_string_equal(confkit.c->source[2].name, "pg.up");
	assert_string_equal(confkit.c->source[0].path, "/u");
	assert_string_equal(confkit.c->source[0].site, "x");
	assert_string_equal(confkit.c->source[1].path, "/d");
	assert_string_equal(confkit.c->source[1].bare, "pay");
	assert_int_equal(confkit.c->source[1].keep, 730 * 24 * HOUR);
	assert_int_equal(confkit.c->source[1].kind, CONF_KIND_POSTGRES);
	assert_ptr_equal(confkit.c->source[1].postgres, &confkit.c->postgres[0]);
	assert_null(confkit.c->source[1].volume);
	assert_null(confkit.c->source[2].path);
	assert_int_equal(conf_find_source(confkit.c, "pay", &s, &confkit.e), 0);
	assert_ptr_equal(s, &confkit.c->source[1]);
	assert_int_equal(conf_find_source(confkit.c, "pg.up", &s, &confkit.e), 0);
	assert_ptr_equal(s, &confkit.c->source[2]);
	assert_int_equal(conf_find_source(confkit.c, "up", &s, &confkit.e), -1);
	assert_int_equal(confkit.e.kind, ERR_USAGE);
	assert_string_equal(confkit.e.text,
	    "'up' is the name of several sources, expected the whole name of "
	    "one\n  known     vol.up\n            pg.up");
	assert_int_equal(conf_find_source(confkit.c, "pg.pey", &s, &confkit.e), -1);
	assert_string_equal(confkit.e.text, "there is no source 'pg.pey', did you mean pg.pay?");
}

static void
a_server_needs_nothing_but_its_conninfo(void **state)
{
	const struct conf_postgres *p;
	const struct conf_tier *t[4];

	(void)state;
	assert_int_equal(confkit_parse(TIER "[tier b]\nurl=file:///b\n[postgres p]\nconninfo = "
					    "host=p\n"
					    "tiers = b, a\n"),
	    0);
	p = &confkit.c->postgres[0];
	assert_string_equal(p->method, "auto");
	assert_null(p->data);
	assert_string_equal(p->wal, "b, a");
	assert_string_equal(p->wal_from, "stream");
	assert_int_equal(p->ship_every, 30000);
	assert_string_equal(p->slot, "ffdr_%H");
	assert_int_equal(p->backlog, INT64_C(50) << 30);
	assert_string_equal(p->backlog_full, "hold");
	assert_int_equal(p->push_ack, 1);
	assert_int_equal(p->readers, 2);
	assert_int_equal(p->rate, 0);
	assert_string_equal(p->checkpoint, "fast");
	assert_null(p->check_sql);
	assert_string_equal(p->site, "default");
	assert_int_equal(p->keep, 0);
	assert_string_equal(confkit.c->coord_place, "file:/var/lib/ffdr/coord");
	assert_int_equal(confkit.c->coord_ttl, 30000);
	assert_int_equal(confkit.c->coord_renew, 10000);
	assert_int_equal(confkit.c->coord_skew, 5000);
	assert_string_equal(confkit.c->run_as, "ffdr-verify");
	assert_null(conf_postgres_bin(confkit.c, 15));
	assert_int_equal(conf_wal_tiers(confkit.c, p, t, 4), 2);
	assert_ptr_equal(t[0], &confkit.c->tier[1]);
	assert_true(conf_wal_goes_to(confkit.c, p, &confkit.c->tier[0]));
	assert_int_equal(confkit_parse(TIER "[postgres p]\nconninfo = host=p\nwal =\n[ffdr]\n"
			       "postgres.14 = /e\npostgres.18 = /f\n"), 0);
	assert_int_equal(conf_wal_tiers(confkit.c, &confkit.c->postgres[0], t, 4), 0);
	assert_false(conf_wal_goes_to(confkit.c, &confkit.c->postgres[0], &confkit.c->tier[0]));
	assert_string_equal(conf_postgres_bin(confkit.c, 14), "/e");
	assert_string_equal(conf_postgres_bin(confkit.c, 18), "/f");
	assert_null(conf_postgres_bin(confkit.c, 13));
	assert_null(conf_postgres_bin(confkit.c, 19));
}

#define PG TIER "[postgres p]\n"

static void
what_a_server_cannot_mean_is_refused(void **state)
{
	static const char *const row[][2] = {
		{ PG,
		    ":3: [postgres p] conninfo: is missing, expected KEY=VALUE ... or "
		    "postgresql://, without a password" },
		{ PG "conninfo = host=p\nwal = b\n", ":5: [postgres p] wal: there is no [tier b]; the "
		    "section of one that is away or lost may stay" },
		{ PG "conninfo = host=p\nwal = ,\n",
		    ":5: [postgres p] wal: has no value, expected at least one tier" },
		{ PG "conninfo = host=p\ntiers = a, a\n",
		    ":5: [postgres p] tiers: 'a' is named twice" },
		{ PG "conninfo = host=p\nship-evry = 1s\n",
		    ":5: [postgres p] ship-evry: unknown key, did you mean ship-every?" },
		{ PG "conninfo = host=p\nship-every = 900ms\n",
		    ":5: [postgres p] ship-every: '900ms' is not right, expected a duration such "
		    "as 30s, "
		    "4h or 7d, at least 1s" },
		{ PG "conninfo = host=p\nmethod = locl\n",
		    ":5: [postgres p] method: 'locl' is not one of auto, stream, local, did you "
		    "mean "
		    "local?" },
		{ PG "conninfo = host=p\npush-ack = 2\n",
		    ":5: [postgres p] push-ack: 2 tiers can never have it, wal names 1" },
		{ PG "conninfo = host=p\nreplication-slot = ffdr-%H\n",
		    ":5: [postgres p] replication-slot: 'ffdr-%H' is not right, expected 1 to 63 "
		    "of a-z "
		    "0-9 _, and %H for the host" },
		{ PG "conninfo = host=p\nreplication-slot = %h\n",
		    ":5: [postgres p] replication-slot: '%h' is not right, expected 1 to 63 of a-z "
		    "0-9 _, and %H for the host" },
		{ PG "conninfo = host=p\nreplication-slot = ffdr_hold\n",
		    ":5: [postgres p] replication-slot: 'ffdr_hold' is kept for all hosts "
		    "together, "
		    "expected another name" },
		{ TIER "[coordination]\nplace = etcd:https://x\n",
		    ":4: [coordination] place: 'etcd' is not a kind of place known here, expected "
		    "file" },
		{ TIER "[coordination]\nplace = file:rel\n",
		    ":4: [coordination] place: 'file:rel' is not right, expected file:/DIR" },
		{ TIER "[coordination]\nttl = 10s\n",
		    ":4: [coordination] ttl: a lease that is renewed every 10s has ended after "
		    "10s, "
		    "expected renew below ttl" },
		{ TIER "[coordination]\nttl = x\n",
		    ":4: [coordination] ttl: 'x' is not right, expected a duration such as 30s, 4h "
		    "or 7d, "
		    "at least 3s, at most 1h" },
		{ TIER "[ffdr]\nrun-as = root\n",
		    ":4: [ffdr] run-as: PostgreSQL refuses to be run by root, expected another "
		    "user" },
		{ TIER "[ffdr]\npostgres.13 = /x\n",
		    ":4: [ffdr] postgres.13: unknown key, did you mean postgres.14?" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++)
		confkit_refused(row[i][0], row[i][1]);
}

static void
a_password_in_a_conninfo_is_refused_and_not_repeated(void **state)
{
	static const char *const bad[] = { "host=h password=hunter2", "password = hunter2",
		"user='a b'\tsslpassword='hunter2'", "x='\\'' password=hunter2 host=h",
		"postgresql://u:hunter2@h/d", "postgres://u:hunter/2@h",
		"postgres://u:hunter?2@h", "postgres://h?password=hunter2",
		"postgresql://u@h/d?a=b&sslpassword=hunter2" };
	static const char *const unread[] = { "host=h hunter2", "user='hunter2", "=hunter2" };
	static const char *const good[] = { "host=h", "passfile=/p service=x", "host = h port = 1",
		"application_name='password=x'", "application_name=a\\ password\\=x user=u",
		"options=''", "host= user=x", "postgresql://u@h:5432/d?passfile=%2Fp",
		"postgresql://[::1]:5432/d", "postgresql://u:@h", "postgresql://" };
	char *text;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		text = xasprintf(PG "conninfo = %s\n", bad[i]);
		assert_int_equal(confkit_parse(text), -1);
		assert_non_null(strstr(confkit.e.text,
		    "[postgres p] conninfo: holds a password (not shown), "
		    "expected it in ~/.pgpass, "));
		assert_null(strstr(confkit.e.text, "hunter"));
		free(text);
	}
	for (size_t i = 0; i < ARRAY_LEN(unread); i++) {
		text = xasprintf(PG "conninfo = %s\n", unread[i]);
		assert_int_equal(confkit_parse(text), -1);
		assert_non_null(strstr(confkit.e.text, "[postgres p] conninfo: cannot be read: "));
		assert_null(strstr(confkit.e.text, "hunter"));
		free(text);
	}
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		text = xasprintf(PG "conninfo = %s\n", good[i]);
		if (confkit_parse(text) == -1)
			fail_msg("%s: %s", good[i], confkit.e.text);
		assert_string_equal(confkit.c->postgres[0].conninfo, good[i]);
		free(text);
	}
	confkit_refused(PG "conninfo = host=h  user\n",
	    ":4: [postgres p] conninfo: cannot be read: a word without = at character 9, expected "
	    "KEY=VALUE ... or postgresql://");
}

static void
a_hosts_slot_is_made_of_its_name(void **state)
{
	struct conf_postgres p = { .slot = "ffdr_%H" };
	char slot[CONF_SLOT], host[80];

	(void)state;
	assert_int_equal(conf_postgres_slot(&p, "DB-1.Example.org", slot, &confkit.e), 0);
	assert_string_equal(slot, "ffdr_db_1_example_org");
	assert_int_equal(conf_postgres_slot(&p, "hold", slot, &confkit.e), -1);
	assert_int_equal(confkit.e.kind, ERR_CONFIG);
	memset(host, 'h', sizeof(host));
	host[58] = '\0';
	assert_int_equal(conf_postgres_slot(&p, host, slot, &confkit.e), 0);
	assert_int_equal(strlen(slot), 63);
	host[58] = 'h';
	host[59] = '\0';
	assert_int_equal(conf_postgres_slot(&p, host, slot, &confkit.e), -1);
	assert_non_null(strstr(confkit.e.text, "is too long on host 'hhh"));
	p.slot = "one";
	assert_int_equal(conf_postgres_slot(&p, host, slot, &confkit.e), 0);
	assert_string_equal(slot, "one");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_teardown(f, confkit_end)
		T(sources_of_all_kinds_stand_in_one_row),
		T(a_server_needs_nothing_but_its_conninfo),
		T(what_a_server_cannot_mean_is_refused),
		T(a_password_in_a_conninfo_is_refused_and_not_repeated),
		T(a_hosts_slot_is_made_of_its_name),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
