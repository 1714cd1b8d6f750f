"""A tier whose packs lie in an archive: what a restore needs is priced, ordered once, awaited, gone on with after any end, and nothing
else is ordered. The archive is moto's: an order takes a few seconds of real time."""

import datetime
import os
import pty
import re
import shutil
import signal
import subprocess
import time
import urllib.parse
import urllib.request

import pytest

import databases
import restored
import trees
from conftest import DEGRADED, DONE, VERIFY, program
from postgres import servers_fixture  # noqa: F401
from s3 import REGION, Site, before_fixture, fresh_server_fixture, moment  # noqa: F401

REFUSED, PARTLY, LATER = 5, 9, 75
SECONDS = 3  # from the order until it can be read
PACK = r"/prod/pack/"


class Cold(Site):
    """A disk that holds the first snapshot, and a bucket that has it in an archive; requests go through a proxy."""

    def __init__(self, top, server, proxy, tiers=("local", "cold"), lines=None, versions=False):
        self.proxy = proxy
        super().__init__(top, {"cold": (server.bucket(versions=versions), proxy.url)}, tiers=tiers,
                         lines={"cold": "keep = 7d\nclass = GLACIER", **(lines or {})})

    def fill(self, files=3, size=12 << 20):
        for i in range(files):
            trees.write(os.fsencode(os.path.join(self.source, "d%d" % i, "file")), trees.noise(size, i + 1))
        trees.finish(os.fsencode(self.source))
        self.init()
        self.snapshot = self.backup()
        for tier in self.tiers[1:]:
            self.run("copy", "--to", tier, self.snapshot)
        return self

    def freeze(self):
        """The disk is lost, and the packs are older than an order takes (moto counts from there)."""
        shutil.rmtree(self.tier("local"))
        time.sleep(SECONDS + 0.6)
        self.proxy.forget()
        return self

    def well(self, *args):
        """What is done is done, with the warning that the disk is gone."""
        result = self.run(*args, status=None)
        assert result.status in (DONE, DEGRADED), result
        return result

    def packs(self):
        return {"prod/" + n for n in self.objects("cold", "pack/")}

    def ordered(self):
        """Names of the packs that were ordered, each as often as it was."""
        return sorted(r.path.split("/", 2)[2] for r in self.proxy.seen("POST", PACK, "restore") if r.status in (200, 202))

    def read(self):
        return {r.path.split("/", 2)[2] for r in self.proxy.seen("GET", PACK) if r.status in (200, 206) and r.body != 1}


def archive(server):
    request = urllib.request.Request(
        server.endpoint + "/moto-api/state-manager/set-transition", method="POST", headers={"Content-Type": "application/json"},
        data=b'{"model_name": "s3::keyrestore", "transition": {"progression": "time", "seconds": %d}}' % SECONDS)
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status in (200, 201)


@pytest.fixture(name="moto")
def moto_fixture(fresh_server):
    server = fresh_server("moto")
    archive(server)
    return server


@pytest.fixture(name="cold")
def cold_fixture(moto, before, tmp_path):
    return Cold(tmp_path, moto, before(moto)).fill()


def target(site, name="restored"):
    return site.path(name)


# ---- asking first ----

def test_without_a_yes_nothing_is_ordered_and_the_sum_is_told(cold):
    cold.freeze()
    result = cold.run("restore", "vol.data", "--to", target(cold), status=REFUSED)
    assert re.search(r"%d packs, 3\d\.\d MB, on cold \(GLACIER\): standard, readable within about 5h.* for 7 days, "
                     r"for less than 0\.01 USD by list prices" % len(cold.packs()), result.err), result
    assert "--yes-thaw" in result.err
    assert cold.ordered() == []
    assert not os.path.exists(target(cold)) or os.listdir(target(cold)) == []


