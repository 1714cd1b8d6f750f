"""A database whose tier is a bucket: backups, the stream of WAL and what is archived go there, and it comes back from there alone, as far
as was claimed and never further than is known."""

import datetime
import os
import random
import re
import shutil
import signal
import socket
import time

import pytest

from conftest import DEGRADED, SECONDS
from databases import eventually
from postgres import Ledger, lsn, servers_fixture  # noqa: F401
from restored import UNKNOWN, boot, ids, readable, refuses, restore, shipped
from s3 import before_fixture, radosgw_fixture, versitygw_fixture  # noqa: F401
from s3_databases import BucketDatabase
from test_keep import later
from test_pg_stream import fill

SHIP_EVERY = 1.0
UPLOAD = 2.0  # a put on a busy machine, and the sample's own age
CUT = 6.0
SILENT = 3 * SHIP_EVERY + 16.0  # then `wal status` calls a tier silent
SEGSIZE = "--wal-segsize=1"


def made(servers, server, before, **keys):
    """A site whose regional tier is a bucket behind site.proxy, with a receiver running."""
    proxy = before(server)
    site = BucketDatabase(servers.path("site"), servers.new(15, SEGSIZE).start(), {"regional": (server.bucket(), proxy.url)}, **keys)
    site.proxy = proxy
    site.run("init")
    site.receiver = site.stream()
    eventually(lambda: site.server.sql("SELECT 1 FROM pg_stat_replication WHERE application_name = 'ffdr'"), what="the receiver")
    return readable(site)


@pytest.fixture(name="site")
def site_fixture(servers, versitygw, before):
    site = made(servers, versitygw, before)
    yield site
    site.end_all()


def lose_local(site):
    """All that the first host had but its configuration: tier, spool, coordination."""
    site.end_all()
    shutil.rmtree(site.tier("local"))
    shutil.rmtree(site.path("state"))


def exposed(site, tier="regional"):
    return next(x for x in site.json("exposure", "pay", status=None)["lines"] if x["tier"] == tier)


def acknowledged(site):
    """Up to where the receiver has told the server that it has the WAL."""
    return lsn(site.server.value("SELECT flush_lsn::text FROM pg_stat_replication WHERE application_name = 'ffdr'"))


def seconds_lost(ledger, lost, moment):
    return moment - min((row[1] for row in lost), default=moment)


# ---- there and back ----

def all_its_life(servers, site):
    server = site.server
    ledger = Ledger(server, pause=0.01).start().wait(20)
    snapshot = site.backup()
    site.run("copy", "--to", "regional", snapshot)
    assert site.objects("regional", "snap/")
    ledger.wait(ledger.count() + 20).stop()
    kept = ids(server)
    moment = str(server.value("SELECT clock_timestamp()"))
    time.sleep(0.05)
    server.sql("INSERT INTO ffdr_ledger VALUES (9999999999, 0, '')")
    shipped(site)
    status = site.json("wal", "status", "pay", status=None)["sources"][0]
    there = next(t for t in status["tiers"] if t["tier"] == "regional")
    assert there["known"] and there["holes"] == [] and lsn(there["frontier"]) == site.frontier("regional")
    eventually(lambda: exposed(site)["commits"] in (0, None) and exposed(site)["seconds"] <= SHIP_EVERY + UPLOAD,
               what="nothing to lose but what is new")
    proof = site.json("verify", "--restore", "pg.pay", "--tier", "regional")["restores"][0]
    assert proof["why"] is None and proof["end_lsn"] == proof["frontier"]
    lose_local(site)
    restore(site, status=DEGRADED)
    assert ids(boot(servers, site)) == kept | {9999999999}
    restore(site, "--at", moment, to="then", status=DEGRADED)
    assert ids(boot(servers, site, to="then")) == kept


def test_a_database_lives_in_a_bucket_and_comes_back_from_it_alone(servers, site):
    all_its_life(servers, site)


def test_so_it_does_with_ceph(servers, radosgw, before):
    site = made(servers, radosgw, before)
    try:
        all_its_life(servers, site)
    finally:
        site.end_all()


def attention(site):
    return site.json("wal", "status", "pay", status=None)["sources"][0]["attention"]


