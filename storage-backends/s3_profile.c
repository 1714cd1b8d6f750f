/*
 * A secret may hold any character, so nothing behind a value is a comment, and nothing is unquoted:
 * what stands between the sign and the end of the line, without the blanks around it, is the value.
 */
#include "storage-backends/s3_profile.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct span {
	const char *at;
	size_t len;
};

static struct span
trim(const char *at, const char *end)
{
	while (at < end && strchr(" \t\r", *at) != NULL)
		at++;
	while (end > at && strchr(" \t\r", end[-1]) != NULL)
		end--;
	return (struct span){ at, (size_t)(end - at) };
}

static bool
is(struct span s, const char *word)
{
	return strlen(word) == s.len && memcmp(s.at, word, s.len) == 0;
}

static void
forget(char **value)
{
	if (*value != NULL)
		OPENSSL_cleanse(*value, strlen(*value));
	free(*value);
	*value = NULL;
}

static void
keep(struct s3_profile *p, struct span name, struct span value)
{
	char **to = is(name, "aws_access_key_id") ? &p->key
	    : is(name, "aws_secret_access_key")	  ? &p->secret
	    : is(name, "aws_session_token")	  ? &p->token
						  : NULL;

	if (to == NULL)
		return;
	forget(to);
	*to = xstrndup(value.at, value.len);
}

bool
s3_profile_find(const char *text, size_t n, const char *profile, struct s3_profile *ret)
{
	const char *line = text, *end = text + n, *next;
	bool in = false, found = false;

	memset(ret, 0, sizeof(*ret));
	for (; line < end; line = next + 1) {
		const char *close, *sign;

		next = memchr(line, '\n', (size_t)(end - line));
		next = next == NULL ? end : next;
		if (*line == '[') {
			close = memchr(line, ']', (size_t)(next - line));
			in = close != NULL && is(trim(line + 1, close), profile);
			found = found || in;
		} else if (in && strchr("#; \t", *line) == NULL) {
			sign = memchr(line, '=', (size_t)(next - line));
			if (sign != NULL)
				keep(ret, trim(line, sign), trim(sign + 1, next));
		}
	}
	return found;
}

void
s3_profile_done(struct s3_profile *p)
{
	forget(&p->key);
	forget(&p->secret);
	forget(&p->token);
}
