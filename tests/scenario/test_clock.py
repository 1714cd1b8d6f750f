"""A clock that is wrong must cost nobody a snapshot."""

import os

import pytest

import trees
from conftest import CONFIGURATION, DEGRADED, REFUSED, flip
from test_keep import DAY, later, snapshots

YES = "--yes-the-clock-is-right"


def clock_set(days, passed=0):
    """Somebody set the clock while `passed` days went by."""
    return {"FFDR_TEST_CLOCK": "+%d" % int(days * DAY), "FFDR_TEST_UPTIME": "+%d" % int(passed * DAY)}


def change(site, number):
    trees.write(os.fsencode(os.path.join(site.source, "d1", "f001")), trees.noise(9000, number))
    trees.finish(os.fsencode(site.source))


@pytest.fixture(name="daily")
def daily_fixture(site, fault_points):
    """Ten daily snapshots on local and regional, kept for 30 days; it is the tenth day now."""
    site.write_config(tier={name: "keep = 30d" for name in site.tiers})
    for day in range(10):
        change(site, day)
        site.backup(env=later(day))
    site.run("copy", "--to", "regional", env=later(9))
    site.made = snapshots(site)
    assert len(site.made) == 10
    return site


def forget(site):
    if os.path.exists(site.path("state", "clock")):
        os.unlink(site.path("state", "clock"))


def another_boot(site):
    path = site.path("state", "clock")
    with open(path, encoding="utf-8") as f:
        lines = f.read().splitlines()
    with open(path, "w", encoding="utf-8") as f:
        for line in lines:
            f.write(("boot " + "5a" * 16 if line.startswith("boot ") else line) + "\n")


def test_a_clock_that_jumped_a_year_is_refused_and_takes_nothing(daily):
    daily.run("expire", env=later(9))
    for _ in range(3):
        for verb in ("expire", "gc"):
            result = daily.run(verb, env=clock_set(374, 9), status=REFUSED)
            assert "ahead by 1y" in result.err and YES in result.err, result
            assert result.err.count("checked") == 2, result
    result = daily.run("check", env=clock_set(374, 9), status=CONFIGURATION)
    assert "FAIL    clock: the clock of this host was set ahead" in result.text, result
    assert snapshots(daily) == daily.made
    # Set right again, nothing has happened.
    daily.run("expire", env=later(9.1))
    assert "ok      clock" in daily.run("check", env=later(9.1), status=None).text


def test_where_nothing_is_remembered_a_jump_takes_nothing_either(daily):
    """What is stored speaks against it; and the window ends with the newest, not with a clock."""
    for more, status in ([], REFUSED), ([YES], 0), ([], REFUSED):
        forget(daily)
        result = daily.run("expire", "--yes-more-than-half", *more, env=clock_set(374, 9),
                           status=status)
        assert ("ahead of what is stored" in result.err) == (status == REFUSED), result
    assert snapshots(daily) == daily.made


def test_a_backup_under_a_wrong_clock_is_no_first_memory(daily):
    """A new root disk, and the clock is a year ahead."""
    forget(daily)
    change(daily, 99)
    for _ in range(2):
        result = daily.run("backup", "vol.data", env=clock_set(374, 9), status=DEGRADED)
        assert "ahead of" in result.err, result
        daily.run("expire", "--dry-run", env=clock_set(374, 9), status=REFUSED)
    assert set(daily.made) <= set(snapshots(daily))
    # Set right, all is well again.
    daily.run("backup", "vol.data", env=later(10))
    daily.run("expire", env=later(10))


def test_a_source_that_rests_keeps_what_it_has(daily):
    for day in (40, 400, 4000):
        daily.run("expire", "--yes-more-than-half", YES, env=later(day))
    assert snapshots(daily) == daily.made


def test_a_person_can_say_that_the_clock_is_right(daily):
    daily.run("expire", env=later(9))
    daily.run("gc", env=clock_set(20, 9), status=REFUSED)
    daily.run("gc", YES, env=clock_set(20, 9))
    daily.run("expire", env=clock_set(20, 9))
    daily.run("expire", "--dry-run", env=later(9), status=REFUSED)


def test_a_step_of_minutes_is_no_jump(daily):
    daily.run("expire", env=later(9))
    daily.run("expire", env=clock_set(9 + 4 / 1440, 9))
    daily.run("gc", env=clock_set(9, 9))


def test_a_host_that_was_started_again(daily):
    daily.run("expire", env=later(9))
    another_boot(daily)
    result = daily.run("expire", env=clock_set(8), status=REFUSED)
    assert "behind the last run" in result.err
    result = daily.run("expire", env=clock_set(30), status=REFUSED)
    assert "ahead of the last run" in result.err
    daily.run("expire", env=clock_set(12))
    forget(daily)
    result = daily.run("gc", env=clock_set(2), status=REFUSED)
    assert "behind what is stored" in result.err
    assert snapshots(daily) == daily.made


def test_a_snapshot_from_the_future(daily):
    daily.run("expire", env=later(9))
    odd = daily.backup(env=clock_set(400, 9), status=DEGRADED)
    change(daily, 77)
    after = daily.backup(env=later(10))
    shown = {s["snapshot"]: s["future"] for s in daily.json("list", env=later(10))["snapshots"]}
    assert shown[odd] and shown[after] and not any(shown[s] for s in daily.made)
    assert "in the future" in daily.run("list", env=later(10)).out
    result = daily.run("check", env=later(10), status=None)
    assert "vol.data has 2 snapshots in the future" in result.text, result
    # It frees nothing, it stays, and what came after it ages by when it was stored.
    daily.run("expire", env=later(10))
    assert snapshots(daily, "local") == sorted(daily.made + [odd, after])
    for day in (30, 50, 90):
        change(daily, day)
        daily.backup(env=later(day))
        daily.run("expire", "--yes-more-than-half", YES, "--tier", "local", env=later(day))
    left = snapshots(daily, "local")
    assert odd in left and after not in left and len(left) < 5, left
    daily.assert_restores(daily.scan(), env=later(90))


def test_a_memory_that_is_damaged_is_told_of_and_counts_as_none(daily):
    daily.run("expire", env=later(9))
    flip(daily.path("state", "clock"), 2)
    assert "warn    clock: '%s'" % daily.path("state", "clock") in daily.run("check", env=later(9), status=None).text
    result = daily.run("expire", env=later(9), status=DEGRADED)
    assert daily.path("state", "clock") in result.err
    daily.run("expire", env=later(9))


def test_a_damaged_memory_makes_no_wrong_clock_right(daily):
    """A backup that found nothing to compare with wrote the wrong time down as right, and expire believed it."""
    with open(daily.path("state", "clock"), "w", encoding="utf-8"):
        pass
    change(daily, 99)
    result = daily.run("backup", "vol.data", env=later(400), status=DEGRADED)
    assert "ahead of what is stored" in result.err, result
    daily.run("expire", env=later(400.001), status=REFUSED)
    assert set(daily.made) <= set(snapshots(daily))


def test_a_backup_is_a_witness_of_the_right_time_and_one_under_a_wrong_clock_is_warned_of(daily):
    """Nobody ran expire yet: the ten backups are what tells that the clock has jumped."""
    change(daily, 99)
    result = daily.run("backup", "vol.data", env=clock_set(374, 9), status=DEGRADED)
    assert "ahead by" in result.err, result
    result = daily.run("expire", env=clock_set(374, 9), status=REFUSED)
    assert set(daily.made) <= set(snapshots(daily))
