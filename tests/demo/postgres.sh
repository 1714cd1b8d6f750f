#!/bin/sh
# The first part of the demonstration: a PostgreSQL server under load is lost with everything at its site, and comes back from the
# regional tier.
#
# Its clients keep a ledger outside of it: a line for each transaction whose commit was answered. That is the judge: what is in the ledger
# and not in the restored database is lost, and the oldest of it says how many seconds that is (RPO). The other figure is the time from the
# death to the first answer of the new server (RTO). Each transaction writes two amounts that sum to nothing: half of one would show.
#
# FFDR names the program, $1 an empty directory; runs as a user that a server accepts. DEMO_SCALE is the size for pgbench (default 20:
# 300 MB), DEMO_SECONDS how long clients work on after the backup (default 10).
set -eu

ffdr=${FFDR:?names the program}
top=$1
scale=${DEMO_SCALE:-20}
work_seconds=${DEMO_SECONDS:-10}
bin=$(dirname "$0")
# shellcheck source=tests/demo/lib.sh
. "$bin/lib.sh"

site=$top/site         # all that is lost: the server, the receiver's state, the local tier
far=$top/far           # the regional and the cross-region tier
new=$top/new           # where the database lives afterwards
clients='1 2'
most_lost_ms=5000      # ship-every is 1 s; the machine may be busy
pids=                  # of what runs in the background
client_pids=

clean()
{
	"$bin/pg.sh" stop "$site/pg" kill 2>/dev/null || :
	"$bin/pg.sh" stop "$new" kill 2>/dev/null || :
	# Asked to stop, a receiver would first ship what it has: to tiers that go in a moment.
	for pid in $pids; do
		kill -9 "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	done
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

# sql DIR statement: on the server whose socket is in DIR
sql()
{
	psql -X -q -A -t -F ' ' -v ON_ERROR_STOP=1 -h "$1" -p "$(cat "$1/port")" -U postgres -d postgres -c "$2"
}

# until_true SECONDS command...: tried again and again
until_true()
{
	end=$(($(now_ms) + $1 * 1000))
	shift
	until "$@"; do
		[ "$(now_ms)" -lt "$end" ] || return 1
		sleep 0.05
	done
}

says_true()
{
	[ "$(sql "$1" "$2" 2>/dev/null)" = t ]
}

make_server()
{
	mkdir -p "$site" "$far"
	"$bin/pg.sh" init 15 "$site/pg" || return 1
	# Sockets only: the port is a name, and two servers have two.
	printf "listen_addresses = ''\nmax_wal_size = 4GB\n" >>"$site/pg/data/postgresql.conf"
	echo 5432 >"$site/pg/port"
	"$bin/pg.sh" start "$site/pg" >/dev/null || return 1
	"$(pg_bin)/pgbench" -i -q -s "$scale" -h "$site/pg" -p 5432 -U postgres postgres || return 1
	sql "$site/pg" "CREATE TABLE ledger (id bigint PRIMARY KEY, amount int NOT NULL)" || return 1
	echo "PostgreSQL $(sql "$site/pg" 'SHOW server_version'), $(sql "$site/pg" \
		"SELECT pg_size_pretty(sum(pg_database_size(oid))) FROM pg_database")"
}

pg_bin()
{
	"$bin/pg.sh" bin 15
}

configure()
{
	mkdir "$top/keys"
	cat >"$top/ffdr.ini" <<INI
[ffdr]
state = $site/state
[keys]
kek     = file:$top/keys/kek
signing = file:$top/keys/signing.pem
escrow  = $top/keys/escrow.pem
[tier local]
url = file://$site/tier
[tier regional]
url = file://$far/regional
shared = yes
[tier cross-region]
url = file://$far/cross-region
shared = yes
[postgres shop]
conninfo   = host=$site/pg port=5432 user=postgres dbname=postgres
tiers      = local, regional, cross-region
wal        = local, regional, cross-region
ship-every = 1s
INI
	FFDR_CONFIG=$top/ffdr.ini
	export FFDR_CONFIG
	"$ffdr" init || return 1
	echo "local, regional, cross-region"
}

# background FILE command...: its words go to the file
background()
{
	words=$1
	shift
	"$@" >>"$words" 2>&1 &
	pids="$pids $!"
}

start_receiver()
{
	background "$top/receiver.log" "$ffdr" wal stream shop
	receiver=$!
	until_true 30 says_true "$site/pg" "SELECT count(*) > 0 FROM pg_stat_replication WHERE application_name = 'ffdr'" || {
		cat "$top/receiver.log"
		return 1
	}
	echo "its own slot, WAL goes to three tiers at least every second"
}

# One transaction behind the other, as fast as they are answered; a line in the ledger for each answer.
client()
{
	awk -v client="$1" 'BEGIN {
		for (i = 1; ; i++) {
			id = client * 100000000 + i
			amount = i % 997 + 1
			printf "WITH pair AS (INSERT INTO ledger VALUES (%d, %d), (-%d, -%d)) ", id, amount, id, amount
			printf "SELECT %d, (extract(epoch FROM clock_timestamp()) * 1000)::bigint;\n", id
		}
	}' 2>/dev/null | psql -X -q -A -t -F ' ' -v ON_ERROR_STOP=1 -h "$site/pg" -p 5432 -U postgres -d postgres >"$top/ledger.$1"
}

