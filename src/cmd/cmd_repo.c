/*
 * ffdr init, check, version: the first quarter of an hour. What init prints is a sheet for the
 * safe: a person who has nothing else left must be able to go on from it.
 */
#include "cmd/cmd_repo.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "cmd/output.h"
#include "cmd/progress.h"
#include "job/check_run.h"
#include "job/init.h"
#include "source/libarchive.h"

#define PROBLEMS_MAX ((size_t)1 << 20)

/* ---- init ---- */

static json_t *
init_json(const struct init_report *r)
{
	char repo[TEXT_HEX(LAYOUT_REPO_ID)], id[TEXT_HEX(SIGN_ID)], pub[TEXT_HEX(SIGN_PUB)];
	uint8_t signer[SIGN_ID];
	json_t *items = json_array();

	sign_key_id(r->signer, signer);
	for (size_t i = 0; i < r->items; i++)
		json_array_append_new(items, json_pack("{s:s, s:o, s:b}", "what", r->item[i].what,
		    "path", output_string(r->item[i].path), "made", r->item[i].made));
	return json_pack("{s:s, s:b, s:i, s:{s:s, s:s}, s:o, s:o}", "repository",
	    text_hex(r->repo_id, LAYOUT_REPO_ID, repo), "made", r->made_repo, "tiers_filled",
	    (int)r->made_tiers, "signing_key", "id", text_hex(signer, SIGN_ID, id), "public",
	    text_hex(r->signer, SIGN_PUB, pub), "items", items, "escrow_private",
	    r->escrow_private ? output_string(r->escrow_private) : json_null());
}

static void
init_sheet(const struct conf *c, const struct init_report *r)
{
	char hex[TEXT_HEX(SIGN_PUB)];
	uint8_t id[SIGN_ID];

	sign_key_id(r->signer, id);
	output_line("\nFor the sheet in the safe:");
	output_detail("id", "%s", text_hex(r->repo_id, LAYOUT_REPO_ID, hex));
	output_detail("signer", "%s", text_hex(id, SIGN_ID, hex));
	output_detail("public", "%s", text_hex(r->signer, SIGN_PUB, hex));
	for (size_t i = 0; i < c->tiers; i++)
		output_detail("tier", "%s: %s", c->tier[i].name, c->tier[i].url);
	output_line("\nWithout the signing key nobody can ever write to this repository again, not even "
		    "with the escrow key.");
	output_detail("copy", "%s to the medium for the safe; it stays here, too", c->signing);
	if (!r->escrow_private)
		return;
	output_line("\nThe private half of the escrow key opens every backup, and is the only way in "
		    "when the kek is lost.");
	output_detail("move", "%s to a medium that goes into the safe", r->escrow_private);
	output_detail("prove", "ffdr key escrow-test --private FILE, with the file on that medium");
	output_detail("then", "shred -u %s", r->escrow_private);
}

static void
init_items(const struct init_report *r)
{
	for (size_t i = 0; i < r->items; i++)
		output_detail(r->item[i].made ? "made" : "there", "%s: %s", r->item[i].what,
		    r->item[i].path);
}

static int
init(const struct command_call *call, struct err *e)
{
	char hex[TEXT_HEX(LAYOUT_REPO_ID)];
	struct init_report r;
	int rc;

	rc = init_run(call->conf, progress_start("init"), &r, e);
	progress_end();
	if (rc == -1) {
		/* What was made stays, and the next run goes on from it. */
		init_items(&r);
		goto out;
	}
	if (output_is_json()) {
		output_json(init_json(&r));
		goto out;
	}
	text_hex(r.repo_id, LAYOUT_REPO_ID, hex);
	if (r.made_repo)
		output_done("made the repository %s on %u tier%s", hex, r.made_tiers,
		    r.made_tiers == 1 ? "" : "s");
	else if (r.made_tiers > 0)
		output_done("brought what was missing of repository %s to %u tier%s", hex,
		    r.made_tiers, r.made_tiers == 1 ? "" : "s");
	else
		output_done("everything is there: repository %s", hex);
	init_items(&r);
	if (!output_is_quiet())
		init_sheet(call->conf, &r);
	else if (r.escrow_private)
		output_warn("move the private half of the escrow key to the safe: %s",
		    r.escrow_private);
	output_detail("next", "ffdr check");
out:
	init_done(&r);
	return rc == -1 ? -1 : EXIT_DONE;
}

