/*
 * The one list of commands, in the order a person meets them, and what their ends mean. Each row is
 * defined beside the function it names: adding a command is a row there, a line here, and help,
 * manual and completion have it. Exit codes are few, because scripts and CronJobs branch on them;
 * what exactly went wrong is the message's business.
 */
#include "cmd/command.h"

#include <string.h>

#include "cmd/cmd_conf.h"
#include "cmd/cmd_copy.h"
#include "cmd/cmd_expire.h"
#include "cmd/cmd_export.h"
#include "cmd/cmd_hold.h"
#include "cmd/cmd_key.h"
#include "cmd/cmd_list.h"
#include "cmd/cmd_repo.h"
#include "cmd/cmd_show.h"
#include "cmd/cmd_snapshot.h"
#include "cmd/cmd_status.h"
#include "cmd/cmd_verify.h"
#include "cmd/cmd_wal.h"
#include "cmd/cmd_wal_get.h"
#include "cmd/cmd_wal_tell.h"
#include "cmd/help.h"

const struct command *const command_table[] = {
	&cmd_repo_init,
	&cmd_repo_check,
	&cmd_status_status,
	&cmd_snapshot_backup,
	&cmd_list_list,
	&cmd_show_show,
	&cmd_snapshot_restore,
	&cmd_export_export,
	&cmd_verify_verify,
	&cmd_copy_copy,
	&cmd_expire_expire,
	&cmd_expire_gc,
	&cmd_hold_hold,
	&cmd_wal_stream,
	&cmd_wal_push,
	&cmd_wal_get,
	&cmd_wal_tell_status,
	&cmd_wal_tell_forget,
	&cmd_wal_tell_exposure,
	&cmd_key_list,
	&cmd_key_rotate,
	&cmd_key_escrow_test,
	&cmd_conf_show,
	&cmd_repo_version,
	&help_help,
	NULL,
};

const struct command_status command_statuses[] = {
	{ EXIT_DONE, "done" },
	{ EXIT_INTERNAL, "an error on this host that no other code names, or a defect of ffdr" },
	{ EXIT_USAGE, "the command line is wrong, or names something that is not there" },
	{ EXIT_DEGRADED, "done, but something needs attention: a file that could not be read, a tier "
			 "that was away" },
	{ EXIT_VERIFY, "stored bytes are not what they must be" },
	{ EXIT_REFUSED, "refused by a safety rule; the message names the rule and the way out" },
	{ EXIT_PARTLY, "stopped half way; what was there is as it was, and the message says how to go on" },
	{ EXIT_STALE, "the lease was lost, or the epoch is stale" },
	{ EXIT_UNREACHABLE, "a tier does not answer, or the path of a volume is not there" },
	{ EXIT_BUSY, "another run is in progress" },
	{ EXIT_LATER, "not now: there is no room, or what is to be read is still on its way out of an "
		      "archive (--no-wait); the same command works once there is, or it is back" },
	{ EXIT_DENIED, "permission denied" },
	{ EXIT_CONFIGURATION, "the configuration is wrong, a key of it does not fit, or a claim of it "
			      "that `ffdr check` tests does not hold" },
	{ 0, NULL },
};

const struct command *
command_find(const char *name)
{
	for (size_t i = 0; command_table[i]; i++) {
		if (strcmp(command_table[i]->name, name) == 0)
			return command_table[i];
	}
	return NULL;
}

int
command_exit(enum err_kind kind)
{
	static const int code[ERR_KINDS] = {
		[ERR_NONE] = EXIT_INTERNAL, /* failed without a reason: a defect */
		[ERR_USAGE] = EXIT_USAGE,
		[ERR_CONFIG] = EXIT_CONFIGURATION,
		[ERR_NOTFOUND] = EXIT_USAGE,
		[ERR_EXISTS] = EXIT_REFUSED,
		[ERR_BUSY] = EXIT_BUSY,
		[ERR_STALE] = EXIT_STALE,
		[ERR_REFUSED] = EXIT_REFUSED,
		[ERR_PERMISSION] = EXIT_DENIED,
		[ERR_IO] = EXIT_INTERNAL,
		[ERR_FULL] = EXIT_LATER,
		[ERR_REMOTE] = EXIT_UNREACHABLE,
		[ERR_FROZEN] = EXIT_LATER,
		[ERR_CORRUPT] = EXIT_VERIFY,
		[ERR_KEY] = EXIT_CONFIGURATION,
		[ERR_UNSUPPORTED] = EXIT_REFUSED, /* what it does not know it does not touch */
		[ERR_CANCELLED] = EXIT_PARTLY,
		[ERR_BUG] = EXIT_INTERNAL,
	};

	return kind < ERR_KINDS ? code[kind] : EXIT_INTERNAL;
}
