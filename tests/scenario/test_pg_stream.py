"""The receiver: whatever happens to it, to the server or to a tier, no byte is missing and none is another."""

import fcntl
import os
import random
import shutil
import signal
import subprocess
import threading
import time

import pytest

from conftest import DEGRADED
from databases import Database, database_fixture, make_database  # noqa: F401 (a fixture)
from postgres import SECONDS, Ledger, eventually, lsn, own, servers_fixture  # noqa: F401
from restored import boot, restore


def same_as_server(site, tier="regional", to=None):
    """Every segment the server still has, as `wal get` brings it from the tier."""
    folder = os.path.join(site.server.data, "pg_wal")
    frontier = site.frontier(tier)
    size = 1 << 20
    checked = 0
    for name in sorted(n for n in os.listdir(folder) if len(n) == 24):
        start = int(name[8:16], 16) * (1 << 32) + int(name[16:], 16) * size
        if start + size > frontier or start < site.pieces(tier)[0][0]:
            continue
        target = site.path("got")
        site.get(name, target, "--tiers", tier, "--segment-size", "1m")
        with open(target, "rb") as a, open(os.path.join(folder, name), "rb") as b:
            assert a.read() == b.read(), name
        checked += 1
    return checked


def fill(server, times=4):
    """A few segments of WAL."""
    for _ in range(times):
        server.sql("CREATE TABLE junk AS SELECT repeat(md5(i::text), 10) FROM generate_series(1, 3000) i")
        server.sql("DROP TABLE junk")


def test_what_is_written_gets_to_every_tier_within_the_time(database):
    database.stream()
    Ledger(database.server).start().wait(100).stop()
    fill(database.server)
    end = database.server.lsn()
    began = time.monotonic()
    for tier in ("local", "regional"):
        database.wait_shipped(end, tier)
    # ship-every is 1 s; the machine may be busy
    assert time.monotonic() - began < 5
    assert database.assert_no_hole("regional") >= end
    assert same_as_server(database) > 0


def test_a_receiver_that_is_killed_again_and_again_leaves_no_hole(database):
    rng = random.Random(7)
    ledger = Ledger(database.server, clients=2).start()
    for _ in range(6):
        child = database.stream()
        time.sleep(rng.uniform(0.3, 1.2))
        database.end(child, signal.SIGKILL)
    child = database.stream()
    ledger.wait(ledger.count() + 100).stop()
    fill(database.server)
    end = database.server.lsn()
    database.wait_shipped(end)
    assert database.assert_no_hole("regional") >= end
    assert same_as_server(database) > 0
    database.end(child)


COMMITS = """
    CREATE TABLE IF NOT EXISTS pace (took float);
    CREATE OR REPLACE PROCEDURE commit_many(n int) LANGUAGE plpgsql AS $$
    DECLARE begun timestamptz;
    BEGIN
        FOR i IN 1..n LOOP
            begun := clock_timestamp();
            INSERT INTO pace VALUES (0);
            COMMIT;
            INSERT INTO pace VALUES (extract(epoch FROM clock_timestamp() - begun));
        END LOOP;
    END $$;"""


def writes_of(child):
    """Its calls of write and their like, so far."""
    with open("/proc/%d/io" % child.pid, encoding="ascii") as f:
        return int(next(line.split()[1] for line in f if line.startswith("syscw")))


def test_what_nobody_waits_for_is_gathered(database):
    child = database.stream()
    database.server.sql(COMMITS)
    database.wait_shipped(database.server.lsn())
    before = writes_of(child)
    database.server.sql("CALL commit_many(2000)")
    assert writes_of(child) - before < 1000
    database.wait_shipped(database.server.lsn())
    database.end(child)


def test_a_commit_that_waits_for_the_receiver_waits_for_nothing_else(database):
    child = database.stream()
    database.server.sql(COMMITS)
    database.server.set(synchronous_standby_names="ffdr")
    database.server.sql("SELECT pg_reload_conf()")
    eventually(lambda: database.server.sql("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"))
    # Within a second the receiver knows; a commit that is gathered takes ten milliseconds.
    database.server.sql("CALL commit_many(300)")
    time.sleep(1)
    database.server.sql("CALL commit_many(1)")
    database.server.sql("TRUNCATE pace")
    database.server.sql("CALL commit_many(100)")
    assert float(database.server.value("SELECT min(took) FROM pace WHERE took > 0")) < 0.006
    database.end(child)