const struct command cmd_repo_init = {
	.name = "init",
	.operands = "",
	.summary = "make keys, tiers and the repository, once",
	.text = "Makes what is missing: the directory of each file: tier, the key files that the section "
		"keys names, the escrow pair, and one repository over all tiers. It prints what it made "
		"and what belongs on the sheet for the safe. Nothing is ever overwritten, so it may be "
		"run again; a tier that was added to the configuration gets the repository that way.\n\n"
		"All tiers must answer. When one holds a repository already, the others join it; when "
		"two hold different ones, or a key of an existing one is missing here, init refuses. "
		"Run as root on a host with a group ffdr, files become root:ffdr 0640, else 0600.\n\n"
		"The private half of the escrow key is written beside the public one, to be moved into "
		"a safe at once. It opens every backup, and it is the only way in when the kek is lost. "
		"A copy of the signing key belongs beside it: without one the repository can be read "
		"for ever, but not be written again.",
	.examples = "ffdr init\n"
		    "ffdr init --json   # ids and paths for a program",
	.conf = CONF_LOAD,
	.run = init,
};

/* ---- check ---- */

static json_t *
check_json(const struct check *c)
{
	json_t *lines = json_array();

	for (size_t i = 0; i < c->count; i++) {
		const struct check_line *l = &c->line[i];

		json_array_append_new(lines, json_pack("{s:s, s:o, s:o, s:o}", "verdict",
		    check_word(l->verdict), "what", output_string(l->what), "text",
		    output_string(l->text), "fix", l->fix ? output_string(l->fix) : json_null()));
	}
	return json_pack("{s:b, s:i, s:i, s:i, s:i, s:o}", "passed",
	    c->verdicts[CHECK_FAIL] == 0, "ok", (int)c->verdicts[CHECK_OK], "unknown",
	    (int)c->verdicts[CHECK_UNKNOWN], "warnings", (int)c->verdicts[CHECK_WARN], "failures",
	    (int)c->verdicts[CHECK_FAIL], "lines", lines);
}

static void
check_print(const struct check *c)
{
	static const enum output_mood mood[CHECK_VERDICTS] = {
		[CHECK_OK] = OUTPUT_GOOD,
		[CHECK_UNKNOWN] = OUTPUT_FAINT,
		[CHECK_WARN] = OUTPUT_CAREFUL,
		[CHECK_FAIL] = OUTPUT_BAD,
	};

	for (size_t i = 0; i < c->count; i++) {
		const struct check_line *l = &c->line[i];
		char word[16];

		/* Quiet: only what wants somebody. */
		if (output_is_quiet() && l->verdict < CHECK_WARN)
			continue;
		snprintf(word, sizeof(word), "%-8s", check_word(l->verdict));
		output_text(mood[l->verdict], word);
		output_line("%s: %s", l->what, l->text);
		if (l->fix)
			output_line("  %-9s %s", "fix", l->fix);
	}
}

/* A problem is a line and the labelled lines below it, which begin with blanks. */
static size_t
problem_length(const char *p)
{
	size_t n = 0;

	do
		n += strcspn(p + n, "\n") + (strchr(p + n, '\n') != NULL);
	while (p[n] == ' ');
	return n;
}

/* The configuration itself is the first thing to fail: all its problems, and nothing else. */
static int
check_load(const struct command_call *call, struct conf **conf, struct check *c)
{
	struct buf problems;
	struct err e = { 0 };
	size_t n;
	int rc;

	buf_init(&problems, PROBLEMS_MAX);
	rc = conf_load_all(call->common->config, conf, &problems, &e);
	if (rc == -1 && problems.len == 0)
		check_error(c, CHECK_FAIL, "configuration", &e);
	for (const char *p = rc == -1 ? buf_str(&problems) : ""; *p; p += n) {
		n = problem_length(p);
		err_set(&e, ERR_CONFIG, "%.*s", (int)(n - (p[n - 1] == '\n')), p);
		check_error(c, CHECK_FAIL, "configuration", &e);
	}
	buf_done(&problems);
	return rc;
}

