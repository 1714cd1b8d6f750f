"""What the documents tell people to type, typed."""

import os
import re
import shutil
import subprocess
import tempfile

import pytest

from conftest import SOURCE_DIR, program
from postgres import need


def tour():
    with open(os.path.join(SOURCE_DIR, "README.md"), encoding="utf-8") as f:
        text = f.read()
    return re.findall(r"<!-- tour -->\n```sh\n(.*?)```", text, re.DOTALL)


def test_the_tour_of_the_readme(tmp_path):
    blocks = tour()
    assert len(blocks) > 5
    env = dict(os.environ, PATH=os.path.dirname(program()) + ":" + os.environ["PATH"])
    env.pop("FFDR_CONFIG", None)
    result = subprocess.run(["sh", "-eux"], input="\n".join(blocks).encode(), cwd=tmp_path, env=env,
                            capture_output=True, check=False, timeout=120)
    out = result.stdout.decode("utf-8", "replace") + result.stderr.decode("utf-8", "replace")
    assert result.returncode == 0, out[-5000:]
    assert "the same" in out and "backed up vol.photos/" in out
    assert out.count("restored vol.photos/") == 4


def test_the_demonstration(tmp_path):
    """The second part as `make demo` runs it, with a tenth of the data."""
    result, out = demonstration("volume", tmp_path, FFDR=program(), DEMO_MB="30")
    assert result == 0, out
    assert out.count("all equal") == 3
    assert os.listdir(tmp_path) == []


def test_the_demonstration_of_a_database(open_path):
    """The first part, with less of everything: no hole, and hardly a second of loss."""
    need(15)
    result, out = demonstration("postgres", open_path, FFDR=program(), DEMO_SCALE="2", DEMO_SECONDS="2")
    assert result == 0, out
    assert "in order and without a hole" in out and "RTO " in out
    assert os.listdir(open_path) == []


def test_the_demonstration_of_a_database_can_fail(open_path, tmp_path):
    """A program that confirms what it does not ship must not get through."""
    need(15)
    # As the servers' user has it, who may not come to where this one lies.
    shutil.copy(program(), os.path.join(open_path, "real"))
    os.makedirs(os.path.join(open_path, "t"), mode=0o755)
    liar = tmp_path / "ffdr"
    liar.write_text('#!/bin/sh\nreal=%s/real\ncase $1 in\nbackup) "$real" "$@"; code=$?; kill -STOP $(cat "%s/t"/*/*/receiver); exit $code;;\n'
                    'wal) echo $$ >"$(dirname "$FFDR_CONFIG")/receiver";;\nesac\nexec "$real" "$@"\n' % (open_path, open_path))
    liar.chmod(0o755)
    result, out = demonstration("postgres", os.path.join(open_path, "t"), FFDR=str(liar), DEMO_SCALE="1", DEMO_SECONDS="7")
    assert result != 0 and "ms older than the disaster" in out, out


def demonstration(part, top, **env):
    """Its status, and all it said."""
    env = dict(os.environ, TMPDIR=str(top), **env)
    env.pop("FFDR_CONFIG", None)
    result = subprocess.run(["sh", os.path.join(SOURCE_DIR, "tests", "demo.sh"), part], env=env, capture_output=True, check=False,
                            timeout=300)
    return result.returncode, (result.stdout + result.stderr).decode("utf-8", "replace")


@pytest.fixture(name="open_path")
def open_path_fixture():
    """A directory that the servers' user reaches; pytest's own are closed."""
    with tempfile.TemporaryDirectory(prefix="ffdr-demo-test-") as top:
        os.chmod(top, 0o755)
        yield top


def test_the_demonstration_can_fail(tmp_path):
    """It is a test as well: with a program that restores wrongly it must not end well."""
    liar = tmp_path / "ffdr"
    liar.write_text('#!/bin/sh\n"%s" "$@"; code=$?\ncase "$*" in restore*/one) '
                    'echo more >> "$4/logs/access.log";; esac\nexit $code\n' % program())
    liar.chmod(0o755)
    os.makedirs(tmp_path / "t")
    result, out = demonstration("volume", tmp_path / "t", FFDR=str(liar), DEMO_MB="6")
    assert result != 0 and "failed" in out
