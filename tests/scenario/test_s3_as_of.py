"""--as-of: a bucket that keeps versions, looked at as it was before somebody deleted and overwrote what lay there."""

import io
import os
import re
import shutil
import subprocess
import tarfile

import pytest

import trees
from conftest import DEGRADED, DONE, REFUSED, SOURCE_DIR, USAGE, program
from s3 import Site, before_fixture, minio_fixture, moment, moto_fixture, radosgw_fixture, versitygw_fixture  # noqa: F401
from test_json import AS_OF, documented, members


def ruin(bucket):
    """Everything is overwritten, and every second thing deleted."""
    for n, name in enumerate(bucket.names()):
        bucket.put(name, b"your files are ours")
        if n % 2:
            bucket.delete(name)


@pytest.fixture(name="site")
def site_fixture(request, tmp_path):
    """A disk, and a bucket that keeps versions: a snapshot on both, then `then`, then another."""
    server = request.getfixturevalue(getattr(request, "param", "minio"))
    site = Site(tmp_path, {"regional": server.bucket(versions=True)}, tiers=("local", "regional"))
    trees.make_plain(site.source)
    site.init()
    site.first = site.backup()
    site.run("copy", "--to", "regional", site.first)
    site.before = site.scan()
    site.then = moment()
    trees.write(os.fsencode(os.path.join(site.source, "later")), trees.noise(100_000))
    trees.finish(os.fsencode(site.source))
    site.second = site.backup()
    site.run("copy", "--to", "regional", site.second)
    return site


def attack(site):
    ruin(site.bucket("regional"))
    shutil.rmtree(site.tier("local"))


@pytest.mark.parametrize("site", ("radosgw", "minio", "moto"), indirect=True)
def test_what_was_there_before_the_damage_is_listed_shown_proved_restored_and_exported(site):
    attack(site)
    assert site.run("restore", "vol.data", "--to", site.path("x"), status=None).status != 0
    past = ("--as-of", site.then)
    result = site.run("list", *past)
    assert site.first in result.out and site.second not in result.out, result
    assert "left out" in result.err and "local" in result.err, result
    assert [s["snapshot"] for s in site.json("list", *past)["snapshots"]] == [site.first]
    assert "later" not in site.run("show", "vol.data", "--files", *past).out
    names = site.bucket("regional").versions()
    site.run("verify", "--level", "2", *past)
    site.run("verify", "--restore", "vol.data", *past)
    site.assert_restores(site.before, "vol.data", *past)
    tar = site.run("export", "vol.data", *past).raw
    assert "./later" not in tarfile.open(fileobj=io.BytesIO(tar)).getnames()
    assert site.bucket("regional").versions() == names, "looking has changed something"


@pytest.mark.parametrize("site", ("versitygw",), indirect=True)
def test_a_store_that_dates_a_version_by_when_it_was_hidden_gives_too_little_and_nothing_wrong(site):
    attack(site)
    result = site.run("restore", "vol.data", "--to", site.path("x"), "--as-of", site.then, status=None)
    assert result.status != 0 and not os.path.exists(site.path("x")), result


def test_what_this_host_remembers_of_later_times_is_neither_missed_nor_lost(site):
    """A repository object that came since, and the newest snapshot: no rollback, no alarm; and an alarm again without --as-of."""
    site.run("key", "rotate", "--signing", "file:" + site.path("etc", "signing2.pem"))
    assert "prod/repo/1" in site.bucket("regional").names()
    site.run("list", "--as-of", site.then)
    site.assert_restores(site.before, "vol.data", "--as-of", site.then)
    bucket = site.bucket("regional")
    bucket.delete("prod/snap/" + site.second)
    result = site.run("list", status=DEGRADED)
    assert site.second in result.err, result


