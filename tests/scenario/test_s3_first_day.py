"""The first day with buckets: what docs/operations.md says to make is enough, and whoever forgets a step is told which."""

import json
import os
import re
import shutil

import boto3
import pytest

import trees
from conftest import CONFIGURATION, DEGRADED, SOURCE_DIR
from s3 import REGION, Site, minio_fixture, moment, refused, versitygw_fixture  # noqa: F401


def from_the_page(name, bucket):
    """A file of the page, for that bucket."""
    with open(os.path.join(SOURCE_DIR, "docs", "operations.md"), encoding="utf-8") as f:
        found, = re.findall(r"<!-- %s -->\n *```json\n(.*?)```" % re.escape(name), f.read(), re.DOTALL)
    return json.loads(found.replace("example-ffdr", bucket.name))


def lent(bucket, policy):
    """Keys that may do what the policy says: {variable: value}."""
    server = bucket.server
    sts = boto3.client("sts", endpoint_url=server.endpoint, aws_access_key_id=server.key, aws_secret_access_key=server.secret,
                       region_name=REGION)
    got = sts.assume_role(RoleArn="arn:aws:iam::000000000000:role/ffdr", RoleSessionName="ffdr", Policy=json.dumps(policy))
    keys = got["Credentials"]
    return {"AWS_ACCESS_KEY_ID": keys["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"]}


class Lent(Site):
    """A site whose keys are those of the environment."""

    keys = {}

    def place(self, name):
        text = super().place(name)
        return "\n".join(line for line in text.splitlines() if not line.startswith(("access-key", "secret-key")))

    def environment(self, more=None):
        return super().environment({**self.keys, "HOME": self.top, **(more or {})})


def test_the_bucket_and_the_policy_of_the_page_are_enough_and_not_too_much(minio, tmp_path):
    bucket = minio.bucket(lock=True)
    bucket.s3.put_bucket_lifecycle_configuration(Bucket=bucket.name, LifecycleConfiguration=from_the_page("lifecycle.json", bucket))
    site = Lent(tmp_path, {"regional": bucket}, tiers=("local", "regional"), lines={"regional": "keep = 7d\nlock = compliance"})
    site.keys = lent(bucket, from_the_page("policy.json", bucket))
    trees.make_plain(site.source)
    site.init()
    snapshot = site.backup()
    site.run("copy", "--to", "regional", snapshot)
    site.run("verify", "--level", "2", "--tier", "regional")
    lines = site.json("check", status=None)["lines"]
    assert {line["verdict"] for line in lines if line["what"] == "tier regional"} == {"ok"}, lines
    # It goes on: locks are asked for again, what must go goes, and what was there can be had.
    then = moment()
    site.run("copy", "--to", "regional", site.backup())
    site.run("expire")
    site.run("gc")
    shutil.rmtree(site.tier("local"))
    site.assert_restores(site.scan(), "vol.data", status=DEGRADED)
    site.assert_restores(site.scan(), snapshot, "--as-of", then)
    # A thief of these keys takes nothing away, and sees nothing else.
    thief = boto3.client("s3", endpoint_url=minio.endpoint, region_name=REGION, aws_access_key_id=site.keys["AWS_ACCESS_KEY_ID"],
                         aws_secret_access_key=site.keys["AWS_SECRET_ACCESS_KEY"], aws_session_token=site.keys["AWS_SESSION_TOKEN"])
    name, version, _ = bucket.versions("prod/repo/")[0]
    assert refused(thief.delete_object, Bucket=bucket.name, Key=name, VersionId=version) in (400, 403)
    assert refused(thief.put_object, Bucket=bucket.name, Key="elsewhere", Body=b"x") == 403
    assert refused(thief.put_bucket_versioning, Bucket=bucket.name, VersioningConfiguration={"Status": "Suspended"}) == 403


def test_a_policy_of_another_prefix_is_told_with_the_right_and_the_object_that_it_lacks(minio, tmp_path):
    bucket = minio.bucket(lock=True)
    policy = json.loads(json.dumps(from_the_page("policy.json", bucket)).replace("/prod/", "/elsewhere/"))
    site = Lent(tmp_path, {"regional": bucket}, tiers=("local", "regional"), lines={"regional": "keep = 7d\nlock = compliance"})
    site.keys = lent(bucket, policy)
    result = site.run("init", status=None)
    assert result.status != 0 and re.search(r"lacks +most likely s3:PutObject on '%s/prod/check/\w+': does the policy name" % bucket.name,
                                            result.err), result
    # The listing of the bucket is a right of its own.
    policy["Statement"][0]["Action"].remove("s3:ListBucket")
    site.keys = lent(bucket, policy)
    result = site.run("check", status=None)
    assert re.search(r"FAIL +tier regional: .*403.*\n +lacks +most likely s3:ListBucket on '%s'\n" % bucket.name, result.out), result


# ---- a step that was forgotten ----

def fix_of(result):
    """The ways out that it names."""
    return re.findall(r"^ +(?:fix|or) +(.*)$", result.err, re.M)


