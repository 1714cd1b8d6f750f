"""Tiers work as one: each object comes from whichever has it whole, and the shipped policies load."""

import glob
import os
import socket

import pytest

from conftest import DEGRADED, SOURCE_DIR, USAGE, flip
from postgres import eventually, servers_fixture  # noqa: F401
from databases import database_fixture, make_database  # noqa: F401

PROFILES = sorted(glob.glob(os.path.join(SOURCE_DIR, "schedules", "tiers", "*.ini")))


def scatter(site, tiers, prefix):
    """Leaves each object whole on one tier in turn: damaged on the next, missing on the others."""
    for n, name in enumerate(site.objects(tiers[0], prefix)):
        for k, tier in enumerate(tiers):
            if k == (n + 1) % len(tiers):
                flip(site.tier(tier, name))
            elif k != n % len(tiers):
                os.unlink(site.tier(tier, name))


def test_a_snapshot_of_which_no_tier_has_all_is_restored_from_all_of_them(site):
    for n in range(4):  # several packs
        with open(os.path.join(site.source, "big%d" % n), "wb") as f:
            f.write(os.urandom(9 << 20))
    before = site.scan()
    site.backup()
    site.run("copy")
    assert len(site.objects("local", "pack/")) >= 3
    scatter(site, site.tiers, "pack/")
    result = site.run("restore", "vol.data", "--to", site.path("restored"), status=None)
    assert result.status in (0, DEGRADED), result
    site.assert_restores(before, status=result.status)


def test_what_is_near_is_what_the_source_names_first_and_not_the_file(site):
    site.backup()
    site.run("copy", "--to", "regional")
    with open(site.config, encoding="utf-8") as f:
        text = f.read()
    with open(site.config, "w", encoding="utf-8") as f:
        f.write(text.replace("tiers = local, regional, dr", "tiers = regional, local, dr"))
    before = site.scan()
    assert " from regional: " in site.run("restore", "vol.data", "--to", site.path("one")).out
    assert " from regional and compared" in site.run("verify", "--restore", "vol.data").out
    line = site.json("copy", "--to", "dr")["copies"][0]
    assert (line["from"], line["outcome"]) == ("regional", "done"), line
    site.assert_restores(before, "vol.data", "--tier", "dr")


def test_a_copy_says_who_gave_the_packs_and_not_who_lists_the_snapshot(site):
    site.backup()
    site.run("copy", "--to", "regional")
    for name in site.objects("local", "pack/"):
        os.unlink(site.tier("local", name))
    result = site.run("copy", "--to", "dr")
    assert " from regional to dr: " in result.out, result


def test_a_list_of_one_tier_asks_no_other(site):
    """It costs nothing that the other one answers nobody."""
    snapshot = site.backup()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        with open(site.config, "a", encoding="utf-8") as f:
            f.write("[tier far]\nurl = s3://bkt/p\nendpoint = http://127.0.0.1:%d\nregion = r\n"
                    "access-key = file:%s\nsecret-key = file:%s\n" % (mute.getsockname()[1], site.path("etc", "key"), site.path("etc", "key")))
        with open(site.path("etc", "key"), "w", encoding="utf-8") as f:
            os.fchmod(f.fileno(), 0o600)
            f.write("key")
        for more in ((), ("--refresh",)):
            listed = site.json("list", "--tier", "local", *more)
            assert [s["snapshot"] for s in listed["snapshots"]] == [snapshot] and listed["away"] == [], listed
        mute.settimeout(0.2)
        with pytest.raises(TimeoutError):
            mute.accept()
    result = site.run("list", "--tier", "locale", status=USAGE)
    assert "did you mean 'local'" in result.err, result


def test_wal_of_which_no_tier_has_all_is_given_from_all_of_them(database):
    child = database.stream()
    eventually(lambda: database.objects("regional", "beat/pg.pay"), what="the first sample")
    for _ in range(3):
        database.server.sql("CREATE TABLE junk AS SELECT repeat('x', 500) FROM generate_series(1, 4000)")
        database.server.sql("DROP TABLE junk")
        database.server.sql("SELECT pg_switch_wal()")
    end = database.server.lsn()
    for tier in ("local", "regional"):
        database.wait_shipped(end, tier)
    database.end(child)
    pieces = [p for p in database.pieces("regional") if p in database.pieces("local")]
    names = sorted({database.server.value("SELECT pg_walfile_name(%s::pg_lsn + 1)", "%X/%X" % (p[0] >> 32, p[0] & 0xffffffff))
                    for p in pieces})

    def segments():
        """What is not finished yet is not given."""
        found = {}
        for name in names:
            if database.get(name, database.path("segment"), "--segment-size", "1m", status=None).status == 0:
                with open(database.path("segment"), "rb") as f:
                    found[name] = f.read()
                os.unlink(database.path("segment"))
        return found

    whole = segments()
    assert len(whole) >= 3
    for n, piece in enumerate(pieces):
        flip(database.tier(("local", "regional")[n % 2], database.piece(piece)))
    assert segments() == whole
    for n, piece in enumerate(pieces):
        os.unlink(database.tier(("local", "regional")[n % 2], database.piece(piece)))
    assert segments() == whole


@pytest.mark.parametrize("path", PROFILES, ids=os.path.basename)
def test_a_shipped_tier_is_a_configuration(site, path):
    os.makedirs(site.path("etc", "conf.d"))
    with open(path, encoding="utf-8") as f:
        text = f.read()
    name = os.path.basename(path)[:-4]
    assert "[tier %s]" % name in text
    # The configuration of the test has tiers of these names.
    site.tiers = ("near",)
    os.makedirs(site.tier("near"))
    site.write_config()
    with open(site.path("etc", "conf.d", "tier.ini"), "w", encoding="utf-8") as f:
        f.write(text)
    shown = site.run("config", "show").out
    keys = [x.split("=")[0].strip() for x in text.splitlines() if "=" in x and not x.startswith(";")]
    assert {"url", "keep", "rpo", "rto"} <= set(keys)
    for number, words in enumerate(text.splitlines(), 1):
        if words.split("=")[0].strip() in keys:
            assert "tier.ini:%d" % number in shown, (words, shown)


def test_every_policy_is_shipped():
    assert [os.path.basename(p) for p in PROFILES] == ["cross-region.ini", "dr.ini", "local.ini", "regional.ini"]
