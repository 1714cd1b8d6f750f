/*
 * A value of the configuration: checked, stored, printed back, and what was expected named. One
 * switch over the types does each, so a row of the table needs no code of its own.
 */
#include "conf/conf_value.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "conf/conf.h"
#include "conf/conninfo.h"
#include "conf/secret.h"

#define WORDS_MAX 64	  /* more choices than one key has; bounds a suggestion only */
#define FOREVER "forever" /* as a duration: -1 */
#define REFERENCES "credential:NAME, file:PATH, env:NAME"

void
conf_value_expected(const struct conf_key *k, struct buf *out)
{
	static const char *const what[] = {
		[CONF_TEXT] = "a text",
		[CONF_WORD] = "1 to 48 of a-z 0-9 _ -",
		[CONF_PATH] = "an absolute path",
		[CONF_URL] = "file:///DIR or s3://BUCKET/PREFIX",
		[CONF_ENDPOINT] = "https://HOST or http://HOST:PORT",
		[CONF_SECRET] = REFERENCES,
		[CONF_CHOICE] = "one of ",
		[CONF_LIST] = "words with commas between",
		[CONF_BOOL] = "yes or no",
		[CONF_SIZE] = "a size such as 32m or 100MB",
		[CONF_DURATION] = "a duration such as 30s, 4h or 7d",
		[CONF_NUMBER] = "a whole number",
		[CONF_CONNINFO] = "KEY=VALUE ... or postgresql://, without a password",
		[CONF_SLOT_NAME] = "1 to 63 of a-z 0-9 _, and %H for the host",
		[CONF_PLACE] = "file:/DIR",
	};

	buf_adds(out, what[k->type]);
	if (k->type == CONF_CHOICE)
		buf_adds(out, k->choices);
	if (k->type == CONF_SECRET)
		buf_adds(out, k->passphrase ? ", command:CMD or passphrase:REF" : " or command:CMD");
	if (k->none)
		buf_adds(out, "; empty: none");
	if (k->forever)
		buf_adds(out, ", or " FOREVER);
	if (k->least)
		buf_addf(out, ", at least %s", k->least);
	if (k->most)
		buf_addf(out, ", at most %s", k->most);
}

/* The whole of the refusal: the value (unless it may be a secret itself) and what is wanted. */
static int
refuse(const struct conf_key *k, const char *text, struct err *e)
{
	struct buf want;

	buf_init(&want, sizeof(e->text));
	conf_value_expected(k, &want);
	if (!*text)
		err_set(e, ERR_CONFIG, "has no value, expected %s", buf_str(&want));
	else if (k->type == CONF_DURATION && text[strspn(text, "0123456789")] == '\0' &&
	    strcmp(text, "0") != 0)
		err_set(e, ERR_CONFIG, "'%s' has no unit, expected %s", text, buf_str(&want));
	else
		err_set(e, ERR_CONFIG, "'%s' is not right, expected %s", text, buf_str(&want));
	buf_done(&want);
	return -1;
}

