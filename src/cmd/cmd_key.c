/*
 * ffdr key list, rotate, escrow-test. After a rotation the configuration still names the old key;
 * the last word of the output is therefore the line to change.
 */
#include "cmd/cmd_key.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"
#include "cmd/output.h"
#include "cmd/progress.h"
#include "job/key.h"

#define TIERS_TEXT 4096

/* ---- key list ---- */

static void
tiers_text(const struct session *s, uint64_t on, struct buf *out)
{
	buf_reset(out);
	for (size_t i = 0; i < s->tiers.count; i++) {
		if (on >> i & 1)
			buf_addf(out, "%s%s", out->len > 0 ? ", " : "", s->tiers.tier[i].name);
	}
}

static json_t *
tiers_json(const struct session *s, uint64_t on)
{
	json_t *array = json_array();

	for (size_t i = 0; i < s->tiers.count; i++) {
		if (on >> i & 1)
			json_array_append_new(array, json_string(s->tiers.tier[i].name));
	}
	return array;
}

static const char *
created(const struct keyring_epoch *ep, char *out)
{
	return ep ? units_time(ep->created_ns, out) : NULL;
}

static void
list_json(const struct session *s, const struct key_report *r)
{
	const struct keyring *keys = s->repo->keys;
	json_t *rows = json_array(), *signers = json_array();
	char hex[TEXT_HEX(LAYOUT_EPOCH)], id[TEXT_HEX(SIGN_ID)], when[UNITS_TEXT];

	for (size_t i = 0; i < r->count; i++) {
		const struct key_row *row = &r->row[i];
		const struct keyring_epoch *ep = keyring_find(keys, row->epoch);

		json_array_append_new(rows, json_pack("{s:s, s:b, s:s?, s:s, s:s, s:o}", "epoch",
		    text_hex(row->epoch, LAYOUT_EPOCH, hex), "current",
		    ep && ep == keyring_current(keys), "created", created(ep, when), "recipient",
		    row->recipient, "kind", key_recipient_word(row->recipient), "tiers",
		    tiers_json(s, row->on)));
	}
	for (size_t i = 0; i < keys->signers; i++)
		json_array_append_new(signers, json_pack("{s:s, s:s}", "id",
		    text_hex(keys->signer[i].id, SIGN_ID, id), "since",
		    units_time(keys->signer[i].from_ns, when)));
	output_json(json_pack("{s:o, s:o}", "keys", rows, "signers", signers));
}

/* What an epoch is for; ep NULL: one that this host cannot open. */
static const char *
use(const struct keyring *keys, const struct keyring_epoch *ep)
{
	const struct keyring_epoch *current = keyring_current(keys);

	if (ep == NULL || ep < current)
		return "opens";
	return ep == current ? "seals" : "not yet";
}

static void
list_table(const struct session *s, const struct key_report *r)
{
	static const char *const header[] = { "EPOCH", "CREATED", "USE", "OPENED BY", "ID", "TIERS" };
	const struct keyring *keys = s->repo->keys;
	struct output_table *t = output_table_new(header, ARRAY_LEN(header));
	char hex[TEXT_HEX(LAYOUT_EPOCH)], when[UNITS_TEXT];
	struct buf tiers;

	buf_init(&tiers, TIERS_TEXT);
	for (size_t i = 0; i < r->count; i++) {
		const struct key_row *row = &r->row[i];
		const struct keyring_epoch *ep = keyring_find(keys, row->epoch);

		tiers_text(s, row->on, &tiers);
		output_table_row(t, (const char *const[]){
		    text_hex(row->epoch, LAYOUT_EPOCH, hex), ep ? created(ep, when) : "unknown",
		    use(keys, ep),
		    row->recipient[0] == 'k' ? "kek" : key_recipient_word(row->recipient),
		    row->recipient, buf_str(&tiers) });
	}
	output_table_print(t);
	buf_done(&tiers);
	if (keyring_current(keys) != &keys->epoch[keys->epochs - 1])
		output_note("the newest key epoch is half made, so nothing is sealed under it: `ffdr key "
			    "rotate` finishes it");
	for (size_t i = 0; i < keys->signers; i++) {
		char id[TEXT_HEX(SIGN_ID)];

		output_line("signer %s, since %s", text_hex(keys->signer[i].id, SIGN_ID, id),
		    units_time(keys->signer[i].from_ns, when));
	}
}

static void
warn(void *arg, const char *text)
{
	(void)arg;
	output_warn("%s", text);
}

static int
list(const struct command_call *call, struct err *e)
{
	struct key_report r = { 0 };
	struct session s;
	int rc;

	if (session_open(call->conf, SESSION_READ, &s, e) == -1)
		return -1;
	session_warn_away(&s, warn, NULL);
	rc = key_list(&s, &r, e);
	if (rc == 0 && output_is_json())
		list_json(&s, &r);
	else if (rc == 0)
		list_table(&s, &r);
	key_list_done(&r);
	session_done(&s);
	return rc == 0 ? EXIT_DONE : -1;
}

