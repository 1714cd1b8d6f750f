/*
 * Torture for everything above a store: arm it for call 1, 2, 3 ... until the work under test
 * succeeds without a strike, and look after each that nothing was lost. It calls the inner driver
 * itself and not store_put and its like, so that the patience under test is the one above.
 */
#include "tests/lib/faultstore.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

struct faultstore {
	struct store store;
	struct store *inner;
	struct fault fault;
	unsigned calls;
	unsigned struck;
};

static struct faultstore *
fault_of(struct store *s)
{
	return (struct faultstore *)s;
}

/* The fault of this call, FAULT_NONE when it is not its turn. Kill and delay happen here. */
static enum fault_kind
turn(struct store *s, const char *op)
{
	struct faultstore *f = fault_of(s);
	unsigned times = f->fault.times == 0 ? 1 : f->fault.times;

	if (f->fault.kind == FAULT_NONE || (f->fault.op != NULL && strcmp(f->fault.op, op) != 0))
		return FAULT_NONE;
	f->calls++;
	if (f->calls < f->fault.at || f->calls - f->fault.at >= times)
		return FAULT_NONE;
	f->struck++;
	if (f->fault.kind == FAULT_KILL)
		raise(SIGKILL);
	if (f->fault.kind == FAULT_DELAY)
		clock_sleep_ns(f->fault.delay_ns);
	return f->fault.kind;
}

/* True when the call is to fail without being made. */
static bool
refused(enum fault_kind kind, struct err *e)
{
	switch (kind) {
	case FAULT_REMOTE:
		err_set(e, ERR_REMOTE, "fault: no answer");
		return true;
	case FAULT_IO:
		err_set(e, ERR_IO, "fault: input/output error");
		return true;
	case FAULT_FULL:
		err_set(e, ERR_FULL, "fault: no space");
		return true;
	default:
		return false;
	}
}

/* The end of a call that was made: rc, or the loss of it. */
static int
answer(enum fault_kind kind, int rc, struct err *e)
{
	return kind == FAULT_AFTER ? err_set(e, ERR_REMOTE, "fault: answer lost") : rc;
}

static int
fault_open(const struct store_options *o, struct store **ret, struct err *e)
{
	(void)o;
	(void)ret;
	return err_set(e, ERR_BUG, "a store with faults is made by faultstore_new");
}

static int
fault_put(struct store *s, const char *name, const void *data, size_t len,
    const uint8_t *sha, enum store_put how, struct err *e)
{
	struct store *in = fault_of(s)->inner;
	enum fault_kind kind = turn(s, "put");

	if (refused(kind, e))
		return -1;
	if (kind == FAULT_LIE)
		return 1;
	return answer(kind, in->ops->put(in, name, data, len, sha, how, e), e);
}

static int
fault_get(struct store *s, const char *name, uint64_t off, uint64_t len, struct buf *out,
    struct err *e)
{
	struct store *in = fault_of(s)->inner;
	enum fault_kind kind = turn(s, "get");
	size_t start = out->len, got;

	if (refused(kind, e) || in->ops->get(in, name, off, len, out, e) == -1)
		return -1;
	got = out->len - start;
	if (kind == FAULT_SHORT)
		buf_cut(out, out->len - (got + 2) / 3);
	if (kind == FAULT_FLIP && got > 0)
		out->data[start + got / 2] ^= 0x10;
	if (kind == FAULT_MIDDLE) {
		buf_cut(out, out->len - got / 2);
		return err_set(e, ERR_REMOTE, "fault: connection lost");
	}
	return answer(kind, 0, e);
}

static int
fault_stat(struct store *s, const char *name, struct store_stat *ret, struct err *e)
{
	struct store *in = fault_of(s)->inner;
	enum fault_kind kind = turn(s, "stat");

	if (refused(kind, e))
		return -1;
	return answer(kind, in->ops->stat(in, name, ret, e), e);
}

struct counting {
	unsigned left; /* entries to let through */
	unsigned seen;
	store_seen *to;
	void *arg;
};

static int
count_entry(void *arg, const struct store_entry *entry, struct err *e)
{
	struct counting *c = arg;

	c->seen++;
	if (c->to == NULL)
		return 0;
	if (c->left-- == 0)
		return err_set(e, ERR_REMOTE, "fault: connection lost");
	return c->to(c->arg, entry, e);
}

static int
fault_list(struct store *s, const char *prefix, const char *after, store_seen *seen, void *arg,
    struct err *e)
{
	struct store *in = fault_of(s)->inner;
	enum fault_kind kind = turn(s, "list");
	struct counting c = { 0 };

	if (refused(kind, e))
		return -1;
	if (kind == FAULT_MIDDLE) {
		if (in->ops->list(in, prefix, after, count_entry, &c, e) == -1)
			return -1;
		c = (struct counting){ .left = c.seen / 2, .to = seen, .arg = arg };
		if (in->ops->list(in, prefix, after, count_entry, &c, e) == -1)
			return -1;
		return err_set(e, ERR_REMOTE, "fault: connection lost");
	}
	return answer(kind, in->ops->list(in, prefix, after, seen, arg, e), e);
}

static int
fault_del(struct store *s, const char *name, struct err *e)
{
	struct store *in = fault_of(s)->inner;
	enum fault_kind kind = turn(s, "del");

	if (refused(kind, e))
		return -1;
	if (kind == FAULT_LIE)
		return 1;
	return answer(kind, in->ops->del(in, name, e), e);
}

static int
fault_clock(struct store *s, int64_t *ret_ns, struct err *e)
{
	struct store *in = fault_of(s)->inner;
	enum fault_kind kind = turn(s, "clock");

	if (refused(kind, e))
		return -1;
	return answer(kind, in->ops->clock(in, ret_ns, e), e);
}

static int
fault_probe(struct store *s, const char *place, struct store_abilities *ret, struct err *e)
{
	struct store *in = fault_of(s)->inner;

	return in->ops->probe(in, place, ret, e);
}

static bool
fault_replaced(struct store *s)
{
	return store_replaced(fault_of(s)->inner);
}

static void
fault_close(struct store *s)
{
	store_close(fault_of(s)->inner);
	free(s);
}

static const struct store_ops fault_ops = {
	.scheme = "fault",
	.name = "fault",
	.open = fault_open,
	.put = fault_put,
	.get = fault_get,
	.stat = fault_stat,
	.list = fault_list,
	.del = fault_del,
	.clock = fault_clock,
	.probe = fault_probe,
	.replaced = fault_replaced,
	.close = fault_close,
};

struct store *
faultstore_new(struct store *inner)
{
	struct faultstore *f = xcalloc(1, sizeof(*f));

	f->store.ops = &fault_ops;
	f->store.options = inner->options;
	f->inner = inner;
	return &f->store;
}

struct store *
faultstore_inner(struct store *s)
{
	return fault_of(s)->inner;
}

void
faultstore_arm(struct store *s, const struct fault *fault)
{
	struct faultstore *f = fault_of(s);

	f->fault = *fault;
	f->calls = 0;
	f->struck = 0;
}

unsigned
faultstore_calls(const struct store *s)
{
	return ((const struct faultstore *)s)->calls;
}

unsigned
faultstore_struck(const struct store *s)
{
	return ((const struct faultstore *)s)->struck;
}