@pytest.fixture(name="locking")
def locking_fixture(servers, versitygw, before, request):
    """A site whose regional tier locks: beside a local one, or the only one."""
    proxy = before(versitygw)
    tiers = getattr(request, "param", ("local", "regional"))
    site = BucketDatabase(servers.path("site"), servers.new(15, SEGSIZE).start(), {"regional": (versitygw.bucket(lock=True), proxy.url)},
                          tiers=tiers, wal=", ".join(tiers))
    site.proxy = proxy
    site.write_config(tier={"regional": "keep = 7d\nlock = compliance"})
    site.run("init")
    site.stream()
    site.run("copy", "--to", "regional", site.backup())
    site.server.sql("CREATE TABLE t (i int)")
    site.wait_shipped(site.server.lsn())
    yield site
    site.end_all()


def rest(site):
    """Until it is as long since the last piece came as would be silence elsewhere."""
    eventually(lambda: attention(site) == [], what=lambda: attention(site))
    at, since, until = None, 0.0, time.monotonic() + 3 * SILENT
    while at is None or time.monotonic() - since < SILENT:
        assert time.monotonic() < until, "the server does not rest"
        time.sleep(0.5)
        if at != site.frontier("regional"):
            at, since = site.frontier("regional"), time.monotonic()
    assert attention(site) == []
    assert exposed(site)["seconds"] <= SHIP_EVERY + UPLOAD


def test_a_tier_that_locks_has_no_beat_and_is_judged_by_its_wal(locking):
    """What is overwritten all the time would be kept each time there; so a server that rests must not look like one that hangs."""
    site = locking
    rest(site)
    assert site.objects("local", "beat/") and not site.objects("regional", "beat/")
    there = next(t for t in site.json("wal", "status", "pay", status=0)["sources"][0]["tiers"] if t["tier"] == "regional")
    assert lsn(there["sample"]["lsn"]) <= lsn(there["frontier"])
    # Heard of by the other tier, since its own last piece came.
    heard = datetime.datetime.fromisoformat(there["sample"]["time"].replace("Z", "+00:00")).timestamp()
    assert time.time() - heard < SILENT - SHIP_EVERY
    site.proxy.fault(("status", 503, "SlowDown"), method="PUT", path="/wal/", times=None)
    site.server.sql("INSERT INTO t VALUES (1)")
    fill(site.server, 2)
    site.wait_shipped(site.server.lsn(), "local")
    # It has been there for a moment only, however long the server had rested before.
    assert attention(site) == []
    found = eventually(lambda: attention(site), what="an alarm")
    assert any("'regional' lacks WAL that another tier has had for" in text for text in found), found
    site.proxy.clear()
    site.wait_shipped(site.server.lsn())
    eventually(lambda: attention(site) == [], what=lambda: attention(site))


def test_what_another_tier_heard_is_dated_by_the_clock_of_the_one_that_is_judged(locking):
    """One that is behind would else have its loss told as that much less."""
    site = locking
    behind = 10.0
    site.proxy.ahead = -behind
    time.sleep(behind)  # what lies there by now has no sample of that clock's future
    fill(site.server, 2)
    site.wait_shipped(site.server.lsn())
    rest(site)
    site.end_all()
    site.server.stop()
    ended = time.monotonic()
    time.sleep(behind + 2)
    past = time.monotonic() - ended
    assert exposed(site)["seconds"] >= past - 1.5  # such a clock tells whole seconds


def test_a_tier_that_gets_nothing_any_more_says_nothing_of_one_that_does(locking):
    site = locking
    with open(site.tier("local", "beat/pg.pay"), "rb") as f:
        last = f.read()
    site.server.sql("INSERT INTO t VALUES (1)")
    time.sleep(10)
    began = time.monotonic()
    fill(site.server, 3)
    site.wait_shipped(site.server.lsn(), "regional")
    time.sleep(2 * SHIP_EVERY)
    site.end_all()
    site.server.stop()
    with open(site.tier("local", "beat/pg.pay"), "wb") as f:
        f.write(last)
    assert exposed(site)["seconds"] <= time.monotonic() - began + UPLOAD


