"""Copies of base backups: with their WAL, byte for byte, and a tier of WAL is filled."""

import os
import re
import shutil

import pytest

from conftest import flip
from databases import Database, database_fixture, make_database  # noqa: F401 (a fixture)
from postgres import eventually, lsn, servers_fixture  # noqa: F401

VERIFY = 4


def fill(site, times=3):
    for _ in range(times):
        site.server.sql("CREATE TABLE junk AS SELECT repeat('x', 500) FROM generate_series(1, 4000)")
        site.server.sql("DROP TABLE junk")


def same(site, name):
    with open(site.tier("local", name), "rb") as a, open(site.tier("regional", name), "rb") as b:
        return a.read() == b.read()


def tier(site, name):
    found = site.json("wal", "status", "pay", status=None)["sources"][0]
    return next(t for t in found["tiers"] if t["tier"] == name)


def test_a_copy_brings_the_wal_of_the_base_backup_byte_for_byte(database):
    snapshot = database.backup()
    assert database.pieces("local") and not database.pieces("regional")
    line = database.json("copy", "--to", "regional", snapshot)["copies"][0]
    assert line["outcome"] == "done" and line["wal_sent"] == len(database.pieces("local"))
    assert database.pieces("regional") == database.pieces("local")
    for name in database.objects("regional", "wal/"):
        assert same(database, name), name
    at = tier(database, "regional")
    assert at["holes"] == [] and lsn(at["restorable_to"]) >= lsn(at["restorable_from"])
    # once more there is nothing to do
    assert database.json("copy", "--to", "regional", snapshot)["copies"][0]["wal_sent"] == 0


def test_without_its_wal_there_is_no_snapshot(database):
    snapshot = database.backup()
    for name in database.objects("local", "wal/"):
        if "-" in os.path.basename(name):
            os.unlink(database.tier("local", name))
    result = database.run("copy", "--to", "regional", snapshot, status=VERIFY)
    assert "has no WAL" in result.err
    assert not database.objects("regional", "snap/")


def test_a_damaged_piece_is_not_spread(database):
    snapshot = database.backup()
    name = next(n for n in database.objects("local", "wal/") if "-" in os.path.basename(n))
    flip(database.tier("local", name))
    database.run("copy", "--to", "regional", snapshot, status=VERIFY)
    assert not database.objects("regional", "snap/")
    assert not os.path.exists(database.tier("regional", name))


def test_the_history_of_the_timeline_comes_along(database):
    server = database.server
    server.stop()
    open(os.path.join(server.data, "standby.signal"), "w", encoding="utf-8").close()
    server.own()
    server.start()
    server.promote()
    snapshot = database.backup()
    database.run("copy", "--to", "regional", snapshot)
    name = database.archive("00000002.history")
    assert name in database.objects("regional") and same(database, name)
    assert database.pieces("regional", tli=2) == database.pieces("local", tli=2)


def test_a_tier_of_wal_is_filled_up_from_the_others(database):
    """It was away while a receiver ran whose host is gone, spool and all."""
    child = database.stream()
    eventually(lambda: database.objects("regional", "beat/pg.pay"), what="the first sample")
    snapshot = database.backup()
    database.run("copy", "--to", "regional", snapshot)
    fill(database)
    database.wait_shipped(database.server.lsn(), "regional")
    os.rename(database.tier("regional"), database.tier("regional") + ".away")
    fill(database)
    end = database.server.lsn()
    database.wait_shipped(end, "local")
    database.end(child, status=None)
    shutil.rmtree(database.path("state", "spool"))
    os.rename(database.tier("regional") + ".away", database.tier("regional"))
    assert database.frontier("regional") < end
    report = database.json("copy", status=None)["copies"]
    line = next(x for x in report if x["outcome"] == "wal")
    assert line["to"] == "regional" and line["wal_sent"] > 0
    assert database.frontier("regional") == database.frontier("local") >= end
    database.assert_no_hole("regional")
    at = tier(database, "regional")
    assert at["holes"] == [] and lsn(at["restorable_to"]) == database.frontier("local")
    assert not [x for x in database.json("copy", status=None)["copies"] if x["outcome"] == "wal"]


def test_a_hole_is_filled_while_a_receiver_runs_and_the_newest_is_left_to_it(database):
    child = database.stream()
    eventually(lambda: database.objects("regional", "beat/pg.pay"), what="the first sample")
    snapshot = database.backup()
    database.run("copy", "--to", "regional", snapshot)
    fill(database)
    database.wait_shipped(database.server.lsn())
    database.wait_shipped(database.server.lsn(), "local")
    victims = database.pieces("regional")[-4:-1]
    for victim in victims:
        os.unlink(database.tier("regional", database.piece(victim)))
    left = [x for x in database.json("copy", status=None)["copies"] if x["outcome"] == "wal"]
    assert len(left) == 1 and left[0]["wal_sent"] == 0 and left[0]["wal_left"] > 0, left
    assert re.search(r"left \d+ pieces of WAL of pg\.pay for regional to the receiver", database.run("copy", status=None).out)
    for name in database.objects("local", "wal/"):
        os.utime(database.tier("local", name), (1_700_000_000, 1_700_000_000))
    assert [x for x in database.json("copy", status=None)["copies"] if x["outcome"] == "wal" and x["wal_sent"] > 0]
    database.assert_no_hole("regional")
    database.end(child)


@pytest.mark.parametrize("segsize", (1, 64))
def test_every_size_of_segment_is_copied(servers, segsize):
    site = make_database(servers, 15, "--wal-segsize=%d" % segsize)
    snapshot = site.backup()
    site.run("copy", "--to", "regional", snapshot)
    assert site.pieces("regional") == site.pieces("local")
    assert site.objects("regional", "snap/")
