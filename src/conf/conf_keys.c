/*
 * Every section and key of the configuration, and what can be done with a row: check and store a
 * value, print it back, name what was expected. Limits and defaults stand in the table as one
 * would write them, so that messages and the manual quote exactly what the reader may type.
 */
#include "conf/conf_keys.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"
#include "conf/conf.h"
#include "conf/secret.h"

#define WORD_MAX 48	  /* names become parts of object names, which have room for 255 */
#define WORDS_MAX 64	  /* more keys or choices than one section has; bounds a suggestion only */
#define FOREVER "forever" /* as a duration: -1 */

const struct conf_section conf_keys_sections[] = {
	{ "ffdr", false, "this host" },
	{ "keys", false, "what encrypts and signs the repository" },
	{ "repository", false, "how backups are cut, packed and kept apart" },
	{ "tier", true, "a place that holds a whole copy of the repository" },
	{ "volume", true, "a directory tree to protect: the source vol.NAME" },
	{ NULL, false, NULL },
};

#define REFERENCES "credential:NAME, file:PATH, env:NAME, command:CMD or passphrase:REF"
#define KEY(s, k, t, where, field, ...)                                                            \
	{                                                                                          \
		.section = s, .key = k, .type = t, .offset = offsetof(where, field), __VA_ARGS__   \
	}

