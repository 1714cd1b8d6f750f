"""What a program that runs ffdr can rely on: one object, and the same code for the same trouble."""

import json
import os
import shutil

import pytest

from conftest import DONE, USAGE, VERIFY, Site
import trees


@pytest.mark.parametrize("args, status", [
    ([], USAGE),
    (["nonsense"], USAGE),
    (["key"], USAGE),
    (["key", "nonsense"], USAGE),
    (["backup"], USAGE),
    (["backup", "vol.data", "--bogus"], USAGE),
    (["backup", "vol.data", "-x"], USAGE),
    (["backup", "vol.other"], USAGE),
    (["verify", "--limit", "-1s"], USAGE),
    (["restore", "vol.data", "--to"], USAGE),
    (["list", "vol.data", "--config"], USAGE),
    (["--version", "--nonsense"], USAGE),
    (["export", "vol.data"], USAGE),
    (["help", "nonsense"], USAGE),
    (["help"], DONE),
    (["help", "backup"], DONE),
    (["help", "--man", "ffdr.1"], DONE),
    (["help", "--completion", "bash"], DONE),
    (["--help"], DONE),
    (["backup", "--help"], DONE),
    (["version"], DONE),
    (["list"], DONE),
    (["config", "show"], DONE),
])
def test_every_end_is_one_object(site, args, status):
    for argv in (["--json"] + args, args + ["--json"]):
        if argv[-2:-1] in (["--config"], ["--to"]):
            continue # there it is a file's name
        result = site.run(*argv, status=status)
        answer = json.loads(result.out)
        assert isinstance(answer, dict) and ("error" in answer) == (status != DONE), result
        if status != DONE:
            assert answer["error"]["kind"] in ("usage", "not-found") and answer["error"]["message"]
            assert result.err.startswith("ffdr: ")


def test_both_ways_at_once_are_refused(site):
    result = site.run("list", "--json", "--events", status=USAGE)
    assert "--events" in result.json()["error"]["message"]


def test_events_are_all_of_them_lines(site):
    for args, status in ((["list", "--events"], DONE), (["--events", "nonsense"], USAGE),
                         (["backup", "--events"], USAGE), (["help", "--events"], DONE)):
        lines = site.run(*args, status=status).out.splitlines()
        assert lines and json.loads(lines[-1])["event"] == ("result" if status == DONE else "error")


def test_help_is_still_text_for_people(site):
    assert site.run("help").out.startswith("usage: ffdr COMMAND")
    assert site.run("help", "backup").out.startswith("usage: ffdr backup")


def test_a_manifest_of_another_repository_is_damage_everywhere(site, tmp_path):
    site.backup()
    other = Site(os.path.join(tmp_path, "other"))
    trees.make_plain(other.source)
    foreign = other.init().backup()
    shutil.copy(other.tier("local", "snap", foreign), site.tier("local", "snap", "vol.data"))
    for args in (["gc"], ["verify"], ["show", foreign], ["restore", foreign, "--to", "out"]):
        result = site.run(*args, status=VERIFY)
        assert "belongs to another repository" in result.text, result
