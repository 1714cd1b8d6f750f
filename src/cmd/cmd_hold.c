/*
 * ffdr hold: this one stays. For the lawyer, the auditor, and the snapshot from before the
 * intrusion.
 */
#include "cmd/cmd_hold.h"

#include "cmd/output.h"
#include "cmd/progress.h"
#include "job/hold.h"

struct hold_opts {
	struct common_options common;
	bool release;
	const char *why;
};

static int
hold(const struct command_call *call, struct err *e)
{
	const struct hold_opts *o = call->options;
	const struct hold_options options = {
		.snapshot = call->argv[0], .release = o->release, .why = o->why
	};
	struct hold_report r;
	struct session s;
	int rc;

	if (session_open(call->conf, SESSION_WRITE, &s, e) == -1)
		return -1;
	rc = hold_run(&s, &options, progress_start("hold"), &r, e);
	progress_end();
	session_done(&s);
	if (rc == -1)
		return -1;
	if (output_is_json())
		output_json(json_pack("{s:s, s:b, s:i, s:i}", "snapshot", r.id, "held", !o->release,
		    "tiers", (int)r.tiers, "away", (int)r.away));
	if (o->release)
		output_done("released %s on %u tier%s: it goes when its time is over", r.id, r.tiers,
		    r.tiers == 1 ? "" : "s");
	else
		output_done("held %s on %u tier%s: it stays until it is released", r.id, r.tiers,
		    r.tiers == 1 ? "" : "s");
	return r.away > 0 ? EXIT_DEGRADED : EXIT_DONE;
}

static const struct opt hold_opts[] = {
	{ "release", 0, OPT_FLAG, offsetof(struct hold_opts, release), NULL,
	    "let go of it again" },
	{ "why", 0, OPT_STRING, offsetof(struct hold_opts, why), "TEXT",
	    "the reason, for the record" },
	{ 0 },
};

const struct command cmd_hold_hold = {
	.name = "hold",
	.operands = "SNAPSHOT",
	.summary = "keep a snapshot whatever the retention says",
	.text = "Writes a signed record to every tier that the snapshot is held, with who said so and "
		"why. `ffdr expire` leaves a held snapshot alone until --release takes the hold back; "
		"the newest record counts, on whichever tier it is, and expire brings it to a tier that "
		"lacks it. Ends with 3 when a tier could not be told: run it again when that tier is "
		"back, or its copy may go while no other tier answers.",
	.examples = "ffdr hold vol.uploads/20261120T020000Z-1a2b3c4d --why 'before the intrusion'\n"
		    "ffdr hold vol.uploads/latest\n"
		    "ffdr hold --release vol.uploads/20261120T020000Z-1a2b3c4d",
	.options = hold_opts,
	.options_size = sizeof(struct hold_opts),
	.min_operands = 1,
	.max_operands = 1,
	.conf = CONF_LOAD,
	.run = hold,
};