@pytest.fixture(name="bare")
def bare_fixture(versitygw, tmp_path):
    """Configured, and nothing made."""
    return Site(tmp_path, {"regional": versitygw.bucket()}, tiers=("regional",))


def secret(site):
    return site.path("etc", "regional-secret")


def no_bucket(site):
    site.bucket("regional").name = "no-such-bucket"
    site.write_config()


def wrong_secret(site):
    with open(secret(site), "w", encoding="utf-8") as f:
        f.write("x" * 40)


def no_file(site):
    os.unlink(secret(site))


def open_file(site):
    os.chmod(secret(site), 0o644)


@pytest.mark.parametrize("forgotten, way_out", (
    (no_bucket, "url = must name a bucket that is there.*The first day with buckets"),
    (wrong_secret, "secret-key = names must be the secret that belongs to the key of access-key"),
    (no_file, r"write '\S+/regional-secret': one line"),
    (open_file, "chmod o= "),
))
def test_init_and_check_name_the_step_that_was_forgotten(bare, forgotten, way_out):
    bucket = bare.bucket("regional")
    name = bucket.name
    for again in (False, True):  # without keys of ours, and with them
        if again:
            bucket.name = name
            bare.write_config()
            os.chmod(secret(bare), 0o600)
            bare.init()
        forgotten(bare)
        bare.lend_escrow()
        result = bare.run("init", status=None)
        assert result.status not in (0, DEGRADED), result
        assert any(re.search(way_out, line) for line in fix_of(result)), result
    line, = [x for x in bare.json("check", status=CONFIGURATION)["lines"] if x["what"] == "tier regional"]
    assert line["verdict"] == "FAIL" and re.search(way_out, line["fix"]), line


def test_a_file_of_credentials_that_is_closed_is_told_with_who_must_read_it(plain_user):
    site = plain_user
    if os.geteuid() == 0:
        os.chown(secret(site), 0, 0)
    else:
        os.chmod(secret(site), 0)
    result = site.run("backup", "vol.data", status=None)
    assert result.status not in (0, DEGRADED), result
    assert any("must read '%s'" % secret(site) in line for line in fix_of(result)), result


# ---- while they look ----

def test_init_and_check_tell_which_bucket_they_look_at(minio, tmp_path):
    bucket = minio.bucket(lock=True)
    site = Site(tmp_path, {"regional": bucket}, tiers=("local", "regional"), lines={"regional": "keep = 7d\nlock = compliance"})
    trees.make_plain(site.source)
    site.lend_escrow()
    events = [json.loads(line) for line in site.run("init", "--events").out.splitlines()]
    told, = [e["message"] for e in events if e["event"] == "looking"]
    assert "'regional'" in told and "s3://%s/prod" % bucket.name in told and "lock" in told, events
    result = site.run("check", status=None)
    assert told in result.err and told not in result.out, result
    assert told not in site.run("check", "--quiet", status=None).err


@pytest.mark.parametrize("versions", (False, True))
def test_a_bucket_that_keeps_no_versions_is_told(minio, tmp_path, versions):
    site = Site(tmp_path, {"regional": minio.bucket(versions=versions)}, tiers=("local", "regional"))
    trees.make_plain(site.source)
    site.init()
    assert ("the bucket keeps no versions" in site.run("check", status=None).text) != versions


# ---- a bucket that was emptied ----

def test_a_bucket_that_was_emptied_is_not_called_new_by_a_host_that_never_saw_it_full(minio, tmp_path):
    site = Site(tmp_path, {"regional": minio.bucket(versions=True)}, tiers=("regional",))
    trees.make_plain(site.source)
    site.init()
    assert "no snapshot yet" in site.run("list").text
    snapshot = site.backup()
    then = moment()
    bucket = site.bucket("regional")
    for name in bucket.names():
        bucket.delete(name)
    shutil.rmtree(site.path("state"))
    assert "no repository was found" in site.run("list", status=None).text
    result = site.run("verify", status=None)
    assert result.status not in (0, DEGRADED) and "--as-of TIME" in result.err, result
    assert [s["snapshot"] for s in site.json("list", "--as-of", then)["snapshots"]] == [snapshot]


@pytest.mark.parametrize("left", (0, 1), ids=("nothing left", "something left"))
def test_of_a_bucket_that_was_emptied_the_way_back_is_told(minio, tmp_path, left):
    site = Site(tmp_path, {"regional": minio.bucket(versions=True)}, tiers=("local", "regional"))
    trees.make_plain(site.source)
    site.init()
    snapshot = site.backup()
    site.run("copy", "--to", "regional", snapshot)
    bucket = site.bucket("regional")
    kept = bucket.names("prod/pack/")[:left]
    for name in bucket.names():
        if name not in kept:
            bucket.delete(name)
    way = "`ffdr copy --as-of TIME --to regional`"
    listed = site.run("list", status=None)
    assert listed.status == DEGRADED and way in listed.err, listed
    assert "brings it back from" not in listed.err, listed
    lines = [x for x in site.json("check", status=CONFIGURATION)["lines"] if x["verdict"] == "FAIL"]
    assert any(way in (x["fix"] or "") + x["text"] for x in lines), lines
