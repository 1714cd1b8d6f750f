"""Who pushes, and what: a copy of the server, another life of it, and a segment that is still being written are not the database's WAL."""

import os
import re
import shutil
import subprocess
import time

import pytest

from conftest import DEGRADED, REFUSED, UNREACHABLE, USAGE, VERIFY
from databases import Database, database_fixture, make_database  # noqa: F401 (a fixture)
from postgres import Server, eventually, own, servers_fixture  # noqa: F401
from proxy import Proxy
from restored import restore
from test_pg_archive import MIB, get, read, wal, write
from test_pg_stream import fill

STALE = 10


def disk_copy(servers, server, name="copy"):
    """The disk as it is in one moment: what a volume snapshot or a clone of the machine gives. Same timeline."""
    other = Server(servers.path(name), server.version)
    os.makedirs(other.top)
    subprocess.run(["cp", "-a", server.data, other.data], check=True)
    with open(os.path.join(other.top, "version"), "w", encoding="utf-8") as f:
        f.write(str(server.version))
    other.set(unix_socket_directories=other.top)
    servers.all.append(other)
    return other.own()


def finished(server):
    """Segments of its newest timeline that are finished, the paths of them."""
    current = server.value("SELECT pg_walfile_name(pg_current_wal_lsn())")
    folder = os.path.join(server.data, "pg_wal")
    return [os.path.join(folder, n) for n in sorted(os.listdir(folder)) if len(n) == 24 and current[:8] == n[:8] and n < current]


def write_some(server, segments_more=1):
    fill(server, segments_more)
    server.sql("SELECT pg_switch_wal()")
    return finished(server)[-1]


def has_label(site, name):
    return all(any(o.endswith("/other/" + name) for o in site.objects(tier, "wal/")) for tier in ("local", "regional"))


def active(site):
    with open(site.path("state", "coord", "active", "pg.pay"), encoding="utf-8") as f:
        return int(re.search(r"timeline (\d+)", f.read()).group(1))


@pytest.fixture(name="primary")
def primary_fixture(servers):
    """Protected by push, behind an address that can be cut or moved."""
    server = servers.new(15, "--wal-segsize=1").start()
    line = Proxy(server.port)
    site = Database(servers.path("site"), server, wal_from="push",
                    conninfo="host=127.0.0.1 port=%d user=postgres dbname=postgres" % line.port)
    site.line = line
    site.run("init")
    site.run("backup", "pg.pay")
    yield site
    line.close()


def moved(site, server):
    site.line.target = ("127.0.0.1", server.port)
    site.line.reset()


# ---- all that an archiver calls with ----

@pytest.mark.parametrize("version", [14, 18])
def test_an_archiver_goes_on_behind_a_base_backup_and_a_promotion(servers, version):
    site = make_database(servers, version, "--wal-segsize=1", wal_from="push")
    site.run("backup", "pg.pay")
    own(site.top)
    site.server.set(archive_mode="on", archive_command="%s wal push --config %s %%p" % (site.program(), site.config)).restart()

    def archived(name, server):
        eventually(lambda: os.path.exists(os.path.join(server.data, "pg_wal", "archive_status", name + ".done")),
                   what="archiving of %s\n%s" % (name, server.log()[-2000:]))
    site.run("backup", "pg.pay")
    label = [n for n in os.listdir(os.path.join(site.server.data, "pg_wal")) if n.endswith(".backup")][-1]
    archived(label, site.server)
    archived(os.path.basename(write_some(site.server, 3)), site.server)
    assert site.server.value("SELECT failed_count FROM pg_stat_archiver") == 0
    assert has_label(site, label)
    # The next one takes over; its first words are the history and what was left unfinished.
    standby = servers.clone(site.server).start()
    eventually(lambda: standby.value("SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'"), what="the standby")
    site.server.stop()
    site.write_config(conninfo=standby.conninfo)
    own(site.top)
    standby.promote()
    archived(os.path.basename(write_some(standby)), standby)
    assert standby.value("SELECT failed_count FROM pg_stat_archiver") == 0, standby.log()[-2000:]
    assert active(site) == 2


