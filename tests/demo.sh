#!/bin/sh
# The demonstration (make demo), in two parts.
#
# A database: PostgreSQL under load is protected by backups and by its WAL as it is written; the server is killed and everything at its
# site is removed; it comes back from another tier to its last commit, and is compared with what its clients were told was committed.
#
# A volume: mixed files on three tiers; one is damaged, another lost, and what comes back is compared byte for byte.
#
# FFDR names the program; demo/ has the parts and their settings. Runs as anybody, in about a minute and a half, needs 2 GiB below TMPDIR
# and leaves nothing behind. `demo.sh postgres` or `demo.sh volume` runs one part.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
ffdr=${FFDR:-./ffdr}
case $ffdr in
/*) ;;
*) ffdr=$PWD/$ffdr ;;
esac
part=${1:-all}
top=$(mktemp -d "${TMPDIR:-/tmp}/ffdr-demo.XXXXXX")
running=

clean()
{
	if [ -n "$running" ]; then
		# The part ends what it started, then itself.
		kill "$running" 2>/dev/null || :
		wait "$running" 2>/dev/null || :
	fi
	chmod -R u+rwx "$top" 2>/dev/null || :
	rm -rf "$top"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

# In the background, so that a signal reaches this shell while it waits.
run()
{
	"$@" &
	running=$!
	code=0
	wait "$running" || code=$?
	running=
	[ "$code" -eq 0 ] || exit "$code"
}

postgres_part()
{
	work=$top/postgres
	mkdir "$work"
	if [ "$("$here/services/pg.sh" versions | grep -cx 15)" -eq 0 ]; then
		echo "there is no PostgreSQL 15 here (Debian: postgresql-15): the demonstration of a database is left out"
		return
	fi
	# A server refuses root; then all of it belongs to the servers' user, who may not come where this script lies.
	mkdir "$work/bin"
	cp "$ffdr" "$work/bin/ffdr"
	cp "$here/demo/lib.sh" "$here/demo/postgres.sh" "$here/services/pg.sh" "$work/bin/"
	chmod 755 "$top" "$work" "$work/bin"
	user=$("$here/services/pg.sh" user)
	if [ "$(id -u)" -eq 0 ]; then
		chown -R "$user" "$work"
		run setpriv --reuid="$user" --regid="$(id -gn "$user")" --clear-groups -- \
			env FFDR="$work/bin/ffdr" HOME="$work" sh "$work/bin/postgres.sh" "$work"
	else
		run env FFDR="$work/bin/ffdr" sh "$work/bin/postgres.sh" "$work"
	fi
}

volume_part()
{
	mkdir "$top/volume"
	run env FFDR="$ffdr" sh "$here/demo/volume.sh" "$top/volume"
}

if [ ! -x "$ffdr" ]; then
	echo "there is no program '$ffdr', expected FFDR to name it" >&2
	exit 2
fi
case $part in
all)
	postgres_part
	echo
	volume_part
	;;
postgres) postgres_part ;;
volume) volume_part ;;
*)
	echo "'$part' is not known, expected nothing, 'postgres' or 'volume'" >&2
	exit 2
	;;
esac
