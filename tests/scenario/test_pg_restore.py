"""A database restored to any point, on real servers, judged by what its client was told."""

import datetime
import contextlib
import glob
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from conftest import DEGRADED, REFUSED, SOURCE_DIR, USAGE, VERIFY, flip
from databases import Database
from postgres import DEBIAN_BIN, VERSIONS, Ledger, eventually, lsn, own, servers_fixture  # noqa: F401
from restored import SHORT, UNKNOWN, boot, ids, prepare, protected, readable, refuses, restore, shipped


@pytest.fixture(name="site")
def site_fixture(servers):
    """A server of version 15 with small segments, whose WAL is received, and a backup of it."""
    server = servers.new(15, "--wal-segsize=1").start()
    site = protected(servers, server)
    yield site
    site.end_all()


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%fZ")


def worked(site, rows=30):
    """A ledger with that many commits, stopped."""
    return Ledger(site.server).start().wait(rows).stop()


# ---- to the newest ----

@pytest.mark.parametrize("version", VERSIONS)
def test_the_newest_state_is_what_was_acknowledged(servers, version):
    server = servers.new(version, "--wal-segsize=1").start()
    site = protected(servers, server)
    try:
        ledger = Ledger(server).start().wait(20)
        site.backup()
        ledger.wait(200).stop()
        site.wait_shipped(server.lsn())
        server.destroy()
        said = restore(site)
        assert "recovers  to the newest there is" in said.out
        other = boot(servers, site)
        assert ledger.lost(other) == []
        assert len(ids(other)) >= ledger.count()
        assert other.value("SHOW archive_mode") == "off"
        assert other.value("SHOW primary_conninfo") == ""
    finally:
        site.end_all()


def dumped(server):
    """All of the database, in PostgreSQL's own words."""
    got = subprocess.run([os.path.join(DEBIAN_BIN, "pg_dump"), "-d", server.conninfo], capture_output=True, text=True, check=True)
    return [line for line in got.stdout.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]


def test_a_dump_of_what_is_restored_is_the_same(servers, site):
    server = site.server
    for text in ("CREATE TABLE part (k int, v text) PARTITION BY RANGE (k)",
                 "CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (1000)",
                 "CREATE SEQUENCE s CACHE 10", "CREATE VIEW seen AS SELECT k FROM part",
                 "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 42'"):
        server.sql(text)
    site.backup()
    for text in ("INSERT INTO part SELECT i, repeat(md5(i::text), i) FROM generate_series(1, 400) i", "CREATE INDEX ON part (v)",
                 "SELECT lo_from_bytea(0, convert_to(repeat('large', 10000), 'UTF8'))", "ALTER TABLE part ADD late int DEFAULT 7",
                 "CREATE TYPE mood AS ENUM ('well')", "CREATE TABLE typed (m mood, a int[])", "INSERT INTO typed VALUES ('well', '{1,2}')"):
        server.sql(text)
    shipped(site)
    expected = dumped(server)
    server.stop()
    restore(site)
    assert dumped(boot(servers, site)) == expected


def test_without_the_first_host_all_is_found_on_a_tier(servers, site):
    """Nothing that a host remembers is needed: state and coordination place are gone, and so is one tier."""
    site.backup("--tier", "regional")
    ledger = worked(site)
    shipped(site)
    site.end_all()
    site.server.destroy()
    shutil.rmtree(site.path("state"))
    shutil.rmtree(site.tier("local"))
    restore(site, "--tier", "regional", status=DEGRADED)
    assert ledger.lost(boot(servers, site)) == []


def test_the_first_epoch_may_have_any_number(servers):
    """Receiver and backup that came first at once took a number each, and one of the two is never used."""
    server = servers.new(15, "--wal-segsize=1").start()
    site = Database(servers.path("site"), server)
    site.run("init")
    os.makedirs(site.path("state", "coord"))
    with open(site.path("state", "coord", "epoch"), "w", encoding="utf-8") as f:
        f.write("ffdr-coord 1\nepoch 6\n")
    site.stream()
    readable(site)
    try:
        site.backup()
        ledger = worked(site)
        shipped(site)
        assert site.place()[1] == "00000007"
        restore(site)
        assert ledger.lost(boot(servers, site)) == []
    finally:
        site.end_all()


def test_a_dry_run_says_the_plan_and_does_nothing(site):
    base = site.backup()
    shipped(site)
    got = site.json("restore", "pay", "--to", site.path("back"), "--dry-run")
    assert got["snapshot"] == base and got["bound"] == "lsn" and got["timeline"] == 1 and got["major"] == 15
    assert lsn(got["start_lsn"]) < lsn(got["until_lsn"]) == lsn(got["frontier"])
    assert not os.path.exists(site.path("back"))
    assert site.json("restore", "pay", "--to", site.path("back"))["files"] == got["files"]


def test_the_time_of_the_newest_is_that_of_its_last_commit_whatever_the_tier(site):
    """The newest segment has no commit, and only one of the tiers knows that the server was heard of later."""
    server = site.server
    server.sql("ALTER SYSTEM SET autovacuum = off")
    server.sql("SELECT pg_reload_conf()")
    site.backup()
    site.run("copy")
    first = int(time.time())
    server.sql("CREATE TABLE late (i int)")
    last = int(time.time())
    server.sql("SELECT pg_switch_wal()")
    server.sql("CHECKPOINT")
    for tier in ("local", "regional"):
        site.wait_shipped(server.lsn(), tier)
    time.sleep(3)
    site.end_streams()
    os.unlink(site.tier("regional", "beat/pg.pay"))
    told = set()
    for tier in ("local", "regional"):
        out = site.run("restore", "pay", "--to", site.path("back"), "--dry-run", "--tier", tier).out
        told.add(re.search(r"recovers +to the newest there is, (\S+) on timeline 1, last commit (\S+)", out).groups())
    assert len(told) == 1, told
    at = datetime.datetime.fromisoformat(told.pop()[1].replace("Z", "+00:00")).timestamp()
    assert first <= at <= last


def test_the_newest_state_before_a_record_that_is_cut_off(servers, site):
    """It is longer than a server has segments of 16 MB in a gigabyte, and its end was never shipped."""
    site.backup()
    ledger = worked(site, 10)
    before = site.server.lsn()
    site.server.value("SELECT pg_logical_emit_message(false, 'long', repeat('x', 80 * 1000 * 1000))")
    shipped(site)
    site.end_all()
    shutil.rmtree(site.path("state", "spool"))
    for tier in site.tiers:
        for start, stop in site.pieces(tier):
            if start > before + 72 * 0x100000:
                os.unlink(site.tier(tier, site.piece((start, stop))))
    restore(site)
    assert ledger.lost(boot(servers, site)) == []


# ---- to a point ----

@pytest.fixture(name="points")
def points_fixture(site):
    """Rows 1 to 5, each a transaction, with what is known of the moments between them."""
    server = site.server
    server.sql("CREATE TABLE t (n int)")
    site.base = site.backup()
    site.times, site.xids, site.lsns = [], [], []
    for n in range(1, 6):
        with server.connect() as c:
            with c.transaction():
                c.execute("INSERT INTO t VALUES (%s)", (n,))
                site.xids.append(c.execute("SELECT txid_current()").fetchone()[0])
        site.lsns.append(server.value("SELECT pg_current_wal_lsn()"))
        time.sleep(0.1)
        site.times.append(now())
        time.sleep(0.1)
        server.sql("SELECT pg_create_restore_point(%s)", "behind %d" % n)
    server.sql("INSERT INTO t VALUES (99)")
    shipped(site)
    return site


