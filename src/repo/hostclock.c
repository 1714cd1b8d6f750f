/*
 * On a `file:` tier the clock that all ages are counted by is this host's own, and there may be
 * nobody else to ask. But within one boot the kernel has a second clock, which nobody can set: real
 * time that moves otherwise was set. Across boots little is certain: it is not earlier than it was,
 * nor earlier than what is stored. That it is not much later is no certainty, for a host may be off
 * for long, but a battery that died and a year mistyped look the same, and then a person is asked.
 *
 * What would surprise: a clock that is set right looks like one that is set wrong. So a person is
 * asked then, too. And the newest thing stored that was seen while the clock was believed is
 * remembered: another host's manifest from the future must not stop this one at each boot. Where
 * nothing is remembered (the disk was replaced, and perhaps the battery with it), or what is cannot be
 * read, what is stored stands for the last run.
 */
#include "repo/hostclock.h"

#include <fcntl.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "base/units.h"
#include "repo/lines.h"

#define FIRST_LINE "ffdr-clock"
#define CLOCK_TEXT 512
#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_TEXT 64

/* ---- the decision ---- */

static bool
same_boot(const struct hostclock *a, const struct hostclock *b)
{
	static const uint8_t unknown[HOSTCLOCK_BOOT];

	return memcmp(a->boot, unknown, HOSTCLOCK_BOOT) != 0 &&
	    memcmp(a->boot, b->boot, HOSTCLOCK_BOOT) == 0;
}

/* By how much real time moved otherwise than the boot-time clock. */
static int64_t
drift(const struct hostclock *was, const struct hostclock *now)
{
	return (now->real_ns - was->real_ns) - (now->boot_ns - was->boot_ns);
}

enum hostclock_verdict
hostclock_judge(const struct hostclock *was, const struct hostclock *now)
{
	int64_t known_ns = was == NULL ? 0 : was->newest_ns;

	if (was != NULL && same_boot(was, now))
		return drift(was, now) > LAYOUT_SKEW_NS || drift(was, now) < -LAYOUT_SKEW_NS ?
		    HOSTCLOCK_SET : HOSTCLOCK_RIGHT;
	if (was != NULL && now->real_ns < was->real_ns - LAYOUT_SKEW_NS)
		return HOSTCLOCK_BACK;
	if (was != NULL && now->real_ns > was->real_ns + HOSTCLOCK_OFF_NS)
		return HOSTCLOCK_AWAY;
	if (now->newest_ns > known_ns && now->real_ns < now->newest_ns - LAYOUT_SKEW_NS)
		return HOSTCLOCK_PAST;
	if (was == NULL && now->newest_ns > 0 && now->real_ns > now->newest_ns + HOSTCLOCK_OFF_NS)
		return HOSTCLOCK_LATE;
	return HOSTCLOCK_RIGHT;
}

/* ---- what is known ---- */

/* "xxxxxxxx-xxxx-..." without the dashes; zeros where it cannot be had. */
static void
read_boot(uint8_t out[HOSTCLOCK_BOOT])
{
	char hex[TEXT_HEX(HOSTCLOCK_BOOT)];
	struct buf text;
	size_t n = 0;

	memset(out, 0, HOSTCLOCK_BOOT);
	buf_init(&text, BOOT_ID_TEXT);
	if (file_get(AT_FDCWD, BOOT_ID, &text, NULL) == 0) {
		for (const char *p = buf_str(&text); *p != '\0' && n < sizeof(hex) - 1; p++)
			if (*p != '-' && *p != '\n')
				hex[n++] = *p;
		hex[n] = '\0';
		if (text_unhex(hex, out, HOSTCLOCK_BOOT) == -1)
			memset(out, 0, HOSTCLOCK_BOOT);
	}
	buf_done(&text);
}

static void
look(int64_t newest_ns, struct hostclock *ret)
{
	*ret = (struct hostclock){
		.real_ns = clock_real_ns(), .boot_ns = clock_boot_ns(), .newest_ns = newest_ns,
	};
	read_boot(ret->boot);
}

static int
take_clock(void *arg, struct lines *l, struct err *e)
{
	struct hostclock *c = arg;
	uint64_t boot_ns;

	if (lines_take_time(l, "real", &c->real_ns, e) == -1 ||
	    lines_take_hex(l, "boot", c->boot, HOSTCLOCK_BOOT, e) == -1 ||
	    lines_take_number(l, "uptime-ns", INT64_MAX, &boot_ns, e) == -1 ||
	    lines_take_time(l, "newest", &c->newest_ns, e) == -1)
		return -1;
	c->boot_ns = (int64_t)boot_ns;
	return 0;
}

