/*
 * One line that renews itself. A job reports often and cheaply; what is drawn, and how often, is
 * decided here: ten times a second for eyes, once a second for --events, never for a pipe. The rate
 * is over the whole run, so that the remaining time does not jump about.
 *
 * A signal asks the job to stop at its next safe place. Its handler is taken away as it fires, so
 * a second Ctrl-C ends the process where it stands, which is safe too: nothing is ever half there.
 */
#include "cmd/progress.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "cmd/output.h"

#define DRAW_NS (100 * CLOCK_MS)
#define EVENT_NS CLOCK_S
#define SETTLE_NS (2 * CLOCK_S) /* before that a rate is a guess and remaining time a lie */
#define LINE_MAX_COLUMNS 400

static volatile sig_atomic_t stop_asked;

static struct {
	const char *title;
	bool terminal, drawn;
	const char *what;
	int64_t since, last;
	uint64_t base; /* done when this stage began */
} line;

static void
on_signal(int number)
{
	(void)number;
	stop_asked = 1;
}

static void
clear(void)
{
	if (line.drawn)
		fputs("\r\033[K", stderr);
	line.drawn = false;
}

static size_t
columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == -1 || size.ws_col == 0)
		return 80;
	return size.ws_col < LINE_MAX_COLUMNS ? size.ws_col : LINE_MAX_COLUMNS;
}

/* The whole line, cut to the terminal. */
static void
show(const char *text)
{
	/* The last column stays free: some terminals wrap when it is taken. */
	fprintf(stderr, "\r\033[K%.*s", (int)columns() - 1, text);
	line.drawn = true;
}

static void
draw_bytes(uint64_t done, uint64_t total, int64_t now)
{
	char text[LINE_MAX_COLUMNS], a[UNITS_TEXT], b[UNITS_TEXT];
	int64_t took = now - line.since;
	uint64_t moved = done >= line.base ? done - line.base : 0;
	double rate = took > 0 ? (double)moved * 1e9 / (double)took : 0;
	size_t at;

	at = (size_t)snprintf(text, sizeof(text), "%.100s: %.100s %s", line.title, line.what,
	    units_size(done, a));
	if (total > 0)
		at += (size_t)snprintf(text + at, sizeof(text) - at, " of %s, %d %%",
		    units_size(total, b), (int)(100.0 * (double)done / (double)total));
	if (took > 0)
		at += (size_t)snprintf(text + at, sizeof(text) - at, ", %s/s",
		    units_size((uint64_t)rate, a));
	if (took > SETTLE_NS && total > done && rate >= 1)
		snprintf(text + at, sizeof(text) - at, ", %s left",
		    units_duration((int64_t)((double)(total - done) / rate) * 1000, a));
	show(text);
}

static void
draw_count(uint64_t done, uint64_t total)
{
	char text[LINE_MAX_COLUMNS];
	int at = snprintf(text, sizeof(text), "%.100s: %.100s %" PRIu64, line.title, line.what, done);

	if (total > 0)
		snprintf(text + at, sizeof(text) - (size_t)at, " of %" PRIu64, total);
	show(text);
}

/* Is it time to tell of this stage again? */
static bool
due(const char *what, uint64_t done, int64_t now)
{
	if (!line.what || strcmp(line.what, what) != 0) {
		line.what = what;
		line.since = now;
		line.base = done;
		line.last = 0;
	}
	if (now - line.last < (line.terminal ? DRAW_NS : EVENT_NS))
		return false;
	line.last = now;
	return true;
}

static void
tell(const char *unit, uint64_t done, uint64_t total)
{
	output_event("progress", json_pack("{s:s, s:s, s:I, s:I}", "what", line.what, "unit", unit,
	    "done", (json_int_t)done, "total", (json_int_t)total));
}

static void
on_progress(void *arg, const char *what, uint64_t done, uint64_t total)
{
	int64_t now = clock_boot_ns();

	(void)arg;
	if (!due(what, done, now))
		return;
	if (line.terminal)
		draw_bytes(done, total, now);
	else
		tell("bytes", done, total);
}

static void
on_count(void *arg, const char *what, uint64_t done, uint64_t total)
{
	(void)arg;
	if (!due(what, done, clock_boot_ns()))
		return;
	if (line.terminal)
		draw_count(done, total);
	else
		tell("things", done, total);
}

static void
on_event(void *arg, const char *kind, const char *text)
{
	(void)arg;
	clear();
	if (strcmp(kind, "warning") == 0) {
		output_warn("%s", text);
		return;
	}
	output_event(kind, json_pack("{s:o}", "message", output_string(text)));
	output_note("%s", text);
}

static bool
on_stop(void *arg)
{
	(void)arg;
	return stop_asked;
}

static struct watch watch = { on_progress, on_count, on_event, on_stop, NULL, false };

const struct watch *
progress_start(const char *title)
{
	static const int asks[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction was, act = {
		.sa_handler = on_signal, .sa_flags = (int)(SA_RESETHAND | SA_RESTART)
	};

	memset(&line, 0, sizeof(line));
	line.title = title;
	line.terminal = isatty(STDERR_FILENO) && !output_is_json() && !output_is_quiet();
	watch.person = line.terminal;
	stop_asked = 0;
	for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
		/* nohup and a shell's & say: not for you. */
		if (sigaction(asks[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN)
			sigaction(asks[i], &act, NULL);
	}
	log_before_line(clear);
	return &watch;
}

void
progress_end(void)
{
	clear();
	log_before_line(NULL);
}