def test_a_dry_run_tells_the_sum_and_orders_nothing_even_with_a_yes(cold):
    cold.freeze()
    result = cold.run("restore", "vol.data", "--to", target(cold), "--dry-run", "--yes-thaw", "--thaw", "bulk", status=None)
    told = r"%d packs, .* on cold \(GLACIER\): bulk, readable within about 12h" % len(cold.packs())
    assert re.search(told, result.text), result
    printed = cold.run("restore", "vol.data", "--to", target(cold), "--dry-run", "--thaw", "bulk", "--json", status=None).json()
    assert re.search(told, printed["thaw"]), printed
    assert cold.ordered() == []


def on_terminal(site, answers, *args):
    """The command on a terminal that gives these answers: (exit, what it showed, how many packs were ordered at each question)."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(site.top)
        os.execve(program(), ["ffdr", *args], site.environment())
    shown, ordered = b"", []
    while True:
        try:
            piece = os.read(fd, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
        if shown.count(b"[y/N]") > len(ordered):
            os.write(fd, answers[len(ordered)])
            ordered.append(len(site.ordered()))
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode(), ordered


@pytest.mark.parametrize("answer, status", ((b"n\n", REFUSED), (b"\n", REFUSED), (b"y\n", LATER)))
def test_a_terminal_is_asked(cold, answer, status):
    cold.freeze()
    got, shown, asked = on_terminal(cold, (answer,), "restore", "vol.data", "--to", target(cold), "--no-wait")
    assert got == status and asked == [0], shown
    assert "USD" in shown.split("[y/N]")[0]
    assert (len(cold.ordered()) > 0) == (status == LATER)


# ---- ordering, waiting ----

def test_a_restore_orders_its_packs_waits_and_brings_everything(cold):
    before = cold.freeze().scan()
    done = cold.well("restore", "vol.data", "--to", target(cold), "--yes-thaw", "--thaw-keep", "3d", "--json").json()
    assert SECONDS - 1 < done["waited"] < done["seconds"], done
    trees.assert_same(before, trees.scan(target(cold)))
    assert cold.ordered() == sorted(cold.packs())
    until = re.search(r'expiry-date="([^"]+)"', cold.bucket("cold").head(cold.ordered()[0])["Restore"]).group(1)
    days = datetime.datetime.strptime(until, "%a, %d %b %Y %H:%M:%S %Z") - datetime.datetime.utcnow()
    assert 2 <= days.days <= 3, until


def test_who_does_not_wait_comes_again_and_pays_nothing_twice(cold):
    before = cold.freeze().scan()
    result = cold.run("restore", "vol.data", "--to", target(cold), "--yes-thaw", "--no-wait", status=LATER)
    assert "within about 5h" in result.err, result
    assert cold.ordered() == sorted(cold.packs())
    cold.run("restore", "vol.data", "--to", target(cold), "--no-wait", status=LATER)
    time.sleep(SECONDS)
    cold.well("restore", "vol.data", "--to", target(cold), "--no-wait")
    trees.assert_same(before, trees.scan(target(cold)))
    assert cold.ordered() == sorted(cold.packs())


@pytest.mark.parametrize("how", (signal.SIGKILL, signal.SIGINT), ids=lambda s: s.name)
def test_a_wait_that_was_ended_is_gone_on_with(cold, how):
    before = cold.freeze().scan()
    child = cold.start("restore", "vol.data", "--to", target(cold), "--yes-thaw")
    while len(cold.ordered()) < len(cold.packs()):
        assert child.poll() is None, child.communicate()
        time.sleep(0.05)
    child.send_signal(how)
    _, err = child.communicate(timeout=60)
    assert child.returncode == (-how if how == signal.SIGKILL else PARTLY), err
    cold.well("restore", "vol.data", "--to", target(cold))
    trees.assert_same(before, trees.scan(target(cold)))
    assert cold.ordered() == sorted(cold.packs())


def test_orders_that_broke_off_in_the_middle_are_completed_and_not_repeated(cold):
    before = cold.freeze().scan()
    fault = cold.proxy.fault("stall", method="POST", path=PACK, query="restore", nth=2, times=None)
    child = cold.start("restore", "vol.data", "--to", target(cold), "--yes-thaw")
    while fault.hits == 0:
        assert child.poll() is None, child.communicate()
        time.sleep(0.05)
    child.kill()
    child.communicate()
    cold.proxy.clear()
    first = cold.ordered()
    assert len(first) == 1
    # The rest costs, so it is asked for.
    cold.run("restore", "vol.data", "--to", target(cold), status=REFUSED)
    cold.well("restore", "vol.data", "--to", target(cold), "--yes-thaw")
    trees.assert_same(before, trees.scan(target(cold)))
    assert cold.ordered() == sorted(cold.packs())


# ---- a store that misleads ----

def test_a_pack_that_nobody_could_look_at_is_waited_for_when_it_is_read(moto, before, tmp_path):
    """It was ordered by somebody, and the only look at it was refused."""
    site = Cold(tmp_path, moto, before(moto)).fill(files=8)
    was = site.freeze().scan()
    site.run("restore", "vol.data", "--to", target(site), "--dry-run", status=None)
    heads = [r.path for r in site.proxy.seen("HEAD", PACK)]
    pack = min(set(heads), key=heads.count)
    assert heads.count(pack) == 1, "and not looked at before"
    refused = site.proxy.fault(("status", 403, "AccessDenied"), method="HEAD", path=pack)
    site.run("restore", "vol.data", "--to", target(site), "--yes-thaw", "--no-wait", status=LATER)
    assert refused.hits == 1
    time.sleep(SECONDS + 0.6)
    site.bucket("cold").s3.restore_object(Bucket=site.bucket("cold").name, Key=pack.split("/", 2)[2], RestoreRequest={"Days": 1})
    refused = site.proxy.fault(("status", 403, "AccessDenied"), method="HEAD", path=pack)
    site.well("restore", "vol.data", "--to", target(site), "--yes-thaw")
    assert refused.hits == 1
    trees.assert_same(was, trees.scan(target(site)))
    ordered = site.ordered()
    assert len(set(ordered)) == len(ordered)


def test_a_pack_that_is_gone_is_not_waited_for(cold):
    cold.freeze()
    child = cold.start("restore", "vol.data", "--to", target(cold), "--yes-thaw")
    while len(cold.ordered()) < len(cold.packs()):
        assert child.poll() is None, child.communicate()
        time.sleep(0.05)
    for name in cold.packs():
        cold.bucket("cold").delete(name)
    _, err = child.communicate(timeout=60)
    assert child.returncode not in (DONE, DEGRADED), err
    assert b"is gone from" in err, err


def test_orders_that_come_to_nothing_are_not_paid_for_without_end(cold):
    cold.freeze()
    taken = cold.proxy.fault(("status", 202, ""), method="POST", path=PACK, query="restore", times=None)
    result = cold.run("restore", "vol.data", "--to", target(cold), "--yes-thaw", status=None)
    assert result.status not in (DONE, DEGRADED) and "not on its way" in result.err, result
    assert len(cold.packs()) < taken.hits <= len(cold.packs()) + 3


# ---- nothing that is not needed ----

def test_of_a_part_only_its_packs_are_ordered(cold):
    before = cold.freeze().scan()
    cold.well("restore", "vol.data", "--to", target(cold), "--path", "d1", "--yes-thaw")
    after = trees.scan(target(cold))
    assert after[b"d1/file"] == before[b"d1/file"] and b"d0/file" not in after
    ordered = cold.ordered()
    assert 0 < len(ordered) < len(cold.packs())
    assert len(set(ordered)) == len(ordered)
    assert cold.read() == set(ordered)


def test_of_two_snapshots_only_the_packs_of_one_are_ordered(moto, before, tmp_path):
    site = Cold(tmp_path, moto, before(moto)).fill(files=2)
    old = site.packs()
    was = site.scan()
    trees.write(os.fsencode(os.path.join(site.source, "d0", "file")), trees.noise(12 << 20, 99))
    trees.finish(os.fsencode(site.source))
    site.run("copy", "--to", "cold", site.backup())
    assert old < site.packs()
    site.freeze()
    site.well("restore", site.snapshot, "--to", target(site), "--yes-thaw")
    trees.assert_same(was, trees.scan(target(site)))
    assert set(site.ordered()) == old


def test_what_another_tier_has_at_hand_is_not_ordered(moto, before, tmp_path):
    """Its manifest is gone there, so the snapshot is the archive's; its packs are not."""
    site = Cold(tmp_path, moto, before(moto), tiers=("local", "cold", "warm"), lines={"warm": "keep = 7d"}).fill()
    was = site.scan()
    for name in site.objects("warm", "snap/"):
        os.unlink(site.tier("warm", name))
    site.freeze()
    site.well("restore", "vol.data", "--to", target(site))
    trees.assert_same(was, trees.scan(target(site)))
    assert site.ordered() == []
    # One that it lacks is ordered, and no other.
    lacks = max(site.objects("warm", "pack/"), key=lambda n: os.path.getsize(site.tier("warm", n)))
    os.unlink(site.tier("warm", lacks))
    shutil.rmtree(target(site))
    site.well("restore", "vol.data", "--to", target(site), "--yes-thaw")
    trees.assert_same(was, trees.scan(target(site)))
    assert site.ordered() == ["prod/" + lacks]