def test_a_time_before_there_was_anything_and_one_that_is_yet_to_come_are_refused(site):
    result = site.run("restore", "vol.data", "--to", site.path("x"), "--as-of", "2020-01-01", status=USAGE)
    assert "2020-01-01" in result.err and "repository" in result.err, result
    result = site.run("list", "--as-of", "2199-01-01", status=USAGE)
    assert "yet to come" in result.err, result
    result = site.run("list", "--as-of", "yesterday", status=USAGE)
    assert "--as-of" in result.err, result
    assert not os.path.exists(site.path("x"))


def test_what_keeps_no_versions_is_refused_by_name_and_reason(minio, tmp_path):
    site = Site(tmp_path, {"regional": minio.bucket()}, tiers=("local", "regional"))
    trees.make_plain(site.source)
    site.init()
    site.backup()
    then = moment()
    result = site.run("list", "--as-of", then, status=REFUSED)
    assert "keeps no versions" in result.err and "driver fs" in result.err, result
    assert "no tier; left out" in result.err, result
    result = site.run("list", "--as-of", then, "--tier", "local", status=REFUSED)
    site.lines["regional"] = "keep = 7d\ndriver = libs3"
    site.write_config()
    result = site.run("restore", "vol.data", "--to", site.path("x"), "--as-of", then, status=REFUSED)
    assert "driver libs3" in result.err, result


def test_what_would_write_into_the_past_is_refused(minio, tmp_path):
    site = Site(tmp_path, {"regional": minio.bucket(versions=True)}, tiers=("regional",))
    trees.make_plain(site.source)
    site.init()
    for words in (("verify", "--repair"), ("restore", "vol.data", "--to", site.path("x"), "--adopt"),
                  ("restore", "vol.data", "--to", site.path("x"), "--standby")):
        result = site.run(*words, "--as-of", "2026-01-01", status=USAGE)
        assert "copy --as-of" in result.err, result


@pytest.mark.parametrize("site", ("radosgw", "minio"), indirect=True)
def test_a_tier_is_rebuilt_in_place_from_what_the_attacker_hid(site):
    now = site.scan()
    bucket = site.bucket("regional")
    held = site.run("hold", site.first, "--why", "an investigation") and site.objects("regional", "rec/hold/")
    last = moment()
    attack(site)
    for name in site.objects("regional", "repo/"):
        bucket.delete("prod/" + name)
    result = site.run("copy", "--as-of", last, "--to", "regional", "--dry-run")
    assert "would bring back to regional" in result.out and "bad/" not in "".join(site.objects("regional")), result
    result = site.run("copy", "--as-of", last, "--to", "regional")
    again = site.json("copy", "--as-of", last, "--to", "regional")
    assert again["missing"] == 0 and set(members(again)) == AS_OF <= documented()["copy"]
    # The disk that is lost, too, gets what the bucket had.
    os.makedirs(site.tier("local"))
    site.run("copy", "--as-of", last, "--to", "local")
    for tier in ("regional", "local"):
        assert site.objects(tier, "rec/hold/") == held
        site.run("verify", "--level", "2", "--tier", tier)
        site.assert_restores(now, "vol.data", "--tier", tier)
        site.assert_restores(site.before, site.first, "--tier", tier)
    kept = [bucket.get("prod/" + name) for name in site.objects("regional", "bad/")]
    assert kept and set(kept) == {b"your files are ours"}, "what lay in the place of others is kept"
    site.backup()


def test_a_tier_that_could_not_be_asked_is_named(minio, before, tmp_path):
    """What it alone had then is missing in what is brought back."""
    proxy = before(minio)
    site = Site(tmp_path, {"regional": minio.bucket(versions=True), "dr": (minio.bucket(versions=True), proxy.url)},
                tiers=("regional", "dr"))
    trees.make_plain(site.source)
    site.init()
    site.backup()
    then = moment()
    ruin(site.bucket("regional"))
    proxy.fault("reset", times=None)
    result = site.run("copy", "--as-of", then, "--to", "regional", status=DEGRADED)
    assert "tier 'dr' cannot be looked at" in result.err and "brought back" in result.out, result
    proxy.clear()
    site.run("copy", "--as-of", then, "--to", "regional")


