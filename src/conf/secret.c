/*
 * References to secrets and what they stand for. The bytes go into a buffer whose whole room is
 * taken before the first of them arrives: growing would leave a copy behind in freed memory. A
 * text that is no reference may be the secret itself, pasted into the wrong place, so messages
 * never repeat it.
 */
#include "conf/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/proc.h"

#define SECRET_COMMAND_S 30 /* a command that asks a vault; a person would have given up */

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

static const char *const prefix[] = {
	[SECRET_CREDENTIAL] = "credential:",
	[SECRET_FILE] = "file:",
	[SECRET_ENV] = "env:",
	[SECRET_COMMAND] = "command:",
	[SECRET_PASSPHRASE] = "passphrase:",
};

/* Only names that stay in the directory: no slash, no dot in front. */
static bool
name_valid(const char *s)
{
	return *s && *s != '.' && s[strspn(s, LETTERS DIGITS "._-")] == '\0';
}

static int
check_value(const struct secret_ref *ref, const char *text, struct err *e)
{
	struct secret_ref inner;

	switch (ref->kind) {
	case SECRET_CREDENTIAL:
		if (!name_valid(ref->value))
			return err_set(e, ERR_CONFIG, "'%s' is no name of a credential, expected "
			    "letters, digits, '_', '-' and '.' behind credential:", text);
		return 0;
	case SECRET_FILE:
		if (*ref->value != '/')
			return err_set(e, ERR_CONFIG, "'%s' is a relative path, expected file: and "
			    "an absolute one", text);
		return 0;
	case SECRET_ENV:
		if (!*ref->value || strchr(DIGITS, *ref->value) ||
		    ref->value[strspn(ref->value, LETTERS DIGITS "_")] != '\0')
			return err_set(e, ERR_CONFIG, "'%s' names no environment variable, "
			    "expected letters, digits and '_' behind env:", text);
		return 0;
	case SECRET_COMMAND:
		if (!*ref->value)
			return err_set(e, ERR_CONFIG, "'%s' has no command behind it", text);
		return 0;
	case SECRET_PASSPHRASE:
		if (secret_parse(ref->value, &inner, e) == -1)
			return -1;
		if (inner.kind == SECRET_PASSPHRASE)
			return err_set(e, ERR_CONFIG, "passphrase: stands in front of another "
			    "passphrase:, expected file:, credential:, env: or command:");
		return 0;
	}
	return err_set(e, ERR_BUG, "a reference of unknown kind");
}

int
secret_parse(const char *text, struct secret_ref *ret, struct err *e)
{
	struct secret_ref ref = { .kind = SECRET_FILE, .value = text };
	size_t i;

	for (i = 0; *text != '/' && i < ARRAY_LEN(prefix); i++) {
		if (strncmp(text, prefix[i], strlen(prefix[i])) != 0)
			continue;
		ref.kind = (enum secret_kind)i;
		ref.value = text + strlen(prefix[i]);
		break;
	}
	if (i == ARRAY_LEN(prefix))
		return err_set(e, ERR_CONFIG, "the value (not shown) is no reference to a secret, "
		    "expected credential:NAME, file:PATH, env:NAME, command:CMD or passphrase:REF");
	if (check_value(&ref, text, e) == -1)
		return -1;
	if (ref.kind == SECRET_ENV)
		proc_hide(ref.value); /* hooks and command: run with our environment */
	*ret = ref;
	return 0;
}

/* 1 read, 0 not there, -1. With `open_to_all` a file that everybody may read is no mistake. */
static int
read_file(const char *path, bool open_to_all, struct buf *out, struct err *e)
{
	uint8_t *p, extra;
	struct stat st;
	size_t room = out->limit - out->len;
	ssize_t n;
	int fd, rc = -1;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd == -1 || fstat(fd, &st) == -1) {
		err_sys(e, "open '%s'", path);
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		err_set(e, ERR_CONFIG, "'%s' is no regular file", path);
		err_line(e, "fix", "put the secret into a file, or use command:; it is read more than "
		    "once, so a pipe is not supported");
		goto out;
	}
	if (!open_to_all && (st.st_mode & S_IRWXO) != 0) {
		err_set(e, ERR_CONFIG, "'%s' holds a secret, but its mode %03o lets everybody in",
		    path, (unsigned)(st.st_mode & 0777));
		err_line(e, "fix", "chmod o= '%s', and think of it as known", path);
		goto out;
	}
	p = buf_reserve(out, room);
	n = p ? file_read(fd, p, room, e) : -1;
	if (n == -1) {
		err_in(e, "'%s'", path);
		goto out;
	}
	out->len += (size_t)n;
	out->data[out->len] = '\0';
	if ((size_t)n == room && read(fd, &extra, 1) != 0) {
		err_set(e, ERR_CONFIG, "'%s' is larger than the %zu bytes a secret may have", path,
		    out->limit);
		goto out;
	}
	rc = 1;
