"""Which snapshot is meant: over all tiers, never a guess, never silently an older one."""

import os
import shutil

import pytest

from conftest import DEGRADED, USAGE

import trees


def more(site, name):
    with open(os.path.join(site.source, name), "w", encoding="utf-8") as f:
        f.write(name)


@pytest.fixture(name="three")
def three_fixture(site):
    """Three snapshots on local, only the oldest of them on regional."""
    ids = [site.backup()]
    site.run("copy", "--to", "regional", ids[0])
    for name in ("second", "third"):
        more(site, name)
        ids.append(site.backup())
    return site, ids


def take_away(site, tier):
    os.rename(site.tier(tier), site.tier(tier) + "-away")


@pytest.mark.parametrize("word", ["data/2", "vol.data/2", "vol.data/"])
def test_a_prefix_of_several_is_refused_even_where_one_tier_has_only_one(three, word):
    site, ids = three
    target = site.path("restored")
    for command in (["restore", word, "--to", target], ["show", word], ["export", word],
                    ["hold", word], ["copy", "--to", "dr", word]):
        result = site.run(*command, status=USAGE)
        assert "several snapshots" in result.err, result
        for snapshot in ids:
            assert snapshot in result.err, result
    assert not os.path.exists(target)
    assert site.json("show", ids[0])["held"] is False


def test_a_tier_that_is_named_is_read_alone(three):
    site, ids = three
    assert site.json("show", "data/2", "--tier", "regional")["snapshot"] == ids[0]
    site.run("show", "data/2", "--tier", "local", status=USAGE)


def test_restoring_without_the_tier_that_has_the_newest_says_what_is_lost(three):
    site, ids = three
    take_away(site, "local")
    target = site.path("restored")
    result = site.run("restore", "vol.data", "--to", target, status=DEGRADED)
    assert "restored " + ids[0] in result.out, result
    assert "%s is newer by" % ids[2] in result.err, result
    assert "local cannot be reached" in result.err and "fix       bring back local" in result.err
    for command in (["show", "vol.data"], ["show", "data/2"], ["export", "vol.data"]):
        result = site.run(*command, status=DEGRADED)
        assert "%s is newer by" % ids[2] in result.err, result
    shutil.rmtree(target)
    # Before the second there is nothing that is missed.
    stamp = ids[0].split("/")[1]
    result = site.run("restore", "vol.data/" + stamp, "--to", target, status=DEGRADED)
    assert "is newer" not in result.err, result


def test_of_times_only_those_that_were_asked_for_are_missed(three):
    site, ids = three
    take_away(site, "local")
    result = site.run("restore", "vol.data", "--at", "2200-01-01", "--to", site.path("restored"),
                      status=DEGRADED)
    assert "%s is newer by" % ids[2] in result.err, result
    result = site.run("restore", "vol.data", "--at", "1999-12-31 23:59", "--to", site.path("other"),
                      status=USAGE)
    assert "as old as 1999-12-31T23:59:00Z" in result.err, result


def test_a_tier_that_is_away_and_had_nothing_newer_is_no_news(three):
    site, ids = three
    take_away(site, "regional")
    result = site.run("restore", "vol.data", "--to", site.path("restored"), status=DEGRADED)
    assert ids[2] in result.out and "is newer" not in result.err, result
    trees.assert_same(site.scan(), trees.scan(site.path("restored")))


def test_what_nobody_has_is_said_with_who_was_asked(three):
    site, _ = three
    result = site.run("show", "data/1", status=USAGE)
    assert "there is no snapshot 'vol.data/1'" in result.err, result
    assert "local, regional, dr" in result.err, result
    take_away(site, "regional")
    result = site.run("show", "data/1", status=USAGE)
    assert "away      regional" in result.err, result