const struct conf_key conf_keys_table[] = {
	KEY("ffdr", "site", CONF_WORD, struct conf, site, .value = "default",
	    .summary = "where this host stands",
	    .note = "Hosts of one region or data centre share one name. Tiers and sources are at "
		    "this site unless they say otherwise."),
	KEY("ffdr", "state", CONF_PATH, struct conf, state, .value = "/var/lib/ffdr",
	    .summary = "directory for caches and what waits to be shipped",
	    .note = "All of it but what has not been shipped yet can be rebuilt; it may be empty "
		    "at each start. Where nothing can be kept in it, what reads works all the same and a "
		    "backup is degraded; what removes refuses."),
	KEY("ffdr", "scratch", CONF_PATH, struct conf, scratch,
	    .otherwise = "the directory 'scratch' in state",
	    .summary = "directory for restore tests",
	    .note = "Needs room for the largest source that is restored for proof."),
	KEY("ffdr", "credentials", CONF_PATH, struct conf, credentials,
	    .otherwise = "the directory 'credentials' beside the main file",
	    .summary = "directory where credential:NAME is looked for",
	    .note = "$CREDENTIALS_DIRECTORY, which systemd sets, is looked at first."),

	KEY("keys", "kek", CONF_SECRET, struct conf, kek, .secret = true,
	    .value = "credential:ffdr-kek",
	    .summary = "the key that unlocks the repository's keys",
	    .note = "32 random bytes; or passphrase:REF, a reference to a passphrase the key is "
		    "made from. Without it, or the private half of escrow, no backup can be "
		    "read: keep a copy in another place. ffdr init makes the file that a file: "
		    "or credential: reference names."),
	KEY("keys", "signing", CONF_SECRET, struct conf, signing, .secret = true,
	    .value = "credential:ffdr-signing",
	    .summary = "Ed25519 key in PEM that signs snapshots",
	    .note = "A host that only restores needs no more than its public half."),
	KEY("keys", "escrow", CONF_SECRET, struct conf, escrow, .value = "/etc/ffdr/escrow.pem",
	    .none = true,
	    .summary = "RSA public key whose private half lies in a safe",
	    .note = "The last way in when every other key is lost. An empty value means none: "
		    "then a lost kek is the end of all backups."),

	KEY("repository", "horizon", CONF_DURATION, struct conf, horizon, .value = "30d",
	    .least = "7d",
	    .summary = "how long an object that nothing names any more stays",
	    .note = "Longer than any backup, copy or restore takes and any host sleeps. Shorter "
		    "saves space, longer forgives more."),
	KEY("repository", "pack-size", CONF_SIZE, struct conf, pack_size, .value = "32m",
	    .least = "16m", .most = "128m", .summary = "size of the objects that hold data",
	    .note = "Larger means fewer requests, smaller means less to send again."),
	KEY("repository", "level", CONF_NUMBER, struct conf, level, .value = "1", .least = "1",
	    .most = "19", .summary = "zstd compression level",
	    .note = "1 is the fastest; above 9 the gain is small and the time is not."),
	KEY("repository", "workers", CONF_NUMBER, struct conf, workers, .value = "0",
	    .least = "0", .most = "256", .summary = "threads that compress and encrypt",
	    .note = "0 means one for each processor this host may use."),

	KEY("tier", "url", CONF_URL, struct conf_tier, url, .required = true,
	    .summary = "where the tier lies",
	    .note = "file:///DIR is a directory of this host, or a mounted one. ffdr init makes "
		    "it; after that it must be there, so that a file system which is not mounted "
		    "is noticed."),
	KEY("tier", "site", CONF_WORD, struct conf_tier, site, .otherwise = "the site of [ffdr]",
	    .summary = "where the tier stands"),
	KEY("tier", "driver", CONF_CHOICE, struct conf_tier, driver, .choices = "fs",
	    .otherwise = "the one for the url", .summary = "the code that talks to the tier"),
	KEY("tier", "shared", CONF_BOOL, struct conf_tier, shared, .value = "no",
	    .summary = "whether a file: tier is mounted on several hosts",
	    .note = "A file: tier belongs to its host and is shown as NAME@HOST unless it is "
		    "shared."),
	KEY("tier", "takes", CONF_CHOICE, struct conf_tier, takes,
	    .choices = "all, hourly, daily, weekly",
	    .otherwise = "the longest not above rpo; all without rpo",
	    .summary = "which snapshots are copied to the tier",
	    .note = "The newest snapshot once in each period."),
	KEY("tier", "keep", CONF_DURATION, struct conf_tier, keep, .value = "30d", .least = "1h",
	    .summary = "how long snapshots stay on the tier"),
	KEY("tier", "rpo", CONF_DURATION, struct conf_tier, rpo, .least = "1s",
	    .otherwise = "no promise",
	    .summary = "how old the newest snapshot on the tier may become"),
	KEY("tier", "rto", CONF_DURATION, struct conf_tier, rto, .least = "1s",
	    .otherwise = "no promise", .summary = "how long a restore from the tier may take"),
	KEY("tier", "rate", CONF_SIZE, struct conf_tier, rate, .value = "0", .least = "64k",
	    .summary = "bytes a second to and from the tier; 0 means no limit"),

	KEY("volume", "path", CONF_PATH, struct conf_volume, path, .required = true,
	    .summary = "the directory to protect",
	    .note = "Tiers, the state directory, the credentials and key files are left out of it, "
		    "wherever they lie, and no restore in place touches them."),
	KEY("volume", "exclude", CONF_LIST, struct conf_volume, exclude, .none = true,
	    .otherwise = "nothing",
	    .summary = "patterns of what is left out",
	    .note = "With * ? and [..], which do not match a slash, and ** which does. A pattern "
		    "with a slash in front or inside is tied to the volume's root, one without "
		    "is that name at any depth; a slash at the end means directories only, with "
		    "all below them."),
	KEY("volume", "one-file-system", CONF_BOOL, struct conf_volume, one_file_system,
	    .value = "no", .summary = "whether to stay on the file system of path",
	    .note = "Mount points below are then kept as empty directories."),
	KEY("volume", "before", CONF_TEXT, struct conf_volume, before, .none = true,
	    .otherwise = "nothing",
	    .summary = "command to run before the files are read",
	    .note = "Run by /bin/sh; its failure fails the backup. Remember that a semicolon "
		    "after a blank begins a comment."),
	KEY("volume", "after", CONF_TEXT, struct conf_volume, after, .none = true,
	    .otherwise = "nothing",
	    .summary = "command to run once the files were read",
	    .note = "Also when reading failed, so that what was frozen is thawed."),
	KEY("volume", "compare", CONF_CHOICE, struct conf_volume, compare, .value = "content",
	    .choices = "content, stat", .summary = "how unchanged files are recognised",
	    .note = "content reads every file. stat trusts a file whose inode, size, mtime and "
		    "ctime are those of the last snapshot and whose ctime is older than that "
		    "snapshot's start; content is read at least weekly all the same."),
	KEY("volume", "tiers", CONF_LIST, struct conf_volume, tiers,
	    .otherwise = "all tiers in the order of the file",
	    .summary = "the tiers that hold the source, nearest first",
	    .note = "ffdr backup writes to the first that is reachable, ffdr copy brings the "
		    "others what they take."),
	KEY("volume", "site", CONF_WORD, struct conf_volume, site,
	    .otherwise = "the site of [ffdr]", .summary = "where the volume stands"),
	KEY("volume", "keep", CONF_DURATION, struct conf_volume, keep, .least = "1h",
	    .forever = true, .otherwise = "as long as each tier keeps",
	    .summary = "how long its snapshots stay, when longer than the tier keeps",
	    .note = "The word forever is allowed here."),
	{ .section = NULL },
};

