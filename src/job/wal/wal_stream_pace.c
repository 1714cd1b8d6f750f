/*
 * How often what came is flushed. Where a commit waits for it, at once. Where nobody does, what comes
 * within some milliseconds is one write, one flush and one answer: a server that commits without end
 * would else have this host flush as often as it does itself, for nobody. It is safe as soon as the
 * tiers have it, and they are told once in ship-every.
 */
#include "base/clock.h"
#include "job/wal/wal_stream_parts.h"

#define GATHER_NS (10 * CLOCK_MS)
/* So much is worth a flush of its own: a server that has much to send is not held up. */
#define GATHER_ENOUGH (UINT64_C(64) << 10)
#define ASK_NS CLOCK_S
#define ASK_FAILED_NS (30 * CLOCK_S) /* it may have cost a moment, for which a commit waited */

/*
 * Only when something just came: to ask a server that is cut off would hold up the shipping. One that
 * cannot be asked may be waiting.
 */
static void
ask(struct stream *s)
{
	const int64_t now = clock_boot_ns();
	struct err why = { 0 };
	int got;

	if (now < s->waited_boot_ns)
		return;
	got = wal_receive_waited(s->receive, s->sql, &why);
	s->waited = got != 0;
	s->waited_boot_ns = now + (got == -1 ? ASK_FAILED_NS : ASK_NS);
}

void
wal_stream_pace(struct stream *s, uint64_t bytes)
{
	if (bytes == 0 || bytes >= GATHER_ENOUGH)
		return;
	ask(s);
	if (!s->waited)
		clock_sleep_ns(GATHER_NS);
}
