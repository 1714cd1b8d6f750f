"""A tier that is made anew out of an archive by copies: what all of them need is ordered in one sum, and awaited once."""

import os
import re
import shutil
import time

import pytest

import restored
import trees
from conftest import DEGRADED, DONE
from postgres import servers_fixture  # noqa: F401
from s3 import before_fixture, fresh_server_fixture  # noqa: F401
from test_s3_thaw import LATER, PACK, REFUSED, SECONDS, Cold, moto_fixture, on_terminal  # noqa: F401
from test_s3_thaw_wal import WALB, ColdLog, own

WAITS = "waits for what was ordered"


def anew(site, *disks):
    """They are lost with all that this host had beside them; others are in their place."""
    shutil.rmtree(site.path("state", "spool"), ignore_errors=True)
    for tier in disks:
        shutil.rmtree(site.tier(tier))
        os.makedirs(site.tier(tier))
    site.run("init")
    time.sleep(SECONDS + 0.6)
    site.proxy.forget()
    return site


def bytes_follow_orders(site):
    """Nothing was read before all was ordered."""
    seen = [("POST" if r.method == "POST" else "GET") for r in site.proxy.seen("GET|POST", "%s|%s" % (PACK, WALB))
            if (r.method == "POST" and "restore" in r.query) or (r.method == "GET" and r.status in (200, 206))]
    return "GET" in seen and seen == sorted(seen, reverse=True)


def all_came(cold):
    """Each bundle once, and none that nobody needs: it begins with the segment in which the base backup does."""
    ordered = cold.ordered()
    assert ordered == sorted(set(ordered)) and set(cold.needed) <= set(ordered) <= set(cold.needed) | set(own(cold))
    return len(ordered)


@pytest.fixture(name="cold")
def cold_fixture(moto, before, servers):
    server = servers.new(15, "--wal-segsize=1").start()
    site = ColdLog(servers.path("site"), server, moto.bucket(), before(moto), wal="local, cold").fill()
    yield anew(site, "local")
    site.end_all()


def test_a_database_comes_back_with_its_wal(servers, cold):
    packs = sorted(cold.bucket.names("prod/pack/"))
    result = cold.run("copy", status=REFUSED)
    told = re.search(r"%d packs? and (\d+) bundles of WAL, .* on cold \(GLACIER\)" % len(packs), result.err)
    assert told, result
    assert result.err.count("USD") == result.err.count("--yes-thaw") == 1, result
    assert cold.ordered() == cold.ordered(PACK) == []
    result = cold.run("copy", "--yes-thaw")
    assert result.text.count(WAITS) == 1, result
    assert all_came(cold) == int(told.group(1)) and cold.ordered(PACK) == packs and bytes_follow_orders(cold)
    restored.readable(cold)
    cold.proxy.close()
    cold.well("--tier", "local")
    assert cold.ids(restored.boot(servers, cold)) == [0, 1, 2]


def test_its_wal_alone_is_ordered_where_the_base_backup_came_without(servers, cold):
    """The base backup was copied by its name, with no more WAL than its own."""
    cold.run("copy", "--to", "local", cold.snapshot, "--yes-thaw")
    assert set(cold.ordered()) <= set(own(cold))
    result = cold.run("copy", status=REFUSED)
    assert result.err.count("USD") == result.err.count("--yes-thaw") == 1 and "InvalidObjectState" not in result.err, result
    cold.run("copy", "--yes-thaw", "--no-wait", status=LATER)
    assert all_came(cold)
    time.sleep(SECONDS)
    cold.run("copy")
    restored.readable(cold)
    cold.proxy.close()
    cold.well("--tier", "local")
    assert cold.ids(restored.boot(servers, cold)) == [0, 1, 2]


# ---- volumes ----

@pytest.fixture(name="two")
def two_fixture(moto, before, tmp_path):
    """Two snapshots in the archive, each with a pack of its own, that two tiers lack."""
    site = Cold(tmp_path, moto, before(moto), tiers=("local", "cold", "warm"), lines={"cold": "keep = 7d\nclass = GLACIER\ntakes = all"})
    site.fill(files=1)
    trees.write(os.fsencode(os.path.join(site.source, "more")), trees.noise(12 << 20, 9))
    site.second = site.backup()
    site.run("copy", "--to", "cold", site.second)
    return anew(site, "local", "warm")


def test_of_several_snapshots_there_is_one_sum_and_one_wait(two):
    result = two.run("copy", status=REFUSED)
    assert "%d packs, " % len(two.packs()) in result.err and result.err.count("USD") == 1, result
    assert two.ordered() == []
    result = two.run("copy", "--yes-thaw")
    assert result.text.count(WAITS) == 1 and result.text.count("USD") == 1, result
    assert two.ordered() == sorted(two.packs()) and bytes_follow_orders(two)
    assert two.objects("local", "snap/") == two.objects("warm", "snap/") == two.objects("cold", "snap/")
    two.run("verify", "--tier", "local", status=DONE)


def test_ordered_and_not_awaited_all_of_it_is_there_later(two):
    result = two.run("copy", "--yes-thaw", "--no-wait", status=LATER)
    assert two.ordered() == sorted(two.packs()) and WAITS not in result.text, result
    time.sleep(SECONDS)
    two.run("copy")
    assert two.ordered() == sorted(two.packs())
    assert two.objects("local", "snap/") == two.objects("warm", "snap/") == two.objects("cold", "snap/")


def test_a_terminal_that_says_no_is_asked_once_and_what_is_at_hand_is_copied(two):
    new = two.backup(status=DEGRADED)
    shown = on_terminal(two, (b"n\n", b"n\n"), "copy")[1]
    assert shown.count("[y/N]") == 1 and two.ordered() == [], shown
    assert "snap/" + new in two.objects("cold", "snap/") and not [n for n in two.objects("local", "snap/") if two.second in n]


def test_a_dry_run_orders_nothing(two):
    assert "USD" not in two.run("copy", "--dry-run", "--yes-thaw").text
    assert two.ordered() == []
