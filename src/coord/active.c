/*
 * Who is primary, and the counter that orders its changes. Numbers of the counter are given once;
 * a caller whose answer was lost just takes another one, so numbers may be skipped and never shared.
 */
#include "coord/active.h"

#include <stdio.h>
#include <string.h>

#include "coord/fields.h"

#define COUNTER "epoch"
#define NAME_MAX_ACTIVE 128
#define TRIES 1000 /* each failed one means that somebody else got a number */
#define MEMBER(m) offsetof(struct active, m), sizeof(((struct active *)0)->m)

static const struct fields active_fields[] = {
	{ "epoch", FIELDS_U32, MEMBER(epoch) },
	{ "site", FIELDS_TEXT, MEMBER(site) },
	{ "system-id", FIELDS_U64, MEMBER(sysid) },
	{ "timeline", FIELDS_U32, MEMBER(tli) },
	{ "fork", FIELDS_LSN, MEMBER(fork_lsn) },
	{ NULL, FIELDS_TEXT, 0, 0 },
};
static const struct fields counter_fields[] = {
	{ "epoch", FIELDS_U32, MEMBER(epoch) },
	{ NULL, FIELDS_TEXT, 0, 0 },
};

/* 1 read, 0 none (all zeros), -1. */
static int
look(struct coord *c, const char *name, const struct fields *table, struct active *ret,
    struct err *e)
{
	struct active a = { 0 };
	struct buf text;
	int rc;

	buf_init(&text, COORD_MAX);
	rc = coord_get(c, name, &text, a.etag, e);
	if (rc == 1 && fields_read(table, &text, &a, e) == -1)
		rc = -1;
	buf_done(&text);
	if (rc == -1)
		return err_in(e, "'%s' of the coordination place", name);
	*ret = a;
	return rc;
}

static int
change(struct coord *c, const char *name, const struct fields *table, struct active *a,
    struct err *e)
{
	struct buf text;
	int rc;

	buf_init(&text, COORD_MAX);
	fields_write(table, a, &text);
	rc = a->etag[0] == '\0' ? coord_create(c, name, text.data, text.len, a->etag, e) :
	    coord_swap(c, name, a->etag, text.data, text.len, e);
	buf_done(&text);
	return rc == -1 ? err_in(e, "'%s' of the coordination place", name) : rc;
}

int
active_get(struct coord *c, const char *source, struct active *ret, struct err *e)
{
	char name[NAME_MAX_ACTIVE];

	snprintf(name, sizeof(name), "active/%s", source);
	return look(c, name, active_fields, ret, e);
}

int
active_set(struct coord *c, const char *source, struct active *a, struct err *e)
{
	char name[NAME_MAX_ACTIVE];
	struct active there;

	snprintf(name, sizeof(name), "active/%s", source);
	if (look(c, name, active_fields, &there, e) == -1)
		return -1;
	if (strcmp(there.etag, a->etag) != 0)
		return 0;
	if (there.epoch > a->epoch)
		return err_set(e, ERR_REFUSED, "'%s' is at epoch %u, which does not go back to %u",
		    name, there.epoch, a->epoch);
	return change(c, name, active_fields, a, e);
}

int
active_epoch(struct coord *c, uint32_t *ret, struct err *e)
{
	struct active a;

	if (look(c, COUNTER, counter_fields, &a, e) == -1)
		return -1;
	*ret = a.epoch;
	return 0;
}

int
active_epoch_raise(struct coord *c, uint32_t *ret, struct err *e)
{
	struct active a;

	for (int i = 0; i < TRIES; i++) {
		int rc;

		if (look(c, COUNTER, counter_fields, &a, e) == -1)
			return -1;
		if (a.epoch == UINT32_MAX)
			return err_set(e, ERR_FULL, "the counter of epochs is at its end");
		a.epoch++;
		rc = change(c, COUNTER, counter_fields, &a, e);
		if (rc == 1)
			*ret = a.epoch;
		if (rc != 0)
			return rc == 1 ? 0 : -1;
	}
	return err_set(e, ERR_BUSY, "the counter of epochs changes faster than it can be raised");
}
