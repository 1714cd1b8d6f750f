"""An attacker who holds ffdr's own credentials, against a tier with Object Lock: deletes, overwrites, shortens; and everything comes back."""

import datetime

import pytest

import trees
from conftest import DEGRADED
from s3 import Site, attempt, before_fixture, in_days, minio_fixture, moment, radosgw_fixture, versitygw_fixture  # noqa: F401

KINDS = ("radosgw", "minio", "versitygw")


@pytest.fixture(name="locked", params=KINDS)
def locked_fixture(request, tmp_path):
    """A site whose only tier is locked, with a snapshot."""
    server = request.getfixturevalue(request.param)
    site = Site(tmp_path, {"regional": server.bucket(lock=True)}, tiers=("regional",),
                lines={"regional": "keep = 7d\nlock = compliance"})
    trees.make_plain(site.source)
    site.init()
    site.snapshot = site.backup()
    return site


def test_packs_and_snapshots_are_locked_for_as_long_as_they_are_kept(locked):
    bucket = locked.bucket("regional")
    # As long as it is kept, a week until the next snapshot, and a pack for the horizon besides; but not for ever.
    for kind, days in (("pack/", 30 + 7 + 7), ("snap/", 7 + 7)):
        names = bucket.names("prod/" + kind)
        assert names
        for name in names:
            got = bucket.s3.get_object_retention(Bucket=bucket.name, Key=name)["Retention"]
            assert got["Mode"] == "COMPLIANCE"
            assert in_days(days - 0.1) < got["RetainUntilDate"] < in_days(days + 0.1), (name, got)


def test_nothing_of_a_snapshot_is_lost_to_who_has_our_keys(locked):
    bucket = locked.bucket("regional")
    s3, before, then = bucket.s3, locked.scan(), moment()
    before_attack = bucket.versions("prod/")
    survived = 0
    for name, version, marker in before_attack:
        if marker:
            continue
        kw = {"Bucket": bucket.name, "Key": name}
        if name.startswith(("prod/pack/", "prod/snap/")):
            assert not attempt(s3.delete_object, VersionId=version, **kw), name
            assert not attempt(s3.delete_object, VersionId=version, BypassGovernanceRetention=True, **kw), name
            assert not attempt(s3.put_object_retention, VersionId=version, BypassGovernanceRetention=True, Retention={
                "Mode": "COMPLIANCE", "RetainUntilDate": in_days(0.001)}, **kw), name
            survived += 1
        # These a store lets them: something is written over it, and then it is hidden.
        attempt(s3.put_object, Body=b"your files are ours", **kw)
        attempt(s3.delete_object, **kw)
    assert survived > 1 and bucket.names("prod/") == []
    assert not attempt(s3.delete_bucket, Bucket=bucket.name)
    assert locked.run("verify", status=None).status != 0
    if bucket.server.kind != "versitygw":  # there a version is dated by when it was hidden
        locked.run("verify", "--level", "2", "--as-of", then)
        locked.assert_restores(before, "vol.data", "--as-of", then)
    # The owner takes away what the attacker laid over it; what was there before is under it.
    old = {version for _, version, _ in before_attack}
    for name, version, _ in bucket.versions("prod/"):
        if version not in old:
            s3.delete_object(Bucket=bucket.name, Key=name, VersionId=version)
    locked.run("verify", "--level", "2")
    locked.assert_restores(before, locked.snapshot)


def test_a_lock_on_a_bucket_that_has_none_is_refused_by_init(minio, tmp_path):
    site = Site(tmp_path, {"regional": minio.bucket()}, tiers=("regional",),
                lines={"regional": "keep = 7d\nlock = compliance"})
    site.lend_escrow()
    result = site.run("init", status=None)
    assert result.status != 0 and "lock" in result.err.lower(), result
    assert site.objects("regional", "snap/") == []


# ---- locks that go on ----

def locks(site, prefix):
    """Until when, of every object below it."""
    bucket = site.bucket("regional")
    return {name: bucket.s3.get_object_retention(Bucket=bucket.name, Key=name)["Retention"]["RetainUntilDate"]
            for name in bucket.names("prod/" + prefix)}