out:
	if (fd != -1)
		close(fd);
	return rc;
}

/* DIR/NAME. Caller frees; NULL without a directory. */
static char *
path_in(const char *dir, const char *name)
{
	return dir && *dir ? xasprintf("%s/%s", dir, name) : NULL;
}

static int
read_credential(const char *name, const char *credentials, bool open_to_all, struct buf *out,
    struct err *e)
{
	char *path[2] = { path_in(getenv("CREDENTIALS_DIRECTORY"), name),
		path_in(credentials, name) };
	size_t i;
	int rc = 0;

	for (i = 0; i < ARRAY_LEN(path) && rc == 0; i++)
		if (path[i])
			rc = read_file(path[i], open_to_all, out, e);
	if (rc == 0) {
		err_set(e, ERR_CONFIG, "the credential '%s' is not there", name);
		for (i = 0; i < ARRAY_LEN(path); i++)
			if (path[i])
				err_line(e, "looked", "%s", path[i]);
	}
	for (i = 0; i < ARRAY_LEN(path); i++)
		free(path[i]);
	return rc == 1 ? 0 : -1;
}

static int
read_reference(const struct secret_ref *ref, const char *credentials, bool open_to_all,
    struct buf *out, struct err *e)
{
	struct secret_ref inner;
	const char *value;
	int rc;

	switch (ref->kind) {
	case SECRET_CREDENTIAL:
		return read_credential(ref->value, credentials, open_to_all, out, e);
	case SECRET_FILE:
		rc = read_file(ref->value, open_to_all, out, e);
		if (rc == 0)
			err_set(e, ERR_CONFIG, "the file '%s' is not there", ref->value);
		return rc == 1 ? 0 : -1;
	case SECRET_ENV:
		value = getenv(ref->value);
		if (!value)
			err_set(e, ERR_CONFIG, "the environment variable '%s' is not set", ref->value);
		if (!value)
			return err_line(e, "fix", "set that variable for ffdr, in its unit too");
		buf_adds(out, value);
		return buf_check(out, ref->value, e);
	case SECRET_COMMAND:
		/* Full room at once, see above. */
		if (!buf_reserve(out, out->limit - out->len))
			return buf_check(out, "a secret", e);
		if (proc_run(ref->value, NULL, SECRET_COMMAND_S, out, e) == 0)
			return 0;
		if (e->kind == ERR_IO) /* it did not give what the configuration says it gives */
			e->kind = ERR_CONFIG;
		return -1;
	case SECRET_PASSPHRASE:
		if (secret_parse(ref->value, &inner, e) == -1)
			return -1;
		return read_reference(&inner, credentials, open_to_all, out, e);
	}
	return err_set(e, ERR_BUG, "a reference of unknown kind");
}

static int
get(const char *text, const char *credentials, bool open_to_all, struct buf *out, struct err *e)
{
	struct secret_ref ref;

	if (secret_parse(text, &ref, e) == -1)
		return -1;
	if (read_reference(&ref, credentials, open_to_all, out, e) == 0)
		return 0;
	secret_done(out);
	return -1;
}

int
secret_get(const char *ref, const char *credentials, struct buf *out, struct err *e)
{
	return get(ref, credentials, false, out, e);
}

int
secret_get_public(const char *ref, const char *credentials, struct buf *out, struct err *e)
{
	return get(ref, credentials, true, out, e);
}

char *
secret_path(const char *text, const char *credentials)
{
	struct secret_ref ref;

	if (secret_parse(text, &ref, NULL) == -1)
		return NULL;
	switch (ref.kind) {
	case SECRET_CREDENTIAL:
		return path_in(credentials, ref.value);
	case SECRET_FILE:
		return xstrdup(ref.value);
	case SECRET_PASSPHRASE:
		return secret_path(ref.value, credentials);
	default:
		return NULL;
	}
}

void
secret_done(struct buf *secret)
{
	if (secret->data)
		explicit_bzero(secret->data, secret->room);
	buf_done(secret);
}
