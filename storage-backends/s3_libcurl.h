#ifndef STORAGE_BACKENDS_S3_LIBCURL_H
#define STORAGE_BACKENDS_S3_LIBCURL_H

#include "base/lazy.h"

/* Its checks of setopt's types are macros that name the linker's functions. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

/*
 * libcurl, loaded when it is first used (base/lazy.h): a host whose tiers are directories never has it.
 * The functions that may be called stand in the list, and below it under their own names.
 */
#define S3_LIBCURL_FUNCTIONS \
	X(curl_easy_cleanup) \
	X(curl_easy_getinfo) \
	X(curl_easy_init) \
	X(curl_easy_perform) \
	X(curl_easy_reset) \
	X(curl_easy_setopt) \
	X(curl_easy_strerror) \
	X(curl_getdate) \
	X(curl_global_init) \
	X(curl_slist_append) \
	X(curl_slist_free_all)

#undef curl_easy_getinfo
#undef curl_easy_setopt
#define X(f) __typeof__(&f) f##_;
struct s3_libcurl {
	S3_LIBCURL_FUNCTIONS
};
#undef X
/* Filled, and set up for the process; for any thread. */
const struct s3_libcurl *s3_libcurl(void);

#define curl_easy_cleanup (s3_libcurl()->curl_easy_cleanup_)
#define curl_easy_getinfo (s3_libcurl()->curl_easy_getinfo_)
#define curl_easy_init (s3_libcurl()->curl_easy_init_)
#define curl_easy_perform (s3_libcurl()->curl_easy_perform_)
#define curl_easy_reset (s3_libcurl()->curl_easy_reset_)
#define curl_easy_setopt (s3_libcurl()->curl_easy_setopt_)
#define curl_easy_strerror (s3_libcurl()->curl_easy_strerror_)
#define curl_getdate (s3_libcurl()->curl_getdate_)
#define curl_global_init (s3_libcurl()->curl_global_init_)
#define curl_slist_append (s3_libcurl()->curl_slist_append_)
#define curl_slist_free_all (s3_libcurl()->curl_slist_free_all_)

#endif
