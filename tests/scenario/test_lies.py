"""A snapshot that is sealed well and not true: what no restore takes, no verification may call sound."""

import os
import re
import shutil

import pytest

import trees
from conftest import VERIFY, Site
from secondreader import Forger, Reader, container


@pytest.fixture(name="whole", scope="module")
def whole_fixture(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("lies"), tiers=("local",))
    trees.make_plain(site.source, files=6)
    site.init()
    site.first = site.backup()
    return site


@pytest.fixture(name="lie")
def lie_fixture(whole, request):
    """Seals the first snapshot again with a change."""
    saved = whole.path("saved")
    shutil.copytree(whole.tier("local"), saved)

    def back():
        shutil.rmtree(whole.tier("local"))
        os.rename(saved, whole.tier("local"))
    request.addfinalizer(back)
    reader = Reader(whole, whole.tier("local"))
    reader.at = lambda *parts: whole.tier("local", *parts)
    reader.names = container.Tier(whole.tier("local")).names
    forger = Forger(whole, reader)

    def lie(pattern, to):
        name = "snap/" + whole.first
        text, count = re.subn(pattern, to, forger.text(name), count=1, flags=re.M)
        assert count == 1, text.decode()
        head, rest = re.split(rb"(?m)^list \d+\n", text)
        listed = rest[:rest.rindex(b"end ")]
        files = [line.split(b" ") for line in listed.splitlines() if line[:2] == b"f "]
        entries = sum(1 for line in listed.splitlines() if line[:2] != b"x ")
        sizes = sum(int(f[8]) for f in files)
        head = re.sub(rb"(?m)^entries \d+", b"entries %d" % entries, head)
        head = re.sub(rb"(?m)^files \d+", b"files %d" % len(files), head)
        head = re.sub(rb"(?m)^bytes \d+", b"bytes %d" % sizes, head)
        forger.manifest(name, head + b"list %d\n" % len(listed) + listed +
                        b"end %d %d %d\n" % (entries, len(files), sizes))
    return lie


def test_the_forger_is_believed_where_nothing_is_changed(whole, lie):
    lie(rb"^host .*$", b"host somebody")
    whole.run("verify", "--level", "2")
    whole.assert_restores(whole.scan())


LIES = [
    (rb"^f (.*) d0/f000$", rb"f \1 d0/../f000"),
    (rb"^f (.*) d0/f000$", rb"f \1 /d0/f000"),
    (rb"^f (.*) d0/f000$", rb"f \1 d0/f000\\x00"),
    (rb"^f (.*) d0/f000$", rb"f \1 d0/./f000"),
    (rb"^f (.*) d0/f000$", rb"f \1 d9/f000"),
    (rb"^f (.*) d0/f000$", rb"f \1 zzz"),
    (rb"^(f .* d0/f000)$", rb"\1\n\1"),
    (rb"^(f 0644 .* 0) \d+ 17 (\S+ g)", rb"\1 7 17 \2"),
    (rb"^(f 0644 .* 0) \d+ 17 (\S+ g)", rb"\1 59999 17 \2"),
]


@pytest.mark.parametrize("pattern,to", LIES, ids=[str(n) for n in range(len(LIES))])
def test_what_no_restore_takes_is_not_called_sound(whole, lie, pattern, to):
    lie(pattern, to)
    target = whole.path("target")
    shutil.rmtree(target, ignore_errors=True)
    fresh = whole.run("restore", whole.first, "--to", target, status=None)
    assert fresh.status == VERIFY, fresh
    result = whole.run("verify", "--level", "2", status=VERIFY)
    assert whole.first in result.err, result
    # And over what is there it is no better.
    again = whole.run("restore", whole.first, "--to", target, "--delta", status=None)
    assert again.status == VERIFY, again


def test_a_backup_commits_nothing_that_it_cannot_read(whole, lie):
    """The numbers of packs of this lineage are used up."""
    lie(rb"^next-pack \d+$", b"next-pack 4294967295")
    new = os.path.join(whole.source, "new")
    trees.write(os.fsencode(new), trees.noise(300_000, 9))
    try:
        result = whole.run("backup", "vol.data", status=None)
    finally:
        os.unlink(new)
    assert result.status != 0 and "not committed" in result.err, result
    assert len(whole.objects("local", "snap/")) == 1