start_clients()
{
	for c in $clients; do
		background "$top/clients.log" client "$c"
		client_pids="$client_pids $!"
	done
	background "$top/clients.log" "$(pg_bin)/pgbench" -n -c 2 -T 3600 -h "$site/pg" -p 5432 -U postgres postgres
	until_true 30 says_true "$site/pg" "SELECT count(*) > 100 FROM ledger" || return 1
	echo "two that keep a ledger, two of pgbench"
}

let_them_work()
{
	before=$(sql "$site/pg" "SELECT count(*) / 2 FROM ledger") || return 1
	sleep "$work_seconds"
	echo "$(($(sql "$site/pg" "SELECT count(*) / 2 FROM ledger") - before)) more transactions in the ledger's table"
}

# Nothing is asked to stop: the power is gone, and the building.
disaster()
{
	died=$(now_ms)
	kill -9 "$receiver"
	"$bin/pg.sh" stop "$site/pg" kill || return 1
	rm -rf "$site"
	# A client that lost its server writes down the last answer and goes.
	for pid in $client_pids; do
		wait "$pid" || :
	done
	echo "kill -9, rm -rf site: $(cat "$top"/ledger.* | wc -l) commits were acknowledged"
}

restore()
{
	"$ffdr" restore pg.shop --at latest --tier regional --to "$new/data" || [ $? -eq 3 ] || return 1
}

start_restored()
{
	echo 15 >"$new/version"
	echo 5433 >"$new/port"
	printf "unix_socket_directories = '%s'\n" "$new" >>"$new/data/postgresql.conf"
	"$bin/pg.sh" start "$new" >/dev/null || return 1
	until_true 120 says_true "$new" "SELECT NOT pg_is_in_recovery()" || return 1
	sql "$new" "INSERT INTO ledger VALUES (0, 0)" || return 1
	answered=$(now_ms)
	echo "on port 5433: it recovered, and took a transaction"
}

compare()
{
	[ "$(sql "$new" 'SELECT sum(amount) FROM ledger')" = 0 ] || { echo "the amounts do not sum to nothing"; return 1; }
	# The last line may be cut in the middle.
	cat "$top"/ledger.* | awk 'NF == 2 { print }' | sort -n >"$top/acknowledged"
	sql "$new" "SELECT id FROM ledger WHERE id > 0 ORDER BY id" >"$top/there"
	awk 'NR == FNR { there[$1] = 1; next } !($1 in there)' "$top/there" "$top/acknowledged" >"$top/lost"
	# Of each client the newest may be lost, and nothing else: a hole would be worse than a loss.
	awk 'NR == FNR { c = int($1 / 100000000); if (!(c in first) || $1 < first[c]) first[c] = $1; next }
		{ c = int($1 / 100000000); if (c in first && $1 > first[c]) bad++ }
		END { exit bad > 0 }' "$top/lost" "$top/there" || { echo "commits are missing before others that are there"; return 1; }
	lost=$(wc -l <"$top/lost")
	oldest=$(awk 'NR == 1 || $2 < t { t = $2 } END { printf "%.0f", t }' "$top/lost")
	rpo=0
	if [ "$lost" -gt 0 ]; then
		rpo=$((died - oldest))
	fi
	[ "$rpo" -le "$most_lost_ms" ] || { echo "the oldest lost commit is $rpo ms older than the disaster"; return 1; }
	echo "$(wc -l <"$top/there") transactions are there, in order and without a hole"
}

echo "a database under load, its site lost"
echo
step "make a server" make_server
step "configure three tiers, make keys" configure
step "receive its WAL" start_receiver
step "clients work" start_clients
step "base backup, to local" "$ffdr" backup pg.shop
step "copy to regional" "$ffdr" copy --to regional
step "copy to cross-region" "$ffdr" copy --to cross-region
step "clients go on" let_them_work
step "the site is lost" disaster
step "restore from regional" restore
step "start it" start_restored
step "compare with the clients' ledger" compare
echo
echo "RTO $(seconds $((answered - died))) s from the death to the first answer; RPO $(seconds "$rpo") s: $lost of $(wc -l <"$top/acknowledged") acknowledged commits are lost."
