"""The state directory only saves work: absent, full, read-only or somebody else's, it stops no restore."""

import contextlib
import os
import shutil
import stat
import subprocess
import tempfile

import pytest

from conftest import CONFIGURATION, DEGRADED, DENIED, DONE, Site
import trees

NOBODY = 65534


@contextlib.contextmanager
def mounted(where, options):
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    os.makedirs(where, exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", where], check=False,
                      capture_output=True).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", where], check=True)


def fill(where):
    """Not a byte and not a name is left."""
    with contextlib.suppress(OSError), open(os.path.join(where, "filler"), "wb") as f:
        while True:
            f.write(bytes(4096))
            f.flush()
    with contextlib.suppress(OSError):
        for i in range(100000):
            os.mkdir(os.path.join(where, "d%d" % i))


def assert_reads(site, before):
    """Whatever reads does, and what it says of the state is at most a warning."""
    for args in (["list"], ["list", "--refresh"], ["show", "vol.data"], ["verify"], ["key", "list"]):
        assert site.run(*args, status=None).status in (DONE, DEGRADED)
    assert site.run("export", "vol.data", status=None).status in (DONE, DEGRADED)
    target = site.path("restored")
    shutil.rmtree(target, ignore_errors=True)
    result = site.run("restore", "vol.data", "--to", target, status=None)
    assert result.status in (DONE, DEGRADED), result
    trees.assert_same(before, trees.scan(target))
    return result


def test_a_read_only_state_is_a_warning_that_tells_the_reason(site):
    site.backup()
    before = site.scan()
    with mounted(site.path("state"), "ro"):
        result = assert_reads(site, before)
        assert "Read-only file system" in result.err and "as root" not in result.err
        result = site.run("backup", "vol.data", status=DEGRADED)
        assert "Read-only file system" in result.err and "backed up" in result.out
        # Removing rests on what is remembered of the clock: that is no cache.
        assert site.run("expire", status=None).status not in (DONE, DEGRADED)
    site.backup()


def test_a_full_state_is_a_warning(site):
    site.backup()
    before = site.scan()
    with mounted(site.path("state"), "size=64k,nr_inodes=4"):
        fill(site.path("state"))
        assert_reads(site, before)
        result = site.run("backup", "vol.data", status=DEGRADED)
        assert "No space left" in result.err and "backed up" in result.out
        assert result.err.count("ffdr: warning: ") == 1, result


def test_a_state_that_cannot_be_made_is_a_warning(site):
    site.backup()
    before = site.scan()
    shutil.rmtree(site.path("state"))
    with open(site.path("state"), "w", encoding="utf-8") as f:
        f.write("a file\n")
    result = assert_reads(site, before)
    assert "state directory cannot be made" in result.err
    site.run("backup", "vol.data", status=DEGRADED)
    os.unlink(site.path("state"))
    assert_reads(site, before)
    assert os.path.isdir(site.path("state"))


def test_what_is_no_memory_of_the_repository_does_not_stop_a_restore(site):
    site.backup()
    before = site.scan()
    path = site.path("state", "repository")
    with open(path, "w", encoding="utf-8") as f:
        f.write("garbage\n")
    result = assert_reads(site, before)
    assert result.status == DEGRADED and path in result.err
    assert site.run("backup", "vol.data", status=None).status not in (DONE, DEGRADED)


@pytest.fixture(name="open_site")
def open_site_fixture():
    """Where others may come, too."""
    if os.geteuid() != 0:
        pytest.skip("becoming somebody else needs root")
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o755)
        at = os.path.dirname(top)
        while at != "/":
            if not os.stat(at).st_mode & stat.S_IXOTH:
                pytest.skip("nobody else may come here")
            at = os.path.dirname(at)
        site = Site(top)
        trees.make_plain(site.source)
        yield site.init()


def test_a_state_of_somebody_else_stops_writing_and_not_reading(open_site):
    site, other = open_site, {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    site.backup()
    before = site.scan()
    for name in ["etc", "source"] + ["tier-" + t for t in site.tiers]:
        subprocess.run(["chown", "-R", str(NOBODY), site.path(name)], check=True)
    home = site.path("home")
    os.mkdir(home)
    os.chown(home, NOBODY, NOBODY)
    os.chmod(site.path("state"), 0o700)
    result = site.run("restore", "vol.data", "--to", os.path.join(home, "r"), status=DEGRADED,
                      **other)
    assert "state directory" in result.err and "Permission denied" in result.err
    assert set(before) == set(trees.scan(os.path.join(home, "r")))
    result = site.run("backup", "vol.data", status=DENIED, **other)
    assert "run ffdr as root or in the group of that directory" in result.err


def test_a_tier_that_takes_no_notes_is_verified_all_the_same(site):
    site.backup()
    tier = site.tier("local")
    shutil.move(tier, site.path("moved"))
    with mounted(tier, "size=64m"):
        subprocess.run(["cp", "-a", site.path("moved") + "/.", tier], check=True)
        subprocess.run(["mount", "-o", "remount,ro", tier], check=True)
        result = site.run("verify", status=DEGRADED)
        assert "cannot be verified" not in result.err
        assert "cannot be noted there" in result.err
        assert "verified 1 copy of snapshots, 1 of them sound" in result.out
        result = site.run("verify", "--restore", status=DEGRADED)
        assert "cannot be noted" in result.err and "compared" in result.out


@pytest.mark.parametrize("where", ["main", "fragment", "key", "escrow"])
def test_a_pipe_is_refused_and_not_waited_for(site, where):
    site.backup()
    path = {"main": site.config, "fragment": site.path("etc", "conf.d", "x.ini"),
            "key": site.path("etc", "kek"), "escrow": site.path("etc", "pipe.pem")}[where]
    os.makedirs(site.path("etc", "conf.d"), exist_ok=True)
    with contextlib.suppress(OSError):
        os.unlink(path)
    os.mkfifo(path)
    args = ["restore", "vol.data", "--to", site.path("out")]
    if where == "escrow":
        args = ["key", "escrow-test", "--private", path]
    result = site.run(*args, status=2 if where == "escrow" else CONFIGURATION)
    assert path in result.err
    assert "plain file" in result.err or "pipe is not supported" in result.err
