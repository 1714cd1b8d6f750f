"""Under a limit a verification goes round: each snapshot has its turn, also beside those that cannot be proved."""

import os
import time

import trees
from conftest import flip
from s3 import before_fixture, fresh_server_fixture  # noqa: F401
from test_s3_thaw import Cold, moto_fixture  # noqa: F401


def grow(site, n):
    trees.write(os.fsencode(os.path.join(site.source, "more%d" % n)), trees.noise(100_000, 50 + n))
    trees.finish(os.fsencode(site.source))
    return site.backup()


def turns(site, tier, times):
    """Who had its turn in so many runs: records of a look that is younger than those before."""
    had = []
    for _ in range(times):
        time.sleep(1.1)  # names of records have seconds
        before = {n for kind in ("verified", "broken") for n in site.objects(tier, "rec/%s/" % kind)}
        found = site.json("verify", "--tier", tier, "--limit", "1ms", status=None)
        assert found["snapshots"] == 1 and found["left"] == times - 1, found
        new = {n for kind in ("verified", "broken") for n in site.objects(tier, "rec/%s/" % kind)} - before
        had.append(new.pop().split("/")[1])
        assert not new
    return had


def test_a_broken_one_does_not_take_the_turn_of_the_others(site):
    for n in range(2):
        grow(site, n)
    packs = set(site.objects("local", "pack/"))
    grow(site, 2)
    for pack in set(site.objects("local", "pack/")) - packs:
        flip(site.tier("local", pack))
    assert turns(site, "local", 3) == ["broken", "verified", "verified"]
    assert turns(site, "local", 3) == ["broken", "verified", "verified"]


def test_what_lies_in_an_archive_has_its_turn_once_a_round(moto, before, tmp_path):
    cold = Cold(tmp_path, moto, before(moto)).fill(files=1, size=1 << 20)
    for n in range(2):
        cold.run("copy", "--to", "cold", grow(cold, n))
    cold.freeze()
    for _ in range(2):
        assert turns(cold, "cold", 3) == ["verified"] * 3
    names = [s.split("/", 1)[1] for s in cold.objects("cold", "snap/")]
    shown = [x for s in names for x in cold.json("show", s, status=None)["verified"] if x["tier"] == "cold"]
    assert [x["level"] for x in shown] == [1, 1, 1], shown
