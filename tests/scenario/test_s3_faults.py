"""What networks and stores do on bad days, to a tier that is the only one: it is tried again, or said; never is anything else stored or
restored than what was meant."""

import os
import threading
import time

import pytest

import trees
from conftest import DEGRADED, UNREACHABLE, VERIFY
from s3 import Site, before_fixture, fresh_server_fixture, minio_fixture, moto_fixture, radosgw_fixture, versitygw_fixture  # noqa: F401

# What a healthy tier answers in no time may be tried for so long.
PATIENCE = 60


@pytest.fixture(name="line")
def line_fixture(versitygw, before, tmp_path):
    """A site with one tier, a bucket behind a proxy, initialised; site.proxy."""
    proxy = before(versitygw)
    site = Site(tmp_path, {"regional": (versitygw.bucket(), proxy.url)}, tiers=("regional",))
    trees.make_plain(site.source)
    site.proxy = proxy
    site.init()
    proxy.forget()
    return site


def sound(site, snapshot):
    """Everything is on the tier, once, and comes back, without any fault."""
    site.proxy.clear()
    site.run("verify", "--level", "2")
    site.assert_restores(site.scan(), snapshot)


WRITING = [
    ("PUT", "reset", 1), ("PUT", "half", 1), ("PUT", "lost", 1),
    ("PUT", ("status", 503, "SlowDown"), 2), ("PUT", ("status", 500, "InternalError"), 1),
    ("PUT", ("status", 429, "TooManyRequests"), 1), ("PUT", ("status", 408, "RequestTimeout"), 1),
    ("PUT", "short", 1), ("PUT", "twice", 1), ("HEAD", ("status", 503, "ServiceUnavailable"), 1),
    ("GET", "reset", 1), ("GET", "cut", 1), ("GET", "short", 1), ("GET", ("status", 502, "BadGateway"), 1),
]


@pytest.mark.parametrize("kind", ("pack/", "snap/"))
@pytest.mark.parametrize("method,what,times", WRITING, ids=str)
def test_a_backup_survives_what_passes(line, method, what, times, kind):
    fault = line.proxy.fault(what, method=method, path="/prod/" + kind, times=times)
    if what == "twice":
        # The second answer may be taken for that to the next request, the reading back: then what came back is not what was
        # written, and the snapshot is withdrawn. That is as good as anybody can know.
        first = line.run("backup", "vol.data", status=None)
        assert first.status == 0 or (first.status == VERIFY and "withdrawn" in first.err), first
    snapshot = line.backup()
    if method == "PUT":
        assert fault.hits == times
    sound(line, snapshot)


@pytest.mark.parametrize("kind", ("pack/", "snap/"))
def test_an_answer_that_is_lost_is_settled_by_what_is_there(line, kind):
    """The second PUT is refused, for the first took effect: its object is ours."""
    fault = line.proxy.fault("lost", method="PUT", path="/prod/" + kind)
    snapshot = line.backup()
    assert fault.hits == 1
    name = next(r.path for r in line.proxy.seen("PUT", kind) if r.fault)
    answers = [r.status for r in line.proxy.seen("PUT", name + "$")]
    assert answers[0] == 200 and set(answers[1:]) <= {412}, line.proxy.seen(path=name)
    assert line.proxy.seen("PUT", name + "$")[0].headers.get("if-none-match") == "*"
    sound(line, snapshot)


READING = ["reset", "lost", "short", "cut", "twice", "wrong", "padded", ("drip", 1.5), ("status", 503, "SlowDown"),
           ("status", 500, "InternalError"), ("status", 429, "TooManyRequests")]


@pytest.mark.parametrize("what", READING, ids=str)
def test_a_restore_survives_what_passes(line, what):
    snapshot = line.backup()
    before = line.scan()
    fault = line.proxy.fault(what, method="GET", path="/prod/pack/", times=2)
    # One that altered bytes is told, though they came right the second time.
    target = line.path("restored")
    result = line.run("restore", snapshot, "--to", target, status=None)
    assert fault.hits >= 1
    if result.status in (0, DEGRADED):
        trees.assert_same(before, trees.scan(target))
    else:
        assert what in ("wrong", "padded", "twice") and result.status == VERIFY, result
    sound(line, snapshot)