static int
check(const struct command_call *call, struct err *e)
{
	struct conf *conf = NULL;
	struct check c = { 0 };
	size_t failures;

	(void)e;
	if (check_load(call, &conf, &c) == 0)
		check_run(conf, progress_start("check"), &c);
	progress_end();
	failures = c.verdicts[CHECK_FAIL];
	if (output_is_json())
		output_json(check_json(&c));
	check_print(&c);
	if (failures > 0)
		output_done("%zu of %zu checks failed, %zu warning%s", failures, c.count,
		    c.verdicts[CHECK_WARN], c.verdicts[CHECK_WARN] == 1 ? "" : "s");
	else
		output_done("no check failed: %zu passed, %zu warning%s, %zu not to be known now",
		    c.verdicts[CHECK_OK], c.verdicts[CHECK_WARN],
		    c.verdicts[CHECK_WARN] == 1 ? "" : "s", c.verdicts[CHECK_UNKNOWN]);
	check_done(&c);
	conf_free(conf);
	return failures > 0 ? EXIT_CONFIGURATION : EXIT_DONE;
}

const struct command cmd_repo_check = {
	.name = "check",
	.operands = "",
	.summary = "prove every claim of the configuration",
	.text = "Tries what the configuration says and prints one line for each claim: `ok`, `warn`, "
		"`FAIL`, or `unknown` for what cannot be known now; those that want somebody come "
		"with the fix. Keys are proved by opening the repository, from each tier by itself; "
		"tiers by writing, reading back, trying to overwrite and removing a small object, and "
		"by what this host knows as the newest snapshots there; clocks, room, sources, hooks "
		"and the arithmetic of `takes`, `keep` and `rpo` are looked at.\n\n"
		"Ends with 78 when something failed, else with 0; warnings are only counted. "
		"With --quiet only warnings and failures are shown.",
	.examples = "ffdr check\n"
		    "ffdr check --quiet        # from a timer: prints only what wants somebody\n"
		    "ffdr check --json | jq '.lines[] | select(.verdict == \"FAIL\")'",
	.conf = CONF_NONE,
	.run = check,
};

/* ---- version ---- */

#ifdef FFDR_FAULT_POINTS
#define VERSION_FAULTS true
#else
#define VERSION_FAULTS false
#endif

static int
version(const struct command_call *call, struct err *e)
{
	char zstd[32];

	(void)call;
	(void)e;
	snprintf(zstd, sizeof(zstd), "%s", ZSTD_versionString());
	if (output_is_json()) {
		output_json(json_pack("{s:s, s:i, s:b, s:{s:s, s:s, s:s, s:s}}", "version",
		    PACKAGE_VERSION, "repository_format", 1, "fault_points", VERSION_FAULTS,
		    "libraries", "libcrypto", OpenSSL_version(OPENSSL_VERSION_STRING), "zstd", zstd,
		    "libarchive", archive_version_string(), "jansson", jansson_version_str()));
		return EXIT_DONE;
	}
	output_line("ffdr %s, repository format 1", PACKAGE_VERSION);
	output_line("libcrypto %s, zstd %s, %s, jansson %s", OpenSSL_version(OPENSSL_VERSION_STRING),
	    zstd, archive_version_string(), jansson_version_str());
	if (VERSION_FAULTS)
		output_line("built with fault points: for tests, not for an installation");
	return EXIT_DONE;
}

const struct command cmd_repo_version = {
	.name = "version",
	.operands = "",
	.summary = "print the version, how it was built and with what",
	.text = "Prints the version of ffdr, the repository format it reads and writes, and the "
		"versions of the libraries it runs with. What a report of a defect should quote.",
	.examples = "ffdr version\n"
		    "ffdr version --json",
	.conf = CONF_NONE,
	.run = version,
};
