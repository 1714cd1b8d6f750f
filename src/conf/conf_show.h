#ifndef CONF_CONF_SHOW_H
#define CONF_CONF_SHOW_H

#include <jansson.h>

#include "base/buf.h"
#include "conf/conf.h"

/*
 * `ffdr config show`: every section and key with its value in force and where it comes from,
 * "FILE:LINE" or "default". The text is a configuration that could be read again, origins as
 * comments. Secrets are shown as the references they are.
 */
void conf_show_text(const struct conf *c, struct buf *out);
/*
 * {"file": ..., "sections": [{"section": "tier", "name": "local", "keys": [{"key": "keep",
 * "value": "7d", "origin": "/etc/ffdr/ffdr.ini:14"}]}]}; a key without a value has null. The
 * caller owns the reference.
 */
json_t *conf_show_json(const struct conf *c);

#endif
