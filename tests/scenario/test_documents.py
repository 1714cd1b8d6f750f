"""What the documents tell people to type, typed."""

import os
import re
import subprocess

from conftest import SOURCE_DIR, program


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
    """As `make demo` runs it, with a tenth of the data."""
    script = os.path.join(SOURCE_DIR, "tests", "demo.sh")
    env = dict(os.environ, FFDR=program(), DEMO_MB="30", TMPDIR=str(tmp_path))
    env.pop("FFDR_CONFIG", None)
    result = subprocess.run(["sh", script], env=env, capture_output=True, check=False, timeout=300)
    out = (result.stdout + result.stderr).decode("utf-8", "replace")
    assert result.returncode == 0, out
    assert out.count("all equal") == 3
    assert os.listdir(tmp_path) == []


def test_the_demonstration_can_fail(tmp_path):
    """It is a test as well: with a program that restores wrongly it must not end well."""
    liar = tmp_path / "ffdr"
    liar.write_text('#!/bin/sh\n"%s" "$@"; code=$?\ncase "$*" in restore*/one) '
                    'echo more >> "$4/logs/access.log";; esac\nexit $code\n' % program())
    liar.chmod(0o755)
    os.makedirs(tmp_path / "t")
    env = dict(os.environ, FFDR=str(liar), DEMO_MB="6", TMPDIR=str(tmp_path / "t"))
    env.pop("FFDR_CONFIG", None)
    script = os.path.join(SOURCE_DIR, "tests", "demo.sh")
    result = subprocess.run(["sh", script], env=env, capture_output=True, check=False, timeout=300)
    assert result.returncode != 0 and b"failed" in result.stderr
