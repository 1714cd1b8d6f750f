#ifndef CONF_CONF_VALUE_H
#define CONF_CONF_VALUE_H

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf_keys.h"

/* One value of the configuration, between its text and the struct it is stored in. */

/* What a value must look like: "a duration such as 30s, 4h or 7d". */
void conf_value_expected(const struct conf_key *k, struct buf *out);
/*
 * Checks a value and stores it into `base` (the struct of the key's section). Text is stored as
 * it is, borrowed. ERR_CONFIG says what was expected; a secret's text is never in a message.
 */
int conf_value_store(const struct conf_key *k, void *base, const char *text, struct err *e);
/* The value in `base` as one would write it; nothing where there is none. */
void conf_value_print(const struct conf_key *k, const void *base, struct buf *out);

#endif
