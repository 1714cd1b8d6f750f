#ifndef CONF_SECRET_H
#define CONF_SECRET_H

#include "base/buf.h"
#include "base/err.h"

/*
 * Secrets are references: credential:NAME (in $CREDENTIALS_DIRECTORY, then the configured
 * directory), file:PATH, a bare absolute PATH, env:NAME, command:CMD, and for keys passphrase:REF.
 * What they resolve to is never logged, never shown, and wiped by secret_done().
 */
#define SECRET_MAX 65536 /* the limit to give the buffer: far above any key or PEM */

enum secret_kind { SECRET_CREDENTIAL, SECRET_FILE, SECRET_ENV, SECRET_COMMAND, SECRET_PASSPHRASE };

struct secret_ref {
	enum secret_kind kind;
	const char *value; /* NAME, PATH, CMD; for a passphrase the inner reference */
};

/*
 * ret points into text. From then on no command is given the variable that an env: names (hooks and
 * command: inherit the rest). The text itself is in no message unless it is a reference.
 */
int secret_parse(const char *text, struct secret_ref *ret, struct err *e);
/*
 * The bytes as they are, appended to `out` (limit SECRET_MAX); of a passphrase: what its inner
 * reference gives. ERR_CONFIG tells where it looked; a file that others may read is refused. On
 * failure out is wiped and empty.
 */
int secret_get(const char *ref, const char *credentials, struct buf *out, struct err *e);
/* The same for what is no secret (a public key): any mode will do. */
int secret_get_public(const char *ref, const char *credentials, struct buf *out, struct err *e);
/*
 * The path a file: or credential: reference, bare or behind passphrase:, would be made at (what
 * `init` creates), or NULL. Caller frees.
 */
char *secret_path(const char *ref, const char *credentials);
void secret_done(struct buf *secret);

#endif
