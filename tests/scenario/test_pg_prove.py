"""A backup of a database is proved by starting it: what is sound passes, what is not is told, and nothing stays behind."""

import os
import re
import signal
import time

import pytest

from conftest import CONFIGURATION, DEGRADED, DENIED, REFUSED, VERIFY, flip
from postgres import VERSIONS, Ledger, eventually, own, servers_fixture  # noqa: F401
from restored import protected, readable, shipped

ASSERTION = "SELECT count(*) > 0 AND sum(amount) = 0 FROM ffdr_ledger"


@pytest.fixture(name="site")
def site_fixture(servers):
    server = servers.new(15, "--wal-segsize=1").start()
    site = protected(servers, server, check_sql=ASSERTION)
    site.ledger = Ledger(server).start().wait(20)
    site.backup()
    site.ledger.wait(60).stop()
    shipped(site)
    site.end(site.services[0])
    yield site
    site.end_all()


def prove(site, *more, status=0):
    return site.run("verify", "--restore", "pg.pay", *more, status=status)


def left(site):
    """Processes and files of a proof."""
    scratch = site.path("scratch")
    files = os.listdir(scratch) if os.path.exists(scratch) else []
    running = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                if scratch.encode() in f.read():
                    running.append(pid)
        except OSError:
            pass
    return files, running


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_is_proved(servers, version):
    server = servers.new(version, "--wal-segsize=1").start()
    site = protected(servers, server, check_sql=ASSERTION)
    with open(site.config, "r+", encoding="utf-8") as f:
        text = f.read().replace("run-as = postgres\n", "run-as = postgres\npostgres.%d = %s\n" % (version, server.bin))
        f.seek(0)
        f.write(text)
    try:
        ledger = Ledger(server).start().wait(20)
        site.backup()
        ledger.wait(60).stop()
        shipped(site)
        got = prove(site)
        assert "and recovered: PostgreSQL %d" % version in got.out and "check-sql true" in got.out, got
        assert left(site) == ([], [])
    finally:
        site.end_all()


def test_it_ends_where_the_log_ends_and_leaves_evidence(site):
    got = prove(site, "--json").json()["restores"][0]
    assert got["why"] is None and got["end_lsn"] == got["frontier"]
    for phase in ("restore_ms", "recovery_ms", "sql_ms", "amcheck_ms", "pages_ms"):
        assert got[phase] >= 0, phase
    assert len(site.objects("local", "rec/verified/pg.pay/")) == 1
    assert left(site) == ([], [])


def test_its_time_is_what_an_rto_is_judged_by(site):
    got = prove(site, "--json").json()["restores"][0]
    local, = [x for x in site.json("status", "pay", status=None)["lines"] if x["tier"] == "local"]
    assert abs(local["measured_seconds"] * 1000 - got["restore_ms"] - got["recovery_ms"]) < 2, (local, got)
    assert local["measured_bytes"] == local["newest_bytes"] == got["bytes"] and local["verified_level"] == 3
    assert local["restore_seconds"] >= local["measured_seconds"]


def test_what_another_tier_helped_with_is_no_proof_of_the_first(site):
    site.run("copy", "--to", "regional", status=None)
    flip(max((site.tier("local", n) for n in site.objects("local", "pack/")), key=os.path.getsize))
    said = prove(site, status=DEGRADED)
    assert re.search(r"from local and, for \d+ objects?, other tiers and recovered", said.out), said
    assert "recorded  of no tier" in said.out, said
    for tier in ("local", "regional"):
        assert site.objects(tier, "rec/verified/") == [] == site.objects(tier, "rec/broken/")


def test_the_phases_are_told(site):
    said = prove(site).out
    assert "took      restore " in said and "amcheck" in said and "ended     at " in said, said
    assert "removed again" in said


def test_an_assertion_that_does_not_hold(site):
    site.server.sql("INSERT INTO ffdr_ledger VALUES (123456, 1, '')")
    site.stream()
    shipped(site)
    got = prove(site, status=VERIFY)
    assert "check-sql is false, expected true: %s" % ASSERTION in got.err, got
    assert site.objects("local", "rec/verified/") == []
    said = site.run("show", "pg.pay")
    assert "found so by a restore" in said.out and "verify --restore" in said.out, said
    assert left(site) == ([], [])


@pytest.mark.parametrize("sql,says", (("SELECT NULL::bool", "NULL"), ("SELECT true WHERE false", "no row"),
                                      ("SELECT true, n <> 2 FROM generate_series(1, 2) n", "in row 2, column 2")))
def test_an_assertion_that_is_not_true_is_a_failure(site, sql, says):
    site.write_config(check_sql=sql)
    got = prove(site, status=VERIFY)
    assert "check-sql" in got.err and says in got.err, got


