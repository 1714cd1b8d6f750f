"""The units do what schedules/README.md says: where they may write, when they run, what follows what."""

import glob
import os
import re
import subprocess

import pytest

from conftest import SOURCE_DIR


def read(*parts):
    with open(os.path.join(SOURCE_DIR, *parts), encoding="utf-8") as f:
        return f.read()


def units(suffix):
    found = glob.glob(os.path.join(SOURCE_DIR, "systemd", "*" + suffix))
    # The receiver is a service of its own and needs no timer.
    assert len(found) == {".service.in": 7, ".timer": 6}[suffix], found
    return {os.path.basename(name): read("systemd", os.path.basename(name)) for name in found}


def test_every_unit_may_write_to_the_places_of_the_shipped_tiers():
    wanted = set(re.findall(r"^url\s*=\s*file://(\S+)", read("schedules", "tiers.ini"), re.M))
    assert len(wanted) == 3
    for name, text in units(".service.in").items():
        allowed = re.search(r"^ReadWritePaths=(.*)$", text, re.M).group(1)
        assert {w.lstrip("-") for w in allowed.split()} == wanted, name
        # A place that is not there is no failure of the unit.
        assert all(w.startswith("-") for w in allowed.split()), name


def test_timers_are_in_utc():
    for name, text in units(".timer").items():
        times = re.findall(r"^OnCalendar=(.*)$", text, re.M)
        assert times and all(t.endswith(" UTC") for t in times), (name, times)


@pytest.mark.parametrize("expire, gc, result", [
    (0, 0, 0), (3, 0, 3), (11, 0, 11), (0, 4, 4), (3, 4, 3), (12, 0, 12), (12, 4, 4), (0, 12, 12),
    (5, 12, 5),
])
def test_gc_runs_whatever_expire_said_and_the_first_failure_is_the_result(tmp_path, expire, gc,
                                                                          result):
    fake = tmp_path / "ffdr"
    fake.write_text("#!/bin/sh\necho $1 >>%s/ran\ncase $1 in expire) exit %d;; *) exit %d; esac\n" % (
        tmp_path, expire, gc))
    fake.chmod(0o755)
    lines = re.findall(r"^ExecStart=(.*)$", read("systemd", "ffdr-expire.service.in"), re.M)
    match = re.fullmatch(r"/bin/sh -c '(.*)'", lines[0])
    assert len(lines) == 1 and match, lines
    script = match.group(1).replace("$$", "$").replace("@bindir@", str(tmp_path))
    done = subprocess.run(["sh", "-c", script], check=False)
    assert (tmp_path / "ran").read_text().split() == ["expire", "gc"]
    assert done.returncode == result
