"""copy --as-of: no snapshot comes back to a tier on which one of its packs is missing, or is something else of that name; and what a
tier may have that does not answer is not lost."""

import os
import shutil

import pytest

import trees
from conftest import DEGRADED, VERIFY
from s3 import Site, before_fixture, fresh_server_fixture, minio_fixture, moment  # noqa: F401
from test_s3_thaw import Cold, moto_fixture  # noqa: F401


def largest(bucket):
    """The pack that holds files: its name and size."""
    return max(((name, bucket.head(name)["ContentLength"]) for name in bucket.names("prod/pack/")), key=lambda x: x[1])


def filled(site, *tiers):
    trees.make_plain(site.source)
    trees.write(os.fsencode(os.path.join(site.source, "large")), trees.noise(1_000_000, 7))
    trees.finish(os.fsencode(site.source))
    site.init()
    site.first = site.backup()
    for tier in tiers:
        site.run("copy", "--to", tier, site.first)
    return site


@pytest.mark.parametrize("size", ("the same", "another"))
def test_a_pack_of_which_no_version_is_left_is_no_pack_because_something_has_its_name(minio, tmp_path, size):
    site = filled(Site(tmp_path, {"regional": minio.bucket(versions=True)}, tiers=("local", "regional")), "regional")
    bucket = site.bucket("regional")
    (victim, length), snap, then = largest(bucket), "prod/snap/" + site.first, moment()
    good = bucket.versions(victim)
    bucket.put(victim, b"x" * length if size == "the same" else b"junk")
    for name, version, _ in good:
        bucket.delete(name, VersionId=version)
    bucket.delete(snap)
    shutil.rmtree(site.tier("local"))
    result = site.run("copy", "--as-of", then, "--to", "regional", status=VERIFY)
    assert "'%s' was not brought" % snap[len("prod/"):] in result.err and "1 pack that it names is not there" in result.err, result
    assert bucket.names("prod/snap/") == [], "the next backup would build upon it"


def test_a_pack_that_is_left_in_an_archive_is_not_here_because_something_has_its_name(moto, before, tmp_path):
    cold = Cold(tmp_path, moto, before(moto), versions=True).fill(files=1)
    bucket, then = cold.bucket("cold"), moment()
    bucket.put(largest(bucket)[0], b"junk")
    bucket.delete("prod/snap/" + cold.snapshot)
    cold.freeze()
    result = cold.run("copy", "--as-of", then, "--to", "cold", status=DEGRADED)
    assert "1 snapshot that could not be without them" in result.err, result
    assert bucket.names("prod/snap/") == []


def test_what_is_damaged_on_one_tier_is_not_lost_while_another_does_not_answer(minio, before, tmp_path):
    proxy = before(minio)
    site = filled(Site(tmp_path, {"regional": minio.bucket(versions=True), "dr": (minio.bucket(versions=True), proxy.url)},
                       tiers=("local", "regional", "dr")), "regional", "dr")
    bucket, snap = site.bucket("regional"), "prod/snap/" + site.first
    victim, _ = largest(bucket)
    bucket.flip(victim)
    then = moment()
    bucket.put(victim, b"junk")
    bucket.delete(snap)
    shutil.rmtree(site.tier("local"))
    words = ("copy", "--as-of", then, "--to", "regional")
    for fault in ("reset", ("status", 403, "AccessDenied")):
        proxy.fault(fault, times=None, path="/pack/", method="GET")
        result = site.run(*words, status=DEGRADED)
        assert result.err.count("once dr can be asked") == 2 and "no tier that answers has all of it" in result.err, result
        assert "of which no tier had a good one" not in result.out, result
        assert bucket.names("prod/snap/") == []
        proxy.clear()
    printed = site.json(*words)
    assert (printed["lost"], printed["unanswered"], bucket.names("prod/snap/")) == (0, 0, [snap]), printed
    site.run("verify", "--level", "2", "--tier", "regional", status=None)