def rows(servers, site):
    return sorted(row[0] for row in boot(servers, site).sql("SELECT n FROM t"))


@pytest.mark.parametrize("kind", ("time", "lsn", "xid", "name", "before"))
def test_a_point_is_met_exactly(servers, points, kind):
    at = {"time": points.times[2], "lsn": points.lsns[2], "xid": "xid:%d" % points.xids[2], "name": "name:behind 3",
          "before": "xid:%d" % points.xids[3]}[kind]
    restore(points, "--at", at, *(["--before"] if kind == "before" else []))
    assert rows(servers, points) == [1, 2, 3]


def test_a_snapshot_alone_means_its_own_end(servers, points):
    restore(points, what=points.base)
    assert rows(servers, points) == []


def test_a_point_name_used_twice_means_the_newest(servers, points):
    points.server.sql("SELECT pg_create_restore_point('behind 2')")
    points.server.sql("INSERT INTO t VALUES (100)")
    shipped(points)
    restore(points, "--at", "name:behind 2")
    assert rows(servers, points) == [1, 2, 3, 4, 5, 99]


def test_the_right_base_is_chosen(points):
    second = points.backup()
    points.server.sql("INSERT INTO t VALUES (100)")
    shipped(points)
    newest = points.json("restore", "pay", "--to", points.path("x"), "--dry-run")
    older = points.json("restore", "pay", "--to", points.path("x"), "--dry-run", "--at", points.times[2])
    assert newest["snapshot"] == second
    assert older["snapshot"] == points.base and older["bound"] == "time"


def test_a_target_can_pause_there(servers, points):
    restore(points, "--at", "name:behind 3", "--target-action", "pause")
    other = prepare(servers, points).start()
    eventually(lambda: other.value("SELECT pg_is_wal_replay_paused()"), what="the pause")
    assert other.value("SELECT max(n) FROM t") == 3


# ---- what cannot be ----

@pytest.mark.parametrize("at,says", (
    ("2001-01-01", "before the end of every base backup"),
    ("2091-01-01", "beyond all there is"),
    ("0/100", "before the end of every base backup"),
    ("FF/0", "beyond all there is"),
))
def test_what_lies_outside_is_refused_with_what_is_possible(points, at, says):
    got = restore(points, "--at", at, status=REFUSED)
    assert got.err.startswith("ffdr: restore refused: ") and says in got.err
    assert re.search(r"\n  possible  .+ \.\. .+", got.err), got
    assert not os.path.exists(points.path("back"))


@pytest.mark.parametrize("at", ("xid:123456", "name:nobody"))
def test_what_is_not_in_the_log_is_refused(points, at):
    assert "is not in the WAL of pg.pay" in restore(points, "--at", at, status=REFUSED).err


@pytest.mark.parametrize("at", ("xid:", "xid:1", "name:", "5/x", "tomorrow", ""))
def test_a_target_that_is_none_names_what_may_be_said(points, at):
    assert "--at" in restore(points, "--at", at, status=USAGE).err


def test_options_that_exclude_each_other(points):
    for more in (["--standby", "--adopt"], ["--standby", "--at", "0/5000000"], ["--before"], ["--path", "base"],
                 ["--target-action", "explode"]):
        restore(points, *more, status=USAGE)


def lose(site, tiers=("local", "regional"), which=1):
    """A whole segment in the middle of what came after the backup is on no tier any more; its range."""
    pieces = sorted(set(site.pieces(tiers[0])))
    segments = sorted({start & ~0xFFFFF for start, _ in pieces})
    gone = segments[-1 - which]
    for tier in tiers:
        for path in glob.glob(site.tier(tier, "wal", "pg.pay", "*", "*", "00000001", "*-*")):
            if int(os.path.basename(path).split("-")[0], 16) & ~0xFFFFF == gone:
                os.unlink(path)
    return gone, gone + 0x100000


def filled(site):
    """A ledger over several segments; the moments after each."""
    ledger = Ledger(site.server)
    ledger.start()
    moments = []
    for n in range(4):
        ledger.wait((n + 1) * 20)
        site.server.sql("SELECT pg_switch_wal()")
        ledger.wait(ledger.count() + 5)
        time.sleep(0.2)
        moments.append(now())
    ledger.stop()
    shipped(site)
    return ledger, moments


def test_a_hole_is_not_crossed(servers, site):
    site.backup()
    _, moments = filled(site)
    gone, behind = lose(site, which=2)
    # The spool would have it yet.
    for child in site.services:
        site.end(child)
    shutil.rmtree(site.path("state", "spool"))
    text = "%X/%08X" % (gone >> 32, gone & 0xFFFFFFFF)
    got = restore(site, status=REFUSED)
    assert "a hole of the WAL of pg.pay" in got.err and "is on none of local, regional" in got.err, got
    assert text in got.err or text.replace("/00", "/").replace("/0", "/") in got.err, got
    got = restore(site, "--at", moments[-1], status=REFUSED)
    assert "possible" in got.err and "fix       --at '" in got.err, got
    assert "fix       --at '" in restore(site, status=REFUSED).err
    # What lies before it can be had.
    restore(site, "--at", "%X/%X" % (gone >> 32, (gone & 0xFFFFFFFF) - 0x100))
    assert boot(servers, site).value("SELECT count(*) FROM ffdr_ledger") > 0


def named(said):
    """What a refusal names: the ends of its ranges, and its fix with whether it is for any base backup."""
    line = re.search(r"\n  possible  (.*)", said)
    ends = [end for pair in re.findall(r"(\S+) \.\. ([^\s,]+)", line.group(1)) for end in pair] if line else []
    fix = re.search(r"\n  fix       (`restore )?.*--at '([^']+)'", said)
    return ends, fix and (fix.group(2), bool(fix.group(1)))


def test_what_a_refusal_names_as_possible_can_be_had(servers, site):
    """Two holes, one of them shorter than a second behind a base backup: every range and every fix is typed."""
    first = site.backup()
    site.server.sql("CREATE TABLE t AS SELECT 1 n")
    site.server.sql("SELECT pg_switch_wal()")
    shipped(site)
    _, moments = filled(site)
    holes = [lose(site, which=2)]
    second = site.backup()
    site.server.sql("INSERT INTO t VALUES (2)")
    inside = now()
    shipped(site)
    site.server.sql("INSERT INTO t VALUES (3)")
    site.server.sql("SELECT pg_switch_wal()")
    site.server.sql("INSERT INTO t VALUES (4)")
    last = now()
    shipped(site)
    site.end_all()
    shutil.rmtree(site.path("state", "spool"))
    holes.append(lose(site, which=1))
    wanted = [("pg.pay", "--at", at) for at in moments + [inside, last, "2001-01-01", "2091-01-01", "0/100", "FF/0", "xid:99999999", "name:nope"]]
    wanted += [("pg.pay", "--at", "%X/%X" % (at >> 32, at & 0xFFFFFFFF)) for hole in holes for at in (hole[0] + 1, hole[1] - 1, hole[1])]
    wanted += [(what, "--at", at) for what in (first, second) for at in ("latest", "2001-01-01", moments[-1])] + [("pg.pay",)]
    refused = typed = 0
    for what, *more in wanted:
        got = site.run("restore", what, "--to", site.path("x"), "--dry-run", *more, status=None)
        if got.status == 0:
            continue
        refused += 1
        ends, fix = named(got.err)
        assert ends and fix, got
        for end in ends:
            site.run("restore", what, "--to", site.path("x"), "--dry-run", "--at", end)
            typed += 1
        site.run("restore", "pg.pay" if fix[1] else what, "--to", site.path("x"), "--dry-run", "--at", fix[0])
        assert lsn(ends[0]) <= lsn(ends[1]) if "/" in ends[0] else ends[0] <= ends[1] or "." in ends[0] + ends[1], got
    assert refused > 10 and typed > 20
    # And a server goes there: the end of a range is all before the hole, by LSN as by time.
    said = restore(site, "--at", "FF/0", status=REFUSED).err
    readable(site)
    for n, end in enumerate(named(said)[0][1::2][:2]):
        restore(site, "--at", end, to="end%d" % n)
        assert boot(servers, site, "end%d" % n).value("SELECT min(n) FROM t") == 1


