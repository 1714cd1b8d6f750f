"""Restoring over a living tree must not take what no snapshot holds: other file systems, bind mounts,
and what the source excludes."""

import contextlib
import os
import re
import shutil
import subprocess

import pytest

from conftest import DEGRADED, program


@contextlib.contextmanager
def mounted(where, *args):
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    os.makedirs(where, exist_ok=True)
    if subprocess.run(["mount", *args, where], check=False, capture_output=True).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", where], check=True)


def write(path, text="precious"):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def test_another_file_system_below_the_volume_is_left_alone(site):
    site.write_config(volume="one-file-system = yes")
    write(os.path.join(site.source, "kept"), "kept")
    inside = os.path.join(site.source, "mnt")
    with mounted(inside, "-t", "tmpfs", "tmpfs"):
        write(os.path.join(inside, "not-in-any-backup"))
        site.init().backup()
        write(os.path.join(site.source, "new"), "goes")
        done = site.run("restore", "vol.data", "--to", site.source, "--delta")
        assert "mnt" not in done.err, done
        assert read(os.path.join(inside, "not-in-any-backup")) == "precious"
        assert not os.path.exists(os.path.join(site.source, "new"))


def test_what_lies_where_something_was_mounted_is_left_alone(site):
    """On the new host all of it is one disk: what belongs there was brought back before."""
    site.write_config(volume="one-file-system = yes")
    inside = os.path.join(site.source, "mnt")
    site.init()
    with mounted(inside, "-t", "tmpfs", "tmpfs"):
        snapshot = site.backup()
        assert "another file system" in site.run("show", snapshot, "--files").out
    write(os.path.join(inside, "database", "table"))
    write(os.path.join(site.source, "new"), "goes")
    for more in ["--dry-run"], []:
        done = site.json("restore", "vol.data", "--to", site.source, "--delta", *more)
        assert done["removed"] == 1, done
    assert read(os.path.join(inside, "database", "table")) == "precious"
    # Into an empty place it is nothing to be told.
    site.run("restore", "vol.data", "--to", site.path("restored"))
    assert os.path.isdir(site.path("restored", "mnt"))


def test_a_bind_mount_of_the_same_device_is_neither_captured_nor_emptied(site):
    site.write_config(volume="one-file-system = yes")
    write(os.path.join(site.source, "d", "kept"), "kept")
    victim = site.path("victim")
    write(os.path.join(victim, "v"))
    site.init()
    target = site.path("restored")
    with mounted(os.path.join(site.source, "d", "bound"), "--bind", victim):
        snapshot = site.backup()
        assert "bound/v" not in site.run("show", snapshot, "--files").out
    site.run("restore", "vol.data", "--to", target)
    with mounted(os.path.join(target, "x", "y"), "--bind", victim):
        done = site.run("restore", "vol.data", "--to", target, "--delta", status=None)
        assert done.status in (0, DEGRADED)
        assert "mounted there: left" in done.err
        assert read(os.path.join(victim, "v")) == "precious"


def test_what_the_source_excludes_survives_a_restore_in_place(site):
    site.write_config(volume="exclude = cache/, *.tmp, /top/only")
    for name in ("cache/c", "d/x.tmp", "top/only", "d/file"):
        write(os.path.join(site.source, name), name)
    site.init().backup()
    write(os.path.join(site.source, "d", "extra"), "goes")
    write(os.path.join(site.source, "d", "file"), "changed")
    # The patterns are those of the snapshot, whatever the configuration says by now.
    site.write_config(volume="exclude = nothing-like-that")
    preview = site.json("restore", "vol.data", "--to", site.source, "--delta", "--dry-run")
    done = site.json("restore", "vol.data", "--to", site.source, "--delta")
    assert preview["removed"] == done["removed"] == 1
    assert done["excluded"] == 3
    for name in ("cache/c", "d/x.tmp", "top/only", "d/file"):
        assert read(os.path.join(site.source, name)) == name
    assert not os.path.exists(os.path.join(site.source, "d", "extra"))


