"""Somebody has ffdr's own credentials, its keys and its program, and a day of time: a bucket with Object Lock, on which a database and a
volume are kept, is deleted, overwritten, unlocked, expired and given other keys. Everything of before comes back, byte for byte.
"""

import datetime
import os
import shutil

import pytest

import trees
from conftest import DEGRADED, DONE, VERIFY
from postgres import servers_fixture  # noqa: F401
from restored import Ledger, boot, readable
from s3 import Site, attempt, before_fixture, in_days, minio_fixture, moment  # noqa: F401
from s3_databases import BucketDatabase

JUNK = b"your files are ours"
LOCKED = ("prod/repo/", "prod/key/", "prod/pack/", "prod/snap/", "prod/wal/")


class Vault(BucketDatabase):
    """pg.pay and vol.data on one tier, a bucket that locks."""

    def __init__(self, top, server, bucket):
        super().__init__(top, server, {"regional": bucket}, tiers=("regional",), wal="regional")

    def write_config(self, more="", tier=None, volume=True, **keys):
        super().write_config("[volume data]\npath = %s\ntiers = regional\n" % self.source if volume else "",
                             {"regional": "keep = 7d\nlock = compliance"}, **keys)

    def volume(self):
        result = self.run("backup", "vol.data")
        return result.out.split("backed up ")[1].split()[0]


def protect(servers, bucket):
    """A vault in use: volume and database backed up, WAL shipped; then the host of the database is gone."""
    server = servers.new(15, "--wal-segsize=1").start()
    site = Vault(servers.path("site"), server, bucket)
    trees.make_plain(site.source)
    site.run("init")
    shutil.copy(site.path("etc", "kek"), site.path("etc", "kek-safe"))
    site.before = site.scan()
    site.volume()
    site.stream()
    readable(site)
    ledger = Ledger(server).start().wait(20)
    site.backup()
    ledger.wait(60).stop()
    site.wait_shipped(server.lsn())
    site.end_streams()
    server.destroy()
    return site, ledger


# ---- what they try ----

def through_ffdr(site):
    """As the program lets who has its keys: nothing of this needs another right."""
    site.write_config(volume=False)
    site.run("expire", "--retire", "vol.data", "--why", "ransom", status=None)
    site.run("expire", "--yes-more-than-half", "--yes-the-clock-is-right", status=None)
    site.run("gc", status=None)
    site.run("key", "rotate", status=None)
    site.run("key", "rotate", "--kek", "file:" + site.path("etc", "kek-theirs"), status=None)


def change_the_bucket(bucket):
    """Rules and versions: none may shorten a lock."""
    s3, name = bucket.s3, bucket.name
    for days in ({"Days": 1}, {"Date": datetime.datetime(2020, 1, 1)}):
        attempt(s3.put_bucket_lifecycle_configuration, Bucket=name, LifecycleConfiguration={"Rules": [
            {"ID": "gone", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": days,
             "NoncurrentVersionExpiration": {"NoncurrentDays": 1}}]})
    assert not attempt(s3.put_bucket_versioning, Bucket=name, VersioningConfiguration={"Status": "Suspended"})
    attempt(s3.put_object_lock_configuration, Bucket=name, ObjectLockConfiguration={"ObjectLockEnabled": "Disabled"})
    assert not attempt(s3.delete_bucket, Bucket=name)


def unlock(bucket, name, version):
    """Every way to a lock's end; True: one of them was let."""
    s3, at = bucket.s3, {"Bucket": bucket.name, "Key": name, "VersionId": version}
    for more in ({}, {"BypassGovernanceRetention": True}):
        for how in ({"Mode": "COMPLIANCE", "RetainUntilDate": in_days(0.0001)},
                    {"Mode": "GOVERNANCE", "RetainUntilDate": in_days(0.0001)}, {}):
            if attempt(s3.put_object_retention, Retention=how, **at, **more):
                return True
        attempt(s3.put_object_legal_hold, LegalHold={"Status": "OFF"}, **at)
        if attempt(s3.delete_object, **at, **more):
            return True
    return False


def ruin(bucket):
    """Every version of every object, and what is seen of them; names whose lock did not hold."""
    gone = []
    for name, version, marker in bucket.versions("prod/"):
        if not marker and name.startswith(LOCKED) and unlock(bucket, name, version):
            gone.append((name, version))
        elif not name.startswith(LOCKED):
            attempt(bucket.s3.delete_object, Bucket=bucket.name, Key=name, VersionId=version, BypassGovernanceRetention=True)
    for n, name in enumerate(bucket.names("prod/")):
        bucket.put(name, JUNK)
        if n % 3:
            bucket.delete(name)
    bucket.s3.delete_objects(Bucket=bucket.name, Delete={"Objects": [
        {"Key": name, "VersionId": version} for name, version, marker in bucket.versions("prod/snap/") if not marker]})
    change_the_bucket(bucket)
    return gone


# ---- what is left ----

def recovered_as_of(site, servers, ledger, then):
    """Both sources, from the bucket alone, on a host that has nothing but the configuration and its keys."""
    shutil.rmtree(site.path("state"))
    os.makedirs(site.path("state"))
    site.write_config()
    readable(site)
    past = ("--as-of", then)
    site.assert_restores(site.before, "vol.data", *past)
    site.run("verify", "--level", "2", *past)
    site.run("restore", "pg.pay", "--to", site.path("back"), *past)
    other = boot(servers, site)
    assert ledger.lost(other) == []
    assert ledger.count() >= 60