# ---- never short ----

def test_a_hole_right_behind_its_end_keeps_no_recovery_from_ending(servers):
    """Without a receiver there is the WAL of base backups, and nothing between them."""
    server = servers.new(15, "--wal-segsize=1").start()
    site = Database(servers.path("site"), server)
    site.run("init")
    server.sql("CREATE TABLE t AS SELECT 1 n")
    first = site.backup()
    server.sql("INSERT INTO t SELECT generate_series(2, 100000)")
    site.backup()
    readable(site)
    restore(site, what=first)
    assert boot(servers, site).value("SELECT count(*) FROM t") == 1


@pytest.mark.parametrize("version", (14, 15, 18))
def test_what_the_server_was_given_after_the_backup_stops_no_recovery(servers, version):
    """One that answers while it replays would pause, for ever and without a word to whoever started it."""
    server = servers.new(version, "--wal-segsize=1").start()
    site = protected(servers, server)
    try:
        server.sql("CREATE TABLE t AS SELECT 1 n")
        site.backup()
        for setting, value in (("max_connections", 150), ("max_worker_processes", 20), ("max_locks_per_transaction", 100)):
            server.sql("ALTER SYSTEM SET %s = %d" % (setting, value))
        server.restart()
        server.sql("INSERT INTO t VALUES (2)")
        shipped(site)
        restore(site)
        other = boot(servers, site)
        assert other.value("SELECT sum(n) FROM t") == 3 and other.value("SHOW max_connections") == "100"
        # And it answers while it replays, when it is somebody's standby.
        with open(site.path("back", "postgresql.auto.conf"), encoding="utf-8") as f:
            assert "hot_standby" not in f.read()
    finally:
        site.end_all()


@pytest.mark.parametrize("told", (True, False))
@pytest.mark.parametrize("version", (14, 15, 18))
def test_prepared_transactions_the_server_was_given_after_the_backup(servers, version, told):
    """The one of those settings without which a recovery ends in the middle, whoever answers or not."""
    server = servers.new(version, "--wal-segsize=1").start()
    site = protected(servers, server)
    try:
        server.sql("CREATE TABLE t (n int)")
        site.backup()
        server.set(max_prepared_transactions=7).restart()
        for n in range(3):
            with server.connect() as c:
                c.execute("begin")
                c.execute("INSERT INTO t VALUES (%d)" % n)
                c.execute("PREPARE TRANSACTION 'p%d'" % n)
        with server.connect() as c:
            c.execute("COMMIT PREPARED 'p0'")
        shipped(site)
        got = restore(site)
        assert "max_prepared_transactions = 7, which the server was given after the backup" in got.out, got
        if not told:
            # As where the log is too long to be read for it: `wal get` sets it when it hands that place over.
            auto = site.path("back", "postgresql.auto.conf")
            with open(auto, encoding="utf-8") as f:
                lines = [line for line in f if not line.startswith("max_prepared_transactions")]
            with open(auto, "w", encoding="utf-8") as f:
                f.writelines(lines)
            said = refuses(servers, site, "maximum number of prepared transactions reached")
            assert "max_prepared_transactions = 7 after the backup: it is in postgresql.auto.conf now" in said, said
            other = servers.all[-1].start()
            eventually(other.recovered, what="the end of recovery\n" + other.log()[-1500:])
        else:
            other = boot(servers, site)
        assert other.value("SELECT count(*) FROM t") == 1 and other.value("SELECT count(*) FROM pg_prepared_xacts") == 2
        # What is open needs it for as long as it is open.
        other.restart()
        with other.connect() as c:
            c.execute("COMMIT PREPARED 'p1'")
        assert other.value("SELECT count(*) FROM t") == 2
    finally:
        site.end_all()


def test_a_damaged_segment_never_promotes_short(servers, site):
    site.backup()
    filled(site)
    restore(site)
    segments = sorted({start & ~0xFFFFF for start, _ in site.pieces("local")})
    for tier in ("local", "regional"):
        for path in glob.glob(site.tier(tier, "wal", "pg.pay", "*", "*", "00000001", "*-*")):
            if int(os.path.basename(path).split("-")[0], 16) & ~0xFFFFF == segments[-3]:
                flip(path)
    readable(site)
    refuses(servers, site, UNKNOWN)


def test_what_cannot_be_found_because_the_log_cannot_be_read_names_what_can_be_had(servers, site):
    site.backup()
    filled(site)
    segments = sorted({start & ~0xFFFFF for start, _ in site.pieces("local")})
    for child in site.services:
        site.end(child)
    shutil.rmtree(site.path("state", "spool"))
    for tier in ("local", "regional"):
        for path in glob.glob(site.tier(tier, "wal", "pg.pay", "*", "*", "00000001", "*-*")):
            if int(os.path.basename(path).split("-")[0], 16) & ~0xFFFFF == segments[-3]:
                flip(path)
    got = restore(site, "--at", "name:nope", status=VERIFY)
    assert "fix       `ffdr verify --repair`" in got.err, got
    at = re.search(r"\n  possible  --at '([^']+)'", got.err).group(1)
    restore(site, "--at", at)
    readable(site)
    boot(servers, site)


def test_a_missing_piece_never_promotes_short(servers, site):
    site.backup()
    filled(site)
    restore(site)
    lose(site, which=2)
    refuses(servers, site, UNKNOWN)


def test_the_newest_segment_gone_never_promotes_short(servers, site):
    """Nothing is behind it: it is the end of the log, and the bound holds."""
    site.backup()
    filled(site)
    restore(site)
    lose(site, which=1)
    lose(site, which=0)
    refuses(servers, site, SHORT)


def test_a_tier_that_went_away_never_promotes_short(servers, site):
    site.backup()
    filled(site)
    restore(site)
    for tier in ("local", "regional"):
        os.rename(site.tier(tier), site.path("away-" + tier))
    refuses(servers, site, UNKNOWN)


def test_one_good_tier_is_enough(servers, site):
    site.backup("--tier", "regional")
    ledger, _ = filled(site)
    os.rename(site.tier("local"), site.path("away"))
    restore(site, status=DEGRADED)
    assert ledger.lost(boot(servers, site)) == []


