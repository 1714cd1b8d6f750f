/*
 * A pack is locked for as long as it can be wanted, once and for all. What opens it is put once, too, but
 * is used for as long as the epoch lasts, and a rotation may be late: so its lock has to go on with it, or
 * an attacker who may delete versions takes the key away from packs that are still locked. The store knows
 * until when, so nothing is remembered here. Keys of epochs before got their last lock while they were
 * used, and that is long enough for what they have sealed.
 */
#include "repo/repo_lock.h"

#include <string.h>

#include "base/clock.h"
#include "repo/repo_scan.h"

/* So much of a lock may have passed. */
#define DAY_MS (INT64_C(86400) * 1000)

static bool
goes_on(const char *name, const struct keyring_epoch *current)
{
	uint8_t epoch[LAYOUT_EPOCH];
	char recipient[KEK_RECIPIENT];

	if (layout_key_parse(name, epoch, recipient, sizeof(recipient)) == -1)
		return true; /* repo/ */
	return current != NULL && memcmp(epoch, current->epoch, LAYOUT_EPOCH) == 0;
}

int
repo_lock_renew(const struct repo *r, struct tier *t, struct err *e)
{
	const struct keyring_epoch *current = keyring_current(r->keys);
	struct tier_set only = { t, 1 };
	struct repo_scan s;
	int renewed = 0, rc = 0;

	if (t->options.lock == STORE_LOCK_NONE || t->store == NULL)
		return 0;
	repo_scan(&only, &s);
	if (s.tier[0].away) {
		*e = t->why;
		rc = -1;
	}
	for (size_t i = 0; i < s.tier[0].names && rc != -1; i++) {
		if (!goes_on(s.tier[0].name[i], current))
			continue;
		rc = store_relock(t->store, s.tier[0].name[i], DAY_MS, e);
		renewed += rc == 1;
	}
	repo_scan_done(&s);
	if (rc == -1)
		return err_line(e, "fix", "its user needs the rights s3:GetObjectRetention and "
		    "s3:PutObjectRetention on repo/ and key/");
	return renewed;
}