@pytest.mark.parametrize("locking", [("regional",)], indirect=True)
def test_where_no_tier_keeps_a_beat_a_segment_that_does_not_come_is_told(locking):
    site = locking
    rest(site)
    site.proxy.fault(("status", 503, "SlowDown"), method="PUT", path="/wal/", times=None)
    fill(site.server, 3)
    found = eventually(lambda: attention(site), what="an alarm")
    assert any(re.match(r"'regional' is \S+ \S+ behind, and has been so for up to ", text) for text in found), found
    site.proxy.clear()
    site.wait_shipped(site.server.lsn())
    eventually(lambda: attention(site) == [], what=lambda: attention(site))


def test_a_copy_brings_the_wal_of_a_base_backup_before_its_manifest(servers, versitygw, before):
    """No receiver and no push: all the bucket has comes by the copy, the manifest when everything is there."""
    proxy = before(versitygw)
    site = BucketDatabase(servers.path("site"), servers.new(15, SEGSIZE).start(), {"regional": (versitygw.bucket(), proxy.url)})
    site.run("init")
    snapshot = site.backup()
    assert site.pieces("local") and not site.objects("regional", "wal/")
    proxy.forget()
    site.run("copy", "--to", "regional", snapshot)
    puts = [r.path.split("/")[3] for r in proxy.seen("PUT")]
    assert puts.count("snap") == 1 and "wal" in puts and "pack" in puts
    assert puts.index("snap") > max(i for i, kind in enumerate(puts) if kind in ("wal", "pack"))
    assert site.pieces("regional") == site.pieces("local")
    for name in site.objects("local", "wal/"):
        with open(site.tier("local", name), "rb") as f:
            assert f.read() == site.bucket("regional").get("prod/" + name), name
    readable(site)
    lose_local(site)
    restore(site, what=snapshot, status=DEGRADED)
    boot(servers, site)


# ---- what is lost ----

@pytest.mark.parametrize("seed", (1, 2))
def test_the_loss_is_never_more_than_was_claimed(servers, site, seed):
    rng = random.Random(seed)
    ledger = Ledger(site.server, clients=2, seed=seed)
    site.backup("--tier", "regional")
    ledger.start().wait(30)
    time.sleep(rng.uniform(0.0, 2.5))
    site.server.kill()
    moment = time.time()
    site.server.destroy()
    ledger.stop()
    claim = exposed(site)
    lose_local(site)
    restore(site, status=DEGRADED)
    lost = ledger.lost(boot(servers, site))
    assert claim["seconds"] is not None, claim
    assert seconds_lost(ledger, lost, moment) <= min(claim["seconds"] + 0.05, SHIP_EVERY + UPLOAD), (len(lost), claim)
    assert claim["commits"] is None or len(lost) <= claim["commits"], (len(lost), claim)


def test_a_claim_goes_by_the_clock_of_when_all_was_read(servers, site):
    """The receiver goes on while `exposure` looks, which cannot reach the server: what it reads last is from after its first question."""
    site.backup("--tier", "regional")
    shipped(site)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        site.write_config(conninfo="host=127.0.0.1 port=%d user=postgres dbname=postgres" % nobody.getsockname()[1])
        for wait in (0.0, 0.7, 1.4, 2.6):
            site.proxy.clear()
            site.proxy.fault(("late", wait), method="GET", path="/beat/", times=100)
            claim = exposed(site)
            assert claim["seconds"] is not None and claim["seconds"] <= SHIP_EVERY + UPLOAD + 1.0 + 2 * wait, (wait, claim)


def test_a_line_that_is_cut_delays_and_loses_nothing(servers, site):
    site.backup("--tier", "regional")
    ledger = Ledger(site.server, pause=0.005).start().wait(20)
    shipped(site)
    site.proxy.fault("reset", times=None)
    cut = time.monotonic()
    before = site.server.lsn()
    at = acknowledged(site)
    time.sleep(CUT)
    # The server goes on, and so does the receiver: it has on its disk what the bucket lacks.
    assert acknowledged(site) > at and site.server.lsn() > before
    assert site.receiver.poll() is None
    end = shipped(site, "local")
    site.proxy.clear()
    eventually(lambda: site.frontier("regional") >= end, what=lambda: "what waited\n" + site.stream_log() + "\n".join(
        map(str, site.proxy.seen()[-60:])))
    assert site.assert_no_hole("regional") >= end
    ledger.stop()
    shipped(site)
    lose_local(site)
    restore(site, status=DEGRADED)
    assert ledger.lost(boot(servers, site)) == []
    assert time.monotonic() - cut < SECONDS


