"""One screen says whether what the tiers promise is kept, and is wrong about none of it."""

import os
import re

import pytest

import trees
from conftest import DEGRADED, DONE, USAGE, flip
from test_keep import later

HOUR = 1 / 24


def line(found, tier, source="vol.data"):
    return next(x for x in found["lines"] if x["tier"] == tier and x["source"] == source)


@pytest.fixture(name="kept")
def kept_fixture(site, fault_points):
    """Two tiers, the far one with a snapshot a day; a backup that is on both."""
    site.tiers = ("local", "regional")
    site.write_config(tier={"local": "keep = 30d\nrpo = 4h\nrto = 15m",
                            "regional": "keep = 1y\ntakes = daily\nrpo = 24h\nrto = 2h"})
    site.made = site.backup()
    site.run("copy")
    return site


def test_what_is_promised_and_kept_is_said_so(kept):
    found = kept.json("status", status=DONE)
    assert found["attention"] == []
    for tier, rpo, rto in (("local", 4, 0.25), ("regional", 24, 2)):
        at = line(found, tier)
        assert at["answers"] and at["by"] == "snapshot" and at["newest"] == kept.made
        assert at["rpo"] == "kept" and at["rpo_seconds"] == rpo * 3600 > at["loss_seconds"]
        assert at["owed"] == 0 and at["newest_bytes"] > 0
        # Nobody ever measured a restore, which is no error.
        assert at["rto"] == "unknown" and at["rto_seconds"] == rto * 3600 and at["measured"] is None
    assert line(found, "local")["behind_seconds"] is None
    assert line(found, "regional")["behind_seconds"] == 0
    text = kept.run("status").out
    assert "1 source on 2 tiers: what is promised is kept" in text and "4h kept" in text, text
    assert "what is promised" not in kept.run("status", "--quiet").out
    kept.run("status", "nobody", status=USAGE)


def test_a_restore_for_practice_is_what_an_rto_is_judged_by(kept):
    kept.run("verify", "--restore", "vol.data", "--tier", "regional")
    found = kept.json("status", status=DONE)
    at = line(found, "regional")
    assert at["rto"] == "kept" and at["measured"] == kept.made
    assert at["measured_bytes"] == at["newest_bytes"]
    assert at["restore_seconds"] == at["measured_seconds"] and at["verified_level"] == 3
    assert line(found, "local")["rto"] == "unknown"


def test_a_restore_that_took_longer_than_the_rto_needs_attention(kept):
    kept.write_config(tier={"local": "rto = 1s", "regional": "rto = 1s\nrate = 2m"})
    kept.run("verify", "--restore", "vol.data", "--tier", "regional")
    result = kept.run("status", status=DEGRADED)
    assert "a restore from 'regional' takes" in result.out and "1s exceeded" in result.out, result
    assert "from 'local'" not in result.out


def test_a_tier_that_is_too_old_is_late_and_says_by_how_much(kept):
    found = kept.json("status", env=later(5 * HOUR), status=DEGRADED)
    assert line(found, "local")["rpo"] == "late" and line(found, "regional")["rpo"] == "kept"
    assert line(found, "local")["loss_seconds"] >= 5 * 3600
    assert len(found["attention"]) == 1 and "'local' is 5h" in found["attention"][0], found
    kept.backup(env=later(25 * HOUR))
    found = kept.json("status", env=later(26 * HOUR), status=DEGRADED)
    at = line(found, "regional")
    assert at["rpo"] == "late" and at["owed"] == 1
    assert abs(at["behind_seconds"] - 25 * 3600) < 600, at
    kept.run("copy", env=later(26 * HOUR))
    assert kept.json("status", env=later(26.1 * HOUR), status=DONE)["attention"] == []


def test_what_a_tier_lacks_is_counted_and_late_after_a_day(kept):
    kept.write_config(tier={"local": "keep = 30d", "regional": "keep = 1y\ntakes = all"})
    for n in (1, 2):
        trees.write(os.fsencode(os.path.join(kept.source, "more")), b"%d" % n)
        kept.backup(env=later(n * HOUR))
    found = kept.json("status", env=later(3 * HOUR), status=DONE)
    assert line(found, "regional")["owed"] == 2 and line(found, "local")["owed"] == 0
    assert 7000 < line(found, "regional")["owed_seconds"] < 7800
    found = kept.json("status", env=later(30 * HOUR), status=DEGRADED)
    assert len(found["attention"]) == 1 and "lacks 2 snapshots" in found["attention"][0], found


