"""What is known to be bad is put out of the way, so that what comes after is good."""

import io
import os
import re
import shutil
import tarfile

import pytest

import trees
from conftest import DEGRADED, VERIFY, Site, flip, rewrite


def largest_pack(site, tier):
    return max(site.objects(tier, "pack/"), key=lambda n: os.path.getsize(site.tier(tier, n)))


def bad(name):
    return "bad/" + name


def damage_everywhere(site):
    name = largest_pack(site, "local")
    for tier in site.tiers:
        if name in site.objects(tier):
            flip(site.tier(tier, name))
    return name


@pytest.fixture(name="copied")
def copied_fixture(site):
    site.first = site.backup()
    site.run("copy", "--to", "regional", site.first)
    return site


def test_a_pack_that_is_bad_everywhere_is_stored_anew_after_verify_repair(copied):
    name = damage_everywhere(copied)
    result = copied.run("verify", "--repair", status=VERIFY)
    assert "no tier that answers has a good copy" in result.text, result
    assert "`ffdr verify --repair`" not in result.text, "sent round in a circle: %r" % result
    for tier in ("local", "regional"):
        assert name not in copied.objects(tier)
        assert bad(name) in copied.objects(tier)
    # What names it is incomplete, and that is said at every level.
    assert name in copied.run("verify", "--level", "0", status=VERIFY).text
    second = copied.backup(status=DEGRADED)
    copied.assert_restores(copied.scan(), second)
    copied.run("verify", "--level", "2", "--tier", "local", second)


def test_plain_verify_touches_nothing(copied):
    name = damage_everywhere(copied)
    result = copied.run("verify", status=VERIFY)
    assert "`ffdr verify --repair`" in result.text, result
    for tier in ("local", "regional"):
        assert name in copied.objects(tier)
        assert not copied.objects(tier, "bad/")


def test_json_tells_what_was_set_aside(copied):
    name = damage_everywhere(copied)
    found = copied.json("verify", "--repair", "--tier", "local", status=VERIFY)["findings"]
    assert [f["aside"] for f in found if f["object"] == name] == [True]


def test_what_a_tier_that_is_away_may_have_is_not_given_up(copied):
    flip(copied.tier("local", "snap", *copied.first.split("/")))
    os.rename(copied.tier("regional"), copied.tier("regional") + ".away")
    result = copied.run("verify", "--repair", status=VERIFY)
    assert "snap/" + copied.first in result.err and "expire --discard" not in result.text, result
    os.rename(copied.tier("regional") + ".away", copied.tier("regional"))
    copied.run("verify", "--repair", status=DEGRADED)


def test_a_pack_with_a_good_copy_is_mended_and_not_lost(copied):
    name = largest_pack(copied, "local")
    flip(copied.tier("local", name))
    copied.run("verify", "--repair", status=DEGRADED)
    with open(copied.tier("local", name), "rb") as f, open(copied.tier("regional", name), "rb") as g:
        assert f.read() == g.read()
    copied.run("verify", "--level", "2")