def test_proofs_come_back_to_the_tier_that_they_are_of_and_to_no_other(site):
    site.run("verify", "--tier", "regional")
    proofs = site.objects("regional", "rec/verified/")
    site.run("hold", site.first, "--why", "an investigation")
    held = site.objects("regional", "rec/hold/")
    last = moment()
    attack(site)
    for name in proofs:
        site.bucket("regional").delete("prod/" + name)
    assert proofs
    os.makedirs(site.tier("local"))
    site.run("copy", "--as-of", last, "--to", "local")
    assert site.objects("local", "rec/verified/") == [] and site.objects("local", "rec/hold/") == held
    site.run("copy", "--as-of", last, "--to", "regional")
    assert site.objects("regional", "rec/verified/") == proofs


def test_keys_that_somebody_gave_the_repository_since_are_named(site):
    """They have replaced our kek; that holds until what says so is taken away."""
    bucket, before = site.bucket("regional"), set(site.bucket("regional").names())
    shutil.rmtree(site.tier("local"))
    site.tiers = ("regional",)
    site.write_config()
    last = moment()
    site.run("key", "rotate", "--kek", "file:" + site.path("etc", "kek-theirs"))
    assert site.run("backup", "vol.data", status=None).status not in (DONE, DEGRADED)
    result = site.run("copy", "--as-of", last, "--to", "regional", status=DEGRADED)
    since = [name for name in bucket.names("prod/repo/") + bucket.names("prod/key/") if name not in before]
    assert len(since) > 1
    for name in since:
        assert "'%s' came to 'regional' since" % name[len("prod/"):] in result.err, result
        bucket.delete(name)
    shutil.rmtree(site.path("state"))
    site.run("copy", "--as-of", last, "--to", "regional")
    site.backup()
    site.run("verify", "--level", "2")


def test_one_snapshot_of_then_goes_to_another_tier(site):
    attack(site)
    os.makedirs(site.tier("local"))
    result = site.run("copy", "--as-of", site.then, "--to", "local", "vol.data")
    assert "copied " + site.first in result.out, result
    site.assert_restores(site.before, site.first, "--tier", "local", status=DEGRADED)
    result = site.run("copy", "--as-of", site.then, status=USAGE)
    assert "--to" in result.err, result


def test_what_the_runbook_says_to_type_works(site):
    with open(os.path.join(SOURCE_DIR, "runbooks", "after-an-attack.md"), encoding="utf-8") as f:
        page = f.read()
    blocks = re.findall(r"<!-- attack -->\n```sh\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 3
    shape, = re.findall(r"<!-- then -->\n *```sh\n +THEN='(.*?)'\n *```\n", page)
    shutil.rmtree(site.tier("local"))
    # The page's own shape, in whole seconds.
    moment()
    last, now = moment()[:len(shape)].replace("T", " "), site.scan()
    assert re.sub(r"\d", "0", last) == re.sub(r"\d", "0", shape), shape
    ruin(site.bucket("regional"))
    env = dict(site.environment(), PATH=os.path.dirname(program()) + ":" + os.environ["PATH"])
    blocks.insert(0, "THEN='%s'\n" % last)
    result = subprocess.run(["sh", "-ux"], input="\n".join(blocks).replace("vol.photos", "vol.data").encode(), cwd=site.top,
                            env=env, capture_output=True, check=False, timeout=120)
    out = (result.stdout + result.stderr).decode("utf-8", "replace")
    for directory in ("restored", "again"):
        trees.assert_same(now, trees.scan(site.path(directory)))
    assert "brought back to regional" in out and "sound" in out, out
    assert result.returncode in (DONE, DEGRADED), out  # the disk is still away