def test_a_backup_file_may_be_the_first_that_a_new_host_pushes(primary):
    primary.server.set(archive_mode="on", archive_command="false").restart()
    moved(primary, primary.server)
    primary.run("backup", "pg.pay")
    label = [n for n in os.listdir(os.path.join(primary.server.data, "pg_wal")) if n.endswith(".backup")][0]
    shutil.rmtree(primary.path("state", "push"), ignore_errors=True)
    primary.run("wal", "push", wal(primary, label))
    primary.run("wal", "push", wal(primary, label))
    assert has_label(primary, label)


# ---- what is written ----

def test_the_segment_that_is_being_written_is_refused_and_its_partial_copy_is_taken(primary):
    last = write_some(primary.server)
    primary.run("wal", "push", last)
    primary.server.sql("CREATE TABLE unfinished (n int)")
    current = wal(primary, primary.server.value("SELECT pg_walfile_name(pg_current_wal_lsn())"))
    before = primary.objects("regional", "wal/")
    said = primary.run("wal", "push", current, status=REFUSED)
    assert "not finished" in said.err and ".partial" in said.err, said
    primary.server.stop("immediate")
    said = primary.run("wal", "push", current, status=REFUSED)
    assert "not finished" in said.err
    assert primary.objects("regional", "wal/") == before
    shutil.copy(current, current + ".partial")
    primary.run("wal", "push", current + ".partial")
    os.unlink(current + ".partial")
    # and nobody is in its way when it is finished
    primary.server.start()
    moved(primary, primary.server)
    primary.server.sql("SELECT pg_switch_wal()")
    primary.run("wal", "push", current)
    assert read(get(primary, os.path.basename(current))) == read(current)


@pytest.mark.parametrize("text", [b"", b"garbage\n", b"1\t0/900000\tno recovery target specified\n",
                                  b"3\t0/900000\tx\n", b"9\t0/900000\tx\n", b"2\t0/900000\tx\n1\t0/800000\tx\n"])
def test_a_history_that_is_none_of_the_databases_is_not_stored(primary, text):
    primary.run("wal", "push", write_some(primary.server))
    path = write(primary.path("00000009.history"), text)
    for more in ((), ("--source", "pay")):
        assert primary.run("wal", "push", *more, path, status=None).status in (STALE, VERIFY)
    assert not [n for n in primary.objects("regional", "wal/") if "history" in n]
    restore(primary, "--dry-run", status=None)


def test_an_older_history_that_says_otherwise_is_refused(servers, primary):
    standby = servers.clone(primary.server).start()
    standby.promote()
    moved(primary, standby)
    history = os.path.join(standby.data, "pg_wal", "00000002.history")
    primary.run("wal", "push", history)
    standby2 = servers.clone(standby).start()
    standby2.promote()
    moved(primary, standby2)
    primary.run("wal", "push", os.path.join(standby2.data, "pg_wal", "00000003.history"))
    assert active(primary) == 3
    primary.run("wal", "push", history)
    os.makedirs(primary.path("other"))
    other = write(primary.path("other", "00000002.history"), b"1\t0/100000\tno recovery target specified\n")
    said = primary.run("wal", "push", other, status=STALE)
    assert "another history" in said.err


# ---- who pushes ----

def test_a_promoted_copy_changes_nothing_while_the_primary_lives(servers, primary):
    primary.run("wal", "push", write_some(primary.server))
    clone = servers.clone(primary.server).start()
    clone.promote()
    segment = write_some(clone)
    before = primary.objects("regional", "wal/")
    for path in (os.path.join(clone.data, "pg_wal", "00000002.history"), segment):
        said = primary.run("wal", "push", path, status=STALE)
        assert "stale epoch" in said.err and "conninfo" in said.err, said
    assert primary.objects("regional", "wal/") == before and active(primary) == 1
    primary.run("wal", "push", write_some(primary.server))