def test_a_tier_that_is_away_is_named_once_and_stops_nothing(kept):
    os.rename(kept.tier("regional"), kept.tier("regional") + ".away")
    found = kept.json("status", status=DEGRADED)
    at = line(found, "regional")
    assert not at["answers"] and at["rpo"] == "unknown" and at["owed"] is None
    assert line(found, "local")["rpo"] == "kept"
    assert len(found["attention"]) == 1 and "'regional' does not answer" in found["attention"][0]
    assert {t["tier"]: t["answers"] for t in found["tiers"]} == {"local": True, "regional": False}
    os.rename(kept.tier("local"), kept.tier("local") + ".away")
    found = kept.json("status", status=DEGRADED)
    assert len(found["attention"]) == 2 and not line(found, "local")["answers"]


def verified(kept, tier):
    """The last cell of its line."""
    row = next(x for x in kept.run("status", status=None).out.splitlines() if x.split()[:2] == ["vol.data", tier])
    return re.split(r"  +", row.strip())[-1]


def test_what_was_verified_on_a_tier_that_is_away_is_not_known_and_not_never(kept):
    assert verified(kept, "regional") == "never"
    kept.run("verify", "--tier", "regional")
    assert verified(kept, "regional").startswith("level 2, ")
    os.rename(kept.tier("regional"), kept.tier("regional") + ".away")
    assert verified(kept, "regional") == "unknown" and verified(kept, "local") == "never"
    at = line(kept.json("status", status=DEGRADED), "regional")
    assert at["verified"] is None and at["verified_level"] is None and at["broken"] is None


def test_a_source_that_was_never_backed_up_is_not_safe(site):
    found = site.json("status", status=DEGRADED)
    assert all("there is no complete snapshot" in text for text in found["attention"])
    assert {x["newest"] for x in found["lines"]} == {None}


def test_a_newest_snapshot_that_was_found_bad_needs_attention(kept):
    for name in kept.objects("regional", "pack/"):
        flip(kept.tier("regional", name))
    kept.run("verify", "--tier", "regional", status=None)
    result = kept.run("status", status=DEGRADED)
    assert "the newest on 'regional' was found bad" in result.out and "BROKEN" in result.out, result
    kept.run("verify", "--tier", "regional", "--repair", status=None)
    kept.run("verify", "--tier", "regional")
    assert kept.json("status", status=DONE)["attention"] == []


def test_check_refuses_an_rto_that_a_measured_restore_does_not_keep(kept):
    """What nobody measured is unknown; what was measured is judged, with what would do."""
    def lines(what):
        return [x for x in kept.json("check", status=None)["lines"] if x["what"] == what]
    found, = lines("time regional")
    assert found["verdict"] == "unknown" and "--restore vol.data --tier regional" in found["text"], found
    kept.run("verify", "--restore", "vol.data", "--tier", "regional")
    found, = lines("time regional")
    assert found["verdict"] == "ok" and "of an rto of 2h" in found["text"], found
    kept.write_config(tier={"local": "keep = 7d", "regional": "rto = 1s\nrate = 2m"})
    kept.run("verify", "--restore", "vol.data", "--tier", "regional")
    found, = lines("time regional")
    assert found["verdict"] == "FAIL" and "rto promises 1" in found["text"], found
    assert found["fix"].startswith("rto = 1m, or what gives it back faster"), found
    assert lines("time local") == []
    os.rename(kept.tier("regional"), kept.tier("regional") + ".away")
    assert lines("time regional") == []


def test_a_newest_from_the_future_is_no_age_and_said_so(kept):
    """A host whose clock was ahead made it."""
    kept.backup(env=later(2))
    why = kept.json("exposure", status=None)["lines"][0]["why"]["message"]
    assert "was begun 1d 23h from now" in why or "was begun 2d from now" in why, why
    found = kept.json("status", status=DEGRADED)
    assert line(found, "local")["loss_seconds"] is None
    assert any(text.endswith("is not known: " + why) for text in found["attention"]), found["attention"]
