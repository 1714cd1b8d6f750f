#ifndef BASE_PROC_H
#define BASE_PROC_H

#include <stdbool.h>

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
/*
 * From now on no command is given the environment variable of that name: it holds a secret. Not for
 * several threads; may be said twice. Every name hidden stays so until the program ends.
 */
void proc_hide(const char *name);
/* out may be NULL: stdout then goes to our stderr. env ends with a NULL name; may be NULL. */
int proc_run(const char *command, const struct proc_env *env, int timeout_s, struct buf *out,
    struct err *e);
/* The same; stop (may be NULL) is asked all the time, and its yes is as the deadline: ERR_CANCELLED. */
int proc_run_until(const char *command, const struct proc_env *env, int timeout_s, struct buf *out,
    bool (*stop)(void *arg), void *arg, struct err *e);

/*
 * Gives way to other programs of the host, as nice(1) does: this thread and all that it starts from
 * now on. Never comes forward; what the system does not allow is left.
 */
void proc_step_back(int nice);
/*
 * A process of its own session, with nothing open but /dev/null in the place of the three, and
 * nobody who has to wait for it: 1 in that process, 0 in the caller, -1.
 */
int proc_detach(struct err *e);

#endif
