/*
 * What S3 stores and the files around them say, as text: listings, refusals, credentials.
 */
#include "tests/lib/vector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "storage-backends/s3_profile.h"
#include "storage-backends/s3_refusal.h"
#include "storage-backends/s3_xml.h"

static struct err e;
static struct buf seen; /* what a listing gave, a line an entry */

static int
note(void *arg, const struct s3_xml_entry *x, struct err *why)
{
	static const char *const kind[] = { "object", "version", "marker" };

	(void)arg;
	(void)why;
	buf_addf(&seen, "%s %s %s%s %llu %lld\n", kind[x->kind], x->name, x->version,
	    x->latest ? "*" : "", (unsigned long long)x->size, (long long)(x->time_ns / 1000000000));
	return 0;
}

static int
list(const char *text, struct s3_xml_page *page)
{
	struct buf b;
	int rc;

	err_clear(&e);
	buf_done(&seen);
	buf_init(&seen, 10000);
	buf_init(&b, 10000);
	buf_adds(&b, text);
	rc = s3_xml_list(&b, note, NULL, page, &e);
	buf_done(&b);
	return rc;
}

#define TIME "<LastModified>1970-01-01T00:01:00.500Z</LastModified>"
#define OBJECT(name, size) "<Contents><Key>" name "</Key>" TIME "<Size>" size "</Size></Contents>"
#define PAGE(inside) "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"http://x/\">" inside \
	"</ListBucketResult>"

static void
a_listing_gives_names_sizes_and_times_in_its_order(void **state)
{
	struct s3_xml_page page = { 0 };

	(void)state;
	assert_int_equal(list(PAGE("<IsTruncated>true</IsTruncated>" OBJECT("a/b", "5")
	    OBJECT("c", "0") "<NextContinuationToken>t%2F</NextContinuationToken>"), &page), 0);
	assert_string_equal(buf_str(&seen), "object a/b  5 60\nobject c  0 60\n");
	assert_true(page.more);
	assert_string_equal(page.token, "t%2F");
	s3_xml_page_done(&page);
}

static void
names_are_decoded_only_where_the_store_says_that_it_encoded_them(void **state)
{
	struct s3_xml_page page = { 0 };

	(void)state;
	assert_int_equal(list(PAGE(OBJECT("a%2Fb+c", "1") "<EncodingType>url</EncodingType>"), &page), 0);
	assert_string_equal(buf_str(&seen), "object a/b c  1 60\n");
	s3_xml_page_done(&page);
	assert_int_equal(list(PAGE(OBJECT("a%2Fb&amp;c", "1")), &page), 0);
	assert_string_equal(buf_str(&seen), "object a%2Fb&c  1 60\n");
	s3_xml_page_done(&page);
	assert_int_equal(list(PAGE(OBJECT("a%2", "1") "<EncodingType>url</EncodingType>"), &page), -1);
	assert_int_equal(e.kind, ERR_REMOTE);
	s3_xml_page_done(&page);
}

static void
versions_and_marks_of_deletion_are_told_apart(void **state)
{
	struct s3_xml_page page = { 0 };

	(void)state;
	assert_int_equal(list("<ListVersionsResult><EncodingType>url</EncodingType>"
	    "<DeleteMarker><Key>a</Key><VersionId>2</VersionId><IsLatest>true</IsLatest>" TIME
	    "</DeleteMarker><Version><Key>a</Key><VersionId>1</VersionId><IsLatest>false</IsLatest>" TIME
	    "<Size>7</Size></Version><IsTruncated>true</IsTruncated><NextKeyMarker>b%2Fc</NextKeyMarker>"
	    "<NextVersionIdMarker>9</NextVersionIdMarker></ListVersionsResult>", &page), 0);
	assert_string_equal(buf_str(&seen), "marker a 2* 0 60\nversion a 1 7 60\n");
	assert_string_equal(page.token, "b/c");
	assert_string_equal(page.version_mark, "9");
	s3_xml_page_done(&page);
}

