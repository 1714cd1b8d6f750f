"""Retention of base backups and WAL: every second of the window stays restorable, and nothing else stays for ever."""

import os
import re
import shutil

import pytest

from conftest import flip
from databases import Database, database_fixture, make_database  # noqa: F401 (a fixture)
from postgres import eventually, lsn, servers_fixture  # noqa: F401
from test_keep import later

pytestmark = pytest.mark.usefixtures("fault_points")
SEG = 1 << 20
VERIFY = 4


@pytest.fixture(name="kept")
def kept_fixture(database):
    """Both tiers keep two days; a receiver runs."""
    database.write_config(tier={"local": "keep = 2d", "regional": "keep = 2d"})
    database.child = database.stream()
    eventually(lambda: database.objects("regional", "beat/pg.pay"), what="the first sample")
    return database


def fill(site, times=3):
    for _ in range(times):
        site.server.sql("CREATE TABLE junk AS SELECT repeat('x', 500) FROM generate_series(1, 4000)")
        site.server.sql("DROP TABLE junk")


def backup(site, days, *more):
    """A base backup that many days from now, on both tiers, with WAL behind it; its id."""
    snapshot = site.backup(*more, env=later(days))
    site.run("copy", "--to", "regional", snapshot, env=later(days))
    fill(site)
    return snapshot


def settled(site, tli=1):
    end = site.server.lsn()
    for tier in ("local", "regional"):
        site.wait_shipped(end, tier, tli=tli)


def snapshots(site, tier):
    return [s["snapshot"] for s in site.json("list", "--tier", tier)["snapshots"]]


def wal(site, tier):
    return site.objects(tier, "wal/pg.pay/")


def base_start(site, tier):
    """Where the oldest base backup of a tier begins, at the earliest: the end of it is told."""
    found = site.json("wal", "status", "pay", status=None)["sources"][0]
    return next(t for t in found["tiers"] if t["tier"] == tier)


def test_wal_before_the_oldest_base_backup_goes_and_the_rest_stays(kept):
    first, second, third = backup(kept, 0), backup(kept, 3), backup(kept, 6)
    settled(kept)
    before = {tier: wal(kept, tier) for tier in kept.tiers}
    out = kept.run("expire", "--dry-run", env=later(8)).out
    assert "before the oldest base backup of its timeline" in out and "a base backup that stays needs it: %s" % second in out
    assert {tier: wal(kept, tier) for tier in kept.tiers} == before
    told = kept.json("expire", "--yes-more-than-half", env=later(8))
    assert told["wal_going"] == told["wal_gone"] > 0
    for tier in kept.tiers:
        assert snapshots(kept, tier) == [second, third]
        left = kept.pieces(tier)
        assert 0 < len(left) < len([n for n in before[tier] if re.search("/[0-9a-f]{16}-", n)])
        # From the segment that the older of the two begins in, without a hole.
        at = base_start(kept, tier)
        assert at["holes"] == [] and lsn(at["restorable_to"]) == kept.frontier(tier)
        assert left[0][0] <= lsn(at["restorable_from"])
        group = [g for p in told["parts"] if p["tier"] == tier for g in p["wal"]]
        gone, stays = [g for g in group if g["goes"]], [g for g in group if not g["goes"]]
        assert lsn(gone[0]["to"]) == lsn(stays[0]["from"]) == left[0][0]
        assert left[0][0] % SEG == 0 and stays[0]["needed_by"] == second
    assert first not in snapshots(kept, "local")
    # Asked once more there is nothing left to do.
    assert kept.json("expire", env=later(8))["wal_gone"] == 0


def bundle(site, tier, each=5):
    """Makes what the tier has in pieces into bundles of that many, as they would lie in an archive class; [(start, end)]."""
    made, group = [], []
    pieces = site.pieces(tier)
    for i, piece in enumerate(pieces):
        group.append(piece)
        if len(group) < each and i + 1 < len(pieces) and pieces[i + 1][0] == piece[1]:
            continue
        paths = [site.tier(tier, site.piece(p)) for p in group]
        path = site.tier(tier, site.piece((group[0][0], group[-1][1])).replace("wal/", "walb/", 1))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            for one in paths:
                with open(one, "rb") as g:
                    f.write(g.read())
        shutil.copystat(paths[-1], path)
        for one in paths:
            os.unlink(one)
        made.append((group[0][0], group[-1][1]))
        group = []
    return made


def bundles(site, tier):
    found = [re.search("/([0-9a-f]{16})-([0-9a-f]{16})$", n) for n in site.objects(tier, "walb/")]
    return [(int(m[1], 16), int(m[2], 16)) for m in found]


def test_bundles_go_when_nothing_in_them_is_needed(kept):
    for days in (0, 3):
        backup(kept, days)
    third = backup(kept, 6)
    settled(kept)
    kept.end(kept.child)
    before = bundle(kept, "regional")
    assert len(before) > 3 and bundles(kept, "regional") == before and not kept.pieces("regional")
    told = kept.json("expire", "--yes-more-than-half", env=later(8))
    left = bundles(kept, "regional")
    assert 0 < len(left) < len(before) and left == before[-len(left):]
    at = base_start(kept, "regional")
    assert at["holes"] == [] and lsn(at["restorable_to"]) == before[-1][1]
    # Not one more than has to stay: the first has a byte of the segment that the oldest base backup begins in.
    needed = lsn(at["restorable_from"]) - lsn(at["restorable_from"]) % SEG
    start = min(lsn(g["from"]) for p in told["parts"] if p["tier"] == "regional" for g in p["wal"] if not g["goes"])
    assert left[0][0] == start and left[0][1] > needed - SEG
    assert third in snapshots(kept, "regional")
    kept.run("verify", "--tier", "regional", "--level", "2", env=later(8))


