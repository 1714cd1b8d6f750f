/*
 * The manual pages in mdoc, out of the same tables as the program. Prose in the tables is plain
 * text: blank lines part paragraphs, `backquotes` mark what is typed. Here it becomes roff, one
 * sentence a line, with every character that roff would take for itself made harmless.
 */
#include "cmd/man.h"

#include <string.h>

#include "base/buf.h"
#include "cmd/options.h"
#include "conf/conf_keys.h"
#include "conf/conf_value.h"

#define MAN_DATE "November 21, 2026" /* fixed, so that the same sources make the same page */
#define MAN_EXPECTED 1000

/* One character of prose or code. */
static void
put(FILE *out, char c, bool code)
{
	if (c == '\\')
		fputs("\\e", out);
	else if (c == '-' && code)
		fputs("\\-", out);
	else
		fputc(c, out);
}

/* Ends a sentence here? "e.g." and "3.5" do not. */
static bool
sentence_end(const char *text, const char *at)
{
	return at > text + 2 && strchr(".:?!", *at) && (at[1] == ' ' || at[1] == '\n') &&
	    at[-2] != '.' && at[-1] != '.';
}

/* Plain text as roff. */
static void
prose(FILE *out, const char *text)
{
	bool code = false, start = true, option = false;

	for (const char *p = text; *p; p++) {
		if (start && (*p == '.' || *p == '\''))
			fputs("\\&", out);
		start = false;
		if (*p == '`') {
			code = !code;
			fputs(code ? "\\fB" : "\\fP", out);
			continue;
		}
		if (strncmp(p, "\n\n", 2) == 0) {
			fputs("\n.Pp\n", out);
			p++;
			start = true;
			continue;
		}
		/* A word that starts with "-" is an option: its hyphens must stay what they are. */
		option = *p == '-' ? option || p == text || strchr(" (\n", p[-1]) : option && *p > ' ';
		put(out, *p, code || option);
		if (!code && sentence_end(text, p) && strncmp(p + 1, "\n\n", 2) != 0) {
			fputc('\n', out);
			p++;
			start = true;
		}
	}
	fputc('\n', out);
}

/* Lines to be shown as they are. */
static void
literal(FILE *out, const char *text)
{
	fputs(".Bd -literal -offset indent\n", out);
	for (const char *p = text; *p; p++) {
		if ((p == text || p[-1] == '\n') && (*p == '.' || *p == '\''))
			fputs("\\&", out);
		put(out, *p, true);
	}
	fputs("\n.Ed\n", out);
}

static void
head(FILE *out, const char *title, const char *section, const char *name, const char *what)
{
	fprintf(out, ".Dd " MAN_DATE "\n.Dt %s %s\n.Os\n.Sh NAME\n.Nm %s\n.Nd %s\n", title, section,
	    name, what);
}

/* ---- ffdr.1 ---- */

static void
options(FILE *out, const struct opt *table)
{
	if (!table || !table->name)
		return;
	fputs(".Bl -tag -width Ds\n", out);
	for (; table->name; table++) {
		fputs(".It ", out);
		if (table->letter)
			fprintf(out, "Fl %c , ", table->letter);
		fprintf(out, "Fl -%s", table->name);
		if (table->type != OPT_FLAG)
			fprintf(out, " Ar %s", table->value ? table->value : "VALUE");
		fputc('\n', out);
		prose(out, table->help);
	}
	fputs(".El\n", out);
}

static void
command(FILE *out, const struct command *c)
{
	fprintf(out, ".Ss ffdr %s%s%s\n", c->name, c->operands && *c->operands ? " " : "",
	    c->operands ? c->operands : "");
	prose(out, c->text);
	options(out, c->options);
	literal(out, c->examples);
}

static const char program_text[] =
    "ffdr backs up sources, keeps the copies in several tiers, proves that they can be restored, and "
    "brings them back. A `source` is a thing it protects, such as `vol.uploads`; a `tier` is a place "
    "that holds objects, and each tier is a whole repository; a `snapshot` is one complete state of "
    "one source. A snapshot's id looks like `vol.uploads/20261121T020000Z-1a2b3c4d`; a part of it that "
    "fits only one, or `latest`, is enough.\n\n"
    "Sources, tiers and keys are named in the configuration, see ffdr.conf(5). Data goes to standard "
    "output, all else to standard error. Times are UTC. Sizes take `k m g` (1024) or `kB MB GB`, "
    "durations `ms s m h d w y`.\n\n"
    "With `--json` standard output holds one object, on failure {\"error\": {\"kind\": ..., "
    "\"message\": ...}}. With `--events` each line is an object with `event` and `time`: `progress`, "
    "`warning` and others while it works, then `result`, which holds what `--json` would have "
    "printed, or `error`. Objects may gain members; none changes its meaning.\n\n"
    "Options may stand anywhere after the command; `--` ends them. Every command has these:";

static const char environment_text[] =
    ".Bl -tag -width CREDENTIALS_DIRECTORY\n"
    ".It Ev FFDR_CONFIG\nThe configuration to read where\n.Fl -config\nis not given.\n"
    ".It Ev CREDENTIALS_DIRECTORY\nWhere\n.Ql credential:NAME\n"
    "is looked for first; systemd sets it.\n"
    ".It Ev NO_COLOR\nWhen set and not empty, output has no colours.\n"
    ".El\n";