const struct conf_section *
conf_keys_section(const char *name)
{
	const struct conf_section *s;

	for (s = conf_keys_sections; s->name; s++)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

const struct conf_key *
conf_keys_find(const char *section, const char *key)
{
	const struct conf_key *k;

	for (k = conf_keys_table; k->section; k++)
		if (strcmp(k->section, section) == 0 && strcmp(k->key, key) == 0)
			return k;
	return NULL;
}

const char *
conf_keys_nearest(const char *section, const char *key)
{
	const char *words[WORDS_MAX + 1] = { NULL };
	const struct conf_key *k;
	size_t n = 0;

	for (k = conf_keys_table; k->section && n < WORDS_MAX; k++)
		if (strcmp(k->section, section) == 0)
			words[n++] = k->key;
	return text_nearest(key, words);
}

const char *
conf_keys_nearest_section(const char *name)
{
	const char *words[WORDS_MAX + 1] = { NULL };
	size_t n;

	for (n = 0; conf_keys_sections[n].name && n < WORDS_MAX; n++)
		words[n] = conf_keys_sections[n].name;
	return text_nearest(name, words);
}

bool
conf_keys_planned(const char *section)
{
	static const char *const words[] = { "postgres", "kafka", "export", "point", "notify",
		"coordination", "site", "objective", "dns", "approvals", "drill", "audit" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(words[i], section) == 0)
			return true;
	return false;
}

bool
conf_keys_word_valid(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n <= WORD_MAX && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == n;
}

void
conf_keys_expected(const struct conf_key *k, struct buf *out)
{
	static const char *const what[] = {
		[CONF_TEXT] = "a text",
		[CONF_WORD] = "1 to 48 of a-z 0-9 _ -",
		[CONF_PATH] = "an absolute path",
		[CONF_URL] = "file:///DIR",
		[CONF_SECRET] = REFERENCES,
		[CONF_CHOICE] = "one of ",
		[CONF_LIST] = "words with commas between",
		[CONF_BOOL] = "yes or no",
		[CONF_SIZE] = "a size such as 32m or 100MB",
		[CONF_DURATION] = "a duration such as 30s, 4h or 7d",
		[CONF_NUMBER] = "a whole number",
	};

	buf_adds(out, what[k->type]);
	if (k->type == CONF_CHOICE)
		buf_adds(out, k->choices);
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
	conf_keys_expected(k, &want);
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

static int
store_url(const struct conf_key *k, const char *text, struct err *e)
{
	static const char file[] = "file://";
	const char *path, *colon = strstr(text, "://");

	if (!colon)
		return refuse(k, text, e);
	if (strncmp(text, file, strlen(file)) != 0)
		return err_set(e, ERR_CONFIG, "'%.*s' is not a kind of tier known here, "
		    "expected file", (int)(colon - text), text);
	path = text + strlen(file);
	if (*path != '/')
		return err_set(e, ERR_CONFIG, "'%s' names a host, expected file:///DIR with three "
		    "slashes", text);
	if (path[strspn(path, "/")] == '\0')
		return err_set(e, ERR_CONFIG, "'%s' is the root directory, expected one below it",
		    text);
	return 0;
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
	case CONF_SECRET:
		return secret_parse(text, &ref, e);
	case CONF_CHOICE:
		return store_choice(k, text, e);
	default:
		return 0;
	}
}

int
conf_keys_store(const struct conf_key *k, void *base, const char *text, struct err *e)
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
conf_keys_print(const struct conf_key *k, const void *base, struct buf *out)
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
