/*
 * From the command line to a command, and from its result to an exit code. Before anything else the
 * process makes itself hard to look into: keys will be in its memory, so no core dump, no debugger
 * of the same user, and no file that others may read. A broken pipe is an error like any other and
 * not a silent death: half an export must not look like a whole one.
 */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/proc.h"
#include "cmd/command.h"
#include "cmd/help.h"
#include "cmd/options.h"
#include "cmd/output.h"
#include "conf/conf.h"

static void
harden(void)
{
	const struct rlimit none = { 0, 0 };

	umask(077);
	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_CORE, &none);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error like a full disk */
}

static int
usage_error(const struct command *c, struct err *e)
{
	char usage[200];

	if (e->kind != ERR_USAGE || strchr(e->text, '\n'))
		return -1;
	return err_line(e, "usage", "%s", help_usage(c, usage, sizeof(usage)));
}

static int
check_operands(const struct command *c, int count, char **operand, struct err *e)
{
	if (c->max_operands >= 0 && count > c->max_operands)
		return err_set(e, ERR_USAGE, "%s: '%s' is one operand too many", c->name,
		    operand[c->max_operands]);
	if (count < c->min_operands)
		return err_set(e, ERR_USAGE, "%s: an operand is missing, expected %s", c->name,
		    c->operands);
	return 0;
}

static int
check_listener(const struct common_options *o, struct err *e)
{
	if (!o->json || !o->events)
		return 0;
	err_set(e, ERR_USAGE, "--json is one object, --events a line for each event: not both");
	return err_line(e, "fix", "--events alone has that object, too, as the result of its last line");
}

static int
run_with_conf(const struct command *c, struct command_call *call, struct err *e)
{
	struct conf *conf = NULL;
	int rc = -1;

	if (c->conf == CONF_LOAD && conf_load(call->common->config, &conf, e) == -1)
		goto out;
	call->conf = conf;
	if (c->steps_back)
		proc_step_back((int)conf->nice);
	rc = c->run(call, e);
out:
	conf_free(conf);
	return rc;
}

static void
release(const struct opt *table, void *options)
{
	for (; table->name; table++) {
		if (table->type == OPT_LIST)
			opt_list_done((struct opt_list *)((char *)options + table->offset));
	}
	free(options);
}

/* The command with its options and operands; its exit code or -1. */
static int
run(const struct command *c, int argc, char **argv, struct err *e)
{
	size_t size = c->options_size ? c->options_size : sizeof(struct common_options);
	struct opt *table = options_table(c);
	void *options = xcalloc(1, size);
	struct command_call call = { .common = options, .options = options, .argv = argv };
	int rc = -1;

	if (c->failure)
		mem_exit_with(c->failure);
	call.argc = opt_parse(table, options, argc, argv, e);
	if (call.argc == -1) {
		err_in(e, "%s", c->name);
		usage_error(c, e);
		goto out;
	}
	output_setup(call.common);
	if (check_listener(call.common, e) == -1)
		goto out;
	if (call.common->help) {
		help_answer(c);
		rc = EXIT_DONE;
		goto out;
	}
	if (check_operands(c, call.argc, argv, e) == -1) {
		usage_error(c, e);
		goto out;
	}
	rc = run_with_conf(c, &call, e);
out:
	release(table, options);
	free(table);
	return rc;
}

/* `ffdr`, `ffdr --help`, `ffdr --version`: no word that names a command. */
static int
run_without_command(int argc, char **argv, struct err *e)
{
	struct common_options common = { 0 };
	char *version[] = { argv[0], NULL };

	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return run(command_find("version"), 1, version, e);
	if (opt_parse(options_common, &common, argc, argv, e) == -1)
		return -1;
	output_setup(&common);
	if (check_listener(&common, e) == -1)
		return -1;
	if (common.help) {
		help_answer(NULL);
		return EXIT_DONE;
	}
	if (output_is_json()) {
		err_set(e, ERR_USAGE, "no command was named");
		return err_line(e, "fix", "`ffdr help` lists the commands");
	}
	help_list(stderr);
	return EXIT_USAGE;
}

/* The first thing that goes wrong on a new host, and its usual reason. */
static void
as_whom(struct err *e)
{
	if (e->kind == ERR_PERMISSION && geteuid() != 0 && !strstr(e->text, "\n  fix "))
		err_line(e, "fix", "run ffdr as root, or as the owner or in the group of what it "
		    "names (`ls -ld`)");
}

static int
failure_of(const struct command *c, const struct err *e)
{
	return c && c->failure ? c->failure : command_exit(e->kind);
}

/* A reader that has seen enough (`ffdr list | head`) needs no message about it. */
static int
finish(const struct command *c, int code)
{
	struct err e = { 0 };

	if (output_flush(&e) == 0)
		return code;
	if (errno != EPIPE)
		output_error(&e);
	return code == EXIT_DONE ? failure_of(c, &e) : code;
}

int
main(int argc, char **argv)
{
	const struct command *c = NULL;
	struct common_options common;
	struct err e = { 0 };
	int found, code;

	harden();
	options_peek(argc, argv, &common);
	output_setup(&common);
	found = options_command(&argc, argv, &c, &e);
	if (found == 1)
		code = run(c, argc, argv, &e);
	else
		code = found == 0 ? run_without_command(argc, argv, &e) : -1;
	if (code == -1) {
		as_whom(&e);
		output_error(&e);
		code = failure_of(c, &e);
	}
	return finish(c, code);
}
