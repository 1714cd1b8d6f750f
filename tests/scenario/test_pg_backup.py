"""Base backups, both ways to read: complete, small when little changed, and never quietly of something else."""

import hashlib
import os
import re
import shutil
import subprocess
import threading
import time

import pytest

from databases import Database, database_fixture, make_database  # noqa: F401 (a fixture)
from postgres import DEBIAN_BIN, VERSIONS, Ledger, eventually, own, servers_fixture  # noqa: F401

METHODS = ("stream", "local")


def use(site, method):
    site.write_config(method=method, data=site.server.data)


def judged(target, version):
    """By pg_verifybackup. Debian's does not read the manifest of 17 and later: that is told to it as one of before."""
    if version > 16:
        path = os.path.join(target, "backup_manifest")
        with open(path, "rb") as f:
            head, last = f.read().rsplit(b'"Manifest-Checksum"', 1)
        assert hashlib.sha256(head).hexdigest().encode() in last
        head, count = re.subn(rb'"PostgreSQL-Backup-Manifest-Version": 2,\s*"System-Identifier": [0-9]+,',
                              b'"PostgreSQL-Backup-Manifest-Version": 1,', head)
        assert count == 1, head[:200]
        with open(path, "wb") as f:
            f.write(head + b'"Manifest-Checksum": "%s"}\n' % hashlib.sha256(head).hexdigest().encode())
    got = subprocess.run([os.path.join(DEBIAN_BIN, "pg_verifybackup"), "-n", target], capture_output=True, text=True, check=False)
    assert got.returncode == 0, got.stderr


def verified(site, snapshot="pg.pay", to="restored"):
    """The bare tree, which PostgreSQL's own tool must find to be what its manifest says."""
    target = site.path(to)
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run([site.program(), "export", snapshot], env=site.environment(), check=True,
                   stdout=open(site.path("export.tar"), "wb"))
    os.makedirs(target)
    subprocess.run(["tar", "-x", "-p", "-C", target, "-f", site.path("export.tar")], check=True)
    judged(target, site.server.version)
    return target


def stored(result):
    """Bytes the summary says are new."""
    size, unit = re.search(r", ([0-9.]+) (B|kB|MB|GB) new", result.out).groups()
    return float(size) * {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]


def boots(servers, site, target, sql="SELECT 1", until="0/0"):
    """Starts what was restored with the WAL of the archive; the answer. A hole behind `until` keeps no server from ending there."""
    other = servers.adopt(target, site.server.version)
    with open(os.path.join(target, "postgresql.auto.conf"), "a", encoding="utf-8") as f:
        f.write("restore_command = '%s wal get --config %s --source pay --no-prefetch --until %s --segment-size %s %%f %%p'\n" % (
            site.program(), site.config, until, site.server.value("SHOW wal_segment_size").replace("B", "").lower()))
        f.write("recovery_target = 'immediate'\nrecovery_target_action = 'promote'\narchive_mode = off\n")
        f.write("unix_socket_directories = '%s'\n" % other.top)
    open(os.path.join(target, "recovery.signal"), "w", encoding="utf-8").close()
    own(site.top)
    other.own().start()
    eventually(other.recovered, what="the end of recovery\n" + other.log()[-1500:])
    return other.value(sql)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_gives_a_backup_that_starts(servers, version, method):
    site = make_database(servers, version)
    use(site, method)
    Ledger(site.server).start().wait(50).stop()
    site.backup()
    rows = site.server.value("SELECT count(*) FROM ffdr_ledger")
    assert boots(servers, site, verified(site), "SELECT count(*) FROM ffdr_ledger") == rows


@pytest.mark.parametrize("method", METHODS)
def test_only_changed_pages_are_stored_again(database, method):
    use(database, method)
    server = database.server
    server.sql("CREATE TABLE big AS SELECT i, md5(i::text) || md5((i + 1)::text) AS t FROM generate_series(1, 200000) i")
    # Hint bits would change every page at its first reading.
    server.sql("VACUUM (FREEZE) big")
    server.sql("CHECKPOINT")
    first = database.run("backup", "pg.pay")
    server.sql("UPDATE big SET t = upper(t) WHERE i % 20000 = 0")
    server.sql("CHECKPOINT")
    second = database.run("backup", "pg.pay")
    assert stored(first) > 8e6
    assert stored(second) < 600e3
    verified(database)