# ---- timelines ----

def switched(servers, site):
    """The server is replaced by a standby of its own that was promoted; the receiver follows. The new server."""
    standby = servers.clone(site.server)
    standby.start()
    eventually(lambda: standby.sql("SELECT status FROM pg_stat_wal_receiver") == [("streaming",)], what="the standby")
    site.server.stop()
    standby.promote()
    site.write_config(conninfo=standby.conninfo)
    old, site.server = site.server, standby
    for child in site.services:
        site.end(child, status=None)
    site.stream()
    return old


def test_a_switchover_is_recovered_across(servers, site):
    site.backup()
    before = worked(site, 20)
    shipped(site)
    switched(servers, site)
    after = Ledger(site.server, seed=2)
    after.server.sql("DELETE FROM ffdr_ledger WHERE id > 5 OR id < -5")
    with site.server.connect() as c:
        c.execute("INSERT INTO ffdr_ledger VALUES (77777, 0, 'after')")
    shipped(site, tli=2)
    restore(site)
    other = boot(servers, site)
    assert 77777 in ids(other) and before.count() > 0
    assert other.value("SELECT timeline_id FROM pg_control_checkpoint()") >= 2


def test_a_missing_history_is_refused(servers, site):
    site.backup()
    worked(site, 5)
    shipped(site)
    switched(servers, site)
    shipped(site, tli=2)
    for tier in ("local", "regional"):
        for path in glob.glob(site.tier(tier, "wal", "pg.pay", "*", "*", "00000002.history")):
            os.unlink(path)
    got = restore(site, status=REFUSED)
    assert "history of timeline 2" in got.err and "fix" in got.err, got


def stepped(servers, site, tli):
    """The server comes up as a standby and is promoted; the receiver follows."""
    server = site.server
    server.stop()
    open(os.path.join(server.data, "standby.signal"), "w", encoding="utf-8").close()
    server.own()
    server.start()
    server.promote()
    server.sql("CREATE TABLE life%d AS SELECT %d AS n" % (tli, tli))
    shipped(site, tli=tli)


def test_the_history_of_a_timeline_between_is_not_needed(servers, site):
    """PostgreSQL by itself would stop at timeline 1 and promote, and take number 2 once more."""
    site.backup()
    for tli in (2, 3):
        stepped(servers, site, tli)
    for path in [p for tier in site.tiers for p in glob.glob(site.tier(tier, "wal", "pg.pay", "*", "*", "00000002.history"))]:
        os.unlink(path)
    restore(site)
    other = boot(servers, site)
    assert other.sql("SELECT life2.n, life3.n FROM life2, life3") == [(2, 3)]
    other.sql("CHECKPOINT")
    assert other.value("SELECT timeline_id FROM pg_control_checkpoint()") == 4


def test_a_base_backup_of_a_standby_becomes_a_database(servers):
    """Its directory says that it follows, and whom."""
    primary = servers.new(15, "--wal-segsize=1").start()
    standby = servers.clone(primary).start()
    eventually(lambda: primary.sql("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"), what="the standby")
    ledger = Ledger(primary).start().wait(50).stop()
    eventually(lambda: ids(standby) == ids(primary), what="its replay")
    site = Database(servers.path("site"), standby)
    site.run("init")
    base = site.backup()
    readable(site)
    restore(site, what=base)
    assert not os.path.exists(site.path("back", "standby.signal"))
    primary.stop()
    other = boot(servers, site)
    assert ledger.lost(other) == [] and other.value("SHOW primary_conninfo") == ""


# ---- words ----

def test_what_is_no_source_has_a_way_out_that_works(site):
    got = site.run("restore", "pg.nosuch", "--to", site.path("back"), status=None)
    assert got.status == 2 and "no such source in the configuration" in got.err and "pg.pay" in got.err and "ffdr backup" not in got.err, got


def test_of_the_spool_is_spoken_only_where_it_matters(site):
    site.backup()
    worked(site, 5)
    site.end(site.services[0], signal.SIGKILL)
    site.server.sql("INSERT INTO ffdr_ledger VALUES (1, 0, '')")
    got = site.run("verify", "--restore", "pg.pay", status=None)
    assert "this host has received" not in got.err, got
    # A day means its end: of today that is not there yet.
    got = restore(site, "--at", now()[:10], status=REFUSED)
    assert "23:59:59" in got.err, got


def test_no_password_of_a_setting_gets_into_a_manifest(site):
    site.server.sql("ALTER SYSTEM SET primary_conninfo = 'host=10.9.9.9 user=repl password=TOPSECRET123'")
    site.server.restart()
    site.backup()
    got = site.run("show", "--json", "pay/latest")
    assert "host=10.9.9.9 user=repl" in got.out and "TOPSECRET" not in got.out, got


@pytest.mark.parametrize("method", ("stream", "local"))
def test_a_database_behind_a_link_is_told_of_when_it_is_restored(servers, site, method):
    site.server.sql("CREATE DATABASE far")
    oid = site.server.value("SELECT oid FROM pg_database WHERE datname = 'far'")
    site.server.stop()
    shutil.move(os.path.join(site.server.data, "base", str(oid)), servers.path("far"))
    os.symlink(servers.path("far"), os.path.join(site.server.data, "base", str(oid)))
    site.server.start()
    site.write_config(method=method, data=site.server.data)
    site.backup(status=DEGRADED)
    site.server.sql("CREATE DATABASE later")
    shipped(site)
    got = restore(site, status=DEGRADED)
    assert "database 'far' is not in pg.pay/" in got.err and "'later'" not in got.err, got


# ---- where to ----

def spaced(servers, site):
    """A table in a tablespace."""
    where = servers.path("space")
    os.makedirs(where)
    own(where)
    site.server.sql("CREATE TABLESPACE far LOCATION '%s'" % where)
    site.server.sql("CREATE TABLE t TABLESPACE far AS SELECT generate_series(1, 1000) n")
    site.backup()
    site.server.sql("INSERT INTO t VALUES (1001)")
    shipped(site)
    return where, site.server.value("SELECT oid FROM pg_tablespace WHERE spcname = 'far'")


@pytest.mark.parametrize("by", ("name", "number"))
def test_a_tablespace_goes_elsewhere(servers, site, by):
    where, oid = spaced(servers, site)
    there = servers.path("elsewhere")
    restore(site, "--tablespace", "%s=%s" % ("far" if by == "name" else oid, there))
    assert os.readlink(site.path("back", "pg_tblspc", str(oid))) == there
    other = boot(servers, site)
    assert other.value("SELECT count(*) FROM t") == 1001
    assert other.value("SELECT pg_tablespace_location(%d)" % oid) == there
    assert os.listdir(where) and not [n for n in os.listdir(there) if not n.startswith("PG_")]