@pytest.mark.parametrize("catalog", ("pg_authid", "pg_database"))
def test_who_locks_a_catalog_and_waits_for_the_receiver_does_not_wait_for_ever(database, catalog):
    """As VACUUM FULL does: its locks are held until the standby has its commit, and the receiver asks the server things meanwhile."""
    child = database.stream()
    server = database.server
    server.sql("CREATE TABLE t (i int)")
    server.set(synchronous_standby_names="ffdr")
    server.sql("SELECT pg_reload_conf()")
    eventually(lambda: server.sql("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"))
    locking, other = server.connect(), server.connect()
    other.execute("INSERT INTO t VALUES (1)")

    def commit():
        until = time.monotonic() + 12  # the receiver looks at its slot every ten seconds
        while time.monotonic() < until:
            other.execute("INSERT INTO t VALUES (1)")
            time.sleep(0.5)
        locking.execute("COMMIT")

    locking.execute("BEGIN")
    locking.execute("CREATE TABLE held ()")
    locking.execute("LOCK TABLE %s IN ACCESS EXCLUSIVE MODE" % catalog)
    work = threading.Thread(target=commit, daemon=True)
    work.start()
    work.join(40)
    if work.is_alive():
        child.kill()
        server.kill()  # nobody can even log in
    assert not work.is_alive(), "all that commits stands"
    database.wait_shipped(server.lsn())
    database.end(child)


def test_a_clean_stop_ships_what_is_in_the_spool(database):
    database.write_config(ship_every="1h")
    child = database.stream()
    Ledger(database.server).start().wait(50).stop()
    end = database.server.lsn()
    eventually(lambda: database.server.sql("SELECT 1 FROM pg_stat_replication WHERE flush_lsn >= %s::pg_lsn", "%X/%X" % (
        end >> 32, end & 0xffffffff)))
    database.end(child)
    assert database.frontier("regional") >= end


def test_the_server_restarts_and_receiving_goes_on(database):
    database.stream()
    ledger = Ledger(database.server).start().wait(20)
    ledger.stop()
    database.server.restart()
    Ledger(database.server, seed=2).start().wait(1).stop()
    database.server.sql("INSERT INTO ffdr_ledger VALUES (-77, 0, '')")
    end = database.server.lsn()
    database.wait_shipped(end)
    database.assert_no_hole("regional")


def test_a_shutdown_of_the_server_does_not_wait_for_the_receiver(database):
    database.stream()
    eventually(lambda: database.server.sql("SELECT 1 FROM pg_stat_replication WHERE application_name = 'ffdr'"))
    Ledger(database.server).start().wait(20).stop()
    began = time.monotonic()
    database.server.stop()
    assert time.monotonic() - began < 10


def test_a_server_that_is_impatient_is_answered(database):
    """It gives up whoever is silent for a second; we report every ten, and whenever it asks."""
    server = database.server
    server.set(wal_sender_timeout="1s").restart()
    database.stream()
    fill(server)
    database.wait_shipped(server.lsn())
    time.sleep(5)
    fill(server, 1)
    database.wait_shipped(server.lsn())
    assert database.stream_log().count("receiving WAL from") == 1, database.stream_log()
    assert "terminating walsender" not in server.log()


def slots(site):
    """Where each of them keeps WAL from: (the receiver's own, the one for all)."""
    found = dict(site.server.sql("SELECT slot_name, restart_lsn::text FROM pg_replication_slots"))
    hold = lsn(found.pop("ffdr_hold"))
    return lsn(found.popitem()[1]), hold


def test_what_only_this_host_has_the_server_keeps(database):
    """By the slot ffdr_hold: the host and all on it may be lost, and nothing is."""
    server = database.server
    database.stream()
    fill(server)
    database.wait_shipped(server.lsn())
    os.rename(database.tier("regional"), database.tier("regional") + ".away")
    fill(server, 1)
    before = lsn(server.value("SELECT pg_current_wal_flush_lsn()"))
    fill(server)
    end = server.lsn()
    database.wait_shipped(end, "local")
    eventually(lambda: slots(database)[0] >= end, what="the own slot's move")
    time.sleep(13)  # the other one is looked after every ten
    own_at, hold_at = slots(database)
    assert own_at >= end and 0 < hold_at <= before, (own_at, hold_at, before)
    # The host is lost with its spool and its tier; another one finds all of it.
    for child in database.services:
        database.end(child, signal.SIGKILL)
    database.services.clear()
    shutil.rmtree(database.path("state"))
    shutil.rmtree(database.tier("local"))
    os.rename(database.tier("regional") + ".away", database.tier("regional"))
    database.write_config(replication_slot="ffdr_other", tiers="regional", wal="regional")
    database.stream()
    database.wait_shipped(end)
    database.assert_no_hole("regional")
    assert database.objects("regional", "rec/gap/") == [], database.stream_log()
    eventually(lambda: slots(database)[1] >= end - (1 << 20), what="the slot's move")


def test_a_slot_that_was_dropped_becomes_a_gap_that_is_written_down(database):
    server = database.server
    server.set(max_wal_size="2MB", min_wal_size="2MB", wal_keep_size=0).restart()
    child = database.stream()
    Ledger(server).start().wait(20).stop()
    database.wait_shipped(server.lsn())
    database.end(child)
    server.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
    for _ in range(8):
        server.sql("CREATE TABLE junk AS SELECT repeat('x', 500) FROM generate_series(1, 4000)")
        server.sql("DROP TABLE junk")
        server.sql("SELECT pg_switch_wal()")
    server.sql("CHECKPOINT")
    server.sql("CHECKPOINT")
    child = database.stream()
    eventually(lambda: database.objects("regional", "rec/gap/pg.pay/"), what="the record of the gap")
    Ledger(server, seed=3).start().wait(1).stop()
    server.sql("INSERT INTO ffdr_ledger VALUES (-78, 0, '')")
    end = server.lsn()
    database.wait_shipped(end)
    assert "is lost" in database.stream_log()
    assert len(database.objects("regional", "rec/gap/pg.pay/")) == 1
    assert database.end(child, status=None) == 3