static const char files_text[] =
    ".Bl -tag -width Ds\n"
    ".It Pa /etc/ffdr/ffdr.ini\nThe configuration.\n"
    ".It Pa /etc/ffdr/conf.d/*.ini\nMore of it, read in the order of their names.\n"
    ".It Pa /etc/ffdr/credentials/\nKeys and other secrets.\n"
    ".It Pa /var/lib/ffdr/\nState.\nIt can be rebuilt and may be empty at each start.\n"
    ".El\n";

static void
statuses(FILE *out)
{
	fputs(".Sh EXIT STATUS\n.Bl -tag -width Ds\n", out);
	for (const struct command_status *s = command_statuses; s->meaning; s++) {
		fprintf(out, ".It %d\n", s->code);
		prose(out, s->meaning);
	}
	fputs(".El\n", out);
}

void
man_program(FILE *out)
{
	head(out, "FFDR", "1", "ffdr", "back up, keep copies in several places, prove and restore them");
	fputs(".Sh SYNOPSIS\n.Nm\n.Ar command\n.Op Ar operand ...\n.Op Ar option ...\n"
	      ".Sh DESCRIPTION\n", out);
	prose(out, program_text);
	options(out, options_common);
	fputs(".Sh COMMANDS\n", out);
	for (size_t i = 0; command_table[i]; i++)
		command(out, command_table[i]);
	fputs(".Sh ENVIRONMENT\n", out);
	fputs(environment_text, out);
	fputs(".Sh FILES\n", out);
	fputs(files_text, out);
	statuses(out);
	fputs(".Sh SEE ALSO\n.Xr ffdr.conf 5\n", out);
}

/* ---- ffdr.conf.5 ---- */

static const char configuration_text[] =
    "The configuration is one file, `/etc/ffdr/ffdr.ini`, and after it the files `conf.d/*.ini` beside "
    "it in the order of their names. `--config` or the variable `FFDR_CONFIG` name another main file. "
    "`ffdr config show` prints every value in force and the line it comes from; `ffdr check` proves "
    "it all.\n\n"
    "A section is `[name]` or `[kind name]`, a line in it `key = value`, a comment starts with `;`. "
    "Sizes take `k m g` (1024) or `kB MB GB`; durations `ms s m h d w y`; lists are comma separated. "
    "A key that is not known is an error, never ignored.\n\n"
    "Secrets are references, never values: `credential:NAME` (a file of that name in "
    "$CREDENTIALS_DIRECTORY, then in the directory `credentials` of the section ffdr), `file:PATH`, "
    "`env:NAME`, `command:CMD` (what it prints), and for the key `kek` also `passphrase:REFERENCE`.";

static const char configuration_example[] =
    "[keys]\n"
    "kek     = credential:ffdr-kek\n"
    "signing = credential:ffdr-signing\n"
    "escrow  = /etc/ffdr/escrow.pem\n"
    "\n"
    "[tier local]\n"
    "url  = file:///srv/ffdr\n"
    "keep = 7d\n"
    "rpo  = 4h\n"
    "\n"
    "[tier nas]\n"
    "url    = file:///mnt/nas/ffdr\n"
    "shared = yes\n"
    "keep   = 30d\n"
    "rpo    = 24h\n"
    "\n"
    "[volume uploads]\n"
    "path    = /srv/uploads\n"
    "exclude = *.tmp, cache/\n"
    "\n"
    "[postgres shop]\n"
    "conninfo   = host=db.internal user=ffdr dbname=postgres sslmode=verify-full\n"
    "wal        = local, nas\n"
    "ship-every = 30s";

static void
key(FILE *out, const struct conf_key *k)
{
	struct buf expected;

	buf_init(&expected, MAN_EXPECTED);
	conf_value_expected(k, &expected);
	fprintf(out, ".It Ic %s\n", k->key);
	prose(out, k->summary);
	fputs(".Pp\n", out);
	if (k->note) {
		prose(out, k->note);
		fputs(".Pp\n", out);
	}
	fputs("Value: ", out);
	prose(out, buf_str(&expected));
	if (k->required)
		fputs("(required).\n", out);
	else if (k->otherwise || (k->value && *k->value)) {
		fputs(".br\nDefault: ", out);
		prose(out, k->otherwise ? k->otherwise : k->value);
	}
	buf_done(&expected);
}

static void
section(FILE *out, const struct conf_section *s)
{
	fprintf(out, ".Ss [%s%s]\n", s->name, s->named ? " NAME" : "");
	prose(out, s->summary);
	fputs(".Bl -tag -width Ds\n", out);
	for (const struct conf_key *k = conf_keys_table; k->section; k++) {
		if (strcmp(k->section, s->name) == 0)
			key(out, k);
	}
	fputs(".El\n", out);
}

void
man_configuration(FILE *out)
{
	head(out, "FFDR.CONF", "5", "ffdr.conf", "configuration of ffdr");
	fputs(".Sh DESCRIPTION\n", out);
	prose(out, configuration_text);
	fputs(".Sh SECTIONS AND KEYS\n", out);
	for (const struct conf_section *s = conf_keys_sections; s->name; s++)
		section(out, s);
	fputs(".Sh FILES\n", out);
	fputs(files_text, out);
	fputs(".Sh EXAMPLES\nA small installation:\n", out);
	literal(out, configuration_example);
	fputs(".Sh SEE ALSO\n.Xr ffdr 1\n", out);
}