def test_tablespaces_do_not_share_a_directory(servers, site):
    for name in ("one", "two"):
        os.makedirs(servers.path(name))
        own(servers.path(name))
        site.server.sql("CREATE TABLESPACE %s LOCATION '%s'" % (name, servers.path(name)))
        site.server.sql("CREATE TABLE t%s TABLESPACE %s AS SELECT 1 n" % (name, name))
    site.backup()
    shipped(site)
    there = servers.path("there")
    os.makedirs(there)
    os.symlink(there, servers.path("link"))
    for pair in (("one=" + there, "two=" + there), ("one=" + there, "two=" + there + "/below"), ("one=" + there, "two=" + servers.path("link")),
                 ("one=" + site.path("back", "in"), "two=" + there), ("one=" + site.top, "two=" + there), ("one=" + there, "one=" + there + "2")):
        got = restore(site, "--tablespace", pair[0], "--tablespace", pair[1], status=USAGE)
        assert "--tablespace" in got.err and not os.path.exists(site.path("back")), got
    restore(site, "--tablespace", "one=" + there + "/a", "--tablespace", "two=" + there + "/ab")
    assert boot(servers, site).sql("SELECT * FROM tone, ttwo") == [(1, 1)]


def test_a_tablespace_returns_to_its_place_only_when_that_is_empty(servers, site):
    where, oid = spaced(servers, site)
    got = restore(site, status=REFUSED)
    assert "'%s' is not empty" % where in got.err and "--tablespace %d=DIR" % oid in got.err, got
    assert not os.path.exists(site.path("back"))
    site.server.destroy()
    shutil.rmtree(where)
    restore(site)
    assert boot(servers, site).value("SELECT count(*) FROM t") == 1001
    # And over it, when it has been used.
    boot_again = servers.all[-1]
    boot_again.sql("DELETE FROM t")
    boot_again.stop()
    restore(site, "--delta")
    assert boot(servers, site).value("SELECT count(*) FROM t") == 1001


def late(servers, site, name="late", first="first"):
    """A tablespace that no base backup knows, with a table in it; what came last is on disk there, and not on the tiers."""
    where = servers.path(name)
    os.makedirs(where)
    own(where)
    site.server.sql("CREATE TABLESPACE %s LOCATION '%s'" % (name, where))
    site.server.sql("CREATE TABLE %s_t (who text) TABLESPACE %s" % (name, name))
    site.server.sql("CHECKPOINT")
    site.server.sql("INSERT INTO %s_t VALUES ('%s')" % (name, first))
    shipped(site)
    for child in site.services:
        if child.poll() is None:
            site.end(child)
    shutil.rmtree(site.path("state", "spool"))
    own(site.top)
    site.server.sql("INSERT INTO %s_t VALUES ('second')" % name)
    site.server.sql("CHECKPOINT")
    return where


def content(directory):
    """All files below it."""
    found = {}
    for path in glob.glob(directory + "/**", recursive=True):
        if os.path.isfile(path):
            with open(path, "rb") as f:
                found[path] = f.read()
    return found


@pytest.mark.parametrize("version", (14, 15, 16, 17, 18))
def test_the_living_servers_tablespace_is_not_written_by_what_is_restored_beside_it(servers, version):
    """The log says to make it at the path where the server that lives has it."""
    server = servers.new(version, "--wal-segsize=1", autovacuum="off").start()
    site = protected(servers, server)
    try:
        site.backup()
        where = late(servers, site)
        before = content(where)
        restore(site, status=None)
        said = refuses(servers, site, UNKNOWN)
        assert "the log makes tablespace" in said and "in '%s', where one is already" % where in said, said
        assert "ffdr backup pg.pay" in said and "--before" in said, said
        assert content(where) == before
        server.restart()
        assert server.sql("SELECT who FROM late_t ORDER BY 1") == [("first",), ("second",)]
    finally:
        site.end_all()


def test_a_standby_on_the_same_host_stops_at_the_living_servers_tablespace(servers, site):
    site.backup()
    where = late(servers, site)
    before = content(where)
    restore(site, "--standby", status=None)
    refuses(servers, site, UNKNOWN)
    assert content(where) == before


def test_before_the_tablespace_a_recovery_may_end(servers, site):
    site.server.sql("CREATE TABLE t AS SELECT 1 n")
    site.backup()
    late(servers, site)
    restore(site, status=None)
    said = refuses(servers, site, UNKNOWN)
    at = re.search(r"end before it: --at (\S+) --before", said).group(1)
    restore(site, "--at", at, "--before", to="earlier")
    other = boot(servers, site, to="earlier", name="earlier")
    assert other.value("SELECT count(*) FROM t") == 1
    assert other.value("SELECT count(*) FROM pg_tablespace WHERE spcname = 'late'") == 0


@pytest.mark.parametrize("then", ("later", "none"))
def test_a_recovery_that_is_sent_on_to_another_place_is_guarded_there_too(servers, site, then):
    """It has shut down where it was told to, and somebody writes another place into its configuration."""
    site.server.sql("CREATE TABLE t AS SELECT 1 n")
    site.backup()
    site.server.sql("INSERT INTO t VALUES (2)")
    at = site.server.value("SELECT pg_current_wal_lsn()")
    where = late(servers, site)
    before = content(where)
    restore(site, "--at", str(at), "--target-action", "shutdown", status=None)
    other = prepare(servers, site)
    with contextlib.suppress(RuntimeError):
        other.start()
    eventually(lambda: "shutdown at recovery target" in other.log(), what=other.log)
    auto = site.path("back", "postgresql.auto.conf")
    with open(auto, encoding="utf-8") as f:
        lines = [line for line in f if not line.startswith("recovery_target_lsn")]
    with open(auto, "w", encoding="utf-8") as f:
        f.writelines(lines + (["recovery_target_time = '%s'\n" % site.server.value("SELECT now()::text")] if then == "later" else []))
    with contextlib.suppress(RuntimeError):
        other.start()
    eventually(lambda: not other.lives(), what=other.log)
    assert "the log makes tablespace" in other.log() and "archive recovery complete" not in other.log(), other.log()
    assert content(where) == before
    site.server.restart()
    assert site.server.sql("SELECT who FROM late_t ORDER BY 1") == [("first",), ("second",)]


def test_where_nothing_is_a_tablespace_is_made_and_made_again(servers, site):
    """What a recovery made before it was cut off is its own, also where two used one path, one after the other."""
    site.backup()
    where = late(servers, site)
    site.stream()
    site.server.sql("DROP TABLE late_t")
    site.server.sql("DROP TABLESPACE late")
    site.server.sql("CREATE TABLESPACE again LOCATION '%s'" % where)
    site.server.sql("CREATE TABLE t TABLESPACE again AS SELECT 7 n")
    shipped(site)
    own(site.top)
    site.server.destroy()
    shutil.rmtree(where)
    os.makedirs(where)
    own(where)
    restore(site, "--target-action", "pause")
    other = prepare(servers, site).start()
    eventually(lambda: other.value("SELECT pg_get_wal_replay_pause_state()") == "paused", what="the pause\n" + other.log()[-1500:])
    other.stop("immediate")
    other.start()
    eventually(lambda: other.value("SELECT pg_get_wal_replay_pause_state()") == "paused", what="the pause\n" + other.log()[-1500:])
    assert other.value("SELECT n FROM t") == 7
    assert os.listdir(where)


def test_a_tablespace_of_the_backup_that_is_made_anew_after_it(servers, site):
    """The restore has put the old one elsewhere; the new one is another, and the log has it where the living one is."""
    where, oid = spaced(servers, site)
    site.server.sql("DROP TABLE t")
    site.server.sql("DROP TABLESPACE far")
    site.server.sql("CREATE TABLESPACE far LOCATION '%s'" % where)
    site.server.sql("CREATE TABLE t TABLESPACE far AS SELECT 1 n")
    shipped(site)
    site.server.sql("CHECKPOINT")
    before = content(where)
    own(site.top)
    restore(site, "--tablespace", "%d=%s" % (oid, servers.path("elsewhere")), status=None)
    refuses(servers, site, UNKNOWN)
    assert content(where) == before


