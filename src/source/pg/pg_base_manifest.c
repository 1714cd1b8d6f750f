/*
 * The manifest travels behind everything else, and it is by the manifest that a restored directory
 * is judged: one that lost a few lines on the way would find nothing wrong. The server sums it up
 * in its last line. Since nobody knows which line is the last before the end, that many bytes
 * always stay out of the sum until more have come.
 */
#include "source/pg/pg_base_manifest.h"

#include <string.h>

#include "base/text.h"

#define LAST_LINE "\"Manifest-Checksum\": \""

void
pg_base_manifest_begin(struct pg_base_manifest *m)
{
	*m = (struct pg_base_manifest){ .sha = digest_new() };
}

void
pg_base_manifest_done(struct pg_base_manifest *m)
{
	digest_free(m->sha);
	m->sha = NULL;
}

void
pg_base_manifest_add(struct pg_base_manifest *m, const void *data, size_t n)
{
	const uint8_t *p = data;
	size_t out;

	m->bytes += n;
	if (n >= sizeof(m->tail)) {
		digest_add(m->sha, m->tail, m->held);
		digest_add(m->sha, p, n - sizeof(m->tail));
		memcpy(m->tail, p + n - sizeof(m->tail), sizeof(m->tail));
		m->held = sizeof(m->tail);
		return;
	}
	if (m->held + n > sizeof(m->tail)) {
		out = m->held + n - sizeof(m->tail);
		digest_add(m->sha, m->tail, out);
		m->held -= out;
		memmove(m->tail, m->tail + out, m->held);
	}
	memcpy(m->tail + m->held, p, n);
	m->held += n;
}

int
pg_base_manifest_check(struct pg_base_manifest *m, struct err *e)
{
	const uint8_t *line = NULL, *at = m->tail;
	uint8_t is[DIGEST_LEN], says[DIGEST_LEN];
	const size_t key = strlen(LAST_LINE);

	while ((at = memmem(at, m->held - (size_t)(at - m->tail), LAST_LINE, key)))
		line = at++;
	/* The hex digits, a quote and a brace. */
	if (!line || m->held - (size_t)(line - m->tail) < key + sizeof(says) * 2 + 2 ||
	    text_unhex((const char *)line + key, says, sizeof(says)) == -1)
		return err_set(e, ERR_CORRUPT, "the manifest of the base backup has no end");
	digest_add(m->sha, m->tail, (size_t)(line - m->tail));
	digest_end(m->sha, is);
	if (memcmp(is, says, sizeof(is)) != 0)
		return err_set(e, ERR_CORRUPT,
		    "the manifest of the base backup is not what the server summed up");
	return 0;
}
