/*
 * Answers of S3 by libxml2's reader, which is in the house with libarchive already. All that matters
 * in them is leaves: an element's name, its parent's, its text. Nothing outside the text is ever
 * loaded, no entity but the five is known, and a text that is no XML to its end is an error: half a
 * listing would let a collection take what is needed for garbage.
 */
#include "storage-backends/s3_xml.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"
#include "storage-backends/s3_libxml.h"

#define DEPTH 8
#define TEXT_MOST 65536

/* An element ended: text is "" where it has children. 0, or -1 with e set. */
typedef int leaf(void *arg, const char *parent, const char *name, const char *text, struct err *e);

static void
quiet(void *arg, xmlErrorPtr error)
{
	(void)arg;
	(void)error;
}

/* The names above, outermost first, and the text of the innermost. */
struct stack {
	char *name[DEPTH];
	size_t depth;
	struct buf text;
};

static int
ended(struct stack *k, leaf *seen, void *arg, struct err *e)
{
	char *name = k->name[--k->depth];
	int rc = seen(arg, k->depth > 0 ? k->name[k->depth - 1] : "", name, buf_str(&k->text), e);

	free(name);
	buf_reset(&k->text);
	return rc;
}

static int
node(xmlTextReaderPtr r, struct stack *k, leaf *seen, void *arg, struct err *e)
{
	const char *value = (const char *)xmlTextReaderConstValue(r);

	switch (xmlTextReaderNodeType(r)) {
	case XML_READER_TYPE_ELEMENT:
		if (k->depth == DEPTH)
			return err_set(e, ERR_REMOTE, "the answer is nested more than %d deep", DEPTH);
		k->name[k->depth++] = xstrdup((const char *)xmlTextReaderConstLocalName(r));
		buf_reset(&k->text);
		return xmlTextReaderIsEmptyElement(r) == 1 ? ended(k, seen, arg, e) : 0;
	case XML_READER_TYPE_END_ELEMENT:
		return ended(k, seen, arg, e);
	case XML_READER_TYPE_TEXT:
	case XML_READER_TYPE_CDATA:
	case XML_READER_TYPE_SIGNIFICANT_WHITESPACE:
		buf_adds(&k->text, value == NULL ? "" : value);
		return buf_check(&k->text, "a text in the answer", e);
	case XML_READER_TYPE_DOCUMENT_TYPE:
	case XML_READER_TYPE_ENTITY_REFERENCE:
		return err_set(e, ERR_REMOTE, "the answer defines entities: no store does");
	default:
		return 0;
	}
}

static int
walk(const char *text, size_t n, leaf *seen, void *arg, struct err *e)
{
	xmlTextReaderPtr r = xmlReaderForMemory(text, (int)n, NULL, NULL, XML_PARSE_NONET);
	struct stack k = { .depth = 0 };
	int rc = 1;

	buf_init(&k.text, TEXT_MOST);
	if (r == NULL)
		return err_set(e, ERR_REMOTE, "the answer is no XML");
	xmlTextReaderSetStructuredErrorHandler(r, quiet, NULL);
	while (rc == 1) {
		rc = xmlTextReaderRead(r);
		if (rc == -1)
			err_set(e, ERR_REMOTE, "the answer is no XML, or was cut");
		else if (rc == 1 && node(r, &k, seen, arg, e) == -1)
			rc = -1;
	}
	while (k.depth > 0)
		free(k.name[--k.depth]);
	buf_done(&k.text);
	xmlFreeTextReader(r);
	return rc;
}

static void
take(char **to, const char *text)
{
	free(*to);
	*to = xstrdup(text);
}

/* ---- a listing ---- */

struct listing {
	s3_xml_seen *seen;
	void *arg;
	struct s3_xml_page *page;
	char *name, *version, *class, *time, *size;
	bool latest, encoded, root;
};

static void
forget(struct listing *l)
{
	free(l->name);
	free(l->version);
	free(l->class);
	free(l->time);
	free(l->size);
	l->name = l->version = l->class = l->time = l->size = NULL;
	l->latest = false;
}

/* %XX in place. 0, or -1 for what no encoder writes. */
static int
decode(char *s)
{
	char *to = s;
	uint8_t byte;

	for (; *s != '\0'; s++) {
		if (*s == '+') {
			*to++ = ' ';
		} else if (*s != '%') {
			*to++ = *s;
		} else {
			char hex[3] = { 0 };

			if (s[1] == '\0' || s[2] == '\0')
				return -1;
			hex[0] = (char)(s[1] | 0x20);
			hex[1] = (char)(s[2] | 0x20);
			if (text_unhex(hex, &byte, 1) == -1 || byte == 0)
				return -1;
			*to++ = (char)byte;
			s += 2;
		}
	}
	*to = '\0';
	return 0;
}

static int
entry(struct listing *l, enum s3_xml_kind kind, struct err *e)
{
	struct s3_xml_entry x = { .kind = kind, .latest = l->latest };
	char *end;
	int rc;

	if (l->name == NULL || (l->encoded && decode(l->name) == -1))
		return err_set(e, ERR_REMOTE, "the answer lists an object without a name");
	if (l->time == NULL || units_parse_time(l->time, &x.time_ns, NULL) == -1)
		return err_set(e, ERR_REMOTE, "the answer gives '%s' no time, or '%s'", l->name,
		    l->time == NULL ? "" : l->time);
	if (kind != S3_XML_MARKER) {
		x.size = l->size == NULL ? 0 : strtoull(l->size, &end, 10);
		if (l->size == NULL || end == l->size || *end != '\0')
			return err_set(e, ERR_REMOTE, "the answer gives '%s' no size", l->name);
	}
	x.name = l->name;
	x.version = l->version == NULL ? "" : l->version;
	x.class = l->class == NULL ? "" : l->class;
	rc = l->seen(l->arg, &x, e);
	forget(l);
	return rc;
}

