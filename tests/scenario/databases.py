"""An installation of ffdr that protects one PostgreSQL server, pg.pay, on real servers."""

import contextlib
import glob
import os
import re
import signal
import subprocess

import pytest

from conftest import SECONDS, Site
from postgres import eventually, own

TIERS = ("local", "regional")


class Database(Site):
    """The site with [postgres pay] in place of a volume. Everything is below the servers' directory, whose user comes there."""

    def __init__(self, top, server, tiers=TIERS, wal="local, regional", **keys):
        self.server, self.wal, self.keys = server, wal, {}
        self.change(**keys)
        self.services = []
        os.makedirs(top)
        os.chmod(top, 0o755)
        super().__init__(top, tiers=tiers)

    def change(self, **keys):
        """Keys of [postgres pay]; _ stands for -."""
        self.keys.update({k.replace("_", "-"): v for k, v in keys.items()})

    def write_config(self, more="", tier=None, **keys):
        self.change(**keys)
        lines = {"conninfo": self.server.conninfo, "tiers": ", ".join(self.tiers), "wal": self.wal, "ship-every": "1s",
                 **self.keys}
        text = "[ffdr]\nsite = here\nstate = %s\nscratch = %s\nrun-as = postgres\n" % (self.path("state"), self.path("scratch"))
        text += "[keys]\nkek = file:%s\nsigning = file:%s\nescrow =\n[repository]\npack-size = 16m\n" % (
            self.path("etc", "kek"), self.path("etc", "signing.pem"))
        for name in self.tiers:
            text += "[tier %s]\nurl = %s\n%s\n" % (name, self.url(name), (tier or {}).get(name, "keep = 7d"))
        text += "[postgres pay]\n" + "".join("%s = %s\n" % (k, v) for k, v in lines.items()) + more
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(text)

    def url(self, tier):
        """And the lines that belong to it."""
        return "file://%s\nshared = %s" % (self.tier(tier), "no" if tier == "local" else "yes")

    def backup(self, *more, **kw):
        result = self.run("backup", "pg.pay", *more, **kw)
        return re.search(r"backed up (pg\.pay/\S+) to", result.out).group(1)

    # ---- the receiver ----

    def stream(self, **kw):
        """`ffdr wal stream pay`, running; its words go to a file."""
        log = open(self.path("stream.log"), "ab")
        child = subprocess.Popen([self.program(), "wal", "stream", "pay"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 env=self.environment(kw.pop("env", None)), cwd=self.top, **kw)
        log.close()
        self.services.append(child)
        return child

    def stream_log(self):
        with open(self.path("stream.log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def program(self):
        import conftest
        return conftest.program()

    def end(self, child, how=signal.SIGTERM, status=0):
        child.send_signal(how)
        got = child.wait(SECONDS)
        if how == signal.SIGTERM and status is not None:
            assert got == status, self.stream_log()
        return got

    def end_streams(self):
        """Asked to end, whatever they say."""
        while self.services:
            self.end(self.services.pop(), status=None)

    def end_all(self):
        for child in self.services:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            child.wait()

    # ---- what is on the tiers ----

    def epochs(self, tier):
        """(system, epoch) of every epoch that there is something of."""
        return {tuple(path.split("/")[-2:]) for path in glob.glob(self.tier(tier, "wal", "pg.pay", "*", "*"))}

    def place(self):
        """The first epoch there is: 1, or more when receiver and backup came first at once and each took one."""
        found = {place for tier in self.tiers for place in self.epochs(tier)}
        return min(found, key=lambda place: place[1], default=("0", "00000001"))

    def archive(self, *parts):
        """Name of something in that epoch."""
        return "/".join(("wal/pg.pay", *self.place(), *parts))

    def piece(self, piece, tli=1):
        """Name of one of pieces()."""
        return self.archive("%08x" % tli, "%016x-%016x" % piece)

    def names(self, tier, tli, epoch):
        """Of the pieces of that timeline, without what stands before; of the first epoch, where none is given."""
        return [os.path.basename(path) for path in glob.glob(self.tier(
            tier, "wal", "pg.pay", "*", "%08x" % epoch if epoch else self.place()[1], "%08x" % tli, "*-*"))]

    def pieces(self, tier, tli=1, epoch=None):
        """(start, end) of every piece of that timeline, in order."""
        return sorted(tuple(int(x, 16) for x in name.split("-")) for name in self.names(tier, tli, epoch))

    def frontier(self, tier, tli=1, epoch=None):
        """The end of the newest stretch without a hole."""
        pieces = self.pieces(tier, tli, epoch)
        at = None
        for start, end in pieces:
            at = end if at is None or start > at else max(at, end)
        return at or 0

    def assert_no_hole(self, tier, tli=1, epoch=None):
        pieces = self.pieces(tier, tli, epoch)
        assert pieces, "no WAL on %s" % tier
        at = pieces[0][0]
        for start, end in pieces:
            assert start <= at, "hole from %X to %X on %s" % (at, start, tier)
            at = max(at, end)
        return at

    def wait_shipped(self, lsn, tier="regional", seconds=SECONDS, tli=1):
        def state():
            return "WAL up to %X on %s, which has it up to %X,\n%s\n" % (
                lsn, tier, self.frontier(tier, tli), self.stream_log()[-1500:])

        eventually(lambda: self.frontier(tier, tli) >= lsn, seconds, what=state)

    def get(self, name, to, *more, status=0):
        """wal get, as a server calls it."""
        return self.run("wal", "get", "--source", "pay", "--no-prefetch", *more, name, to, status=status)


@pytest.fixture(name="database")
def database_fixture(servers):
    """Initialised, with a running server of version 15 whose WAL segments are small."""
    server = servers.new(15, "--wal-segsize=1").start()
    site = Database(servers.path("site"), server)
    site.run("init")
    yield site
    site.end_all()


def make_database(servers, version=15, *options, **keys):
    server = servers.new(version, *options).start()
    site = Database(servers.path("site"), server, **keys)
    site.run("init")
    return site


__all__ = ["Database", "make_database", "database_fixture", "eventually", "own"]
