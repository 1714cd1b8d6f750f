"""What a tier takes must reach it, whatever lies there, failed before, or is dated wrongly."""

import datetime
import os
import shutil

import pytest

import trees
from conftest import DEGRADED, VERIFY
from test_keep import DAY, later

HOUR = 1 / 24


def change(site, number):
    trees.write(os.fsencode(os.path.join(site.source, "d1", "f001")), trees.noise(9000, number))
    trees.finish(os.fsencode(site.source))


def snapshots(site, tier):
    return [n[len("snap/"):] for n in site.objects(tier, "snap/")]


def ahead(days, clock):
    """`days` have passed, and the clock shows another day."""
    return {"FFDR_TEST_CLOCK": "+%d" % int(clock * DAY), "FFDR_TEST_UPTIME": "+%d" % int(days * DAY)}


@pytest.fixture(name="two")
def two_fixture(site, fault_points):
    site.tiers = ("local", "regional")
    site.write_config(tier={"local": "keep = 30d", "regional": "keep = 1y"})
    return site


def hourly(site, numbers):
    for n in numbers:
        change(site, n)
        site.backup(env=later(n * HOUR))


def test_what_came_while_the_near_tier_was_away_hides_nothing_before_it(two):
    hourly(two, [0])
    two.run("copy", env=later(0.1 * HOUR))
    hourly(two, [1, 2, 3])
    os.rename(two.tier("local"), two.path("away"))
    change(two, 4)
    two.backup(env=later(4 * HOUR), status=DEGRADED)
    os.rename(two.path("away"), two.tier("local"))
    two.run("copy", env=later(4.1 * HOUR))
    assert snapshots(two, "regional") == snapshots(two, "local")
    assert len(snapshots(two, "regional")) == 5
    assert "nothing to copy" in two.run("copy", env=later(4.2 * HOUR)).out


def test_a_copy_that_failed_is_made_by_the_next_run(two):
    before = set(two.objects("local", "pack/"))
    hourly(two, [0, 1])
    packs = set(two.objects("local", "pack/")) - before
    hourly(two, [2, 3])
    first, second = snapshots(two, "local")[:2]
    # What only the second one has brought.
    shown = two.json("show", first)
    assert shown
    for name in packs:
        if os.path.getsize(two.tier("local", name)) < 100000:
            os.rename(two.tier("local", name), two.path(os.path.basename(name)))
    two.run("copy", env=later(4 * HOUR), status=VERIFY)
    assert second not in snapshots(two, "regional")
    for name in packs:
        if os.path.exists(two.path(os.path.basename(name))):
            os.rename(two.path(os.path.basename(name)), two.tier("local", name))
    two.run("copy", env=later(4.1 * HOUR))
    assert snapshots(two, "regional") == snapshots(two, "local")


def test_what_was_given_up_there_does_not_come_back(two):
    hourly(two, [0, 1])
    two.run("copy", env=later(2 * HOUR))
    first = snapshots(two, "local")[0]
    path = two.tier("regional", "snap", first)
    os.chmod(path, 0o600)
    with open(path, "r+b") as f:
        f.write(b"nothing of ours")
    two.run("expire", "--discard", first, "--tier", "regional", "--why", "lost it",
            env=later(3 * HOUR), status=None)
    assert first not in snapshots(two, "regional")
    two.run("copy", env=later(4 * HOUR))
    assert first not in snapshots(two, "regional")
    two.run("copy", "--to", "regional", first, env=later(5 * HOUR))
    assert first in snapshots(two, "regional")


@pytest.mark.parametrize("takes", ["all", "daily"])
def test_a_snapshot_from_the_future_stops_no_copy(two, takes):
    two.write_config(tier={"local": "keep = 30d", "regional": "keep = 1y\ntakes = " + takes})
    hourly(two, [0])
    two.run("copy", env=later(HOUR))
    change(two, 1)
    two.backup(env=later(365))
    two.run("copy", env=later(365))
    for day in (1, 2, 3):
        change(two, day)
        made = two.backup(env=later(day))
        two.run("copy", env=later(day + HOUR))
        assert made in snapshots(two, "regional"), day
        assert "nothing to copy" in two.run("copy", env=later(day + 2 * HOUR)).out


def test_days_that_were_missed_are_made_up_for(two):
    two.write_config(tier={"local": "keep = 30d", "regional": "keep = 1y\ntakes = daily"})
    for day in range(4):
        change(two, day)
        two.backup(env=later(day))
    two.run("copy", env=later(3 + HOUR))
    assert snapshots(two, "regional") == snapshots(two, "local")


def test_a_time_is_found_though_a_clock_was_ahead(two):
    hourly(two, [0])
    change(two, 1)
    two.backup(env=later(365))
    states = {}
    for day in (1, 2, 3):
        change(two, 10 + day)
        states[day] = two.scan()
        two.backup(env=later(day))
    now = datetime.datetime.now(datetime.timezone.utc)
    for day in (1, 2, 3):
        at = now + datetime.timedelta(days=day, hours=1)
        two.assert_restores(states[day], "vol.data", "--at", at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                            env=later(4))


def test_what_was_let_go_of_on_one_tier_is_missed_on_another(two):
    """Who holds both tiers can carry the record from one to the other."""
    two.backup(env=later(0))
    two.run("copy", env=later(HOUR))
    with open(two.config, encoding="utf-8") as f:
        text = f.read()
    with open(two.config, "w", encoding="utf-8") as f:
        f.write(text.replace("[volume data]", "[volume other]"))
    two.run("expire", "--retire", "vol.data", "--tier", "local", "--why", "moved", env=later(1))
    assert not snapshots(two, "local")
    shutil.rmtree(two.tier("regional", "snap", "vol.data"))
    two.run("verify", "--tier", "regional", env=later(1), status=VERIFY)
    shutil.copytree(two.tier("local", "rec"), two.tier("regional", "rec"), dirs_exist_ok=True)
    two.run("verify", "--tier", "regional", env=later(1), status=VERIFY)
    two.run("verify", "--tier", "local", env=later(1))
