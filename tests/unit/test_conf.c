/* The configuration: what is read, what is refused, and where. */
#include "tests/lib/vector.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "tests/lib/confkit.h"
#include "tests/lib/scratch.h"

#define NAME CONFKIT_NAME
#define TIER CONFKIT_TIER
#define HOUR CONFKIT_HOUR

static void
a_whole_configuration_is_read(void **state)
{
	(void)state;
	assert_int_equal(confkit_parse("; a comment\n# another\n"
			       "[ffdr]\nsite = us-central1 ; here\nstate=/s\nscratch : /x\n"
			       "credentials = /c\n"
			       "[keys]\nkek = file:/k\nsigning = env:SIGN\nescrow =\n"
			       "[repository]\nhorizon = 2w\npack-size = 64m\nlevel = 9\n"
			       "workers = 2\n"
			       "[tier local]\r\nurl = file:///srv/ffdr\r\nkeep = 7d\r\nrpo = 4h\r\n"
			       "rto = 15m\r\nrate = 200m\r\nshared = yes\r\n"
			       "[ tier  far ]\nurl = file:///mnt/far\nsite = eu\ntakes = weekly\n"
			       "driver = fs\n"
			       "[volume uploads]\n\tpath = /srv/up\n  exclude = *.tmp, cache/\n"
			       "keep = forever\none-file-system = yes\nbefore = /h freeze\n"
			       "after = /h thaw\ncompare = stat\ntiers = far, local\nsite = eu"),
	    0);
	assert_string_equal(confkit.c->file, NAME);
	assert_string_equal(confkit.c->site, "us-central1");
	assert_string_equal(confkit.c->state, "/s");
	assert_string_equal(confkit.c->scratch, "/x");
	assert_string_equal(confkit.c->credentials, "/c");
	assert_string_equal(confkit.c->kek, "file:/k");
	assert_string_equal(confkit.c->signing, "env:SIGN");
	assert_null(confkit.c->escrow);
	assert_int_equal(confkit.c->horizon, 14 * 24 * HOUR);
	assert_int_equal(confkit.c->pack_size, 64 << 20);
	assert_int_equal(confkit.c->level, 9);
	assert_int_equal(confkit.c->workers, 2);
	assert_int_equal(confkit.c->tiers, 2);
	assert_string_equal(confkit.c->tier[0].name, "local");
	assert_string_equal(confkit.c->tier[0].url, "file:///srv/ffdr");
	assert_string_equal(confkit.c->tier[0].site, "us-central1");
	assert_null(confkit.c->tier[0].driver);
	assert_int_equal(confkit.c->tier[0].keep, 7 * 24 * HOUR);
	assert_int_equal(confkit.c->tier[0].rpo, 4 * HOUR);
	assert_int_equal(confkit.c->tier[0].rto, HOUR / 4);
	assert_int_equal(confkit.c->tier[0].rate, 200 << 20);
	assert_true(confkit.c->tier[0].shared);
	assert_string_equal(confkit.c->tier[0].takes, "hourly");
	assert_string_equal(confkit.c->tier[1].site, "eu");
	assert_string_equal(confkit.c->tier[1].takes, "weekly");
	assert_string_equal(confkit.c->tier[1].driver, "fs");
	assert_int_equal(confkit.c->volumes, 1);
	assert_string_equal(confkit.c->volume[0].name, "uploads");
	assert_string_equal(confkit.c->volume[0].path, "/srv/up");
	assert_string_equal(confkit.c->volume[0].exclude, "*.tmp, cache/");
	assert_int_equal(confkit.c->volume[0].keep, -1);
	assert_true(confkit.c->volume[0].one_file_system);
	assert_string_equal(confkit.c->volume[0].before, "/h freeze");
	assert_string_equal(confkit.c->volume[0].after, "/h thaw");
	assert_string_equal(confkit.c->volume[0].compare, "stat");
	assert_string_equal(confkit.c->volume[0].tiers, "far, local");
	assert_string_equal(confkit.c->volume[0].site, "eu");
}

