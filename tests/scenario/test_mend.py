"""Mending may be cut short, done twice, or done by somebody who has less: it must never cost anything."""

import os
import shutil
import signal

import pytest

import trees
from conftest import DEGRADED, VERIFY, flip, rewrite


def largest_pack(site, tier):
    return max(site.objects(tier, "pack/"), key=lambda n: os.path.getsize(site.tier(tier, n)))


def grow(path, size):
    os.chmod(path, 0o600)
    os.truncate(path, size)


@pytest.fixture(name="copied")
def copied_fixture(site):
    site.first = site.backup()
    site.run("copy", "--to", "regional", site.first)
    return site


def test_what_is_set_aside_later_may_be_the_better_one(copied):
    name = largest_pack(copied, "local")
    path = copied.tier("local", name)
    rewrite(path, lambda data: data[:100])
    copied.run("verify", "--repair", "--tier", "local", status=DEGRADED)
    shutil.rmtree(copied.tier("regional"))
    flip(path)
    before = copied.json("restore", "vol.data", "--to", copied.path("r1"), status=VERIFY)
    result = copied.run("verify", "--repair", "--tier", "local", status=VERIFY)
    assert "set aside as 'bad/%s.2'" % name in result.err, result
    assert os.path.getsize(copied.tier("local", "bad", name)) == 100
    after = copied.json("restore", "vol.data", "--to", copied.path("r2"), status=VERIFY)
    assert after["incomplete"] == before["incomplete"] > 0
    trees.assert_same(trees.scan(copied.path("r1")), trees.scan(copied.path("r2")))


def test_a_manifest_is_mended_from_a_tier_that_has_it_good(copied):
    copied.run("copy", "--to", "dr", copied.first)
    paths = [copied.tier(t, "snap", copied.first) for t in ("local", "regional", "dr")]
    flip(paths[0], 300)
    flip(paths[1], 400)
    copied.run("verify", "--repair", "--tier", "local", copied.first, status=None)
    with open(paths[0], "rb") as f, open(paths[2], "rb") as g:
        assert f.read() == g.read()


@pytest.mark.usefixtures("fault_points")
@pytest.mark.parametrize("stop", ["store.put.linked:1", "store.del:1", "store.put.before:2",
                                  "store.put.written:2"])
def test_a_manifest_is_never_away_while_it_is_mended(copied, stop):
    copied.backup()
    path = copied.tier("local", "snap", copied.first)
    flip(path, 300)
    repair = ["verify", "--repair", "--tier", "local", copied.first]
    result = copied.run(*repair, status=None, env={"FFDR_TEST_STOP": stop})
    assert os.path.exists(path), result
    assert result.status == -signal.SIGKILL or stop == "store.del:1", result
    copied.run(*repair, status=None)
    with open(path, "rb") as f, open(copied.tier("regional", "snap", copied.first), "rb") as g:
        assert f.read() == g.read()
    assert copied.objects("local", "bad/snap/")


@pytest.mark.parametrize("kind", ["pack/", "snap/"])
def test_what_has_grown_beyond_any_object_is_mended_too(copied, kind):
    name = max(copied.objects("local", kind), key=lambda n: os.path.getsize(copied.tier("local", n)))
    path = copied.tier("local", name)
    grow(path, 170 << 20)
    copied.run("verify", "--tier", "local", status=VERIFY)
    result = copied.run("gc", "--tier", "local", status=None)
    assert result.status in (0, DEGRADED, VERIFY), result
    copied.run("verify", "--repair", "--tier", "local", status=DEGRADED)
    with open(path, "rb") as f, open(copied.tier("regional", name), "rb") as g:
        assert f.read() == g.read()
    aside = copied.objects("local", "bad/" + name)
    assert len(aside) == 1 and os.path.getsize(copied.tier("local", aside[0])) == 170 << 20
