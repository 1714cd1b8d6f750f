"""Each tier as if it were the only one left, and held against what this host has seen."""

import os
import re
import shutil

import pytest

import trees
from conftest import CONFIGURATION, DEGRADED, DONE, ESCROW, USAGE, VERIFY, flip, rewrite


def later(days):
    """The program's own seam of time; needs --enable-fault-points."""
    return {"FFDR_TEST_CLOCK": "+%d" % (days * 86400), "FFDR_TEST_UPTIME": "+%d" % (days * 86400)}


def change(site, number):
    trees.write(os.fsencode(os.path.join(site.source, "d1", "new")), trees.noise(300_000, number))
    trees.finish(os.fsencode(site.source))


@pytest.fixture(name="pair")
def pair_fixture(site):
    """Two snapshots and two key epochs, on local and regional; dr is out of the game."""
    site.tiers = ("local", "regional")
    site.write_config()
    site.first = site.backup()
    site.run("key", "rotate")
    change(site, 1)
    site.second = site.backup()
    site.run("copy")
    return site


def findings(site, *args, status=VERIFY):
    return site.json("verify", "--level", "0", *args, status=status)["findings"]


def checked(site, what, status=None):
    """Verdicts of the lines about `what`, in order, and all that they say."""
    lines = [c for c in site.json("check", status=status)["lines"] if c["what"] == what]
    return [c["verdict"] for c in lines], " ".join("%s %s" % (c["text"], c["fix"]) for c in lines)


def alone(site, tier):
    """Restores from that tier while the other one is away."""
    other = [t for t in site.tiers if t != tier][0]
    os.rename(site.tier(other), site.tier(other) + ".away")
    try:
        site.assert_restores(site.scan(), status=DEGRADED, to="alone")
    finally:
        os.rename(site.tier(other) + ".away", site.tier(other))


@pytest.mark.parametrize("prefix", ["key/", "repo/"])
@pytest.mark.parametrize("how", [flip, os.unlink, lambda path: rewrite(path, lambda _: b"")],
                         ids=["flipped", "gone", "empty"])
def test_a_tiers_own_way_in_is_found_and_mended_while_another_has_it(pair, prefix, how):
    victims = pair.objects("local", prefix)
    for name in victims:
        how(pair.tier("local", name))
    found = findings(pair)
    assert sorted(f["object"] for f in found) == victims, found
    assert {f["tier"] for f in found} == {"local"}
    verdicts, text = checked(pair, "keys on local")
    assert "FAIL" in verdicts and victims[0] in text, text
    assert "FAIL" not in checked(pair, "keys on regional")[0]
    findings(pair, "--repair", status=DEGRADED)
    assert findings(pair, status=DONE) == []
    assert "FAIL" not in checked(pair, "keys on local")[0]
    for name in victims:
        with open(pair.tier("local", name), "rb") as f, open(pair.tier("regional", name), "rb") as g:
            assert f.read() == g.read()
        # What was bad is evidence, or all there is of something: it is not thrown away.
        assert os.path.exists(pair.tier("local", "bad", name)) == (how is not os.unlink)
    alone(pair, "local")


def test_every_level_looks_at_the_way_in(pair):
    name = pair.objects("regional", "key/")[0]
    flip(pair.tier("regional", name))
    for level in "012":
        assert name in pair.run("verify", "--level", level, status=VERIFY).err
    assert name in pair.run("verify", pair.first, "--tier", "regional", status=VERIFY).err
    pair.run("verify", "--tier", "local")


def of_the_escrow(site):
    return [n for n in site.objects("local", "key/") if re.search(r"\.e[0-9a-f]{16}$", n)][0]


def test_a_key_object_of_the_escrow_is_judged_without_the_safe(pair):
    name = of_the_escrow(pair)
    flip(pair.tier("local", name), -20)
    assert [f["object"] for f in findings(pair)] == [name]
    verdicts, text = checked(pair, "keys on local")
    assert verdicts.count("FAIL") == 2 and "only 1 of 2 key epochs are wrapped" in text, text


