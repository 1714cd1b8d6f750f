"""Directories that look like two and are one, and ffdr inside of what it protects."""

import contextlib
import os
import subprocess

import pytest

from conftest import CONFIGURATION, DEGRADED
import trees


@contextlib.contextmanager
def bound(what, where):
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    if subprocess.run(["mount", "--bind", what, where], check=False,
                      capture_output=True).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", where], check=True)


def respell(site, old, new):
    with open(site.config, encoding="utf-8") as f:
        text = f.read()
    assert old in text
    with open(site.config, "w", encoding="utf-8") as f:
        f.write(text.replace(old, new))


EVERY = (["init"], ["check"], ["backup", "vol.data"], ["copy"], ["list"], ["verify"], ["gc"],
         ["expire"], ["restore", "vol.data", "--to", "out"], ["key", "list"])


@pytest.mark.parametrize("how", ["spelling", "link", "bind"])
def test_two_tiers_that_are_one_directory_are_refused_by_every_command(bare, how):
    url = "file://" + bare.tier("regional")
    with contextlib.ExitStack() as stack:
        if how == "spelling":
            respell(bare, url, "file://%s/../tier-local" % bare.tier("dr"))
        elif how == "link":
            os.rmdir(bare.tier("regional"))
            os.symlink("tier-local", bare.tier("regional"))
        else:
            stack.enter_context(bound(bare.tier("local"), bare.tier("regional")))
        for args in EVERY:
            result = bare.run(*args, status=CONFIGURATION)
            assert "'local' and 'regional' are one directory" in result.text, result
    assert not bare.objects("local", "repo/")


def test_check_sees_by_use_that_two_tiers_are_one_place(site):
    """As two mounts of one export, whose roots differ: what is stored in one shows in the other."""
    for name in ("local", "regional"):
        os.makedirs(site.tier(name, "check"), exist_ok=True)
    with bound(site.tier("local", "check"), site.tier("regional", "check")):
        result = site.run("check", status=CONFIGURATION)
        assert "tier local" in result.text and "same place as tier 'regional'" in result.text
    assert "same place" not in site.run("check", status=None).text


@pytest.fixture(name="inside")
def inside_fixture(bare):
    """A tier, the state and the keys, all in what is protected."""
    trees.make_plain(bare.source)
    for tier in ("regional",):
        respell(bare, "file://" + bare.tier(tier), "file://" + os.path.join(bare.source, "d", "tier"))
    respell(bare, "state = " + bare.path("state"), "state = " + os.path.join(bare.source, "state"))
    respell(bare, "[keys]", "credentials = %s\n[keys]" % os.path.join(bare.source, "secrets"))
    os.makedirs(os.path.join(bare.source, "d", "tier"))
    os.mkdir(os.path.join(bare.source, "secrets"))
    with open(os.path.join(bare.source, "secrets", "k"), "w", encoding="utf-8") as f:
        f.write("precious")
    return bare.init()


def contents(top):
    found = {}
    for at, _, files in os.walk(top):
        for name in files:
            with open(os.path.join(at, name), "rb") as f:
                found[os.path.join(at, name)] = f.read()
    return found


def test_ffdr_inside_a_volume_is_left_out_and_told(inside):
    result = inside.run("check", status=CONFIGURATION)
    assert "FAIL" in result.out and "tier regional" in result.out and "lies in vol.data" in result.out
    assert "warn" in result.out and "state, '" in result.out and "credentials, '" in result.out
    result = inside.run("backup", "vol.data")
    assert result.err.count("left out, because ffdr itself lives there") == 1, result
    assert "'d/tier', 'secrets', 'state'" in result.err
    listed = inside.run("show", "vol.data", "--files").out
    assert "d/tier" not in listed and "secrets" not in listed and "state" not in listed
    assert " d\n" in listed or "d/" in listed
    counted = inside.json("backup", "vol.data", "--dry-run")["backups"][0]
    made = inside.json("backup", "vol.data")["backups"][0]
    assert counted["entries"] == made["entries"] and counted["files"] == made["files"]


def test_a_restore_in_place_leaves_ffdr_alone(inside):
    own = [os.path.join(inside.source, *p) for p in (["d", "tier"], ["state"], ["secrets"])]
    inside.run("backup", "vol.data")
    inside.run("copy", status=None)
    with open(os.path.join(inside.source, "new"), "w", encoding="utf-8") as f:
        f.write("goes")
    before = [contents(p) for p in own[:1] + own[2:]]
    assert any("snap/vol.data" in name for name in before[0])
    inside.run("restore", "vol.data", "--to", inside.source, "--delta", "--dry-run")
    result = inside.run("restore", "vol.data", "--to", inside.source, "--delta", status=DEGRADED)
    assert "ffdr itself lives there" in result.err
    assert before == [contents(p) for p in own[:1] + own[2:]]
    assert os.path.exists(os.path.join(own[1], "repository"))
    assert not os.path.exists(os.path.join(inside.source, "new"))