def test_an_assertion_that_cannot_be_asked_is_no_verdict(site):
    site.write_config(check_sql="SELECT n FROM nowhere")
    got = prove(site, status=78)
    assert "cannot be asked" in got.err and "nowhere" in got.err, got
    assert site.objects("local", "rec/verified/") == [] and site.objects("local", "rec/broken/") == []


def damage(site, table):
    """One wrong byte in the middle of a page, on disk, where the server does not see it."""
    path = os.path.join(site.server.data, site.server.value("SELECT pg_relation_filepath('%s')" % table))
    site.server.stop()
    with open(path, "r+b") as f:
        f.seek(8192 + 4000)
        byte = f.read(1)
        f.seek(8192 + 4000)
        f.write(bytes([byte[0] ^ 0x40]))
    site.server.start()


def test_a_damaged_page_is_found(site):
    site.server.sql("CREATE TABLE t AS SELECT g, repeat('x', 200) FROM generate_series(1, 500) g; CHECKPOINT")
    site.stream()
    damage(site, "t")
    site.run("backup", "pg.pay", "--allow-bad-pages", status=None)
    shipped(site)
    got = prove(site, status=VERIFY)
    assert "page 1 of 'base/" in got.err and "wrong checksum" in got.err, got
    assert left(site) == ([], [])


def test_an_index_that_lies_is_found(site):
    """Sound pages, whose contents do not fit: only amcheck can see it."""
    site.server.sql("CREATE TABLE t AS SELECT g FROM generate_series(1, 2000) g")
    site.server.sql("CREATE INDEX t_g ON t (g)")
    # As after an upgrade of the operating system that sorts otherwise: the index lies in another order than it says.
    site.server.sql("SET allow_system_table_mods = on; UPDATE pg_index SET indoption = '1' WHERE indexrelid = 't_g'::regclass")
    site.stream()
    shipped(site)
    got = prove(site, status=VERIFY)
    assert "pg_amcheck found" in got.err and "t_g" in got.err, got


def test_wal_that_cannot_be_had_is_told_with_the_reason(site):
    """Damaged everywhere, and listed all the same."""
    site.stream()
    for n in range(4):
        site.server.sql("INSERT INTO ffdr_ledger VALUES (%s, 0, '')", 700000 + n)
        shipped(site)
    middle = sorted({start & ~0xFFFFF for start, _ in site.pieces("local")})[-3]
    for tier in ("local", "regional"):
        for name in site.objects(tier, "wal/"):
            if "-" in name and int(os.path.basename(name).split("-")[0], 16) & ~0xFFFFF == middle:
                flip(site.tier(tier, name))
    readable(site)
    got = prove(site, status=VERIFY)
    assert "did not come up" in got.err and "FATAL" in got.err and "ffdr " in got.err, got
    assert left(site) == ([], [])


def test_without_the_programs_it_says_so_before_it_restores(site):
    with open(site.config, "r+", encoding="utf-8") as f:
        text = f.read().replace("run-as = postgres\n", "run-as = postgres\npostgres.15 = /nonexistent\n")
        f.seek(0)
        f.write(text)
    got = prove(site, status=CONFIGURATION)
    assert "PostgreSQL 15 is not on this host" in got.err and "postgres.15 = DIR" in got.err, got


def test_where_pg_amcheck_was_looked_for_is_told(site):
    """Other versions' programs may lie elsewhere on the host."""
    programs = site.path("programs")
    os.makedirs(programs)
    for name in os.listdir(site.server.bin):
        if name != "pg_amcheck":
            os.symlink(os.path.join(site.server.bin, name), os.path.join(programs, name))
    with open(site.config, "r+", encoding="utf-8") as f:
        text = f.read().replace("run-as = postgres\n", "run-as = postgres\npostgres.15 = %s\n" % programs)
        f.seek(0)
        f.write(text)
    got = prove(site)
    assert "amcheck: there is no '%s/pg_amcheck'" % programs in got.text, got


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_scratch_directory_nobody_may_enter(site):
    os.makedirs(site.path("closed"), mode=0o700)
    os.chown(site.path("closed"), 0, 0)
    with open(site.config, "r+", encoding="utf-8") as f:
        text = f.read().replace("scratch = %s" % site.path("scratch"), "scratch = %s" % site.path("closed", "scratch"))
        f.seek(0)
        f.write(text)
    got = prove(site, status=DENIED)
    assert "may not enter '%s'" % site.path("closed") in got.err, got


