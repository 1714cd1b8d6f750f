"""A copy of the server was promoted and archives, too: which of the two a restore takes, and what it says of the other."""

import glob
import os
import re
import shutil

import pytest

from conftest import DEGRADED, REFUSED
from databases import eventually
from postgres import Ledger, lsn, servers_fixture  # noqa: F401
from restored import boot, ids, prepare, protected, readable, restore, shipped

NOBODY = "host=127.0.0.1 port=1 user=postgres dbname=postgres"


def pushed(site, server):
    """All that this server would archive, as if nobody could be asked whether it may."""
    server.value("SELECT pg_switch_wal()")
    server.sql("CHECKPOINT")
    site.write_config(conninfo=NOBODY)
    names = sorted(n for n in os.listdir(os.path.join(server.data, "pg_wal")) if re.fullmatch(r"00000002([0-9A-F]{16}|\.history)", n))
    current = server.value("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
    for name in [n for n in names if "history" in n] + [n for n in names if "history" not in n and n < current]:
        site.run("wal", "push", "--source", "pay", os.path.join(server.data, "pg_wal", name), status=None)
    site.write_config(conninfo=site.server.conninfo)
    readable(site)
    assert site.pieces("regional", 2), "the copy archived nothing"


def insert(server, number):
    server.sql("INSERT INTO ffdr_ledger VALUES (%d, 0, '')" % number)


@pytest.fixture(name="site")
def site_fixture(servers):
    """A base backup of a server, and a copy of it that follows."""
    server = servers.new(15, "--wal-segsize=1").start()
    site = protected(servers, server)
    Ledger(server).start().wait(5).stop()
    site.backup()
    site.run("copy", status=None)
    site.copy = servers.clone(server)
    site.copy.start()
    shipped(site)
    eventually(lambda: site.copy.value("SELECT pg_last_wal_replay_lsn()::text") and
               lsn(site.copy.value("SELECT pg_last_wal_replay_lsn()::text")) >= site.frontier("regional"), what="the copy")
    yield site
    site.end_all()


def both_go_on(site):
    site.copy.promote()
    insert(site.copy, 666)
    insert(site.server, 777)
    shipped(site)
    pushed(site, site.copy)


def test_a_promoted_copy_does_not_take_the_archive_over(servers, site):
    both_go_on(site)
    got = restore(site, status=DEGRADED)
    assert "on timeline 1" in got.out and "timeline 2, begun at" in got.err and "--timeline 2" in got.err, got
    there = ids(boot(servers, site))
    assert 777 in there and 666 not in there
    # Who decides for it gets it.
    got = restore(site, "--timeline", "2", to="other")
    assert "not in it timeline 1 from" in got.out, got
    there = ids(boot(servers, site, "other"))
    assert 666 in there and 777 not in there
    got = restore(site, "--timeline", "5", to="third", status=None)
    assert got.status == 2 and "--timeline 1, 2" in got.err, got


def test_when_nobody_knows_who_is_active_it_is_refused_with_both(servers, site):
    both_go_on(site)
    site.end_all()
    shutil.rmtree(site.path("state"))
    got = restore(site, status=REFUSED)
    assert "which timeline of pg.pay is the database is not known" in got.err, got
    for said in (r"--timeline 1: timeline 1 up to 0/\w+, 20\d\d-", r"--timeline 2: timeline 2, begun at 0/\w+ of timeline 1, up to 0/\w+, 20\d\d-"):
        assert re.search(said, got.err), got.err
    restore(site, "--timeline", "1")
    assert 777 in ids(boot(servers, site))


def test_a_failover_that_nobody_told_of_is_refused_with_both(servers, site):
    site.end_all()
    site.server.stop()
    site.copy.promote()
    insert(site.copy, 666)
    pushed(site, site.copy)
    got = restore(site, status=REFUSED)
    assert "timeline 1 is the active one of pg.pay, yet another goes on where it ends" in got.err, got
    assert "--timeline 1: " in got.err and "--timeline 2: " in got.err, got
    restore(site, "--timeline", "2")
    assert 666 in ids(boot(servers, site))
    # A base backup of it says so for good.
    site.server = site.copy
    site.write_config(conninfo=site.copy.conninfo)
    site.backup()
    readable(site)
    assert "on timeline 2" in restore(site, to="again").out


def test_histories_that_nobody_needs_stop_nothing(servers, site):
    insert(site.server, 777)
    shipped(site)
    for tier in site.tiers:
        where = os.path.dirname(os.path.dirname(glob.glob(site.tier(tier, "wal", "pg.pay", "*", "*", "00000001", "*"))[0]))
        with open(os.path.join(where, "00000009.history"), "wb") as f:
            f.write(b"no object at all")
    readable(site)
    got = restore(site, status=DEGRADED)
    assert "timeline 9 without any WAL of pg.pay is left aside" in got.err, got
    assert 777 in ids(boot(servers, site))


def test_a_restored_standby_stays_with_the_active_timeline(servers, site):
    """It would follow any newer history; it is given those up to the active one."""
    restore(site, "--standby")
    both_go_on(site)
    other = prepare(servers, site)
    other.start()
    eventually(lambda: 777 in ids(other), what="the row of the primary\n" + other.log()[-1500:])
    assert other.value("SELECT pg_is_in_recovery()") and 666 not in ids(other)
    # A failover that is known is followed.
    old = ("--mode", "standby", "--timeline", "1", "--segment-size", "1m")
    assert site.get("00000002.history", site.path("got"), *old, status=None).status == 1
    path = site.path("state", "coord", "active", "pg.pay")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("timeline 1\n", "timeline 2\n"))
    assert site.get("00000002.history", site.path("got"), *old, status=None).status == 0