def test_a_tier_that_is_away_holds_up_nobody_and_catches_up(database):
    os.rename(database.tier("regional"), database.tier("regional") + ".away")
    child = database.stream()
    Ledger(database.server).start().wait(50).stop()
    end = database.server.lsn()
    database.wait_shipped(end, "local")
    os.rename(database.tier("regional") + ".away", database.tier("regional"))
    database.end(child)
    child = database.stream()
    database.wait_shipped(end, "regional")
    database.assert_no_hole("regional")
    database.end(child)


def test_a_full_spool_lets_the_server_keep_the_wal(servers):
    site = make_database(servers, 15, "--wal-segsize=1", backlog="64m", wal="regional")
    shutil.rmtree(site.tier("regional", "wal"), ignore_errors=True)
    os.chmod(site.tier("regional"), 0o755)
    # a tier that takes nothing: a file stands where its directory should be
    with open(site.tier("regional", "wal"), "w", encoding="utf-8"):
        pass
    child = site.stream()
    try:
        for _ in range(5):
            site.server.sql("CREATE TABLE junk AS SELECT repeat(md5(i::text), 10) FROM generate_series(1, 60000) i")
            site.server.sql("DROP TABLE junk")
        eventually(lambda: "more than `backlog`" in site.stream_log(), what="the warning")
        held = sum(os.path.getsize(site.path("state", "spool", "pg.pay", n))
                   for n in os.listdir(site.path("state", "spool", "pg.pay")))
        assert held < 80 << 20
        os.unlink(site.tier("regional", "wal"))
        end = site.server.lsn()
        site.wait_shipped(end)
        site.assert_no_hole("regional")
    finally:
        site.end_all()
    assert child.returncode is not None


def ticks(child):
    """Of processor time, up to now."""
    with open("/proc/%d/stat" % child.pid, encoding="utf-8") as f:
        return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))


def test_conninfo_may_change_while_the_spool_is_full(servers):
    """As one does it after a failover while a tier is away: nothing spins, and shipping goes on when the tier is back."""
    site = make_database(servers, 15, "--wal-segsize=1", backlog="64m", wal="regional")
    child = site.stream()
    try:
        eventually(lambda: site.pieces("regional"), what="a piece")
        os.rename(site.tier("regional"), site.tier("regional") + ".away")
        for _ in range(5):
            site.server.sql("CREATE TABLE junk AS SELECT repeat(md5(i::text), 10) FROM generate_series(1, 60000) i")
            site.server.sql("DROP TABLE junk")
        eventually(lambda: "more than `backlog`" in site.stream_log(), what="the warning")
        site.write_config(conninfo=site.server.conninfo + " connect_timeout=7")
        eventually(lambda: "conninfo was changed" in site.stream_log(), what="the change")
        before = ticks(child)
        time.sleep(3)
        assert ticks(child) - before < 60, "it spins"
        os.rename(site.tier("regional") + ".away", site.tier("regional"))
        site.wait_shipped(site.server.lsn())
        site.assert_no_hole("regional")
    finally:
        site.end_all()


@pytest.mark.parametrize("wrong", ("misspelled", "another", "dead", "forbidden"))
def test_a_slip_in_conninfo_does_not_end_a_receiver_that_runs(servers, database, wrong):
    server, child = database.server, database.stream()
    fill(server)
    database.wait_shipped(server.lsn())
    other = servers.new(15, "--wal-segsize=1").start() if wrong == "another" else server
    database.write_config(conninfo={
        "misspelled": server.conninfo + " conect_timeout=3",
        "another": other.conninfo,
        "dead": "host=127.0.0.1 port=1 user=postgres dbname=postgres",
        "forbidden": server.conninfo.replace("user=postgres", "user=nobody_at_all")}[wrong])
    eventually(lambda: "the new conninfo cannot be used" in database.stream_log(), what="the warning")
    fill(server)
    database.wait_shipped(server.lsn())
    time.sleep(6)
    said = database.stream_log()
    assert child.poll() is None, said
    assert said.count("the new conninfo cannot be used") == 1 and "receiving is interrupted" not in said, said
    database.write_config(conninfo=server.conninfo + " connect_timeout=7")
    eventually(lambda: "conninfo was changed" in database.stream_log(), what="the one that is right")
    fill(server)
    database.wait_shipped(server.lsn())
    database.end(child)


