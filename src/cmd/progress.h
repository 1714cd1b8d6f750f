#ifndef CMD_PROGRESS_H
#define CMD_PROGRESS_H

#include "job/watch.h"

/*
 * The watch a command hands to its job: on a terminal one line that renews itself with bytes, rate
 * and remaining time; with --events JSON lines; warnings always. SIGINT, SIGTERM and SIGHUP make
 * stop() true; the same signal again ends the process at once. `title` is borrowed until
 * progress_end().
 */
const struct watch *progress_start(const char *title);
void progress_end(void); /* clears the line */

#endif
