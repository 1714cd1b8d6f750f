/*
 * What is thawed costs money and hours, so it is added up before anything is ordered, by tier and class:
 * these have a price and a pace of their own. A pack that any tier has at hand is never ordered; one that
 * is ordered already is waited for and costs nothing again.
 */
#include "job/thaw_plan.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "job/cold.h"
#include "job/thaw.h"

static int
trouble(enum store_state s)
{
	return s == STORE_FROZEN ? 2 : s == STORE_THAWING ? 1 : 0;
}

const char *
thaw_plan_name(const struct thaw_pack *p, char out[LAYOUT_NAME])
{
	if (p->log)
		snprintf(out, LAYOUT_NAME, "%s", p->log->name);
	else
		layout_pack(p->sha, out);
	return out;
}

bool
thaw_plan_better(const struct thaw_pack *p, enum store_state is)
{
	return p->on == NULL || trouble(is) < trouble(p->is.state);
}

/* The share of that tier and class; where there are too many, the last takes the rest. */
static struct thaw_share *
share_of(struct thaw_plan *p, const struct thaw_pack *k, const struct thaw_wish *wish)
{
	const char *class = k->is.class[0] || !k->on->options.class ? k->is.class : k->on->options.class;
	struct thaw_share *s;

	for (size_t i = 0; i < p->shares; i++) {
		s = &p->share[i];
		if ((s->tier == k->on && strcmp(s->class, class) == 0) || i + 1 == THAW_PLAN_SHARES)
			return s;
	}
	s = &p->share[p->shares++];
	*s = (struct thaw_share){
		.tier = k->on,
		.speed = cold_speed_had(class, wish->speed ? cold_speed(wish->speed) : k->on->thaw),
		.days = wish->days > 0 ? wish->days : k->on->thaw_days,
	};
	snprintf(s->class, sizeof(s->class), "%s", class);
	return s;
}

void
thaw_plan(const struct thaw_pack *pack, size_t n, const struct thaw_wish *wish, struct thaw_plan *ret)
{
	struct thaw_share *s;

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < n; i++) {
		if (!pack[i].on || trouble(pack[i].is.state) == 0)
			continue;
		s = share_of(ret, &pack[i], wish);
		ret->log += pack[i].log != NULL;
		if (pack[i].is.state == STORE_THAWING) {
			s->waits++;
			s->waits_log += pack[i].log != NULL;
			ret->waits++;
			continue;
		}
		s->orders++;
		s->orders_log += pack[i].log != NULL;
		s->bytes += pack[i].size;
		ret->orders++;
		ret->bytes += pack[i].size;
	}
	for (size_t i = 0; i < ret->shares; i++) {
		s = &ret->share[i];
		s->wait_ms = cold_wait_ms(s->class, s->speed);
		s->price = cold_price(s->class, s->speed, s->orders, s->bytes, s->days);
	}
}

void
thaw_plan_count(size_t all, size_t log, struct buf *out)
{
	char n[UNITS_TEXT];

	if (all > log || log == 0)
		buf_adds(out, units_count(all - log, "pack", n));
	if (log > 0)
		buf_addf(out, "%s%s of WAL", all > log ? " and " : "", units_count(log, "bundle", n));
}

void
thaw_plan_say(const struct thaw_share *s, struct buf *out)
{
	char size[UNITS_TEXT], wait[UNITS_TEXT] = "";

	buf_reset(out);
	if (s->wait_ms > 0)
		units_duration(s->wait_ms, wait);
	if (s->orders > 0) {
		thaw_plan_count(s->orders, s->orders_log, out);
		buf_addf(out, ", %s, on %s", units_size(s->bytes, size), s->tier->name);
		buf_addf(out, "%s%s%s: ", s->class[0] ? " (" : "", s->class, s->class[0] ? ")" : "");
		buf_addf(out, "%s, readable %s%s, for %u day%s", cold_speed_word(s->speed),
		    wait[0] ? "within about " : "nobody knows when", wait, s->days,
		    s->days == 1 ? "" : "s");
		if (s->price >= 0 && s->price < 0.005)
			buf_adds(out, ", for less than 0.01 USD by " COLD_PRICES);
		else if (s->price >= 0)
			buf_addf(out, ", for about %.2f USD by " COLD_PRICES, s->price);
		else
			buf_adds(out, ", at a price that is not known");
	}
	if (s->waits > 0) {
		buf_adds(out, s->orders > 0 ? "; " : "");
		thaw_plan_count(s->waits, s->waits_log, out);
		buf_addf(out, " on %s %s ordered already%s%s", s->tier->name,
		    s->waits == 1 ? "is" : "are", wait[0] ? ": readable within about " : "", wait);
	}
}