# ---- gone again ----

def test_what_goes_back_into_the_archive_in_the_middle_is_ordered_again(cold):
    bucket, before = cold.bucket("cold"), cold.freeze().scan()
    cold.run("restore", "vol.data", "--to", target(cold), "--yes-thaw", "--no-wait", status=LATER)
    time.sleep(SECONDS)
    cold.proxy.forget()
    # The first large answer is slow, and meanwhile all goes back.
    slow = cold.proxy.fault(("drip", 4.0), method="GET", path=PACK, nth=12)
    child = cold.start("restore", "vol.data", "--to", target(cold), "--yes-thaw")
    while slow.hits == 0:
        assert child.poll() is None, child.communicate()
        time.sleep(0.02)
    for name in cold.packs():
        bucket.put(name, bucket.get(name), StorageClass="GLACIER")
    # moto: what is younger than an order takes is readable at once.
    time.sleep(SECONDS + 0.6)
    out, err = child.communicate(timeout=120)
    assert child.returncode in (DONE, DEGRADED), (out, err)
    trees.assert_same(before, trees.scan(target(cold)))
    ordered = cold.ordered()
    assert 0 < len(ordered) and len(set(ordered)) == len(ordered), ordered


# ---- as it was ----

@pytest.fixture(name="past")
def past_fixture(moto, before, tmp_path):
    """A bucket that keeps versions, and a time at which all was well."""
    site = Cold(tmp_path, moto, before(moto), versions=True).fill()
    site.was = site.scan()
    site.then = moment()
    return site


