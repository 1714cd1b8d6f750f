/*
 * Who may speak for the repository changes with time, so repo/<n> is a chain: each names the hash
 * of the one before, keeps its signers, adds at most one, and is signed by an old signer and by
 * the one it adds. That this one must sign matters: nobody can list a stranger's key and then show
 * the list to that stranger as proof of belonging together.
 */
#include "repo/identity.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"
#include "repo/lines.h"
#include "store/store.h"

#define FIRST_LINE "ffdr-repository"
#define HORIZON_MOST_S (UINT64_C(200) * 365 * 86400)

void
identity_done(struct identity *it)
{
	free(it->signer);
	free(it->replaced);
	*it = (struct identity){ 0 };
}

void
identity_add_signer(struct identity *it, const uint8_t pub[SIGN_PUB], int64_t from_ns)
{
	struct keyring_signer *s;

	it->signer = xreallocarray(it->signer, it->signers + 1, sizeof(*it->signer));
	s = &it->signer[it->signers++];
	memcpy(s->pub, pub, SIGN_PUB);
	sign_key_id(pub, s->id);
	s->from_ns = from_ns;
}

void
identity_add_replaced(struct identity *it, const char *recipient, int64_t at_ns)
{
	struct identity_replaced *x;

	it->replaced = xreallocarray(it->replaced, it->replaceds + 1, sizeof(*it->replaced));
	x = &it->replaced[it->replaceds++];
	memset(x, 0, sizeof(*x));
	memcpy(x->recipient, recipient, strlen(recipient));
	x->at_ns = at_ns;
}

const struct identity_replaced *
identity_replaced(const struct identity *it, const char *recipient)
{
	for (size_t i = 0; i < it->replaceds; i++)
		if (strcmp(it->replaced[i].recipient, recipient) == 0)
			return &it->replaced[i];
	return NULL;
}

const struct keyring_signer *
identity_signer(const struct identity *it, const uint8_t id[SIGN_ID])
{
	for (size_t i = 0; i < it->signers; i++)
		if (memcmp(it->signer[i].id, id, SIGN_ID) == 0)
			return &it->signer[i];
	return NULL;
}

/* "ffdr-C" || object name || sha256(text before the first "signature" line) */
static void
signed_text(unsigned number, const uint8_t sha[DIGEST_LEN], struct buf *out)
{
	char name[LAYOUT_NAME];

	buf_init(out, LAYOUT_NAME + 64);
	buf_adds(out, "ffdr-C");
	buf_adds(out, layout_repo(number, name));
	buf_add(out, sha, DIGEST_LEN);
}

static int
add_signature(const struct sign_key *by, const struct buf *msg, struct buf *out, struct err *e)
{
	uint8_t sig[SIGN_LEN], id[SIGN_ID];
	char id_hex[TEXT_HEX(SIGN_ID)], sig_hex[TEXT_HEX(SIGN_LEN)];

	if (sign_make(by, msg->data, msg->len, sig, e) == -1)
		return -1;
	sign_key_id(sign_key_public(by), id);
	buf_addf(out, "signature %s %s\n", text_hex(id, SIGN_ID, id_hex),
	    text_hex(sig, SIGN_LEN, sig_hex));
	return 0;
}

int
identity_encode(const struct identity *it, const struct sign_key *by, const struct sign_key *also,
    struct buf *out, struct err *e)
{
	char hex[TEXT_HEX(DIGEST_LEN)], when[UNITS_TEXT];
	uint8_t sha[DIGEST_LEN];
	size_t start = out->len;
	struct buf msg;
	int rc;

	buf_addf(out, "%s 1\nrepository %s\n", FIRST_LINE,
	    text_hex(it->repo_id, LAYOUT_REPO_ID, hex));
	buf_addf(out, "number %u\ncreated %s\n", it->number, units_time(it->created_ns, when));
	buf_addf(out, "horizon %lld\npack-size %u\n", (long long)(it->horizon_ns / CLOCK_S),
	    it->pack_size);
	buf_addf(out, "previous %s\n", it->has_previous ?
	    text_hex(it->previous, DIGEST_LEN, hex) : "-");
	for (size_t i = 0; i < it->signers; i++)
		buf_addf(out, "signer %s %s\n", text_hex(it->signer[i].pub, SIGN_PUB, hex),
		    units_time(it->signer[i].from_ns, when));
	for (size_t i = 0; i < it->replaceds; i++)
		buf_addf(out, "replaced %s %s\n", it->replaced[i].recipient,
		    units_time(it->replaced[i].at_ns, when));
	if (buf_check(out, "repository object", e) == -1)
		return -1;
	digest_sha256(out->data + start, out->len - start, sha);
	signed_text(it->number, sha, &msg);
	rc = add_signature(by, &msg, out, e);
	if (rc == 0 && also != NULL)
		rc = add_signature(also, &msg, out, e);
	buf_done(&msg);
	return rc == -1 ? -1 : buf_check(out, "repository object", e);
}

