#include "tests/lib/vector.h"

#include "tests/lib/confkit.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct confkit confkit;

int
confkit_end(void **state)
{
	(void)state;
	conf_free(confkit.c);
	confkit.c = NULL;
	return 0;
}

int
confkit_parse(const char *text)
{
	confkit_end(NULL);
	err_clear(&confkit.e);
	return conf_parse(CONFKIT_NAME, text, strlen(text), &confkit.c, &confkit.e);
}

void
confkit_refused(const char *text, const char *want)
{
	char *whole = xasprintf(CONFKIT_NAME "%s", want);

	assert_int_equal(confkit_parse(text), -1);
	assert_null(confkit.c);
	assert_int_equal(confkit.e.kind, ERR_CONFIG);
	assert_string_equal(confkit.e.text, whole);
	free(whole);
}
