"""copy --as-of of a database whose log lies in pieces on one tier and in bundles in the archive of another: no form is missed, or
ordered, where the log comes in the other."""

import os
import re
import shutil
import time

import pytest

from conftest import VERIFY
from postgres import lsn, own, servers_fixture  # noqa: F401
from s3 import before_fixture, fresh_server_fixture, minio_fixture, moment  # noqa: F401
from s3_databases import BucketDatabase
from test_s3_thaw import SECONDS, moto_fixture  # noqa: F401


@pytest.fixture(name="site")
def site_fixture(servers, minio, moto, before):
    """A disk; a bucket that keeps versions, with the log in pieces; another one, with all of it in an archive; a base backup on each."""
    proxy = before(moto)
    site = BucketDatabase(servers.path("site"), servers.new(15, "--wal-segsize=1").start(),
                          {"regional": minio.bucket(versions=True), "dr": (moto.bucket(versions=True), proxy.url)},
                          tiers=("local", "regional", "dr"), wal="local, regional, dr")
    site.proxy = proxy
    site.write_config(tier={"dr": "keep = 7d\nclass = GLACIER"})
    site.run("init")
    own(site.top)
    child = site.stream()
    site.snapshot = site.backup()
    site.server.sql("CREATE TABLE junk AS SELECT repeat('x', 500) FROM generate_series(1, 4000)")
    end = lsn(site.server.value("SELECT pg_switch_wal()"))
    for tier in ("local", "regional"):
        site.wait_shipped(end, tier)
    for tier in ("regional", "dr"):
        site.run("copy", "--to", tier, site.snapshot)
        site.run("copy", "--to", tier, "pg.pay")
    site.end(child)
    assert site.objects("dr", "walb/") and not site.objects("regional", "walb/")
    yield site
    site.end_all()


def lose(site):
    """Nothing but what the buckets keep, after the time that is returned; the archive is older than an order takes."""
    then = moment()
    shutil.rmtree(site.tier("local"))
    os.makedirs(site.tier("local"))
    shutil.rmtree(site.path("state", "spool"))
    for name in site.bucket("regional").names("prod/"):
        if name.split("/")[1] in ("wal", "snap"):
            site.bucket("regional").delete(name)
    time.sleep(SECONDS + 0.6)
    site.proxy.forget()
    return then


def ordered(site):
    return {r.path.split("/", 2)[2][len("prod/"):] for r in site.proxy.seen("POST", "/prod/", "restore")}


def test_bundles_of_another_tier_are_not_missed_nor_ordered_where_their_log_comes_in_pieces(site):
    then = lose(site)
    for tier in ("regional", "local"):  # the one had pieces of its own, the other nothing
        words = ("copy", "--as-of", then, "--to", tier)
        plan, done = site.json(*words, "--dry-run"), site.run(*words, "--yes-thaw", "--json")
        printed = done.json()
        assert printed["missing"] == plan["missing"] > 0 == printed["left"] == printed["held_back"], (plan, printed)
        assert "archive" not in done.err and not site.objects(tier, "walb/"), done
        assert site.objects(tier, "snap/") and len(site.pieces(tier)) > 1
        site.run("verify", "--level", "2", "--tier", tier)
    assert ordered(site) == set()


def test_where_a_piece_is_damaged_everywhere_the_bundle_that_has_it_is_ordered(site):
    bundles = set(site.objects("dr", "walb/"))
    starts = {name.rsplit("/", 1)[1].split("-")[0] for name in bundles}
    piece, = {n for n in site.objects("regional", "wal/") if n.rsplit("/", 1)[1].split("-")[0] == min(starts)}
    site.bucket("regional").flip("prod/" + piece)
    then = lose(site)
    result = site.run("copy", "--as-of", then, "--to", "local", "--yes-thaw", status=VERIFY)
    assert "'%s' was not brought, for no tier had all of it" % piece in result.err and "because it lies" not in result.err, result
    assert ordered(site) and ordered(site) <= bundles
    assert set(site.objects("local", "walb/")) == ordered(site) and site.objects("local", "snap/")
    verified = site.json("verify", "--level", "2", "--tier", "local")
    assert verified["wal_holes"] == 0 and not re.search("damaged", str(verified["findings"])), verified
