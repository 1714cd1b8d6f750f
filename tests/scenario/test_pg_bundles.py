"""WAL on tiers of an archive class: it goes there in bundles, and comes back like any other."""

import base64
import hashlib
import os
import re
import shutil
import time

import pytest

from conftest import VERIFY, flip
from postgres import Ledger, lsn, own, servers_fixture  # noqa: F401
from restored import boot, restore
from s3 import minio_fixture, moto_fixture, radosgw_fixture  # noqa: F401
from s3_databases import BucketDatabase
from secondreader import Reader
from test_s3_as_of import moment

COLD = "keep = 7d\nclass = GLACIER"


class Cold(BucketDatabase):
    """local is a directory, dr a bucket whose packs and bundles go to an archive class."""

    def __init__(self, top, server, bucket, wal="local, dr"):
        super().__init__(top, server, {"dr": bucket}, tiers=("local", "dr"), wal=wal)

    def write_config(self, more="", tier=None, **keys):
        super().write_config(more, tier={"dr": COLD, **(tier or {})}, **keys)

    def bundles(self, tli=1):
        """(start, end) of every bundle of that timeline, in order."""
        found = [re.fullmatch(r"walb/pg\.pay/\d+/[0-9a-f]{8}/%08x/([0-9a-f]{16})-([0-9a-f]{16})" % tli, n)
                 for n in self.objects("dr", "walb/")]
        return [(int(m[1], 16), int(m[2], 16)) for m in found if m]

    def copied(self, *more):
        """The lines of a copy about the WAL alone, and what the command said."""
        return [x for x in self.json("copy", *more, status=None)["copies"] if x["outcome"] == "wal"]


def made(servers, bucket):
    site = Cold(servers.path("site"), servers.new(15, "--wal-segsize=1").start(), bucket)
    site.run("init")
    own(site.top)
    return site


@pytest.fixture(name="frozen")
def frozen_fixture(servers, moto):
    """What lies in this class has to be thawed."""
    site = made(servers, moto.bucket())
    yield site
    site.end_all()


@pytest.fixture(name="open_")
def open_fixture(servers, radosgw):
    """This store has the class, and gives what lies in it at once."""
    site = made(servers, radosgw.bucket())
    yield site
    site.end_all()


def stat(site, name):
    return site.bucket("dr").head("prod/" + name, ChecksumMode="ENABLED")


def fill(site, times=2):
    for _ in range(times):
        site.server.sql("CREATE TABLE junk AS SELECT repeat('x', 500) FROM generate_series(1, 4000)")
        site.server.sql("DROP TABLE junk")


