"""The source becomes another server's: what is received, backed up and restored from then on, and what the old one may not do."""

import contextlib
import os
import re
import shutil

import pytest

from conftest import DEGRADED, REFUSED
from databases import Database, eventually
from postgres import Ledger, lsn, servers_fixture  # noqa: F401
from proxy import Proxy
from restored import boot, ids, readable, restore, shipped



@pytest.fixture(name="moving")
def moving_fixture(servers):
    """A site whose conninfo is an address that can be moved to another server, as a virtual one is."""
    server = servers.new(15, "--wal-segsize=1").start()
    line = Proxy(server.port)
    site = Database(servers.path("site"), server, conninfo="host=127.0.0.1 port=%d user=postgres dbname=postgres" % line.port)
    site.line = line
    site.run("init")
    site.stream()
    Ledger(server).start().wait(20).stop()
    site.backup()
    shipped(site)
    yield site
    site.end_all()
    line.close()


def adopted(servers, site):
    """The restored server is the database now and stands at the old one's address; the old one lives on elsewhere."""
    said = restore(site, "--adopt", status=None)
    assert said.status in (0, DEGRADED), said
    epoch = int(re.search(r"epoch (\d+) of pg\.pay begins", said.out).group(1))
    readable(site)
    other = boot(servers, site)
    site.line.target = ("127.0.0.1", other.port)
    site.line.reset()
    return other, epoch


STALE = 10  # what is pushed is of a timeline that is not the active one


def written(server, number):
    server.sql("INSERT INTO ffdr_ledger VALUES (%d, 0, 'here')" % number)
    return lsn(server.value("SELECT pg_switch_wal()"))


def test_a_receiver_that_runs_goes_on_in_the_new_epoch(servers, moving):
    other, epoch = adopted(servers, moving)
    end = written(other, 55555)
    eventually(lambda: moving.frontier("regional", 2, epoch) >= end, what="WAL of the new epoch\n" + moving.stream_log()[-2000:])
    assert not moving.pieces("regional", 2), "the new server's WAL lies in the old epoch"
    assert "epoch %d begins" % epoch in moving.stream_log()
    readable(moving)
    restore(moving, to="third")
    assert 55555 in ids(boot(servers, moving, "third"))


def replace_kek(site):
    """What the configuration says then."""
    other = site.path("etc", "kek-2")
    site.run("key", "rotate", "--kek", "file:" + other)
    with open(site.config, encoding="utf-8") as f:
        text = f.read().replace(site.path("etc", "kek") + "\n", other + "\n")
    with open(site.config, "w", encoding="utf-8") as f:
        f.write(text)
    return text


@pytest.mark.parametrize("kek", [False, True])
def test_a_receiver_that_runs_reads_what_is_sealed_under_a_later_key(servers, moving, kek):
    moving.run("key", "rotate")
    if kek:
        replace_kek(moving)
    other, epoch = adopted(servers, moving)
    end = written(other, 55555)
    eventually(lambda: moving.frontier("regional", 2, epoch) >= end, what="WAL of the new epoch\n" + moving.stream_log()[-2000:])
    assert "keys are read anew" in moving.stream_log()


def test_a_slip_in_the_configuration_does_not_bring_back_the_kek_of_its_start(servers, moving):
    """It has followed a kek that was replaced, and opens everything anew while somebody edits the file."""
    moving.run("key", "rotate")
    text = replace_kek(moving)
    other, epoch = adopted(servers, moving)
    end = written(other, 55555)
    eventually(lambda: moving.frontier("regional", 2, epoch) >= end, what=moving.stream_log)
    assert "keys are read anew" in moving.stream_log()
    with open(moving.config, "w", encoding="utf-8") as f:
        f.write("[ffdr\n")
    with open(moving.path("etc", "good.ini"), "w", encoding="utf-8") as f:
        f.write(text)
    os.rename(moving.tier("local"), moving.path("lost"))
    os.mkdir(moving.tier("local"))
    moving.run("init", "--config", moving.path("etc", "good.ini"))
    end = written(other, 66666)
    eventually(lambda: "is where 'local' was" in moving.stream_log(), what=moving.stream_log)
    eventually(lambda: moving.frontier("local", 2, epoch) >= end, what=moving.stream_log)
    assert "configuration as it is now cannot be used" in moving.stream_log()
    assert moving.services[-1].poll() is None


def test_a_receiver_on_the_old_server_notices_and_leaves_it(servers, moving):
    """The address is not moved: what the old one writes is nobody's."""
    old = moving.server
    restore(moving, "--adopt", status=None)
    eventually(lambda: "is not the active one of pg.pay" in moving.stream_log(), 40, what="the refusal\n" + moving.stream_log()[-2000:])
    before = moving.frontier("regional", 1)
    old.sql("CREATE TABLE more AS SELECT i FROM generate_series(1, 100000) i")
    got = moving.run("backup", "pg.pay", status=REFUSED)
    assert "old primary" in got.err and "--new-system" in got.err, got
    got = moving.run("check", status=None)
    assert re.search(r"FAIL\s+pg\.pay.*is not the active one", got.out), got.out
    assert moving.frontier("regional", 1) <= before + 0x100000
    # Somebody decides that it is the database after all.
    moving.run("backup", "--new-system", "pg.pay")
    moving.run("backup", "pg.pay")
    eventually(lambda: len({n.split("/")[3] for n in moving.objects("regional", "wal/pg.pay/")}) >= 3, 60, what="an epoch of its own")


