/*
 * ffdr config show: what is in force and who said so. The answer to "but I have set that", which is
 * why every value carries its file and line, and secrets show as the references they are.
 */
#include "cmd/cmd_conf.h"

#include "cmd/output.h"
#include "conf/conf_show.h"

#define SHOW_MAX ((size_t)16 << 20) /* more than any configuration; bounds a mistake */

static int
show(const struct command_call *call, struct err *e)
{
	struct buf text;
	int rc;

	if (output_is_json()) {
		output_json(conf_show_json(call->conf));
		return EXIT_DONE;
	}
	buf_init(&text, SHOW_MAX);
	conf_show_text(call->conf, &text);
	rc = buf_check(&text, "the configuration", e);
	if (rc == 0)
		output_text(OUTPUT_PLAIN, buf_str(&text));
	buf_done(&text);
	return rc == 0 ? EXIT_DONE : -1;
}

const struct command cmd_conf_show = {
	.name = "config show",
	.operands = "",
	.summary = "print every value in force and where it was set",
	.text = "Reads the configuration as every command does and prints each section with all its "
		"keys: what was set with the file and line that set it, and what was not with its "
		"default. The output is a configuration itself. Secrets are shown as references only.",
	.examples = "ffdr config show\n"
		    "ffdr config show --json\n"
		    "ffdr --config ./new.ini config show   # is this file right?",
	.conf = CONF_LOAD,
	.run = show,
};