def test_unknown_tablespaces_are_named(servers, site):
    spaced(servers, site)
    got = restore(site, "--tablespace", "nowhere=%s" % servers.path("x"), status=USAGE)
    assert "far=DIR" in got.err, got


def test_over_an_old_restore_only_what_differs_is_written(servers, points):
    restore(points)
    other = boot(servers, points)
    other.sql("CREATE TABLE mine AS SELECT generate_series(1, 100) n")
    got = restore(points, "--delta", status=REFUSED)
    assert "a server runs in" in got.err, got
    other.stop()
    said = points.json("restore", "pay", "--to", points.path("back"), "--delta")
    assert 0 < said["written"] < said["bytes"] / 2
    again = boot(servers, points)
    assert again.value("SELECT count(*) FROM t") == 6
    assert again.value("SELECT count(*) FROM pg_class WHERE relname = 'mine'") == 0


def test_a_dry_run_over_an_old_restore_names_what_goes_and_changes(servers, site):
    where, oid = spaced(servers, site)
    there = ("--tablespace", "far=" + servers.path("elsewhere"))
    plan = site.json("restore", "pay", "--to", site.path("back"), "--dry-run", *there)
    done = site.json("restore", "pay", "--to", site.path("back"), *there)
    assert plan["files"] == done["files"] and os.listdir(where), (plan["files"], done["files"])
    other = boot(servers, site)
    other.sql("INSERT INTO t VALUES (4711)")
    file = other.value("SELECT pg_relation_filepath('t')")
    other.stop()
    shutil.rmtree(site.path("back", "pg_xact"))
    for name in (site.path("back", "MYFILE"), os.path.join(servers.path("elsewhere"), file.split("/")[2], "mine")):
        with open(name, "w", encoding="utf-8") as f:
            f.write("mine")
    # Beside what is the server's own, nothing of a tablespace's directory goes.
    open(os.path.join(servers.path("elsewhere"), "note"), "w", encoding="utf-8").close()
    plan = site.json("restore", "pay", "--to", site.path("back"), "--dry-run", "--delta", *there)
    assert "MYFILE" in plan["removes"] and "/".join(file.split("/")[:3]) + "/mine" in plan["removes"], plan["removes"]
    assert file in plan["changes"] and plan["written"] > 0 and plan["unchanged"] > 100, plan["changes"]
    assert os.path.exists(site.path("back", "MYFILE"))
    said = restore(site, "--dry-run", "--delta", *there).out
    assert "remove" in said and "change" in said, said
    restore(site, "--delta", *there)
    assert not os.path.exists(site.path("back", "MYFILE")) and os.path.exists(os.path.join(servers.path("elsewhere"), "note"))
    assert boot(servers, site, name="again").value("SELECT count(*) FROM t") == 1001


def test_another_database_is_not_given_up(servers, points):
    strange = servers.new(15, name="strange").start()
    strange.stop()
    points.write_config(data=strange.data, method="stream")
    got = points.run("restore", "pay", "--to", strange.data, "--delta", status=REFUSED)
    assert "another database" in got.err or "is not empty" in got.err, got
    assert os.path.exists(os.path.join(strange.data, "global", "pg_control"))


def test_a_restore_that_was_cut_off_leaves_nothing_that_starts(servers, points, fault_points):
    child = points.start("restore", "pay", "--to", points.path("back"))
    # Any moment will do: before the last file is there, no server comes up.
    while not os.path.exists(points.path("back", "base")) and child.poll() is None:
        time.sleep(0.001)
    child.kill()
    child.communicate()
    if os.path.exists(points.path("back", "backup_label")):
        pytest.skip("it was faster")
    with pytest.raises((RuntimeError, FileNotFoundError)):
        prepare(servers, points).start()
    shutil.rmtree(points.path("back"))
    restore(points)
    assert boot(servers, points, name="again").value("SELECT count(*) FROM t") == 6


def begun(path):
    """Would a server find what it looks for first?"""
    return os.path.exists(os.path.join(path, "global", "pg_control"))


def test_what_makes_a_server_start_comes_last_of_all(servers, points, fault_points):
    """A moment before it everything else is there; and it goes first where something was there before."""
    stop = {"FFDR_TEST_STOP": "restore-pg-ready:1"}
    got = points.run("restore", "pay", "--to", points.path("back"), status=None, env=stop)
    assert got.status == -signal.SIGKILL, got
    for name in ("backup_label", "recovery.signal", "PG_VERSION"):
        assert os.path.exists(points.path("back", name)), name
    with open(points.path("back", "postgresql.auto.conf"), encoding="utf-8") as f:
        assert "recovery_target_lsn" in f.read()
    assert not begun(points.path("back"))
    with pytest.raises((RuntimeError, FileNotFoundError)):
        prepare(servers, points).start()
    restore(points, "--delta")
    assert not [n for n in os.listdir(points.path("back", "global")) + os.listdir(points.path("back")) if n.startswith(".ffdr")]
    other = boot(servers, points, name="again")
    assert other.value("SELECT count(*) FROM t") == 6
    other.stop()
    assert begun(points.path("back"))
    got = points.run("restore", "pay", "--to", points.path("back"), "--delta", status=None, env={"FFDR_TEST_STOP": "file-written:1"})
    assert got.status == -signal.SIGKILL and not begun(points.path("back")), got


# ---- configuration that lies elsewhere ----

def test_configuration_from_elsewhere_is_made_to_fit(servers):
    """As Debian has it: outside of the data directory, with paths that are not here."""
    server = servers.new(15, "--wal-segsize=1", max_connections=77)
    etc = servers.path("etc-postgresql")
    os.makedirs(os.path.join(etc, "conf.d"))
    for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
        shutil.move(os.path.join(server.data, name), etc)
    with open(os.path.join(etc, "postgresql.conf"), "a", encoding="utf-8") as f:
        f.write("data_directory = '%s'\nhba_file = '%s/pg_hba.conf'\nident_file = '%s/pg_ident.conf'\n" % (server.data, etc, etc))
        f.write("external_pid_file = '%s/pid'\ninclude_dir = 'conf.d'\nrecovery_target_name = 'old'\n" % server.top)
        f.write("stats_temp_directory = '/nowhere/stats'\n" if server.version < 15 else "")
    with open(os.path.join(etc, "conf.d", "more.conf"), "w", encoding="utf-8") as f:
        f.write("work_mem = '5MB'\n")
    own(etc)
    # Started through a file that is gone when the backup is made.
    with open(os.path.join(server.data, "postgresql.conf"), "w", encoding="utf-8") as f:
        f.write("include '%s/postgresql.conf'\n" % etc)
    own(server.top)
    server.start()
    os.unlink(os.path.join(server.data, "postgresql.conf"))
    site = protected(servers, server)
    try:
        server.sql("CREATE TABLE t AS SELECT 1 n")
        site.backup()
        shipped(site)
        server.stop()
        shutil.rmtree(etc)
        said = restore(site).out
        assert "changed   postgresql.conf" in said, said
        other = boot(servers, site)
        assert other.value("SHOW max_connections") == "77"
        assert other.value("SHOW work_mem") == "5MB"
        assert os.path.realpath(other.value("SHOW data_directory")) == os.path.realpath(site.path("back"))
        assert other.value("SELECT n FROM t") == 1
    finally:
        site.end_all()