def test_bytes_that_are_always_wrong_are_never_restored(line):
    """With one tier there is no other copy: the file is missing or the restore fails, but no wrong byte is written."""
    snapshot = line.backup()
    line.proxy.fault("wrong", method="GET", path="/prod/pack/", times=None)
    target = line.path("restored")
    result = line.run("restore", snapshot, "--to", target, status=None)
    assert result.status not in (0, DEGRADED), result
    before = line.scan()
    if os.path.isdir(target):
        for path, _, names in os.walk(os.fsencode(target)):
            for name in names:
                at = os.path.relpath(os.path.join(path, name), os.fsencode(target))
                with open(os.path.join(path, name), "rb") as f:
                    data = f.read()
                with open(os.path.join(os.fsencode(line.source), at), "rb") as f:
                    # Nothing that was not there, at its place; what is missing may be zeros.
                    want = f.read()
                assert all(a in (b, 0) for a, b in zip(data, want)), at
    assert before == line.scan()


@pytest.mark.parametrize("what", ("wrong", "short", "padded", "cut"))
def test_a_listing_that_is_not_whole_is_none(line, what):
    """It is asked for again; a snapshot that it does not show is not gone."""
    snapshot = line.backup()
    fault = line.proxy.fault(what, method="GET", query="list-type=2", times=2)
    assert snapshot in line.run("list").out
    assert fault.hits == 2
    sound(line, snapshot)


def test_a_listing_that_does_not_get_on_ends(line):
    line.backup()
    fault = line.proxy.fault("still", method="GET", query="prefix=prod%2Fsnap", times=None)
    begun = time.monotonic()
    result = line.run("list", status=None)
    assert result.status != 0 and "where it was" in result.err, result
    assert 0 < fault.hits < 1000 and time.monotonic() - begun < PATIENCE


def test_silence_ends(line):
    """A connection that says nothing is given up in time, and what it should have done is done by another."""
    fault = line.proxy.fault("stall", method="PUT", path="/prod/pack/")
    begun = time.monotonic()
    snapshot = line.backup()
    assert fault.hits == 1 and time.monotonic() - begun < PATIENCE
    fault = line.proxy.fault("hang", method="GET", path="/prod/pack/")
    begun = time.monotonic()
    line.assert_restores(line.scan(), snapshot)
    assert fault.hits == 1 and time.monotonic() - begun < PATIENCE


def test_a_store_that_stays_away_is_told_in_time_and_nothing_is_half_done(line):
    first = line.backup()
    line.proxy.fault(("status", 503, "SlowDown"), times=None)
    begun = time.monotonic()
    result = line.run("backup", "vol.data", status=UNREACHABLE)
    assert "regional" in result.err and time.monotonic() - begun < PATIENCE
    line.proxy.clear()
    assert first in line.run("list").out
    sound(line, line.backup())


def test_a_server_that_is_started_again_during_a_backup_is_waited_for(fresh_server, tmp_path):
    server = fresh_server("versitygw")
    site = Site(tmp_path, {"regional": server.bucket()}, tiers=("regional",))
    trees.make_plain(site.source)
    trees.write(os.fsencode(os.path.join(site.source, "large")), trees.noise(60 << 20))
    site.init()

    def bounce():
        while not site.objects("regional", "pack/"):
            time.sleep(0.01)
        server.kill()
        time.sleep(0.5)
        server.start()
    thread = threading.Thread(target=bounce)
    thread.start()
    snapshot = site.backup()
    thread.join()
    site.run("verify", "--level", "2")
    site.assert_restores(site.scan(), snapshot)


def test_few_connections_serve_many_requests(line):
    snapshot = line.backup()
    line.run("verify", "--level", "2")
    requests = len(line.proxy.seen())
    # A connection for each of the workers of two runs, not one for each request.
    assert requests > 20 and line.proxy.connections <= 16, (requests, line.proxy.connections)
    sound(line, snapshot)


def test_what_is_sent_to_a_bucket_keeps_to_its_rate(line):
    trees.write(os.fsencode(os.path.join(line.source, "large")), trees.noise(6 << 20))
    line.lines = {"regional": "keep = 7d\nrate = 2m"}
    line.write_config()
    begun = time.monotonic()
    line.backup()
    sent = sum(r.body or 0 for r in line.proxy.seen("PUT"))
    # A second's worth may be saved up.
    assert sent > 6 << 20 and time.monotonic() - begun > sent / (2 << 20) - 1.5


@pytest.mark.parametrize("what", ("reset", "short", ("status", 503, "SlowDown")), ids=str)
def test_a_first_question_that_is_broken_off_is_asked_again(line, what):
    snapshot = line.backup()
    fault = line.proxy.fault(what, method="HEAD", path="/%s$" % line.bucket("regional").name)
    assert snapshot in line.run("list", "vol.data").out and fault.hits == 1


