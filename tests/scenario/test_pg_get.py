"""What a recovery asks for comes from the tiers the restore chose, with nothing else at hand: no state, no coordination place."""

import os
import re
import shlex
import shutil
import subprocess

import pytest

from conftest import DEGRADED
from postgres import Ledger, servers_fixture  # noqa: F401
from restored import boot, protected, restore, shipped


@pytest.fixture(name="site")
def site_fixture(servers):
    server = servers.new(15, "--wal-segsize=1").start()
    site = protected(servers, server)
    site.backup()
    site.ledger = Ledger(server).start().wait(30).stop()
    shipped(site)
    yield site
    site.end_all()


def command(site):
    """The restore_command of the restored directory, as words."""
    with open(site.path("back", "postgresql.auto.conf"), encoding="utf-8") as f:
        found = re.findall(r"^restore_command = '(.*)'$", f.read(), re.M)
    assert len(found) == 1
    return shlex.split(found[0].replace("''", "'").replace("\\\\", "\\"))


def call(site, name, to, **kw):
    words = [name if w == "%f" else to if w == "%p" else w for w in command(site)]
    return subprocess.run([*words, "--no-prefetch"], capture_output=True, text=True, check=False, cwd="/", **kw)


def segment(site, text="pg_current_wal_lsn()"):
    return site.server.value("SELECT pg_walfile_name(%s)" % text)


def test_the_command_says_all_it_needs(site):
    restore(site)
    words = command(site)
    assert os.path.isabs(words[0]) and words[words.index("--config") + 1] == site.config
    assert words[words.index("--tiers") + 1] == "local,regional"
    assert words[words.index("--mode") + 1] == "bounded"
    assert words[words.index("--system") + 1] == str(site.server.sysid)


def test_it_needs_neither_state_nor_the_first_host(site):
    restore(site)
    first = sorted(n for n in os.listdir(os.path.join(site.server.data, "pg_wal")) if len(n) == 24)
    site.end_all()
    shutil.rmtree(site.path("state"))
    got = call(site, "00000002.history", site.path("got"))
    assert got.returncode == 1, got
    name = [n for n in first if n <= segment(site)][-2]
    got = call(site, name, site.path("got"))
    assert got.returncode == 0, got
    with open(site.path("got"), "rb") as a, open(os.path.join(site.server.data, "pg_wal", name), "rb") as b:
        assert a.read() == b.read()


def test_only_the_tiers_that_answered_are_asked(servers, site):
    os.rename(site.tier("local"), site.path("away"))
    site.run("backup", "pg.pay", "--tier", "regional", status=None)
    restore(site, status=DEGRADED)
    words = command(site)
    assert words[words.index("--tiers") + 1] == "regional"
    assert site.ledger.lost(boot(servers, site)) == []


def test_one_that_goes_away_later_is_not_the_end_of_the_log(site):
    restore(site)
    os.rename(site.tier("local"), site.path("away"))
    os.rename(site.tier("regional"), site.path("away-too"))
    for name in ("00000002.history", segment(site), "0000000100000000000000FF"):
        assert call(site, name, site.path("got")).returncode == 255, name
        assert not os.path.exists(site.path("got"))


def test_a_hole_is_not_the_end_of_the_log(site):
    """Also for a restore_command that somebody wrote by hand. A standby waits."""
    for _ in range(3):
        site.server.sql("INSERT INTO ffdr_ledger VALUES (%d, 0, '')" % (1000 + _))
        end = shipped(site)
    site.end_all()
    shutil.rmtree(site.path("state", "spool"))
    segments = sorted({start & ~0xFFFFF for start, _ in site.pieces("local")})
    for tier in site.tiers:
        for start, stop in site.pieces(tier):
            if start & ~0xFFFFF == segments[-2]:
                os.unlink(site.tier(tier, site.piece((start, stop))))

    def ask(start, *more):
        name = "00000001%08X%08X" % (start >> 32, (start & 0xFFFFFFFF) >> 20)
        return site.get(name, site.path("got"), "--segment-size", "1m", *more, status=None)

    got = ask(segments[-2])
    assert got.status == 255 and "a hole is not the end of the log" in got.err, got
    assert not os.path.exists(site.path("got"))
    assert ask(segments[-2], "--mode", "standby").status == 1
    assert ask(segments[-1]).status == 0
    assert ask((end | 0xFFFFF) + 1 + 0x100000).status == 1


def test_a_quote_in_the_path_of_the_configuration(servers, site):
    """The command goes through the server's quotes, its file names and a shell."""
    odd = site.path("it's 100% odd")
    shutil.copytree(site.path("etc"), odd)
    os.chmod(odd, 0o755)
    subprocess.run(["chown", "-R", "--reference", site.path("etc", "kek"), odd], check=True)
    old, site.config = site.config, os.path.join(odd, "ffdr.ini")
    restore(site)
    assert command(site)[4] == site.config.replace("%", "%%")
    assert site.ledger.lost(boot(servers, site)) == []
    site.config = old


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_who_may_not_read_the_keys_is_told_at_once(site):
    os.chown(site.path("etc", "kek"), 0, 0)
    got = restore(site, status=DEGRADED)
    assert "no WAL can be got yet" in got.err and "kek" in got.err, got


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_what_is_denied_on_each_tier_is_told(site):
    for tier in ("local", "regional"):
        os.chown(site.tier(tier), 0, 0)
        os.chmod(site.tier(tier), 0o700)
    got = restore(site, status=DEGRADED)
    said = got.err[got.err.index("no WAL can be got yet"):]
    for tier in ("local", "regional"):
        assert re.search(r"^ +%s +.*ermission denied" % tier, said, re.M), got
    assert "adduser postgres" in said, got
