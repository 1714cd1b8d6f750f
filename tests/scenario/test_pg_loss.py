"""The test everything else is for: the server dies with its disk, and what comes back is held against the client's own ledger.

A random moment each time. FFDR_TEST_ROUNDS makes more of them than a check of a few minutes has room for.
"""

import os
import random
import time

import pytest

from databases import Database, database_fixture, make_database  # noqa: F401 (a fixture)
from postgres import Ledger, eventually, own, servers_fixture  # noqa: F401

ROUNDS = int(os.environ.get("FFDR_TEST_ROUNDS", "3"))
SHIP_EVERY = 1.0
UPLOAD = 2.0  # a put on a busy machine, and the sample's own age


def protected(servers, seed, **settings):
    site = make_database(servers, 15, "--wal-segsize=1", ship_every="1s")
    ledger = Ledger(site.server, clients=2, seed=seed)
    site.backup("--tier", "regional")
    site.receiver = site.stream()
    eventually(lambda: site.server.sql("SELECT 1 FROM pg_stat_replication WHERE application_name = 'ffdr'"))
    # Not before there is somebody to wait for.
    site.server.set(**settings)
    site.server.sql("SELECT pg_reload_conf()")
    time.sleep(0.3)
    return site, ledger


def die(site, ledger, rng):
    """After a while, and at that moment, all of it. When that was."""
    ledger.start().wait(30)
    time.sleep(rng.uniform(0.0, 2.5))
    site.server.kill()
    moment = time.time()
    site.server.destroy()
    ledger.stop()
    return moment


def bring_back(servers, site, *more):
    target = site.path("restored")
    own(site.top)  # who runs the server must read keys and tiers
    site.run("restore", "pg.pay", "--to", target, "--tier", "regional", *more)
    other = servers.adopt(target, 15).start()
    eventually(other.recovered, what="the end of recovery")
    return other


@pytest.mark.parametrize("seed", range(1, ROUNDS + 1))
def test_the_loss_is_never_more_than_was_claimed(servers, seed):
    site, ledger = protected(servers, seed)
    try:
        moment = die(site, ledger, random.Random(seed))
        claim = [line for line in site.run("exposure", "pay", "--json", status=None).json()["lines"]
                 if line["tier"] == "regional"][0]
        # The host is lost with all it has.
        site.receiver.kill()
        site.receiver.wait()
        other = bring_back(servers, site)
        lost = ledger.lost(other)
        seconds = moment - min((row[1] for row in lost), default=moment)
        assert claim["seconds"] is not None
        assert seconds <= claim["seconds"] + 0.05, (seconds, claim)
        assert seconds <= SHIP_EVERY + UPLOAD, (seconds, len(lost), ledger.count())
        if claim["commits"] is not None:
            assert len(lost) <= claim["commits"]
        # Nothing but the end is missing: what is lost is the newest of each client.
        kept = {row[0] for row in ledger.acknowledged} - {row[0] for row in lost}
        for row in lost:
            client = row[0] // 10_000_000
            assert row[0] > max((k for k in kept if k // 10_000_000 == client), default=0)
    finally:
        site.end_all()


@pytest.mark.parametrize("seed", range(101, 101 + max(1, ROUNDS // 2)))
def test_as_synchronous_standby_the_loss_is_zero(servers, seed):
    site, ledger = protected(servers, seed, synchronous_standby_names="ffdr")
    try:
        die(site, ledger, random.Random(seed))
        # The receiver's host lives: a clean stop ships what its spool has.
        site.end(site.receiver)
        other = bring_back(servers, site)
        assert ledger.lost(other) == []
    finally:
        site.end_all()


def test_also_when_the_receiver_dies_with_the_server_its_spool_has_everything(servers):
    site, ledger = protected(servers, 201, synchronous_standby_names="ffdr")
    try:
        ledger.start().wait(40)
        time.sleep(0.7)
        site.receiver.kill()
        site.server.kill()
        site.server.destroy()
        ledger.stop()
        site.receiver.wait()
        # Back up again, without a server: what it finds in the spool it ships.
        said = site.stream_log().count("ships the WAL now")
        site.receiver = site.stream()
        eventually(lambda: site.stream_log().count("ships the WAL now") > said, what="the lease")
        site.end(site.receiver)
        target = site.path("restored")
        own(site.top)
        site.run("restore", "pg.pay", "--to", target)
        own(site.top)
        other = servers.adopt(target, 15).start()
        eventually(other.recovered, what="the end of recovery")
        assert ledger.lost(other) == []
    finally:
        site.end_all()
