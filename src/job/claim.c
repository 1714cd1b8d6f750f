/*
 * True in every column of every row, and there is one: anything else is a claim that does not hold,
 * NULL and no rows among them. The same question goes to the server that lives (`check`), so that a
 * statement that was mistyped is not found in the night of the proof, and to the one that was
 * restored.
 */
#include "job/claim.h"

#include <stdio.h>
#include <string.h>

#define WHERE 64

static int
wrong(const char *value, const char *where, const char *sql, struct err *why)
{
	const char *is = !value ? "NULL" : strcmp(value, "f") == 0 ? "false" : value;

	err_set(why, ERR_CORRUPT, "check-sql is %s%s, expected true: %s", is, where, sql);
	return 0;
}

static int
judge(const struct pg_rows *rows, const char *sql, struct err *why)
{
	const size_t n = pg_conn_rows(rows), columns = pg_conn_columns(rows);
	char where[WHERE] = "";

	if (n == 0 || columns == 0) {
		err_set(why, ERR_CORRUPT, "check-sql gave no row, expected true: %s", sql);
		return 0;
	}
	for (size_t i = 0; i < n * columns; i++) {
		const char *value = pg_conn_value(rows, i / columns, i % columns, NULL);

		if (n * columns > 1)
			snprintf(where, sizeof(where), " in row %zu, column %zu", i / columns + 1,
			    i % columns + 1);
		if (!value || strcmp(value, "t") != 0)
			return wrong(value, where, sql, why);
	}
	return 1;
}

int
claim_ask(struct pg_conn *c, const char *sql, struct err *why)
{
	struct pg_rows *rows = NULL;
	int rc;

	/* Its names are meant as its owner would type them. */
	if (pg_conn_exec(c, "RESET search_path", NULL, 0, NULL, why) == -1 ||
	    pg_conn_exec(c, sql, NULL, 0, &rows, why) == -1)
		return -1;
	rc = judge(rows, sql, why);
	pg_conn_rows_free(rows);
	return rc;
}