def test_a_promoted_standby_takes_over_when_conninfo_leads_to_it(servers, primary):
    clone = servers.clone(primary.server).start()
    standby = servers.clone(primary.server).start()
    clone.promote()
    primary.run("wal", "push", os.path.join(clone.data, "pg_wal", "00000002.history"), status=STALE)
    primary.server.stop()
    standby.promote()
    moved(primary, standby)
    primary.run("wal", "push", os.path.join(standby.data, "pg_wal", "00000002.history"))
    assert active(primary) == 2
    primary.run("wal", "push", write_some(standby))
    # The other one has taken the same number.
    said = primary.run("wal", "push", write_some(clone, 2), status=STALE)
    assert "another" in said.err, said


def test_a_newer_timeline_is_taken_but_not_active_while_nobody_answers(servers, primary):
    standby = servers.clone(primary.server).start()
    primary.server.stop()
    primary.line.refuse.set()
    standby.promote()
    said = primary.run("wal", "push", os.path.join(standby.data, "pg_wal", "00000002.history"))
    assert "stays the active one" in said.err, said
    segment = write_some(standby)
    said = primary.run("wal", "push", segment)
    assert "stays the active one" not in said.err, "it was said"
    assert active(primary) == 1
    assert read(get(primary, os.path.basename(segment))) == read(segment)
    primary.line.refuse.clear()
    moved(primary, standby)
    time.sleep(1)
    primary.run("wal", "push", write_some(standby), env={"FFDR_TEST_CLOCK": "+120"})
    assert active(primary) == 2


def test_a_copy_on_the_same_timeline_is_refused_and_the_primary_goes_on(servers, primary):
    primary.run("wal", "push", write_some(primary.server))
    primary.server.stop()
    copy = disk_copy(servers, primary.server)
    primary.server.start()
    moved(primary, primary.server)
    copy.start()
    theirs = write_some(copy)
    before = primary.objects("regional", "wal/")
    said = primary.run("wal", "push", theirs, status=STALE)
    assert "port %d" % copy.port in said.err and "port %d" % primary.server.port in said.err, said
    assert primary.objects("regional", "wal/") == before
    ours = write_some(primary.server)
    primary.run("wal", "push", ours)
    assert read(get(primary, os.path.basename(ours))) == read(ours)


def test_the_server_is_asked_for_once_in_its_life(primary):
    primary.run("wal", "push", write_some(primary.server))
    primary.line.refuse.set()
    primary.line.reset()
    assert "cannot be told" not in primary.run("wal", "push", write_some(primary.server)).err
    primary.server.restart()
    path = write_some(primary.server)
    assert "cannot be told" in primary.run("wal", "push", path).err
    assert "cannot be told" not in primary.run("wal", "push", path).err
    primary.line.refuse.clear()
    moved(primary, primary.server)
    primary.run("wal", "push", path, env={"FFDR_TEST_CLOCK": "+120"})
    primary.line.refuse.set()
    primary.line.reset()
    assert "cannot be told" not in primary.run("wal", "push", path, env={"FFDR_TEST_CLOCK": "+600"}).err


def test_a_standby_that_archives_is_no_stranger(servers, primary):
    standby = servers.clone(primary.server).start()
    write_some(primary.server, 2)
    path = finished(primary.server)[-2]
    there = os.path.join(standby.data, "pg_wal", os.path.basename(path))
    eventually(lambda: standby.value("SELECT pg_last_wal_receive_lsn() > %s::pg_lsn", "0/%X" % (int(path[-8:], 16) * MIB + MIB)),
               what="streaming")
    primary.run("wal", "push", there)


