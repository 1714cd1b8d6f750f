"""What one tier promises to keep, another does not let go of too early; what nobody configures nobody judges."""

import os

import pytest

from conftest import DEGRADED, VERIFY, flip
from test_keep import later, snapshots


@pytest.fixture(name="pair")
def pair_fixture(site, fault_points):
    """The near tier keeps three days, the far ones a year."""
    site.write_config(tier={name: "keep = 3d" if name == "local" else "keep = 1y" for name in site.tiers})
    return site


def expire(site, day, status, *more):
    return site.run("expire", "--tier", "local", "--yes-more-than-half", *more, env=later(day), status=status)


def test_what_a_far_tier_would_keep_and_has_not_got_does_not_expire(pair):
    made = [pair.backup(env=later(day)) for day in range(9)]
    result = expire(pair, 8.1, DEGRADED)
    assert snapshots(pair, "local") == sorted(made)
    assert "wait on 'local' for '%s', which would keep them and has not got them" % pair.tiers[1] in result.err, result
    report = expire(pair, 8.1, DEGRADED, "--dry-run", "--json").json()
    waiting = {s["snapshot"]: s["waits_for"] for p in report["parts"] for s in p["snapshots"]}
    assert waiting[min(made)] in pair.tiers[1:] and waiting[max(made)] is None
    pair.run("copy", env=later(8.2))
    result = expire(pair, 8.3, 0)
    assert min(made) in result.out and min(made) not in snapshots(pair, "local")
    assert snapshots(pair, pair.tiers[1]) == sorted(made)


def test_nothing_is_lost_while_the_far_tier_is_away(pair):
    made = [pair.backup(env=later(0))]
    pair.run("copy", env=later(0.1))
    os.rename(pair.tier("dr"), pair.tier("dr") + ".away")
    for day in range(1, 9):
        made.append(pair.backup(env=later(day)))
        result = expire(pair, day + 0.1, None)
    assert result.status == DEGRADED and "for 'dr', which would keep them and does not answer" in result.err, result
    os.rename(pair.tier("dr") + ".away", pair.tier("dr"))
    pair.run("copy", env=later(8.2))
    expire(pair, 8.3, 0)
    assert snapshots(pair, "dr") == sorted(made)


def test_a_source_whose_section_was_renamed_falls_to_nobodys_keep(pair):
    pair.write_config(tier={"local": "keep = 1d"}, volume="keep = 10y")
    made = [pair.backup(env=later(day)) for day in (0, 3, 6, 9)]
    with open(pair.config, encoding="utf-8") as f:
        text = f.read()
    with open(pair.config, "w", encoding="utf-8") as f:
        f.write(text.replace("[volume data]", "[volume dataa]"))
    result = expire(pair, 10, 0)
    assert "no section of the configuration names it" in result.out and "--retire vol.data" in result.out, result
    part, = [p for p in expire(pair, 10, 0, "--json").json()["parts"] if p["source"] == "vol.data"]
    assert part["left"] is True and part["left_to"] is None
    assert snapshots(pair, "local") == sorted(made)


def records(site, kind):
    return [site.tier("local", name) for name in site.objects("local", "rec/%s/" % kind)]


def test_a_rotten_record_of_a_verification_stops_nothing_and_is_set_aside(pair):
    made = [pair.backup(env=later(day)) for day in range(3)]
    pair.run("verify", "--tier", "local", env=later(3))
    flip(records(pair, "verified")[0], 120)
    stray = pair.tier("local", "rec/verified/vol.data/README")
    with open(stray, "w", encoding="utf-8") as f:
        f.write("somebody was here")
    result = expire(pair, 3.1, DEGRADED)
    assert "verify --repair" in result.err, result
    result = pair.run("verify", "--tier", "local", env=later(3.2), status=VERIFY)
    assert "3 of them sound" in result.out and "README" in result.err, result
    pair.run("verify", "--tier", "local", "--repair", env=later(3.3), status=DEGRADED)
    assert not os.path.exists(stray) and os.path.exists(pair.tier("local", "bad/rec/verified/vol.data/README"))
    pair.run("verify", "--tier", "local", env=later(3.4))
    assert snapshots(pair, "local") == sorted(made)


def test_a_rotten_hold_says_the_way_out(pair):
    made = [pair.backup(env=later(day)) for day in range(3)]
    pair.run("hold", made[0], "--why", "trial", env=later(3))
    for tier in pair.tiers:
        for name in pair.objects(tier, "rec/hold/"):
            flip(pair.tier(tier, name), 120)
    result = expire(pair, 3.1, VERIFY)
    assert "it may be a hold" in result.err and "move it away on each" in result.err, result
    assert "rec/hold/" in pair.run("verify", "--level", "0", env=later(3.2), status=VERIFY).err