@pytest.mark.parametrize("method", METHODS)
def test_both_ways_store_the_same(database, method):
    """Whatever was stored by one way is found again by the other."""
    server = database.server
    server.sql("CREATE TABLE big AS SELECT i, md5(i::text) AS t FROM generate_series(1, 100000) i")
    server.sql("VACUUM (FREEZE) big")
    server.sql("CHECKPOINT")
    use(database, method)
    database.run("backup", "pg.pay")
    use(database, METHODS[1 - METHODS.index(method)])
    assert stored(database.run("backup", "pg.pay")) < 400e3
    verified(database)


@pytest.mark.parametrize("method", METHODS)
def test_tablespaces_are_in_it(servers, database, method):
    use(database, method)
    space = servers.path("space")
    os.makedirs(space)
    own(space)
    database.server.sql("CREATE TABLESPACE fast LOCATION '%s'" % space)
    database.server.sql("CREATE TABLE t TABLESPACE fast AS SELECT i FROM generate_series(1, 5000) i")
    oid = database.server.value("SELECT oid FROM pg_tablespace WHERE spcname = 'fast'")
    database.backup()
    target = verified(database)
    found = [n for _, _, names in os.walk(os.path.join(target, "pg_tblspc", str(oid))) for n in names]
    assert found
    with open(os.path.join(target, "tablespace_map"), encoding="utf-8") as f:
        assert f.read() == "%d %s\n" % (oid, space)


@pytest.mark.parametrize("method", METHODS)
def test_unlogged_and_temporary_tables_are_left_out(database, method):
    use(database, method)
    server = database.server
    server.sql("CREATE UNLOGGED TABLE u AS SELECT i FROM generate_series(1, 1000) i")
    with server.connect() as c:
        c.execute("CREATE TEMP TABLE t AS SELECT i FROM generate_series(1, 1000) i")
        temp = c.execute("SELECT pg_relation_filepath('t')").fetchone()[0]
        unlogged = server.value("SELECT pg_relation_filepath('u')")
        database.backup()
    target = verified(database)
    assert not os.path.exists(os.path.join(target, temp))
    assert not os.path.exists(os.path.join(target, unlogged))
    assert os.path.exists(os.path.join(target, unlogged + "_init"))


@pytest.mark.parametrize("method", METHODS)
def test_a_damaged_page_fails_the_backup_unless_it_is_wanted(database, method):
    use(database, method)
    server = database.server
    server.sql("CREATE TABLE bad AS SELECT i, repeat('x', 100) FROM generate_series(1, 2000) i")
    path = server.value("SELECT pg_relation_filepath('bad')")
    server.sql("CHECKPOINT")
    server.stop()
    with open(os.path.join(server.data, path), "r+b") as f:
        f.seek(3 * 8192 + 5000)
        f.write(b"damage")
    server.start()
    result = database.run("backup", "pg.pay", status=4)
    assert "wrong checksum" in result.err or "checksum" in result.err
    assert not database.objects("local", "snap/")
    result = database.run("backup", "--allow-bad-pages", "pg.pay", status=3)
    assert path in result.err
    assert path in database.run("show", "--json", "pg.pay/latest").out


def test_a_table_that_is_truncated_and_a_tablespace_that_is_dropped_meanwhile(servers, database):
    use(database, "local")
    server = database.server
    space = servers.path("space")
    os.makedirs(space)
    own(space)
    server.sql("CREATE TABLESPACE fast LOCATION '%s'" % space)
    server.sql("CREATE TABLE gone TABLESPACE fast AS SELECT i FROM generate_series(1, 5000) i")
    server.sql("CREATE TABLE kept AS SELECT i, md5(i::text) AS t FROM generate_series(1, 100000) i")
    server.sql("CREATE TABLE cut AS SELECT i, md5(i::text) AS t FROM generate_series(1, 100000) i")
    server.sql("CHECKPOINT")
    database.write_config(rate="10m")  # slow enough to be met

    def meddle():
        time.sleep(0.7)
        server.sql("TRUNCATE cut")
        server.sql("DROP TABLE gone")
        server.sql("DROP TABLESPACE fast")
        server.sql("DELETE FROM kept WHERE i > 500")
        server.sql("VACUUM kept")

    thread = threading.Thread(target=meddle)
    thread.start()
    database.run("backup", "pg.pay", status=None)
    thread.join()
    snapshot = database.run("backup", "pg.pay")
    assert snapshot.status == 0
    oldest = sorted(database.objects("local", "snap/"))[0][len("snap/"):]
    # As of the end of that backup, when all of it had happened.
    counts = "SELECT (SELECT count(*) FROM cut) || ' ' || (SELECT count(*) FROM kept)"
    until = database.json("show", oldest)["database"]["stop-lsn"]
    assert boots(servers, database, verified(database, oldest), counts, until) == "0 500"