def test_a_standby_archives_what_the_database_has_removed(servers, primary):
    """Its archiver was behind. What comes later in its log is the database's: so is what it has before."""
    server = primary.server
    server.set(archive_mode="off", wal_keep_size=0, min_wal_size="2MB", max_wal_size="3MB").restart()
    standby = servers.clone(server)
    standby.set(archive_mode="always", archive_command="/bin/false").own().start()
    eventually(lambda: server.sql("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"), what="streaming")
    path = write_some(server)
    server.sql("CREATE TABLE filler AS SELECT 1 AS n, repeat('x', 500) AS pad")
    for _ in range(8):
        server.sql("INSERT INTO filler SELECT i, repeat('x', 500) FROM generate_series(1, 1000) i")
        write_some(server)
        server.sql("CHECKPOINT")
    eventually(lambda: not os.path.exists(path), what="its removal")
    server.sql("INSERT INTO filler SELECT i, repeat('x', 500) FROM generate_series(1, 1000) i")
    end = server.value("SELECT pg_current_wal_flush_lsn()")
    eventually(lambda: standby.value("SELECT pg_last_wal_receive_lsn() >= %s::pg_lsn", end), what="the WAL on the standby")
    folder = os.path.join(standby.data, "pg_wal")
    # With nothing behind it that could be compared it is not taken, and nobody says that it is another's.
    alone = os.path.join(servers.path("alone"), "pg_wal")
    shutil.copytree(standby.data, os.path.dirname(alone))
    for name in os.listdir(alone):
        if len(name) == 24 and name > os.path.basename(path):
            os.unlink(os.path.join(alone, name))
    own(os.path.dirname(alone))
    said = primary.run("wal", "push", os.path.join(alone, os.path.basename(path)), status=None)
    assert said.status not in (0, STALE) and "has removed it" in said.err and "another one" not in said.err, said
    said = primary.run("wal", "push", os.path.join(folder, os.path.basename(path)))
    assert "cannot" not in said.err, said
    assert [p for p in primary.pieces("regional") if p[0] <= int(path[-8:], 16) * MIB < p[1]]


def ready(server):
    """What its archiver would push, in the order it does."""
    folder = os.path.join(server.data, "pg_wal", "archive_status")
    names = [n[:-len(".ready")] for n in os.listdir(folder) if n.endswith(".ready")]
    return [os.path.join(server.data, "pg_wal", n) for n in sorted(names, key=lambda n: (not n.endswith(".history"), n))]


