/*
 * Every section and key of the configuration. Limits and defaults stand in the table as one would
 * write them, so that messages and the manual quote exactly what the reader may type. What a value
 * must look like for its type, and how it is stored, is conf_value.c's.
 */
#include "conf/conf_keys.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "conf/conf.h"

#define WORD_MAX 48	  /* names become parts of object names, which have room for 255 */
#define WORDS_MAX 64	  /* more keys than one section has; bounds a suggestion only */

const struct conf_section conf_keys_sections[] = {
	{ "ffdr", false, "this host", NULL },
	{ "keys", false, "what encrypts and signs the repository", NULL },
	{ "repository", false, "how backups are cut, packed and kept apart", NULL },
	{ "tier", true, "a place that holds a whole copy of the repository", NULL },
	{ "volume", true, "a directory tree to protect: the source vol.NAME", "vol." },
	{ "postgres", true, "a PostgreSQL server to protect: the source pg.NAME", "pg." },
	{ "coordination", false, "where hosts agree on who does what", NULL },
	{ NULL, false, NULL, NULL },
};

#define BIN_FOUND "looked for where packages put it"
#define BIN_NOTE                                                                                   \
	"Restore tests run the server of the same major version: postgres, pg_ctl and what is "    \
	"beside them, as in /usr/lib/postgresql/15/bin."
#define KEY(s, k, t, where, field, ...)                                                            \
	{                                                                                          \
		.section = s, .key = k, .type = t, .offset = offsetof(where, field), __VA_ARGS__   \
	}
/* What every kind of source has. */
#define SOURCE_TIERS(s, where)                                                                     \
	KEY(s, "tiers", CONF_LIST, where, tiers,                                                   \
	    .otherwise = "all tiers in the order of the file",                                     \
	    .summary = "the tiers that hold its snapshots, nearest first",                         \
	    .note = "ffdr backup writes to the first that is reachable, ffdr copy brings the "     \
		    "others what they take. Objects are read in that order, from an archive last.")
#define SOURCE_SITE(s, where)                                                                      \
	KEY(s, "site", CONF_WORD, where, site, .otherwise = "the site of [ffdr]",                  \
	    .summary = "where it stands")
