/*
 * Signatures cannot show that something is missing: a bucket set back to last month is signed
 * throughout. So the host keeps two facts of its own. They are a cache in that they may be lost,
 * and then nothing is held against the tiers; but as long as they are there, less than was seen
 * before is refused.
 */
#include "repo/repo_pin.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "repo/lines.h"

#define FIRST_LINE "ffdr-pin"
#define PIN_MAX 512

struct pin {
	uint8_t repo_id[LAYOUT_REPO_ID];
	unsigned number;
};

/* 1/0/-1 */
static int
read_pin(const char *path, struct pin *ret, struct err *e)
{
	struct err why = { 0 };
	struct buf text;
	struct lines l;
	uint64_t number;
	int rc = -1;

	if (path == NULL)
		return 0;
	buf_init(&text, PIN_MAX);
	if (file_get(AT_FDCWD, path, &text, &why) == -1) {
		rc = why.kind == ERR_NOTFOUND ? 0 : -1;
		goto out;
	}
	lines_set(&l, &text);
	if (lines_take_word(&l, FIRST_LINE, "1", &why) == -1 ||
	    lines_take_hex(&l, "repository", ret->repo_id, LAYOUT_REPO_ID, &why) == -1 ||
	    lines_take_number(&l, "number", UINT_MAX, &number, &why) == -1)
		goto out;
	ret->number = (unsigned)number;
	rc = 1;
out:
	if (rc == -1 && e != NULL) {
		*e = why;
		err_in(e, "%s", path);
		lines_memory_fix(e, path, "which repository was seen here");
	}
	buf_done(&text);
	return rc;
}

int
repo_pin_read(const char *path, struct err *e)
{
	struct pin pin;

	return read_pin(path, &pin, e);
}

int
repo_pin_id(const char *path, uint8_t id[LAYOUT_REPO_ID], struct err *e)
{
	struct pin pin;
	int rc = read_pin(path, &pin, e);

	if (rc == 1)
		memcpy(id, pin.repo_id, LAYOUT_REPO_ID);
	return rc;
}

int
repo_pin_check(const char *path, const struct repo_chain *c, bool past, struct err *e)
{
	const struct identity *last = repo_chain_last(c);
	char seen[TEXT_HEX(LAYOUT_REPO_ID)], found[TEXT_HEX(LAYOUT_REPO_ID)];
	struct pin pin = { 0 };
	int rc = read_pin(path, &pin, e);

	if (rc != 1)
		return rc;
	if (memcmp(pin.repo_id, last->repo_id, LAYOUT_REPO_ID) != 0) {
		err_set(e, ERR_REFUSED, "the tiers hold repository %s, this host has worked with "
		    "%s", text_hex(last->repo_id, LAYOUT_REPO_ID, found),
		    text_hex(pin.repo_id, LAYOUT_REPO_ID, seen));
		return err_line(e, "fix", "if the change is meant, remove %s", path);
	}
	if (past || last->number >= pin.number)
		return 0;
	err_set(e, ERR_REFUSED, "the repository was rolled back: repo/%u is the highest on any "
	    "tier, this host has seen repo/%u", last->number, pin.number);
	if (c->broken.kind != ERR_NONE)
		err_line(e, "checked", "%.*s", (int)strcspn(c->broken.text, "\n"), c->broken.text);
	return err_line(e, "fix", "bring repo/%u back from another tier or host; if the loss is "
	    "known and meant, remove %s", pin.number, path);
}

int
repo_pin_check_none(const char *path, struct err *e)
{
	char seen[TEXT_HEX(LAYOUT_REPO_ID)];
	struct pin pin;
	int rc = read_pin(path, &pin, e);

	if (rc != 1)
		return rc;
	err_set(e, ERR_REFUSED, "all tiers are empty, but this host has worked with repository %s",
	    text_hex(pin.repo_id, LAYOUT_REPO_ID, seen));
	return err_line(e, "fix", "see that the tiers are mounted and their urls right; to begin a "
	    "new repository remove %s", path);
}

void
repo_pin_write(const char *path, const struct repo_chain *c)
{
	const struct identity *last = repo_chain_last(c);
	char hex[TEXT_HEX(LAYOUT_REPO_ID)];
	struct pin pin = { 0 };
	struct buf text;

	if (path == NULL || (read_pin(path, &pin, NULL) == 1 && pin.number == last->number &&
	    memcmp(pin.repo_id, last->repo_id, LAYOUT_REPO_ID) == 0))
		return;
	buf_init(&text, PIN_MAX);
	buf_addf(&text, "%s 1\nrepository %s\nnumber %u\n", FIRST_LINE,
	    text_hex(last->repo_id, LAYOUT_REPO_ID, hex), last->number);
	file_put(AT_FDCWD, path, text.data, text.len, 0640, FILE_REPLACE, NULL);
	buf_done(&text);
}
