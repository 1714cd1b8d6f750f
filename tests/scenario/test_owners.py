"""Root and an ordinary user at one installation: neither locks the other out."""

import os
import stat
import subprocess

import pytest

from conftest import CONFIGURATION, DENIED, DONE

USER = 12345


def settle(site, mode=0o750):
    """State and tiers belong to an ordinary user, who can read the keys."""
    if os.geteuid() != 0:
        pytest.skip("becoming somebody else needs root")
    at = os.path.dirname(site.top)
    while at != "/":
        # What pytest made for itself alone.
        if "pytest" in os.path.basename(at) and os.stat(at).st_uid == os.geteuid():
            os.chmod(at, 0o711)
        if not os.stat(at).st_mode & stat.S_IXOTH:
            pytest.skip("nobody else may come here")
        at = os.path.dirname(at)
    os.chmod(site.top, 0o755)
    for name in ["state"] + ["tier-" + t for t in site.tiers]:
        os.chown(site.path(name), USER, USER)
        os.chmod(site.path(name), mode)
    os.chown(site.path("etc"), 0, USER)
    os.chmod(site.path("etc"), 0o750)
    site.init()
    subprocess.run(["chgrp", "-R", str(USER), site.path("etc")], check=True)
    subprocess.run(["chmod", "-R", "g+rX", site.path("etc")], check=True)


def as_user(site, *args, status=DONE):
    return site.run(*args, status=status, user=USER, group=USER, extra_groups=[])


def foreign(site):
    """What lies in state or on a tier and is not the user's."""
    found = []
    for name in ["state"] + ["tier-" + t for t in site.tiers]:
        for at, dirs, files in os.walk(site.path(name)):
            for one in dirs + files:
                st = os.lstat(os.path.join(at, one))
                if (st.st_uid, st.st_gid) != (USER, USER):
                    found.append(os.path.join(at, one))
    return found


@pytest.mark.parametrize("mode", [0o750, 0o700, 0o2770])
def test_what_root_makes_belongs_to_whom_the_directory_belongs(bare, mode):
    settle(bare, mode)
    with open(os.path.join(bare.source, "f"), "w", encoding="utf-8") as f:
        f.write("one\n")
    bare.backup()
    bare.run("copy")
    bare.run("verify")
    bare.run("expire")
    bare.run("gc")
    bare.run("list", "--refresh")
    assert not foreign(bare)
    os.chown(bare.source, USER, USER)
    with open(os.path.join(bare.source, "g"), "w", encoding="utf-8") as f:
        f.write("two\n")
    for args in (["backup", "vol.data"], ["copy"], ["verify"], ["expire"], ["gc"], ["list"]):
        as_user(bare, *args)
    bare.run("backup", "vol.data")


def test_check_tries_what_lies_in_the_state_and_says_whose_it_must_be(bare):
    settle(bare)
    with open(os.path.join(bare.source, "f"), "w", encoding="utf-8") as f:
        f.write("one\n")
    bare.backup()
    path = bare.path("state", "repository")
    os.chown(path, 0, 0)
    os.chmod(path, 0o600)
    for result in (as_user(bare, "check", status=CONFIGURATION),
                   bare.run("check", status=CONFIGURATION)):
        assert path in result.text and "chown -R --reference" in result.text
    result = as_user(bare, "backup", "vol.data", status=DENIED)
    assert "chown --reference" in result.err and "remove it" not in result.err


@pytest.mark.parametrize("how", ["there", "not there", "set-group-id"])
def test_the_root_of_a_restore_gets_its_owner_back(site, how):
    """Also where it is root's own: whoever owns the directory above must not own the tree."""
    if os.geteuid() != 0:
        pytest.skip("giving away needs root")
    site.backup()
    above = site.path("above")
    os.mkdir(above)
    os.chown(above, USER, USER)
    if how == "set-group-id":
        os.chmod(above, 0o2755)
    if how == "there":
        os.mkdir(above + "/out")
        os.chown(above + "/out", USER, USER)
    site.run("restore", "vol.data", "--to", above + "/out")
    want, got = os.stat(site.source), os.stat(above + "/out")
    assert (got.st_uid, got.st_gid, got.st_mode) == (want.st_uid, want.st_gid, want.st_mode)
