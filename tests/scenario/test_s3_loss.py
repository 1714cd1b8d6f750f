"""Stores that lost something, and stores that take nothing any more: what is still there is used, what is gone is found and brought back
from another tier, and nobody takes "not now" for "never was"."""

import os
import shutil
import signal
import time

import pytest

import trees
from conftest import DEGRADED, VERIFY
from s3 import Site, fresh_server_fixture, minio_fixture, radosgw_fixture, versitygw_fixture  # noqa: F401

DRIVES = 4


def two_tiers(tmp_path, bucket, size=3 << 20):
    """A disk and a bucket, and a snapshot on both."""
    site = Site(tmp_path, {"regional": bucket}, tiers=("local", "regional"))
    trees.make_plain(site.source)
    trees.write(os.fsencode(os.path.join(site.source, "large")), trees.noise(size))
    trees.finish(os.fsencode(site.source))
    site.init()
    site.snapshot = site.backup()
    site.run("copy", "--to", "regional", site.snapshot)
    return site


# ---- objects ----

def largest_pack(site):
    return max(site.objects("local", "pack/"), key=lambda n: os.path.getsize(site.tier("local", n)))


def flipped(path):
    with open(path, "r+b") as f:
        f.seek(os.path.getsize(path) // 2)
        byte = f.read(1)
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte[0] ^ 0x10]))


