"""Every kind of object damaged in every way: found, lived with, mended."""

import os
import re
import shutil
import time

import pytest

import trees
from conftest import CONFIGURATION, DEGRADED, REFUSED, VERIFY, flip, rewrite


@pytest.fixture(name="copied")
def copied_fixture(site):
    """Two snapshots on two tiers."""
    site.first = site.backup()
    site.first_scan = site.scan()
    trees.write(os.fsencode(os.path.join(site.source, "d1", "new")), trees.noise(500_000, 42))
    trees.finish(os.fsencode(site.source))
    site.second = site.backup()
    for snapshot in (site.first, site.second):
        site.run("copy", "--to", "regional", snapshot)
    return site


def truncate(path):
    rewrite(path, lambda data: data[:len(data) * 2 // 3])


def empty(path):
    rewrite(path, lambda data: bytearray())


def grow(path):
    rewrite(path, lambda data: data + b"\0")


def first_byte(path):
    flip(path, 0)


def last_byte(path):
    flip(path, -1)


def header(path):
    flip(path, 20)


def trailing_hash(path):
    flip(path, -60)


def zeros(path):
    rewrite(path, lambda data: bytearray(len(data)))


CHANGES = [os.unlink, flip, truncate, empty, grow, first_byte, last_byte, header, zeros]


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
def test_packs(copied, change):
    """Every second pack of the near tier: verify says so, restore does not care, repair mends it."""
    victims = copied.objects("local", "pack/")[::2]
    for name in victims:
        change(copied.tier("local", name))
    result = copied.run("verify", "--level", "2", "--tier", "local", status=VERIFY)
    assert os.path.basename(victims[0])[:12] in result.text, result
    before = copied.scan()
    target = copied.path("fallback")
    # Bytes behind the end harm no reader, so it need not notice; verify does.
    result = copied.run("restore", "vol.data", "--to", target,
                        status=None if change is grow else DEGRADED)
    assert "--repair" in result.err or change is grow
    trees.assert_same(before, trees.scan(target))
    copied.run("verify", "--level", "2", "--tier", "local", "--repair", status=None)
    copied.run("verify", "--level", "2", "--tier", "local")
    for name in victims:
        with open(copied.tier("local", name), "rb") as f, \
                open(copied.tier("regional", name), "rb") as g:
            assert f.read() == g.read()


@pytest.mark.parametrize("change", CHANGES + [trailing_hash], ids=lambda f: f.__name__)
def test_manifests(copied, change):
    name = "snap/" + copied.second
    change(copied.tier("local", name))
    copied.run("verify", "--tier", "local", status=None if change is os.unlink else VERIFY)
    before = copied.scan()
    target = copied.path("fallback")
    result = copied.run("restore", copied.second, "--to", target, status=None)
    assert result.status in (0, DEGRADED), result
    trees.assert_same(before, trees.scan(target))
    copied.run("verify", "--tier", "local", "--repair", status=None)
    if change is os.unlink:
        # A newest that is gone is for a person: `copy`, or this.
        os.unlink(copied.path("state", "newest", "local", "vol.data"))
    copied.run("verify", "--tier", "local")
    # And the next backup has a parent it can trust.
    copied.backup()
    copied.assert_restores(copied.scan())


@pytest.mark.parametrize("change", [os.unlink, flip, truncate, empty], ids=lambda f: f.__name__)
@pytest.mark.parametrize("prefix", ["key/", "repo/"])
def test_keys_and_identity(copied, prefix, change):
    """The near tier's own way in is broken: another tier's serves."""
    for name in copied.objects("local", prefix):
        change(copied.tier("local", name))
    before = copied.scan()
    target = copied.path("fallback")
    result = copied.run("restore", "vol.data", "--to", target, status=None)
    assert result.status in (0, DEGRADED), result
    trees.assert_same(before, trees.scan(target))


def test_no_good_copy_anywhere_is_said_and_nothing_is_invented(copied):
    victims = copied.objects("local", "pack/")
    for name in victims:
        flip(copied.tier("local", name), 200)
    shutil.rmtree(copied.tier("regional"))
    result = copied.run("restore", "vol.data", "--to", copied.path("x"), status=VERIFY)
    assert "pack/" in result.err, result


def test_a_pack_under_another_name(copied):
    one, two = copied.objects("local", "pack/")[:2]
    shutil.copyfile(copied.tier("local", two), copied.tier("local", one) + ".new")
    os.rename(copied.tier("local", one) + ".new", copied.tier("local", one))
    copied.run("verify", "--level", "1", "--tier", "local", status=VERIFY)
    copied.assert_restores(copied.scan(), status=DEGRADED)


def test_an_old_manifest_under_a_new_name(copied):
    """Rolled back by somebody who can write to the store: the signature holds the name."""
    shutil.copyfile(copied.tier("local", "snap/" + copied.first),
                    copied.tier("local", "snap/" + copied.second) + ".new")
    os.rename(copied.tier("local", "snap/" + copied.second) + ".new",
              copied.tier("local", "snap/" + copied.second))
    result = copied.run("show", copied.second, "--tier", "local", status=None)
    assert result.status in (0, DEGRADED, VERIFY), result
    if result.status != VERIFY:
        assert copied.first not in result.out.split("number")[0]
    copied.run("verify", "--tier", "local", status=VERIFY)


def test_a_forged_snapshot_is_no_snapshot(copied):
    """A newer one, made of an old one's bytes."""
    forged = copied.second.replace(copied.second[-8:], "ffffffff")
    forged = forged.replace("/20", "/21", 1)
    shutil.copyfile(copied.tier("local", "snap/" + copied.second),
                    copied.tier("local", "snap/" + forged))
    target = copied.path("x")
    result = copied.run("restore", "vol.data", "--to", target, status=None)
    assert result.status in (VERIFY, 0, DEGRADED), result
    if result.status != VERIFY:
        trees.assert_same(copied.scan(), trees.scan(target))
    assert copied.run("verify", "--tier", "local", status=VERIFY)


def test_another_repository_in_the_place_of_a_tier(copied, tmp_path):
    from conftest import Site
    os.makedirs(tmp_path / "other")
    other = Site(tmp_path / "other")
    trees.make_plain(other.source, files=2)
    other.init()
    shutil.rmtree(copied.tier("dr"))
    shutil.copytree(other.tier("dr"), copied.tier("dr"))
    # The others go on; that tier is told of, and neither read nor written.
    trees.write(os.fsencode(os.path.join(copied.source, "new")), b"new")
    copied.backup()
    result = copied.run("copy", "--to", "dr", status=None)
    assert result.status not in (0, 3) and "another repository" in result.text, result
    result = copied.run("check", status=CONFIGURATION)
    assert "another repository" in result.text, result


def test_a_rolled_back_tier_is_noticed(copied):
    """Everything is a day old again: nothing to fear, the newest is still elsewhere."""
    os.unlink(copied.tier("local", "snap/" + copied.second))
    copied.assert_restores(copied.scan(), status=DEGRADED)
    copied.assert_restores(copied.first_scan, copied.first, to="first", status=DEGRADED)


def test_strange_files_in_a_tier_do_no_harm(copied):
    for name in ("README", "pack/zz/short", "tmp/old", "pack/.nfs0001", "lost+found/x"):
        path = copied.tier("local", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write("not ours")
    copied.run("list")
    copied.assert_restores(copied.scan())
    copied.backup()
    copied.run("verify", "--level", "1", status=None)
    copied.run("gc")


def test_a_strange_name_among_the_manifests_is_named(copied):
    """What it is must be known before anything is removed by that listing; what adds, and a restore, go on."""
    name = "snap/vol.data/20261121T020000Z-1a2b3c4d.bak"
    with open(copied.tier("local", name), "w", encoding="utf-8") as f:
        f.write("an administrator was here")
    assert name in copied.run("backup", "vol.data", status=DEGRADED).err
    assert name in copied.run("gc", "--tier", "local", status=VERIFY).text
    target = copied.path("x")
    copied.run("restore", "vol.data", "--to", target, status=None)
    trees.assert_same(copied.scan(), trees.scan(target))


def test_a_backup_says_what_it_met(copied):
    """The nearest tier lost a pack, or its newest manifest: that all went well is no reason for silence."""
    os.unlink(copied.tier("local", copied.objects("local", "pack/")[0]))
    result = copied.run("backup", "vol.data", status=DEGRADED)
    assert re.search(r"\n  why +1 of its \d+ packs are not there", result.err), result
    name = "snap/" + copied.run("list", "--json").json()["snapshots"][-1]["snapshot"]
    copied.run("copy")
    flip(copied.tier("local", name))
    result = copied.run("backup", "vol.data", status=DEGRADED)
    assert "the snapshot before is not whole on 'local'" in result.err, result


def test_a_restore_says_that_the_manifest_came_from_elsewhere(copied):
    flip(copied.tier("local", "snap/" + copied.second))
    result = copied.run("restore", copied.second, "--to", copied.path("x"), status=DEGRADED)
    assert "`ffdr verify --repair" in result.err, result


def test_show_forgets_a_proof_that_was_disproved(copied):
    copied.run("verify", "--tier", "local")
    whole = copied.json("show", copied.second)["verified"]
    assert [(v["tier"], v["level"], v["broken"]) for v in whole] == [("local", 2, None)]
    time.sleep(1.1)  # records have whole seconds
    flip(copied.tier("local", copied.objects("local", "pack/")[0]))
    copied.run("verify", "--tier", "local", status=VERIFY)
    shown = [copied.json("show", s)["verified"][0] for s in (copied.first, copied.second)]
    assert any(v["broken"] for v in shown), shown
    time.sleep(1.1)
    copied.run("verify", "--tier", "local", "--repair", status=DEGRADED)
    for snapshot in (copied.first, copied.second):
        assert copied.json("show", snapshot)["verified"][0]["broken"] is None


def test_without_another_tier_nothing_came_from_one(copied):
    for tier in ("regional", "dr"):
        if os.path.isdir(copied.tier(tier)):
            shutil.rmtree(copied.tier(tier))
    flip(copied.tier("local", copied.objects("local", "pack/")[0]))
    copied.run("verify", "--repair", "--tier", "local", status=VERIFY)
    result = copied.run("restore", copied.second, "--to", copied.path("x"), status=None)
    assert "another tier" not in result.text and "other tiers" not in result.text, result