/* It is encoded as the names are; a token is not. */
static int
next_name(struct listing *l, const char *text, struct err *e)
{
	take(&l->page->token, text);
	if (!l->encoded || decode(l->page->token) == 0)
		return 0;
	return err_set(e, ERR_REMOTE, "the listing goes on at no name");
}

static int
list_leaf(void *arg, const char *parent, const char *name, const char *text, struct err *e)
{
	static const struct {
		const char *name;
		size_t at;
	} field[] = {
		{ "Key", offsetof(struct listing, name) },
		{ "VersionId", offsetof(struct listing, version) },
		{ "StorageClass", offsetof(struct listing, class) },
		{ "LastModified", offsetof(struct listing, time) },
		{ "Size", offsetof(struct listing, size) },
	};
	struct listing *l = arg;
	bool in = strcmp(parent, "Contents") == 0 || strcmp(parent, "Version") == 0 ||
	    strcmp(parent, "DeleteMarker") == 0;

	if (in) {
		for (size_t i = 0; i < ARRAY_LEN(field); i++)
			if (strcmp(name, field[i].name) == 0)
				take((char **)((char *)l + field[i].at), text);
		if (strcmp(name, "IsLatest") == 0)
			l->latest = strcmp(text, "true") == 0;
		return 0;
	}
	if (strcmp(name, "Contents") == 0)
		return entry(l, S3_XML_OBJECT, e);
	if (strcmp(name, "Version") == 0)
		return entry(l, S3_XML_VERSION, e);
	if (strcmp(name, "DeleteMarker") == 0)
		return entry(l, S3_XML_MARKER, e);
	if (strcmp(name, "ListBucketResult") == 0 || strcmp(name, "ListVersionsResult") == 0)
		l->root = true;
	else if (strcmp(name, "IsTruncated") == 0)
		l->page->more = strcmp(text, "true") == 0;
	else if (strcmp(name, "NextContinuationToken") == 0)
		take(&l->page->token, text);
	else if (strcmp(name, "NextKeyMarker") == 0)
		return next_name(l, text, e);
	else if (strcmp(name, "NextVersionIdMarker") == 0)
		take(&l->page->version_mark, text);
	return 0;
}

int
s3_xml_list(const struct buf *text, s3_xml_seen *seen, void *arg, struct s3_xml_page *ret,
    struct err *e)
{
	/* Where it says so is nowhere fixed: before the names with some, behind them with others. */
	struct listing l = { .seen = seen, .arg = arg, .page = ret,
		.encoded = strstr(buf_str(text), "<EncodingType>url<") != NULL };
	int rc;

	memset(ret, 0, sizeof(*ret));
	rc = walk(buf_str(text), text->len, list_leaf, &l, e);
	forget(&l);
	if (rc == 0 && !l.root)
		rc = err_set(e, ERR_REMOTE, "the answer is no listing");
	if (rc == 0 && ret->more && ret->token == NULL)
		rc = err_set(e, ERR_REMOTE, "the listing is cut and does not say where to go on");
	return rc;
}

void
s3_xml_page_done(struct s3_xml_page *p)
{
	free(p->token);
	free(p->version_mark);
}

/* ---- the rest ---- */

static int
error_leaf(void *arg, const char *parent, const char *name, const char *text, struct err *e)
{
	struct s3_xml_error *x = arg;

	(void)e;
	if (strcmp(parent, "Error") != 0)
		return 0;
	if (strcmp(name, "Code") == 0)
		snprintf(x->code, sizeof(x->code), "%s", text);
	else if (strcmp(name, "Message") == 0)
		snprintf(x->message, sizeof(x->message), "%s", text);
	return 0;
}

void
s3_xml_error(const char *text, struct s3_xml_error *ret)
{
	memset(ret, 0, sizeof(*ret));
	/* What comes before a cut counts. */
	walk(text, strlen(text), error_leaf, ret, NULL);
}

static int
identity_leaf(void *arg, const char *parent, const char *name, const char *text, struct err *e)
{
	struct s3_xml_identity *id = arg;

	(void)e;
	if (strcmp(parent, "Credentials") != 0)
		return 0;
	if (strcmp(name, "AccessKeyId") == 0)
		take(&id->key, text);
	else if (strcmp(name, "SecretAccessKey") == 0)
		take(&id->secret, text);
	else if (strcmp(name, "SessionToken") == 0)
		take(&id->token, text);
	else if (strcmp(name, "Expiration") == 0)
		take(&id->until, text);
	return 0;
}

int
s3_xml_identity(const struct buf *text, struct s3_xml_identity *ret, struct err *e)
{
	return walk(buf_str(text), text->len, identity_leaf, ret, e);
}

void
s3_xml_identity_done(struct s3_xml_identity *id)
{
	free(id->key);
	free(id->secret);
	free(id->token);
	free(id->until);
}
