"""Starting what `ffdr restore` made of a database, as a person would: nothing is added but a place for the socket."""

import contextlib
import glob
import re

from databases import Database
from postgres import Ledger, eventually, lsn, own


def readable(site):
    """The servers' user may read tiers and keys, as a member of ffdr's group may on a real host."""
    own(site.top)
    return site


def protected(servers, server, top="site", **keys):
    """The site of a server that runs, with a receiver running."""
    site = Database(servers.path(top), server, **keys)
    site.run("init")
    site.stream()
    return readable(site)


def shipped(site, tier="regional", tli=1):
    """All the server has written now is on the tier."""
    end = lsn(site.server.value("SELECT pg_switch_wal()"))
    site.wait_shipped(end, tier, tli=tli)
    return end


def restore(site, *more, what="pg.pay", to="back", status=0):
    return site.run("restore", what, "--to", site.path(to), *more, status=status)


def prepare(servers, site, to="back", name=None):
    """The restored directory as a server of its own, not started."""
    other = servers.adopt(site.path(to), site.server.version, name=name)
    other.set(unix_socket_directories=other.top)
    return other.own()


def boot(servers, site, to="back", name=None):
    """Started, and its recovery ended."""
    other = prepare(servers, site, to, name)
    other.start()
    eventually(other.recovered, what="the end of recovery\n" + other.log()[-1500:])
    return other


UNKNOWN = r"FATAL: .*could not restore file \"[0-9A-F]{24}\" from archive: child process exited with exit code 255"
SHORT = r"FATAL: .*recovery ended before configured recovery target was reached"


def refuses(servers, site, because, to="back", name=None):
    """It must end by itself for that reason (a pattern), before it promotes. It may answer while it replays."""
    other = prepare(servers, site, to, name)
    with contextlib.suppress(RuntimeError):
        other.start()

    def ended():
        assert "archive recovery complete" not in other.log(), "it promoted itself:\n" + other.log()[-1500:]
        return not other.lives()

    eventually(ended, what="the end of the server")
    said = other.log()
    assert re.search(because, said), said
    assert "archive recovery complete" not in said, said
    assert "database system is ready to accept connections" not in said, said
    assert not glob.glob(site.path(to, "pg_wal", "*.history"))
    return said


def ids(server):
    return {row[0] for row in server.sql("SELECT id FROM %s WHERE id > 0" % Ledger.TABLE)}


__all__ = ["SHORT", "UNKNOWN", "Ledger", "boot", "ids", "lsn", "prepare", "protected", "readable", "refuses", "restore", "shipped"]