static void
what_is_not_said_has_a_default(void **state)
{
	(void)state;
	assert_int_equal(confkit_parse(TIER "[tier b]\nurl=file:///b\n[volume v]\npath = /v\n"), 0);
	assert_string_equal(confkit.c->site, "default");
	assert_string_equal(confkit.c->state, "/var/lib/ffdr");
	assert_string_equal(confkit.c->scratch, "/var/lib/ffdr/scratch");
	assert_string_equal(confkit.c->credentials, "/etc/ffdr/credentials");
	assert_string_equal(confkit.c->kek, "credential:ffdr-kek");
	assert_string_equal(confkit.c->signing, "credential:ffdr-signing");
	assert_string_equal(confkit.c->escrow, "/etc/ffdr/escrow.pem");
	assert_int_equal(confkit.c->horizon, 30 * 24 * HOUR);
	assert_int_equal(confkit.c->pack_size, 32 << 20);
	assert_int_equal(confkit.c->workers, 0);
	assert_int_equal(confkit.c->tier[0].keep, 30 * 24 * HOUR);
	assert_int_equal(confkit.c->tier[0].rpo, 0);
	assert_int_equal(confkit.c->tier[0].rate, 0);
	assert_false(confkit.c->tier[0].shared);
	assert_string_equal(confkit.c->tier[0].takes, "all");
	assert_string_equal(confkit.c->volume[0].compare, "content");
	assert_string_equal(confkit.c->volume[0].tiers, "a, b");
	assert_string_equal(confkit.c->volume[0].site, "default");
	assert_null(confkit.c->volume[0].exclude);
	assert_null(confkit.c->volume[0].before);
	assert_int_equal(confkit.c->volume[0].keep, 0);
}

static void
what_a_tier_takes_follows_its_rpo(void **state)
{
	static const char *const row[][2] = { { "5m", "all" }, { "1h", "hourly" },
		{ "23h", "hourly" }, { "24h", "daily" }, { "6d", "daily" }, { "7d", "weekly" },
		{ "1y", "weekly" } };
	char *text;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		text = xasprintf(TIER "rpo = %s\n", row[i][0]);
		assert_int_equal(confkit_parse(text), 0);
		assert_string_equal(confkit.c->tier[0].takes, row[i][1]);
		free(text);
	}
}

static void
every_mistake_is_named_with_its_line(void **state)
{
	static const char *const row[][2] = {
		{ TIER "[ffdr]\nstaet = /x\n",
		    ":4: [ffdr] staet: unknown key, did you mean state?" },
		{ TIER "[ffdr]\nzzz = /x\n", ":4: [ffdr] zzz: unknown key" },
		{ TIER "[ffdr]\n= /x\n", ":4: [ffdr] '': unknown key" },
		{ "[teir b]\nx = 1\n" TIER, ":1: [teir b]: unknown section, did you mean tier?" },
		{ "[kafka main]\nx = 1\n" TIER,
		    ":1: [kafka main]: sections [kafka] are not in this version of ffdr" },
		{ "[kafkas main]\nx = 1\n" TIER, ":1: [kafkas main]: unknown section" },
		{ TIER "[tier]\n", ":3: [tier]: the name is missing, expected [tier NAME]" },
		{ TIER "[keys x]\n", ":3: [keys x]: this section has no name, expected [keys]" },
		{ TIER "[tier B]\n",
		    ":3: [tier B]: 'B' is no name, expected 1 to 48 of a-z 0-9 _ -" },
		{ TIER "[tier b c]\n",
		    ":3: [tier b c]: 'b c' is no name, expected 1 to 48 of a-z 0-9 _ -" },
		{ TIER TIER, ":3: [tier a]: is there already, at " NAME ":1" },
		{ TIER "keep = 7d\nkeep = 8d\n",
		    ":4: [tier a] keep: is set already, at " NAME ":3" },
		{ "keep = 1\n" TIER,
		    ":1: 'keep' stands before the first section, expected [ffdr] or another above "
		    "it" },
		{ TIER "nonsense\n", ":3: expected KEY = VALUE, [SECTION] or a comment" },
		{ TIER "[keys\nkek = hunter2\n", ":3: ']' is missing" },
		{ TIER "[keys] x\nkek = hunter2\n",
		    ":3: something stands behind ']', expected the end of the line" },
		{ TIER "x = \xff\n", ":3: the line is not UTF-8" },
		{ TIER "x = \x01\n", ":3: the line has a control character in it" },
		{ "[tier a]\n", ":1: [tier a] url: is missing, expected "
		    "file:///DIR or s3://BUCKET/PREFIX" },
		{ TIER "[volume v]\n",
		    ":3: [volume v] path: is missing, expected an absolute path" },
		{ "[ffdr]\n",
		    ": there is no tier, expected at least one section [tier NAME] with its url" },
		{ TIER "[tier b]\nurl = file:///srv/a\n",
		    ":4: [tier b] url: 'file:///srv/a' is the place of [tier a] already" },
		{ TIER "[volume v]\npath = /v\ntiers = b\n",
		    ":5: [volume v] tiers: there is no [tier b]; the section of one that is away or lost "
		    "may stay" },
		{ TIER "[volume v]\npath = /v\ntiers = a, a\n",
		    ":5: [volume v] tiers: 'a' is named twice" },
		{ TIER "[volume v]\npath = /v\ntiers = ,\n",
		    ":5: [volume v] tiers: has no value, expected at least one tier" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++)
		confkit_refused(row[i][0], row[i][1]);
}

static void
a_tier_that_was_mistyped_is_the_only_thing_said(void **state)
{
	static const char *const row[] = { "[teir a]\nurl = file:///srv/a\n",
		"[tier a\nurl = file:///srv/a\n", "[tier A]\nurl = file:///srv/a\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		assert_int_equal(
		    conf_parse(NAME, row[i], strlen(row[i]), &confkit.c, &confkit.e), -1);
		assert_non_null(strstr(confkit.e.text, NAME ":1: "));
		assert_null(strstr(confkit.e.text, "there is no tier"));
	}
}

