"""Copies, retention, garbage: what must stay stays."""

import os
import re
import shutil

import pytest

import trees
from conftest import DEGRADED, REFUSED, USAGE

DAY = 86400


def later(days):
    """Time that has passed, by the program's own seam; needs --enable-fault-points."""
    seconds = "+%d" % int(days * DAY)
    return {"FFDR_TEST_CLOCK": seconds, "FFDR_TEST_UPTIME": seconds}


def snapshots(site, tier=None):
    more = ["--tier", tier] if tier else []
    return [s["snapshot"] for s in site.json("list", *more)["snapshots"]]


def test_copy_brings_to_each_tier_what_it_takes(site):
    first = site.backup()
    site.run("copy")
    for tier in site.tiers:
        assert snapshots(site, tier) == [first]
    for tier in site.tiers[1:]:
        os.rename(site.tier("local"), site.tier("local") + ".away")
        site.assert_restores(site.scan(), "vol.data", "--tier", tier, status=DEGRADED)
        os.rename(site.tier("local") + ".away", site.tier("local"))


def test_copies_are_byte_identical(site):
    site.backup()
    site.run("copy")
    for name in site.objects("local", "pack/") + site.objects("local", "snap/"):
        with open(site.tier("local", name), "rb") as f, open(site.tier("dr", name), "rb") as g:
            assert f.read() == g.read(), name
    assert not site.objects("dr", "pend/")


def test_a_second_copy_sends_nothing(site):
    snapshot = site.backup()
    site.run("copy", "--to", "dr", snapshot)
    before = site.objects("dr", "pack/"), site.objects("dr", "snap/")
    site.run("copy", "--to", "dr", snapshot)
    assert before == (site.objects("dr", "pack/"), site.objects("dr", "snap/"))


def test_daily_tier_takes_one_a_day(site):
    site.write_config(tier={"regional": "keep = 30d\ntakes = daily", "dr": "keep = 30d\ntakes = weekly"})
    first = site.backup()
    site.run("copy")
    second = site.backup()
    site.run("copy")
    assert snapshots(site, "local") == sorted([first, second])
    assert snapshots(site, "regional") == [first]
    assert snapshots(site, "dr") == [first]


def test_copy_to_an_unknown_tier(site):
    site.backup()
    result = site.run("copy", "--to", "drr", status=USAGE)
    assert "dr" in result.err


def test_one_tier_away_does_not_keep_the_others_waiting(site):
    first = site.backup()
    os.rename(site.tier("regional"), site.tier("regional") + ".away")
    result = site.run("copy", status=None)
    assert result.status != 0 and "regional" in result.err
    assert snapshots(site, "dr") == [first]


def test_expire_keeps_the_only_one(site):
    only = site.backup()
    site.run("expire")
    assert snapshots(site) == [only]


def test_expire_lets_go_of_the_old(site, fault_points):
    site.write_config(tier={name: "keep = 2d" for name in site.tiers})
    made = []
    for day in range(0, 12, 2):
        trees.write(os.fsencode(os.path.join(site.source, "d1", "f001")), trees.noise(9000, day))
        trees.finish(os.fsencode(site.source))
        made.append((site.backup(env=later(day)), site.scan()))
    shown = site.run("expire", "--dry-run", env=later(10.5))
    assert snapshots(site) == sorted(m[0] for m in made), shown
    site.run("expire", env=later(10.5))
    left = snapshots(site)
    assert made[-1][0] in left and len(left) >= 3, left
    assert len(left) < len(made), left
    for snapshot, before in made:
        if snapshot in left:
            site.assert_restores(before, snapshot)


def test_a_held_one_stays(site, fault_points):
    site.write_config(tier={name: "keep = 1d" for name in site.tiers})
    first = site.backup()
    site.run("hold", first)
    for day in (3, 6, 9):
        site.backup(env=later(day))
    for _ in range(3):
        site.run("expire", "--yes-more-than-half", env=later(12), status=None)
    assert first in snapshots(site)
    assert site.json("show", first)["held"] is True


