#!/bin/sh
# Makes the WAL that unit tests read, from real servers, and what the servers said of it.
#
#	make.sh VERSION...	writes VERSION.zst, VERSION.facts and VERSION.history beside itself
#
# VERSION.zst is one segment of 1 MiB in which timeline 2 began, finished by a switch. 15-void.zst are three, in the last of which a
# record was declared void that a crash had cut off. In the facts, times are microseconds since 1970.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
pg=$here/../../../services/pg.sh
top=$(mktemp -d)
chmod 755 "$top"

tidy()
{
	[ ! -d "$top/pg" ] || "$pg" stop "$top/pg" kill
	rm -rf "$top"
}
trap tidy EXIT

query()
{
	psql -qXAt -h "$top/pg" -p "$port" -U postgres -v ON_ERROR_STOP=1 "$@"
}

begin()
{
	"$pg" init "$1" "$top/pg" --wal-segsize=1
	cat >>"$top/pg/data/postgresql.conf" <<-CONF
	max_prepared_transactions = 10
	track_commit_timestamp = on
	checkpoint_timeout = 1h
	wal_keep_size = 100MB
	autovacuum = off
	fsync = off
	CONF
	port=$("$pg" start "$top/pg")
}

end()
{
	"$pg" stop "$top/pg" fast
	rm -rf "$top/pg"
}

# With what stands before it, pages are touched for the first time after a checkpoint; the segment of interest then has no images.
prepare()
{
	query <<-SQL >/dev/null
	create table t (a int primary key, b text);
	create table gone (a int); create table kept (a int); create table warm (a int);
	insert into t values (0, 'first');
	checkpoint;
	begin; drop table warm; create table warm2 (a int); commit;
	insert into t values (-1, 'touched');
	select pg_switch_wal();
	SQL
}

work()
{
	query <<-'SQL'
	begin; insert into t values (1, 'one'); select txid_current() as one \gset
	commit;
	select pg_create_restore_point('before the fall') as point \gset
	begin; insert into t values (2, 'two'); select txid_current() as two \gset
	rollback;
	begin; insert into t values (3, 'three'); savepoint a; insert into t values (4, 'four'); savepoint b;
	drop table gone; create table made (a int); select txid_current() as three \gset
	prepare transaction 'three';
	begin; insert into t values (5, 'five'); drop table kept; select txid_current() as five \gset
	prepare transaction 'five';
	commit prepared 'three';
	rollback prepared 'five';
	insert into t values (6, repeat('long ', 5000));
	select pg_replication_origin_create('elsewhere') as o \gset
	select pg_replication_origin_session_setup('elsewhere') as o \gset
	begin; select pg_replication_origin_xact_setup('0/1234', now()) as o \gset
	insert into t values (7, 'seven'); select txid_current() as seven \gset
	commit;
	select 'commit ' || x || ' ' || (extract(epoch from pg_xact_commit_timestamp(x::text::xid)) * 1000000)::bigint
	from unnest(array[:one, :three]) x;
	select 'elsewhere ' || :seven || ' 0'; -- the server keeps its origin's time
	select 'abort ' || x || ' 0' from unnest(array[:two, :five]) x;
	select 'prepared ' || x || ' 0' from unnest(array[:three, :five]) x;
	select 'point ' || :'point' || ' 0';
	SQL
}

promote()
{
	"$pg" stop "$top/pg" fast
	touch "$top/pg/data/standby.signal"
	chown "$("$pg" user)" "$top/pg/data/standby.signal"
	echo "restore_command = 'false'" >>"$top/pg/data/postgresql.conf"
	"$pg" start "$top/pg" >/dev/null
	query -c 'select pg_promote()' >/dev/null
	query <<-'SQL'
	begin; insert into t values (8, 'eight'); select txid_current() as eight \gset
	commit;
	select 'commit ' || x || ' ' || (extract(epoch from pg_xact_commit_timestamp(x::text::xid)) * 1000000)::bigint
	from unnest(array[:eight]) x;
	SQL
}

facts()
{
	query -c "select 'sysid ' || system_identifier || ' 0' from pg_control_system()"
	query -c "select 'segment ' || pg_walfile_name(pg_current_wal_insert_lsn()) || ' 0'"
}

one()
{
	begin "$1"
	prepare
	work >"$here/$1.facts"
	promote >>"$here/$1.facts"
	facts >>"$here/$1.facts"
	name=$(sed -n 's/^segment \([0-9A-F]*\) .*/\1/p' "$here/$1.facts")
	query -c "select 'end ' || pg_switch_wal() || ' 0'" >>"$here/$1.facts"
	zstd -q -19 -c "$top/pg/data/pg_wal/$name" >"$here/$1.zst"
	cat "$top/pg/data/pg_wal/00000002.history" >"$here/$1.history"
	end
}

# As a crash does it that loses what was not yet on the disk: the last segment goes, a record's beginning stays.
void()
{
	begin "$1"
	prepare
	query -c checkpoint
	first=$(query -c 'select pg_walfile_name(pg_current_wal_insert_lsn())')
	query -c "select pg_logical_emit_message(false, 'fill', repeat('x', 1000000))" >/dev/null
	query -c "select pg_logical_emit_message(true, 'cut off', repeat('y', 1500000))" >/dev/null
	last=$(query -c 'select pg_walfile_name(pg_current_wal_insert_lsn())')
	"$pg" stop "$top/pg" immediate
	rm "$top/pg/data/pg_wal/$last"
	"$pg" start "$top/pg" >/dev/null
	query -c "insert into t values (9, 'nine')"
	query -c 'select pg_switch_wal()' >/dev/null
	for path in "$top"/pg/data/pg_wal/????????????????????????; do
		name=${path##*/}
		[ "$(printf '%s\n' "$first" "$name" "$last" | LC_ALL=C sort | sed -n 2p)" != "$name" ] || cat "$path"
	done | zstd -q -19 -c >"$here/$1-void.zst"
	end
}

for version in "$@"; do
	one "$version"
	[ "$version" != 15 ] || void 15
done