static void
every_bad_value_says_what_was_expected(void **state)
{
	static const struct {
		const char *section, *key, *value, *want;
	} row[] = {
		{ "ffdr", "site", "US", "'US' is not right, expected 1 to 48 of a-z 0-9 _ -" },
		{ "ffdr", "state", "rel", "'rel' is not right, expected an absolute path" },
		{ "keys", "signing", "passphrase:file:/p",
		    "'passphrase:file:/p' is not right, expected "
		    "credential:NAME, file:PATH, env:NAME or command:CMD" },
		{ "ffdr", "state", "", "has no value, expected an absolute path" },
		{ "keys", "kek", "",
		    "has no value, expected credential:NAME, file:PATH, env:NAME, command:CMD or "
		    "passphrase:REF" },
		{ "keys", "kek", "file:rel",
		    "'file:rel' is a relative path, expected file: and an absolute one" },
		{ "repository", "horizon", "6d",
		    "'6d' is not right, expected a duration such as 30s, 4h or 7d, at least 7d" },
		{ "repository", "pack-size", "8m",
		    "'8m' is not right, expected a size such as 32m or 100MB, at least 16m, at "
		    "most "
		    "128m" },
		{ "repository", "pack-size", "129m",
		    "'129m' is not right, expected a size such as 32m or 100MB, at least 16m, at "
		    "most "
		    "128m" },
		{ "repository", "level", "x",
		    "'x' is not right, expected a whole number, at least 1, at most 19" },
		{ "repository", "level", "-1",
		    "'-1' is not right, expected a whole number, at least 1, at most 19" },
		{ "tier a", "keep", "59m",
		    "'59m' is not right, expected a duration such as 30s, 4h or 7d, at least 1h" },
		{ "tier a", "keep", "forever",
		    "'forever' is not right, expected a duration such as 30s, 4h or 7d, at least "
		    "1h" },
		{ "tier a", "takes", "dayly",
		    "'dayly' is not one of all, hourly, daily, weekly, did you mean daily?" },
		{ "tier a", "takes", "never",
		    "'never' is not right, expected one of all, hourly, daily, weekly" },
		{ "tier a", "keep", "30",
		    "'30' has no unit, expected a duration such as 30s, 4h or 7d, at least 1h" },
		{ "tier a", "shared", "maybe", "'maybe' is not right, expected yes or no" },
		{ "tier a", "rate", "200",
		    "'200' is not right, expected a size such as 32m or 100MB, at least 64k" },
		{ "volume v", "keep", "0",
		    "'0' is not right, expected a duration such as 30s, 4h or 7d, or forever, at "
		    "least 1h" },
		{ "volume v", "compare", "stats",
		    "'stats' is not one of content, stat, did you mean stat?" },
	};
	char *text, *want;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		text = xasprintf("[%s]\n%s = %s\n%s%s", row[i].section, row[i].key, row[i].value,
		    strncmp(row[i].section, "tier", 4) == 0 ? "url = file:///a\n" : "",
		    strncmp(row[i].section, "volume", 6) == 0 ? "path = /v\n" TIER : "");
		if (!strstr(text, "url")) {
			want = xasprintf("%s" TIER, text);
			free(text);
			text = want;
		}
		want = xasprintf(":2: [%s] %s: %s", row[i].section, row[i].key, row[i].want);
		confkit_refused(text, want);
		free(text);
		free(want);
	}
}

