#ifndef CONF_CONF_INI_H
#define CONF_CONF_INI_H

#include <stddef.h>

/*
 * The text of one configuration file as events, in its order. It knows lines and nothing of keys:
 * a wrong line is an event too, and reading goes on behind it.
 */
enum conf_ini_event {
	CONF_INI_SECTION, /* a = what stood between the brackets */
	CONF_INI_KEY,	  /* a = the key, b = its value; both may be empty */
	CONF_INI_PROBLEM, /* a = what is wrong with the line */
	CONF_INI_LOST,	  /* the same of a section's line: nobody knows whose the next keys are */
};

/* a and b live for the call only. */
typedef void conf_ini_seen(void *arg, enum conf_ini_event event, unsigned line, const char *a,
    const char *b);

/* The longest line, without its end. */
#define CONF_INI_LINE 8000

void conf_ini_parse(const char *text, size_t n, conf_ini_seen *seen, void *arg);

#endif