const struct command cmd_key_list = {
	.name = "key list",
	.operands = "",
	.summary = "show the repository's keys and what opens them",
	.text = "Data is sealed under a key of the current epoch; older epochs open what they sealed. "
		"Each epoch's key lies on every tier, wrapped once for each recipient: the kek (or a "
		"passphrase) and the escrow key in the safe. One line for each of these, with the "
		"tiers that have it, then the keys that may sign. An epoch that a rotation cut short "
		"has left half made is used not yet: nothing is sealed under it.",
	.examples = "ffdr key list\n"
		    "ffdr key list --json",
	.conf = CONF_LOAD,
	.run = list,
};

/* ---- key rotate ---- */

struct rotate_options {
	struct common_options common;
	bool data;
	const char *kek, *escrow, *signing;
};

static void
rotated_kek(const struct session *s, const char *ref, bool made)
{
	bool recovered = s->kek.kind == KEK_ESCROW;
	struct buf origin;

	if (output_is_json()) {
		output_json(json_pack("{s:s, s:s, s:b}", "rotated", "kek", "reference", ref, "made",
		    made));
		return;
	}
	buf_init(&origin, TIERS_TEXT);
	conf_origin(s->conf, "keys", 0, "kek", &origin);
	output_done("rotated the kek: every data key is now wrapped for %s%s", ref, recovered ? "" :
	    ", the old kek opens nothing any more");
	if (recovered)
		output_detail("know", "the lost kek still opens what it did: begin a new epoch by ffdr "
			      "key rotate if it may be in wrong hands");
	output_detail("change", "kek = %s in [keys] (%s), on every host", ref, buf_str(&origin));
	output_detail("then", "ffdr check, and remove the old key where nothing else uses it");
	buf_done(&origin);
}

static void
rotated_escrow(const struct conf *c, const char *ref, bool made, const char *private_path)
{
	struct buf origin;

	if (output_is_json()) {
		output_json(json_pack("{s:s, s:s, s:b, s:o}", "rotated", "escrow", "reference", ref,
		    "made", made, "private", private_path ? output_string(private_path) :
		    json_null()));
		return;
	}
	buf_init(&origin, TIERS_TEXT);
	conf_origin(c, "keys", 0, "escrow", &origin);
	output_done("rotated the escrow key: every data key is now wrapped for %s, the old one opens "
		    "nothing any more", ref);
	if (private_path)
		output_detail("move", "%s to a medium that goes into the safe", private_path);
	output_detail("change", "escrow = %s in [keys] (%s), on every host", ref, buf_str(&origin));
	output_detail("then", "ffdr key escrow-test --private FILE, with the file on that medium");
	buf_done(&origin);
}

static void
rotated_signing(const struct conf *c, const char *ref, bool made, const uint8_t pub[SIGN_PUB])
{
	char hex[TEXT_HEX(SIGN_PUB)], id_hex[TEXT_HEX(SIGN_ID)];
	uint8_t id[SIGN_ID];
	struct buf origin;

	sign_key_id(pub, id);
	text_hex(id, SIGN_ID, id_hex);
	text_hex(pub, SIGN_PUB, hex);
	if (output_is_json()) {
		output_json(json_pack("{s:s, s:s, s:b, s:s, s:s}", "rotated", "signing", "reference",
		    ref, "made", made, "id", id_hex, "public", hex));
		return;
	}
	buf_init(&origin, TIERS_TEXT);
	conf_origin(c, "keys", 0, "signing", &origin);
	output_done("added a signing key: %s may sign in this repository", id_hex);
	output_detail("public", "%s, for the sheet in the safe", hex);
	output_detail("change", "signing = %s in [keys] (%s)", ref, buf_str(&origin));
	output_detail("then", "ffdr check");
	buf_done(&origin);
}

static int
rotate_data(struct session *s, struct err *e)
{
	uint8_t epoch[LAYOUT_EPOCH];
	char hex[TEXT_HEX(LAYOUT_EPOCH)];

	if (key_rotate_data(s, epoch, e) == -1)
		return -1;
	text_hex(epoch, LAYOUT_EPOCH, hex);
	if (output_is_json())
		output_json(json_pack("{s:s, s:s}", "rotated", "data", "epoch", hex));
	output_done("began key epoch %s: new data is sealed under a new key, old data stays readable",
	    hex);
	return 0;
}

