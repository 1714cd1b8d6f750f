"""What anybody who can write there can put below snap/: it hides nothing, it is named with its tier, and there is a way out."""

import os
import re
import shutil
import time

import pytest

import trees
from conftest import DEGRADED, VERIFY

FAR = "vol.data/22611231T235959Z-00000000"  # no name is later


def soon():
    """A name that is later than those of now, as a clock that goes wrong a little would make it."""
    return "vol.data/%s-00000000" % time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + 200))


def put_junk(site, tier, snapshot, data=None):
    path = site.tier(tier, "snap", snapshot)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data if data is not None else trees.noise(395, 5))


def delete(site, tier, snapshot):
    os.unlink(site.tier(tier, "snap", snapshot))


@pytest.fixture(name="kept")
def kept_fixture(site):
    """Two snapshots on all tiers: the older, the newest."""
    first = site.backup()
    trees.write(os.fsencode(os.path.join(site.source, "new")), b"new")
    trees.finish(os.fsencode(site.source))
    second = site.backup()
    site.run("copy")
    return first, second


@pytest.mark.parametrize("later", [soon, lambda: FAR], ids=["soon", "far"])
def test_junk_does_not_hide_that_the_newest_is_gone(site, kept, later):
    name = later()
    put_junk(site, "regional", name)
    delete(site, "regional", kept[1])
    told = re.escape(kept[1]) + r" on 'regional' was the newest there \(number 2\) and is gone"
    for command in ["list"], ["list", "--tier", "regional"], ["restore", "vol.data", "--to", site.path("out")]:
        result = site.run(*command, status=None)
        assert re.search(told, result.err), result
        assert "newest    %s\n" % kept[0] in result.err, result
        assert re.search(r"newer +'snap/%s' does not count: does not begin" % name, result.err), result
    assert re.search(r"FAIL +newest on regional: " + re.escape(kept[1]), site.run("check", status=None).out)
    result = site.run("verify", "--tier", "regional", status=VERIFY)
    assert "snap/%s' on 'regional'" % kept[1] in result.err and "is gone" in result.err, result
    # Nor is it hidden by a backup that comes then.
    site.run("copy", status=None)
    site.run("expire", "--discard", name, "--why", "nobody made it")
    site.run("copy", "--to", "regional", kept[1])
    assert "is gone" not in site.run("list").err
    site.run("verify", "--level", "0")


def test_a_newer_one_of_another_host_outlives_the_remembered_one(site, kept):
    shutil.copytree(site.path("state"), site.path("memory"))
    third = site.backup()
    site.run("copy")
    shutil.rmtree(site.path("state"))
    os.rename(site.path("memory"), site.path("state"))
    put_junk(site, "regional", FAR)
    delete(site, "regional", kept[1])
    assert "is gone" not in site.run("list").err
    # Who has no key cannot tell which of them is one.
    os.rename(site.path("etc", "kek"), site.path("etc", "elsewhere"))
    result = site.run("list", status=None)
    assert "%s was the newest on 'regional' and is gone; whether 'snap/%s' outlived it" % (kept[1], FAR) in result.err, result
    os.rename(site.path("etc", "elsewhere"), site.path("etc", "kek"))
    delete(site, "regional", third)
    assert "is gone" in site.run("list", status=None).err


def test_junk_that_is_newest_is_named_and_the_ways_out_work(site, kept):
    before = site.scan()
    for tier in "local", "regional":  # there also before a backup
        put_junk(site, tier, FAR)
    for command in ["restore", "vol.data", "--to", site.path("out")], ["export", "vol.data"]:
        result = site.run(*command, status=VERIFY)
        assert "'snap/%s' cannot be read from any tier" % FAR in result.err, result
        assert re.search(r"\n  regional +does not begin with FFD1", result.err), result
        assert "verify --repair" not in result.err, result
        assert re.search(r"\n  possible +%s, .*\n  fix .*\n  or +`ffdr expire --discard %s --why " % (kept[1], FAR),
                         result.err), result
    assert "'snap/%s' on 'local' cannot be read" % FAR in site.run("show", "vol.data", status=VERIFY).err
    for command in ["status"], ["copy", "--to", "dr", "vol.data"], ["list", "--refresh"], ["check"]:
        for line in site.run(*command, status=None).err.splitlines():
            if "does not begin" in line:
                assert re.search("'snap/%s' on '(local|regional)' cannot be read" % FAR, line), line
    # One by its name is not in its way.
    site.assert_restores(before, kept[1])
    shutil.rmtree(site.path("restored"))
    # A backup made meanwhile is of its own time, not of that name's.
    fresh = site.run("backup", "vol.data")
    assert re.search(r"backed up vol.data/%s.*, 100 %% reused" % time.strftime("%Y", time.gmtime()), fresh.out), fresh
    site.run("expire", "--discard", FAR, "--why", "nobody made it")
    site.assert_restores(before)


def test_a_tier_that_is_away_may_have_it_whole(site, kept):
    shutil.copy(site.tier("local", "snap", kept[1]), site.path("whole"))
    for tier in "local", "regional":
        put_junk(site, tier, kept[1])
    os.rename(site.tier("dr"), site.path("unplugged"))
    result = site.run("restore", "vol.data", "--to", site.path("out"), status=VERIFY)
    assert re.search(r"fix +bring back dr, which may have it whole", result.err), result
    assert re.search(r"possible +" + kept[0], result.err), result
    os.rename(site.path("unplugged"), site.tier("dr"))
    site.assert_restores(site.scan(), status=None)


def test_check_says_what_it_is_and_calls_it_no_clock(site, kept):
    put_junk(site, "regional", FAR)
    result = site.run("check", status=None)
    assert re.search(r"FAIL +tier regional: 'snap/%s' cannot be read: does not begin with FFD1.*\n  fix .*\n  or +`ffdr expire --discard" % FAR,
                     result.out), result
    assert "clock was wrong" not in result.text and "in the future" not in result.out, result
    delete(site, "regional", FAR)
    # One of the present, too.
    put_junk(site, "dr", kept[1][:-8] + "ffffffff")
    assert re.search(r"FAIL +tier dr: 'snap/%sffffffff' cannot be read" % kept[1][:-8], site.run("check", status=None).out)