static void
urls_must_be_directories_of_this_host(void **state)
{
	(void)state;
	confkit_refused("[tier a]\nurl = ftp://b/p\n",
	    ":2: [tier a] url: 'ftp' is not a kind of tier known here, expected file or s3");
	confkit_refused("[tier a]\nurl = /srv/a\n",
	    ":2: [tier a] url: '/srv/a' is not right, expected file:///DIR or s3://"
	    "BUCKET/PREFIX");
	confkit_refused("[tier a]\nurl = file://srv/a\n",
	    ":2: [tier a] url: 'file://srv/a' names a host, expected file:///DIR with three "
	    "slashes");
	confkit_refused("[tier a]\nurl = file:///\n",
	    ":2: [tier a] url: 'file:///' is the root directory, expected one below it");
}

static void
a_secret_in_the_wrong_place_is_not_repeated(void **state)
{
	(void)state;
	assert_int_equal(
	    confkit_parse(TIER "[keys]\nkek = hunter2\nsigning = hunter3\nescrow = hunter4\n"), -1);
	assert_null(strstr(confkit.e.text, "hunter"));
	assert_non_null(
	    strstr(confkit.e.text, ":4: [keys] kek: the value (not shown) is no reference"));
	assert_non_null(strstr(confkit.e.text, ":6: [keys] escrow: the value (not shown)"));
}

static void
all_problems_come_at_once_in_the_order_of_the_lines(void **state)
{
	const char *at[4];

	(void)state;
	assert_int_equal(
	    confkit_parse("[volume v]\ntiers = nix\npath = v\n[tier a]\n[ffdr]\nsiet = x\n"), -1);
	at[0] = strstr(confkit.e.text, ":2: [volume v] tiers: there is no [tier nix]");
	at[1] = strstr(confkit.e.text, ":3: [volume v] path: 'v'");
	at[2] = strstr(confkit.e.text, ":4: [tier a] url: is missing");
	at[3] = strstr(confkit.e.text, ":6: [ffdr] siet: unknown key, did you mean site?");
	for (size_t i = 0; i < 4; i++)
		assert_non_null(at[i]);
	for (size_t i = 1; i < 4; i++)
		assert_true(at[i] > at[i - 1]);
}

static void
names_as_long_as_allowed_are_not_cut(void **state)
{
	char name[50], *text;

	(void)state;
	memset(name, 'n', sizeof(name));
	name[48] = '\0';
	text = xasprintf(TIER "[volume %s]\npath = /v\n", name);
	assert_int_equal(confkit_parse(text), 0);
	assert_string_equal(confkit.c->volume[0].name, name);
	free(text);
	name[48] = 'n';
	name[49] = '\0';
	text = xasprintf(TIER "[volume %s]\npath = /v\n", name);
	assert_int_equal(confkit_parse(text), -1);
	assert_non_null(strstr(confkit.e.text, "is no name"));
	free(text);
}

static void
a_long_line_is_whole_or_an_error(void **state)
{
	char *list = xmalloc(9000), *text;

	(void)state;
	memset(list, 'x', 9000);
	list[7000] = '\0';
	text = xasprintf(TIER "[volume v]\npath = /v\nexclude = %s\n", list);
	assert_int_equal(confkit_parse(text), 0);
	assert_string_equal(confkit.c->volume[0].exclude, list);
	free(text);
	list[7000] = 'x';
	list[8500] = '\0';
	text = xasprintf(TIER "[volume v]\npath = /v\nexclude = %s\ncompare = stat\n", list);
	confkit_refused(text, ":5: the line is longer than 8000 characters");
	free(text);
	free(list);
}

static void
a_byte_order_mark_is_no_letter(void **state)
{
	(void)state;
	assert_int_equal(confkit_parse("\xef\xbb\xbf" TIER), 0);
	assert_int_equal(confkit_parse("\xef\xbb\xbf; x\n" TIER), 0);
}

