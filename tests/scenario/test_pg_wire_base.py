"""BASE_BACKUP into a snapshot: what is restored is what the server vouches for, or it is not kept."""

import os
import re
import shutil
import subprocess
import time

import pytest

from pgprobe import Probe, probe
from postgres import DEBIAN_BIN, VERSIONS, eventually, own, servers_fixture  # noqa: F401

PAGE = 8192


def base(server, target, *words):
    """The warnings and the report of a run that succeeds."""
    lines = probe("base", server.conninfo, target, "fast", *words)
    assert lines[-1]["result"] == 1, lines
    return [line["warning"] for line in lines[:-1]], lines[-1]


def verify(server, target):
    """By PostgreSQL's own judge, as far as Debian's reads that version's manifest."""
    if server.version <= 16:
        subprocess.run([DEBIAN_BIN + "/pg_verifybackup", "-n", target], check=True, capture_output=True)


def target_of(servers):
    return servers.path("restored")


def filled(servers, version=15, **settings):
    server = servers.new(version, **settings).start()
    server.sql("CREATE TABLE t AS SELECT g AS n, repeat('x', 500) AS pad FROM generate_series(1, 20000) g")
    return server


def start_restored(servers, server, target):
    """With the WAL that the source still has: no archive is needed then."""
    wal = os.path.join(server.data, "pg_wal")
    for name in os.listdir(wal):
        if re.fullmatch("[0-9A-F]{24}|.*history", name):
            shutil.copy(os.path.join(wal, name), os.path.join(target, "pg_wal"))
    again = servers.adopt(target, server.version)
    own(target)
    return again.set(unix_socket_directories=again.top).start()


@pytest.mark.parametrize("version", VERSIONS)
def test_what_comes_back_is_the_database(servers, version):
    server = filled(servers, version)
    place = servers.path("space")
    os.mkdir(place)
    own(place)
    server.sql("CREATE TABLESPACE far LOCATION '%s'" % place)
    server.sql("CREATE TABLE there TABLESPACE far AS SELECT generate_series(1, 5000) AS n")
    server.sql("CREATE UNLOGGED TABLE u AS SELECT generate_series(1, 5000) AS n")
    unlogged = server.value("SELECT pg_relation_filepath('u')")
    oid = server.value("SELECT oid FROM pg_tablespace WHERE spcname = 'far'")
    target = target_of(servers)
    warnings, got = base(server, target, "label=it's \"mine\"")
    assert not warnings and not got["damaged"]
    assert got["tablespaces"] == [[oid, place]]
    assert got["map"] == "%d %s\n" % (oid, place)
    assert "LABEL: it's \"mine\"\n" in got["label"] and "BACKUP FROM: primary" in got["label"]
    assert got["start_tli"] == got["stop_tli"] == 1 and got["start"] < got["stop"]
    with open(os.path.join(target, "backup_label"), encoding="utf-8") as f:
        assert f.read() == got["label"]
    assert os.stat(os.path.join(target, "backup_manifest")).st_size == got["manifest"]
    assert os.stat(target).st_mode & 0o7777 == os.stat(server.data).st_mode & 0o7777
    there = os.path.join(target, "pg_tblspc", str(oid))
    assert os.path.isdir(there) and not os.path.islink(there)
    assert not os.path.exists(os.path.join(target, unlogged)) and os.path.exists(os.path.join(target, unlogged + "_init"))
    verify(server, target)
    # A tablespace moves: its directory, and the map.
    moved = servers.path("moved")
    shutil.move(there, moved)
    own(moved)
    with open(os.path.join(target, "tablespace_map"), "w", encoding="utf-8") as f:
        f.write("%d %s\n" % (oid, moved))
    os.symlink(moved, there)
    again = start_restored(servers, server, target)
    assert again.value("SELECT sum(n) FROM t") == 20000 * 20001 // 2
    assert again.value("SELECT sum(n) FROM there") == 5000 * 5001 // 2
    assert again.value("SELECT count(*) FROM u") == 0


def test_a_backup_of_a_standby_says_so(servers):
    primary = filled(servers)
    standby = servers.clone(primary).start()
    _, got = base(standby, target_of(servers))
    assert "BACKUP FROM: standby" in got["label"]
    verify(standby, target_of(servers))


def corrupt(server, table, page=2):
    """A page on disk, while nobody holds it in memory."""
    path = os.path.join(server.data, server.value("SELECT pg_relation_filepath('%s')" % table))
    server.stop()
    with open(path, "r+b") as f:
        f.seek(page * PAGE + 4000)
        f.write(b"damage")
    server.start()
    return os.path.relpath(path, server.data)