static void
half_a_listing_is_no_listing(void **state)
{
	static const char *const row[] = {
		"",
		"<ListBucketResult>" OBJECT("a", "5"),
		"<html><body>busy</body></html>",
		"<Error><Code>SlowDown</Code></Error>",
		PAGE("<Contents><Key>a</Key>" TIME "</Contents>"),
		PAGE("<Contents><Key>a</Key><Size>5</Size></Contents>"),
		PAGE("<Contents>" TIME "<Size>5</Size></Contents>"),
		PAGE(OBJECT("a", "5x")),
		PAGE("<IsTruncated>true</IsTruncated>" OBJECT("a", "5")),
		"<!DOCTYPE x [<!ENTITY a \"b\">]>" PAGE(OBJECT("&a;", "5")),
		"<a><a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a></a>",
	};
	struct s3_xml_page page = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		if (list(row[i], &page) != -1)
			fail_msg("taken: %s", row[i]);
		assert_int_equal(e.kind, ERR_REMOTE);
		s3_xml_page_done(&page);
	}
}

static void
a_temporary_identity_is_read(void **state)
{
	struct s3_xml_identity id = { 0 };
	struct buf b;

	(void)state;
	buf_init(&b, 10000);
	buf_adds(&b, "<R><Credentials><AccessKeyId>K</AccessKeyId><SecretAccessKey>S</SecretAccessKey>"
	    "<SessionToken>T==</SessionToken><Expiration>2030-01-01T00:00:00Z</Expiration></Credentials>"
	    "<AccessKeyId>other</AccessKeyId></R>");
	assert_int_equal(s3_xml_identity(&b, &id, &e), 0);
	assert_string_equal(id.key, "K");
	assert_string_equal(id.secret, "S");
	assert_string_equal(id.token, "T==");
	assert_string_equal(id.until, "2030-01-01T00:00:00Z");
	s3_xml_identity_done(&id);
	buf_done(&b);
}

/* ---- refusals ---- */

static void
right_of(long status, const char *said, const char *right)
{
	static const struct s3_http_place place = { .endpoint = "http://h", .bucket = "b", .region = "r" };
	struct s3_answer a = { .status = status };

	snprintf(a.said, sizeof(a.said), "%s", said);
	err_clear(&e);
	assert_int_equal(s3_refusal_right(&place, &a, "get 'x'", right, &e), -1);
}

static enum err_kind
kind_of(long status, const char *said)
{
	right_of(status, said, NULL);
	return e.kind;
}

#define CODE(c) "<Error><Code>" c "</Code><Message>why</Message></Error>"

static void
not_there_is_believed_of_an_object_and_never_of_its_bucket(void **state)
{
	(void)state;
	assert_int_equal(kind_of(404, CODE("NoSuchKey")), ERR_NOTFOUND);
	assert_int_equal(kind_of(404, CODE("NoSuchBucket")), ERR_REMOTE);
	assert_int_equal(kind_of(404, ""), ERR_REMOTE);
	assert_int_equal(kind_of(404, "<html>not found</html>"), ERR_REMOTE);
}

static void
what_passes_is_tried_again_and_what_stays_is_not(void **state)
{
	static const long again[] = { 408, 409, 429, 500, 502, 503, 504 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(again); i++)
		assert_int_equal(kind_of(again[i], CODE("Unheard")), ERR_REMOTE);
	assert_int_equal(kind_of(400, CODE("RequestTimeout")), ERR_REMOTE);
	assert_int_equal(kind_of(400, CODE("BadDigest")), ERR_REMOTE);
	assert_int_equal(kind_of(400, CODE("XAmzContentChecksumMismatch")), ERR_REMOTE);
	assert_int_equal(kind_of(400, CODE("Unheard")), ERR_UNSUPPORTED);
	assert_int_equal(kind_of(403, CODE("AccessDenied")), ERR_PERMISSION);
	assert_int_equal(kind_of(403, ""), ERR_PERMISSION);
	assert_int_equal(kind_of(501, CODE("NotImplemented")), ERR_UNSUPPORTED);
	assert_int_equal(kind_of(416, CODE("InvalidRange")), ERR_CORRUPT);
	assert_int_equal(kind_of(507, ""), ERR_FULL);
	assert_int_equal(kind_of(403, CODE("QuotaExceeded")), ERR_FULL);
	assert_int_equal(kind_of(403, CODE("InvalidObjectState")), ERR_FROZEN);
}