def test_a_dry_run_names_what_would_be_made_a_directory_with_all_below(site):
    for name in ("a", "d/one", "d/e/two", "kept/three", "kept/four"):
        write(os.path.join(site.source, name), name)
    site.init().backup()
    shutil.rmtree(os.path.join(site.source, "d"))
    os.unlink(os.path.join(site.source, "kept", "four"))

    def makes():
        return site.json("restore", "vol.data", "--to", site.source, "--delta", "--dry-run")["makes"]

    assert makes() == ["d", "kept/four"]
    assert re.search(r"make +kept/four\n", site.run(
        "restore", "vol.data", "--to", site.source, "--delta", "--dry-run").out)
    site.run("restore", "vol.data", "--to", site.source, "--delta")
    assert makes() == []


def test_a_dry_run_tells_of_modes_owners_and_attributes(site):
    for name in ("right", "mode", "attr", "more", "d/file", "other"):
        write(os.path.join(site.source, name), name)
    os.setxattr(os.path.join(site.source, "attr"), "user.a", b"1")
    os.symlink("right", os.path.join(site.source, "link"))
    site.init().backup()

    def told():
        preview = site.json("restore", "vol.data", "--to", site.source, "--delta", "--dry-run")
        assert preview["changes"] == preview["removes"] == []
        return preview["adjusts"]

    assert told() == []
    os.chmod(os.path.join(site.source, "mode"), 0o700)
    os.chmod(os.path.join(site.source, "d"), 0o711)
    os.chmod(site.source, 0o711)
    os.setxattr(os.path.join(site.source, "attr"), "user.a", b"2")
    os.setxattr(os.path.join(site.source, "more"), "user.b", b"")
    expected = [".", "attr", "d", "mode", "more"]
    if os.geteuid() == 0:
        os.lchown(os.path.join(site.source, "link"), 7, 8)
        os.chown(os.path.join(site.source, "other"), 7, 8)
        expected = sorted(expected + ["link", "other"])
    assert told() == expected
    assert "attributes of %d set" % len(expected) in site.run(
        "restore", "vol.data", "--to", site.source, "--delta", "--dry-run").out
    site.run("restore", "vol.data", "--to", site.source, "--delta")
    assert told() == []


def test_what_is_excluded_keeps_the_way_to_it(site):
    """Below a directory that the snapshot does not have, or has a file for."""
    site.write_config(volume="exclude = *.key, cache/")
    write(os.path.join(site.source, "f"), "a file")
    write(os.path.join(site.source, "g"), "another")
    site.init().backup()
    os.unlink(os.path.join(site.source, "f"))
    kept = ["new/deep/my.key", "f/z.key", "new/cache/c"]
    for name in kept + ["new/deep/other", "new/gone/x", "f/y"]:
        write(os.path.join(site.source, name), name)
    write(os.path.join(site.source, "g"), "changed")
    done = site.run("restore", "vol.data", "--to", site.source, "--delta", status=DEGRADED)
    assert "'f': the snapshot has another thing there" in done.err
    for name in kept:
        assert read(os.path.join(site.source, name)) == name
    for name in ("new/deep/other", "new/gone", "f/y"):
        assert not os.path.exists(os.path.join(site.source, name))
    assert read(os.path.join(site.source, "g")) == "another"


def test_a_limit_on_file_sizes_is_an_error_and_no_crash(site):
    with open(os.path.join(site.source, "large"), "wb") as f:
        f.write(os.urandom(3 << 20))
    site.init().backup()
    done = subprocess.run(["sh", "-c", "ulimit -f 1000; exec \"$@\"", "sh",
                           program(), "restore",
                           "vol.data", "--to", site.path("out")],
                          env=site.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 75, done
    assert "large" in done.stderr