#define SOURCE_KEEP(s, where, more)                                                                \
	KEY(s, "keep", CONF_DURATION, where, keep, .least = "1h", .forever = true,                 \
	    .otherwise = "as long as each tier keeps",                                             \
	    .summary = "how long its snapshots stay, when longer than the tier keeps",             \
	    .note = more "The word forever is allowed here.")

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
	KEY("ffdr", "nice", CONF_NUMBER, struct conf, nice, .value = "10", .least = "0", .most = "19",
	    .summary = "how far backups step back behind other programs",
	    .note = "The priority of backup, copy, verify, expire and gc, and of what they start: 0 is "
		    "that of everybody, 19 takes what nobody wants. A database beside a backup keeps "
		    "its processors, and a host with nothing else to do makes it as fast as ever. What "
		    "somebody waits for (restore, export, all of wal) does not step back."),
	KEY("ffdr", "run-as", CONF_WORD, struct conf, run_as, .value = "ffdr-verify",
	    .summary = "the user who runs PostgreSQL in restore tests",
	    .note = "Only where root runs ffdr: PostgreSQL refuses to be run by root. Every other user "
		    "runs it under the own name."),
	KEY("ffdr", "postgres.14", CONF_PATH, struct conf, postgres_bin[0], .otherwise = BIN_FOUND,
	    .summary = "directory of the programs of PostgreSQL 14", .note = BIN_NOTE),
	KEY("ffdr", "postgres.15", CONF_PATH, struct conf, postgres_bin[1], .otherwise = BIN_FOUND,
	    .summary = "directory of the programs of PostgreSQL 15", .note = BIN_NOTE),
	KEY("ffdr", "postgres.16", CONF_PATH, struct conf, postgres_bin[2], .otherwise = BIN_FOUND,
	    .summary = "directory of the programs of PostgreSQL 16", .note = BIN_NOTE),
	KEY("ffdr", "postgres.17", CONF_PATH, struct conf, postgres_bin[3], .otherwise = BIN_FOUND,
	    .summary = "directory of the programs of PostgreSQL 17", .note = BIN_NOTE),
	KEY("ffdr", "postgres.18", CONF_PATH, struct conf, postgres_bin[4], .otherwise = BIN_FOUND,
	    .summary = "directory of the programs of PostgreSQL 18", .note = BIN_NOTE),

	KEY("keys", "kek", CONF_SECRET, struct conf, kek, .secret = true, .passphrase = true,
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
	    .note = "The last way in when every other key is lost. A path alone is a file. An "
		    "empty value means none: "
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
		    "is noticed. s3://BUCKET/PREFIX is a bucket, or a part of it (s3://BUCKET is all "
		    "of it); the bucket must exist."),
	KEY("tier", "site", CONF_WORD, struct conf_tier, site, .otherwise = "the site of [ffdr]",
	    .summary = "where the tier stands"),
	KEY("tier", "driver", CONF_CHOICE, struct conf_tier, driver, .choices = "fs, s3, libs3",
	    .otherwise = "fs or s3, by the url", .summary = "the code that talks to the tier",
	    .note = "libs3 is for stores that know signature version 2 alone: it has no class, no lock, "
		    "and only one host may write to the tier."),
	KEY("tier", "endpoint", CONF_ENDPOINT, struct conf_tier, endpoint,
	    .otherwise = "that of AWS in the region",
	    .summary = "the server of an s3: tier, without the bucket"),
	KEY("tier", "region", CONF_TEXT, struct conf_tier, region, .otherwise = "us-east-1",
	    .summary = "the region of the bucket",
	    .note = "It is signed with every request. Stores that have no regions take any."),
	KEY("tier", "access-key", CONF_SECRET, struct conf_tier, access_key, .secret = true,
	    .otherwise = "the usual places", .summary = "the name of who we are to the store",
	    .note = "A reference, as secret-key is. Where both are absent: AWS_ACCESS_KEY_ID and "
		    "AWS_SECRET_ACCESS_KEY of the environment, the shared credentials file, a web "
		    "identity token, the container's service, the machine's metadata (version 2, at "
		    "AWS_EC2_METADATA_SERVICE_ENDPOINT where it is set). Its owner needs the rights to "
		    "list, get, put and delete in the bucket, and none to delete versions."),
	KEY("tier", "secret-key", CONF_SECRET, struct conf_tier, secret_key, .secret = true,
	    .otherwise = "the usual places", .summary = "the secret of access-key"),
	KEY("tier", "profile", CONF_TEXT, struct conf_tier, profile,
	    .otherwise = "what AWS_PROFILE says, or default",
	    .summary = "the section of the shared credentials file to use",
	    .note = "Where it is set, the environment's keys are not looked at."),
	KEY("tier", "style", CONF_CHOICE, struct conf_tier, style, .otherwise = "path",
	    .choices = "path, host", .summary = "where the bucket stands in an address",
	    .note = "path: https://SERVER/BUCKET, host: https://BUCKET.SERVER."),
	KEY("tier", "ca", CONF_PATH, struct conf_tier, ca, .otherwise = "those of the system",
	    .summary = "certificates to believe the store by, a file in PEM"),
	KEY("tier", "class", CONF_TEXT, struct conf_tier, class, .otherwise = "the bucket's",
	    .summary = "the class of storage for packs",
	    .note = "STANDARD_IA, GLACIER and what else the store has. Only packs go there, and with "
		    "GLACIER or DEEP_ARCHIVE the WAL, in bundles that copy brings: what is needed to "
		    "find one's way (manifests, keys, records) does not."),
	KEY("tier", "thaw", CONF_CHOICE, struct conf_tier, thaw, .otherwise = "standard",
	    .choices = "expedited, standard, bulk",
	    .summary = "how fast what lies in an archive is ordered back",
	    .note = "Faster costs more. From GLACIER expedited takes minutes, standard up to 5 hours, bulk "
		    "up to 12; from DEEP_ARCHIVE standard up to 12 hours and bulk up to 48, and there is "
		    "nothing faster: there expedited orders standard. What a restore needs is said with "
		    "its price before it is ordered; --thaw overrides this."),
	KEY("tier", "thaw-keep", CONF_DURATION, struct conf_tier, thaw_keep, .otherwise = "7d",
	    .least = "1d", .most = "365d", .summary = "how long what was ordered back stays readable",
	    .note = "In whole days. Longer than the restore takes, and a second try of it. Until then it "
		    "is stored twice, and paid for."),
	KEY("tier", "lock", CONF_CHOICE, struct conf_tier, lock, .otherwise = "none",
	    .choices = "none, governance, compliance",
	    .summary = "whether the store keeps objects from everybody until their time",
	    .note = "Object Lock: the bucket must have been made with it. Packs are locked for keep and "
		    "horizon, snapshots and WAL for keep, each some days longer, until the next "
		    "snapshot; a hold makes it no longer. compliance is for everybody, governance not "
		    "for who has a right of its own."),
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
	    .note = "Run by /bin/sh in a process group of its own, for at most 10 minutes, with "
		    "FFDR_SOURCE (vol.NAME) and FFDR_PATH in its environment; its failure fails the "
		    "backup, and Ctrl-C ends it. Remember that a semicolon after a blank begins a "
		    "comment."),
	KEY("volume", "after", CONF_TEXT, struct conf_volume, after, .none = true,
	    .otherwise = "nothing",
	    .summary = "command to run once the files were read",
	    .note = "Also when reading or before failed, so that what was frozen is thawed; as before, "
		    "and with FFDR_RESULT, which is done, partial or failed."),
	KEY("volume", "compare", CONF_CHOICE, struct conf_volume, compare, .value = "content",
	    .choices = "content, stat", .summary = "how unchanged files are recognised",
	    .note = "content reads every file. stat trusts a file whose inode, size, mtime and "
		    "ctime are those of the last snapshot and whose ctime is older than that "
		    "snapshot's start; content is read at least weekly all the same."),
	SOURCE_TIERS("volume", struct conf_volume),
	SOURCE_SITE("volume", struct conf_volume),
	SOURCE_KEEP("volume", struct conf_volume, ""),

	KEY("postgres", "conninfo", CONF_CONNINFO, struct conf_postgres, conninfo, .required = true,
	    .summary = "how to reach the server, as libpq takes it",
	    .note = "The user needs the attribute REPLICATION and the role pg_monitor; dbname "
		    "is where check-sql runs and functions are called. No password stands here: "
		    "~/.pgpass, passfile= and service= are for that, or a client certificate."),
	KEY("postgres", "method", CONF_CHOICE, struct conf_postgres, method, .value = "auto",
	    .choices = "auto, stream, local", .summary = "how a backup reads the server",
	    .note = "stream asks the server for everything, over a replication connection. local reads "
		    "the files of a server on this host, with several readers. auto is local where "
		    "data is set, else stream."),
	KEY("postgres", "data", CONF_PATH, struct conf_postgres, data,
	    .otherwise = "as the server says, when method is local",
	    .summary = "the server's data directory on this host",
	    .note = "ffdr must be allowed to read it: the user postgres, its group where the cluster "
		    "was made with group access, or root."),
	SOURCE_TIERS("postgres", struct conf_postgres),
	KEY("postgres", "wal", CONF_LIST, struct conf_postgres, wal, .none = true,
	    .otherwise = "the tiers of the source",
	    .summary = "the tiers that receive its WAL continuously",
	    .note = "A snapshot alone brings back the moment it was made; with the WAL behind it, every "
		    "later moment. An empty value means none: then what was written since the last "
		    "snapshot can be lost. A tier of class GLACIER or DEEP_ARCHIVE gets it by copy "
		    "alone, so another one has to be named with it."),
	KEY("postgres", "wal-from", CONF_CHOICE, struct conf_postgres, wal_from, .value = "stream",
	    .choices = "stream, push", .summary = "how the WAL comes",
	    .note = "stream: a service of ffdr receives it as it is written. push: the server's "
		    "archive_command hands over whole segments."),
	KEY("postgres", "ship-every", CONF_DURATION, struct conf_postgres, ship_every, .value = "30s",
	    .least = "1s", .summary = "how old received WAL may become before it goes to the tiers",
	    .note = "Whole segments go at once. Shorter loses less and makes more objects."),
	KEY("postgres", "replication-slot", CONF_SLOT_NAME, struct conf_postgres, slot,
	    .value = "ffdr_%H",
	    .summary = "the replication slot that keeps WAL until this host has it",
	    .note = "%H is this host's name in lower case, with _ for what a slot may not have in its "
		    "name: each host that receives WAL has a slot of its own. ffdr_hold is taken: it "
		    "keeps what has reached no tier off the host yet."),
	KEY("postgres", "backlog", CONF_SIZE, struct conf_postgres, backlog, .value = "50g",
	    .least = "64m", .summary = "how much WAL may wait in state while tiers are away"),
	KEY("postgres", "backlog-full", CONF_CHOICE, struct conf_postgres, backlog_full,
	    .value = "hold", .choices = "hold, drop-slot",
	    .summary = "what is done once backlog is reached",
	    .note = "hold: no more is taken and the server keeps its WAL, whose disk may fill in turn. "
		    "drop-slot: the server is let go; the hole is recorded and a new backup starts at "
		    "once."),
	KEY("postgres", "push-ack", CONF_NUMBER, struct conf_postgres, push_ack, .value = "1",
	    .least = "1", .most = "64",
	    .summary = "how many tiers must have a pushed segment while others are away",
	    .note = "Only then the server hears that it is archived. While all answer, all off this host "
		    "must have it."),
	KEY("postgres", "readers", CONF_NUMBER, struct conf_postgres, readers, .value = "2",
	    .least = "1", .most = "64", .summary = "how many files method = local reads at once",
	    .note = "More are faster on disks that can do it, and felt more by the server."),
	KEY("postgres", "rate", CONF_SIZE, struct conf_postgres, rate, .value = "0", .least = "64k",
	    .summary = "bytes a second that a backup may read from it; 0 means no limit"),
	KEY("postgres", "checkpoint", CONF_CHOICE, struct conf_postgres, checkpoint, .value = "fast",
	    .choices = "fast, spread", .summary = "the checkpoint that a backup begins with",
	    .note = "fast begins at once and writes hard for a moment. spread waits for one that the "
		    "server stretches over minutes (checkpoint_timeout and "
		    "checkpoint_completion_target)."),
	KEY("postgres", "check-sql", CONF_TEXT, struct conf_postgres, check_sql, .none = true,
	    .otherwise = "nothing is asked",
	    .summary = "a query that a restored server must answer with true",
	    .note = "Run in the database of conninfo by restore tests. Every column of every row must be "
		    "true, and there must be one: SELECT sum(amount) = 0 FROM ledger. Several questions "
		    "are several columns, or rows of a UNION ALL. Remember that a semicolon after a "
		    "blank begins a comment."),
	SOURCE_SITE("postgres", struct conf_postgres),
	SOURCE_KEEP("postgres", struct conf_postgres, "WAL stays as long as a snapshot needs it. "),

	KEY("coordination", "place", CONF_PLACE, struct conf, coord_place,
	    .otherwise = "file: and the directory 'coord' in state",
	    .summary = "where leases and epochs are kept",
	    .note = "file:/DIR, a directory. Hosts that share the work on a source must see the same "
		    "one; the default is right for one host."),
	KEY("coordination", "ttl", CONF_DURATION, struct conf, coord_ttl, .value = "30s", .least = "3s",
	    .most = "1h", .summary = "how long a lease holds without a word from its holder",
	    .note = "When a host dies, another takes over its work after so long, and skew."),
	KEY("coordination", "renew", CONF_DURATION, struct conf, coord_renew, .value = "10s",
	    .least = "1s", .most = "30m", .summary = "how often a holder renews its lease",
	    .note = "A third of ttl, so that one failure does not lose it."),
	KEY("coordination", "skew", CONF_DURATION, struct conf, coord_skew, .value = "5s",
	    .least = "1s", .most = "10m", .summary = "how far apart the hosts' clocks may be",
	    .note = "A lease of another host is taken over only so much later than it ended."),
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
conf_keys_elsewhere(const char *key)
{
	for (const struct conf_key *k = conf_keys_table; k->section; k++)
		if (strcmp(k->key, key) == 0)
			return k->section;
	return NULL;
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
	static const char *const words[] = { "kafka", "export", "point", "notify", "site",
		"objective", "dns", "approvals", "drill", "audit" };

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