# ---- whose it is ----

@pytest.mark.parametrize("what", ("list", "read"))
def test_one_refusal_does_not_make_a_stranger_ours(versitygw, before, tmp_path, what):
    """The bucket of the tier is another's by a slip in the url, and does not show it: nothing is written there."""
    proxy = before(versitygw)
    ours, theirs = versitygw.bucket(), versitygw.bucket()
    for name, bucket in (("theirs", theirs), ("ours", ours)):
        os.makedirs(tmp_path / name)
        site = Site(tmp_path / name, {"regional": (bucket, proxy.url)}, tiers=("local", "regional"))
        trees.make_plain(site.source)
        site.init()
        site.run("copy", "--to", "regional", site.backup())
    was = {name: theirs.get(name) for name in theirs.names()}
    site.backup()
    site.buckets["regional"] = (theirs, proxy.url)
    site.write_config()
    for words in (("copy",), ("backup", "vol.data", "--tier", "regional"), ("verify", "--repair", "--tier", "regional"), ("gc",)):
        for nth in range(1, 4):
            if what == "list":
                proxy.fault(("status", 403, "AccessDenied"), method="GET", query="prefix=prod%2F(repo|key)", nth=nth)
            else:
                proxy.fault(("status", 403, "AccessDenied"), method="GET", path="/prod/repo/0", nth=nth)
            result = site.run(*words, status=None)
            proxy.clear()
            assert "regional" in result.err and {name: theirs.get(name) for name in theirs.names()} == was, (words, nth, result)


# ---- what a copy believes ----

def ability(site, what):
    with open(site.path("state", "abilities", "regional"), encoding="utf-8") as f:
        return next(x for x in f.read().splitlines() if x.startswith(what + " "))


@pytest.mark.parametrize("kind,found", (("versitygw", "yes"), ("minio", "yes"), ("radosgw", "no"), ("moto", "no")))
def test_what_compares_is_found_by_trying_and_no_passing_refusal_is_taken_for_it(request, kind, found, before, tmp_path):
    server = request.getfixturevalue(kind)
    proxy = before(server)
    site = Site(tmp_path, {"regional": (server.bucket(), proxy.url)}, tiers=("local", "regional"))
    site.init()
    assert ability(site, "checks").startswith("checks " + found)
    # Two wrong sums, and the right one between them; a store that takes the first is asked no more.
    for nth in range(1, 4 if found == "yes" else 2):
        fault = proxy.fault(("status", 403, "QuotaExceeded"), method="PUT", path="-checks", nth=nth)
        site.run("check", status=None)
        proxy.clear()
        assert fault.hits == 1 and ability(site, "checks").startswith("checks unknown"), nth
    site.run("check", status=None)
    assert ability(site, "checks").startswith("checks " + found)


@pytest.mark.parametrize("compares", (True, False))
def test_a_copy_reads_back_what_the_store_has_not_compared(line, compares):
    site = Site(line.path("other"), dict(line.buckets), tiers=("local", "regional"), prefix="copied")
    trees.write(os.fsencode(os.path.join(site.source, "file")), trees.noise(3 << 20, 1))
    trees.finish(os.fsencode(site.source))
    site.init()
    snapshot = site.backup()
    if not compares:
        os.remove(site.path("state", "abilities", "regional"))
    line.proxy.forget()
    site.run("copy", "--to", "regional", snapshot)
    packs = {r.path for r in line.proxy.seen("PUT", "/copied/pack/")}
    assert packs and {r.path for r in line.proxy.seen("GET", "/copied/pack/")} == (set() if compares else packs)
    assert {r.path for r in line.proxy.seen("HEAD", "/copied/pack/")} >= (packs if compares else set())
    site.run("verify", "--level", "1", "--tier", "regional")


def test_a_probe_that_may_not_be_read_back_finds_nothing_out(line):
    """That a second writer was refused is seen, that the first one's bytes stayed is not: a right is lacking, and the store is no worse."""
    assert ability(line, "exclusive").startswith("exclusive yes")
    line.proxy.fault(("status", 403, "AccessDenied"), method="GET", path="/prod/check/", times=None)
    found = line.run("check", status=None)
    assert "most likely s3:GetObject on " in found.text and "If-None-Match" not in found.text, found
    assert ability(line, "exclusive").startswith("exclusive yes")