/* 1/0/-1 */
static int
read_memory(const char *path, struct hostclock *ret, struct err *e)
{
	return lines_memory_read(path, CLOCK_TEXT, FIRST_LINE,
	    "the clock of this host; see that that is right", take_clock, ret, e);
}

/* One that cannot be read is as good as none: what holds for a host without a memory holds then. */
static bool
recall(const char *path, struct hostclock *ret)
{
	*ret = (struct hostclock){ 0 };
	return read_memory(path, ret, NULL) == 1;
}

/* ---- saying so ---- */

static int
refuse(enum hostclock_verdict v, const struct hostclock *was, const struct hostclock *now,
    struct err *e)
{
	char a[UNITS_TEXT], b[UNITS_TEXT];
	bool stored = v == HOSTCLOCK_PAST || v == HOSTCLOCK_LATE;
	int64_t apart = v == HOSTCLOCK_SET ? drift(was, now) : stored ?
	    now->real_ns - now->newest_ns : now->real_ns - was->real_ns;

	units_duration((apart < 0 ? -apart : apart) / CLOCK_MS, a);
	if (v == HOSTCLOCK_SET)
		err_set(e, ERR_REFUSED, "the clock of this host was set %s %s, so no age can be trusted "
		    "and nothing is removed", apart < 0 ? "back by" : "ahead by", a);
	else
		err_set(e, ERR_REFUSED, "the clock of this host is %s %s, so no age can be trusted and "
		    "nothing is removed", a, v == HOSTCLOCK_BACK ? "behind the last run" :
		    v == HOSTCLOCK_AWAY ? "ahead of the last run" : v == HOSTCLOCK_PAST ?
		    "behind what is stored" : "ahead of what is stored, and remembers no last run");
	if (stored)
		err_line(e, "checked", "this host %s, the newest manifest %s", units_time(now->real_ns, a),
		    units_time(now->newest_ns, b));
	else
		err_line(e, "checked", "this host %s, the last run %s", units_time(now->real_ns, a),
		    units_time(was->real_ns, b));
	if (v == HOSTCLOCK_SET)
		err_line(e, "checked", "since then %s have passed by the boot-time clock",
		    units_duration((now->boot_ns - was->boot_ns) / CLOCK_MS, a));
	return err_line(e, "fix", "set the clock right (NTP); if it is right now, tell so once: "
	    "`ffdr expire --yes-the-clock-is-right`");
}

int
hostclock_check(const char *path, int64_t newest_ns, struct err *e)
{
	struct hostclock was = { 0 }, now;
	enum hostclock_verdict v;
	bool known = recall(path, &was);

	look(newest_ns, &now);
	v = hostclock_judge(known ? &was : NULL, &now);
	return v == HOSTCLOCK_RIGHT ? 0 : refuse(v, &was, &now, e);
}

bool
hostclock_remembered(const char *path)
{
	struct hostclock was;

	return recall(path, &was);
}

int
hostclock_damaged(const char *path, struct err *e)
{
	struct hostclock was;

	return read_memory(path, &was, e) == -1;
}

static int
write_down(const char *path, const struct hostclock *c, struct err *e)
{
	char real[UNITS_TEXT], newest[UNITS_TEXT], boot[TEXT_HEX(HOSTCLOCK_BOOT)];
	struct buf text;
	int rc;

	buf_init(&text, CLOCK_TEXT);
	buf_addf(&text, "%s 1\nreal %s\nboot %s\nuptime-ns %lld\nnewest %s\n", FIRST_LINE,
	    units_time(c->real_ns, real), text_hex(c->boot, HOSTCLOCK_BOOT, boot),
	    (long long)c->boot_ns, units_time(c->newest_ns, newest));
	rc = file_put(AT_FDCWD, path, text.data, text.len, 0640, FILE_REPLACE, e);
	buf_done(&text);
	return rc == -1 ? err_in(e, "remember the clock") : 0;
}

int
hostclock_doubt(const char *path, int64_t newest_ns, struct err *e)
{
	const struct hostclock then = { .real_ns = newest_ns, .newest_ns = newest_ns + CLOCK_S - 1 };

	return write_down(path, &then, e);
}

int
hostclock_remember(const char *path, int64_t newest_ns, struct err *e)
{
	struct hostclock was = { 0 }, now;

	if (newest_ns == 0 && !recall(path, &was))
		was.newest_ns = 0;
	/* To the second above: what was seen now must not look newer when it is seen again. */
	look(newest_ns == 0 ? was.newest_ns : newest_ns + CLOCK_S - 1, &now);
	return write_down(path, &now, e);
}
