"""What test_pg_restore.py shows on one version, in short on the others; segments of another size; one epoch after the other."""

import re
import time

import pytest

from conftest import flip
from postgres import VERSIONS, Ledger, eventually, lsn, servers_fixture  # noqa: F401
from restored import UNKNOWN, boot, prepare, protected, readable, refuses, restore, shipped
from test_pg_restore import now

REFERENCE = 15


def mark(server, n):
    """A row, by a transaction of its own; the place in the log behind it."""
    server.sql("INSERT INTO t VALUES (%d)" % n)
    return server.value("SELECT pg_current_wal_lsn()")


def rows(server):
    return sorted(row[0] for row in server.sql("SELECT n FROM t"))


@pytest.mark.parametrize("version", [v for v in VERSIONS if v != REFERENCE])
def test_each_kind_of_restore_on_each_version(servers, version):
    server = servers.new(version, "--wal-segsize=1").start()
    site = protected(servers, server)
    try:
        server.sql("CREATE TABLE t (n int)")
        site.backup()
        for n in (1, 2):
            at = mark(server, n)
        time.sleep(0.1)
        moment = now()
        time.sleep(0.1)
        server.sql("SELECT pg_create_restore_point('here')")
        mark(server, 3)
        server.sql("SELECT pg_switch_wal()")
        mark(server, 4)
        shipped(site)
        for to, target in (("lsn", at), ("time", moment), ("name", "name:here")):
            restore(site, "--at", target, to=to)
            other = boot(servers, site, to)
            assert rows(other) == [1, 2], to
            other.stop("immediate")
        # Over the newest state, back to a point.
        restore(site, to="newest")
        other = boot(servers, site, "newest")
        assert rows(other) == [1, 2, 3, 4]
        other.stop()
        restore(site, "--at", at, "--delta", to="newest")
        other = boot(servers, site, "newest")
        assert rows(other) == [1, 2]
        other.stop("immediate")
        restore(site, "--standby", to="standby")
        other = prepare(servers, site, "standby").start()
        eventually(lambda: rows(other) == [1, 2, 3, 4], what=lambda: "all rows\n" + other.log()[-1000:])
        assert other.value("SELECT pg_is_in_recovery()")
        other.stop("immediate")
        restore(site, to="damaged")
        start = lsn(at) & ~0xFFFFF
        for tier in ("local", "regional"):
            for piece in site.pieces(tier):
                if start <= piece[0] < start + 0x100000:
                    flip(site.tier(tier, site.piece(piece)))
        readable(site)
        refuses(servers, site, UNKNOWN, "damaged")
    finally:
        site.end_all()


def test_segments_of_64_mib(servers):
    """A segment is several pieces, and the newest one is not finished."""
    size = 64
    server = servers.new(REFERENCE, "--wal-segsize=%d" % size).start()
    site = protected(servers, server)
    try:
        site.backup()
        ledger = Ledger(server).start().wait(20)
        server.sql("SELECT pg_switch_wal()")
        server.sql("CREATE TABLE wide AS SELECT repeat(md5(i::text), 20) x FROM generate_series(1, 30000) i")
        ledger.wait(ledger.count() + 20).stop()
        site.wait_shipped(server.lsn())
        assert all(end - start <= 16 << 20 and start // (size << 20) == (end - 1) // (size << 20)
                   for start, end in site.pieces("regional"))
        site.assert_no_hole("regional")
        sum_of = server.value("SELECT md5(string_agg(x, '' ORDER BY x)) FROM wide")
        server.destroy()
        restore(site)
        other = boot(servers, site)
        assert ledger.lost(other) == []
        assert other.value("SELECT md5(string_agg(x, '' ORDER BY x)) FROM wide") == sum_of
    finally:
        site.end_all()


class Life:
    """One epoch of a source: its server, and the points in it."""

    def __init__(self, server, epoch, tli):
        self.server, self.epoch, self.tli = server, epoch, tli
        self.points = {}  # last row -> place in the log


def live(site, life, first):
    """Rows, a backup in the middle of them, all of it on both tiers."""
    for n in (first, first + 1):
        life.points[n] = mark(life.server, n)
    life.base = site.backup()
    for n in (first + 2, first + 3):
        life.points[n] = mark(life.server, n)
    end = lsn(life.server.value("SELECT pg_switch_wal()"))
    for tier in ("local", "regional"):
        eventually(lambda t=tier: site.frontier(t, life.tli, life.epoch) >= end,
                   what=lambda: "WAL of epoch %d\n%s" % (life.epoch, site.stream_log()[-1500:]))


def adopted(servers, site, old, to):
    """The old server is lost to the others, yet lives and writes; what is restored is the database now."""
    site.end_streams()
    said = restore(site, "--adopt", to=to).out
    epoch, tli = map(int, re.search(r"epoch (\d+) of pg\.pay begins with this server, on timeline (\d+)", said).groups())
    readable(site)
    server = boot(servers, site, to)
    old.server.sql("INSERT INTO t VALUES (666)")
    site.server = server
    site.write_config(conninfo=server.conninfo)
    site.stream()
    return Life(server, epoch, tli)


def test_one_epoch_after_the_other_and_every_point_of_each(servers):
    site = protected(servers, servers.new(REFERENCE, "--wal-segsize=1").start())
    try:
        site.server.sql("CREATE TABLE t (n int)")
        shipped(site)
        lives = [Life(site.server, None, 1)]
        site.backup()
        live(site, lives[0], 1)
        for k in (1, 2):
            lives.append(adopted(servers, site, lives[-1], "life%d" % k))
            assert lives[-1].tli == k + 1
            live(site, lives[-1], 1 + 4 * k)
        readable(site)
        last = 12
        # The newest; points behind and before a base of the last epoch, and of each one before.
        targets = [(last, "latest", lives[2].base)]
        targets += [(n, life.points[n], None) for life in lives for n in (min(life.points), max(life.points) - 1)]
        for n, at, base in targets:
            to = "at%d" % n
            said = restore(site, "--at", at, to=to)
            assert base is None or base in said.out
            other = boot(servers, site, to)
            assert rows(other) == list(range(1, n + 1)), (n, at, said)
            other.stop("immediate")
        # The base of an epoch that was left is one of the database, up to the fork.
        restore(site, what=lives[1].base, to="base")
        assert rows(boot(servers, site, "base")) == list(range(1, 7))
    finally:
        site.end_all()
