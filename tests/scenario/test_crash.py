"""kill -9 at every named point, and at any moment: before the commit nothing, after it everything."""

import os
import random
import shutil
import signal
import time

import pytest

import trees
from conftest import Site

KILLED = -signal.SIGKILL
# Points of storage-backends/fs.c, passed by every object that is put or removed.
PUT_POINTS = ("store.put.before", "store.put.written", "store.put.linked")
# Points of the writer, around its packs and its commit.
WRITER_POINTS = ("pack.sealed", "pack.put", "commit.before", "commit.put")
# Points of base/file.c: what a run keeps in `state`.
FILE_POINTS = ("file-written", "file-synced", "file-linked")
# No scenario here passes a point more often; a run that never ends is a failure.
PASSES = 200


def small(site):
    """So little that a backup is a handful of objects, and something of everything."""
    trees.make_plain(site.source, files=6, size=20_000)


@pytest.fixture(name="backed", scope="module")
def backed_fixture(tmp_path_factory, fault_points):
    site = Site(tmp_path_factory.mktemp("crash"))
    small(site)
    site.init()
    site.good = site.backup()
    site.good_scan = site.scan()
    site.number = 0
    return site


def change(site):
    site.number += 1
    trees.write(os.fsencode(os.path.join(site.source, "d1", "f001")),
                trees.noise(150_000, 500 + site.number))
    trees.finish(os.fsencode(site.source))


def assert_sound(site):
    """What was there is there, whole; and the tier says so itself."""
    site.run("verify", "--level", "2", "--tier", "local")
    site.assert_restores(site.good_scan, site.good)


@pytest.mark.parametrize("point", PUT_POINTS + WRITER_POINTS + FILE_POINTS)
def test_backup_killed_at(backed, point):
    site, passes = backed, 0
    change(site)
    while True:
        passes += 1
        assert passes < PASSES
        result = site.run("backup", "vol.data", status=None,
                          env={"FFDR_TEST_STOP": "%s:%d" % (point, passes)})
        if result.status == 0:
            break
        assert result.status == KILLED, result
        assert_sound(site)
    assert passes > (2 if point in PUT_POINTS else 1), "the point was never passed"
    site.good, site.good_scan = site.backup(), site.scan()
    assert_sound(site)


@pytest.mark.parametrize("point", PUT_POINTS + ("store.del",))
def test_copy_killed_at(backed, point):
    """The next copy goes on at once: no list of a collection names what the last one sent."""
    site, passes = backed, 0
    change(site)
    site.good, site.good_scan = site.backup(), site.scan()
    while True:
        passes += 1
        assert passes < PASSES
        result = site.run("copy", "--to", "regional", site.good, status=None,
                          env={"FFDR_TEST_STOP": "%s:%d" % (point, passes)})
        if result.status == 0:
            break
        assert result.status == KILLED, result
        site.run("verify", "--level", "2", "--tier", "regional")
    assert passes > 1, "the point was never passed"
    site.run("verify", "--level", "2", "--tier", "regional")
    site.assert_restores(site.good_scan, site.good, "--tier", "regional")


def test_a_copy_that_counts_on_condemned_packs_waits_says_so_and_can_be_stopped(site, fault_points):
    later = {"FFDR_TEST_CLOCK": "+200000", "FFDR_TEST_UPTIME": "+200000"}
    site.backup()
    result = site.run("copy", "--to", "dr", status=None,
                      env={"FFDR_TEST_STOP": "store.put.linked:3"})
    assert result.status == KILLED, result
    # Nothing names what was sent any more, and a collection finds that out.
    shutil.rmtree(site.tier("dr", "pend"))
    assert "may go a day from now" in site.run("gc", "--tier", "dr", "--yes-nothing-is-kept", env=later).out
    child = site.start("copy", "--to", "dr", "--events", env=later)
    line = b""
    while b"wait" not in line:
        line = child.stdout.readline()
        assert line, child.communicate()
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=30)
    assert child.returncode == 9


@pytest.mark.parametrize("point", PUT_POINTS)
def test_init_killed_at(tmp_path, fault_points, point):
    """The first step of all: the same command again completes it."""
    for passes in range(1, PASSES):
        os.makedirs(tmp_path / str(passes))
        site = Site(tmp_path / str(passes))
        small(site)
        site.lend_escrow()
        result = site.run("init", status=None, env={"FFDR_TEST_STOP": "%s:%d" % (point, passes)})
        site.run("init")
        site.backup()
        site.assert_restores(site.scan())
        if result.status == 0:
            break
        assert result.status == KILLED, result
    assert passes > 2


def test_repair_killed_at_any_put(backed):
    from conftest import flip
    site = backed
    site.run("copy", "--to", "dr", site.good)
    for point in PUT_POINTS + ("store.del",):
        for passes in range(1, PASSES):
            for name in site.objects("dr", "pack/")[:2]:
                flip(site.tier("dr", name))
            result = site.run("verify", "--level", "1", "--tier", "dr", "--repair", status=None,
                              env={"FFDR_TEST_STOP": "%s:%d" % (point, passes)})
            if result.status != KILLED:
                break
            site.run("verify", "--level", "1", "--tier", "dr", "--repair", status=None)
            site.run("verify", "--level", "1", "--tier", "dr")
        site.run("verify", "--level", "1", "--tier", "dr", "--repair", status=None)


def test_backup_killed_at_any_moment(site):
    site.good, site.good_scan = site.backup(), site.scan()
    trees.write(os.fsencode(os.path.join(site.source, "big")), trees.noise(48 << 20, 6))
    rng = random.Random(7)
    for _ in range(8):
        child = site.start("backup", "vol.data")
        time.sleep(rng.uniform(0.01, 0.5))
        child.kill()
        child.communicate()
        site.assert_restores(site.good_scan, site.good)
    site.run("verify", "--level", "2", "--tier", "local")
    site.backup()
    site.assert_restores(site.scan(), to="after")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_backup_asked_to_stop(site, number):
    """Exit 9, no snapshot, and the message says that nothing is lost."""
    site.write_config(tier={"local": "keep = 7d\nrate = 60m"})
    trees.write(os.fsencode(os.path.join(site.source, "big")), trees.noise(200 << 20, 6))
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)  # under nohup; ffdr would rightly ignore it, too
    child = site.start("backup", "vol.data")
    time.sleep(0.5)
    child.send_signal(number)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 9, err
    assert site.json("list")["snapshots"] == []
    site.write_config()
    site.backup()


def test_interrupted_restore_goes_on_with_delta(site):
    trees.write(os.fsencode(os.path.join(site.source, "big")), trees.noise(300 << 20, 6))
    trees.finish(os.fsencode(site.source))
    site.backup()
    site.write_config(tier={"local": "keep = 7d\nrate = 60m"})
    before, target = site.scan(), site.path("x")
    child = site.start("restore", "vol.data", "--to", target)
    deadline = time.monotonic() + 30
    while not os.path.exists(os.path.join(target, "big")) and time.monotonic() < deadline:
        time.sleep(0.005)
    child.send_signal(signal.SIGTERM)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 9 and b"--delta" in err, err
    site.write_config()
    site.run("restore", "vol.data", "--to", target, status=5)
    site.run("restore", "vol.data", "--to", target, "--delta")
    trees.assert_same(before, trees.scan(target))