def test_a_conninfo_whose_server_is_not_up_yet_is_taken_when_it_is(servers, database):
    server, child = database.server, database.stream()
    fill(server)
    standby = servers.clone(server).start()
    eventually(lambda: server.sql("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming' AND application_name <> 'ffdr'"))
    database.write_config(conninfo=standby.conninfo)
    eventually(lambda: "it leads to a standby" in database.stream_log(), what="the warning")
    fill(server)
    database.wait_shipped(server.lsn())
    end = server.value("SELECT pg_current_wal_flush_lsn()")
    eventually(lambda: standby.value("SELECT pg_last_wal_receive_lsn() >= %s::pg_lsn", end), what="streaming")
    server.stop("immediate")
    standby.promote()
    fill(standby)
    database.wait_shipped(standby.lsn(), tli=2)
    database.end(child)


@pytest.mark.parametrize("version", (14, 16, 17, 18))
def test_every_version_streams(servers, version):
    site = make_database(servers, version)
    try:
        site.stream()
        Ledger(site.server).start().wait(50).stop()
        site.wait_shipped(site.server.lsn())
        site.assert_no_hole("regional")
    finally:
        site.end_all()


def test_a_standby_that_takes_over_is_followed(servers):
    primary = servers.new(15, "--wal-segsize=1", wal_keep_size=64).start()
    standby = servers.clone(primary).start()
    eventually(lambda: primary.sql("SELECT 1 FROM pg_stat_replication"))
    site = Database(servers.path("site"), primary)
    site.keys["conninfo"] = "host=%s,%s port=%d,%d user=postgres dbname=postgres target_session_attrs=read-write" % (
        primary.top, standby.top, primary.port, standby.port)
    site.write_config()
    site.run("init")
    try:
        site.stream()
        ledger = Ledger(primary).start().wait(50).stop()
        end = primary.lsn()
        site.wait_shipped(end)
        eventually(lambda: lsn(standby.value("SELECT pg_last_wal_replay_lsn()")) >= end)
        primary.kill()
        standby.promote()
        standby.sql("INSERT INTO ffdr_ledger VALUES (-79, 0, '')")
        site.wait_shipped(standby.lsn(), tli=2)
        assert site.objects("regional", site.archive("00000002.history"))
        assert ledger.lost(standby) == []
    finally:
        site.end_all()


def test_a_primary_that_is_switched_over_twice_is_followed(servers):
    """There, and back: the old one comes in again as the standby of the new one."""
    both = [servers.new(15, "--wal-segsize=1", wal_keep_size=64).start()]
    both.append(servers.clone(both[0]).start())
    site = Database(servers.path("site"), both[0])
    site.run("init")
    site.write_config(conninfo="host=%s,%s port=%d,%d user=postgres dbname=postgres target_session_attrs=read-write" % (
        both[0].top, both[1].top, both[0].port, both[1].port))
    try:
        site.stream()
        site.backup("--tier", "regional")
        ledgers = []
        for tli in (1, 2, 3):
            primary, standby = both
            eventually(lambda p=primary: p.sql("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"
                                               " AND application_name <> 'ffdr'"), what="the standby")
            ledgers.append(Ledger(primary, seed=tli).start().wait(50))
            if tli == 3:
                break
            # As it is done: the old one ends in good order, and the clients' last word is on both.
            ledgers[-1].stop()
            primary.stop()
            standby.promote()
            primary.set(primary_conninfo=standby.conninfo, recovery_target_timeline="latest")
            open(os.path.join(primary.data, "standby.signal"), "w", encoding="utf-8").close()
            primary.own()
            primary.start()
            both.reverse()
        ledgers[-1].stop()
        site.wait_shipped(both[0].lsn(), tli=3)
        for tli in (2, 3):
            assert site.objects("regional", site.archive("%08x.history" % tli))
            site.assert_no_hole("regional", tli)
        assert site.objects("regional", "rec/gap/") == [] and len({n.split("/")[3] for n in site.objects("regional", "wal/pg.pay/")}) == 1
        site.end_all()
        for server in both:
            server.destroy()
        own(site.top)
        restore(site, "--tier", "regional")
        own(site.top)
        other = boot(servers, site)
        for ledger in ledgers:
            assert ledger.lost(other) == []
    finally:
        site.end_all()


def test_from_a_standby_nothing_is_received(servers, database):
    """It would serve its WAL as a primary does; what it has is not what the clients were told."""
    child = database.stream()
    fill(database.server)
    database.wait_shipped(database.server.lsn())
    database.end(child)
    standby = servers.clone(database.server).start()
    before = database.pieces("regional")
    database.write_config(conninfo=standby.conninfo)
    child = database.stream()
    eventually(lambda: "the server is a standby; WAL is received from the primary" in database.stream_log(), what=database.stream_log)
    fill(database.server)
    time.sleep(2)
    assert child.poll() is None and database.pieces("regional") == before
    assert standby.sql("SELECT 1 FROM pg_replication_slots WHERE active") == []