def test_a_snapshot_that_holds_a_tier_does_not_set_that_tier_back(site):
    """It was made when the directory was nobody's; by now it is a tier, with younger snapshots."""
    become = os.path.join(site.source, "d", "later")
    os.makedirs(os.path.join(become, "deep"))
    for name in ("a", "deep/b"):
        with open(os.path.join(become, name), "w", encoding="utf-8") as f:
            f.write("old")
    os.link(os.path.join(become, "a"), os.path.join(site.source, "link"))
    first = site.backup()
    for name in ("a", "deep/b"):
        os.unlink(os.path.join(become, name))
    with open(site.config, "a", encoding="utf-8") as f:
        f.write("[tier inner]\nurl = file://%s\nkeep = 7d\n" % become)
    os.rmdir(os.path.join(become, "deep"))
    site.run("init")
    before = contents(become)
    assert before
    mode = os.stat(become).st_mode
    result = site.run("restore", first, "--to", site.source, "--delta", status=DEGRADED)
    assert "'d/later': is in the snapshot, but ffdr itself lives there" in result.err
    assert contents(become) == before and os.stat(become).st_mode == mode
    with open(os.path.join(site.source, "link"), encoding="utf-8") as f:
        assert f.read() == "old"
    # Nor when all of what is around it goes.
    site.run("restore", first, "--to", site.path("other"))
    os.makedirs(site.path("other", "x", "y"))
    respell(site, become, site.path("other", "x", "y"))
    site.run("init")
    before = contents(site.path("other", "x"))
    site.run("restore", first, "--to", site.path("other"), "--delta", status=DEGRADED)
    assert before and contents(site.path("other", "x")) == before


def test_keys_beside_the_data_survive_a_restore_in_place(bare):
    """After a rotation the newest key is the only one, and no snapshot has it."""
    trees.make_plain(bare.source)
    bare.lend_escrow()
    keys = os.path.join(bare.source, "keys")
    os.mkdir(keys)
    respell(bare, "kek = file:" + bare.path("etc", "kek"), "kek = file:" + os.path.join(keys, "kek"))
    bare.run("init")
    with open(os.path.join(keys, "note"), "w", encoding="utf-8") as f:
        f.write("old")
    assert "a key, '%s" % keys in bare.run("check", status=None).out
    result = bare.run("backup", "vol.data")
    assert "'keys/kek'" in result.err and "left out" in result.err
    with open(os.path.join(keys, "note"), "w", encoding="utf-8") as f:
        f.write("new")
    bare.run("key", "rotate", "--kek", "file:" + os.path.join(keys, "kek2"))
    respell(bare, "kek = file:" + os.path.join(keys, "kek"),
            "kek = file:" + os.path.join(keys, "kek2"))
    with open(os.path.join(keys, "kek3"), "w", encoding="utf-8") as f:
        f.write("made for the next rotation")
    before = {k: v for k, v in contents(keys).items() if not k.endswith("note")}
    assert len(before) == 3
    result = bare.run("restore", "vol.data", "--to", bare.source, "--delta", status=DEGRADED)
    assert "kek2" in result.err and "kek3" in result.err
    after = contents(keys)
    assert after.pop(os.path.join(keys, "note")) == b"old" and after == before
    # Nor from a snapshot that has no such directory.
    empty = bare.path("empty")
    os.mkdir(empty)
    respell(bare, "path = " + bare.source, "path = " + empty)
    bare.run("backup", "vol.data", status=None, env={"FFDR_TEST_CLOCK": "+5"})
    respell(bare, "path = " + empty, "path = " + bare.source)
    bare.run("restore", "vol.data", "--to", bare.source, "--delta", "--from-another-host",
             status=DEGRADED)
    assert contents(bare.source) == {k: v for k, v in contents(bare.source).items()
                                     if k.startswith(keys)}
    assert before.items() <= contents(keys).items()


def test_a_tier_that_is_what_it_protects_is_refused(site):
    site.backup()
    respell(site, site.source, site.tier("local"))
    result = site.run("backup", "vol.data", status=CONFIGURATION)
    assert "its path lies in tier 'local'" in result.err, result


def test_a_tier_within_a_tier_is_refused(bare):
    respell(bare, "file://" + bare.tier("dr"), "file://" + bare.tier("local", "inner"))
    bare.run("init", status=CONFIGURATION)
    result = bare.run("check", status=CONFIGURATION)
    assert "tier 'dr' lies in tier 'local'" in result.text, result