def test_gc_in_two_steps_deletes_only_garbage(site, fault_points):
    site.write_config(tier={name: "keep = 1d" for name in site.tiers})
    trees.write(os.fsencode(os.path.join(site.source, "big")), trees.noise(20 << 20, 1))
    site.backup()
    os.unlink(os.path.join(site.source, "big"))
    trees.finish(os.fsencode(site.source))
    last = None
    for day in (3, 6, 9):
        last = site.backup("--read", "all", env=later(day))
    before = site.store_bytes("local")
    site.run("expire", "--yes-more-than-half", env=later(12))
    site.run("gc", env=later(12.1))
    assert site.store_bytes("local") > before - (4 << 20), "the first run only marks"
    site.run("gc", env=later(13.5))
    assert site.store_bytes("local") < before - (15 << 20)
    site.run("verify", "--level", "2", "--tier", "local")
    site.assert_restores(site.scan(), last)


def test_gc_leaves_a_running_backup_alone(site):
    """What was just stored is young: nobody may call it garbage."""
    site.backup()
    for name in site.objects("local", "snap/"):
        os.unlink(site.tier("local", name))
    shutil.rmtree(site.path("state", "newest"))
    packs = site.objects("local", "pack/")
    site.run("gc")
    site.run("gc")
    assert site.objects("local", "pack/") == packs


def test_gc_takes_nothing_where_snapshots_are_out_of_sight(site, fault_points):
    """snap/ was moved away, or has not come yet: what it names looks like garbage and is all there is."""
    site.backup()
    before = site.scan()
    packs = site.objects("local", "pack/")
    os.rename(site.tier("local", "snap"), site.path("snap"))
    for days in (3, 5):
        got = site.run("gc", "--tier", "local", status=REFUSED, env=later(days))
        assert re.search(r"nothing is collected on 'local'.*was the newest.*gone", got.err, re.S), got
    # A host that remembers nothing of it.
    shutil.rmtree(site.path("state", "newest"))
    for days in (7, 9):
        got = site.run("gc", "--tier", "local", status=REFUSED, env=later(days))
        assert "not one snapshot" in got.err and "--yes-nothing-is-kept" in got.err, got
    assert site.objects("local", "pack/") == packs
    os.rename(site.path("snap"), site.tier("local", "snap"))
    site.assert_restores(before)


def test_gc_stops_at_an_unreadable_manifest(site, fault_points):
    from conftest import flip
    site.backup()
    second = site.backup()
    flip(site.tier("local", "snap/" + second))
    packs = site.objects("local", "pack/")
    for day in (40, 42):
        result = site.run("gc", "--tier", "local", env=later(day), status=None)
        assert result.status not in (0, DEGRADED), result
        assert second in result.text
    assert site.objects("local", "pack/") == packs


def test_retire_is_refused_while_the_source_is_configured(site):
    only = site.backup()
    result = site.run("expire", "--retire", "vol.data", status=REFUSED)
    assert "configur" in result.err
    assert snapshots(site) == [only]


def test_every_report_is_json_too(site):
    site.backup()
    for args in (["verify"], ["copy"], ["expire", "--dry-run"], ["gc", "--dry-run"], ["list"],
                 ["backup", "vol.data"]):
        result = site.run(*args, "--json")
        assert isinstance(result.json(), dict), result
        assert re.match(r"\s*\{", result.out) and result.out.rstrip().endswith("}")


@pytest.mark.parametrize("level", ["0", "1", "2"])
def test_verify_of_a_sound_tier(site, level):
    site.backup()
    result = site.run("verify", "--level", level)
    assert result.out.strip()


def test_list_marks_what_is_held_and_says_when_it_cannot_know(site):
    first, second = site.backup(), site.backup()
    assert [s["held"] for s in site.json("list")["snapshots"]] == [False, False]
    site.run("hold", first, "--why", "for the auditor")
    site.run("hold", second)
    site.run("hold", "--release", second)
    held = {s["snapshot"]: s["held"] for s in site.json("list")["snapshots"]}
    assert held == {first: True, second: False}
    rows = site.run("list").out.splitlines()
    assert [row.split()[-1] == "held" for row in rows if row.startswith("vol.data/")] == \
        [s == first for s in sorted(held)]
    assert re.search(r"held +by \S+@\S+: for the auditor\n", site.run("show", first).out)
    assert site.json("show", first)["held_why"] == "for the auditor"
    assert site.json("show", second)["held_why"] is None
    # Without the keys there is a list all the same.
    os.rename(site.path("etc", "kek"), site.path("etc", "kek.away"))
    result = site.run("list")
    assert first in result.out and "held" not in result.out, result
    assert "what is held is not known: " in result.err, result
    assert {s["held"] for s in site.json("list")["snapshots"]} == {None}