def test_what_was_written_between_a_base_backup_and_the_first_receiver_is_a_gap(servers):
    """No slot kept it: it is not there, and that is said."""
    server = servers.new(15, "--wal-segsize=1", max_wal_size="2MB", min_wal_size="2MB", wal_keep_size=0).start()
    site = Database(servers.path("site"), server)
    site.run("init")
    try:
        site.backup("--tier", "regional")
        until = site.frontier("regional")
        for _ in range(8):
            fill(server, 1)
            server.sql("SELECT pg_switch_wal()")
        server.sql("CHECKPOINT")
        server.sql("CHECKPOINT")
        site.stream()
        eventually(lambda: site.objects("regional", "rec/gap/pg.pay/"), what="the record of the gap")
        server.sql("CREATE TABLE t AS SELECT 1 n")
        site.wait_shipped(server.lsn())
        gaps = open_gaps(site)
        assert len(gaps) == 1 and lsn(gaps[0]["from"]) == until, gaps
        assert lsn(gaps[0]["to"]) == min(start for start, _ in site.pieces("regional") if start > until)
        got = restore(site, status=None)
        assert got.status not in (0, DEGRADED) and "a hole of the WAL of pg.pay" in got.err, got
    finally:
        site.end_all()


def test_another_server_under_the_name_is_refused(servers, database):
    child = database.stream()
    Ledger(database.server).start().wait(5).stop()
    database.wait_shipped(database.server.lsn())
    database.end(child)
    other = servers.new(15, "--wal-segsize=1").start()
    database.write_config(conninfo=other.conninfo)
    child = database.stream()
    assert child.wait(30) == 10
    assert "system identifier" in database.stream_log()


def test_a_server_that_was_set_back_is_refused(servers, database):
    server = database.server
    server.sql("CREATE TABLE ffdr_mark (n int)")
    server.stop()
    shutil.copytree(server.data, server.data + ".old")
    server.start()
    child = database.stream()
    Ledger(server).start().wait(50).stop()
    database.wait_shipped(server.lsn())
    database.end(child)
    before = database.pieces("regional")
    server.stop()
    shutil.rmtree(server.data)
    os.rename(server.data + ".old", server.data)
    server.own()
    server.start()
    child = database.stream()
    assert child.wait(30) == 10
    assert "restored" in database.stream_log()
    assert database.pieces("regional") == before


def dropping(servers):
    """A receiver that lets its slots go once 64 MiB wait, which they do: nothing gets to the tier."""
    site = make_database(servers, 15, "--wal-segsize=1", backlog="64m", backlog_full="drop-slot", wal="regional")
    site.server.sql("ALTER SYSTEM SET max_wal_size = '8MB'")
    site.server.sql("ALTER SYSTEM SET min_wal_size = '2MB'")
    site.server.sql("SELECT pg_reload_conf()")
    with open(site.tier("regional", "wal"), "w", encoding="utf-8"):
        pass
    site.stream()
    grow(site)
    eventually(lambda: "the slots were dropped" in site.stream_log(), what="the warning")
    assert site.server.sql("SELECT 1 FROM pg_replication_slots") == []
    return site


def grow(site):
    for _ in range(5):
        site.server.sql("CREATE TABLE junk AS SELECT repeat(md5(i::text), 10) FROM generate_series(1, 60000) i")
        site.server.sql("DROP TABLE junk")


def removed(site):
    """The server has removed WAL that was not received."""
    grow(site)
    for _ in range(2):
        site.server.sql("SELECT pg_switch_wal()")
        site.server.sql("CHECKPOINT")


def open_gaps(site):
    return [g for g in site.json("wal", "status", "pay", status=None)["sources"][0]["gaps"] if g["open"]]


def test_behind_a_hole_that_was_agreed_to_a_base_backup_is_made_at_once(servers):
    site = dropping(servers)
    try:
        site.backup()
        removed(site)
        os.unlink(site.tier("regional", "wal"))
        eventually(lambda: "begins behind the gap is there" in site.stream_log(), what=lambda: "the backup\n" + site.stream_log())
        assert "is lost" in site.stream_log() and len(site.objects("local", "snap/")) == 2
        site.run("copy", "--to", "regional", status=None)
        assert open_gaps(site) == []
        # It is made once.
        child = site.services[-1]
        site.end(child, status=DEGRADED)
        site.stream()
        site.server.sql("CREATE TABLE t AS SELECT 1 n")
        site.wait_shipped(site.server.lsn())
        assert len(site.objects("local", "snap/")) == 2
        own(site.top)
        restore(site)
        assert boot(servers, site).value("SELECT n FROM t") == 1
    finally:
        site.end_all()


def child_of(pid):
    """The one that a process has started; None: there is none."""
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as f:
        return next(map(int, f.read().split()), None)