def no_finding(site, got):
    """Nothing is said of the backup, now or later."""
    assert "nothing is recorded" in got.err and re.search(r"\n  (fix|or) ", got.err), got
    assert all(site.objects(tier, "rec/broken/") == [] for tier in ("local", "regional"))
    assert "BROKEN" not in site.run("show", "pg.pay").out.upper()
    assert left(site) == ([], [])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_key_that_its_user_may_not_read_is_no_fault_of_the_backup(site):
    """Nor of the restore, which root can do: it is said before a byte is restored."""
    readable(site)
    os.chown(site.path("etc", "kek"), 0, 0)
    os.chmod(site.path("etc", "kek"), 0o600)
    got = prove(site, status=DENIED)
    assert "as postgres, who the server of a proof runs as, no WAL can be got" in got.err and "kek" in got.err, got
    no_finding(site, got)
    readable(site)
    prove(site)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_wal_that_stops_coming_on_its_way_is_no_fault_of_the_backup(site):
    """The first segment can be read, one behind it cannot."""
    site.stream()
    for n in range(4):
        site.server.sql("INSERT INTO ffdr_ledger VALUES (%s, 0, '')", 700000 + n)
        shipped(site)
    readable(site)
    middle = sorted({start & ~0xFFFFF for start, _ in site.pieces("local")})[-3]
    for name in site.objects("local", "wal/"):
        if "-" in name and int(os.path.basename(name).split("-")[0], 16) & ~0xFFFFF == middle:
            os.chown(site.tier("local", name), 0, 0)
            os.chmod(site.tier("local", name), 0o600)
    got = prove(site, "--tier", "local", status=None)
    assert got.status not in (0, VERIFY) and "exit code 254" in got.err, got
    no_finding(site, got)


@pytest.mark.parametrize("how", (signal.SIGINT, signal.SIGKILL))
def test_nothing_is_left_when_it_is_interrupted(site, how):
    site.write_config(check_sql="SELECT pg_sleep(60) IS NOT NULL")
    child = site.start("verify", "--restore", "pg.pay")
    eventually(lambda: left(site)[1], what="the server of the proof")
    time.sleep(1)
    child.send_signal(how)
    child.communicate(timeout=60)
    eventually(lambda: not left(site)[1], what="the end of the server")
    if how == signal.SIGINT:
        assert left(site)[0] == []
    # The next one finds its way, whatever is there.
    site.write_config(check_sql=ASSERTION)
    prove(site)
    assert left(site) == ([], [])


def test_the_copy_speaks_to_nobody(servers, site):
    """It neither archives nor follows subscriptions nor listens."""
    site.server.set(archive_mode="on", archive_command="case $PWD in *scratch*) touch %s;; esac" % site.path("archived"))
    site.server.restart()
    site.stream()
    site.backup()
    shipped(site)
    before = set(site.objects("local", "wal/"))
    site.end(site.services[-1])
    prove(site)
    assert not os.path.exists(site.path("archived"))
    assert {n for n in set(site.objects("local", "wal/")) - before if "00000002" in n} == set()


def test_a_server_that_was_given_more_after_the_backup_is_proved_with_as_much(site):
    """A server that answers while it replays waits for ever where the log tells of more connections than it has itself."""
    site.server.sql("ALTER SYSTEM SET max_connections = 150")
    site.server.sql("ALTER SYSTEM SET max_worker_processes = 20")
    site.server.restart()
    site.stream()
    site.server.sql("INSERT INTO ffdr_ledger VALUES (800000, 0, '')")
    shipped(site)
    got = prove(site)
    assert "max_connections=150 was needed" in got.out and "max_worker_processes=20 was needed" in got.out, got
    assert left(site) == ([], [])


@pytest.mark.parametrize("free", (False, True))
def test_a_proof_makes_no_tablespace_elsewhere_and_says_no_verdict(servers, site, free):
    """The log makes one at a path: the living server's, or one where nothing is. It writes to neither."""
    where = servers.path("late")
    os.makedirs(where)
    own(where)
    site.server.sql("CREATE TABLESPACE late LOCATION '%s'" % where)
    site.server.sql("CREATE TABLE t TABLESPACE late AS SELECT 1 n")
    site.stream()
    shipped(site)
    site.end(site.services[-1])
    readable(site)
    site.server.sql("INSERT INTO t VALUES (2)")
    site.server.sql("CHECKPOINT")
    if free:
        site.server.stop()
        os.rename(where, where + "-away")
        os.makedirs(where)
        own(where)
    before = {p: os.stat(p).st_mtime_ns for p, _, _ in os.walk(where)}
    got = prove(site, status=REFUSED)
    assert "can be proved only up to" in got.err and "in '%s'" % where in got.err and "ffdr backup pg.pay" in got.err, got
    assert {p: os.stat(p).st_mtime_ns for p, _, _ in os.walk(where)} == before
    assert site.objects("local", "rec/verified/") == [] and site.objects("local", "rec/broken/") == []
    assert left(site) == ([], [])
    if free:
        os.rmdir(where)
        os.rename(where + "-away", where)
        site.server.start()
    # The way out that it names.
    site.stream()
    site.backup()
    shipped(site)
    prove(site)
    assert site.server.value("SELECT sum(n) FROM t") == 3


def test_libraries_that_are_not_here_are_left_out(site):
    site.server.sql("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements, not_here'")
    site.stream()
    site.backup()
    shipped(site)
    got = prove(site)
    assert "library not_here is not on this host" in got.out, got
