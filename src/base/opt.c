/*
 * The command line by a table. Written here and not with getopt_long because the same rows make
 * the help, the manual and the completion, and because a wrong option at three in the morning
 * deserves the name of the right one.
 */
#include "base/opt.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"

#define OPT_ROWS 64 /* more options than any command should have; only bounds the suggestion */

static const struct opt *
find_name(const struct opt *table, const char *name, size_t len)
{
	for (; table->name; table++)
		if (strlen(table->name) == len && strncmp(table->name, name, len) == 0)
			return table;
	return NULL;
}

static const struct opt *
find_letter(const struct opt *table, char letter)
{
	for (; table->name; table++)
		if (table->letter && table->letter == letter)
			return table;
	return NULL;
}

static int
unknown(const struct opt *table, const char *name, size_t len, struct err *e)
{
	const char *names[OPT_ROWS + 1] = { NULL }, *near;
	char *word = xstrndup(name, len);
	size_t n;

	for (n = 0; n < OPT_ROWS && table[n].name; n++)
		names[n] = table[n].name;
	near = text_nearest(word, names);
	if (near)
		err_set(e, ERR_USAGE, "unknown option '--%s', did you mean --%s?", word, near);
	else
		err_set(e, ERR_USAGE, "unknown option '--%s'", word);
	free(word);
	return -1;
}

static int
to_number(const char *s, int64_t *ret)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(s, &end, 10);
	if (errno != 0 || end == s || *end != '\0' || strchr(" \t\n\v\f\r+", *s))
		return -1;
	*ret = v;
	return 0;
}

/* Stores one value; the rows say where. */
static int
store(const struct opt *o, void *into, const char *value, struct err *e)
{
	void *at = (char *)into + o->offset;
	struct opt_list *list;
	int rc = 0;

	switch (o->type) {
	case OPT_FLAG:
		*(bool *)at = true;
		break;
	case OPT_STRING:
		*(const char **)at = value;
		break;
	case OPT_SIZE:
		rc = units_parse_size(value, at, e);
		break;
	case OPT_DURATION:
		rc = units_parse_duration(value, at, e);
		break;
	case OPT_NUMBER:
		if (to_number(value, at) == -1)
			rc = err_set(e, ERR_USAGE, "'%s' is not a whole number", value);
		break;
	case OPT_LIST:
		list = at;
		list->item = xreallocarray(list->item, list->count + 1, sizeof(*list->item));
		list->item[list->count++] = value;
		break;
	}
	if (rc == -1) {
		err_in(e, "--%s", o->name);
		if (e)
			e->kind = ERR_USAGE;
	}
	return rc;
}

static int
missing_value(const struct opt *o, struct err *e)
{
	return err_set(e, ERR_USAGE, "option --%s needs a value: --%s %s", o->name, o->name,
	    o->value ? o->value : "VALUE");
}

/* --name, --name=VALUE, --name VALUE. Returns how many arguments were used, or -1. */
static int
parse_long(const struct opt *table, void *into, char **argv, int left, struct err *e)
{
	const char *name = argv[0] + 2;
	size_t len = strcspn(name, "=");
	const struct opt *o = find_name(table, name, len);
	const char *value = name[len] == '=' ? name + len + 1 : NULL;

	if (!o)
		return unknown(table, name, len, e);
	if (o->type == OPT_FLAG) {
		if (value)
			return err_set(e, ERR_USAGE, "option --%s takes no value", o->name);
		return store(o, into, NULL, e) == -1 ? -1 : 1;
	}
	if (value)
		return store(o, into, value, e) == -1 ? -1 : 1;
	if (left < 2)
		return missing_value(o, e);
	return store(o, into, argv[1], e) == -1 ? -1 : 2;
}

/* -n, several flags as -nv, -tVALUE, -t VALUE. Returns how many arguments were used, or -1. */
static int
parse_letters(const struct opt *table, void *into, char **argv, int left, struct err *e)
{
	const struct opt *o;
	const char *p;

	for (p = argv[0] + 1; *p; p++) {
		o = find_letter(table, *p);
		if (!o)
			return err_set(e, ERR_USAGE, "unknown option '-%c' in '%s'", *p, argv[0]);
		if (o->type != OPT_FLAG)
			break;
		if (store(o, into, NULL, e) == -1)
			return -1;
	}
	if (!*p)
		return 1;
	if (p[1])
		return store(o, into, p + 1, e) == -1 ? -1 : 1;
	if (left < 2)
		return missing_value(o, e);
	return store(o, into, argv[1], e) == -1 ? -1 : 2;
}

int
opt_parse(const struct opt *table, void *into, int argc, char **argv, struct err *e)
{
	int operands = 0, i = 1, used;

	while (i < argc) {
		if (strcmp(argv[i], "--") == 0) {
			for (i++; i < argc; i++)
				argv[operands++] = argv[i];
			break;
		}
		if (argv[i][0] != '-' || argv[i][1] == '\0') {
			argv[operands++] = argv[i++];
			continue;
		}
		if (argv[i][1] == '-')
			used = parse_long(table, into, argv + i, argc - i, e);
		else
			used = parse_letters(table, into, argv + i, argc - i, e);
		if (used == -1)
			return -1;
		i += used;
	}
	return operands;
}

void
opt_list_done(struct opt_list *list)
{
	free(list->item);
	list->item = NULL;
	list->count = 0;
}
