"""The archive holds another history than the server: a copy of it was archived, or its disk was set back. Both are kept apart."""

import os
import re
import shutil
import subprocess

import pytest

from databases import Database, eventually
from postgres import Server, eventually, lsn, servers_fixture  # noqa: F401
from proxy import Proxy
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


def exposed(site, tier="regional"):
    return next(line for line in site.json("exposure", "pg.pay", status=None)["lines"] if line["tier"] == tier)


def attention(site):
    return "\n".join(site.json("wal", "status", "pay", status=None)["sources"][0]["attention"])


def test_a_server_that_was_set_back_is_not_called_safe(servers, site):
    server = site.server
    server.stop()
    shutil.copytree(server.data, server.data + ".old")
    server.start()
    tell(server, "first life")
    fill(server, 4)
    shipped(site)
    site.end(site.receiver)
    server.stop()
    shutil.rmtree(server.data)
    os.rename(server.data + ".old", server.data)
    server.own().start()
    assert exposed(site)["seconds"] is None
    assert "it was set back, or is a copy" in attention(site)
    assert site.stream().wait(30) == 10, "and it is refused"


def test_what_is_behind_a_fork_is_not_there_under_the_same_lsn(servers):
    """The standby that takes over lagged: the archive is ahead of the fork, on the timeline before."""
    server = servers.new(15, "--wal-segsize=1").start()
    standby = servers.clone(server, name="standby").start()
    site = protected(servers, server)
    try:
        site.backup()
        shipped(site)
        eventually(lambda: standby.value("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", server.value("SELECT pg_current_wal_lsn()")))
        standby.stop()
        tell(server, "lost")
        fill(server, 6)
        end = shipped(site)
        site.end(site.services[-1])
        server.kill()
        standby.start()
        standby.promote()
        tell(standby, "after")
        site.server = standby
        site.write_config(conninfo=standby.conninfo)
        assert standby.lsn() < end
        line = exposed(site, "local")
        assert line["seconds"] is None or line["seconds"] > 0, line
        assert line["bytes"] and line["bytes"] > 20000, line
    finally:
        site.end_all()


def test_with_every_tier_away_there_is_a_table_of_what_is_not_known(servers, site):
    site.end(site.receiver)
    for tier in site.tiers:
        os.rename(site.tier(tier), site.tier(tier) + ".away")
    got = site.run("exposure", status=3)
    assert got.out.count("unknown") >= 2, got
    got = site.run("wal", "status", status=3)
    assert re.search(r"regional +\?|regional +unknown", got.out), got


def small(server):
    server.set(max_wal_size="2MB", min_wal_size="2MB", wal_keep_size=0)


def test_a_slot_that_lost_its_wal_while_nobody_received_becomes_one_gap_and_receiving_goes_on(servers, site):
    server = site.server
    site.end(site.receiver)
    small(server)
    server.set(max_slot_wal_keep_size="2MB").restart()
    shutil.rmtree(site.path("state", "spool"))
    for _ in range(12):
        fill(server)
        server.sql("SELECT pg_switch_wal()")
    server.sql("CHECKPOINT")
    eventually(lambda: server.value("SELECT count(*) FROM pg_replication_slots WHERE wal_status = 'lost'") == 2, what="the loss")
    server.set(max_slot_wal_keep_size="-1")
    server.sql("SELECT pg_reload_conf()")
    site.stream()
    tell(server, "behind")
    shipped(site)
    assert len(site.objects("regional", "rec/gap/pg.pay/")) == 1
    assert server.value("SELECT count(*) FROM pg_replication_slots WHERE wal_status = 'lost'") == 0
    assert "is lost" in attention(site)
    # A base backup behind it on every tier is the end of it.
    site.backup()
    site.run("copy")
    eventually(lambda: attention(site) == "", what=lambda: attention(site))


def test_a_server_without_what_comes_next_is_a_gap_and_no_endless_loop(servers, site):
    server = site.server
    site.end(site.receiver)
    server.stop()
    subprocess.run(["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups",
                    os.path.join("/usr/lib/postgresql/15/bin/pg_resetwal"), "-f", "-l", "000000010000000000000040", server.data],
                   check=True, stdout=subprocess.DEVNULL)
    server.start()
    site.stream()
    tell(server, "behind")
    shipped(site)
    assert len(site.objects("regional", "rec/gap/pg.pay/")) == 1
    assert site.stream_log().count("receiving WAL from") == 2, site.stream_log()


def test_a_tier_that_is_away_when_the_receiver_starts_is_served_when_it_answers(servers, site):
    site.end(site.receiver)
    os.rename(site.tier("regional"), site.tier("regional") + ".away")
    site.stream()
    tell(site.server, "meanwhile")
    end = lsn(site.server.value("SELECT pg_switch_wal()"))
    site.wait_shipped(end, "local")
    os.rename(site.tier("regional") + ".away", site.tier("regional"))
    site.wait_shipped(end, "regional", 60)
    site.assert_no_hole("regional")
    eventually(lambda: "WAL gets to 'regional' again" in site.stream_log(), what="word of the tier")


