/*
 * "At most half goes" is there so that somebody can look before the other half follows, and that
 * takes a day, however often the timer runs. So what went is counted by the hour, and hours that
 * are a day old are forgotten. It is written before anything is removed: an interrupted run counts
 * what it had in mind, which errs towards keeping.
 */
#include "repo/lately.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "repo/layout.h"
#include "repo/lines.h"

#define FIRST_LINE "ffdr-expired"
#define MEMORY_MAX 4096
/* A timer of every day comes with some delay, now more, now less: it must not meet yesterday's. */
#define DAY_HOURS 20

struct hour {
	int64_t begin_ns;
	uint64_t count;
};
struct memory {
	struct hour hour[DAY_HOURS + 2]; /* oldest first */
	size_t hours;
	uint64_t sum;
};

static char *
path_of(const char *dir, const char *tier, const char *source)
{
	return xasprintf("%s/%s/%s", dir, tier, source);
}

/* One that is no longer of the day is left out; so is one of a clock that was ahead by more. */
static void
take_in(struct memory *m, struct hour h, int64_t now_ns)
{
	const int64_t day = DAY_HOURS * LAYOUT_HOUR_NS;

	if (h.begin_ns + day <= now_ns || h.begin_ns - day >= now_ns ||
	    m->hours == ARRAY_LEN(m->hour))
		return;
	m->hour[m->hours++] = h;
	m->sum += h.count;
}

struct taking {
	struct memory *m;
	int64_t now_ns;
};

static int
take_hours(void *arg, struct lines *l, struct err *e)
{
	struct taking *t = arg;
	struct hour h;

	while (lines_next_is(l, "hour")) {
		if (lines_take_time(l, "hour", &h.begin_ns, e) == -1 ||
		    lines_take_number(l, "gone", UINT32_MAX, &h.count, e) == -1)
			return -1;
		take_in(t->m, h, t->now_ns);
	}
	return 0;
}

static int
recall(const char *path, int64_t now_ns, struct memory *ret, struct err *e)
{
	struct taking t = { .m = ret, .now_ns = now_ns };

	*ret = (struct memory){ 0 };
	return lines_memory_read(path, MEMORY_MAX, FIRST_LINE,
	    "how many snapshots expired there within a day", take_hours, &t, e) == -1 ? -1 : 0;
}

static int
write_down(const char *path, const struct memory *m, struct err *e)
{
	char when[UNITS_TEXT];
	struct buf text;
	int rc;

	buf_init(&text, MEMORY_MAX);
	for (size_t i = 0; i < m->hours; i++)
		buf_addf(&text, "hour %s\ngone %" PRIu64 "\n", units_time(m->hour[i].begin_ns, when),
		    m->hour[i].count);
	rc = lines_memory_write(path, FIRST_LINE, &text, e);
	buf_done(&text);
	return rc;
}

int
lately_gone(const char *dir, const char *tier, const char *source, int64_t now_ns, size_t *ret,
    struct err *e)
{
	char *path = path_of(dir, tier, source);
	struct memory m;
	int rc = recall(path, now_ns, &m, e);

	*ret = m.sum;
	free(path);
	return rc;
}

int
lately_add(const char *dir, const char *tier, const char *source, int64_t now_ns, size_t n,
    struct err *e)
{
	const struct hour now = { now_ns - now_ns % LAYOUT_HOUR_NS, n };
	char *path = path_of(dir, tier, source);
	struct memory m;
	size_t i = 0;
	int rc = recall(path, now_ns, &m, e);

	while (i < m.hours && m.hour[i].begin_ns != now.begin_ns)
		i++;
	if (i < m.hours)
		m.hour[i].count += n;
	else
		take_in(&m, now, now_ns);
	if (rc == 0)
		rc = write_down(path, &m, e);
	free(path);
	return rc == -1 ? err_in(e, "remember what expires") : 0;
}