def versions(site):
    """Of each pack the version that the orders named."""
    return {r.path.split("/", 2)[2]: urllib.parse.parse_qs(r.query)["versionId"] for r in site.proxy.seen("POST", PACK, "restore")}


def test_what_lay_in_an_archive_then_is_priced_ordered_by_its_version_and_restored(past):
    had = {name: [version] for name, version, _ in past.bucket("cold").versions("prod/pack/")}
    past.freeze()
    words = ("restore", "vol.data", "--to", target(past), "--as-of", past.then)
    plan = past.well(*words, "--dry-run", "--json").json()
    assert re.search(r"%d packs, .* on cold \(GLACIER\): .*USD" % len(had), plan["thaw"]), plan
    result = past.run(*words, status=REFUSED)
    assert "USD" in result.err and "--yes-thaw" in result.err, result
    assert past.ordered() == []
    past.run(*words, "--yes-thaw", "--no-wait", status=LATER)
    assert versions(past) == had
    time.sleep(SECONDS)
    past.well(*words, "--no-wait")
    trees.assert_same(past.was, trees.scan(target(past)))
    assert past.ordered() == sorted(had)


def test_a_store_that_orders_another_version_is_found_out_and_no_circle_is_walked(past):
    """moto means the newest by an order, whatever version it is told; that one lies in the archive, too."""
    bucket = past.bucket("cold")
    past.freeze()
    for name in past.packs():
        bucket.put(name, b"your files are ours", StorageClass="GLACIER")
    time.sleep(SECONDS + 0.6)
    result = past.run("restore", "vol.data", "--to", target(past), "--as-of", past.then, "--yes-thaw", status=REFUSED)
    assert "was ordered 3 times more" in result.err and "restore-object" in result.err, result
    assert "--yes-thaw" not in result.err.split("was ordered 3 times more")[1], result
    assert max(past.ordered().count(name) for name in past.packs()) == 4
    assert not os.path.exists(target(past)) or os.listdir(target(past)) == []


