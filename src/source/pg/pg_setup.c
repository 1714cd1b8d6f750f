/*
 * A backup made on one machine starts on another only when nothing in its configuration points
 * outside. Such lines are commented out, never removed, and each is told. Recovery is set in
 * postgresql.auto.conf, which the server reads last, and old settings of that kind are taken out. A
 * bound in postgresql.conf would be a second one and keep the server from starting: it goes, too.
 */
#include "source/pg/pg_setup.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "source/pg/pg_conf.h"

#define CONFIG_MAX (4u << 20)
#define CONFIG_FILE "postgresql.conf"
#define AUTO_FILE "postgresql.auto.conf"
#define FILE_MODE 0600

static void __attribute__((format(printf, 2, 3)))
tell(const struct pg_setup_options *o, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	o->tell(o->arg, text);
}

static char *
in_data(const struct pg_setup_options *o, const char *name)
{
	return xasprintf("%s/%s", o->data, name);
}

static bool
has(const struct pg_setup_options *o, const char *name)
{
	char *path = in_data(o, name);
	bool there = access(path, F_OK) == 0;

	free(path);
	return there;
}

static int
put(const struct pg_setup_options *o, const char *name, const struct buf *text, struct err *e)
{
	char *path = in_data(o, name);
	int rc = buf_check(text, name, e);

	if (rc == 0 &&
	    file_put(AT_FDCWD, path, text->data ? text->data : (const uint8_t *)"", text->len,
		FILE_MODE, FILE_REPLACE, e) == -1)
		rc = -1;
	if (rc == 0 && geteuid() == 0 && chown(path, o->uid, o->gid) == -1)
		rc = err_sys(e, "give '%s' to its owner", path);
	free(path);
	return rc;
}

static int
get(const struct pg_setup_options *o, const char *name, struct buf *text, struct err *e)
{
	char *path = in_data(o, name);
	struct err why = { 0 };
	int rc = file_get(AT_FDCWD, path, text, &why);

	if (rc == -1 && why.kind == ERR_NOTFOUND)
		rc = 0;
	else if (rc == -1 && e)
		*e = why;
	free(path);
	return rc;
}

/* ---- postgresql.conf ---- */

/* Where the server's own things lie is said by where it is started. */
static const char *const places[] = { "data_directory", "hba_file", "ident_file", "config_file",
	"external_pid_file", NULL };
/* Of an earlier recovery: even one that is set to nothing counts as a second one. */
static const char *const bounds[] = { "recovery_target", "recovery_target_lsn",
	"recovery_target_time", "recovery_target_name", "recovery_target_xid", NULL };
/* Files that may not be here: the line goes unless they are. */
static const char *const files[] = { "ssl_cert_file", "ssl_key_file", "ssl_ca_file", "ssl_crl_file",
	"ssl_crl_dir", "ssl_dh_params_file", "krb_server_keyfile", "include", "include_dir",
	"stats_temp_directory", "log_directory", NULL };
/* No file says them: they are what the server was built or initialised with, or what it counted. */
static const char *const inner[] = { "block_size", "data_checksums", "data_directory_mode",
	"debug_assertions", "effective_wal_level", "huge_pages_status", "in_hot_standby",
	"integer_datetimes", "max_function_args", "max_identifier_length", "max_index_keys",
	"num_os_semaphores", "segment_size", "server_encoding", "server_version",
	"server_version_num", "shared_memory_size", "shared_memory_size_in_huge_pages",
	"ssl_library", "wal_block_size", "wal_segment_size", "lc_collate", "lc_ctype",
	"transaction_isolation", "transaction_read_only", "transaction_deferrable",
	"application_name", "client_encoding", NULL };

static bool
named(const struct pg_conf_line *l, const char *const *list)
{
	for (; *list; list++)
		if (pg_conf_line_is(l, *list))
			return true;
	return false;
}

/* As the server would look for it. */
static bool
is_there(const struct pg_setup_options *o, const char *path)
{
	char *whole = path[0] == '/' ? xstrdup(path) : in_data(o, path);
	bool there = access(whole, F_OK) == 0;

	free(whole);
	return there;
}

/* A list of directories for sockets: is one of them missing? */
static bool
lacks_directory(const char *list)
{
	char *copy = xstrdup(list), *at = copy, *one;
	bool lacks = false;

	while ((one = strsep(&at, ",")) != NULL) {
		one += strspn(one, " ");
		lacks |= one[0] == '/' && access(one, F_OK) == -1;
	}
	free(copy);
	return lacks;
}

static bool
points_outside(void *arg, const struct pg_conf_line *l)
{
	const struct pg_setup_options *o = arg;
	const char *value = buf_str(&l->value);
	bool drops = named(l, places) || named(l, bounds) ||
	    (named(l, files) && !is_there(o, value)) ||
	    (pg_conf_line_is(l, "unix_socket_directories") && lacks_directory(value));

	if (drops)
		tell(o, "%s: '%.*s = %s' is commented out: it is not of this place", CONFIG_FILE,
		    (int)l->keylen, l->key, value);
	return drops;
}