def test_a_standby_gives_a_backup_too(servers):
    primary = servers.new(15, "--wal-segsize=1").start()
    Ledger(primary).start().wait(50).stop()
    standby = servers.clone(primary).start()
    eventually(lambda: primary.sql("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"))
    site = Database(servers.path("site"), standby)
    site.run("init")
    try:
        for method in METHODS:
            use(site, method)
            primary.sql("INSERT INTO ffdr_ledger VALUES (%d, 0, '')" % (-len(method)))
            primary.sql("CHECKPOINT")
            end = primary.lsn()
            eventually(lambda: standby.value("SELECT pg_last_wal_replay_lsn() >= '%X/%X'::pg_lsn" % (end >> 32, end & 0xffffffff)))
            site.backup()
        rows = primary.value("SELECT count(*) FROM ffdr_ledger")
        assert boots(servers, site, verified(site), "SELECT count(*) FROM ffdr_ledger") <= rows
    finally:
        site.end_all()


@pytest.mark.parametrize("method", METHODS)
def test_a_rate_is_kept(database, method):
    use(database, method)
    size = database.server.value("SELECT sum(pg_database_size(oid)) FROM pg_database")
    database.write_config(rate="8m")
    begun = time.monotonic()
    database.backup()
    assert time.monotonic() - begun > 0.7 * float(size) / 8e6


@pytest.mark.parametrize("method,version", [("stream", 14), ("stream", 15), ("local", 15)])
def test_a_standby_that_is_promoted_meanwhile_gives_none(servers, method, version):
    """Its files would need WAL of two lives. The server breaks off where an archive or the manifest should come."""
    primary = servers.new(version, "--wal-segsize=1").start()
    primary.sql("CREATE TABLE big AS SELECT i, md5(random()::text) t FROM generate_series(1, 400000) i")
    primary.sql("CHECKPOINT")
    standby = servers.clone(primary).start()
    eventually(lambda: primary.sql("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"), what="the standby")
    site = Database(servers.path("site"), standby)
    site.run("init")
    use(site, method)
    site.write_config(rate="5m")
    child = site.start("backup", "pg.pay")
    time.sleep(3)
    standby.promote()
    assert child.poll() is None, "it was over before: this test would prove nothing"
    _, said = child.communicate(timeout=60)
    assert child.returncode != 0 and b"promoted during" in said, said
    assert not site.objects("local", "snap/")
    site.write_config(rate="1g")
    site.backup()


@pytest.mark.parametrize("method", METHODS)
def test_a_standby_whose_log_lacks_whole_pages_gives_none(servers, method):
    primary = servers.new(15, "--wal-segsize=1", full_page_writes="off").start()
    standby = servers.clone(primary).start()
    primary.sql("CREATE TABLE t AS SELECT 1 n")
    primary.sql("CHECKPOINT")
    end = primary.value("SELECT pg_current_wal_flush_lsn()")
    eventually(lambda: standby.value("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", end), what="the replay")
    site = Database(servers.path("site"), standby)
    site.run("init")
    use(site, method)
    got = site.run("backup", "pg.pay", status=None)
    assert got.status != 0 and "full_page_writes" in got.err, got
    assert not site.objects("local", "snap/")


@pytest.mark.parametrize("method", METHODS)
def test_a_group_that_may_read_may_read_what_is_restored(servers, method):
    """PostgreSQL starts with 0700 and 0750 and with nothing else."""
    site = make_database(servers, 15, "--wal-segsize=1", "--allow-group-access")
    use(site, method)
    site.backup()
    own(site.top)
    site.run("restore", "pg.pay", "--to", site.path("back"))
    for path, mode in ((".", 0o750), ("base", 0o750), ("PG_VERSION", 0o640), ("global/pg_control", 0o640), ("backup_label", 0o640)):
        assert os.stat(site.path("back", path)).st_mode & 0o7777 == mode, path
    other = servers.adopt(site.path("back")).start()
    eventually(other.recovered, what="the end of recovery")
    assert other.value("SHOW data_directory_mode") == "0750"


@pytest.mark.parametrize("method", METHODS)
def test_a_tablespace_in_place_is_restored_in_place(servers, method):
    site = make_database(servers, 16, "--wal-segsize=1")
    use(site, method)
    server = site.server.set(allow_in_place_tablespaces="on").restart()
    server.sql("CREATE TABLESPACE near LOCATION ''")
    server.sql("CREATE TABLE there TABLESPACE near AS SELECT generate_series(1, 5000) AS n")
    oid = server.value("SELECT oid FROM pg_tablespace WHERE spcname = 'near'")
    site.backup()
    own(site.top)
    site.run("restore", "pg.pay", "--to", site.path("back"))
    there = site.path("back", "pg_tblspc", str(oid))
    assert os.path.isdir(there) and not os.path.islink(there)
    other = servers.adopt(site.path("back"), 16).start()
    eventually(other.recovered, what="the end of recovery")
    assert other.value("SELECT sum(n) FROM there") == 5000 * 5001 // 2


