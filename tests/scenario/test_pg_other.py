"""The archive holds another history than the server: a copy of it was archived, or its disk was set back. Both are kept apart."""

import os
import re
import shutil
import subprocess

import pytest

from databases import Database, eventually
from postgres import Server, lsn, servers_fixture  # noqa: F401
from restored import boot, protected, readable, restore, shipped

ANOTHER = "the archive has another history than the server"


def fill(server, times=1):
    server.sql("CREATE TABLE IF NOT EXISTS junk (x text)")
    server.sql("INSERT INTO junk SELECT repeat(md5(random()::text), 30) FROM generate_series(1, %d) i" % (times * 1000))


def tell(server, who, count=500):
    server.sql("CREATE TABLE IF NOT EXISTS told (who text)")
    server.sql("INSERT INTO told SELECT '%s' FROM generate_series(1, %d)" % (who, count))


def said(server):
    return dict(server.sql("SELECT who, count(*)::int FROM told GROUP BY 1"))


def disk_copy(servers, server, name):
    """The disk as it is now (the server does not run), under another server: what a volume snapshot gives."""
    other = Server(servers.path(name), server.version)
    os.makedirs(other.top)
    subprocess.run(["cp", "-a", server.data, other.data], check=True)
    with open(os.path.join(other.top, "version"), "w", encoding="utf-8") as f:
        f.write(str(server.version))
    other.set(unix_socket_directories=other.top)
    servers.all.append(other)
    return other.own()


def push(site, *paths):
    """By a copy, while nobody can be asked who the server is."""
    there = site.server.conninfo
    site.write_config(conninfo="host=127.0.0.1 port=1 user=postgres dbname=postgres connect_timeout=1")
    for path in paths:
        site.run("wal", "push", "--source", "pay", path, status=None)
    site.write_config(conninfo=there)


def put_pieces(site, server, after):
    """Its finished segments from that one on."""
    folder = os.path.join(server.data, "pg_wal")
    current = server.value("SELECT pg_walfile_name(pg_current_wal_lsn())")
    names = sorted(n for n in os.listdir(folder) if re.fullmatch("[0-9A-F]{24}", n) and after <= n < current)
    push(site, *(os.path.join(folder, name) for name in names))
    assert [n for n in names if site.pieces("regional") and int(n[8:16], 16) * 2 ** 32 + int(n[16:], 16) * 2 ** 20 in dict(site.pieces("regional"))]


@pytest.fixture(name="site")
def site_fixture(servers):
    server = servers.new(15, "--wal-segsize=1").start()
    site = protected(servers, server)
    site.receiver = site.services[-1]
    tell(server, "before", 100)
    site.backup()
    shipped(site)
    yield site
    site.end_all()


def copied(servers, site):
    """A copy of the database of the same timeline, which goes on by itself and archives."""
    server = site.server
    server.stop()
    copy = disk_copy(servers, server, "copy")
    server.start()
    copy.start()
    first = server.value("SELECT pg_walfile_name(pg_current_wal_lsn())")
    tell(copy, "copy")
    fill(copy, 4)
    copy.sql("SELECT pg_switch_wal()")
    return copy, first


def comes_back_as(servers, site, want, epoch):
    end = lsn(site.server.value("SELECT pg_switch_wal()"))
    eventually(lambda: site.frontier("regional", 1, epoch) >= end, what=lambda: "the new epoch\n" + site.stream_log())
    readable(site)
    restore(site)
    assert said(boot(servers, site)) == want


def test_what_a_copy_archived_while_nobody_received_is_not_taken_for_the_servers(servers, site):
    site.end(site.receiver)
    copy, first = copied(servers, site)
    put_pieces(site, copy, first)
    before = site.pieces("regional", 1, 1)
    copy.stop()
    tell(site.server, "server")
    fill(site.server, 8)
    child = site.stream()
    eventually(lambda: ANOTHER in site.stream_log(), what=lambda: "the alarm\n" + site.stream_log())
    comes_back_as(servers, site, {"before": 100, "server": 500}, 2)
    assert site.pieces("regional", 1, 1) == before, "what the copy archived is kept as it is"
    assert "`ffdr backup pg.pay`" in site.stream_log()
    site.end(child, status=3)


def test_a_copy_that_archives_beside_a_receiver_is_found_out(servers, site):
    copy, first = copied(servers, site)
    put_pieces(site, copy, first)
    copy.stop()
    tell(site.server, "server")
    fill(site.server, 3)
    eventually(lambda: ANOTHER in site.stream_log(), what=lambda: "the alarm\n" + site.stream_log())
    comes_back_as(servers, site, {"before": 100, "server": 500}, 2)
    assert site.stream_log().count(ANOTHER) == 1


@pytest.mark.parametrize("spool", ("kept", "lost"))
def test_a_server_that_was_set_back_and_has_gone_past_the_archive_is_found_out(servers, site, spool):
    server = site.server
    server.stop()
    shutil.copytree(server.data, server.data + ".old")
    server.start()
    tell(server, "first life")
    fill(server, 2)
    end = shipped(site)
    site.end(site.receiver)
    server.stop()
    shutil.rmtree(server.data)
    os.rename(server.data + ".old", server.data)
    server.own().start()
    tell(server, "second life")
    fill(server, 6)
    assert server.lsn() > end
    if spool == "lost":
        shutil.rmtree(site.path("state", "spool"))
    site.stream()
    eventually(lambda: ANOTHER in site.stream_log(), what=lambda: "the alarm\n" + site.stream_log())
    comes_back_as(servers, site, {"before": 100, "second life": 500}, 2)


def test_a_history_that_a_copy_archived_does_not_stop_a_failover(servers):
    server = servers.new(15, "--wal-segsize=1").start()
    copy = servers.clone(server, name="copy").start()
    standby = servers.clone(server, name="standby").start()
    site = Database(servers.path("site"), server)
    site.run("init")
    readable(site)
    child = site.stream()
    try:
        tell(server, "before", 100)
        site.backup()
        eventually(lambda: copy.value("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", server.value("SELECT pg_current_wal_lsn()")))
        copy.promote()
        tell(copy, "copy")
        push(site, os.path.join(copy.data, "pg_wal", "00000002.history"))
        copy.stop()
        assert site.objects("regional", site.archive("00000002.history"))
        tell(server, "primary")
        shipped(site)
        eventually(lambda: standby.value("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", server.value("SELECT pg_current_wal_lsn()")))
        site.end(child)
        server.kill()
        standby.promote()
        tell(standby, "after")
        site.server = standby
        site.write_config(conninfo=standby.conninfo)
        site.stream()
        eventually(lambda: ANOTHER in site.stream_log(), what=lambda: "the alarm\n" + site.stream_log())
        end = lsn(standby.value("SELECT pg_switch_wal()"))
        eventually(lambda: site.frontier("regional", 2, 2) >= end, what=lambda: "the new epoch\n" + site.stream_log())
        readable(site)
        restore(site)
        assert said(boot(servers, site)) == {"before": 100, "primary": 500, "after": 500}
    finally:
        site.end_all()