def test_what_an_old_primary_wrote_behind_the_fork_is_not_archived(servers, moving):
    """The fork lies within a segment: of that one, too, the old server has another half than the database."""
    old = moving.server
    old.sql("INSERT INTO ffdr_ledger VALUES (33333, 0, 'common')")
    before = old.value("SELECT pg_walfile_name(pg_switch_wal())")
    old.sql("INSERT INTO ffdr_ledger VALUES (44444, 0, 'common')")
    moving.wait_shipped(old.lsn())
    other, epoch = adopted(servers, moving)
    old.sql("INSERT INTO ffdr_ledger VALUES (66666, 0, 'old')")
    names = [before] + [old.value("SELECT pg_walfile_name(pg_switch_wal())")]
    old.sql("INSERT INTO ffdr_ledger VALUES (77777, 0, 'old')")
    names.append(old.value("SELECT pg_walfile_name(pg_switch_wal())"))
    with open(os.path.join(other.data, "pg_wal", "00000002.history"), encoding="ascii") as f:
        fork = lsn(f.read().split()[1])
    assert fork % (1 << 20) != 0 and names[1].endswith("%08X" % (fork >> 20)), (fork, names)
    end = written(other, 55555)
    eventually(lambda: moving.frontier("regional", 2, epoch) >= end, what="WAL of the new epoch\n" + moving.stream_log()[-2000:])
    for name, status in zip(names, (0, STALE, STALE)):
        got = moving.run("wal", "push", os.path.join(old.data, "pg_wal", name), status=status)
        assert status == 0 or "stale epoch" in got.err, got
    assert not [at for at, _ in moving.pieces("regional", 1, epoch) if at >= fork >> 20 << 20], "the old server's WAL lies in the new epoch"


def test_an_old_primary_after_a_promotion_is_no_source_of_backups(servers, moving):
    old = moving.server
    standby = servers.clone(old)
    standby.start()
    eventually(lambda: standby.sql("SELECT status FROM pg_stat_wal_receiver") == [("streaming",)], what="the standby")
    standby.promote()
    moving.line.target = ("127.0.0.1", standby.port)
    moving.line.reset()
    end = written(standby, 44444)
    eventually(lambda: moving.frontier("regional", 2) >= end, what="timeline 2\n" + moving.stream_log()[-2000:])
    moving.line.target = ("127.0.0.1", old.port)
    moving.line.reset()
    got = moving.run("backup", "pg.pay", status=REFUSED)
    assert "timeline 1, which does not come from timeline 2" in got.err, got


def test_what_a_tier_lacks_of_the_epoch_before_reaches_it_later(servers, moving):
    """It was away when the epoch changed; the spool alone has it."""
    away = moving.path("away")
    os.rename(moving.tier("regional"), away)
    old = moving.server
    end = written(old, 33333)
    moving.wait_shipped(end, "local")
    other, epoch = adopted(servers, moving)
    new_end = written(other, 55555)
    eventually(lambda: moving.frontier("local", 2, epoch) >= new_end, what="the new epoch\n" + moving.stream_log()[-2000:])
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(moving.tier("regional"))
    os.rename(away, moving.tier("regional"))
    eventually(lambda: moving.frontier("regional", 1) >= end, 60, what="the old epoch\n" + moving.stream_log()[-2000:])
    eventually(lambda: moving.frontier("regional", 2, epoch) >= new_end, 60, what="the new epoch\n" + moving.stream_log()[-2000:])
    eventually(lambda: "the tiers have all of epoch %d" % int(moving.place()[1], 16) in moving.stream_log(), 60, what="the end of it\n" + moving.stream_log()[-2000:])



def test_a_server_that_was_set_back_is_no_source_until_somebody_says_so(servers, moving):
    """Its disk was: the archive has WAL of another life under the same names, and a backup with that could never be restored."""
    server = moving.server
    server.stop()
    shutil.copytree(server.data, server.data + ".old", symlinks=True)
    server.start()
    moving.line.reset()
    server.sql("CREATE TABLE one AS SELECT i, md5(i::text) t FROM generate_series(1, 50000) i")
    shipped(moving)
    server.stop()
    shutil.rmtree(server.data)
    os.rename(server.data + ".old", server.data)
    server.own()
    server.start()
    moving.line.target = ("127.0.0.1", server.port)
    server.sql("CREATE TABLE two AS SELECT 2 AS n")
    got = moving.run("backup", "pg.pay", status=REFUSED)
    assert "is not this server's" in got.err and "--new-system" in got.err, got
    base = moving.backup("--new-system", status=None)
    readable(moving)
    restore(moving, what=base)
    assert boot(servers, moving).value("SELECT n FROM two") == 2


def test_a_coordination_place_that_was_lost_opens_no_old_epoch_again(servers, moving):
    other, epoch = adopted(servers, moving)
    end = written(other, 55555)
    eventually(lambda: moving.frontier("regional", 2, epoch) >= end, what="WAL of the new epoch\n" + moving.stream_log()[-2000:])
    for child in moving.services:
        moving.end(child, status=None)
    moving.services.clear()
    shutil.rmtree(moving.path("state", "coord"))
    # The old one is refused also by who remembers nothing.
    moving.line.target = ("127.0.0.1", moving.server.port)
    got = moving.run("backup", "pg.pay", status=REFUSED)
    assert "epoch %d" % epoch in got.err, got
    moving.line.target = ("127.0.0.1", other.port)
    moving.stream()
    end = written(other, 66666)
    eventually(lambda: moving.frontier("regional", 2, epoch) >= end, what="WAL of the same epoch\n" + moving.stream_log()[-2000:])
    assert not moving.pieces("regional", 2)
    restore(moving, "--adopt", to="third", status=None)
    assert len(set(os.listdir(os.path.dirname(moving.tier("regional", "wal", "pg.pay", "x"))))) == 1
