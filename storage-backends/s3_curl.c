/*
 * libcurl, as we use it: no signals, no redirects (a signature is for one
 * host), HTTP/1.1 (one request at a time on a connection; many connections are what S3 likes).
 */
#include "storage-backends/s3_curl.h"

#include <string.h>

#include "base/mem.h"

CURL *
s3_curl_new(void)
{
	CURL *c = curl_easy_init();

	if (c == NULL)
		mem_out();
	return c;
}

void
s3_curl_prepare(CURL *c, const char *ca)
{
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "ffdr/" PACKAGE_VERSION);
	if (ca != NULL)
		curl_easy_setopt(c, CURLOPT_CAINFO, ca);
}

struct curl_slist *
s3_curl_line(struct curl_slist *list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(list, line);

	if (longer == NULL)
		mem_out();
	return longer;
}

void
s3_curl_encode(const char *text, bool query, struct buf *out)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~";

	for (; *text != '\0'; text++)
		if (strchr(plain, *text) != NULL || (*text == '/' && !query))
			buf_addc(out, *text);
		else
			buf_addf(out, "%%%02X", (unsigned char)*text);
}

static size_t
keep(char *bytes, size_t one, size_t n, void *arg)
{
	struct buf *out = arg;

	(void)one;
	buf_add(out, bytes, n);
	return out->over ? 0 : n;
}

long
s3_curl_ask(const struct s3_curl_ask *q, struct buf *out, struct err *e)
{
	char why[CURL_ERROR_SIZE] = "";
	struct curl_slist *lines = NULL;
	CURL *c = s3_curl_new();
	long status = -1;
	CURLcode code;

	for (size_t i = 0; q->line != NULL && q->line[i] != NULL; i++)
		lines = s3_curl_line(lines, q->line[i]);
	s3_curl_prepare(c, q->ca);
	curl_easy_setopt(c, CURLOPT_URL, q->url);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, q->seconds);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, lines);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, keep);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, out);
	if (q->form != NULL)
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->form);
	if (strcmp(q->method, "GET") != 0)
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
	code = curl_easy_perform(c);
	if (code == CURLE_OK)
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	else
		err_set(e, ERR_REMOTE, "'%s': %s", q->url,
		    why[0] != '\0' ? why : curl_easy_strerror(code));
	curl_slist_free_all(lines);
	curl_easy_cleanup(c);
	return status;
}
