"""WAL in bundles that lie in an archive: what a recovery will read is ordered with the packs, in one sum, and nothing else is."""

import datetime
import glob
import os
import re
import shutil
import time
import urllib.parse

import pytest

import restored
from conftest import DEGRADED, DONE, VERIFY
from postgres import eventually, lsn, servers_fixture  # noqa: F401
from s3 import before_fixture, fresh_server_fixture, moment  # noqa: F401
from test_s3_thaw import LATER, PACK, REFUSED, SECONDS, ColdDatabase, moto_fixture  # noqa: F401

WALB = r"/prod/walb/"
PAUSE = 1.3  # the store dates by whole seconds


class ColdLog(ColdDatabase):
    """A base backup and three batches of WAL, each in bundles of its own, copied to the archive one after the other."""

    def fill(self):
        self.run("init")
        self.child = self.stream()
        self.server.sql("CREATE TABLE t (id int)")
        self.snapshot = self.backup()
        self.batch, self.times, self.lsns, known = [], [], [], set()
        for n in range(3):
            time.sleep(PAUSE)
            self.times.append(datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%fZ"))
            time.sleep(PAUSE)
            self.write(n)
            self.run("copy", "--to", "cold")
            self.batch.append({x for x in self.bundles() if x not in known})
            known |= self.batch[-1]
        start = lsn(self.json("restore", self.snapshot, "--to", self.path("back"), "--dry-run", status=None)["start_lsn"])
        # What lies before the base, or in another one as well, is of no use.
        spans = {n: tuple(int(x, 16) for x in n.rsplit("/", 1)[1].split("-")) for n in known}
        for batch in self.batch:
            batch -= {n for n in batch if spans[n][1] <= start or any(
                o != n and spans[o][0] <= spans[n][0] and spans[n][1] <= spans[o][1] for o in spans)}
        self.needed = sorted(set().union(*self.batch))
        assert all(self.batch)
        self.end(self.child)
        restored.readable(self)
        return self

    def write(self, n):
        self.server.sql("INSERT INTO t VALUES (%d)" % n)
        self.server.sql("SELECT pg_create_restore_point('after%d')" % n)
        self.lsns.append(self.server.value("SELECT pg_current_wal_insert_lsn()"))
        self.server.sql("CREATE TABLE junk AS SELECT repeat('x', 500) FROM generate_series(1, 4000)")
        self.server.sql("DROP TABLE junk")
        self.wait_shipped(lsn(self.server.value("SELECT pg_switch_wal()")), "local")

    def bundles(self):
        return self.bucket.names("prod/walb/")

    def freeze(self):
        """What is in the archive is older than an order takes."""
        time.sleep(SECONDS + 0.6)
        self.proxy.forget()
        return self

    def lose(self):
        shutil.rmtree(self.tier("local"))
        shutil.rmtree(self.path("state", "spool"))
        return self.freeze()

    def ordered(self, what=WALB):
        return sorted(r.path.split("/", 2)[2] for r in self.proxy.seen("POST", what, "restore") if r.status in (200, 202))

    def well(self, *more, **kw):
        result = restored.restore(self, *more, status=None, **kw)
        assert result.status in (DONE, DEGRADED), result
        return result

    def ids(self, server):
        return [row[0] for row in server.sql("SELECT id FROM t ORDER BY 1")]


@pytest.fixture(name="cold")
def cold_fixture(moto, before, servers):
    server = servers.new(15, "--wal-segsize=1").start()
    site = ColdLog(servers.path("site"), server, moto.bucket(), before(moto), wal="local, cold").fill()
    yield site
    site.end_all()


def test_to_the_newest_all_behind_the_base_is_ordered_in_one_sum_with_the_packs(servers, cold):
    cold.lose()
    result = restored.restore(cold, status=REFUSED)
    told = r"%d packs? and %d bundles of WAL, .* on cold \(GLACIER\): standard, readable within about 5h.* USD" % (
        len(cold.bucket.names("prod/pack/")), len(cold.needed))
    assert re.search(told, result.err), result.err
    result = restored.restore(cold, "--dry-run", "--yes-thaw", status=LATER)
    assert re.search(told, result.text) and "\n  fix       without --dry-run it is ordered" in result.err, result
    assert cold.ordered() == cold.ordered(PACK) == []
    result = restored.restore(cold, "--yes-thaw", "--no-wait", status=LATER)
    assert re.search(r"packs? and %d bundles of WAL ordered" % len(cold.needed), result.err), result
    assert not os.path.exists(cold.path("back")) or os.listdir(cold.path("back")) == []
    time.sleep(SECONDS)
    cold.well()
    assert cold.ordered() == cold.needed
    assert cold.ordered(PACK) == sorted(cold.bucket.names("prod/pack/"))
    assert cold.ids(restored.boot(servers, cold)) == [0, 1, 2]


def test_of_a_time_that_is_past_the_versions_of_then_are_ordered_and_recovered_from(servers, moto, before):
    server = servers.new(15, "--wal-segsize=1").start()
    cold = ColdLog(servers.path("site"), server, moto.bucket(versions=True), before(moto), wal="local, cold").fill()
    then = moment()
    cold.lose()
    result = restored.restore(cold, "--as-of", then, status=REFUSED)
    assert "%d bundles of WAL" % len(cold.needed) in result.err and "--yes-thaw" in result.err, result
    cold.well("--as-of", then, "--yes-thaw")
    assert cold.ordered() == cold.needed
    meant = {name: version for name, version, _ in cold.bucket.versions("prod/")}
    orders = cold.proxy.seen("POST", "/prod/", "restore")
    assert len(orders) > len(cold.needed)
    for r in orders:
        assert urllib.parse.parse_qs(r.query)["versionId"] == [meant[r.path.split("/", 2)[2]]]
    assert cold.ids(restored.boot(servers, cold)) == [0, 1, 2]


def test_a_tier_is_rebuilt_from_an_archive_with_its_wal_once_somebody_agrees(servers, moto, before):
    server = servers.new(15, "--wal-segsize=1").start()
    cold = ColdLog(servers.path("site"), server, moto.bucket(versions=True), before(moto), wal="local, cold").fill()
    then, bundles, packs = moment(), len(cold.bundles()), len(cold.bucket.names("prod/pack/"))
    shutil.copytree(cold.tier("local", "pack"), cold.path("pack"))
    cold.lose()
    os.makedirs(cold.tier("local"))
    words = ("copy", "--as-of", then, "--to", "local")
    result = cold.run(*words, status=DEGRADED)
    assert re.search(r"not brought to 'local', because it lies in an archive: %d packs?, %d bundles of WAL, and 1 snapshot"
                     % (packs, bundles), result.err), result
    assert "USD" in result.err and cold.ordered() == cold.ordered(PACK) == []
    assert cold.objects("local", "key/") and not cold.objects("local", "snap/")
    # The packs alone: a base backup is none without its WAL.
    shutil.move(cold.path("pack"), cold.tier("local", "pack"))
    result = cold.run(*words, status=DEGRADED)
    assert "0 packs, %d bundles of WAL, and 1 snapshot" % bundles in result.err and not cold.objects("local", "snap/"), result
    cold.proxy.forget()
    cold.run(*words, "--yes-thaw", status=None)
    assert len(cold.ordered()) == bundles and cold.objects("local", "snap/")
    restored.readable(cold)
    cold.well("--tier", "local")
    assert cold.ids(restored.boot(servers, cold)) == [0, 1, 2]


def test_to_a_time_in_the_middle_nothing_behind_it_is_ordered(servers, cold):
    cold.lose()
    cold.well("--at", cold.times[1], "--yes-thaw")
    assert cold.ordered() == sorted(cold.batch[0] | cold.batch[1])
    other = restored.boot(servers, cold)
    assert cold.ids(other) == [0]
    assert "255" not in other.log(), other.log()
    # From there on the next one is a batch more.
    cold.well("--at", cold.times[2], "--yes-thaw", to="again")
    assert cold.ordered() == cold.needed


def test_to_an_lsn_nothing_behind_it_and_for_a_name_all_that_may_have_it_is_ordered(servers, cold):
    cold.lose()
    cold.well("--at", cold.lsns[1], "--yes-thaw")
    assert cold.ordered() == sorted(cold.batch[0] | cold.batch[1])
    assert cold.ids(restored.boot(servers, cold)) == [0, 1]
    # Only the log knows where the name is, and of two the newest would count.
    cold.well("--at", "name:after0", "--yes-thaw", to="again")
    assert cold.ordered() == cold.needed
    assert cold.ids(restored.boot(servers, cold, to="again")) == [0]


def test_where_bundles_came_late_a_second_order_brings_what_the_first_did_not(servers, cold):
    """They are all of a time behind the one that is wanted, so the first of them may be enough, and is not."""
    cold.lose()
    cold.run("restore", "pg.pay", "--to", cold.path("back"), "--yes-thaw", "--no-wait", status=LATER)
    time.sleep(SECONDS)
    for name in cold.needed:
        cold.bucket.put(name, cold.bucket.get(name), StorageClass="GLACIER")
    cold.freeze()
    cold.well("--at", cold.times[2], "--yes-thaw")
    assert cold.ordered() == cold.needed
    assert cold.ids(restored.boot(servers, cold)) == [0, 1]


def test_the_end_of_the_base_backup_needs_its_own_wal_alone(servers, cold):
    cold.lose()
    cold.well("--yes-thaw", what=cold.snapshot)
    assert set(cold.ordered()) <= cold.batch[0]
    assert cold.ids(restored.boot(servers, cold)) == []


def test_what_another_tier_has_in_pieces_is_not_ordered(servers, cold):
    last = max(int(n.rsplit("-", 1)[1], 16) for n in cold.batch[0])
    for piece in cold.pieces("local"):
        if piece[1] <= last:
            os.unlink(cold.tier("local", cold.piece(piece)))
    shutil.rmtree(cold.path("state", "spool"))
    cold.freeze()
    restored.restore(cold, status=REFUSED)
    cold.well("--yes-thaw")
    assert cold.ordered() == sorted(cold.batch[0])
    assert cold.ordered(PACK) == []
    assert cold.ids(restored.boot(servers, cold)) == [0, 1, 2]


def test_a_proof_of_the_archive_thaws_its_wal(cold):
    cold.lose()
    assert cold.run("verify", "--restore", "pg.pay", "--tier", "cold", status=REFUSED).err.count("bundles of WAL") == 1
    result = cold.run("verify", "--restore", "pg.pay", "--tier", "cold", "--yes-thaw", status=None)
    assert result.status in (DONE, DEGRADED), result
    assert cold.ordered() == cold.needed


def test_a_standby_waits_for_what_is_frozen_and_goes_on_when_it_is_back(servers, cold):
    """What is bundled while it follows lies in the archive alone: not there yet, and never an end."""
    last = max(int(n.rsplit("-", 1)[1], 16) for n in cold.batch[0])
    cold.well("--standby")
    for piece in cold.pieces("local"):
        if piece[0] >= last:
            os.unlink(cold.tier("local", cold.piece(piece)))
    shutil.rmtree(cold.path("state", "spool"))
    cold.freeze()
    other = restored.prepare(servers, cold)
    other.start()
    said = "WAL of timeline 1 from .* cannot be read: cold: .*\n.*lies in an archive"
    eventually(lambda: re.search(said, other.log()), what="a word of the archive")
    assert other.value("SELECT pg_is_in_recovery()") and cold.ids(other) == [0]
    name = cold.server.value("SELECT pg_walfile_name('%X/%X'::pg_lsn + 1)" % divmod(last, 1 << 32))
    told = ("--segment-size", "1m", "--tiers", "local,cold")
    got = cold.get(name, cold.path("got"), *told, "--mode", "standby", status=1)
    assert re.search(said, got.err) and not os.path.exists(cold.path("got")), got
    cold.get(name, cold.path("got"), *told, status=255)
    # Somebody orders it: a restore that ends once it is ordered.
    cold.run("restore", "pg.pay", "--to", cold.path("second"), "--yes-thaw", "--no-wait", status=LATER)
    eventually(lambda: cold.ids(other) == [0, 1, 2], what="the standby")
    assert other.value("SELECT pg_is_in_recovery()"), other.log()


# ---- what a look can prove ----

def order(cold, names):
    """As somebody did it for another purpose: they can be read for a day."""
    for name in names:
        cold.bucket.s3.restore_object(Bucket=cold.bucket.name, Key=name, RestoreRequest={
            "Days": 1, "GlacierJobParameters": {"Tier": "Standard"}})
    eventually(lambda: all('ongoing-request="false"' in cold.bucket.head(n).get("Restore", "") for n in names), what="the order")


def own(cold):
    """The bundles that the base backup itself needs, from the beginning of a segment on."""
    told = cold.json("show", cold.snapshot, status=None)["database"]
    start, stop = lsn(told["start-lsn"]) >> 20 << 20, lsn(told["stop-lsn"])
    spans = {n: [int(x, 16) for x in n.rsplit("/", 1)[1].split("-")] for n in cold.bundles()}
    found = [n for n, at in spans.items() if at[0] < stop and at[1] > start]
    assert found and len(found) < len(spans)
    return found


def levels(cold):
    """Of the snapshot on the archive: as show and status tell it."""
    shown = [x["level"] for x in cold.json("show", cold.snapshot, status=None)["verified"] if x["tier"] == "cold"]
    status = [x["verified_level"] for x in cold.json("status", status=None)["lines"] if x["tier"] == "cold"]
    return shown, status


@pytest.mark.parametrize("limit", ((), ("--limit", "1ms")), ids=("all", "a little at a time"))
def test_a_base_backup_whose_own_wal_was_not_read_is_not_called_sound(cold, limit):
    mine = own(cold)
    cold.freeze()
    order(cold, cold.bucket.names("prod/pack/"))
    for _ in range(1 if not limit else len(cold.bundles()) + 1):
        found = cold.json("verify", "--tier", "cold", "pg.pay", *limit, status=DONE)
        assert (found["snapshots"], found["good"], found["unread"], found["broken"]) == (1, 0, 1, 0), found
        assert found["packs"] > 0 == found["packs_frozen"] and found["bytes"] > 0, found
        assert levels(cold) == ([0], [0])
    result = cold.run("verify", "--tier", "cold", "--level", "1", "pg.pay", *limit)
    assert "0 of them sound, of 1 the WAL lies in an archive and was not read" in result.out, result
    assert "WAL that 1 base backup on 'cold' needs lies in an archive" in result.err and levels(cold) == ([0], [0]), result
    assert cold.ordered() == []
    # What was read is proved, at the level that was asked for.
    order(cold, mine)
    found = cold.json("verify", "--tier", "cold", "pg.pay", status=DONE)
    assert (found["good"], found["unread"], found["wal_frozen"]) == (1, 0, len(cold.bundles()) - len(mine)), found
    assert levels(cold) == ([2], [2])


def test_of_frozen_wal_that_somebody_overwrote_nothing_is_said_to_be_proved(cold):
    for name in own(cold):
        cold.bucket.put(name, b"your files are ours", StorageClass="GLACIER")
    cold.freeze()
    order(cold, cold.bucket.names("prod/pack/"))
    found = cold.json("verify", "--tier", "cold", "pg.pay", status=DONE)
    assert found["good"] == 0 and levels(cold) == ([0], [0]), found
    order(cold, own(cold))
    found = cold.json("verify", "--tier", "cold", "pg.pay", status=VERIFY)
    assert [f["object"] for f in found["findings"]] == [n.split("/", 1)[1] for n in own(cold)], found


def test_of_a_time_before_a_hole_what_is_needed_is_ordered_whatever_the_spool_has_behind_it(servers, cold):
    """How late it is in the archive nobody knows before it is read: what this host received last has no commit."""
    local, away = cold.tier("local"), cold.path("away")
    os.rename(local, away)
    end = lsn(cold.server.value("SELECT pg_current_wal_insert_lsn()"))
    child = cold.stream()
    for _ in range(5):
        cold.server.sql("SELECT pg_logical_emit_message(false, 'x', 'no commit')")
        cold.server.sql("SELECT pg_switch_wal()")
    spool = lambda: glob.glob(cold.path("state", "spool", "pg.pay", "*-*-*-*"))  # noqa: E731
    start = lambda path: int(os.path.basename(path).split("-")[3].split(".")[0], 16)  # noqa: E731
    eventually(lambda: any(start(path) > end + (3 << 20) for path in spool()), what="WAL in the spool")
    cold.end(child)
    for path in spool():
        if start(path) < end + (2 << 20):
            os.unlink(path)
    assert spool()
    cold.freeze()
    assert cold.json("restore", "pg.pay", "--to", cold.path("back"), "--dry-run", "--at", cold.times[1], status=LATER)["error"]
    cold.well("--at", cold.times[1], "--yes-thaw")
    assert cold.ids(restored.boot(servers, cold)) == [0]
