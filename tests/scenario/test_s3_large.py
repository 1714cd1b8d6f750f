"""Buckets of very many objects, and of very large ones, are walked in a memory that does not grow with them."""

import hashlib
import os
import re
import time

import trees
from s3 import Site, versitygw_fixture  # noqa: F401

OBJECTS = 100_000
MIB = 1 << 20
MOST = 150           # MiB of memory for any listing
LINKS_MOST = 50_000  # of one file; file systems allow a little more
SIZE = 192           # MiB to copy
COPY_MOST = 96       # of which so many may be in memory: four packs, and they are 16 MiB here


def peak(site, *args):
    """Memory of a run at most, in MiB. Of a child that a large process starts, what the system counts begins with that one's."""
    child = site.start(*args)
    most = 0
    while child.poll() is None:
        with open("/proc/%d/status" % child.pid, encoding="utf-8") as f:
            found = re.search(r"VmHWM:\s+(\d+)", f.read())
        most = max(most, int(found.group(1)) / 1024 if found else 0)
        time.sleep(0.005)
    out, err = child.communicate()
    assert child.returncode == 0, (out, err)
    return most, out.decode()


def many(server, bucket):
    """Objects that nobody put and nothing needs, old enough to go: names of few files behind the server's back."""
    top = server.file(bucket, "prod/pack")
    for n in range(256):
        os.makedirs("%s/%02x" % (top, n), exist_ok=True)
    for n in range(OBJECTS):
        name = hashlib.sha256(b"%d" % n).hexdigest()
        path = "%s/%s/%s" % (top, name[:2], name)
        if n % LINKS_MOST:
            os.link(first, path)
            continue
        first = path
        with open(path, "wb") as f:
            f.write(b"x")
        os.utime(path, (1_700_000_000, 1_700_000_000))


def test_a_bucket_of_a_hundred_thousand_objects_is_looked_through_in_little_memory(versitygw, tmp_path):
    bucket = versitygw.bucket()
    site = Site(tmp_path, {"regional": bucket}, tiers=("regional",))
    trees.make_plain(site.source)
    site.init()
    site.backup()
    few, _ = peak(site, "gc")
    many(versitygw, bucket)
    most, out = peak(site, "gc")
    assert "%d more" % OBJECTS in out, out
    print("gc: %.1f MiB, and %.1f with %d objects more" % (few, most, OBJECTS))
    assert most < MOST
    most, out = peak(site, "verify", "--level", "0")
    print("verify: %.1f MiB" % most)
    assert most < MOST


def test_a_copy_from_bucket_to_bucket_streams(versitygw, tmp_path):
    """All of it passes through, and some packs at a time."""
    site = Site(tmp_path, {"regional": versitygw.bucket(), "dr": versitygw.bucket()}, tiers=("regional", "dr"))
    trees.make_plain(site.source)
    trees.write(os.fsencode(os.path.join(site.source, "large")), trees.noise(SIZE * MIB))
    site.init()
    snapshot = site.backup()
    most, _ = peak(site, "copy", "--to", "dr", snapshot)
    print("copy of %d MiB: %.1f MiB" % (SIZE, most))
    assert most < COPY_MOST
    packs = site.objects("regional", "pack/")
    assert site.objects("dr", "pack/") == packs
    assert sum(site.bucket("dr").head("prod/" + n)["ContentLength"] for n in packs) > SIZE * MIB
