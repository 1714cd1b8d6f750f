"""Where a source, a hook, a target or ffdr's own files are not what they must be."""

import os
import shutil

import pytest

import trees
from conftest import CONFIGURATION, REFUSED, UNREACHABLE, USAGE


def test_a_volume_that_is_not_mounted_is_away_and_no_slip_of_the_fingers(site):
    os.rename(site.source, site.path("unmounted"))
    for args in [(), ("--dry-run",)]:
        result = site.run("backup", "vol.data", *args, status=UNREACHABLE)
        assert "vol.data: there is no directory '%s'" % site.source in result.err, result
        assert "is it mounted?" in result.err, result
    assert site.objects("local", "snap/") == []


def test_a_volume_whose_path_is_a_file_is_a_wrong_configuration(site):
    shutil.rmtree(site.source)
    with open(site.source, "w", encoding="ascii"):
        pass
    result = site.run("backup", "vol.data", status=CONFIGURATION)
    assert "vol.data: '%s' is no directory" % site.source in result.err, result
    assert "\n  fix " in result.err, result


def test_a_before_hook_that_fails_refuses_the_backup(site):
    site.write_config(volume="before = echo no room to freeze >&2; exit 7")
    result = site.run("backup", "vol.data", status=REFUSED)
    for text in ["vol.data: before: ", "failed with exit 7", "no room to freeze", "\n  fix "]:
        assert text in result.err, result
    assert site.objects("local", "snap/") == []


def test_a_target_that_is_a_file_is_wrong_usage(site):
    site.backup()
    path = site.path("file")
    with open(path, "w", encoding="ascii") as f:
        f.write("mine\n")
    for to in [path, path + "/below"]:
        result = site.run("restore", "vol.data", "--to", to, status=USAGE)
        assert "expected a directory" in result.err, result
    with open(path, encoding="ascii") as f:
        assert f.read() == "mine\n"


@pytest.mark.parametrize("where", ["tier", "deep", "state", "source", "link"])
def test_no_restore_into_a_tier_the_state_or_its_own_source(site, where):
    site.backup()
    os.symlink(site.source, site.path("link"))
    to = {"tier": site.tier("dr", "x"), "deep": site.tier("dr", "pack", "y", "x"),
          "state": site.path("state", "x"), "source": os.path.join(site.source, "x", "y"),
          "link": site.path("link", "x")}[where]
    for more in [(), ("--delta",), ("--dry-run",)]:
        result = site.run("restore", "vol.data", "--to", to, *more, status=REFUSED)
        assert "lies in" in result.err and "\n  fix " in result.err, result
    assert not os.path.exists(to)


def test_restores_into_the_place_of_the_source_itself_and_into_what_it_leaves_out(site):
    site.write_config(volume="exclude = /back/")
    before = site.scan()
    site.backup()
    trees.assert_same(before, trees.scan(site.restore(to="source/back/today")))
    shutil.rmtree(os.path.join(site.source, "back"))
    site.run("restore", "vol.data", "--to", site.source, "--delta")
    shutil.rmtree(site.source)
    site.run("restore", "vol.data", "--to", site.source)
    trees.assert_same(before, site.scan())


@pytest.mark.parametrize("name", ["lock", "catalog"])
def test_a_file_in_the_way_in_the_state_stops_no_backup(site, name):
    shutil.rmtree(site.path("state", name), ignore_errors=True)
    with open(site.path("state", name), "w", encoding="ascii"):
        pass
    before = site.scan()
    result = site.run("backup", "vol.data", status=None)
    assert result.status in (0, 3) and "backed up" in result.out, result
    assert name in result.err, result
    site.assert_restores(before, status=None)