def test_what_no_tier_has_sound_stays_a_finding_until_it_is_made_anew(pair):
    name = of_the_escrow(pair)
    for tier in pair.tiers:
        flip(pair.tier(tier, name))
    found = findings(pair, "--repair")
    assert {(f["object"], f["repaired"]) for f in found} == {(name, False)}, found
    assert os.path.exists(pair.tier("local", name))
    # As operations.md says: with the epoch open, it can be wrapped anew.
    for tier in pair.tiers:
        os.unlink(pair.tier(tier, name))
    pair.run("init")
    assert findings(pair, status=DONE) == []

def test_a_backup_brings_the_keys_before_it_writes(pair):
    """Packs whose key is on another tier only would be lost with that one."""
    for name in pair.objects("local", "key/"):
        os.unlink(pair.tier("local", name))
    change(pair, 2)
    pair.backup()
    assert pair.objects("local", "key/") == pair.objects("regional", "key/")
    alone(pair, "local")


def test_a_backup_tells_of_a_damaged_key_and_is_made(pair):
    name = pair.objects("local", "key/")[0]
    flip(pair.tier("local", name))
    change(pair, 2)
    result = pair.run("backup", "vol.data", status=DEGRADED)
    assert name in result.err and "verify --repair" in result.err
    assert "backed up" in result.out


# ---- the newest ----

def take_newest(site, *tiers):
    for tier in tiers:
        os.unlink(site.tier(tier, "snap/" + site.second))


def test_a_newest_taken_from_every_tier_is_an_alarm_everywhere(pair):
    take_newest(pair, "local", "regional")
    found = findings(pair)
    assert sorted((f["tier"], f["object"]) for f in found) == [
        ("local", "snap/" + pair.second), ("regional", "snap/" + pair.second)]
    for tier in pair.tiers:
        verdicts, text = checked(pair, "newest on " + tier, status=CONFIGURATION)
        assert verdicts == ["FAIL"] and pair.second in text
        assert pair.path("state", "newest", tier, "vol.data") in text
    assert pair.second in pair.run("list", status=DEGRADED).err
    result = pair.run("restore", "vol.data", "--to", pair.path("x"), status=DEGRADED)
    assert pair.second in result.err and pair.first in result.out
    assert pair.second in pair.run("backup", "vol.data", status=DEGRADED).err
    # Which is the newest now, and hides nothing.
    assert {f["object"] for f in findings(pair)} == {"snap/" + pair.second}
    # A person has looked.
    shutil.rmtree(pair.path("state", "newest"))
    assert findings(pair, status=DONE) == []
    pair.run("list")


def test_a_newest_taken_from_one_tier_is_brought_back_by_copy(pair):
    take_newest(pair, "local")
    # With its packs, or the copy would wait until no collection can be about to delete them.
    shutil.rmtree(pair.tier("local", "pack"))
    result = pair.run("list", status=DEGRADED)
    command = "copy --to local " + pair.second
    assert "ffdr " + command in result.err and "regional" in result.err
    assert [f["tier"] for f in findings(pair) if f["object"].startswith("snap/")] == ["local"]
    pair.run(*command.split())
    pair.run("verify", "--repair", status=None)
    assert findings(pair, status=DONE) == []


def test_all_snapshots_gone_is_told_when_nothing_can_be_restored(pair):
    for tier in pair.tiers:
        shutil.rmtree(pair.tier(tier, "snap"))
    result = pair.run("restore", "vol.data", "--to", pair.path("x"), status=USAGE)
    assert pair.second in result.err
    assert pair.second in pair.run("list", status=DEGRADED).err


def test_a_tier_that_is_away_has_lost_nothing(pair):
    os.rename(pair.tier("regional"), pair.tier("regional") + ".away")
    assert findings(pair, status=DEGRADED) == []
    assert checked(pair, "newest on regional")[0] == []


