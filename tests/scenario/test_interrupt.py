"""A person presses Ctrl-C, or a second one starts the same."""

import os
import re
import signal
import time

import pytest

import trees
from conftest import BUSY, DEGRADED, DONE, PARTLY, VERIFY, Result, flip
from s3 import Site as BucketSite, before_fixture, versitygw_fixture  # noqa: F401


SOON = 10  # seconds that an end may take on a busy machine; what is broken off would last for more than twice as long


def slow(site, rate):
    site.write_config(tier={t: "keep = 7d\nrate = %s" % rate for t in site.tiers})
    lasting = os.path.join(site.source, "lasting")
    if not os.path.exists(lasting):
        trees.write(os.fsencode(lasting), trees.noise(40_000_000, 7))
        trees.finish(os.fsencode(site.source))


def wait_for(condition, what):
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.05)


def ended(child):
    out, err = child.communicate(timeout=60)
    return Result([str(a) for a in child.args], child.returncode, out, err)


def backed_up(site, rate):
    """At full speed, with what comes next bound to the rate."""
    slow(site, rate)
    site.write_config()
    site.backup()
    slow(site, rate)


def interrupted(child):
    """Ctrl-C, and an end that is soon; what it said."""
    asked = time.monotonic()
    child.send_signal(signal.SIGINT)
    result = ended(child)
    assert time.monotonic() - asked < SOON, result
    assert result.status == PARTLY, result
    assert result.err.count("interrupted") == 1, result
    return result


def test_a_backup_ends_soon_also_while_its_last_packs_are_put(site):
    slow(site, "1m")  # forty seconds of it
    child = site.start("backup", "vol.data")
    wait_for(lambda: site.objects("local", "pack/"), "no pack was put")
    time.sleep(1)  # by now all is read, and packs wait for their turn
    asked = time.monotonic()
    child.send_signal(signal.SIGINT)
    result = ended(child)
    assert time.monotonic() - asked < SOON, result
    assert result.status == PARTLY, result
    assert "the backup of vol.data was interrupted; nothing was committed" in result.err, result
    assert not site.objects("local", "snap/")
    site.write_config()
    site.backup()
    site.assert_restores(site.scan())


def test_who_meets_a_backup_is_told_which_process_it_is(site):
    slow(site, "1m")
    child = site.start("backup", "vol.data")
    wait_for(lambda: site.objects("local", "pack/"), "no pack was put")
    result = site.run("backup", "vol.data", status=BUSY)
    child.terminate()
    assert ended(child).status == PARTLY
    assert "another backup of vol.data is running on this host" in result.err, result
    assert re.search(r"\n  process +%d, since 20" % child.pid, result.err), result
    assert re.search(r"\n  fix +wait for its end, or `kill %d`" % child.pid, result.err), result
    # Nothing of it is left behind.
    site.write_config()
    assert site.run("backup", "vol.data", status=DONE)


def test_an_interrupted_copy_says_so_once(site):
    backed_up(site, "1m")
    child = site.start("copy", "--to", "regional")
    wait_for(lambda: site.objects("regional", "pack/"), "no pack was copied")
    interrupted(child)
    site.write_config()
    site.run("copy", "--to", "regional")


def test_a_hook_that_hangs_is_stopped_and_what_undoes_it_runs(site):
    mark = site.path("undone")
    site.write_config(volume="before = sleep 300\nafter = echo $FFDR_RESULT > %s" % mark)
    child = site.start("backup", "vol.data")
    time.sleep(2)
    asked = time.monotonic()
    child.send_signal(signal.SIGINT)
    result = ended(child)
    assert time.monotonic() - asked < 20, result
    assert result.status == PARTLY, result
    assert "the backup of vol.data was interrupted" in result.err, result
    with open(mark, encoding="utf-8") as f:
        assert f.read() == "failed\n"