static int
rotate(const struct command_call *call, struct err *e)
{
	const struct rotate_options *o = call->options;
	uint8_t pub[SIGN_PUB];
	char *private_path = NULL;
	bool made = false;
	struct session s;
	int rc;

	if (o->data + (o->kek != NULL) + (o->escrow != NULL) + (o->signing != NULL) > 1)
		return err_set(e, ERR_USAGE, "key rotate: one key at a time, so that each is proved "
					     "before the next");
	if (session_open(call->conf, SESSION_WRITE, &s, e) == -1)
		return -1;
	if (o->kek) {
		rc = key_rotate_kek(&s, o->kek, &made, e);
		if (rc == 0)
			rotated_kek(&s, o->kek, made);
	} else if (o->escrow) {
		rc = key_rotate_escrow(&s, o->escrow, &made, &private_path, e);
		if (rc == 0)
			rotated_escrow(call->conf, o->escrow, made, private_path);
	} else if (o->signing) {
		rc = key_rotate_signing(&s, o->signing, &made, pub, e);
		if (rc == 0)
			rotated_signing(call->conf, o->signing, made, pub);
	} else {
		rc = rotate_data(&s, e);
	}
	free(private_path);
	session_done(&s);
	return rc == 0 ? EXIT_DONE : -1;
}

static const struct opt rotate_opts[] = {
	{ "data", 0, OPT_FLAG, offsetof(struct rotate_options, data), NULL,
	    "begin a new epoch of data keys (the default)" },
	{ "kek", 0, OPT_STRING, offsetof(struct rotate_options, kek), "REFERENCE",
	    "wrap every data key for this key instead of the old kek" },
	{ "escrow", 0, OPT_STRING, offsetof(struct rotate_options, escrow), "REFERENCE",
	    "wrap every data key for this public half instead of the old escrow key" },
	{ "signing", 0, OPT_STRING, offsetof(struct rotate_options, signing), "REFERENCE",
	    "let this key sign from now on" },
	{ 0 },
};

const struct command cmd_key_rotate = {
	.name = "key rotate",
	.operands = "",
	.summary = "renew the data key, the kek, the escrow or the signing key",
	.text = "Without an option, or with --data, begins a new epoch: new data is sealed under a new "
		"key, old data ages out by the horizon. Once a quarter is a good habit.\n\n"
		"With --kek, every data key is wrapped for the key that REFERENCE names, read back "
		"from every tier, and only then the old kek's objects are removed. It is written down, "
		"signed, that the old kek was replaced: no host wraps anything for it again, and what "
		"a tier that was set back has for it is removed there. --escrow does the same for the "
		"pair whose private half is in the safe. With --signing, the "
		"key that REFERENCE names is added to those that may sign. A file: or credential: "
		"that is not there is made first; no key is ever overwritten, so a new key has a new "
		"name, and the output says which line of the configuration to change.\n\n"
		"All tiers must answer. What is cut short does no harm, and the same command finishes it.",
	.examples = "ffdr key rotate                                 # a new data key\n"
		    "ffdr key rotate --kek credential:ffdr-kek-2     # somebody left who knew the kek\n"
		    "ffdr key rotate --escrow /etc/ffdr/escrow-2.pem  # a new pair for the safe\n"
		    "ffdr key rotate --signing credential:ffdr-signing-2",
	.options = rotate_opts,
	.options_size = sizeof(struct rotate_options),
	.conf = CONF_LOAD,
	.run = rotate,
};

/* ---- key escrow-test ---- */

struct escrow_options {
	struct common_options common;
	const char *file;
};

static int
escrow_test(const struct command_call *call, struct err *e)
{
	const struct escrow_options *o = call->options;
	struct key_escrow r;

	if (!o->file)
		return err_set(e, ERR_USAGE, "key escrow-test: --private FILE is missing: the private "
					     "half out of the safe");
	if (key_escrow_test(call->conf, o->file, &r, e) == -1)
		return -1;
	if (output_is_json())
		output_json(json_pack("{s:b, s:i, s:i}", "opens", 1, "epochs", (int)r.epochs,
		    "tiers", (int)r.tiers));
	output_done("the escrow key opens the repository: all %zu key epoch%s, on each of %zu tier%s",
	    r.epochs, r.epochs == 1 ? "" : "s", r.tiers, r.tiers == 1 ? "" : "s");
	output_detail("then", "put it back into the safe; it opens every backup");
	return EXIT_DONE;
}

static const struct opt escrow_opts[] = {
	{ "private", 0, OPT_STRING, offsetof(struct escrow_options, file), "FILE",
	    "the private half, in PEM without a passphrase" },
	{ 0 },
};

const struct command cmd_key_escrow_test = {
	.name = "key escrow-test",
	.operands = "",
	.summary = "prove that the key in the safe opens everything",
	.text = "Opens the repository with the private half of the escrow key and nothing else, and "
		"looks on every tier for the objects it would need there. Do this when the key goes "
		"into the safe and once a year, on a host that may see it.\n\n"
		"In the disaster itself, name the file as kek in the configuration and all commands "
		"work; then make a new one by `ffdr key rotate --kek REFERENCE`.",
	.examples = "ffdr key escrow-test --private /media/safe/escrow-private.pem",
	.options = escrow_opts,
	.options_size = sizeof(struct escrow_options),
	.conf = CONF_LOAD,
	.run = escrow_test,
};
