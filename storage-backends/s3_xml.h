#ifndef STORAGE_BACKENDS_S3_XML_H
#define STORAGE_BACKENDS_S3_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* What S3 says in XML. ERR_REMOTE when it is none, or not what was asked for. */

enum s3_xml_kind { S3_XML_OBJECT, S3_XML_VERSION, S3_XML_MARKER };
struct s3_xml_entry {
	enum s3_xml_kind kind;
	const char *name;    /* decoded */
	const char *version; /* "" where there are none */
	const char *class;   /* "" when not said */
	bool latest;
	uint64_t size;
	int64_t time_ns;
};
/* Lives for the call. 0 to go on, -1 (with e set) to end. */
typedef int s3_xml_seen(void *arg, const struct s3_xml_entry *entry, struct err *e);

/* One page of ListObjectsV2 or ListObjectVersions. */
struct s3_xml_page {
	bool more;
	char *token;	    /* of the next page; with versions: the name */
	char *version_mark; /* with versions */
};
int s3_xml_list(const struct buf *text, s3_xml_seen *seen, void *arg, struct s3_xml_page *ret,
    struct err *e);
void s3_xml_page_done(struct s3_xml_page *p);

/* The words of a bad answer; "" what is not there. Never fails: some have no body, or a web page. */
struct s3_xml_error {
	char code[64];
	char message[300];
};
void s3_xml_error(const char *text, struct s3_xml_error *ret);

/* What a token service gives. */
struct s3_xml_identity {
	char *key, *secret, *token, *until;
};
int s3_xml_identity(const struct buf *text, struct s3_xml_identity *ret, struct err *e);
void s3_xml_identity_done(struct s3_xml_identity *id);

#endif