@pytest.mark.parametrize("version", [14, 15, 18])
def test_a_standby_that_archives_goes_on_behind_a_promotion(servers, version):
    """The server has it archive the last segment of the old timeline as far as it was sent, and nothing comes behind what is refused."""
    site = make_database(servers, version, "--wal-segsize=1", wal_from="push")
    first = site.server
    site.run("backup", "pg.pay")
    heir, standby = servers.clone(first), servers.clone(first)
    heir.set(archive_mode="on", archive_command="/bin/false").start()
    standby.set(archive_mode="always", archive_command="/bin/false").start()
    eventually(lambda: first.value("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == 2, what="streaming")
    site.run("wal", "push", write_some(first))
    first.sql("CREATE TABLE last (n int)")
    end = first.value("SELECT pg_current_wal_flush_lsn()")
    for server in (heir, standby):
        eventually(lambda: server.value("SELECT pg_last_wal_receive_lsn() >= %s::pg_lsn", end), what="all of it")
    first.kill()
    heir.promote()
    site.write_config(conninfo=heir.conninfo)
    standby.sql("ALTER SYSTEM SET primary_conninfo = '%s'" % heir.conninfo.replace("'", "''"))
    standby.sql("SELECT pg_reload_conf()")
    eventually(lambda: heir.sql("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"), what=standby.log)
    left = os.path.join(standby.data, "pg_wal", "archive_status", os.path.basename(write_some(heir)) + ".ready")
    eventually(lambda: os.path.exists(left), what="the segment on the standby\n" + standby.log()[-1000:])
    fork = [n for n in ready(standby) if n.endswith("00000001" + os.path.basename([p for p in ready(heir) if p.endswith(".partial")][0])[8:24])]
    assert len(fork) == 1, "the server does not archive what this test is about: %r" % ready(standby)
    for path in ready(standby):
        site.run("wal", "push", path)
    assert site.assert_no_hole("regional", tli=2) and active(site) == 2
    # What a server wrote behind the fork itself is no such segment.
    assert not [p for p in site.pieces("regional") if p[0] >= int(fork[0][-8:], 16) * MIB]


def test_the_standby_of_a_clone_is_refused(servers, primary):
    """A pair was cloned as it lies on its disks; the copy's standby follows the copy, on the same timeline."""
    server = primary.server
    server.sql("CREATE TABLE whose (text text)")
    primary.run("wal", "push", write_some(server))
    copy = disk_copy(servers, server)
    follower = disk_copy(servers, server, "follower")
    for other in (copy, follower):
        os.unlink(os.path.join(other.data, "postmaster.pid"))
    open(os.path.join(follower.data, "standby.signal"), "w", encoding="utf-8").close()
    copy.start()
    follower.set(primary_conninfo=copy.conninfo).own().start()
    copy.sql("INSERT INTO whose VALUES ('the copy')")
    path = write_some(copy, 2)
    there = os.path.join(follower.data, "pg_wal", os.path.basename(path))
    eventually(lambda: follower.value("SELECT pg_last_wal_receive_lsn() > %s::pg_lsn", "0/%X" % (int(path[-8:], 16) * MIB + MIB)),
               what="streaming")
    before = primary.objects("regional", "wal/")
    # The database has not written so far; then it has, and something else.
    assert "follows another one" in primary.run("wal", "push", there, status=STALE).err
    server.sql("INSERT INTO whose VALUES ('the database')")
    while server.value("SELECT pg_walfile_name(pg_current_wal_lsn())") <= os.path.basename(path):
        write_some(server)
    assert "follows another one" in primary.run("wal", "push", there, status=STALE).err
    assert primary.objects("regional", "wal/") == before
    primary.run("wal", "push", os.path.join(server.data, "pg_wal", os.path.basename(path)))


# ---- what is in the way ----

def test_what_cannot_be_acknowledged_is_stored_nowhere(primary):
    away = primary.tier("regional") + ".away"
    os.rename(primary.tier("regional"), away)
    before = primary.objects("local", "wal/")
    primary.run("wal", "push", write_some(primary.server), status=UNREACHABLE)
    assert primary.objects("local", "wal/") == before
    os.rename(away, primary.tier("regional"))


def test_two_sources_of_one_system_are_told_apart_by_name_alone(primary):
    primary.write_config("[postgres zstaging]\nconninfo = %s\ntiers = local, regional\nwal = local, regional\nwal-from = push\n"
                         % primary.keys["conninfo"])
    primary.run("backup", "pg.zstaging")
    path = write_some(primary.server)
    said = primary.run("wal", "push", path, status=USAGE)
    assert "--source" in said.err and "2 sources" in said.err, said
    primary.run("wal", "push", "--source", "pay", path)
    assert read(get(primary, os.path.basename(path))) == read(path)
    said = primary.run("check", status=None)
    assert re.search(r"warn\s+pg\.pay: pg\.zstaging is the same system", said.out), said.out


def test_status_and_check_tell_of_an_archiver_that_fails(primary):
    primary.server.set(archive_mode="on", archive_command="false # ffdr wal push %p").restart()
    moved(primary, primary.server)
    primary.run("wal", "push", write_some(primary.server))
    eventually(lambda: primary.server.value("SELECT failed_count FROM pg_stat_archiver"), what="a failure")
    name = primary.server.value("SELECT last_failed_wal FROM pg_stat_archiver")
    said = primary.run("wal", "status", "pay", status=DEGRADED)
    assert re.search(r"attention.*cannot archive %s" % name, said.out), said
    said = primary.run("check", status=None)
    assert re.search(r"FAIL\s+pg\.pay: the server cannot archive %s" % name, said.out), said.out
    primary.server.set(archive_command="true # ffdr wal push %p").sql("SELECT pg_reload_conf()")
    eventually(lambda: primary.server.value("SELECT last_archived_time > last_failed_time FROM pg_stat_archiver"), what="a success")
    assert "cannot archive" not in primary.run("wal", "status", "pay", status=None).out
    assert "cannot archive" not in primary.run("check", status=None).out
