/*
 * A snapshot as an archive that any host can read. It goes to stdout, so all words go to stderr, and
 * a terminal is refused: nobody wants a tar there.
 */
#include "cmd/cmd_export.h"

#include <stddef.h>
#include <unistd.h>

#include "base/units.h"
#include "cmd/output.h"
#include "cmd/progress.h"
#include "cmd/thawing.h"
#include "cmd/words.h"
#include "job/export.h"

struct export_opts {
	struct common_options common;
	const char *tier, *as_of;
	struct opt_list path;
	struct thawing_opts thaw;
};
static const struct opt export_table[] = {
	{ "path", 0, OPT_LIST, offsetof(struct export_opts, path), "PATH",
	    "only this file or directory, named from the root of the volume; may be given several "
	    "times" },
	{ "tier", 0, OPT_STRING, offsetof(struct export_opts, tier), "TIER",
	    "only what this tier has, and read from it first" },
	WORDS_AS_OF(export_opts),
	THAWING_ROWS(export_opts, thaw),
	{ 0 },
};

static int
export_command(const struct command_call *call, struct err *e)
{
	const struct export_opts *o = call->options;
	struct thaw_wish thaw;
	const struct export_options eo = {
		.thaw = &thaw,
		.what = call->argv[0],
		.tier = o->tier,
		.path = o->path.item,
		.paths = o->path.count,
		.fd = STDOUT_FILENO,
	};
	struct export_report report;
	struct session s = { 0 };
	char a[WORDS_AMOUNT], n[UNITS_TEXT];
	int rc;

	if (thawing_wish(&o->thaw, &thaw, e) == -1)
		return -1;
	if (output_is_json())
		return err_set(e, ERR_USAGE, "export writes a tar to stdout: there is no place for "
					     "--json or --events");
	if (isatty(STDOUT_FILENO)) {
		err_set(e, ERR_USAGE, "export writes a tar, and stdout is a terminal");
		return err_line(e, "fix", "ffdr export %s > FILE.tar", call->argv[0]);
	}
	if (words_open_past(call->conf, o->as_of, NULL, SESSION_READ, &s, e) == -1)
		return -1;
	words_warn_away(&s);
	rc = export_run(&s, &eo, progress_start("export"), &report, e);
	progress_end();
	if (rc == 0) {
		output_note("exported %s: %s", report.id, words_amount_waited(report.bytes, report.took_ns,
		    report.waited_ns, a));
		if (report.lost > 0)
			output_note("%s %s bytes that no tier has a good copy of, "
				    "zeros are in their place: `ffdr list` names older snapshots",
			    units_count(report.lost, "file", n), report.lost == 1 ? "lacks" : "lack");
		rc = report.lost > 0 ? EXIT_VERIFY :
		    output_warnings() > 0 ? EXIT_DEGRADED : EXIT_DONE;
	}
	session_done(&s);
	return rc;
}

const struct command cmd_export_export = {
	.name = "export",
	.operands = "SOURCE|SNAPSHOT",
	.summary = "write a snapshot as a plain tar to stdout",
	.text = "Writes the whole snapshot as a tar (pax) to stdout, for a host without ffdr or a "
		"program that reads tar. Sockets are left out, as no archive holds them. Bytes "
		"that no "
		"tier has a good copy of are zeros: each such file is named, and the exit code is "
		"4. Extended attributes and capabilities come back by `bsdtar -xp`, or by GNU tar with "
		"--xattrs and --xattrs-include='*', which warns of keywords that it does not know.\n\n"
		"What lies in an archive is ordered back first, as by restore.",
	.examples = "ffdr export vol.uploads > uploads.tar\n"
		    "ffdr export vol.uploads/latest | ssh other-host tar -x -C /srv/restore",
	.options = export_table,
	.options_size = sizeof(struct export_opts),
	.min_operands = 1,
	.max_operands = 1,
	.conf = CONF_LOAD,
	.run = export_command,
};
