"""WAL that only the spool of a dead receiver has: a restore on its host counts it in, and says so."""

import glob
import os
import re
import shutil
import signal
import time

import pytest

from conftest import DEGRADED, REFUSED, flip
from postgres import Ledger, eventually, lsn, servers_fixture  # noqa: F401
from restored import UNKNOWN, boot, ids, prepare, protected, readable, refuses, restore

TIERS = ("local", "regional")


def close(site, end):
    """Once they have all up to there, no tier takes WAL."""
    for tier in TIERS:
        site.wait_shipped(end, tier)
        os.rename(site.tier(tier, "wal"), site.tier(tier, "wal-away"))
        with open(site.tier(tier, "wal"), "w", encoding="utf-8"):
            pass


def die(site):
    """Server and receiver, with the newest WAL in the spool; then the tiers are as they were."""
    eventually(lambda: site.server.value("SELECT flush_lsn >= pg_current_wal_flush_lsn() FROM pg_stat_replication"),
               what="the last byte in the spool")
    for child in site.services:
        site.end(child, signal.SIGKILL)
    site.server.destroy()
    for tier in TIERS:
        os.unlink(site.tier(tier, "wal"))
        os.rename(site.tier(tier, "wal-away"), site.tier(tier, "wal"))


@pytest.fixture(name="site")
def site_fixture(servers):
    """A base backup, and behind it four segments and a piece that got to no tier before receiver and server died."""
    site = protected(servers, servers.new(15, "--wal-segsize=1").start())
    site.base = site.backup()
    end = lsn(site.server.value("SELECT pg_switch_wal()"))
    close(site, end)
    site.shipped = end
    site.ledger = Ledger(site.server).start()
    for n in range(4):
        site.ledger.wait(10 * (n + 1))
        site.server.sql("SELECT pg_switch_wal()")
    site.ledger.wait(50).stop()
    die(site)
    return readable(site)


def copied(site, to="back"):
    return glob.glob(site.path(to, "pg_wal", ".ffdr-spool", "*"))


def test_it_is_counted_in_and_named_and_found_when_the_spool_is_gone(servers, site):
    plan = site.json("restore", "pay", "--to", site.path("back"), "--dry-run")
    assert lsn(plan["spooled_from"]) == site.shipped and lsn(plan["frontier"]) > site.shipped + 3 * (1 << 20)
    assert not os.path.exists(site.path("back"))
    said = restore(site).out
    assert re.search(r"wal +\S+ \.\. \S+, .+, from local, regional and the spool of this host\n", said), said
    assert re.search(r"spool +from \S+ on it is on no tier yet, and goes along into pg_wal", said), said
    assert copied(site)
    shutil.rmtree(site.path("state"))
    other = boot(servers, site)
    assert site.ledger.lost(other) == []
    eventually(lambda: not os.path.exists(site.path("back", "pg_wal", ".ffdr-spool")), what="the end of the copy")


def test_what_ends_before_it_does_not_take_it_along(servers, site):
    said = restore(site, what=site.base).out
    assert "the spool" not in said and not copied(site)
    assert boot(servers, site).sql("SELECT to_regclass('ffdr_ledger')") == [(None,)]


def test_one_tier_alone_is_that_tier_alone(servers, site):
    said = restore(site, "--tier", "local").text
    assert "this host has received WAL of pg.pay up to" in said and not copied(site)
    boot(servers, site)


def test_without_its_copy_no_server_comes_up_short(servers, site):
    restore(site)
    shutil.rmtree(site.path("back", "pg_wal", ".ffdr-spool"))
    refuses(servers, site, UNKNOWN)


def test_a_standby_has_it_too(servers, site):
    restore(site, "--standby")
    shutil.rmtree(site.path("state", "spool"))
    other = prepare(servers, site).start()
    # The newest segment is not finished, and kept from a standby until it ends.
    eventually(lambda: len(ids(other)) >= 40, what=lambda: "the rows\n" + other.log()[-1000:])


def test_a_new_epoch_grows_out_of_what_is_on_the_tiers(servers, site):
    said = restore(site, "--adopt").out
    assert "on no tier yet, and goes there first" in said, said
    for tier in TIERS:
        assert site.frontier(tier) > site.shipped + 3 * (1 << 20)
        site.assert_no_hole(tier)
    # Neither the copy nor the spool is needed.
    assert not copied(site)
    shutil.rmtree(site.path("state", "spool"))
    readable(site)
    assert site.ledger.lost(boot(servers, site)) == []
    restore(site, "--at", "%X/%X" % ((site.shipped + (3 << 20)) >> 32, site.shipped + (3 << 20)), to="again")
    assert ids(boot(servers, site, "again"))


def test_a_damaged_spool_is_left_aside(servers, site):
    spool = sorted(glob.glob(site.path("state", "spool", "pg.pay", "*-*-*-*")))
    flip(spool[-1], at=40)
    said = restore(site, status=DEGRADED)
    assert "the WAL that this host received is left aside: spool '" in said.err, said
    assert not copied(site)
    boot(servers, site)


def test_what_lies_before_a_hole_can_be_had_whatever_the_spool_has_behind_it(servers):
    """Behind the hole nothing was committed, and nobody has a sample: only the log before it knows how late it is."""
    site = protected(servers, servers.new(15, "--wal-segsize=1").start())
    site.backup()
    site.server.sql("CREATE TABLE t (n int)")
    moments = []
    for n in range(3):
        site.server.sql("INSERT INTO t VALUES (%d)" % n)
        time.sleep(1.2)
        moments.append(site.server.value("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.USZ')"))
        time.sleep(0.2)
    end = lsn(site.server.value("SELECT pg_switch_wal()"))
    close(site, end)
    for _ in range(4):
        site.server.sql("SELECT pg_logical_emit_message(false, 'x', repeat('x', 9000))")
        site.server.sql("SELECT pg_switch_wal()")
    site.server.sql("SELECT pg_logical_emit_message(false, 'x', 'the last')")
    die(site)
    spool = glob.glob(site.path("state", "spool", "pg.pay", "*-*-*-*"))
    kept = [path for path in spool if int(os.path.basename(path).split("-")[3].split(".")[0], 16) > end + (2 << 20)]
    assert kept
    for path in set(spool) - set(kept):
        os.unlink(path)
    for tier in TIERS:
        shutil.rmtree(site.tier(tier, "beat"), ignore_errors=True)
    readable(site)
    restore(site, "--at", moments[0])
    assert boot(servers, site).sql("SELECT n FROM t") == [(0,)]
    # Behind the last commit before the hole: what came then is not known, and no way out goes past it.
    said = restore(site, "--at", moments[2], to="other", status=REFUSED).err
    assert "lies beyond all there is" in said and "on local, regional, the spool of this host" in said, said
    assert re.search(r"fix       --at '20\d\d-.*' loses ", said), said