def shortened(path):
    os.truncate(path, os.path.getsize(path) * 2 // 3)


@pytest.mark.parametrize("harm", (flipped, shortened, os.unlink), ids=lambda f: f.__name__)
def test_what_is_spoilt_behind_the_back_of_the_store_is_found_and_repaired_from_another_tier(versitygw, tmp_path, harm):
    bucket = versitygw.bucket()
    site = two_tiers(tmp_path, bucket)
    name = largest_pack(site)
    harm(versitygw.file(bucket, "prod/" + name))
    result = site.run("verify", "--level", "2", "--tier", "regional", status=VERIFY)
    assert os.path.basename(name)[:12] in result.text, result
    site.run("verify", "--level", "2", "--tier", "regional", "--repair", status=None)
    with open(site.tier("local", name), "rb") as f:
        assert f.read() == bucket.get("prod/" + name)
    site.run("verify", "--level", "2", "--tier", "regional")


def test_a_restore_takes_what_is_spoilt_from_another_tier(versitygw, tmp_path):
    bucket = versitygw.bucket()
    site = two_tiers(tmp_path, bucket)
    name = largest_pack(site)
    flipped(versitygw.file(bucket, "prod/" + name))
    before = site.scan()
    # A disk that has lost all that the bucket still has, and only that.
    for other in site.objects("local", "pack/"):
        if other != name:
            os.unlink(site.tier("local", other))
    target = site.path("restored")
    site.run("restore", site.snapshot, "--to", target, status=None)
    trees.assert_same(before, trees.scan(target))


# ---- drives ----

@pytest.fixture(name="drives")
def drives_fixture(fresh_server, tmp_path):
    """A MinIO of four drives, a site on it and a disk."""
    server = fresh_server("minio4")
    site = two_tiers(tmp_path, server.bucket())
    site.server = server
    return site


def lose(site, *numbers):
    """The bucket's directory is gone from these drives."""
    for n in numbers:
        os.rename(site.server.drive(n, site.bucket("regional").name), site.server.drive(n, ".lost"))


def find(site, *numbers):
    for n in numbers:
        at = site.server.drive(n, site.bucket("regional").name)
        shutil.rmtree(at, ignore_errors=True)
        os.rename(site.server.drive(n, ".lost"), at)


def test_a_lost_drive_changes_nothing(drives):
    lose(drives, 1)
    drives.run("verify", "--level", "2", "--tier", "regional")
    trees.write(os.fsencode(os.path.join(drives.source, "d1", "new")), trees.noise(400_000, 5))
    trees.finish(os.fsencode(drives.source))
    snapshot = drives.backup()
    drives.run("copy", "--to", "regional", snapshot)


def test_a_bucket_that_says_404_while_its_objects_exist_is_away_and_not_empty(drives):
    """With three of four drives gone MinIO does not know the bucket: nothing is judged, removed or made anew."""
    before = drives.objects("regional")
    lose(drives, 1, 2, 3)
    for words in (("verify", "--tier", "regional"), ("copy", "--to", "regional", drives.snapshot), ("gc",)):
        result = drives.run(*words, status=None)
        assert result.status not in (0, VERIFY), result
        assert "regional" in result.err, result
    result = drives.run("list", status=None)
    assert drives.snapshot in result.out
    result = drives.run("init", status=None)
    assert result.status != 0, result
    scan = drives.scan()
    drives.assert_restores(scan, drives.snapshot, status=None)
    find(drives, 1, 2, 3)
    time.sleep(2)
    assert drives.objects("regional") == before
    drives.run("verify", "--level", "2", "--tier", "regional")


def test_a_store_that_only_reads_serves_a_restore_and_refuses_a_copy(drives):
    """Two of four drives lost."""
    before = drives.scan()
    for n in (1, 2):
        os.rename(drives.server.drive(n), drives.server.drive(n) + "-away")
        # Else the server would make a new drive there, and use it half a minute later.
        open(drives.server.drive(n), "w", encoding="utf-8").close()
    shutil.move(drives.tier("local"), drives.path("away-local"))
    drives.assert_restores(before, drives.snapshot, status=None)
    shutil.move(drives.path("away-local"), drives.tier("local"))
    trees.write(os.fsencode(os.path.join(drives.source, "d1", "new")), trees.noise(400_000, 5))
    trees.finish(os.fsencode(drives.source))
    snapshot = drives.backup(status=None)
    result = drives.run("copy", "--to", "regional", snapshot, status=None)
    assert result.status not in (0, VERIFY) and "regional" in result.err, result
    assert "snap/" + snapshot not in drives.objects("regional", "snap/")


# ---- rights and room ----

def test_a_suspended_user_is_told_as_that_and_loses_nothing(radosgw, tmp_path):
    site = two_tiers(tmp_path, radosgw.bucket())
    before = site.objects("regional")
    radosgw.admin("user", "suspend", "--uid=ffdr")
    try:
        result = site.run("verify", "--tier", "regional", status=None)
        assert result.status not in (0, VERIFY, DEGRADED) and "regional" in result.err, result
        site.assert_restores(site.scan(), site.snapshot, status=None)
    finally:
        radosgw.admin("user", "enable", "--uid=ffdr")
    assert site.objects("regional") == before
    site.run("verify", "--level", "2", "--tier", "regional")


def test_a_full_bucket_is_told_as_that_and_has_no_half_snapshot(radosgw, tmp_path):
    site = two_tiers(tmp_path, radosgw.bucket(), size=1 << 20)
    bucket = site.bucket("regional")
    radosgw.admin("quota", "set", "--quota-scope=bucket", "--uid=ffdr", "--bucket=" + bucket.name, "--max-size=4M")
    radosgw.admin("quota", "enable", "--quota-scope=bucket", "--uid=ffdr", "--bucket=" + bucket.name)
    trees.write(os.fsencode(os.path.join(site.source, "larger")), trees.noise(30 << 20, 7))
    trees.finish(os.fsencode(site.source))
    snapshot = site.backup()
    result = site.run("copy", "--to", "regional", snapshot, status=None)
    assert result.status not in (0, VERIFY) and "uota" in result.err, result
    assert "snap/" + snapshot not in site.objects("regional", "snap/")
    # What was proved cannot be noted there.
    site.run("verify", "--level", "2", "--tier", "regional", status=DEGRADED)
    radosgw.admin("quota", "disable", "--quota-scope=bucket", "--uid=ffdr", "--bucket=" + bucket.name)
    site.run("copy", "--to", "regional", snapshot)
    site.run("verify", "--level", "2", "--tier", "regional")


def test_a_disk_that_hangs_behind_the_store_does_not_hang_us(fresh_server, tmp_path):
    server = fresh_server("radosgw")
    bucket = server.bucket()
    site = two_tiers(tmp_path, bucket)
    os.kill(server.pid("osd"), signal.SIGSTOP)
    begun = time.monotonic()
    result = site.run("verify", "--tier", "regional", status=None)
    assert result.status not in (0, VERIFY) and "regional" in result.err, result
    assert time.monotonic() - begun < 110
    os.kill(server.pid("osd"), signal.SIGCONT)
    server.await_writes(bucket)
    site.run("verify", "--tier", "regional")