/* A bucket as every store takes it, and names below it as an object may have them. */
static int
store_bucket(const char *text, const char *bucket, struct err *e)
{
	size_t n = strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-");
	const char *p = bucket + n;

	if (n < 3 || n > 63 || (*p != '\0' && *p != '/'))
		return err_set(e, ERR_CONFIG, "'%s' names no bucket, expected s3://BUCKET or "
		    "s3://BUCKET/PREFIX, the bucket of 3 to 63 of a-z 0-9 . -", text);
	if (strstr(p, "//") || strstr(p, "/.") || (*p && p[strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789./_-")] != '\0'))
		return err_set(e, ERR_CONFIG, "'%s': expected a prefix of A-Z a-z 0-9 . _ - and single "
		    "slashes, no part with a dot in front", text);
	return 0;
}

static int
store_endpoint(const struct conf_key *k, const char *text, struct err *e)
{
	const char *host = strstr(text, "://");

	if (strncmp(text, "https://", 8) != 0 && strncmp(text, "http://", 7) != 0)
		return refuse(k, text, e);
	host += 3;
	if (*host == '\0' || host[strcspn(host, "/?# ")] != '\0')
		return refuse(k, text, e);
	return 0;
}

static int
store_url(const struct conf_key *k, const char *text, struct err *e)
{
	static const char file[] = "file://", s3[] = "s3://";
	const char *path, *colon = strstr(text, "://");

	if (!colon)
		return refuse(k, text, e);
	if (strncmp(text, s3, strlen(s3)) == 0)
		return store_bucket(text, text + strlen(s3), e);
	if (strncmp(text, file, strlen(file)) != 0)
		return err_set(e, ERR_CONFIG, "'%.*s' is not a kind of tier known here, "
		    "expected file or s3", (int)(colon - text), text);
	path = text + strlen(file);
	if (*path != '/')
		return err_set(e, ERR_CONFIG, "'%s' names a host, expected file:///DIR with three "
		    "slashes", text);
	if (strchr(path, '%'))
		return err_set(e, ERR_CONFIG, "'%s' has a %% in it, expected file:///DIR as the directory "
		    "is called, without %%", text);
	if (path[strspn(path, "/")] == '\0')
		return err_set(e, ERR_CONFIG, "'%s' is the root directory, expected one below it",
		    text);
	return 0;
}

/* A name with %H in it, as far as it can be judged without the host. */
static int
store_slot(const struct conf_key *k, const char *text, struct err *e)
{
	size_t n = 0;

	for (const char *p = text; *p; p++, n++) {
		if (p[0] == '%' && p[1] == 'H')
			p++;
		else if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789_", *p))
			return refuse(k, text, e);
	}
	if (n >= CONF_SLOT)
		return refuse(k, text, e);
	if (strcmp(text, CONF_SLOT_HOLD) == 0)
		return err_set(e, ERR_CONFIG, "'%s' is kept for all hosts together, expected another "
		    "name", text);
	return 0;
}

static int
store_place(const struct conf_key *k, const char *text, struct err *e)
{
	static const char file[] = "file:";
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789");

	if (text[n] != ':' || n == 0)
		return refuse(k, text, e);
	if (strncmp(text, file, strlen(file)) != 0)
		return err_set(e, ERR_CONFIG, "'%.*s' is not a kind of place known here, expected file",
		    (int)n, text);
	return text[strlen(file)] == '/' ? 0 : refuse(k, text, e);
}

/* Words apart, as the table writes them. */
static int
store_choice(const struct conf_key *k, const char *text, struct err *e)
{
	const char *words[WORDS_MAX + 1] = { NULL }, *near;
	struct text_list list;
	bool found = false;
	size_t i;

	text_split(k->choices, &list);
	for (i = 0; i < list.count && i < WORDS_MAX; i++) {
		words[i] = list.item[i];
		found = found || strcmp(list.item[i], text) == 0;
	}
	near = text_nearest(text, words);
	if (!found && near)
		err_set(e, ERR_CONFIG, "'%s' is not one of %s, did you mean %s?", text, k->choices,
		    near);
	else if (!found)
		refuse(k, text, e);
	text_list_done(&list);
	return found ? 0 : -1;
}

static int
parse_bool(const char *text, bool *ret)
{
	static const char *const no_yes[2][3] = { { "no", "false", "off" },
		{ "yes", "true", "on" } };
	size_t i;

	for (i = 0; i < 6; i++) {
		if (strcmp(no_yes[i / 3][i % 3], text) == 0) {
			*ret = i / 3 == 1;
			return 0;
		}
	}
	return -1;
}

/* A number of any of the three kinds, without its limits. */
static int
parse_number(const struct conf_key *k, const char *text, int64_t *ret)
{
	uint64_t size;
	char *end;

	switch (k->type) {
	case CONF_SIZE:
		if (units_parse_size(text, &size, NULL) == -1 || size > INT64_MAX)
			return -1;
		*ret = (int64_t)size;
		return 0;
	case CONF_DURATION:
		return units_parse_duration(text, ret, NULL);
	default:
		errno = 0;
		*ret = strtoll(text, &end, 10);
		return errno == 0 && *text >= '0' && *text <= '9' && *end == '\0' ? 0 : -1;
	}
}

static int
store_number(const struct conf_key *k, void *at, const char *text, struct err *e)
{
	int64_t v, limit;

	if (k->forever && strcmp(text, FOREVER) == 0) {
		*(int64_t *)at = -1;
		return 0;
	}
	if (parse_number(k, text, &v) == -1)
		return refuse(k, text, e);
	/* The default is always allowed: 0 for "no limit" lies below what is sensible otherwise. */
	if (!k->value || strcmp(text, k->value) != 0) {
		if (k->least && parse_number(k, k->least, &limit) == 0 && v < limit)
			return refuse(k, text, e);
		if (k->most && parse_number(k, k->most, &limit) == 0 && v > limit)
			return refuse(k, text, e);
	}
	if (k->type == CONF_SIZE)
		*(uint64_t *)at = (uint64_t)v;
	else
		*(int64_t *)at = v;
	return 0;
}

/* Whether a text is what its row wants; an empty one was dealt with. */
static int
check_text(const struct conf_key *k, const char *text, struct err *e)
{
	struct secret_ref ref;

	switch (k->type) {
	case CONF_WORD:
		return conf_keys_word_valid(text) ? 0 : refuse(k, text, e);
	case CONF_PATH:
		return *text == '/' ? 0 : refuse(k, text, e);
	case CONF_URL:
		return store_url(k, text, e);
	case CONF_ENDPOINT:
		return store_endpoint(k, text, e);
	case CONF_SECRET:
		if (secret_parse(text, &ref, e) == -1)
			return -1;
		return ref.kind != SECRET_PASSPHRASE || k->passphrase ? 0 : refuse(k, text, e);
	case CONF_CHOICE:
		return store_choice(k, text, e);
	case CONF_CONNINFO:
		return conninfo_check(text, e);
	case CONF_SLOT_NAME:
		return store_slot(k, text, e);
	case CONF_PLACE:
		return store_place(k, text, e);
	default:
		return 0;
	}
}

int
conf_value_store(const struct conf_key *k, void *base, const char *text, struct err *e)
{
	void *at = (char *)base + k->offset;

	switch (k->type) {
	case CONF_BOOL:
		return parse_bool(text, at) == 0 ? 0 : refuse(k, text, e);
	case CONF_SIZE:
	case CONF_DURATION:
	case CONF_NUMBER:
		return store_number(k, at, text, e);
	default:
		break;
	}
	if (!*text && k->none) {
		*(const char **)at = NULL;
		return 0;
	}
	if (!*text)
		return refuse(k, text, e);
	if (check_text(k, text, e) == -1)
		return -1;
	*(const char **)at = text;
	return 0;
}

void
conf_value_print(const struct conf_key *k, const void *base, struct buf *out)
{
	const void *at = (const char *)base + k->offset;
	struct secret_ref ref;
	char text[UNITS_TEXT];
	const char *s;
	int64_t v;

	switch (k->type) {
	case CONF_BOOL:
		buf_adds(out, *(const bool *)at ? "yes" : "no");
		return;
	case CONF_SIZE:
		buf_adds(out, units_size_key(*(const uint64_t *)at, text));
		return;
	case CONF_NUMBER:
		buf_addf(out, "%lld", (long long)*(const int64_t *)at);
		return;
	case CONF_DURATION:
		v = *(const int64_t *)at;
		if (v == -1)
			buf_adds(out, FOREVER);
		else if (v != 0)
			buf_adds(out, units_duration_key(v, text));
		return;
	default:
		s = *(const char *const *)at;
		/* What is no reference could only be the secret itself. */
		if (s && k->secret && secret_parse(s, &ref, NULL) == -1)
			s = "(hidden)";
		buf_adds(out, s ? s : "");
		return;
	}
}