# ---- afterwards ----

def test_a_standby_follows_the_archive(servers, site):
    site.backup()
    ledger = worked(site, 10)
    shipped(site)
    restore(site, "--standby")
    other = prepare(servers, site).start()
    eventually(lambda: len(ids(other)) >= ledger.count(), what="the first rows\n" + other.log()[-1000:])
    site.server.sql("INSERT INTO ffdr_ledger VALUES (88888, 0, '')")
    shipped(site)
    eventually(lambda: 88888 in ids(other), what="what came later\n" + other.log()[-1000:])
    assert other.value("SELECT pg_is_in_recovery()")
    # A tier that is away does not end it.
    os.rename(site.tier("regional"), site.path("away-regional"))
    os.rename(site.tier("local"), site.path("away-local"))
    time.sleep(6)
    os.rename(site.path("away-regional"), site.tier("regional"))
    os.rename(site.path("away-local"), site.tier("local"))
    site.server.sql("INSERT INTO ffdr_ledger VALUES (99999, 0, '')")
    shipped(site)
    eventually(lambda: 99999 in ids(other), what="what came after that\n" + other.log()[-1000:])


def page_sql(name):
    """What a runbook tells people to type in psql, all of it."""
    with open(os.path.join(SOURCE_DIR, "runbooks", name), encoding="utf-8") as f:
        return "\n".join(re.findall(r"```sql\n(.*?)```", f.read(), re.DOTALL))


def test_a_standby_is_promoted_with_all_the_tiers_have_as_the_runbook_says(servers, site):
    site.backup()
    worked(site, 10)
    shipped(site)
    said = restore(site, "--standby")
    assert "by whole segments" in said.out and "--final" in said.out and "runbooks/promote-a-standby.md" in said.out, said
    other = prepare(servers, site).start()
    site.server.sql("INSERT INTO ffdr_ledger VALUES (88888, 0, '')")
    site.wait_shipped(site.server.lsn())
    plan = site.json("restore", "pay", "--to", site.path("nowhere"), "--dry-run")
    site.server.kill()
    readable(site)
    time.sleep(7)
    assert 88888 not in ids(other), "the segment is not whole yet: this test would prove nothing"
    got = subprocess.run(["psql", "-X", "-v", "ON_ERROR_STOP=1", other.conninfo], input=page_sql("promote-a-standby.md"),
                         capture_output=True, text=True, check=False)
    assert got.returncode == 0, got
    assert 88888 in ids(other) and not other.value("SELECT pg_is_in_recovery()")
    other.sql("CHECKPOINT")
    assert plan["timeline"] == 1 and other.value("SELECT timeline_id FROM pg_control_checkpoint()") == 2
    other.restart()
    assert other.value("SHOW restore_command") == ""


def test_an_adopted_server_is_the_database_now(servers, site):
    base = site.backup()
    ledger = worked(site, 20)
    shipped(site)
    for child in site.services:
        site.end(child)
    old = site.server
    said = restore(site, "--adopt")
    # A number may be skipped: backup and receiver may have come first at once.
    epoch = int(re.search(r"epoch (\d+) of pg\.pay begins with this server, on timeline 2", said.out).group(1))
    assert epoch >= 2
    readable(site)
    other = boot(servers, site)
    assert ledger.lost(other) == []
    # The old one goes on, and can harm nobody.
    old.sql("INSERT INTO ffdr_ledger VALUES (66666, 0, 'old')")
    name = old.value("SELECT pg_walfile_name(pg_switch_wal())")
    stale = site.run("wal", "push", os.path.join(old.data, "pg_wal", name), status=None)
    assert stale.status != 0 and "stale epoch" in stale.err, stale
    # The new one is received into the new epoch, and a restore finds the way through both.
    site.server = other
    site.write_config(conninfo=other.conninfo)
    site.stream()
    other.sql("INSERT INTO ffdr_ledger VALUES (55555, 0, 'new')")
    end = lsn(other.value("SELECT pg_switch_wal()"))
    eventually(lambda: site.frontier("regional", 2, epoch) >= end, what="WAL of the new epoch\n" + site.stream_log()[-1500:])
    readable(site)
    got = restore(site, to="third")
    assert base in got.out
    third = boot(servers, site, "third")
    assert 55555 in ids(third) and 66666 not in ids(third)


def test_a_standby_follows_into_the_epoch_of_an_adopted_server(servers, site):
    site.backup()
    ledger = worked(site, 5)
    shipped(site)
    restore(site, "--standby", to="warm")
    warm = prepare(servers, site, "warm").start()
    eventually(lambda: len(ids(warm)) >= ledger.count(), what="the first rows\n" + warm.log()[-1000:])
    said = restore(site, "--adopt")
    epoch = int(re.search(r"epoch (\d+) of pg\.pay begins with this server", said.out).group(1))
    readable(site)
    # The old one goes on for a while, into an epoch that is closed.
    site.server.sql("INSERT INTO ffdr_ledger VALUES (66666, 0, 'old')")
    site.server.kill()
    site.server = boot(servers, site)
    site.write_config()
    site.server.sql("INSERT INTO ffdr_ledger VALUES (55555, 0, 'new')")
    end = lsn(site.server.value("SELECT pg_switch_wal()"))
    eventually(lambda: site.frontier("regional", 2, epoch) >= end, what=site.stream_log)
    readable(site)
    eventually(lambda: 55555 in ids(warm), what=lambda: "the new row\n" + warm.log()[-3000:])
    assert 66666 not in ids(warm) and warm.value("SELECT pg_is_in_recovery()")


def test_a_standby_that_has_lost_its_note_says_why_it_stays(servers, site):
    site.backup()
    ledger = worked(site, 5)
    shipped(site)
    restore(site, "--standby", to="warm")
    warm = prepare(servers, site, "warm").start()
    eventually(lambda: len(ids(warm)) >= ledger.count(), what="the first rows\n" + warm.log()[-1000:])
    warm.stop()
    os.unlink(site.path("warm", "pg_wal", ".ffdr-given"))
    restore(site, "--adopt")
    readable(site)
    warm.start()
    eventually(lambda: "this standby cannot follow" in warm.log(), what=lambda: warm.log()[-2000:])
    assert "what it has replayed is not known (.ffdr-given in pg_wal is missing)" in warm.log()
    time.sleep(6)
    assert warm.log().count("this standby cannot follow") == 1 and len(ids(warm)) >= ledger.count()


def test_what_an_adopted_server_wrote_is_verified_where_nothing_is_known(servers, site):
    """A new host has no coordination place; a restore there follows the highest epoch, and so does a proof."""
    site.backup()
    shipped(site)
    epoch = int(re.search(r"epoch (\d+) of pg\.pay begins with this server", restore(site, "--adopt").out).group(1))
    readable(site)
    site.server.kill()
    site.server = boot(servers, site)
    site.write_config(conninfo=site.server.conninfo)
    worked(site, 5)
    end = lsn(site.server.value("SELECT pg_switch_wal()"))
    eventually(lambda: site.frontier("local", 2, epoch) >= end, what=site.stream_log)
    site.end_streams()
    pieces = site.json("verify")["wal_pieces"]
    flip(sorted(glob.glob(site.tier("local", "wal", "pg.pay", "*", "%08x" % epoch, "00000002", "*-*")))[-1])
    os.rename(site.path("state"), site.path("state-of-before"))
    got = site.json("verify", status=VERIFY)
    assert got["wal_pieces"] == pieces, got