/* TLS is on and there is no certificate: no server would start. */
static void
without_certificate(const struct pg_setup_options *o, struct buf *text)
{
	struct pg_conf_line l;
	bool on = false, found = is_there(o, "server.crt");
	const char *p = buf_str(text);

	pg_conf_line_init(&l);
	while (*p) {
		size_t n = strcspn(p, "\n");

		if (pg_conf_line_read(p, n, &l)) {
			if (pg_conf_line_is(&l, "ssl"))
				on = strcmp(buf_str(&l.value), "on") == 0;
			if (pg_conf_line_is(&l, "ssl_cert_file"))
				found = is_there(o, buf_str(&l.value));
		}
		p += n + (p[n] == '\n');
	}
	pg_conf_line_done(&l);
	if (on && !found) {
		pg_conf_set(text, "ssl", "off");
		tell(o, "%s: ssl is off, because its certificate is not here", CONFIG_FILE);
	}
}

/* A configuration out of single settings. */
static void
make_config(const struct pg_setup_options *o, struct buf *text)
{
	struct pg_conf_line l;

	buf_adds(text, "# Made by ffdr out of the settings that the server had.\n");
	pg_conf_line_init(&l);
	for (size_t i = 0; i < o->settings; i++) {
		l.key = o->setting[i].name;
		l.keylen = strlen(l.key);
		if (!named(&l, inner) && !named(&l, places))
			pg_conf_set(text, o->setting[i].name, o->setting[i].value);
	}
	pg_conf_line_done(&l);
}

static bool
is_include(void *arg, const struct pg_conf_line *l)
{
	static const char *const word[] = { "include", "include_if_exists", "include_dir", NULL };

	(void)arg;
	return named(l, word);
}

/*
 * What the directory itself does not have: the text of the file that lay elsewhere, with what its
 * includes said, or a made one.
 */
static void
foreign_config(const struct pg_setup_options *o, struct buf *text)
{
	if (o->config &&
	    pg_conf_filter(o->config, strlen(o->config), false, is_include, NULL, text) == 0)
		return;
	make_config(o, text);
}

static int
write_config(const struct pg_setup_options *o, struct err *e)
{
	const bool there = has(o, CONFIG_FILE);
	struct buf before, after;
	int rc = 0;

	buf_init(&before, CONFIG_MAX);
	buf_init(&after, CONFIG_MAX);
	if (there)
		rc = get(o, CONFIG_FILE, &before, e);
	else
		foreign_config(o, &before);
	if (rc == 0) {
		size_t dropped = pg_conf_filter(
		    buf_str(&before), before.len, false, points_outside, (void *)o, &after);
		size_t len = after.len;

		without_certificate(o, &after);
		if (!there)
			tell(o, "%s was made %s", CONFIG_FILE,
			    o->config ? "of the one that lay elsewhere"
				      : "of the settings that the server had");
		if (!there || dropped > 0 || after.len > len)
			rc = put(o, CONFIG_FILE, &after, e);
	}
	buf_done(&before);
	buf_done(&after);
	return rc;
}

/* ---- who may come in ---- */

static int
write_access(const struct pg_setup_options *o, const char *name, const char *text,
    const char *without, struct err *e)
{
	struct buf out;
	int rc;

	if (has(o, name))
		return 0;
	buf_init(&out, CONFIG_MAX);
	if (text)
		pg_conf_filter(text, strlen(text), false, is_include, NULL, &out);
	else
		buf_adds(&out, without);
	rc = put(o, name, &out, e);
	if (rc == 0)
		tell(o, "%s was made%s", name,
		    text ? " of the one that lay elsewhere" : ": the backup has none");
	buf_done(&out);
	return rc;
}

/* ---- the recovery ---- */

/* Of earlier recoveries, or of the place the server had in a cluster. */
static const char *const stale[] = { "recovery_target_inclusive", "recovery_target_timeline",
	"recovery_target_action", "restore_command", "recovery_end_command",
	"archive_cleanup_command", "promote_trigger_file", "recovery_min_apply_delay", NULL };
static const char *const cluster[] = { "primary_conninfo", "primary_slot_name", NULL };

static bool
is_stale(void *arg, const struct pg_conf_line *l)
{
	const struct pg_setup_options *o = arg;

	return named(l, bounds) || named(l, stale) ||
	    (!o->standby && !o->adopt && named(l, cluster)) ||
	    (!o->adopt &&
		(pg_conf_line_is(l, "archive_mode") ||
		    pg_conf_line_is(l, "synchronous_standby_names")));
}

