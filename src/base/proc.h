#ifndef BASE_PROC_H
#define BASE_PROC_H

#include "base/buf.h"
#include "base/err.h"

/*
 * Runs a command of the configuration (hooks, `command:` secrets) by /bin/sh -c in its own
 * process group, with stdin from /dev/null, no inherited descriptors, and a deadline after which
 * the group gets TERM, then KILL. Not 0 or a signal is an ERR_IO that quotes the end of its
 * stderr. What it leaves running in the background is not waited for.
 */
struct proc_env {
	const char *name;
	const char *value;
};
/* out may be NULL: stdout then goes to our stderr. env ends with a NULL name; may be NULL. */
/*
 * From now on no command is given the environment variable of that name: it holds a secret. Not for
 * several threads; may be said twice. Every name hidden stays so until the program ends.
 */
void proc_hide(const char *name);
int proc_run(const char *command, const struct proc_env *env, int timeout_s, struct buf *out,
    struct err *e);

#endif