@pytest.mark.parametrize("command", [("export", "vol.data"), ("verify", "--level", "2"),
                                     ("verify", "--restore", "vol.data")], ids=" ".join)
def test_who_reads_ends_soon_also_in_the_middle_of_a_pack(site, command):
    backed_up(site, "100k")  # minutes for a single pack
    child = site.start(*command)
    time.sleep(2)
    interrupted(child)
    site.write_config()
    site.run("verify", "--level", "2")


def test_who_reads_a_bucket_ends_soon_also_in_the_middle_of_a_pack(versitygw, tmp_path):
    site = BucketSite(tmp_path, {"regional": versitygw.bucket()}, tiers=("regional",))
    trees.make_plain(site.source)
    site.init()
    backed_up(site, "100k")
    before = site.scan()
    child = site.start("restore", "vol.data", "--to", site.path("one"))
    wait_for(lambda: os.path.isdir(site.path("one", "d1")), "nothing was made")
    time.sleep(2)
    assert "--delta" in interrupted(child).err
    site.write_config()
    site.run("restore", "vol.data", "--to", site.path("one"), "--delta")
    trees.assert_same(before, trees.scan(site.path("one")))


def test_a_repair_that_does_not_get_the_good_copy_leaves_the_bad_one(versitygw, before, tmp_path):
    line = before(versitygw)
    site = BucketSite(tmp_path, {"regional": (versitygw.bucket(), line.url)}, tiers=("local", "regional"))
    trees.make_plain(site.source)
    trees.write(os.fsencode(os.path.join(site.source, "large")), trees.noise(3 << 20, 7))
    trees.finish(os.fsencode(site.source))
    site.init()
    site.backup()
    site.run("copy")
    pack = max(site.objects("local", "pack/"), key=lambda n: os.path.getsize(site.tier("local", n)))
    flip(site.tier("local", pack))
    slow_line = line.fault(("drip", 30), times=None, path="/pack/", method="GET")
    child = site.start("verify", "--repair", "--tier", "local")
    wait_for(lambda: slow_line.hits, "nothing was fetched")
    time.sleep(1)
    assert "has a good copy" not in interrupted(child).err
    assert pack in site.objects("local", "pack/") and not site.objects("local", "bad/") + site.objects("local", "rec/broken/")
    # The same where nobody stops it, and the other tier is silent.
    line.clear()
    line.fault("reset", times=None, path="/pack/", method="GET")
    result = site.run("verify", "--repair", "--tier", "local", status=VERIFY)
    assert "stays as it is, for 'regional' does not answer any more" in result.err, result
    assert pack in site.objects("local", "pack/") and not site.objects("local", "bad/")
    line.clear()
    site.run("verify", "--repair", "--tier", "local", status=DEGRADED)


def test_two_restores_do_not_meet_in_one_directory(site):
    backed_up(site, "100k")  # it has to last while another one starts, on a busy machine
    before = site.scan()
    child = site.start("restore", "vol.data", "--to", site.path("one"))
    wait_for(lambda: os.path.isdir(site.path("one", "d1")), "nothing was made")
    result = site.run("restore", "vol.data", "--to", site.path("one"), "--delta", status=BUSY)
    assert "another restore into" in result.err, result
    assert "--delta" in interrupted(child).err
    site.write_config()
    site.run("restore", "vol.data", "--to", site.path("one"), "--delta")
    trees.assert_same(before, trees.scan(site.path("one")))


def test_two_rehearsals_of_one_source_do_not_remove_each_other(site):
    backed_up(site, "1m")
    child = site.start("verify", "--restore", "vol.data")
    wait_for(lambda: os.path.isdir(site.path("scratch", "restore-vol.data", "d1")),
             "nothing was made")
    result = site.run("verify", "--restore", "vol.data", status=BUSY)
    assert "another rehearsal of" in result.err, result
    assert "--delta" not in interrupted(child).err
    site.write_config()
    site.run("verify", "--restore", "vol.data")