def test_a_standby_gets_no_second_life_on_top_of_the_first(servers):
    """The server's disk is set back, and it goes on with records of the same lengths: nothing tells the standby but what it was given."""
    server = servers.new(15, "--wal-segsize=1", autovacuum="off", bgwriter_lru_maxpages=0).start()
    site = protected(servers, server)
    child = site.services[-1]

    def life(who):
        with server.connect() as c:
            c.execute("insert into t values ('%s')" % who)
            c.execute("select pg_switch_wal()")

    try:
        server.sql("create table t(who text)")
        site.backup()
        shipped(site)
        server.stop()
        shutil.copytree(server.data, server.data + ".old")
        server.start()
        life("first  life, A")
        site.wait_shipped(server.lsn() & ~0xfffff)
        readable(site)
        restore(site, "--standby", to="warm")
        restore(site, "--standby", to="late")
        warm = prepare(servers, site, "warm").start()
        eventually(lambda: warm.sql("select who from t") == [("first  life, A",)], what="the first life")
        site.end(child, status=None)
        server.stop()
        shutil.rmtree(server.data)
        os.rename(server.data + ".old", server.data)
        server.own().start()
        life("second life, A")
        life("second life, B")
        life("second life, C")
        site.stream()
        eventually(lambda: "begins: what was received" in site.stream_log(), what=site.stream_log)
        # Usually 2: a number may have gone to who pinned the first one at the same time.
        epoch = int(re.search(r"epoch (\d+) begins: what", site.stream_log()).group(1))
        eventually(lambda: site.frontier("regional", epoch=epoch) >= server.lsn() & ~0xfffff, what=site.stream_log)
        readable(site)
        # One that was given nothing of the first life follows the server.
        late = prepare(servers, site, "late").start()
        eventually(lambda: ("second life, C",) in late.sql("select who from t"), what=lambda: late.log()[-2000:])
        assert ("first  life, A",) not in late.sql("select who from t")
        eventually(lambda: "this standby cannot follow" in warm.log(), what=lambda: warm.log()[-2000:])
        time.sleep(6)
        assert warm.sql("select who from t") == [("first  life, A",)]
        assert warm.log().count("this standby cannot follow") == 1 and "make it anew" in warm.log()
        # Started again it gets what it had, and stays.
        warm.restart()
        eventually(lambda: warm.sql("select who from t") == [("first  life, A",)])
        assert warm.log().count("this standby cannot follow") == 1
    finally:
        site.end_all()


def test_the_receiver_follows_to_an_adopted_server_by_itself(servers, site):
    site.backup()
    ledger = worked(site, 5)
    shipped(site)
    said = restore(site, "--adopt")
    epoch = int(re.search(r"epoch (\d+) of pg\.pay begins with this server", said.out).group(1))
    readable(site)
    site.server.kill()
    other = boot(servers, site)
    site.write_config(conninfo=other.conninfo)
    other.sql("INSERT INTO ffdr_ledger VALUES (55555, 0, 'new')")
    end = lsn(other.value("SELECT pg_switch_wal()"))
    eventually(lambda: site.frontier("regional", 2, epoch) >= end, what=site.stream_log)
    assert ledger.lost(other) == [] and site.services[0].poll() is None


@pytest.mark.parametrize("old", ("dead", "alive"))
def test_the_receiver_comes_to_an_adopted_server_once_it_may(servers, site, old):
    """All slots are in use there at first; what it goes back to meanwhile is gone, or is not the database any more."""
    site.backup()
    worked(site, 5)
    shipped(site)
    said = restore(site, "--adopt")
    epoch = int(re.search(r"epoch (\d+) of pg\.pay begins with this server", said.out).group(1))
    readable(site)
    if old == "dead":
        site.server.kill()
    other = prepare(servers, site).set(max_replication_slots=1).start()
    eventually(other.recovered, what="the end of recovery")
    other.sql("SELECT pg_create_physical_replication_slot('mine')")
    site.write_config(conninfo=other.conninfo)
    eventually(lambda: "all replication slots are in use" in site.stream_log(), what=site.stream_log)
    other.set(max_replication_slots=4).restart()
    other.sql("INSERT INTO ffdr_ledger VALUES (55555, 0, 'new')")
    end = lsn(other.value("SELECT pg_switch_wal()"))
    eventually(lambda: site.frontier("regional", 2, epoch) >= end, what=site.stream_log)
    told = site.stream_log()
    assert site.services[0].poll() is None and told.count("the new conninfo cannot be used") == 1, told
    assert told.count("conninfo was changed") == 1, told


@pytest.mark.parametrize("version", (14, 15, 18))
def test_a_standby_of_the_restored_server_starts_and_streams(servers, version):
    """It is a copy of the directory, settings and all: nothing of the recovery may be in it."""
    server = servers.new(version, "--wal-segsize=1").start()
    site = protected(servers, server)
    try:
        server.sql("CREATE TABLE t AS SELECT 1 n")
        server.sql("ALTER SYSTEM SET recovery_prefetch = 'off'" if version > 14 else "ALTER SYSTEM SET work_mem = '5MB'")
        site.backup()
        shipped(site)
        restore(site)
        other = boot(servers, site)
        with open(site.path("back", "postgresql.auto.conf"), encoding="utf-8") as f:
            text = f.read()
        assert not re.search("^(restore_command|recovery_target|recovery_end)", text, re.M), text
        assert "archive_mode = 'off'" in text and ("recovery_prefetch" in text or version == 14), text
        # As pg_basebackup -R does; not every version here has one.
        other.data = os.path.realpath(other.data)
        third = servers.clone(other, standby=False)
        with open(os.path.join(third.data, "postgresql.auto.conf"), "a", encoding="utf-8") as f:
            f.write("primary_conninfo = '%s'\n" % other.conninfo)
        open(os.path.join(third.data, "standby.signal"), "w", encoding="utf-8").close()
        third.own()
        third.start()
        other.sql("INSERT INTO t VALUES (2)")
        eventually(lambda: third.sql("SELECT n FROM t ORDER BY n") == [(1,), (2,)], what="the row\n" + third.log()[-1500:])
        assert third.value("SELECT status FROM pg_stat_wal_receiver") == "streaming"
    finally:
        site.end_all()


def test_what_is_restored_is_not_the_standby_that_it_was(servers, site):
    """Old recovery settings and the place in a cluster do not come back."""
    site.server.sql("ALTER SYSTEM SET recovery_target_time = '2001-01-01'")
    site.server.sql("ALTER SYSTEM SET primary_conninfo = 'host=elsewhere'")
    site.server.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    site.backup()
    site.server.sql("SET synchronous_commit = local; CREATE TABLE t AS SELECT 1 n")
    shipped(site)
    restore(site)
    other = boot(servers, site)
    assert other.value("SHOW primary_conninfo") == "" and other.value("SHOW synchronous_standby_names") == ""
    other.sql("INSERT INTO t VALUES (2)")  # waits for nobody
