#ifndef SOURCE_PG_SETUP_H
#define SOURCE_PG_SETUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "source/pg/pg_target.h"

/*
 * What a restored data directory needs around its data before a server can start there:
 * configuration, where it has none, and the settings of its recovery.
 */
struct pg_setup_setting {
	char *name, *value;
};

struct pg_setup_options {
	const char *data;
	unsigned major; /* 15 */
	/* Texts of the files that lay elsewhere when the backup was made, or NULL. */
	const char *config, *hba, *ident;
	/*
	 * What differed from the defaults: a configuration is made of it where there is neither
	 * file nor text.
	 */
	const struct pg_setup_setting *setting;
	size_t settings;

	/* The recovery: one bound of pg_target_settings(); none of a standby. */
	const struct pg_target_setting *target;
	size_t targets;
	const char *restore_command;
	const char *end_command; /* when it has ended; "": nothing but taking these settings out again */
	bool standby; /* goes on for ever */
	bool adopt;   /* this is the database now: archiving and its standbys stay as they were */
	uint32_t uid, gid; /* who the files belong to, when run as root */

	/* One line about what was changed, for a person. */
	void (*tell)(void *arg, const char *text);
	void *arg;
};

/* All of it durable; nothing starts yet, for backup_label and pg_control come later. */
int pg_setup_write(const struct pg_setup_options *o, struct err *e);

#endif