def test_nothing_is_lost_to_who_has_our_credentials_our_keys_and_a_day(minio, servers):
    bucket = minio.bucket(lock=True)
    site, ledger = protect(servers, bucket)
    try:
        then = moment()
        old = [v for v in bucket.versions("prod/") if v[0].startswith(LOCKED) and not v[2]]
        through_ffdr(site)
        assert ruin(bucket) == [], "locks that did not hold"
        there = set(bucket.versions("prod/"))
        assert [v for v in old if v not in there] == []
        # As it is there is nothing to be had, and that is said, by every verb and loudly.
        shutil.copy(site.path("etc", "kek-safe"), site.path("etc", "kek"))
        site.write_config()
        for words in (("check",), ("verify",), ("restore", "vol.data", "--to", site.path("x")), ("backup", "vol.data"),
                      ("restore", "pg.pay", "--to", site.path("x"))):
            result = site.run(*words, status=None)
            assert result.status not in (DONE, 3) and "regional" in result.text, result
        assert not os.path.exists(site.path("x"))
        recovered_as_of(site, servers, ledger, then)
        # In place again, over what they left: from then on without looking back.
        result = site.run("copy", "--as-of", then, "--to", "regional", status=VERIFY)
        assert "lifecycle" in result.err, result
        result = site.run("check", status=None)
        assert "removes objects by their age" in result.text, result
        bucket.s3.delete_bucket_lifecycle(Bucket=bucket.name)
        result = site.run("check", status=None)
        assert "removes objects by their age" not in result.text, result
        site.run("copy", "--as-of", then, "--to", "regional", status=None)
        for name in set(bucket.names("prod/")) - {name for name, _, _ in old}:
            bucket.delete(name)
        site.run("verify", "--level", "2")
        site.assert_restores(site.before, "vol.data")
    finally:
        site.end_all()


# ---- one tier of two: what verify and status say of it ----

@pytest.fixture(name="two")
def two_fixture(minio, before, tmp_path):
    """A disk, and a bucket behind a proxy; a snapshot on both."""
    proxy = before(minio)
    site = Site(tmp_path, {"regional": (minio.bucket(versions=True), proxy.url)}, tiers=("local", "regional"))
    site.proxy = proxy
    trees.make_plain(site.source)
    site.init()
    site.made = site.backup()
    site.run("copy")
    return site


def harm(site, how):
    """All is deleted, or all but packs; what says whose it is is deleted; all is overwritten."""
    bucket = site.bucket("regional")
    for name in bucket.names("prod/"):
        if how == "overwritten":
            bucket.put(name, JUNK)
        elif how == "emptied" or (how == "packs are left" and "/pack/" not in name) or "/repo/" in name or "/key/" in name:
            bucket.delete(name)


@pytest.mark.parametrize("how", ("emptied", "packs are left", "nobody's", "overwritten"))
def test_verify_fails_for_a_bucket_that_answers_and_was_attacked(two, how):
    harm(two, how)
    there = two.bucket("regional").versions()
    for more in ((), ("--tier", "regional"), ("--repair",), ("--level", "0")):
        result = two.run("verify", *more, status=VERIFY)
        assert "tier 'regional' cannot be verified: " in result.err and "`ffdr copy --as-of TIME --to regional`" in result.err, result
        gone = "'snap/%s' on 'regional': was the newest there (number 1) and is gone" % two.made
        assert (gone in result.err) == (how in ("emptied", "packs are left")), result
        assert "ffdr verify --repair" not in result.text, result
    assert two.bucket("regional").versions() == there, "a tier that may be somebody else's was written to"
    report = two.run("verify", "--json", status=VERIFY).json()
    assert report["away"] == 0 and report["broken"] == len(report["findings"]) and report["snapshots"] == report["good"] == 1, report
    assert {f["tier"] for f in report["findings"]} == {"regional"}
    result = two.run("verify", two.made, "--tier", "regional", status=None)
    assert result.status not in (DONE, DEGRADED, VERIFY) and "regional" in result.err, result


def test_a_bucket_that_does_not_answer_is_away_and_nothing_of_it_is_missed(two):
    two.proxy.fault(("status", 403, "AccessDenied"), times=None)
    result = two.run("verify", status=DEGRADED)
    assert "tier 'regional' cannot be verified" in result.err and "was the newest" not in result.err, result


@pytest.mark.parametrize("how", ("emptied", "packs are left", "overwritten"))
def test_status_does_not_call_silent_what_answers(two, how):
    two.run("verify")
    harm(two, how)
    result = two.run("status", status=DEGRADED)
    assert "'regional' cannot be used: " in result.out and "does not answer" not in result.text, result
    found = two.json("status", status=DEGRADED)
    assert [t["answers"] for t in found["tiers"]] == [True, True] and found["tiers"][1]["why"], found
    at = next(x for x in found["lines"] if x["tier"] == "regional")
    assert at["answers"] and at["newest"] is None and at["owed"] is None and at["verified"] is None and at["rpo"] in (None, "unknown")
    two.proxy.fault("reset", times=None)
    assert "'regional' does not answer: " in two.run("status", status=DEGRADED).out


def test_a_disk_that_is_not_mounted_is_away(two):
    shutil.rmtree(two.tier("local"))
    os.mkdir(two.tier("local"))
    result = two.run("verify", status=DEGRADED)
    assert "is it mounted?" in result.err and "was the newest" not in result.err, result
