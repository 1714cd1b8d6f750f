"""What is gone for good, or only not mounted: the message is the way out."""

import os
import re
import shutil

import pytest

import trees
from conftest import CONFIGURATION, DEGRADED, USAGE, VERIFY, flip, rewrite


def change(site, number):
    trees.write(os.fsencode(os.path.join(site.source, "d1", "new")), trees.noise(300_000, number))
    trees.finish(os.fsencode(site.source))


def test_packs_that_no_tier_has_end_with_4_and_name_the_snapshot_that_is_left(site):
    first = site.backup()
    before = site.scan()
    old = site.objects("local", "pack/")
    change(site, 1)
    second = site.backup()
    gone = [p for p in site.objects("local", "pack/") if p not in old]
    for name in gone:
        os.unlink(site.tier("local", name))
    result = site.run("restore", "vol.data", "--to", site.path("out"), status=VERIFY)
    assert re.search(r"pack/\S+ is on none of local, regional, dr", result.err), result
    assert re.search(r"%s: pack/\S+ is on none" % re.escape(second), result.err), result
    assert re.search(r"possible +%s" % re.escape(first), result.err), result
    assert "--delta" not in result.err, result
    site.assert_restores(before, first)


def test_when_no_snapshot_is_left_that_is_said(site):
    site.backup()
    for name in site.objects("local", "pack/"):
        os.unlink(site.tier("local", name))
    result = site.run("restore", "vol.data", "--to", site.path("out"), status=VERIFY)
    assert "is on none of" in result.err
    assert site.run("export", "vol.data", status=VERIFY).err.count("is on none of") >= 1


def test_a_manifest_that_no_tier_has_whole_leaves_the_older_one_and_a_way_to_give_it_up(site):
    first = site.backup()
    before = site.scan()
    change(site, 1)
    second = site.backup()
    with open(site.tier("local", "snap", second), "r+b") as f:
        f.seek(100)
        f.write(b"X")
    for command in ["restore", "vol.data", "--to", site.path("out")], ["export", "vol.data"]:
        result = site.run(*command, status=VERIFY)
        assert re.search(r"possible +%s" % re.escape(first), result.err), result
        assert "ffdr expire --discard %s" % second in result.err, result
    told = site.run("verify", "--repair", status=VERIFY).err
    assert "ffdr expire --discard %s" % second in told, told
    os.rename(site.tier("dr"), site.path("unplugged"))  # it may have it whole
    told = site.run("verify", "--repair", status=VERIFY).err
    assert "bring back a tier that has it whole" in told and "--discard" not in told, told
    os.rename(site.path("unplugged"), site.tier("dr"))
    site.run("expire", "--discard", second, "--why", "the disk lied")
    site.run("restore", "vol.data", "--to", site.path("out2"))
    site.assert_restores(before, first)