def test_locks_of_what_opens_the_rest_go_on_as_long_as_it_is_used(locked):
    """What is to be kept for longer is as if time had passed: the locks have more than a day less than they should."""
    before = {prefix: locks(locked, prefix) for prefix in ("key/", "repo/", "pack/", "snap/")}
    for prefix in ("key/", "repo/"):
        assert all(until < in_days(90 + 30 + 7 + 0.1) for until in before[prefix].values()), "nobody can take a lock back"
    locked.backup()
    for prefix in ("key/", "repo/"):
        assert locks(locked, prefix) == before[prefix], "it was done less than a day ago"
    locked.lines["regional"] = "keep = 30d\nlock = compliance"
    locked.write_config()
    locked.backup()
    for prefix in ("key/", "repo/"):
        after = locks(locked, prefix)
        assert after.keys() == before[prefix].keys() and after
        for name, until in after.items():
            assert until > before[prefix][name] + datetime.timedelta(days=22), name
            assert in_days(90 + 30 + 30 - 0.1) < until < in_days(90 + 30 + 30 + 0.1), name
    for prefix in ("pack/", "snap/"):
        after = locks(locked, prefix)
        assert all(after[name] == until for name, until in before[prefix].items()), "locked once"


def test_a_lock_that_was_shortened_is_made_longer_by_the_next_copy(minio, tmp_path):
    """GOVERNANCE, and somebody with the right to pass it by."""
    site = Site(tmp_path, {"regional": minio.bucket(lock=True)}, tiers=("local", "regional"),
                lines={"regional": "keep = 7d\nlock = governance"})
    trees.make_plain(site.source)
    site.init()
    bucket, before = site.bucket("regional"), locks(site, "key/")
    for name in before:
        bucket.s3.put_object_retention(Bucket=bucket.name, Key=name, BypassGovernanceRetention=True,
                                       Retention={"Mode": "GOVERNANCE", "RetainUntilDate": in_days(1)})
    snapshot = site.backup()
    site.run("copy", "--to", "regional", snapshot)
    after = locks(site, "key/")
    assert before and all(until <= after[name] < until + datetime.timedelta(minutes=10) for name, until in before.items())


def test_a_lock_that_cannot_be_made_longer_is_told_and_stops_no_backup(minio, before, tmp_path):
    proxy = before(minio)
    bucket = minio.bucket(lock=True)
    site = Site(tmp_path, {"regional": (bucket, proxy.url)}, tiers=("regional",),
                lines={"regional": "keep = 7d\nlock = compliance"})
    trees.make_plain(site.source)
    site.init()
    fault = proxy.fault(("status", 403, "AccessDenied"), query="retention", times=None)
    result = site.run("backup", "vol.data", status=DEGRADED)
    assert "locks of the keys" in result.err and "s3:PutObjectRetention" in result.err, result
    assert fault.hits > 0


# ---- rules of the bucket ----

CURRENT, HIDDEN = {"Expiration": {"Days": 30}}, {"NoncurrentVersionExpiration": {"NoncurrentDays": 30}}


@pytest.mark.parametrize("prefix, status, what, told", (
    ("", "Enabled", CURRENT, True), ("prod/pack/", "Enabled", {**CURRENT, **HIDDEN}, True), ("other/", "Enabled", CURRENT, False),
    ("", "Disabled", CURRENT, False), ("", "Enabled", HIDDEN, False),
    ("", "Enabled", {"Expiration": {"ExpiredObjectDeleteMarker": True}}, False)))
def test_a_rule_that_removes_what_is_there_fails_the_check(minio, tmp_path, prefix, status, what, told):
    site = Site(tmp_path, {"regional": minio.bucket(versions=True)}, tiers=("regional",))
    trees.make_plain(site.source)
    site.init()
    bucket = site.bucket("regional")
    bucket.s3.put_bucket_lifecycle_configuration(Bucket=bucket.name, LifecycleConfiguration={"Rules": [
        {"ID": "first", "Status": "Enabled", "Filter": {"Prefix": "elsewhere/"}, "Expiration": {"Days": 1}},
        {"ID": "second", "Status": status, "Filter": {"Prefix": prefix}, **what}]})
    result = site.run("check", status=None)
    assert ("removes objects by their age" in result.text) == told, result