static void
a_refusal_says_what_was_tried_where_and_in_the_stores_own_words(void **state)
{
	(void)state;
	kind_of(403, CODE("AccessDenied"));
	assert_non_null(strstr(e.text, "get 'x' at http://h/b: status 403 AccessDenied: why"));
	assert_non_null(strstr(e.text, "\n  fix "));
	assert_null(strstr(e.text, "lacks"));
	right_of(403, CODE("AccessDenied"), "s3:GetObject on 'b/x'");
	assert_non_null(strstr(e.text, "\n  lacks     s3:GetObject on 'b/x'\n  fix "));
	/* Where the store says what it is, it is no right. */
	right_of(403, CODE("InvalidAccessKeyId"), "s3:GetObject on 'b/x'");
	assert_null(strstr(e.text, "lacks"));
	right_of(404, CODE("NoSuchBucket"), "s3:GetObject on 'b/x'");
	assert_null(strstr(e.text, "lacks"));
	kind_of(403, CODE("SignatureDoesNotMatch"));
	assert_non_null(strstr(e.text, "secret-key"));
	kind_of(403, CODE("InvalidAccessKeyId"));
	assert_non_null(strstr(e.text, "access-key"));
	kind_of(404, CODE("NoSuchBucket"));
	assert_non_null(strstr(e.text, "'The first day with buckets'"));
	/* Whoever reads knows whether it can be ordered; the driver does not. */
	kind_of(403, CODE("InvalidObjectState"));
	assert_null(strstr(e.text, "\n  fix "));
}

/* ---- credentials ---- */

static const char profiles[] = "# a comment\n[default]\naws_access_key_id=D\naws_secret_access_key = d\n"
			       "[ dr ]\r\n; more\r\naws_access_key_id = K \r\n"
			       "aws_secret_access_key =a/b=c ; d # e\r\naws_session_token=\r\n"
			       "s3 =\n  aws_access_key_id = nested\n[dr2]\nregion = x\n[broken\n"
			       "aws_access_key_id = nobody's";

static void
a_profile_is_found_by_its_name_and_its_secret_is_taken_as_it_stands(void **state)
{
	struct s3_profile p;

	(void)state;
	assert_true(s3_profile_find(profiles, strlen(profiles), "dr", &p));
	assert_string_equal(p.key, "K");
	assert_string_equal(p.secret, "a/b=c ; d # e");
	assert_string_equal(p.token, "");
	s3_profile_done(&p);
	assert_true(s3_profile_find(profiles, strlen(profiles), "default", &p));
	assert_string_equal(p.key, "D");
	assert_string_equal(p.secret, "d");
	assert_null(p.token);
	s3_profile_done(&p);
}

static void
a_profile_that_says_nothing_has_nothing_of_another_one(void **state)
{
	struct s3_profile p;

	(void)state;
	assert_true(s3_profile_find(profiles, strlen(profiles), "dr2", &p));
	assert_null(p.key);
	assert_null(p.secret);
	s3_profile_done(&p);
	assert_false(s3_profile_find(profiles, strlen(profiles), "d", &p));
	assert_false(s3_profile_find(profiles, strlen(profiles), "broken", &p));
	assert_false(s3_profile_find("", 0, "default", &p));
	s3_profile_done(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_listing_gives_names_sizes_and_times_in_its_order),
		cmocka_unit_test(names_are_decoded_only_where_the_store_says_that_it_encoded_them),
		cmocka_unit_test(versions_and_marks_of_deletion_are_told_apart),
		cmocka_unit_test(half_a_listing_is_no_listing),
		cmocka_unit_test(a_temporary_identity_is_read),
		cmocka_unit_test(not_there_is_believed_of_an_object_and_never_of_its_bucket),
		cmocka_unit_test(what_passes_is_tried_again_and_what_stays_is_not),
		cmocka_unit_test(a_refusal_says_what_was_tried_where_and_in_the_stores_own_words),
		cmocka_unit_test(a_profile_is_found_by_its_name_and_its_secret_is_taken_as_it_stands),
		cmocka_unit_test(a_profile_that_says_nothing_has_nothing_of_another_one),
	};
	int failed = cmocka_run_group_tests_name("s3_text", tests, NULL, NULL);

	buf_done(&seen);
	return failed;
}
