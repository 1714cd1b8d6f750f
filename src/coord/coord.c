/*
 * The table of drivers, and what they need not check each: names and lengths. A driver is one file
 * and one row here. Unlike with a store there is no second try in here: whoever holds a lease knows
 * how long it has for one.
 */
#include "coord/coord.h"

#include <string.h>

#include "coord/coord_file.h"
#include "store/store.h"

const struct coord_ops *const coord_drivers[] = {
	&coord_file,
	NULL,
};

int
coord_open(const char *place, struct coord **ret, struct err *e)
{
	size_t n = strcspn(place, ":");
	struct err unwanted;

	if (e == NULL)
		e = &unwanted;
	for (size_t i = 0; coord_drivers[i] != NULL; i++)
		if (strlen(coord_drivers[i]->scheme) == n && place[n] == ':' &&
		    memcmp(coord_drivers[i]->scheme, place, n) == 0)
			return coord_drivers[i]->open(place, ret, e);
	err_set(e, ERR_CONFIG, "coordination place '%s': no driver for it", place);
	for (size_t i = 0; coord_drivers[i] != NULL; i++)
		err_line(e, "known", "%s:", coord_drivers[i]->scheme);
	return -1;
}

void
coord_close(struct coord *c)
{
	if (c != NULL)
		c->ops->close(c);
}

/* Part by part as in a store, and none of them hidden: those are the drivers' own. */
static int
check(const char *name, size_t n, struct err *e)
{
	if (!store_name_valid(name) || name[0] == '.' || strstr(name, "/.") != NULL)
		return err_set(e, ERR_BUG, "'%s' is no name in the coordination place", name);
	if (n > COORD_MAX)
		return err_set(e, ERR_BUG, "'%s': %zu bytes, at most %u are for a text of the "
		    "coordination place", name, n, COORD_MAX);
	return 0;
}

int
coord_get(struct coord *c, const char *name, struct buf *out, char etag[COORD_ETAG],
    struct err *e)
{
	struct err unwanted;

	if (e == NULL)
		e = &unwanted;
	return check(name, 0, e) == -1 ? -1 : c->ops->get(c, name, out, etag, e);
}

int
coord_create(struct coord *c, const char *name, const void *data, size_t n, char etag[COORD_ETAG],
    struct err *e)
{
	struct err unwanted;

	if (e == NULL)
		e = &unwanted;
	return check(name, n, e) == -1 ? -1 : c->ops->create(c, name, data, n, etag, e);
}

int
coord_swap(struct coord *c, const char *name, char etag[COORD_ETAG], const void *data, size_t n,
    struct err *e)
{
	struct err unwanted;

	if (e == NULL)
		e = &unwanted;
	return check(name, n, e) == -1 ? -1 : c->ops->swap(c, name, etag, data, n, e);
}