def test_what_is_damaged_at_hand_is_ordered_where_it_is_sound(moto, before, tmp_path):
    """A pack that another tier has at hand, but not whole, is one that only the archive has."""
    site = Cold(tmp_path, moto, before(moto), tiers=("local", "cold", "warm"), lines={"warm": "keep = 7d"})
    site.buckets["warm"] = (moto.bucket(), before(moto).url)
    site.write_config()
    site.fill()
    was = site.scan()
    warm = site.bucket("warm")
    bad = max(site.objects("warm", "pack/"), key=lambda n: warm.head("prod/" + n)["ContentLength"])
    warm.flip("prod/" + bad)
    site.freeze()
    result = site.run("restore", "vol.data", "--to", target(site), status=None)
    assert result.status == LATER and "--yes-thaw" in result.err and "no tier" not in result.err, result
    assert site.ordered() == []
    shutil.rmtree(target(site))
    site.well("restore", "vol.data", "--to", target(site), "--yes-thaw")
    trees.assert_same(was, trees.scan(target(site)))
    assert site.ordered() == ["prod/" + bad]


def test_a_tier_is_rebuilt_from_an_archive_and_nothing_is_ordered_without_a_yes(past):
    """What costs nothing comes at once, and no snapshot without its packs; the rest when somebody agrees to the sum."""
    had = {name: [version] for name, version, _ in past.bucket("cold").versions("prod/pack/")}
    names = set(past.objects("cold"))
    past.freeze()
    os.makedirs(past.tier("local"))
    words = ("copy", "--as-of", past.then, "--to", "local")
    plan = past.well(*words, "--dry-run")
    assert re.search(r"%d packs, .* on cold \(GLACIER\): .*USD" % len(had), plan.text) and not past.objects("local"), plan
    result = past.run(*words, status=DEGRADED)
    assert re.search(r"not brought to 'local', because it lies in an archive: %d packs, 0 bundles of WAL, and 1 snapshot" % len(had),
                     result.err), result
    assert "USD" in result.err and "--yes-thaw" in result.err and past.ordered() == []
    assert past.objects("local", "repo/") and not past.objects("local", "snap/") and not past.objects("local", "pack/")
    past.run(*words, "--yes-thaw", "--no-wait", status=LATER)
    assert versions(past) == had
    report = past.well(*words, "--yes-thaw", "--json").json()
    assert report["left"] == report["held_back"] == report["lost"] == 0, report
    assert past.ordered() == sorted(had), "nothing is ordered twice"
    assert set(past.objects("local")) >= {n for n in names if not n.startswith(("gc/", "beat/"))}
    past.run("verify", "--level", "2", "--tier", "local")
    past.assert_restores(past.was, "vol.data", "--tier", "local")