static int
parse_previous(struct lines *l, struct identity *it, struct buf *value, struct err *e)
{
	if (lines_take(l, "previous", value, e) == -1)
		return -1;
	if (strcmp(buf_str(value), "-") == 0)
		return 0;
	it->has_previous = true;
	if (value->len != 2 * DIGEST_LEN ||
	    text_unhex(buf_str(value), it->previous, DIGEST_LEN) == -1)
		return err_set(e, ERR_CORRUPT, "line %zu: 'previous': expected 64 hex digits or -",
		    l->number);
	return 0;
}

static int
parse_signer(struct lines *l, struct identity *it, struct buf *value, struct err *e)
{
	uint8_t pub[SIGN_PUB];
	int64_t from_ns;

	if (lines_take(l, "signer", value, e) == -1)
		return -1;
	if (value->len <= 2 * SIGN_PUB || buf_str(value)[2 * SIGN_PUB] != ' ' ||
	    text_unhex(buf_str(value), pub, SIGN_PUB) == -1 ||
	    lines_parse_time(buf_str(value) + 2 * SIGN_PUB + 1, &from_ns) == -1)
		return err_set(e, ERR_CORRUPT, "line %zu: 'signer': expected 64 hex digits and a "
		    "time", l->number);
	if (it->signers == IDENTITY_SIGNERS_MAX)
		return err_set(e, ERR_CORRUPT, "line %zu: more than %d signers", l->number,
		    IDENTITY_SIGNERS_MAX);
	identity_add_signer(it, pub, from_ns);
	return 0;
}

static int
parse_replaced(struct lines *l, struct identity *it, struct buf *value, struct err *e)
{
	char recipient[KEK_RECIPIENT];
	const char *text;
	int64_t at_ns;

	if (lines_take(l, "replaced", value, e) == -1)
		return -1;
	text = buf_str(value);
	snprintf(recipient, sizeof(recipient), "%s", text);
	if (!layout_recipient_valid(recipient) || text[KEK_RECIPIENT - 1] != ' ' ||
	    lines_parse_time(text + KEK_RECIPIENT, &at_ns) == -1)
		return err_set(e, ERR_CORRUPT, "line %zu: 'replaced': expected a recipient and a time",
		    l->number);
	if (it->replaceds == IDENTITY_REPLACED_MAX || identity_replaced(it, recipient) != NULL)
		return err_set(e, ERR_CORRUPT, "line %zu: '%s' was replaced before, or more than %d were",
		    l->number, recipient, IDENTITY_REPLACED_MAX);
	identity_add_replaced(it, recipient, at_ns);
	return 0;
}

static int
parse_signature(struct lines *l, struct identity *it, struct buf *value, struct err *e)
{
	struct identity_signature *s;

	if (lines_take(l, "signature", value, e) == -1)
		return -1;
	if (it->signatures == IDENTITY_SIGNATURES_MAX)
		return err_set(e, ERR_CORRUPT, "line %zu: more than %d signatures", l->number,
		    IDENTITY_SIGNATURES_MAX);
	s = &it->signature[it->signatures++];
	if (value->len != 2 * SIGN_ID + 1 + 2 * SIGN_LEN || buf_str(value)[2 * SIGN_ID] != ' ' ||
	    text_unhex(buf_str(value), s->id, SIGN_ID) == -1 ||
	    text_unhex(buf_str(value) + 2 * SIGN_ID + 1, s->sig, SIGN_LEN) == -1)
		return err_set(e, ERR_CORRUPT, "line %zu: 'signature': expected 16 and 128 hex "
		    "digits", l->number);
	return 0;
}

static int
parse_numbers(struct lines *l, struct identity *it, struct err *e)
{
	uint64_t number, horizon, pack_size;

	if (lines_take_hex(l, "repository", it->repo_id, LAYOUT_REPO_ID, e) == -1 ||
	    lines_take_number(l, "number", UINT_MAX, &number, e) == -1 ||
	    lines_take_time(l, "created", &it->created_ns, e) == -1 ||
	    lines_take_number(l, "horizon", HORIZON_MOST_S, &horizon, e) == -1 ||
	    lines_take_number(l, "pack-size", STORE_OBJECT_MAX, &pack_size, e) == -1)
		return -1;
	it->number = (unsigned)number;
	it->horizon_ns = (int64_t)horizon * CLOCK_S;
	it->pack_size = (uint32_t)pack_size;
	return 0;
}