/*
 * What is for this recovery alone goes when it has ended: the server itself would not mind, but its
 * standbys are copies of its directory, and would look for the bound, on a timeline that is not theirs.
 * The server runs it once, when it is promoted, in its data directory. As a new file under the old
 * name, for a crash must not leave half of it; ALTER SYSTEM may have written it anew meanwhile, so the
 * lines are known by their keys.
 */
#define OVER                                                                                       \
	"sed -E '/^(# Set by ffdr restore|restore_command|recovery_target[a-z_]*|"                  \
	"recovery_end_command|archive_cleanup_command|recovery_min_apply_delay|"                    \
	"promote_trigger_file|hot_standby = .off.$)/d' " AUTO_FILE " > " AUTO_FILE                  \
	".ffdr && { sync " AUTO_FILE ".ffdr || sync; } && mv -f " AUTO_FILE ".ffdr " AUTO_FILE

static void
add_end_command(const struct pg_setup_options *o, struct buf *text)
{
	struct buf command;

	buf_init(&command, CONFIG_MAX);
	buf_addf(&command, "%s%s" OVER, o->end_command, *o->end_command ? "; " : "");
	pg_conf_set(text, "recovery_end_command", buf_str(&command));
	buf_done(&command);
}

/* Is anybody to look at it before it is promoted? */
static bool
looked_at(const struct pg_setup_options *o)
{
	for (size_t i = 0; i < o->targets; i++)
		if (strcmp(o->target[i].key, "recovery_target_action") == 0)
			return strcmp(o->target[i].value, "pause") == 0;
	return o->standby;
}

static void
add_recovery(const struct pg_setup_options *o, struct buf *text)
{
	buf_adds(text, "# Set by ffdr restore; goes when the recovery has ended.\n");
	pg_conf_set(text, "restore_command", o->restore_command);
	for (size_t i = 0; i < o->targets; i++)
		pg_conf_set(text, o->target[i].key, o->target[i].value);
	if (o->standby)
		pg_conf_set(text, "recovery_target_timeline", "latest");
	add_end_command(o, text);
	/*
	 * A server that answers while it replays stops for good where the log says that the original
	 * was given more connections, workers or locks after the backup; one that does not, goes on.
	 */
	if (!looked_at(o))
		pg_conf_set(text, "hot_standby", "off");
	pg_conf_set(text, "archive_cleanup_command", "");
	if (!o->standby)
		pg_conf_set(text, "recovery_min_apply_delay", "0");
	if (o->major < 16)
		pg_conf_set(text, "promote_trigger_file", "");
	if (!o->adopt) {
		buf_adds(text,
		    "# A copy must neither archive as if it were the original nor wait for its "
		    "standbys.\n");
		pg_conf_set(text, "archive_mode", "off");
		pg_conf_set(text, "synchronous_standby_names", "");
	}
	if (!o->adopt && !o->standby)
		for (size_t i = 0; cluster[i]; i++)
			pg_conf_set(text, cluster[i], "");
}

static int
write_recovery(const struct pg_setup_options *o, struct err *e)
{
	struct buf before, after;
	int rc;

	buf_init(&before, CONFIG_MAX);
	buf_init(&after, CONFIG_MAX);
	rc = get(o, AUTO_FILE, &before, e);
	if (rc == 0) {
		pg_conf_filter(buf_str(&before), before.len, true, is_stale, (void *)o, &after);
		add_recovery(o, &after);
		rc = put(o, AUTO_FILE, &after, e);
	}
	buf_done(&before);
	buf_done(&after);
	return rc;
}

static int
write_signal(const struct pg_setup_options *o, struct err *e)
{
	const char *other = o->standby ? "recovery.signal" : "standby.signal";
	char *path = in_data(o, other);
	struct buf none;
	int rc = file_del(AT_FDCWD, path, e) == -1 ? -1 : 0;

	buf_init(&none, 1);
	if (rc == 0)
		rc = put(o, o->standby ? "standby.signal" : "recovery.signal", &none, e);
	buf_done(&none);
	free(path);
	return rc;
}

int
pg_setup_write(const struct pg_setup_options *o, struct err *e)
{
	static const char hba[] =
	    "# Made by ffdr: the backup has no pg_hba.conf.\n"
	    "local all all peer\n"
	    "host all all 127.0.0.1/32 scram-sha-256\n"
	    "host all all ::1/128 scram-sha-256\n";
	static const char ident[] = "# Made by ffdr: the backup has no pg_ident.conf.\n";

	if (write_config(o, e) == -1 || write_access(o, "pg_hba.conf", o->hba, hba, e) == -1 ||
	    write_access(o, "pg_ident.conf", o->ident, ident, e) == -1 ||
	    write_recovery(o, e) == -1)
		return -1;
	return write_signal(o, e);
}