def test_a_page_with_a_wrong_checksum_fails_at_the_end_and_is_named(servers):
    server = filled(servers)
    name = corrupt(server, "t")
    lines = probe("base", server.conninfo, "-", "fast")
    report = lines[-2]
    assert report["result"] == -1 and report["kind"] == "corrupt" and report["stop"] != "0/0"
    assert "checksum verification failure" in report["text"] and name + ", block 2" in report["text"]
    # The connection is good for the next command.
    assert lines[-1]["tli"] == 1
    warnings, got = base(server, target_of(servers), "allow")
    assert got["damaged"] and got["bad"] == [[name, 2]]
    assert any("checksum verification failed" in text for text in warnings)
    verify(server, target_of(servers))
    warnings, got = base(server, "-", "noverify")
    assert not warnings and not got["damaged"]


def begin_slowly(server, *words):
    p = Probe("base", server.conninfo, "-", "fast", "rate=4000000", *words)
    eventually(lambda: server.value("SELECT count(*) FROM pg_stat_progress_basebackup"
                                    " WHERE phase = 'streaming database files'") == 1, what="the backup")
    return p


def test_what_vanishes_meanwhile_is_no_error(servers):
    server = filled(servers)
    place = servers.path("space")
    os.mkdir(place)
    own(place)
    server.sql("CREATE TABLESPACE far LOCATION '%s'" % place)
    p = begin_slowly(server)
    server.sql("DROP TABLE t")
    server.sql("DROP TABLESPACE far")
    server.sql("CREATE TABLE later AS SELECT generate_series(1, 10000) AS n")
    server.sql("CHECKPOINT")
    last = p.end()[-1]
    assert last["result"] == 1 and not last["damaged"], last


@pytest.mark.parametrize("version", [14, 15])
def test_the_wish_to_stop_ends_it_on_the_server_too(servers, version):
    server = filled(servers, version)
    p = begin_slowly(server)
    p.stop()
    lines = p.end()
    assert lines[0]["kind"] == "cancelled" and p.status == 1
    assert lines[1]["tli"] == 1  # in step again
    assert server.value("SELECT count(*) FROM pg_stat_progress_basebackup") == 0


def test_the_wish_to_stop_is_heard_during_a_spread_checkpoint(servers):
    server = filled(servers, checkpoint_timeout="1h", checkpoint_completion_target="0.9", max_wal_size="10GB")
    p = Probe("base", server.conninfo, "-")
    eventually(lambda: server.value("SELECT count(*) FROM pg_stat_progress_basebackup"
                                    " WHERE phase = 'waiting for checkpoint to finish'") == 1, what="the wait")
    begun = time.monotonic()
    p.stop()
    assert p.end()[0]["kind"] == "cancelled"
    assert time.monotonic() - begun < 8
    eventually(lambda: server.value("SELECT count(*) FROM pg_stat_progress_basebackup") == 0, 5)


def test_a_server_that_dies_on_the_way_leaves_an_error(servers):
    server = filled(servers)
    p = begin_slowly(server)
    server.kill()
    report = p.end()[0]
    assert report["result"] == -1 and report["kind"] == "remote"


def test_a_run_that_takes_too_long_is_late_and_not_failed(servers):
    server = filled(servers)
    server.sql("CREATE TABLE big AS SELECT g AS n, repeat('x', 500) AS pad FROM generate_series(1, 40000) g")
    lines = probe("base", server.conninfo, "-", "fast", "late")
    assert lines[-1]["result"] == 0


def test_the_tools_of_a_second_run_find_everything_unchanged(servers):
    server = filled(servers)
    lines = probe("base", server.conninfo, target_of(servers), "fast", "twice")
    assert [line["result"] for line in lines] == [1, 1]
    verify(server, target_of(servers))


def test_a_rate_out_of_range_is_refused(servers):
    server = servers.new(15).start()
    got = probe("base", server.conninfo, "-", "rate=1000")[0]
    assert got["result"] == -1 and got["kind"] == "usage"


@pytest.mark.parametrize("version", [16, 18])
def test_a_tablespace_in_place_comes_back_in_place(servers, version):
    server = filled(servers, version, allow_in_place_tablespaces="on")
    server.sql("CREATE TABLESPACE near LOCATION ''")
    server.sql("CREATE TABLE there TABLESPACE near AS SELECT generate_series(1, 5000) AS n")
    oid = server.value("SELECT oid FROM pg_tablespace WHERE spcname = 'near'")
    target = target_of(servers)
    _, got = base(server, target)
    assert got["tablespaces"] == [[oid, "pg_tblspc/%d" % oid]]
    verify(server, target)
    name = server.value("SELECT pg_relation_filepath('there')")
    assert os.path.getsize(os.path.join(target, name)) == os.path.getsize(os.path.join(server.data, name))