static void
plain_sections_may_be_continued(void **state)
{
	(void)state;
	assert_int_equal(confkit_parse("[ffdr]\nsite = a\n" TIER "[ffdr]\nstate = /s\n"), 0);
	assert_string_equal(confkit.c->site, "a");
	assert_string_equal(confkit.c->state, "/s");
}

static void
sources_are_found_with_and_without_their_kind(void **state)
{
	const struct conf_source *v = NULL;

	(void)state;
	assert_int_equal(confkit_parse(TIER "[volume up]\npath=/u\n[volume vol]\npath=/w\n"), 0);
	assert_int_equal(conf_find_source(confkit.c, "vol.up", &v, &confkit.e), 0);
	assert_ptr_equal(v->volume, &confkit.c->volume[0]);
	assert_int_equal(conf_find_source(confkit.c, "vol", &v, &confkit.e), 0);
	assert_ptr_equal(v->volume, &confkit.c->volume[1]);
	assert_string_equal(v->name, "vol.vol");
	assert_int_equal(conf_find_source(confkit.c, "upp", &v, &confkit.e), -1);
	assert_int_equal(confkit.e.kind, ERR_NOTFOUND);
	assert_string_equal(confkit.e.text, "there is no source 'upp', did you mean vol.up?");
	assert_int_equal(conf_find_source(confkit.c, "pg.up", &v, &confkit.e), -1);
	assert_int_equal(conf_find_source(confkit.c, "payments", &v, &confkit.e), -1);
	assert_string_equal(confkit.e.text, "there is no source 'payments' in the configuration\n"
				    "  known     vol.up\n            vol.vol");
}

static void
tiers_of_a_source_come_in_its_order(void **state)
{
	const struct conf_tier *t[4];

	(void)state;
	assert_int_equal(
	    confkit_parse(TIER "[tier b]\nurl=file:///b\n[tier c]\nurl=file:///c\n"), 0);
	assert_int_equal(conf_source_tiers(confkit.c, "c, a", t, 4), 2);
	assert_ptr_equal(t[0], &confkit.c->tier[2]);
	assert_ptr_equal(t[1], &confkit.c->tier[0]);
	assert_int_equal(conf_source_tiers(confkit.c, NULL, t, 4), 3);
	assert_int_equal(conf_source_tiers(confkit.c, "", t, 2), 2);
	assert_int_equal(conf_source_tiers(confkit.c, "a, b, c", t, 2), 2);
	assert_null(conf_find_tier(confkit.c, "d"));
}

static void
write_file(const char *path, const char *text)
{
	assert_int_equal(
	    file_put(AT_FDCWD, path, text, strlen(text), 0600, FILE_REPLACE, &confkit.e), 1);
}

static void
fragments_are_read_in_name_order_after_the_main_file(void **state)
{
	const char *dir = scratch_dir();
	char *main_file = scratch_path(dir, "my.ini"), *want;
	char *b = scratch_path(dir, "conf.d/20-b.ini"), *a = scratch_path(dir, "conf.d/10-a.ini");
	char *off = scratch_path(dir, "conf.d/off.ini.bak");
	char *hidden = scratch_path(dir, "conf.d/.x.ini");
	struct buf text;

	(void)state;
	write_file(main_file, "[ffdr]\nsite = s\n");
	write_file(b, "[tier b]\nurl = file:///b\n");
	write_file(a, "[tier a]\nurl = file:///a\n");
	write_file(off, "nonsense");
	write_file(hidden, "nonsense");
	assert_int_equal(setenv("FFDR_CONFIG", main_file, 1), 0);
	assert_int_equal(conf_load(NULL, &confkit.c, &confkit.e), 0);
	assert_int_equal(confkit.c->tiers, 2);
	assert_string_equal(confkit.c->tier[0].name, "a");
	assert_string_equal(confkit.c->tier[1].name, "b");
	want = scratch_path(dir, "credentials");
	assert_string_equal(confkit.c->credentials, want);
	buf_init(&text, 1000);
	conf_origin(confkit.c, "tier", 1, "url", &text);
	buf_addc(&text, '|');
	conf_origin(confkit.c, "tier", 1, "keep", &text);
	free(want);
	want = xasprintf("%s:2|default", b);
	assert_string_equal(buf_str(&text), want);
	free(want);
	conf_free(confkit.c);
	confkit.c = NULL;
	/* Problems of all files together, and a key set twice names both places. */
	write_file(b, "[ffdr]\nsite = t\n");
	write_file(main_file, "[ffdr]\nsite = s\nfoo = 1\n");
	buf_reset(&text);
	assert_int_equal(conf_load_all(main_file, &confkit.c, &text, &confkit.e), -1);
	want = xasprintf("%s:3: [ffdr] foo: unknown key\n%s:2: [ffdr] site: is set already, at "
			 "%s:2",
	    main_file, b, main_file);
	assert_string_equal(confkit.e.text, want);
	assert_string_equal(buf_str(&text), want);
	free(want);
	buf_done(&text);
	free(main_file);
	free(a);
	free(b);
	free(off);
	free(hidden);
}