def test_a_tier_takes_from_the_archive_of_another_only_what_it_had_itself(moto, before, tmp_path):
    site = Cold(tmp_path, moto, before(moto), tiers=("local", "cold", "warm"), lines={"warm": "keep = 7d"}, versions=True)
    site.buckets["warm"] = (moto.bucket(versions=True), before(moto).url)
    site.write_config()
    site.fill()
    was, warm = site.scan(), set(site.objects("warm", "pack/"))
    trees.write(os.fsencode(os.path.join(site.source, "d0", "more")), trees.noise(1 << 20, 9))
    trees.finish(os.fsencode(site.source))
    site.run("copy", "--to", "cold", site.backup())
    then = moment()
    for name in site.bucket("warm").names("prod/pack/"):
        site.bucket("warm").delete(name)
    site.freeze()
    words = ("copy", "--as-of", then, "--to", "warm", "--yes-thaw")
    # A tier whose names do not come is left out, as one that is away.
    site.proxy.fault(("status", 403, "AccessDenied"), method="GET", query="prefix=prod%2Fpack", times=100)
    result = site.run(*words, status=DEGRADED)
    assert "tier 'cold' cannot be looked at as it was" in result.err, result
    site.proxy.clear()
    result = site.well(*words)
    assert re.search("what other tiers alone had and lies in an archive stays there: [1-9][0-9]* packs?, .* and 1 snapshot", result.err), result
    assert site.ordered() == [] and set(site.objects("warm", "pack/")) == warm and len(site.objects("warm", "snap/")) == 1
    site.assert_restores(was, site.snapshot, "--tier", "warm", status=DEGRADED)


def test_a_snapshot_is_not_brought_unread_nor_without_its_packs(past):
    """One whose manifest does not come once; and one of whose packs nothing was kept."""
    past.freeze()
    os.makedirs(past.tier("local"))
    words = ("copy", "--as-of", past.then, "--to", "local")
    for fault in (("status", 403, "AccessDenied"), "wrong"):
        past.proxy.fault(fault, method="GET", path="/prod/snap/")
        result = past.run(*words, status=None)
        assert result.status not in (DONE, LATER) and not past.objects("local", "snap/"), result
        past.proxy.clear()
    bucket = past.bucket("cold")
    gone, version, _ = next(iter(bucket.versions("prod/pack/")))
    bucket.s3.delete_object(Bucket=bucket.name, Key=gone, VersionId=version)
    report = past.run(*words, "--yes-thaw", "--json", status=VERIFY)
    assert report.json()["lost"] == 1 and "1 pack that it names is not there" in report.err, report
    assert not past.objects("local", "snap/") and past.objects("local", "pack/")


# ---- other readers ----

def test_a_proof_thaws(cold):
    cold.freeze()
    cold.run("verify", "--restore", "vol.data", status=REFUSED)
    cold.well("verify", "--restore", "vol.data", "--yes-thaw")
    assert cold.ordered() == sorted(cold.packs())


def test_what_a_proof_measures_leaves_the_wait_out_and_a_slow_archive_is_one_failure(moto, before, tmp_path):
    site = Cold(tmp_path, moto, before(moto), lines={"cold": "keep = 7d\nclass = GLACIER\nrto = 1h"}).fill().freeze()
    begun = time.monotonic()
    site.well("verify", "--restore", "vol.data", "--yes-thaw")
    took = time.monotonic() - begun
    line, = [x for x in site.json("status", status=None)["lines"] if x["tier"] == "cold"]
    assert 0 < line["measured_seconds"] < took - (SECONDS - 1), (line, took)
    # The archive alone takes longer than that: no rate is to blame.
    failed = [x for x in site.json("check", status=None)["lines"] if x["verdict"] == "FAIL" and x["what"].endswith(" cold")]
    assert [x["what"] for x in failed] == ["plan cold"], failed


