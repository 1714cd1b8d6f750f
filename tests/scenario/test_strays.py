"""What does not belong onto a tier must not stand between a person and the snapshots there."""

import os
import shutil

import pytest

from conftest import DEGRADED, VERIFY


@pytest.fixture(name="alone")
def alone_fixture(site):
    """A snapshot, and only the tier `local` is left."""
    site.snapshot = site.backup()
    for tier in ("regional", "dr"):
        shutil.rmtree(site.tier(tier))
    return site


def leave(site, *names):
    for name in names:
        os.makedirs(os.path.dirname(site.tier("local", name)), exist_ok=True)
        with open(site.tier("local", name), "w", encoding="utf-8"):
            pass


def test_what_a_system_leaves_behind_is_no_object(alone):
    leave(alone, ".DS_Store", "snap/.DS_Store", "snap/vol.data/.nfs0000000012345", "pack/.tmp",
          "rec/.x", "pend/.x", "gc/.x")
    for verb in (["list"], ["verify", "--level", "2"], ["show", alone.snapshot]):
        result = alone.run(*verb, status=None)
        assert ".nfs" not in result.text and ".DS" not in result.text, result
        assert alone.snapshot in result.text or "1 of them sound" in result.text, result
    alone.assert_restores(alone.scan(), alone.snapshot, status=DEGRADED)
    alone.backup(status=None)
    alone.run("expire", "--tier", "local", status=None)
    alone.run("gc", "--tier", "local")


def test_what_nobody_knows_stops_what_removes_and_not_what_reads(alone):
    leave(alone, "snap/desktop.ini", "snap/vol.data/notes.txt")
    found = alone.json("list", status=DEGRADED)
    assert [s["snapshot"] for s in found["snapshots"]] == [alone.snapshot]
    alone.assert_restores(alone.scan(), alone.snapshot, status=DEGRADED)
    alone.run("export", alone.snapshot, "--output", alone.path("out.tar"), status=None)
    result = alone.run("verify", "--level", "2", status=VERIFY)
    assert "snap/desktop.ini" in result.err and "1 of them sound" in result.out, result
    result = alone.run("backup", "vol.data", status=DEGRADED)
    assert "snap/vol.data/notes.txt" in result.err and "0 B new" in result.out, result
    assert "'snap/desktop.ini' is no name of a snapshot" in alone.run("check", status=None).text
    for verb in ("expire", "gc"):
        result = alone.run(verb, "--tier", "local", status=None)
        assert result.status not in (0, DEGRADED), result
    assert alone.objects("local", "snap/" + alone.snapshot)