def test_a_page_that_is_being_written_is_read_again(database):
    """At every moment half of the pages of a table are torn, each of them for a millisecond."""
    use(database, "local")
    server = database.server
    server.sql("CREATE TABLE torn AS SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i")
    path = os.path.join(server.data, server.value("SELECT pg_relation_filepath('torn')"))
    server.restart()  # nobody has it in memory
    with open(path, "rb") as f:
        whole = f.read()
    pages = range(0, len(whole), 8192)
    ending = threading.Event()

    def meddle():
        fd, turn = os.open(path, os.O_WRONLY), 0
        try:
            while not ending.is_set():
                turn ^= 1
                for i, at in enumerate(pages):
                    os.pwrite(fd, whole[at + 4096:at + 4104] if i % 2 == turn else b"\xff" * 8, at + 4096)
                time.sleep(0.001)
        finally:
            os.pwrite(fd, whole, 0)
            os.close(fd)

    thread = threading.Thread(target=meddle)
    thread.start()
    try:
        snapshot = database.backup()
    finally:
        ending.set()
        thread.join()
    target = verified(database, snapshot)
    with open(os.path.join(target, os.path.relpath(path, server.data)), "rb") as f:
        assert f.read() == whole


def test_the_directory_of_another_server_is_refused(servers, database):
    other = servers.new(15, "--wal-segsize=1").start()
    database.write_config(method="local", data=other.data)
    result = database.run("backup", "pg.pay", status=5)
    assert "not the data directory" in result.err
    clone = servers.clone(database.server, standby=True).start()
    database.write_config(data=clone.data)
    result = database.run("backup", "pg.pay", status=None)
    assert result.status != 0 or "not the data directory" not in result.err


def test_another_system_under_the_name_needs_a_word(servers, database):
    database.backup()
    other = servers.new(15, "--wal-segsize=1").start()
    database.write_config(conninfo=other.conninfo)
    result = database.run("backup", "pg.pay", status=10)
    assert "--new-system" in result.err
    database.run("backup", "--new-system", "pg.pay")
    database.run("backup", "pg.pay")


def test_a_server_that_dies_meanwhile_leaves_no_snapshot(database):
    use(database, "local")
    database.server.sql("CREATE TABLE big AS SELECT i, md5(i::text) AS t FROM generate_series(1, 100000) i")
    database.write_config(rate="5m")
    child = database.start("backup", "pg.pay")
    time.sleep(1.5)
    database.server.kill()
    assert child.wait(60) != 0
    assert not database.objects("local", "snap/")


def test_no_secret_is_shown(servers):
    server = servers.new(15, "--auth-host=scram-sha-256", password_encryption="scram-sha-256").start()
    server.sql("ALTER USER postgres PASSWORD 'very-secret-word'")
    site = Database(servers.path("site"), server)
    passfile = site.path("etc", "pgpass")
    with open(passfile, "w", encoding="utf-8") as f:
        f.write("*:*:*:*:very-secret-word\n")
    os.chmod(passfile, 0o600)
    site.write_config(conninfo="host=127.0.0.1 port=%d user=postgres dbname=postgres passfile=%s" % (server.port, passfile))
    site.run("init")
    result = site.run("backup", "pg.pay")
    assert "very-secret-word" not in result.text
    with open(passfile, "w", encoding="utf-8") as f:
        f.write("*:*:*:*:wrong-word\n")
    result = site.run("backup", "pg.pay", status=77)
    assert "wrong-word" not in result.text and "password" in result.err
    site.write_config(conninfo="host=127.0.0.1 port=%d user=postgres password=very-secret-word" % server.port)
    result = site.run("backup", "pg.pay", status=78)
    assert "very-secret-word" not in result.text


@pytest.mark.parametrize("method", METHODS)
def test_the_role_of_the_manual_is_enough(database, method):
    """What docs/operations.md says a role needs, and nothing more."""
    database.server.sql("CREATE ROLE ffdr LOGIN REPLICATION IN ROLE pg_monitor")
    for call in ("pg_backup_start(text, boolean)", "pg_backup_stop(boolean)"):
        database.server.sql("GRANT EXECUTE ON FUNCTION %s TO ffdr" % call)
    use(database, method)
    database.write_config(conninfo=database.server.conninfo.replace("user=postgres", "user=ffdr"))
    database.run("backup", "pg.pay")
    verified(database)