def test_a_bucket_out_of_reach_never_promotes_short(servers, site):
    site.backup("--tier", "regional")
    ledger = Ledger(site.server).start().wait(30).stop()
    fill(site.server, 2)
    shipped(site)
    lose_local(site)
    restore(site, status=DEGRADED)
    site.proxy.fault("reset", times=None)
    refuses(servers, site, UNKNOWN)
    site.proxy.clear()
    # The same directory, once the bucket is back.
    other = servers.all[-1]
    other.start()
    eventually(other.recovered, what="the end of recovery")
    assert ledger.lost(other) == []


# ---- archived, and let go of ----

def test_what_is_pushed_comes_back_from_the_bucket(servers, versitygw, before):
    proxy = before(versitygw)
    server = servers.new(15, SEGSIZE).start()
    site = BucketDatabase(servers.path("site"), server, {"regional": (versitygw.bucket(), proxy.url)}, method="stream")
    site.run("init")
    snapshot = site.backup("--tier", "regional")
    assert snapshot
    ledger = Ledger(server).start().wait(40).stop()
    fill(server, 2)
    first = min(site.pieces("regional"))[0]
    current = server.value("SELECT pg_walfile_name(pg_switch_wal())")
    for name in sorted(os.listdir(os.path.join(server.data, "pg_wal"))):
        if len(name) == 24 and name <= current and int(name[16:], 16) << 20 >= first:
            site.run("wal", "push", os.path.join(server.data, "pg_wal", name))
    site.assert_no_hole("regional")
    server.destroy()
    readable(site)
    lose_local(site)
    restore(site, status=DEGRADED)
    assert ledger.lost(boot(servers, site)) == []


def backup(site, days):
    """A base backup in so many days, on both tiers, with WAL behind it."""
    site.proxy.ahead = days * 86400
    snapshot = site.backup(env=later(days))
    site.run("copy", "--to", "regional", snapshot, env=later(days))
    fill(site.server)
    return snapshot


@pytest.mark.usefixtures("fault_points")
def test_what_is_past_its_time_goes_and_what_is_kept_comes_back(servers, site):
    """The clock of the bucket goes on as the host's does."""
    site.write_config(tier={"local": "keep = 2d", "regional": "keep = 2d"})
    readable(site)
    # Packs of nothing but what no later backup has.
    site.server.sql("CREATE TABLE noise (bytes bytea)")
    site.server.sql("ALTER TABLE noise ALTER bytes SET STORAGE plain")
    site.server.sql("INSERT INTO noise SELECT string_agg(sha512((i || ' ' || j)::bytea), '') "
                    "FROM generate_series(1, 5500) i, generate_series(1, 120) j GROUP BY i")
    site.server.sql("CHECKPOINT")
    first = backup(site, 0)
    site.server.sql("DROP TABLE noise")
    second = backup(site, 3)
    ledger = Ledger(site.server).start().wait(30).stop()
    third = backup(site, 6)
    shipped(site)
    shipped(site, "local")
    site.end(site.receiver, how=signal.SIGTERM, status=None)
    packs, pieces = site.objects("regional", "pack/"), site.pieces("regional")
    site.proxy.ahead = 8 * 86400
    told = site.json("expire", "--yes-more-than-half", env=later(8))
    assert told["wal_gone"] > 0
    left = site.pieces("regional")
    assert 0 < len(left) < len(pieces) and left == pieces[-len(left):]
    site.run("gc", env=later(8))
    site.proxy.ahead = 10 * 86400
    site.run("gc", env=later(10))
    after = site.objects("regional", "pack/")
    assert set(after) < set(packs)
    listed = [s["snapshot"] for s in site.json("list", "--tier", "regional", env=later(10))["snapshots"]]
    assert first not in listed and listed == [second, third]
    site.run("verify", "--level", "2", "--tier", "regional", env=later(10))
    site.proxy.ahead = 0
    lose_local(site)
    restore(site, status=DEGRADED)
    assert ledger.lost(boot(servers, site)) == []