def test_an_empty_mount_point_is_not_taken_for_the_tier(servers, site):
    site.end(site.receiver)
    os.rename(site.tier("regional"), site.tier("regional") + ".away")
    os.mkdir(site.tier("regional"))
    site.stream()
    tell(site.server, "meanwhile")
    end = lsn(site.server.value("SELECT pg_switch_wal()"))
    site.wait_shipped(end, "local")
    eventually(lambda: "is it mounted?" in site.stream_log(), what=lambda: site.stream_log())
    assert os.listdir(site.tier("regional")) == []
    os.rmdir(site.tier("regional"))
    os.rename(site.tier("regional") + ".away", site.tier("regional"))
    site.wait_shipped(end, "regional", 60)


def test_a_receiver_that_ships_and_receives_nothing_needs_attention(servers):
    server = servers.new(15, "--wal-segsize=1").start()
    line = Proxy(server.port)
    site = Database(servers.path("site"), server, conninfo="host=127.0.0.1 port=%d user=postgres dbname=postgres" % line.port)
    site.run("init")
    try:
        site.stream()
        site.backup()
        shipped(site)
        line.refuse.set()
        line.reset()
        site.write_config(conninfo=server.conninfo)
        eventually(lambda: "is idle, although" in attention(site), what=lambda: attention(site))
    finally:
        site.end_all()
        line.close()


def wal_findings(site, *more, status=4):
    report = site.json("verify", *more, status=status)
    return report, {(f["tier"], f["object"], f["repaired"]) for f in report["findings"] if f["object"].startswith("wal/")}


def turn(path):
    """One bit, in the middle."""
    os.chmod(path, 0o600)
    with open(path, "r+b") as f:
        f.seek(os.path.getsize(path) // 2)
        byte = f.read(1)[0]
        f.seek(-1, 1)
        f.write(bytes([byte ^ 1]))


@pytest.fixture(name="quiet")
def quiet_fixture(servers, site):
    """A base backup on both tiers, WAL behind it, and no receiver any more."""
    site.run("copy")
    fill(site.server, 4)
    shipped(site)
    shipped(site, "local")
    site.end(site.receiver)
    assert site.json("verify")["wal_pieces"] > 6
    return site


def test_verify_finds_a_damaged_piece_of_wal_and_repair_brings_it_from_another_tier(servers, quiet):
    name = quiet.archive("00000001", "%016x-%016x" % quiet.pieces("local")[-2])
    turn(quiet.tier("local", name))
    assert wal_findings(quiet)[1] == {("local", name, False)}
    assert wal_findings(quiet, "--repair", status=None)[1] == {("local", name, True)}
    assert wal_findings(quiet, status=0)[1] == set()
    assert quiet.objects("local", "bad/"), "the bad one is kept aside"
    readable(quiet)
    restore(quiet, "--tier", "local")
    assert said(boot(servers, quiet)) == {"before": 100}


def test_verify_names_a_hole_in_the_wal_between_base_backups_and_repair_fills_it(servers, quiet):
    gone = [p for p in quiet.pieces("regional") if p[0] >= 0xb00000][:2]
    for piece in gone:
        os.unlink(quiet.tier("regional", quiet.archive("00000001", "%016x-%016x" % piece)))
    report, found = wal_findings(quiet)
    assert report["wal_holes"] == 1
    assert found == {("regional", quiet.archive("00000001", "%016x-%016x" % (gone[0][0], gone[-1][1])), False)}
    assert [f[2] for f in wal_findings(quiet, "--repair", status=None)[1]] == [True]
    assert wal_findings(quiet, status=0)[1] == set()
    quiet.assert_no_hole("regional")


def test_of_a_hole_that_no_tier_can_fill_no_repair_is_promised(quiet):
    for tier in ("local", "regional"):
        for piece in [p for p in quiet.pieces(tier) if p[0] >= 0xb00000][:2]:
            os.unlink(quiet.tier(tier, quiet.archive("00000001", "%016x-%016x" % piece)))
    result = quiet.run("verify", status=4)
    assert "nor on another tier" in result.err and "fix       `ffdr wal stream pay`" in result.err, result
    assert "--repair" not in result.text, result


def test_a_host_that_knows_nothing_yet_verifies_as_much_wal(quiet):
    """As on the day after: the tiers are all there is, no coordination place says which way is the active one."""
    pieces = quiet.json("verify")["wal_pieces"]
    name = quiet.archive("00000001", "%016x-%016x" % quiet.pieces("local")[-2])
    turn(quiet.tier("local", name))
    os.rename(quiet.path("state"), quiet.path("state-of-before"))
    report, found = wal_findings(quiet)
    assert report["wal_pieces"] == pieces and found == {("local", name, False)}


def test_verify_under_a_limit_goes_round(quiet):
    """Each run looks at one piece at least, and goes on where the one before it stopped."""
    bad = quiet.archive("00000001", "%016x-%016x" % quiet.pieces("local")[-1])
    turn(quiet.tier("local", bad))
    for _ in range(len(quiet.pieces("local")) + 1):
        report, found = wal_findings(quiet, "--tier", "local", "--limit", "1ms", status=None)
        if found:
            break
        assert report["wal_left"] > 0
    assert found == {("local", bad, False)}