def mirror(site, to):
    """The bucket as a directory, for who reads those alone."""
    for name in site.objects("dr"):
        path = site.path(to, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(site.bucket("dr").get("prod/" + name))
    return site.path(to)


def pieces_of_dr(site):
    return [n for n in site.objects("dr", "wal/") if re.search(r"/[0-9a-f]{16}-", n)]


def test_a_frozen_tier_gets_the_wal_of_a_base_backup_as_a_bundle_that_is_proved_by_its_checksum(frozen):
    snapshot = frozen.backup()
    line = frozen.json("copy", "--to", "dr", snapshot)["copies"][0]
    assert line["outcome"] == "done", line
    assert not pieces_of_dr(frozen)
    local, bundles = frozen.pieces("local"), frozen.bundles()
    assert len(bundles) == 1 and line["wal_sent"] == 1 + len([n for n in frozen.objects("dr", "wal/")])
    assert bundles[0] == (local[0][0], local[-1][1])
    name, = frozen.objects("dr", "walb/")
    about = stat(frozen, name)
    assert about["StorageClass"] == "GLACIER"
    # it is what one gets by writing the pieces one behind the other
    joined = b"".join(open(frozen.tier("local", frozen.piece(p)), "rb").read() for p in local)
    assert base64.b64decode(about["ChecksumSHA256"]) == hashlib.sha256(joined).digest()
    assert about["ContentLength"] == len(joined)
    assert "StorageClass" not in stat(frozen, frozen.objects("dr", "snap/")[0])
    # once more there is nothing to do
    again = frozen.json("copy", "--to", "dr", snapshot)["copies"][0]
    assert again["outcome"] == "there" and again["wal_sent"] == 0


def test_what_follows_waits_until_it_is_worth_an_object_and_goes_when_a_person_says_so(frozen):
    child = frozen.stream()
    frozen.run("copy", "--to", "dr", frozen.backup())
    first = frozen.bundles()
    fill(frozen)
    end = frozen.server.lsn()
    frozen.wait_shipped(end, "local")
    assert not pieces_of_dr(frozen), "a receiver sends nothing to a cold tier"
    waiting = frozen.copied()
    assert len(waiting) == 1 and waiting[0]["wal_waiting"] > 0 and waiting[0]["wal_sent"] == 0, waiting
    assert frozen.bundles() == first
    time.sleep(20)  # longer than a receiver may be silent for; nothing is late for a tier that is fed by copies
    attention = frozen.json("wal", "status", "pay", status=None)["sources"][0]["attention"]
    assert [x for x in attention if "'dr'" in x] == [], attention
    # an hour later: the pieces are older than that
    for piece in frozen.pieces("local"):
        os.utime(frozen.tier("local", frozen.piece(piece)), (1_700_000_000, 1_700_000_000))
    sent = frozen.copied()
    assert sent[0]["wal_sent"] == 1 and sent[0]["wal_waiting"] == 0, sent
    second = frozen.bundles()
    assert len(second) == 2 and second[1][0] <= second[0][1] and second[1][1] >= end
    fill(frozen, 1)
    end = frozen.server.lsn()
    frozen.wait_shipped(end, "local")
    assert [x["wal_sent"] for x in frozen.copied("--to", "dr")] == [1]
    third = frozen.bundles()
    assert third[1][1] == third[2][0] and third[2][1] >= end
    tier = next(t for t in frozen.json("wal", "status", "pay", status=None)["sources"][0]["tiers"] if t["tier"] == "dr")
    assert tier["holes"] == [] and lsn(tier["restorable_to"]) == third[2][1]
    frozen.end(child)


def test_what_a_cold_tier_would_lose_is_known_though_nothing_there_can_be_read(frozen):
    child = frozen.stream()
    ledger = Ledger(frozen.server).start()
    frozen.backup()
    ledger.wait(50)
    frozen.run("copy", "--to", "dr")
    ledger.wait(120).stop()
    frozen.wait_shipped(frozen.server.lsn(), "local")
    frozen.run("copy", "--to", "dr")
    line = next(x for x in frozen.json("exposure", status=None)["lines"] if x["tier"] == "dr")
    assert line["by"] == "wal" and line["seconds"] is not None and line["seconds"] < 60, line
    frozen.end(child)


def test_a_segment_that_is_frozen_is_never_said_to_be_absent(frozen):
    child = frozen.stream()
    frozen.backup()
    fill(frozen)
    frozen.wait_shipped(frozen.server.lsn(), "local")
    frozen.end(child)
    frozen.run("copy", "--to", "dr")
    name = frozen.server.value("SELECT pg_walfile_name('%X/%X'::pg_lsn + 1)" % divmod(frozen.bundles()[0][0], 1 << 32))
    to = frozen.path("got")
    frozen.get(name, to, "--segment-size", "1m", "--tiers", "local,dr")
    os.unlink(to)
    for piece in frozen.pieces("local"):
        os.unlink(frozen.tier("local", frozen.piece(piece)))
    shutil.rmtree(frozen.path("state", "spool"))
    # 1 would end a recovery there, short of what is known to be there
    got = frozen.get(name, to, "--segment-size", "1m", "--tiers", "local,dr", status=255)
    assert "cannot be read" in got.err and re.search("cold class|archive", got.err), got
    assert not os.path.exists(to)
    verified = frozen.json("verify", "--tier", "dr", "--level", "1", status=None)
    assert not [f for f in verified.get("findings", []) if "walb/" in str(f)], verified
    assert verified["wal_frozen"] == verified["wal_pieces"] == len(frozen.bundles()), verified
    said = frozen.run("verify", "--tier", "dr", "--level", "1", status=None).out
    assert re.search(r"wal +%d pieces?, %d of them in an archive and not read" % (2 * (len(frozen.bundles()),)), said), said


def test_a_bundle_that_was_frozen_then_is_not_bad_now(servers, moto):
    site = made(servers, moto.bucket(versions=True))
    try:
        site.run("copy", "--to", "dr", site.backup())
        then = moment()
        verified = site.json("verify", "--as-of", then, status=None)
        assert verified["findings"] == [] and verified["broken"] == 0 and verified["away"] == 0, verified
        assert verified["wal_pieces"] > 0 and site.objects("dr", "walb/")
    finally:
        site.end_all()


def test_a_cold_tier_is_rebuilt_with_bundles_and_not_with_the_pieces_of_another(servers, minio, moto):
    site = BucketDatabase(servers.path("site"), servers.new(15, "--wal-segsize=1").start(),
                          {"regional": minio.bucket(versions=True), "dr": moto.bucket()}, tiers=("local", "regional", "dr"),
                          wal="local, regional, dr")
    try:
        site.write_config(tier={"dr": COLD})
        site.run("init")
        own(site.top)
        child = site.stream()
        for _ in range(2):
            site.run("copy", "--to", "regional", site.backup())
            fill(site)
        site.wait_shipped(site.server.lsn(), "regional")
        site.end(child)
        site.run("verify", "--tier", "regional")
        then = moment()
        assert len(site.pieces("regional")) > 1 and site.objects("regional", "rec/verified/")
        site.run("copy", "--as-of", then, "--to", "dr")
        assert not pieces_of_dr(site) and site.objects("dr", "rec/verified/") == []
        bundles = Cold.bundles(site)
        assert len(bundles) > 1 and all(a[1] == b[0] for a, b in zip(bundles, bundles[1:])), bundles
        assert bundles[-1][1] == site.pieces("regional")[-1][1], bundles
        assert site.objects("dr", "snap/") == site.objects("regional", "snap/")
        verified = site.json("verify", "--tier", "dr", status=None)
        assert verified["findings"] == [] and verified["wal_holes"] == 0, verified
        # What lies there by now is frozen, and known to be right all the same.
        again = site.json("copy", "--as-of", then, "--to", "dr", status=None)
        assert (again["missing"], again["replaced"], again["lost"]) == (0, 0, 0), again
    finally:
        site.end_all()


def test_a_damaged_piece_is_bundled_by_nobody(frozen):
    snapshot = frozen.backup()
    flip(frozen.tier("local", frozen.piece(frozen.pieces("local")[0])))
    frozen.run("copy", "--to", "dr", snapshot, status=VERIFY)
    assert not frozen.objects("dr", "walb/") and not frozen.objects("dr", "snap/")


def test_a_database_is_restored_from_bundles_alone(servers, open_):
    child = open_.stream()
    ledger = Ledger(open_.server).start().wait(20)
    open_.backup()
    open_.run("copy", "--to", "dr")
    ledger.wait(100).stop()
    end = lsn(open_.server.value("SELECT pg_switch_wal()"))
    open_.wait_shipped(end, "local")
    open_.end(child)
    open_.run("copy", "--to", "dr")
    assert len(open_.bundles()) >= 2 and not pieces_of_dr(open_)
    os.rename(open_.tier("local"), open_.tier("local") + ".away")
    shutil.rmtree(open_.path("state", "spool"))
    open_.run("verify", "--tier", "dr", "--level", "2", status=None)
    restore(open_, status=None)
    other = boot(servers, open_)
    assert ledger.lost(other) == []


def test_the_second_reader_reads_bundles(open_):
    open_.backup()
    fill(open_)
    open_.server.sql("SELECT pg_switch_wal()")
    open_.backup()
    open_.run("copy", "--to", "dr")
    start, end = open_.bundles()[0]
    reader = Reader(open_, mirror(open_, "mirror"))
    text = reader.run("check")
    assert text.rstrip().endswith(": clean") and ", %d bundles," % len(open_.bundles()) in text, text
    sysid, epoch = open_.place()
    reader.run("wal", "pg.pay/%s/%s/00000001" % (sysid, epoch), "%x" % start, "%x" % end, open_.path("log"))
    with open(open_.path("log"), "rb") as f:
        log = f.read()
    at = start
    while at < end:
        segment = at - at % (1 << 20)
        until = min(segment + (1 << 20), end)
        name = open_.server.value("SELECT pg_walfile_name('%X/%X'::pg_lsn + 1)" % (at >> 32, at & 0xffffffff))
        path = os.path.join(open_.server.data, "pg_wal", name)
        if os.path.exists(path):
            with open(path, "rb") as f:
                assert log[at - start:until - start] == f.read()[at - segment:until - segment], name
        at = until


def test_a_warm_tier_is_filled_from_bundles_piece_by_piece(open_):
    open_.backup()
    open_.run("copy", "--to", "dr")
    before = open_.pieces("local")
    for piece in before:
        os.unlink(open_.tier("local", open_.piece(piece)))
    line = open_.copied("--to", "local")
    assert line and line[0]["wal_sent"] == len(before), line
    assert open_.pieces("local") == before
    open_.assert_no_hole("local")
    assert "clean" in Reader(open_, open_.tier("local")).run("check")


def test_a_damaged_bundle_is_found_and_mended_from_another_tier(open_):
    open_.backup()
    open_.run("copy", "--to", "dr")
    name, = open_.objects("dr", "walb/")
    open_.bucket("dr").flip("prod/" + name)
    found = open_.run("verify", "--tier", "dr", "--level", "1", status=VERIFY)
    assert name in found.out + found.err
    open_.run("verify", "--tier", "dr", "--level", "1", "--repair", status=None)
    open_.run("verify", "--tier", "dr", "--level", "2")


def test_bundles_come_back_as_they_were_at_a_time(servers, radosgw):
    """One gone, one overwritten, one of its old length with other bytes: by its name alone it would be taken for sound."""
    site = made(servers, radosgw.bucket(versions=True))
    child = site.stream()
    for _ in range(3):
        site.backup()
        fill(site)
        site.wait_shipped(lsn(site.server.value("SELECT pg_switch_wal()")), "local")
        site.run("copy", "--to", "dr")
    site.end(child)
    bucket, names = site.bucket("dr"), site.objects("dr", "walb/")
    was = {n: bucket.get("prod/" + n) for n in names}
    assert len(names) >= 3
    then = moment()
    bucket.delete("prod/" + names[0])
    bucket.put("prod/" + names[1], b"your log is ours")
    bucket.flip("prod/" + names[2])
    shutil.rmtree(site.tier("local"))
    result = site.json("copy", "--as-of", then, "--to", "dr", status=None)
    assert (result["missing"], result["replaced"], result["lost"]) == (1, 2, 0), result
    assert {n: bucket.get("prod/" + n) for n in site.objects("dr", "walb/")} == was
    assert {bucket.get("prod/" + n) == b"your log is ours" for n in site.objects("dr", "bad/")} == {True, False}
    # A tier that is new gets them as well.
    os.makedirs(site.tier("local"))
    site.run("copy", "--as-of", then, "--to", "local", status=None)
    for name in names:
        with open(site.tier("local", name), "rb") as f:
            assert f.read() == was[name]