@pytest.mark.parametrize("size", [0, 500])
def test_a_pack_cut_short_at_the_target_does_not_block_copies(site, size):
    """As an interrupted cp of a tier leaves it."""
    snapshot = site.backup()
    name = largest_pack(site, "local")
    path = site.tier("regional", name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    shutil.copyfile(site.tier("local", name), path)
    rewrite(path, lambda data: data[:size])
    result = site.run("copy", "--to", "regional", snapshot, status=DEGRADED)
    assert "set aside" in result.text and "regional" in result.text, result
    assert os.path.getsize(site.tier("regional", bad(name))) == size
    site.run("verify", "--level", "2", "--tier", "regional")
    shutil.rmtree(site.tier("local"))
    site.assert_restores(site.scan(), status=DEGRADED)
    # And once is enough.
    assert name in site.objects("regional")


def test_verify_looks_at_packs_of_a_copy_under_way(site):
    snapshot = site.backup()
    name = largest_pack(site, "local")
    path = site.tier("regional", name)
    pend = site.tier("regional", "pend/" + snapshot + ".0123abcd")
    for at in (path, pend):
        os.makedirs(os.path.dirname(at), exist_ok=True)
    shutil.copyfile(site.tier("local", "snap/" + snapshot), pend)
    # What is missing is on its way.
    site.run("verify", "--tier", "regional")
    shutil.copyfile(site.tier("local", name), path)
    flip(path)
    result = site.run("verify", "--tier", "regional", status=VERIFY)
    assert name in result.text, result
    site.run("verify", "--tier", "regional", "--repair", status=DEGRADED)
    with open(path, "rb") as f, open(site.tier("local", name), "rb") as g:
        assert f.read() == g.read()


def test_hooks_and_commands_do_not_see_secrets_of_the_environment(tmp_path):
    site = Site(tmp_path)
    trees.make_plain(site.source)
    site.init()
    with open(site.path("etc", "kek"), "rb") as f:
        secret = f.read().strip().decode()
    seen, asked = site.path("seen"), site.path("asked")
    site.write_config(keys="kek = env:SITE_KEK\nsigning = command:env > %s; cat %s\nescrow = %s\n" % (
        asked, site.path("etc", "signing.pem"), site.path("etc", "escrow.pem")),
        volume="before = env > %s" % seen)
    site.run("backup", "vol.data", env={"SITE_KEK": secret, "SITE_OTHER": "stays"})
    for path in (seen, asked):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        assert "SITE_OTHER=stays" in text
        assert "SITE_KEK" not in text and secret not in text, path


def test_one_bad_pack_costs_only_the_files_that_lie_in_it(copied):
    name = damage_everywhere(copied)
    target = copied.path("restored")
    before = copied.scan()
    for args in ([], ["--delta"]):
        result = copied.run("restore", "vol.data", "--to", target, *args, status=VERIFY)
        assert "lacks bytes that no tier has a good copy of" in result.err, result
        assert re.search("files? lacks? bytes", result.text) and name in result.text, result
        assert "goes on where this one stopped" not in result.text, result
    after = trees.scan(target)
    assert sorted(before) == sorted(after)
    different = [p for p in before if before[p] != after[p]]
    assert 0 < len(different) < len(before) / 2, different
    for path in different:
        shown = os.fsdecode(path)
        assert os.path.getsize(os.path.join(target, shown)) == \
            os.path.getsize(os.path.join(copied.source, shown)), shown
        assert shown in result.err, result
    # Rehearsed, it is no success.
    copied.run("verify", "--restore", "vol.data", status=VERIFY)


def test_a_rehearsal_that_another_tier_helped_with_says_so_and_is_recorded_of_none(copied):
    flip(copied.tier("local", largest_pack(copied, "local")))
    result = copied.run("verify", "--restore", "vol.data", status=DEGRADED)
    assert re.search(r"from local and, for \d+ objects?, other tiers and compared", result.out), result
    assert re.search(r"recorded +of no tier", result.out), result
    for tier in ("local", "regional"):
        assert copied.objects(tier, "rec/verified/") == [] == copied.objects(tier, "rec/broken/")


@pytest.mark.parametrize("repair", [False, True])
def test_frames_that_open_are_restored_also_from_a_pack_set_aside(copied, repair):
    damage_everywhere(copied)
    if repair:
        copied.run("verify", "--repair", status=VERIFY)
    found = copied.json("restore", "vol.data", "--to", copied.path("restored"), status=VERIFY)
    assert 0 < found["incomplete"] <= 2, found


def test_a_pack_that_is_gone_everywhere(copied):
    name = largest_pack(copied, "local")
    for tier in ("local", "regional"):
        os.unlink(copied.tier(tier, name))
    target = copied.path("restored")
    result = copied.run("restore", "vol.data", "--to", target, status=VERIFY)
    assert name in result.text, result
    before, after = copied.scan(), trees.scan(target)
    assert sorted(before) == sorted(after)
    assert any(before[p] == after[p] for p in before)


@pytest.mark.parametrize("gone", [False, True])
def test_an_export_gives_zeros_for_what_no_tier_has(copied, gone):
    name = damage_everywhere(copied)
    for tier in ("local", "regional") if gone else ():
        os.unlink(copied.tier(tier, name))
    result = copied.run("export", "vol.data", status=VERIFY)
    assert name in result.err and re.search("files? lacks? bytes", result.err), result
    same = 0
    with tarfile.open(fileobj=io.BytesIO(result.raw)) as tar:
        files = [m for m in tar.getmembers() if m.isfile()]
        for member in files:
            with open(os.path.join(copied.source, member.name), "rb") as f:
                there = f.read()
            given = tar.extractfile(member).read()
            assert len(given) == len(there), member.name
            told = "'%s': lacks bytes" % member.name in result.err
            assert told == (given != there), member.name
            assert all(a in (b, 0) for a, b in zip(given, there)), member.name
            same += given == there
    assert len(files) > 1 and (gone or len(files) / 2 < same < len(files)), result.err
