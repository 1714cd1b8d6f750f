/*
 * What an S3 store answers and what a credentials file holds: the first byte chooses. Nothing that is
 * taken is without a name, and a refusal is always the store's.
 */
#include <stdlib.h>
#include <string.h>

#include "storage-backends/s3_profile.h"
#include "storage-backends/s3_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int
seen(void *arg, const struct s3_xml_entry *x, struct err *e)
{
	(void)arg;
	(void)e;
	if (x->name == NULL || x->version == NULL || x->class == NULL)
		abort();
	return 0;
}

static void
listing(const struct buf *text)
{
	struct s3_xml_page page = { 0 };
	struct err e = { 0 };

	if (s3_xml_list(text, seen, NULL, &page, &e) == -1 && e.kind != ERR_REMOTE)
		abort();
	if (e.kind == ERR_NONE && page.more && page.token == NULL)
		abort();
	s3_xml_page_done(&page);
}

static void
words(const struct buf *text)
{
	struct s3_xml_identity id = { 0 };
	struct s3_xml_error x;
	struct err e = { 0 };

	s3_xml_error(buf_str(text), &x);
	if (strlen(x.code) >= sizeof(x.code) || strlen(x.message) >= sizeof(x.message))
		abort();
	s3_xml_identity(text, &id, &e);
	s3_xml_identity_done(&id);
}

static void
profile(const struct buf *text)
{
	struct s3_profile p;
	bool found = s3_profile_find(buf_str(text), text->len, "default", &p);

	if (!found && (p.key != NULL || p.secret != NULL || p.token != NULL))
		abort();
	s3_profile_done(&p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static void (*const target[])(const struct buf *) = { listing, words, profile };
	struct buf text;

	if (n == 0)
		return 0;
	buf_init(&text, n);
	buf_add(&text, data + 1, n - 1);
	target[data[0] % 3](&text);
	buf_done(&text);
	return 0;
}