def test_what_is_younger_than_keep_stays_whatever_needs_it(kept):
    backup(kept, 0)
    backup(kept, 1.5)
    settled(kept)
    before = wal(kept, "regional")
    assert kept.json("expire", env=later(1.9))["wal_gone"] == 0
    assert wal(kept, "regional") == before


def test_a_manifest_that_cannot_be_read_stops_it(kept):
    backup(kept, 0)
    second = backup(kept, 3)
    backup(kept, 6)
    settled(kept)
    before = {tier: wal(kept, tier) for tier in kept.tiers}
    flip(kept.tier("regional", "snap", *second.split("/")))
    result = kept.run("expire", "--yes-more-than-half", env=later(8), status=VERIFY)
    assert "cannot be read" in result.err
    assert wal(kept, "regional") == before["regional"]
    assert len(wal(kept, "local")) < len(before["local"])


def test_a_timeline_that_was_left_goes_when_no_base_backup_is_on_it_any_more(kept):
    server = kept.server
    backup(kept, 0)
    settled(kept)
    # The server comes up again as a standby and is promoted: timeline 2 is the same one's.
    server.stop()
    open(os.path.join(server.data, "standby.signal"), "w", encoding="utf-8").close()
    server.own()
    server.start()
    server.promote()
    fill(kept, 1)
    settled(kept, tli=2)
    second = backup(kept, 3)
    backup(kept, 6)
    settled(kept, tli=2)
    assert kept.pieces("regional", tli=1)
    kept.run("expire", "--yes-more-than-half", env=later(8))
    assert snapshots(kept, "regional")[0] == second
    assert not kept.pieces("regional", tli=1) and kept.pieces("regional", tli=2)
    assert any(n.endswith("00000002.history") for n in wal(kept, "regional"))
    at = base_start(kept, "regional")
    assert at["holes"] == [] and lsn(at["restorable_to"]) == kept.frontier("regional", tli=2)


def test_wal_of_another_system_goes_with_its_last_snapshot(servers, kept):
    backup(kept, 0)
    settled(kept)
    old = kept.server.sysid
    kept.end(kept.child)
    kept.server = servers.new(15, "--wal-segsize=1").start()
    kept.write_config(tier={"local": "keep = 2d", "regional": "keep = 2d"}, conninfo=kept.server.conninfo)
    second = backup(kept, 3, "--new-system")
    new = kept.server.sysid
    # The snapshot of the old system is not older than the window yet: both stay.
    kept.run("expire", env=later(4))
    assert any("/%d/" % old in n for n in wal(kept, "regional"))
    backup(kept, 6)
    kept.run("expire", "--yes-more-than-half", env=later(8))
    assert snapshots(kept, "regional")[0] == second
    assert not any("/%d/" % old in n for n in wal(kept, "regional"))
    assert any("/%d/" % new in n for n in wal(kept, "regional"))


def test_a_tier_that_gets_wal_and_no_snapshots_is_judged_by_those_of_the_others(servers):
    site = make_database(servers, 15, "--wal-segsize=1", wal="regional")
    try:
        site.write_config(tiers="local", tier={"local": "keep = 2d", "regional": "keep = 2d"})
        site.stream()
        eventually(lambda: site.objects("regional", "beat/pg.pay"), what="the first sample")
        for days in (0, 3, 6):
            site.backup(env=later(days))
            fill(site)
        site.wait_shipped(site.server.lsn())
        before = site.pieces("regional")
        os.rename(site.tier("local"), site.tier("local") + ".away")
        result = site.run("expire", "--yes-more-than-half", env=later(8), status=None)
        assert site.pieces("regional") == before, result
        os.rename(site.tier("local") + ".away", site.tier("local"))
        site.run("expire", "--yes-more-than-half", env=later(8))
        after = site.pieces("regional")
        assert 0 < len(after) < len(before)
        assert site.assert_no_hole("regional") == before[-1][1]
    finally:
        site.end_all()


def test_a_hold_pins_its_wal(kept):
    first = backup(kept, 0)
    backup(kept, 3)
    backup(kept, 6)
    settled(kept)
    kept.run("hold", first, "--why", "an investigation")
    before = kept.pieces("regional")
    kept.run("expire", "--yes-more-than-half", env=later(8))
    assert first in snapshots(kept, "regional")
    # All from where it begins; what the receiver brought before that goes.
    at = base_start(kept, "regional")
    assert at["holes"] == [] and lsn(at["restorable_to"]) == before[-1][1]


def test_a_source_that_is_retired_leaves_no_wal(kept):
    backup(kept, 0)
    settled(kept)
    kept.end(kept.child)
    kept.server.stop()
    with open(kept.config, encoding="utf-8") as f:
        text = f.read()
    with open(kept.config, "w", encoding="utf-8") as f:
        f.write(text[:text.index("[postgres pay]")])
    kept.run("expire", "--retire", "pg.pay", "--why", "sold", status=None)
    for tier in kept.tiers:
        assert not wal(kept, tier) and not kept.objects(tier, "snap/")
