"""A base backup is as sound as the WAL that it itself needs: what is damaged, gone or not looked at is not called proved."""

import os

import pytest

from conftest import DEGRADED, VERIFY, flip
from postgres import lsn, servers_fixture  # noqa: F401
from test_keep import later
from test_pg_keep import backup, kept_fixture, settled, snapshots  # noqa: F401 (a fixture)
from databases import database_fixture  # noqa: F401
from restored import shipped
from test_pg_other import quiet_fixture, site_fixture, turn  # noqa: F401

FIRST = ("verify", "--tier", "local")


def own(site, snapshot="pg.pay", tier="local"):
    """Names of the pieces that the base backup needs, from the beginning of a segment on."""
    told = site.json("show", snapshot, status=None)["database"]
    start, stop = lsn(told["start-lsn"]) >> 20 << 20, lsn(told["stop-lsn"])
    return [site.archive("00000001", "%016x-%016x" % p) for p in site.pieces(tier) if p[0] < stop and p[1] > start]


def told(site, *more, status):
    found = site.json(*FIRST, *more, status=status)
    return found["snapshots"], found["good"], found["unread"]


def noted(site):
    """How many records of a proof and of a finding `local` has, and how status tells the tier's proof."""
    lines = site.json("status", status=None)["lines"]
    return [len(site.objects("local", "rec/%s/" % kind)) for kind in ("verified", "broken")], [
        x["verified_level"] for x in lines if x["tier"] == "local"]


@pytest.mark.parametrize("harm", (turn, os.unlink), ids=("damaged", "gone"))
def test_it_is_broken_while_its_wal_is_and_sound_when_that_is_mended(quiet, harm):
    before = noted(quiet)[0]
    for name in own(quiet):
        harm(quiet.tier("local", name))
    result = quiet.run(*FIRST, status=VERIFY)
    assert "0 of them sound" in result.out, result
    assert noted(quiet)[0] == [before[0], before[1] + 1]
    assert told(quiet, "--repair", status=None) == (1, 1, 0)
    assert told(quiet, status=0) == (1, 1, 0) and noted(quiet)[1] == [2]


def test_what_is_gone_is_missed_by_a_listing_alone(quiet):
    for name in own(quiet):
        os.unlink(quiet.tier("local", name))
    assert told(quiet, "--level", "0", status=VERIFY) == (1, 0, 0)


def cut_twice(site):
    """A base backup of whose own WAL the receiver shipped a part before all of it: that is so now and then, as its second falls."""
    for _ in range(20):
        mine = own(site, site.backup())
        shipped(site, "local")
        if len(mine) == 2 and len({n.rsplit("/", 1)[1].split("-")[1] for n in mine}) == 2:
            site.end(site.receiver)
            return mine
    return pytest.fail("the same bytes were never cut twice")


def test_where_its_bytes_are_good_in_another_piece_it_is_sound(site):
    mine = cut_twice(site)
    turn(site.tier("local", mine[0]))
    found = site.json(*FIRST, status=VERIFY)
    assert ([f["object"] for f in found["findings"]], found["good"]) == (mine[:1], found["snapshots"])


def test_under_a_limit_its_wal_is_read_with_it(quiet):
    """Whichever piece has its turn, in each run."""
    rounds = len(own(quiet)) + 2
    for _ in range(rounds):
        assert told(quiet, "--limit", "1ms", status=0) == (1, 1, 0)
    for name in own(quiet):
        turn(quiet.tier("local", name))
    for _ in range(rounds):
        found = quiet.json(*FIRST, "--limit", "1ms", status=VERIFY)
        assert found["good"] == 0 and found["wal_left"] > 0, found
        assert sorted(f["object"] for f in found["findings"]) == sorted(own(quiet))


def test_when_its_manifest_was_mended_its_wal_is_looked_at_too(quiet):
    bad = own(quiet)[0]
    turn(quiet.tier("local", bad))
    flip(quiet.tier("local", quiet.objects("local", "snap/")[0]))
    found = quiet.json(*FIRST, "--repair", status=None)
    assert [f["object"] for f in found["findings"] if f["repaired"]] == [quiet.objects("local", "snap/")[0], bad], found
    assert found["good"] == 1


@pytest.mark.usefixtures("fault_points")
def test_the_last_one_that_can_be_restored_does_not_expire(kept):
    first, second, third = backup(kept, 0), backup(kept, 3), backup(kept, 6)
    settled(kept)
    for name in set(own(kept, second) + own(kept, third)):
        os.unlink(kept.tier("local", name))
    found = kept.json(*FIRST, status=VERIFY, env=later(7))
    assert (found["snapshots"], found["good"]) == (3, 1), found
    kept.run("expire", "--yes-more-than-half", status=None, env=later(8))
    assert first in snapshots(kept, "local")
    kept.run("restore", first, "--tier", "local", "--to", kept.path("target"), status=DEGRADED)