static int
parse_text(const struct buf *text, struct identity *it, struct buf *value, struct err *e)
{
	struct lines l;

	lines_set(&l, text);
	if (!lines_next_is(&l, FIRST_LINE))
		return err_set(e, ERR_CORRUPT, "not a repository object: does not begin with '%s'",
		    FIRST_LINE);
	if (lines_take_word(&l, FIRST_LINE, "1", e) == -1)
		return err_set(e, ERR_UNSUPPORTED, "repository of another format than 1: a newer "
		    "program made it");
	if (parse_numbers(&l, it, e) == -1 || parse_previous(&l, it, value, e) == -1)
		return -1;
	do {
		if (parse_signer(&l, it, value, e) == -1)
			return -1;
	} while (lines_next_is(&l, "signer"));
	while (lines_next_is(&l, "replaced"))
		if (parse_replaced(&l, it, value, e) == -1)
			return -1;
	digest_sha256(text->data, lines_offset(&l, text), it->signed_sha);
	do {
		if (parse_signature(&l, it, value, e) == -1)
			return -1;
	} while (lines_next_is(&l, "signature"));
	digest_sha256(text->data, text->len, it->sha);
	return lines_end(&l, e);
}

int
identity_parse(const struct buf *text, struct identity *ret, struct err *e)
{
	struct identity it = { 0 };
	struct buf value;
	int rc;

	buf_init(&value, 512);
	rc = parse_text(text, &it, &value, e);
	buf_done(&value);
	if (rc == -1) {
		identity_done(&it);
		return -1;
	}
	*ret = it;
	return 0;
}

static bool
keeps_replaced(const struct identity *it, const struct identity *before)
{
	if (it->replaceds < before->replaceds)
		return false;
	for (size_t i = 0; i < before->replaceds; i++)
		if (strcmp(it->replaced[i].recipient, before->replaced[i].recipient) != 0 ||
		    it->replaced[i].at_ns != before->replaced[i].at_ns)
			return false;
	return true;
}

/* Follows `before`: next number, its hash, all its signers in order and at most one more. */
static int
check_follows(const struct identity *it, const struct identity *before, struct err *e)
{
	if (it->number != before->number + 1 || !it->has_previous ||
	    memcmp(it->previous, before->sha, DIGEST_LEN) != 0)
		return err_set(e, ERR_CORRUPT, "does not follow repo/%u: it names another one "
		    "before it", before->number);
	if (memcmp(it->repo_id, before->repo_id, LAYOUT_REPO_ID) != 0)
		return err_set(e, ERR_CORRUPT, "belongs to another repository than repo/%u",
		    before->number);
	if (it->signers < before->signers || it->signers > before->signers + 1)
		return err_set(e, ERR_CORRUPT, "lists %zu signers, repo/%u %zu: expected those and "
		    "at most one more", it->signers, before->number, before->signers);
	for (size_t i = 0; i < before->signers; i++)
		if (memcmp(it->signer[i].pub, before->signer[i].pub, SIGN_PUB) != 0)
			return err_set(e, ERR_CORRUPT, "does not keep the signers of repo/%u",
			    before->number);
	if (!keeps_replaced(it, before))
		return err_set(e, ERR_CORRUPT, "does not keep what repo/%u says was replaced",
		    before->number);
	return 0;
}

/*
 * Every signature fits, a signer of `from` is among them, and so is one that `from` does not list.
 */
static int
check_signatures(const struct identity *it, const struct identity *from, struct err *e)
{
	const struct keyring_signer *newest = &it->signer[it->signers - 1], *s;
	bool by_old = false, by_newest = false;
	struct buf msg;
	int rc = 0;

	signed_text(it->number, it->signed_sha, &msg);
	for (size_t i = 0; i < it->signatures && rc == 0; i++) {
		s = identity_signer(it, it->signature[i].id);
		if (s == NULL)
			rc = err_set(e, ERR_CORRUPT, "is signed by a key it does not list");
		else if (sign_check(s->pub, msg.data, msg.len, it->signature[i].sig, NULL) == -1)
			rc = err_set(e, ERR_CORRUPT, "signature does not fit: it was changed or "
			    "forged");
		else if (identity_signer(from, s->id) != NULL)
			by_old = true;
		if (s == newest)
			by_newest = true;
	}
	buf_done(&msg);
	if (rc == 0 && !by_old)
		rc = err_set(e, ERR_CORRUPT, "is not signed by a signer of the one before");
	if (rc == 0 && !by_newest && (it == from || it->signers > from->signers))
		rc = err_set(e, ERR_CORRUPT, "is not signed by the newest signer it lists");
	return rc;
}

int
identity_check(const struct identity *it, const struct identity *before, struct err *e)
{
	if (before == NULL && (it->number != 0 || it->has_previous || it->signers != 1))
		return err_set(e, ERR_CORRUPT, "is no beginning: expected number 0, nothing before "
		    "it and one signer");
	if (before != NULL && check_follows(it, before, e) == -1)
		return -1;
	return check_signatures(it, before == NULL ? it : before, e);
}