def test_a_host_without_memory_learns_by_verifying(pair):
    shutil.rmtree(pair.path("state", "newest"))
    pair.run("verify", "--level", "0")
    take_newest(pair, "local")
    assert {f["object"] for f in findings(pair)} == {"snap/" + pair.second}


def test_what_a_person_let_go_is_no_loss(pair):
    flip(pair.tier("local", "snap/" + pair.second))
    pair.run("expire", "--discard", pair.second, "--tier", "local", "--why", "trial")
    assert findings(pair, status=DONE) == []
    pair.write_config()
    with open(pair.config, encoding="utf-8") as f:
        text = f.read().replace("[volume data]", "[volume other]")
    with open(pair.config, "w", encoding="utf-8") as f:
        f.write(text)
    pair.run("expire", "--retire", "vol.data", "--why", "trial")
    assert findings(pair, status=DONE) == []
    pair.run("list")


def test_an_ordinary_expiry_is_no_loss(pair, fault_points):
    pair.write_config(tier={name: "keep = 1d" for name in pair.tiers})
    for day in (3, 6, 9):
        pair.backup(env=later(day))
    before = len(pair.objects("local", "snap/"))
    pair.run("expire", "--tier", "local", env=later(12))
    assert len(pair.objects("local", "snap/")) < before
    assert [f for f in findings(pair, status=None) if f["tier"] == "local"] == []


# ---- holds ----

@pytest.mark.parametrize("tier", ["local", "regional"])
def test_a_hold_counts_where_its_record_was_lost(pair, fault_points, tier):
    pair.write_config(tier={name: "keep = 1d" for name in pair.tiers})
    pair.run("hold", pair.first)
    shutil.rmtree(pair.tier(tier, "rec", "hold"))
    for day in (3, 6, 9):
        pair.backup("--tier", tier, env=later(day))
    for _ in range(3):
        pair.run("expire", "--yes-more-than-half", "--tier", tier, env=later(12))
    assert "snap/" + pair.first in pair.objects(tier, "snap/")
    assert "snap/" + pair.second not in pair.objects(tier, "snap/")
    # And it has its record again, byte for byte.
    assert pair.objects(tier, "rec/hold/") == pair.objects("local", "rec/hold/") != []
    pair.run("hold", pair.first, "--release")
    shutil.rmtree(pair.tier(tier, "rec", "hold"))
    pair.run("expire", "--yes-more-than-half", "--tier", tier, env=later(12))
    assert "snap/" + pair.first not in pair.objects(tier, "snap/")


# ---- init ----

def test_an_init_killed_anywhere_is_completed_by_the_next(bare, fault_points):
    trees.make_plain(bare.source, files=2)
    bare.lend_escrow()
    for n in range(1, 40):
        for name in os.listdir(bare.top):
            if name.startswith("tier-") or name in ("state", "etc"):
                shutil.rmtree(bare.path(name))
        for name in ["etc", "state"] + ["tier-" + t for t in bare.tiers]:
            os.makedirs(bare.path(name))
        bare.write_config()
        # The private half is the one that takes long to make; the public one is made of it.
        bare.lend_escrow()
        if os.path.exists(bare.path("etc", ESCROW[0])):
            os.unlink(bare.path("etc", ESCROW[0]))
        killed = bare.run("init", status=None, env={"FFDR_TEST_STOP": "file-linked:%d" % n}).status
        bare.run("init")
        if n == 1 or killed == DONE:
            bare.run("key", "escrow-test", "--private", bare.path("etc", ESCROW[1]))
            bare.backup()
        if killed == DONE:
            break
    else:
        pytest.fail("never ran to its end")


def test_rotations_at_once_name_an_epoch_each(site):
    children = [site.start("key", "rotate", "--json") for _ in range(3)]
    outs = [c.communicate(timeout=100)[0] for c in children]
    told = {re.search(rb'"epoch": *"([0-9a-f]{8})"', out).group(1).decode() for out in outs if out}
    made = {n[4:12] for n in site.objects("local", "key/")}
    assert len(told) == 3 and told <= made, (told, made)