def test_what_another_tier_served_instead_is_named_with_its_tier_and_pack(site):
    site.backup()
    site.run("copy")
    name = max(site.objects("local", "pack/"), key=lambda n: os.path.getsize(site.tier("local", n)))
    with open(site.tier("local", name), "r+b") as f:
        f.seek(os.path.getsize(f.name) // 2)
        f.write(b"\0" * 64)
    told = site.run("restore", "vol.data", "--to", site.path("out"), status=DEGRADED).err
    assert "last      tier 'local': %s: " % name in told, told


def test_a_tier_that_does_not_answer_is_named_beside_those_that_have_no_pack(site):
    site.backup()
    for name in site.objects("local", "pack/"):
        os.unlink(site.tier("local", name))
    os.rename(site.tier("dr"), site.tier("dr") + ".away")
    result = site.run("restore", "vol.data", "--to", site.path("out"), status=VERIFY)
    assert "is on none of local, regional; these do not answer: dr" in result.err


# ---- a tier that is empty now ----

def unmount(site, tier):
    shutil.move(site.tier(tier), site.path("unmounted"))
    os.mkdir(site.tier(tier))


def test_a_tier_that_held_the_repository_and_is_empty_is_asked_for_and_not_filled(site):
    site.backup()
    site.run("copy")
    unmount(site, "regional")
    for args, status in ((["check"], CONFIGURATION), (["list"], DEGRADED),
                         (["copy"], None), (["backup", "vol.data"], None)):
        result = site.run(*args, status=status)
        # A backup goes to the nearest tier and asks no other.
        assert args[0] == "backup" or "is it mounted?" in result.text, result
        assert "run 'ffdr init'" not in result.text, result
        assert not os.listdir(site.tier("regional")), result
    # Another one, in which nothing was ever seen, is a new one.
    unmount_new = site.run("check", "--json", status=CONFIGURATION).json()
    assert [c for c in unmount_new["lines"] if c["what"] == "tier regional"
            and c["verdict"] == "FAIL" and "mounted" in c["text"]]
    os.rmdir(site.tier("regional"))
    shutil.move(site.path("unmounted"), site.tier("regional"))
    assert "mounted" not in site.run("list").text


def test_a_new_tier_is_still_told_to_init(site):
    site.backup()
    os.mkdir(site.path("tier-late"))
    site.tiers = site.tiers + ("late",)
    site.write_config()
    result = site.run("copy", status=None)
    assert "ffdr init" in result.err and "mounted" not in result.err


def test_when_every_tier_is_empty_nothing_says_init(site):
    site.backup()
    for tier in site.tiers:
        shutil.rmtree(site.tier(tier))
        os.mkdir(site.tier(tier))
    for args in (["backup", "vol.data"], ["restore", "vol.data", "--to", site.path("out")]):
        result = site.run(*args, status=None)
        assert result.status not in (0, DEGRADED, USAGE), result
        assert "mounted" in result.err and "run 'ffdr init'" not in result.err, result


# ---- a key that is gone ----

def test_without_the_signing_key_the_way_out_is_the_safe(site):
    site.backup()
    os.unlink(site.path("etc", "signing.pem"))
    for args in (["backup", "vol.data"], ["key", "rotate"], ["init"]):
        result = site.run(*args, status=None)
        assert result.status not in (0, DEGRADED), result
        assert "from the safe" in result.err and "read and not be written" in result.err, result
        assert "init` makes it" not in result.err, result
    site.assert_restores(site.scan())


def test_init_says_that_the_signing_key_goes_into_the_safe(bare):
    bare.lend_escrow()
    result = bare.run("init")
    assert re.search(r"copy +file:\S*signing\.pem to the medium for the safe", result.out), result


# ---- what is whole, and does not open here ----

@pytest.fixture(name="rotated")
def rotated_fixture(site):
    """Two snapshots on two tiers: the newer under a key epoch of its own."""
    site.tiers = ("local", "regional")
    site.write_config()
    site.first = site.backup()
    site.run("copy")
    shutil.copytree(site.path("state", "newest"), site.path("first-seen"))
    site.epoch = site.json("key", "rotate")["epoch"]
    change(site, 1)
    site.second = site.backup()
    site.run("copy")
    return site


def forget_key(site):
    for tier in site.tiers:
        for name in site.objects(tier, "key/%s." % site.epoch):
            os.unlink(site.tier(tier, name))


def newer_format(site, tier):
    """As a later version would make it: of a suite that nobody knows yet."""
    rewrite(site.tier(tier, "snap", site.second), lambda b: b[:5] + b"\x09" + b[6:])


def test_a_snapshot_whose_key_is_not_here_is_no_damaged_one(rotated):
    forget_key(rotated)
    fix = r"\n +fix +bring key/%s\.\* back from another tier" % rotated.epoch
    given_up = r"\n +or +where that key is gone for good.*--discard %s --lost-key KEY" % re.escape(rotated.second)
    for command in ["restore", "vol.data", "--to", rotated.path("out")], ["export", "vol.data"]:
        result = rotated.run(*command, status=CONFIGURATION)
        assert re.search(fix + ".*" + given_up, result.err), result
        assert re.search(r"possible +%s" % re.escape(rotated.first), result.err), result
    said = rotated.run("check", status=None)
    assert re.search(fix + ".*" + given_up, said.out), said
    verified = rotated.run("verify", "--repair", status=VERIFY)
    assert "bring key/%s.*" % rotated.epoch in verified.err and "gives it up" not in verified.err, verified
    assert "damaged" not in result.text + said.text and "never was a snapshot" not in result.text + said.text
    # Beside one that is damaged, too: that one says nothing of the other.
    flip(rotated.tier("local", "snap", rotated.second))
    result = rotated.run("restore", "vol.data", "--to", rotated.path("out"), status=CONFIGURATION)
    assert re.search(fix, result.err) and "gives it up for good" not in result.err, result


def test_a_snapshot_of_a_newer_version_wants_that_version_and_no_more(rotated):
    for tier in rotated.tiers:
        newer_format(rotated, tier)
    for command in ["restore", "vol.data", "--to", rotated.path("out")], ["check"], ["gc"]:
        result = rotated.run(*command, status=None)
        assert result.status != 0 and "use the version of ffdr that made it" in result.text, result
        assert "--discard" not in result.text, result


def test_a_newer_one_that_does_not_open_here_outlives_the_remembered_one(rotated):
    """Another host made it: this one remembers the first, which has expired since."""
    for tier in rotated.tiers:
        shutil.copy(rotated.path("first-seen", tier, "vol.data"), rotated.path("state", "newest", tier, "vol.data"))
        os.unlink(rotated.tier(tier, "snap", rotated.first))
    forget_key(rotated)
    result = rotated.run("list", status=None)
    assert "is gone" not in result.err and "does not count" not in result.err, result
    # Of another version's nobody can tell here; thrown away it is not.
    newer_format(rotated, "regional")
    result = rotated.run("list", status=None)
    assert re.search(r"%s was the newest on 'regional' and is gone; whether '.*' outlived it cannot be told" % re.escape(rotated.first),
                     result.err), result
    assert "--discard" not in result.err, result