static void
the_order_of_fragments_is_that_of_their_names(void **state)
{
	const char *dir = scratch_dir(), *made = "37158264";
	char *path = scratch_path(dir, "ffdr.ini"), *text;

	(void)state;
	write_file(path, "");
	for (const char *p = made; *p; p++) {
		char *part = scratch_path(dir, "conf.d/%c.ini", *p);

		text = xasprintf("[tier t%c]\nurl = file:///%c\n", *p, *p);
		write_file(part, text);
		free(text);
		free(part);
	}
	assert_int_equal(conf_load(path, &confkit.c, &confkit.e), 0);
	assert_int_equal(confkit.c->tiers, 8);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(confkit.c->tier[i].name[1], '1' + (int)i);
	free(path);
}

static void
a_missing_file_says_how_to_name_another(void **state)
{
	(void)state;
	assert_int_equal(conf_load("/nonexistent/ffdr.ini", &confkit.c, &confkit.e), -1);
	assert_int_equal(confkit.e.kind, ERR_CONFIG);
	assert_non_null(strstr(confkit.e.text, "'/nonexistent/ffdr.ini': No such file"));
	assert_non_null(strstr(confkit.e.text, "\n  fix       --config FILE"));
}

static void
too_many_problems_are_counted_and_all_can_be_had(void **state)
{
	char *path = scratch_path(scratch_dir(), "ffdr.ini");
	struct buf text, all;
	size_t lines = 0, shown = 0;

	(void)state;
	buf_init(&text, 10000);
	buf_init(&all, 100000);
	buf_adds(&text, TIER);
	for (int i = 0; i < 60; i++)
		buf_addf(&text, "wrong-key-%d = x\n", i);
	write_file(path, buf_str(&text));
	assert_int_equal(conf_load_all(path, &confkit.c, &all, &confkit.e), -1);
	for (const char *p = buf_str(&all); p; p = strchr(p + 1, '\n'))
		lines++;
	assert_int_equal(lines, 60);
	for (const char *p = strchr(confkit.e.text, '\n'); p; p = strchr(p + 1, '\n'))
		shown++;
	buf_reset(&text);
	buf_addf(&text, "\nand %zu more problems", 60 - shown);
	assert_string_equal(strrchr(confkit.e.text, '\n'), buf_str(&text));
	buf_done(&text);
	buf_done(&all);
	free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_teardown(f, confkit_end)
		T(a_whole_configuration_is_read),
		T(what_is_not_said_has_a_default),
		T(what_a_tier_takes_follows_its_rpo),
		T(every_mistake_is_named_with_its_line),
		T(a_tier_that_was_mistyped_is_the_only_thing_said),
		T(every_bad_value_says_what_was_expected),
		T(urls_must_be_directories_of_this_host),
		T(a_secret_in_the_wrong_place_is_not_repeated),
		T(all_problems_come_at_once_in_the_order_of_the_lines),
		T(names_as_long_as_allowed_are_not_cut),
		T(a_long_line_is_whole_or_an_error),
		T(a_byte_order_mark_is_no_letter),
		T(plain_sections_may_be_continued),
		T(sources_are_found_with_and_without_their_kind),
		T(tiers_of_a_source_come_in_its_order),
		T(fragments_are_read_in_name_order_after_the_main_file),
		T(the_order_of_fragments_is_that_of_their_names),
		T(a_missing_file_says_how_to_name_another),
		T(too_many_problems_are_counted_and_all_can_be_had),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
