"""Exit codes are a contract, and every refusal says what to do instead."""

import os
import shutil
import stat
import subprocess

import pytest

import trees
from conftest import (BUSY, CONFIGURATION, DEGRADED, DENIED, INTERNAL, LATER, REFUSED, UNREACHABLE,
                      USAGE, program, rewrite)


@pytest.mark.parametrize("args, word", [
    ([], "help"),
    (["bakcup"], "backup"),
    (["backup"], "SOURCE"),
    (["backup", "vol.dta"], "data"),
    (["backup", "vol.data", "--raed", "all"], "read"),
    (["backup", "vol.data", "--read", "some"], "all"),
    (["restore", "vol.data"], "--to"),
    (["restore", "--to", "x"], "SOURCE"),
    (["restore", "vol.data/19990101", "--to", "x"], "19990101"),
    (["restore", "vol.data", "--to", "x", "--at", "yesterday"], "yesterday"),
    (["restore", "vol.data", "--to", "x", "--tier", "locla"], "local"),
    (["list", "--tier", "nowhere"], "nowhere"),
    (["show", "vol.data/2"], "vol.data"),
    (["copy", "--to"], "--to"),
    (["verify", "--level", "7"], "level"),
    (["expire", "--keep", "3"], "keep"),
    (["gc", "vol.data"], "gc"),
])
def test_wrong_command_lines(site, args, word):
    result = site.run(*args, status=USAGE)
    assert word in result.err, result
    assert not os.path.exists(site.path("x"))


def test_without_init_the_way_is_shown(bare):
    trees.make_plain(bare.source, files=2)
    result = bare.run("backup", "vol.data", status=CONFIGURATION)
    assert "ffdr init" in result.err


def test_every_error_is_one_json_object(site):
    result = site.run("restore", "vol.nothing", "--to", "x", "--json", status=USAGE)
    error = result.json()["error"]
    assert error["kind"] and "vol.nothing" in error["message"]


def test_a_missing_source_directory(site):
    shutil.rmtree(site.source)
    result = site.run("backup", "vol.data", status=None)
    assert result.status not in (0, DEGRADED), result
    assert site.source in result.err
    assert site.json("list")["snapshots"] == []


def test_no_tier_answers(site):
    site.backup()
    for name in site.tiers:
        os.rename(site.tier(name), site.tier(name) + ".away")
    result = site.run("backup", "vol.data", status=UNREACHABLE)
    assert "local" in result.err and "dr" in result.err
    result = site.run("restore", "vol.data", "--to", site.path("x"), status=UNREACHABLE)


def test_the_next_tier_steps_in_for_one_that_is_away(site):
    os.rename(site.tier("local"), site.tier("local") + ".away")
    result = site.run("backup", "vol.data", status=DEGRADED)
    assert "to regional:" in result.out and "local" in result.err
    site.assert_restores(site.scan(), status=DEGRADED)
    assert site.objects("regional", "snap/")


def test_a_tier_that_was_named_is_used_or_nothing(site):
    os.rename(site.tier("dr"), site.tier("dr") + ".away")
    site.run("backup", "vol.data", "--tier", "dr", status=UNREACHABLE)
    result = site.run("backup", "vol.data", "--tier", "regional")
    assert "to regional:" in result.out
    assert not site.objects("local", "snap/")


def test_read_only_tier_by_mode(plain_user):
    site = plain_user
    site.backup()
    for at, _, _ in os.walk(site.tier("local")):
        os.chmod(at, 0o500)
    trees.write(os.fsencode(os.path.join(site.source, "new")), b"x" * 100)
    try:
        result = site.run("backup", "vol.data", status=DENIED)
        assert "local" in result.err
        shutil.rmtree(site.path("x"), ignore_errors=True)
        site.run("restore", "vol.data", "--to", site.path("x"))
    finally:
        for at, _, _ in os.walk(site.tier("local")):
            os.chmod(at, 0o700)


def mount(*args):
    if not trees.ROOT:
        pytest.skip("mounting needs root")
    if subprocess.run(["mount", *args], check=False, capture_output=True).returncode != 0:
        pytest.skip("nothing can be mounted here: mount %s" % " ".join(args))


def test_read_only_tier_by_mount(site):
    site.backup()
    before = site.scan()
    mount("--bind", site.tier("local"), site.tier("local"))
    try:
        mount("-o", "remount,bind,ro", site.tier("local"))
        trees.write(os.fsencode(os.path.join(site.source, "new")), b"x" * 100)
        result = site.run("backup", "vol.data", status=None)
        assert result.status in (DENIED, INTERNAL, UNREACHABLE), result
        assert "read-only" in result.err.lower(), result
        site.assert_restores(before)
    finally:
        subprocess.run(["umount", site.tier("local")], check=True)
    site.backup()
    site.assert_restores(site.scan(), to="later")


def test_full_tier_and_room_again(site):
    mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", site.tier("local"))
    try:
        site.run("init")
        result = site.run("backup", "vol.data", status=LATER)
        assert "space" in result.err.lower(), result
        assert not site.objects("local", "snap/")
        subprocess.run(["mount", "-o", "remount,size=64m", site.tier("local")], check=True)
        site.backup()
        site.run("verify", "--level", "2", "--tier", "local")
        site.assert_restores(site.scan())
    finally:
        subprocess.run(["umount", site.tier("local")], check=True)