def test_one_that_is_being_made_is_not_broken_off_because_a_disk_was_replaced(servers):
    site = dropping(servers)
    try:
        site.backup()
        removed(site)
        os.unlink(site.tier("regional", "wal"))
        backup = eventually(lambda: child_of(site.services[-1].pid), what=lambda: "the backup\n" + site.stream_log())
        os.killpg(backup, signal.SIGSTOP)
        os.rename(site.tier("regional"), site.path("lost"))
        os.mkdir(site.tier("regional"))
        site.run("init")
        site.server.sql("CREATE TABLE t AS SELECT 1 n")
        eventually(lambda: site.stream_log().count("does not get to 'regional'") == 2, what=site.stream_log)
        time.sleep(15)
        assert "is where 'regional' was" not in site.stream_log()
        # However it ends, the disk is taken then.
        os.killpg(backup, signal.SIGKILL)
        eventually(lambda: "is where 'regional' was" in site.stream_log(), 2 * SECONDS, what=site.stream_log)
        site.wait_shipped(site.server.lsn())
    finally:
        site.end_all()


def test_a_base_backup_that_is_due_is_not_forgotten(servers):
    """The first try fails, and then the receiver is killed."""
    site = dropping(servers)
    try:
        removed(site)
        os.makedirs(site.path("state", "lock"))
        with open(site.path("state", "lock", "backup.pg.pay"), "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.unlink(site.tier("regional", "wal"))
            eventually(lambda: "was not made, it is tried again" in site.stream_log(),
                       what=lambda: "the first try\n" + site.stream_log())
            assert "another backup of pg.pay is running" in site.stream_log() and "`ffdr backup pg.pay`" in site.stream_log()
            site.end(site.services[-1], signal.SIGKILL)
        site.stream()
        eventually(lambda: "begins behind the gap is there" in site.stream_log(),
                   what=lambda: "the backup\n" + site.stream_log())
        assert len(site.objects("local", "snap/")) == 1
    finally:
        site.end_all()


def test_a_full_spool_lets_the_slots_go_where_that_is_wanted(servers):
    site = dropping(servers)
    try:
        os.unlink(site.tier("regional", "wal"))
        # Room again: a slot of its own again, and on from where it can, with a gap if it must.
        eventually(lambda: site.server.sql("SELECT 1 FROM pg_replication_slots WHERE active"), what="the new slot")
        end = site.server.lsn()
        site.wait_shipped(end)
    finally:
        site.end_all()


def test_a_base_backup_while_nobody_received_leaves_no_hole(database):
    """It brings its own WAL; what lies before that is still kept by the slot."""
    server = database.server
    database.backup()
    database.stream()
    fill(server)
    database.wait_shipped(server.lsn())
    database.end_streams()
    fill(server)
    database.backup()
    fill(server)
    database.stream()
    database.wait_shipped(server.lsn())
    for tier in ("local", "regional"):
        database.assert_no_hole(tier)
    assert "goes on later" in database.stream_log()


def test_nor_does_one_that_was_made_after_a_promotion(servers, database):
    server = database.server
    database.backup()
    database.stream()
    fill(server)
    database.wait_shipped(server.lsn())
    standby = servers.clone(server).start()
    database.end_streams()
    fill(server)
    end = server.value("SELECT pg_current_wal_flush_lsn()")
    eventually(lambda: standby.value("SELECT pg_last_wal_receive_lsn() >= %s::pg_lsn", end), what="streaming")
    server.stop("immediate")
    standby.set(wal_keep_size="512MB").promote()
    database.write_config(conninfo=standby.conninfo)
    fill(standby)
    database.backup()
    fill(standby)
    database.stream()
    database.wait_shipped(standby.lsn(), tli=2)
    for tier in ("local", "regional"):
        database.assert_no_hole(tier, 2)
        fork = min(start for start, _ in database.pieces(tier, 2))
        assert database.assert_no_hole(tier) >= fork


@pytest.mark.parametrize("spool", ("left", "lost"))
def test_nor_does_one_when_the_slots_are_new(database, spool):
    """As on a server that has taken over: it has the log, and knows no slot of ours."""
    server = database.server
    server.set(wal_keep_size="512MB").restart()
    database.backup()
    database.stream()
    fill(server)
    database.wait_shipped(server.lsn())
    database.end_streams()
    for (slot,) in server.sql("SELECT slot_name FROM pg_replication_slots"):
        server.sql("SELECT pg_drop_replication_slot(%s)", slot)
    if spool == "lost":
        shutil.rmtree(database.path("state", "spool"))
    fill(server)
    database.backup()
    fill(server)
    database.stream()
    database.wait_shipped(server.lsn())
    for tier in ("local", "regional"):
        database.assert_no_hole(tier)


def test_nor_does_the_first_one_of_an_epoch(servers, database):
    """`restore --adopt`, the server, a base backup, and only then the receiver."""
    database.backup()
    database.stream()
    fill(database.server)
    database.wait_shipped(lsn(database.server.value("SELECT pg_switch_wal()")))
    database.end_streams()
    own(database.top)
    fork = database.frontier("local", 1, 1)
    restore(database, "--adopt")
    own(database.top)
    other = boot(servers, database)
    database.write_config(conninfo=other.conninfo)
    fill(other)
    database.backup()
    fill(other)
    database.stream()
    end = other.lsn()
    for tier in ("local", "regional"):
        eventually(lambda t=tier: database.frontier(t, 2, 2) >= end, what=lambda: "WAL of epoch 2\n" + database.stream_log()[-1500:])
        database.assert_no_hole(tier, 2, 2)
        assert min(start for start, _ in database.pieces(tier, 2, 2)) <= fork
    database.run("verify", "pg.pay")


def test_the_first_one_of_an_epoch_begins_with_the_segment_of_the_fork(servers, database):
    """The fork lies within a segment. A server that recovers asks for that segment of the new timeline from its first byte on."""
    first = database.backup()
    database.stream()
    fill(database.server)
    database.server.sql("CREATE TABLE told (name text)")
    database.wait_shipped(database.server.lsn())
    database.end_streams()
    database.server.stop()
    own(database.top)
    restore(database, "--adopt")
    own(database.top)
    other = boot(servers, database)
    with open(os.path.join(other.data, "pg_wal", "00000002.history"), encoding="ascii") as f:
        fork = lsn(f.read().split()[1])
    assert fork % (1 << 20) != 0, "the fork is at the end of a segment: nothing is tried"
    database.write_config(conninfo=other.conninfo)
    other.sql("INSERT INTO told VALUES ('between')")
    other.sql("SELECT pg_create_restore_point('between')")
    other.sql("INSERT INTO told VALUES ('behind')")
    database.backup()
    database.stream()
    end = other.lsn()
    for tier in ("local", "regional"):
        eventually(lambda t=tier: database.frontier(t, 2, 2) >= end, what=lambda: "WAL of epoch 2\n" + database.stream_log()[-1500:])
        database.assert_no_hole(tier, 2, 2)
        assert min(start for start, _ in database.pieces(tier, 2, 2)) <= fork >> 20 << 20, database.stream_log()
    database.run("verify", "pg.pay")
    own(database.top)
    restore(database, "--at", "name:between", to="third")
    own(database.top)
    assert boot(servers, database, "third").sql("SELECT name FROM told") == [("between",)]
    restore(database, "--at", "latest", what=first, to="fourth")
    own(database.top)
    assert boot(servers, database, "fourth").sql("SELECT count(*) FROM told") == [(2,)]


# ---- conninfo is changed while it runs ----

def follower(servers, database):
    """A standby that streams; a copy as pg_basebackup makes it, without slots."""
    other = servers.clone(database.server)
    shutil.rmtree(os.path.join(other.data, "pg_replslot"))
    os.mkdir(os.path.join(other.data, "pg_replslot"), 0o700)
    other.own().start()
    eventually(lambda: other.sql("SELECT status FROM pg_stat_wal_receiver") == [("streaming",)], what="the standby")
    return other


def test_it_follows_conninfo_without_being_started_again(servers, database):
    database.stream()
    eventually(lambda: database.objects("regional", "beat/pg.pay"), what="the first sample")
    database.backup()
    other = follower(servers, database)
    database.wait_shipped(database.server.lsn())
    other.promote()
    # Whoever asks with the new conninfo is told where the receiver is not; the old primary still runs.
    with open(database.config, encoding="utf-8") as f:
        old = f.read()
    new = old.replace(database.server.conninfo, other.conninfo)
    assert new != old
    with open(database.path("etc", "new.ini"), "w", encoding="utf-8") as f:
        f.write(new)
    got = database.run("check", "--config", database.path("etc", "new.ini"), status=None)
    assert "ships its WAL, but does not receive from the server at" in got.out + got.err and got.status == 78, got
    got = database.run("wal", "status", "--config", database.path("etc", "new.ini"), status=DEGRADED)
    assert "has no slot on the server that conninfo leads to" in got.out and "all is well" not in got.out, got
    assert "does not receive" not in database.run("check", status=None).out
    # A file that is being written changes nothing, and is told once.
    for text in ("[ffdr\n", old[:old.index("[postgres pay]")]):
        with open(database.config, "w", encoding="utf-8") as f:
            f.write(text)
        eventually(lambda: "cannot be read again" in database.stream_log(), what="word of the file")
        time.sleep(6)
    assert database.stream_log().count("cannot be read again") == 1, database.stream_log()
    with open(database.config, "w", encoding="utf-8") as f:
        f.write(new)
    other.sql("CREATE TABLE t AS SELECT 1 n")
    eventually(lambda: database.frontier("regional", 2) >= other.lsn(), what=database.stream_log)
    assert database.stream_log().count("conninfo") == 1, database.stream_log()
    eventually(lambda: "does not receive" not in database.run("check", status=None).out, what="the slot")


def test_it_leaves_a_server_that_is_gone_for_the_one_conninfo_names_now(servers, database):
    """The pause after many failures does not have to end first."""
    database.stream()
    eventually(lambda: database.objects("regional", "beat/pg.pay"), what="the first sample")
    other = follower(servers, database)
    database.server.kill()
    other.promote()
    time.sleep(16)
    database.write_config(conninfo=other.conninfo)
    began = time.monotonic()
    eventually(lambda: other.sql("SELECT 1 FROM pg_stat_replication"), what=database.stream_log)
    assert time.monotonic() - began < 9, database.stream_log()


# ---- what it says, and how soon it comes back ----

def test_a_tier_that_goes_away_and_comes_back_is_a_line_each(database):
    database.stream()
    eventually(lambda: database.objects("regional", "beat/pg.pay"), what="the first sample")
    said = len(database.stream_log())
    os.rename(database.tier("regional"), database.path("away"))
    for _ in range(3):
        fill(database.server, 1)
        time.sleep(2)
    eventually(lambda: "does not get to 'regional'" in database.stream_log(), what="word of the tier")
    os.rename(database.path("away"), database.tier("regional"))
    database.wait_shipped(database.server.lsn())
    eventually(lambda: "gets to 'regional' again" in database.stream_log(), what="word of the tier")
    lines = [x for x in database.stream_log()[said:].splitlines() if "regional" in x and not x.startswith("  ")]
    assert len(lines) == 2, database.stream_log()


@pytest.mark.parametrize("late", [False, True])
def test_a_tier_that_was_lost_and_made_anew_gets_what_it_lacks(database, late):
    """late: it was away when the receiver began."""
    if late:
        os.rename(database.tier("local"), database.path("away"))
    child = database.stream()
    if late:
        eventually(lambda: "does not get to 'local'" in database.stream_log(), what="word of the tier")
        os.rename(database.path("away"), database.tier("local"))
    fill(database.server)
    database.wait_shipped(database.server.lsn(), "local")
    os.rename(database.tier("local"), database.path("lost"))
    fill(database.server, 1)
    eventually(lambda: database.stream_log().count("does not get to 'local'") == 1 + late, what="word of the tier")
    database.run("init")
    own(database.top)
    eventually(lambda: "is where 'local' was" in database.stream_log(), what=database.stream_log)
    fill(database.server, 1)
    end = database.server.lsn()
    for tier in ("local", "regional"):
        database.wait_shipped(end, tier)
    assert database.assert_no_hole("regional") >= end
    assert child.poll() is None
    database.end(child)


def test_a_tier_that_is_away_from_the_start_is_a_line_each(database):
    """With what earlier epochs left in the spool or without."""
    os.rename(database.tier("regional"), database.path("away"))
    database.stream()
    fill(database.server, 1)
    eventually(lambda: "does not get to 'regional'" in database.stream_log(), what="word of the tier")
    time.sleep(4)
    os.rename(database.path("away"), database.tier("regional"))
    database.wait_shipped(database.server.lsn())
    eventually(lambda: "gets to 'regional' again" in database.stream_log(), what="word of the tier")
    text = database.stream_log()
    assert text.count("does not get to 'regional'") == 1 and text.count("again") == 1, text


def test_a_switch_of_timelines_is_told_once(servers, database):
    child = database.stream()
    eventually(lambda: database.objects("regional", "beat/pg.pay"), what="the first sample")
    database.end(child)
    other = follower(servers, database)
    fill(database.server, 1)
    end = database.server.lsn()
    eventually(lambda: other.value("SELECT pg_last_wal_replay_lsn() >= '%X/%X'::pg_lsn" % (end >> 32, end & 0xffffffff)), what="the standby")
    database.server.stop()
    other.promote()
    other.sql("CREATE TABLE t AS SELECT 1 n")
    said = len(database.stream_log())
    database.write_config(conninfo=other.conninfo)
    database.stream()
    eventually(lambda: database.frontier("regional", 2) >= other.lsn(), what=database.stream_log)
    text = database.stream_log()[said:]
    assert text.count(", timeline 1, from") == 1 and text.count(", timeline 2, from") == 1, text


def test_while_the_server_answers_no_try_is_far_away(database):
    """A commit may wait for us. The slot is in use by another for longer than the pauses would have grown to."""
    child = database.stream()
    slot = eventually(lambda: database.server.sql("SELECT slot_name FROM pg_replication_slots WHERE active"), what="the receiver")[0][0]
    database.end(child)
    folder = database.server.top
    os.makedirs(os.path.join(folder, "other"))
    own(os.path.join(folder, "other"))
    other = subprocess.Popen(["/usr/lib/postgresql/15/bin/pg_receivewal", "-d", database.server.conninfo, "-S", slot, "-D", os.path.join(folder, "other")])
    try:
        eventually(lambda: database.server.value("SELECT active FROM pg_replication_slots WHERE slot_name = %s", slot), what="the other one")
        database.stream()
        time.sleep(20)
        assert database.stream_log().count("interrupted") == 1, database.stream_log()
    finally:
        other.terminate()
        other.wait()
    began = time.monotonic()
    eventually(lambda: database.server.sql("SELECT 1 FROM pg_stat_replication WHERE application_name = 'ffdr'"), what=database.stream_log)
    assert time.monotonic() - began < 10, database.stream_log()