def test_an_export_thaws(cold):
    cold.freeze()
    with open(cold.path("x.tar"), "wb") as f:
        child = subprocess.run([program(), "export", "vol.data", "--path", "d2", "--yes-thaw"], stdout=f, check=False,
                               env=cold.environment(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=120)
    assert child.returncode in (DONE, DEGRADED)
    # The wait is no part of the rate.
    told = re.search(rb"12.6 MB in ([0-9.]+) s, ([0-9.]+) s of it waiting for an archive \(([0-9.]+) MB/s\)", child.stderr)
    assert told, child.stderr
    took, waited, rate = (float(n) for n in told.groups())
    assert SECONDS - 1 < waited < took and rate > 12.6 / took * 1.5, told
    assert 0 < len(cold.ordered()) < len(cold.packs())
    assert os.path.getsize(cold.path("x.tar")) > 12 << 20


def test_a_copy_from_the_archive_thaws_what_the_target_lacks(moto, before, tmp_path):
    site = Cold(tmp_path, moto, before(moto), tiers=("local", "cold", "warm"), lines={"warm": "keep = 7d"}).fill()
    was = site.scan()
    for name in site.objects("warm", "snap/"):
        os.unlink(site.tier("warm", name))
    lacks = max(site.objects("warm", "pack/"), key=lambda n: os.path.getsize(site.tier("warm", n)))
    os.unlink(site.tier("warm", lacks))
    site.freeze()
    result = site.run("copy", "--to", "warm", site.snapshot, status=REFUSED)
    assert "USD" in result.err
    site.run("copy", "--to", "warm", site.snapshot, "--yes-thaw", "--no-wait", status=LATER)
    time.sleep(SECONDS)
    site.well("copy", "--to", "warm", site.snapshot)
    assert site.ordered() == ["prod/" + lacks]
    site.proxy.close()
    site.run("restore", site.snapshot, "--to", target(site), status=None)
    trees.assert_same(was, trees.scan(target(site)))


def test_nobody_reads_from_the_archive_what_another_tier_has(moto, before, tmp_path):
    """Also where it stands before the others, in the files and among the tiers of the source."""
    site = Cold(tmp_path, moto, before(moto), tiers=("local", "cold", "warm"), lines={"warm": "keep = 7d"})
    site.fill()
    was, packs = site.scan(), site.objects("warm", "pack/")
    site.tiers = ("cold", "local", "warm")
    site.write_config()
    for name in site.objects("warm", "snap/"):
        os.unlink(site.tier("warm", name))
    os.unlink(site.tier("warm", packs[0]))
    time.sleep(SECONDS + 0.6)
    site.proxy.forget()
    result = site.run("copy", "--to", "warm")
    assert " from local to warm: 1 pack" in result.out, result
    assert " from local: " in site.run("restore", "vol.data", "--to", target(site)).out
    trees.assert_same(was, trees.scan(target(site)))
    assert " from local and compared" in site.run("verify", "--restore", "vol.data").out
    assert site.proxy.seen("GET", PACK) == site.proxy.seen("POST", PACK, "restore") == []
    # Only the archive has the snapshot: its packs are had from the other all the same.
    for tier in ("local", "warm"):
        for name in site.objects(tier, "snap/"):
            os.unlink(site.tier(tier, name))
    shutil.rmtree(target(site))
    result = site.well("restore", site.snapshot, "--to", target(site))
    assert re.search(r" from cold and, for \d+ objects?, other tiers: ", result.out) and "missing or damaged" not in result.err, result
    trees.assert_same(was, trees.scan(target(site)))
    # That proves no tier.
    before = site.objects("cold", "rec/verified/")
    result = site.well("verify", "--restore", site.snapshot)
    assert re.search(r" from cold and, for \d+ objects?, other tiers and compared", result.out) and "recorded" in result.out, result
    assert site.objects("cold", "rec/verified/") == before and site.ordered() == []


def test_what_lies_in_the_archive_is_verified_by_what_the_store_says_and_not_taken_for_bad(cold):
    cold.freeze()
    result = cold.well("verify", "--tier", "cold", "--repair")
    assert re.search(r"%d packs on 'cold' lie in an archive: not read" % len(cold.packs()), result.err), result
    assert cold.ordered() == [] and cold.objects("cold", "bad/") == []
    assert re.search(r"sound: %d packs, %d of them in an archive and not read, 0 B read" % (2 * (len(cold.packs()),)), result.out), result
    found = cold.json("verify", "--tier", "cold", status=None)
    assert (found["packs"], found["packs_frozen"], found["bytes"]) == (len(cold.packs()), len(cold.packs()), 0)
    # What is not there is found all the same.
    lost = sorted(cold.packs())[0]
    cold.bucket("cold").delete(lost)
    result = cold.run("verify", "--tier", "cold", status=VERIFY)
    assert os.path.basename(lost)[:12] in result.text, result


# ---- databases ----

class ColdDatabase(databases.Database):
    """Its second tier is a bucket that keeps packs in an archive."""

    def __init__(self, top, server, bucket, proxy, wal="local"):
        self.bucket, self.proxy = bucket, proxy
        super().__init__(top, server, tiers=("local", "cold"), wal=wal)

    def write_config(self, *args, **kw):
        super().write_config(*args, **kw)
        for what, value in (("access", self.bucket.server.key), ("secret", self.bucket.server.secret)):
            with open(self.path("etc", what), "w", encoding="utf-8") as f:
                os.fchmod(f.fileno(), 0o600)
                f.write(value)
        with open(self.config, encoding="utf-8") as f:
            text = f.read()
        here = "url = file://%s\nshared = yes\n" % self.tier("cold")
        assert here in text
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(text.replace(here, "url = s3://%s/prod\nendpoint = %s\nregion = %s\naccess-key = file:%s\n"
                                 "secret-key = file:%s\nclass = GLACIER\n" % (
                                     self.bucket.name, self.proxy.url, REGION, self.path("etc", "access"), self.path("etc", "secret"))))


def test_a_database_comes_out_of_the_archive_with_its_wal(moto, before, servers):
    server = servers.new(15, "--wal-segsize=1").start()
    site = ColdDatabase(servers.path("site"), server, moto.bucket(), before(moto))
    site.run("init")
    server.sql("CREATE TABLE kept AS SELECT generate_series(1, 20000) AS n")
    snapshot = site.backup()
    site.run("copy", "--to", "cold", snapshot)
    restored.readable(site)
    shutil.rmtree(site.tier("local"))
    time.sleep(SECONDS + 0.6)
    site.proxy.forget()
    restored.restore(site, what=snapshot, status=REFUSED)
    assert not os.path.exists(site.path("back")) or os.listdir(site.path("back")) == []
    assert site.proxy.seen("POST", PACK, "restore") == []
    restored.restore(site, "--yes-thaw", what=snapshot, status=DEGRADED)
    ordered = [r.path for r in site.proxy.seen("POST", PACK, "restore")]
    assert len(ordered) == len(set(ordered)) == len(site.bucket.names("prod/pack/"))
    assert restored.boot(servers, site).value("SELECT sum(n) FROM kept") == 200010000
    # The proof of that tier: what is thawed stays so.
    result = site.run("verify", "--restore", "pg.pay", "--tier", "cold", status=None)
    assert result.status in (DONE, DEGRADED), result
    assert len(site.proxy.seen("POST", PACK, "restore")) == len(ordered)


def test_an_archive_that_compares_no_checksums_is_told(cold):
    result = cold.run("check", status=None)
    assert "what lies in class GLACIER came there whole is not proved" in result.text, result
