"""A tier that holds another repository costs itself and not the others."""

import os
import re
import shutil

import pytest

from conftest import DEGRADED, DONE, REFUSED, Site

import trees


def make_foreign(site, tmp_path, tier="regional"):
    """Somebody else's repository, with a snapshot, in the place of one tier; what that one held."""
    os.makedirs(str(tmp_path / "other"))
    other = Site(tmp_path / "other", tiers=("local",))
    trees.make_plain(other.source)
    other.init()
    stranger = other.backup()
    away = site.path("taken-away")
    os.rename(site.tier(tier), away)
    shutil.copytree(other.tier("local"), site.tier(tier))
    return away, stranger


def ids(site):
    with open(site.path("state", "repository"), encoding="ascii") as f:
        return f.read().split()[3]


@pytest.fixture(name="mixed")
def mixed_fixture(site, tmp_path):
    site.ours = site.backup()
    site.run("copy")
    site.away, site.stranger = make_foreign(site, tmp_path)
    return site


def assert_told(site, result):
    assert re.search("regional.*: holds another repository, ", result.err), result
    assert "not ours, %s" % ids(site) in result.err, result


def test_restore_and_backup_go_on_with_the_others(mixed):
    before = mixed.scan()
    held = mixed.objects("regional")
    for more in [(), ("--tier", "dr")]:
        target = mixed.path("restored")
        shutil.rmtree(target, ignore_errors=True)
        result = mixed.run("restore", "vol.data", "--to", target, *more, status=None)
        assert result.status in (DONE, DEGRADED), result
        trees.assert_same(before, trees.scan(target))
    with open(os.path.join(mixed.source, "new"), "w", encoding="ascii") as f:
        f.write("new\n")
    mixed.backup()
    assert_told(mixed, mixed.run("copy", status=DEGRADED))
    assert_told(mixed, mixed.run("verify", status=DEGRADED))
    assert mixed.objects("regional") == held, "something was written into a stranger's repository"
    assert len(mixed.objects("dr", "snap/")) == 2


def test_without_state_the_signing_key_decides(mixed):
    shutil.rmtree(mixed.path("state"))
    result = mixed.run("verify", status=DEGRADED)
    assert_told(mixed, result)


def test_without_the_signing_key_the_memory_of_this_host_decides(mixed):
    before = mixed.scan()
    os.remove(mixed.path("etc", "signing.pem"))
    mixed.assert_restores(before, status=DEGRADED)
    assert mixed.stranger not in mixed.run("list", status=DEGRADED).out


def test_where_nothing_decides_nothing_is_done(mixed):
    shutil.rmtree(mixed.path("state"))
    os.remove(mixed.path("etc", "signing.pem"))
    for args in [("restore", "vol.data", "--to", mixed.path("x")), ("list",)]:
        result = mixed.run(*args, status=REFUSED)
        assert "hold two different repositories" in result.err, result
    assert not os.path.exists(mixed.path("x"))


def test_list_shows_no_snapshot_of_a_stranger(mixed):
    result = mixed.run("list", status=DEGRADED)
    assert_told(mixed, result)
    assert mixed.stranger not in result.out and mixed.ours in result.out, result
    os.rename(mixed.path("etc", "kek"), mixed.path("etc", "kek-away"))
    result = mixed.run("list", status=DEGRADED)
    assert mixed.stranger not in result.out and mixed.ours in result.out, result
    result = mixed.run("list", "--tier", "regional", status=REFUSED)
    assert "holds another repository" in result.err, result


def test_check_fails_and_init_and_rotation_refuse(mixed):
    result = mixed.run("check", status=None)
    assert result.status != DONE, result
    assert any("FAIL" in line and "holds another repository" in line
               for line in result.text.splitlines()), result
    result = mixed.run("init", status=REFUSED)
    assert "two different repositories" in result.err, result
    keys = mixed.objects("local", "key/")
    result = mixed.run("key", "rotate", status=REFUSED)
    assert "holds another repository" in result.err, result
    assert mixed.objects("local", "key/") == keys


def test_the_right_tier_back_is_used_again(mixed):
    shutil.rmtree(mixed.tier("regional"))
    os.rename(mixed.away, mixed.tier("regional"))
    mixed.run("verify")
    mixed.run("key", "rotate")
