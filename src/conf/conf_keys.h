#ifndef CONF_CONF_KEYS_H
#define CONF_CONF_KEYS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * THE table of the configuration: every section and every key, once. Reading, checking, `config
 * show`, the manual and the completion walk it, so a key that is not here does not exist and one
 * that is here is explained.
 */
enum conf_type {
	CONF_TEXT,     /* const char *: anything */
	CONF_WORD,     /* const char *: a name, [a-z0-9_-]{1,48} */
	CONF_PATH,     /* const char *: an absolute path */
	CONF_URL,      /* const char *: where a tier lies */
	CONF_ENDPOINT, /* const char *: http://HOST[:PORT], or https */
	CONF_SECRET,   /* const char *: a reference (secret.h) */
	CONF_CHOICE,   /* const char *: one of `choices` */
	CONF_LIST,     /* const char *: words with commas between */
	CONF_BOOL,     /* bool: yes or no */
	CONF_SIZE,     /* uint64_t */
	CONF_DURATION, /* int64_t, milliseconds; -1 for "forever" where `forever` */
	CONF_NUMBER,   /* int64_t */
	CONF_CONNINFO, /* const char *: a connection string without a password (conninfo.h) */
	CONF_SLOT_NAME, /* const char *: a replication slot, with %H for the host */
	CONF_PLACE,    /* const char *: where hosts agree, file:/DIR */
};

struct conf_key {
	const char *section; /* "tier" */
	const char *key;     /* "keep" */
	enum conf_type type;
	size_t offset;	     /* in struct conf, or in the struct of a named section */
	const char *value;   /* the default as one writes it; NULL: none, or see `otherwise` */
	const char *otherwise; /* in words, a default that follows from other keys; or NULL */
	const char *choices; /* CONF_CHOICE: "content, stat" */
	const char *least, *most; /* limits as one writes them, or NULL */
	bool required;
	bool none;	     /* an empty value means none: a NULL */
	bool secret;	     /* never shown but as a reference */
	bool passphrase; /* of a secret: passphrase:REF will do */
	bool forever;
	const char *summary; /* one line for lists */
	const char *note;    /* the longer story for the manual; NULL: the summary says it all */
};

struct conf_section {
	const char *name;
	/* [tier NAME]: any number of them; their struct begins with the name */
	bool named;
	const char *summary;
	const char *source; /* what its sources begin with: "vol."; NULL: it holds none */
};

/* Both ended by a NULL in the first member; keys of one section stand together. */
extern const struct conf_section conf_keys_sections[];
extern const struct conf_key conf_keys_table[];

const struct conf_section *conf_keys_section(const char *name);
const struct conf_key *conf_keys_find(const char *section, const char *key);
/* For a wrong word: the key of that section, or the section, it may have meant; or NULL. */
const char *conf_keys_nearest(const char *section, const char *key);
const char *conf_keys_nearest_section(const char *name);
/* The first section that has a key of just that name; NULL: none. */
const char *conf_keys_elsewhere(const char *key);
/* Is it a section of a later version, which people may have read of? */
bool conf_keys_planned(const char *section);
/* 1 to 48 of a-z 0-9 _ - : the names of tiers, sources, sites. */
bool conf_keys_word_valid(const char *s);

#endif