def test_no_inodes_left(site):
    mount("-t", "tmpfs", "-o", "size=64m,nr_inodes=12", "tmpfs", site.tier("local"))
    try:
        site.run("init", status=None)
        site.run("backup", "vol.data", status=LATER)
        assert not site.objects("local", "snap/")
    finally:
        subprocess.run(["umount", site.tier("local")], check=True)


def test_two_backups_of_one_source(site):
    """One works, the other says who is at it: 12. Both may succeed when they missed each other."""
    trees.write(os.fsencode(os.path.join(site.source, "big")), trees.noise(40 << 20, 8))
    children = [site.start("backup", "vol.data") for _ in range(3)]
    codes = []
    for child in children:
        _, err = child.communicate(timeout=100)
        codes.append(child.returncode)
        if child.returncode == BUSY:
            assert b"vol.data" in err
    assert set(codes) <= {0, BUSY} and 0 in codes and BUSY in codes, codes
    site.run("verify", "--level", "2")
    site.assert_restores(site.scan())


def test_two_sources_at_once(site):
    other = site.path("other")
    trees.make_plain(other, seed=9)
    site.write_config(more="[volume other]\npath = %s\ntiers = local\n" % other)
    children = [site.start("backup", name) for name in ("vol.data", "vol.other")]
    for child in children:
        out, err = child.communicate(timeout=100)
        assert child.returncode == 0, out + err
    site.assert_restores(site.scan())
    site.assert_restores(trees.scan(other), "vol.other", to="other-restored")


def test_all_sources_in_one_run(site):
    other = site.path("other")
    trees.make_plain(other, seed=9, files=5)
    site.write_config(more="[volume other]\npath = %s\ntiers = local\n" % other)
    result = site.run("backup", "all")
    assert "vol.data/" in result.out and "vol.other/" in result.out
    shutil.rmtree(other)
    result = site.run("backup", "all", status=None)
    assert result.status != 0 and "backed up vol.data/" in result.out and other in result.err


def test_wrong_key(site):
    site.backup()
    rewrite(site.path("etc", "kek"), lambda data: bytearray(os.urandom(32)))
    for args in (["backup", "vol.data"], ["restore", "vol.data", "--to", site.path("x")],
                 ["verify"], ["show", "vol.data"]):
        result = site.run(*args, status=CONFIGURATION)
        assert "key" in result.err, result
    assert not os.path.exists(site.path("x"))
    # A listing needs no key.
    assert len(site.json("list")["snapshots"]) == 1


def test_strange_signing_key(site, tmp_path):
    site.backup()
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out",
                    site.path("etc", "signing.pem")], check=True, capture_output=True)
    result = site.run("backup", "vol.data", status=None)
    assert result.status in (CONFIGURATION, 4, REFUSED), result
    assert "sign" in result.err


def test_key_that_others_may_read(site):
    os.chmod(site.path("etc", "kek"), 0o644)
    result = site.run("backup", "vol.data", status=CONFIGURATION)
    assert site.path("etc", "kek") in result.err
    assert stat.S_IMODE(os.stat(site.path("etc", "kek")).st_mode) == 0o644


def test_export_refuses_a_terminal(site):
    site.backup()
    leader, follower = os.openpty()
    try:
        child = subprocess.run([program(), "export", "vol.data"],
                               stdout=follower, stderr=subprocess.PIPE, env=site.environment(),
                               check=False, timeout=60)
    finally:
        os.close(leader)
        os.close(follower)
    assert child.returncode == USAGE and b"terminal" in child.stderr, child


def test_output_that_cannot_be_written(site):
    site.backup()
    with open("/dev/full", "wb") as full:
        for args in (["list"], ["show", "vol.data", "--files"], ["export", "vol.data"]):
            child = subprocess.run([program(), *args], stdout=full,
                                   stderr=subprocess.PIPE, env=site.environment(), check=False,
                                   timeout=60)
            assert child.returncode not in (0, DEGRADED), args
            assert b"space" in child.stderr, child


def test_hooks_run_around_and_a_failing_one_stops(site):
    site.write_config(volume="before = echo before $FFDR_SOURCE >> %s\nafter = echo after "
                             "$FFDR_RESULT >> %s" % (site.path("log"), site.path("log")))
    site.backup()
    with open(site.path("log"), encoding="utf-8") as f:
        assert f.read().split("\n")[:2] == ["before vol.data", "after done"]
    site.write_config(volume="before = echo no thank you >&2; exit 3")
    result = site.run("backup", "vol.data", status=None)
    assert result.status not in (0, DEGRADED) and "no thank you" in result.err
    assert len(site.json("list")["snapshots"]) == 1
    site.write_config(volume="after = exit 7")
    result = site.run("backup", "vol.data", status=DEGRADED)
    assert "after" in result.err and len(site.json("list")["snapshots"]) == 2
