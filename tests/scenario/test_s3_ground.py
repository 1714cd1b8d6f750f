"""The ground the other S3 scenarios stand on: servers that are what they are taken for, and leave nothing, and faults that happen.

Where one of these fails, what the others say means little.
"""

import os
import pwd
import subprocess
import sys
import time

import botocore.exceptions
import pytest

import httpproxy
from postgres import eventually
from s3 import (KINDS, SERVICE, Server, before_fixture, each_fixture, fresh_server_fixture,  # noqa: F401
                in_days, minio_fixture, moto_fixture, need, radosgw_fixture, refused, room, service, versitygw_fixture)


def processes_below(top):
    """Pids of all processes whose command line or working directory names it."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                line = f.read().decode(errors="replace")
            if top in line or os.readlink("/proc/%s/cwd" % pid).startswith(top):
                found.append(int(pid))
        except OSError:
            pass
    return found


def shared_memory():
    """Of the user that the servers run as: other tests run servers of their own meanwhile."""
    user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
    found = set()
    for entry in os.scandir("/dev/shm"):
        try:
            if entry.stat().st_uid == user and not entry.name.startswith("PostgreSQL."):
                found.add(entry.name)
        except FileNotFoundError:
            pass
    return found


@pytest.mark.parametrize("kind", KINDS + ("minio4",))
def test_a_stopped_server_leaves_no_process_no_port_and_no_shared_memory(kind):
    need(kind)
    with room() as top:
        shared = shared_memory()
        server = Server(kind, os.path.join(top, "it")).start()
        assert processes_below(top)
        server.bucket().put("a", b"1")
        server.stop()
        assert processes_below(top) == []
        assert shared_memory() <= shared
        with pytest.raises(botocore.exceptions.EndpointConnectionError):
            server.client().list_buckets()


def test_a_server_ends_with_the_process_it_was_started_for():
    need("versitygw")
    with room() as top:
        owner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        service("start", "versitygw", os.path.join(top, "it"), env={"FFDR_OWNER": str(owner.pid)})
        assert processes_below(top)
        owner.kill()
        owner.wait()
        eventually(lambda: not processes_below(top), 10, what="the end of the server")


@pytest.mark.parametrize("kind", ("minio", "versitygw"))
def test_a_server_starts_again_with_what_it_had_after_kill_9(fresh_server, kind):
    server = fresh_server(kind)
    bucket = server.bucket()
    bucket.put("a", b"kept")
    endpoint = server.endpoint
    server.kill()
    server.start()
    assert server.endpoint == endpoint and bucket.get("a") == b"kept"


def test_nobody_starts_a_server_that_is_not_known(tmp_path):
    got = subprocess.run([SERVICE, "start", "floppy", str(tmp_path / "floppy")], capture_output=True, text=True, check=False)
    assert got.returncode == 1 and "none of radosgw" in got.stderr


def test_servers_take_no_wrong_secret_and_no_name_twice(each):
    bucket = each.bucket()
    bucket.put("a", b"1", IfNoneMatch="*")
    assert refused(bucket.put, "a", b"2", IfNoneMatch="*") == 412
    assert bucket.get("a") == b"1"
    if each.kind != "moto":
        assert refused(each.client(secret="x" * 40).get_object, Bucket=bucket.name, Key="a") == 403


@pytest.mark.parametrize("kind", ("radosgw", "minio", "versitygw"))
def test_what_is_locked_is_not_deleted_by_its_owner(request, kind):
    bucket = request.getfixturevalue(kind).bucket(lock=True)
    version = bucket.put("a", b"1", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=in_days(1))["VersionId"]
    assert refused(bucket.delete, "a", VersionId=version) in (400, 403)
    bucket.delete("a")
    assert bucket.get("a", VersionId=version) == b"1"


# ---- the proxy ----

BODY = bytes(range(256)) * 400


@pytest.fixture(name="line")
def line_fixture(versitygw, before):
    """(proxy, a bucket seen through it, the same bucket seen directly)"""
    proxy = before(versitygw)
    direct = versitygw.bucket()
    direct.put("a", BODY)
    through = versitygw.bucket()
    through.name = direct.name
    through.s3 = Through(versitygw, proxy).client()
    return proxy, through, direct


class Through(Server):
    """The server, at the proxy's address."""

    def __init__(self, server, proxy):
        super().__init__(server.kind, server.top)
        self.endpoint, self.key, self.secret = proxy.url, server.key, server.secret


def test_the_proxy_passes_on_what_it_is_not_told_to_spoil(line):
    proxy, through, direct = line
    assert through.get("a") == BODY
    through.put("b", BODY)
    assert direct.get("b") == BODY
    assert through.names() == ["a", "b"]
    assert [(r.method, r.status) for r in proxy.requests] == [("GET", 200), ("PUT", 200), ("GET", 200)]
    assert [r.lists for r in proxy.requests] == [False, False, True]
    assert proxy.connections == 1


@pytest.mark.parametrize("what", ("reset", "lost", "short", "cut"))
def test_the_proxy_breaks_what_it_is_told_to_and_only_that(line, what):
    proxy, through, _ = line
    fault = proxy.fault(what, method="GET", path="a$", nth=2)
    assert through.get("a") == BODY
    with pytest.raises(botocore.exceptions.BotoCoreError):
        through.get("a")
    assert through.get("a") == BODY
    assert fault.hits == 1 and proxy.seen("GET")[1].fault == (what,)


def test_an_answer_may_be_lost_after_the_put_took_effect_or_the_put_before(line):
    proxy, through, direct = line
    for what, there in (("half", []), ("reset", []), ("lost", ["b"])):
        proxy.fault(what, method="PUT")
        with pytest.raises(botocore.exceptions.BotoCoreError):
            through.put("b", BODY)
        assert direct.names("b") == there


def test_the_proxy_answers_in_the_place_of_the_server(line):
    proxy, through, direct = line
    fault = proxy.fault(("status", 503, "SlowDown"), times=2)
    assert refused(through.get, "a") == 503
    assert refused(through.put, "b", BODY) == 503
    assert through.get("a") == BODY
    assert fault.hits == 2 and direct.names() == ["a"]


def test_the_proxy_alters_bytes(line):
    proxy, through, _ = line
    proxy.fault("wrong", method="GET")
    spoilt = through.get("a")
    assert len(spoilt) == len(BODY) and sum(a != b for a, b in zip(spoilt, BODY)) == 1
    proxy.fault("padded", method="GET")
    assert through.get("a") == BODY + b"!"


def test_silence_lasts_until_it_is_let_go(line):
    proxy, through, direct = line
    for what in ("stall", "mute", "hang"):
        proxy.fault(what, method="GET")
        begun = time.monotonic()
        through.s3 = Through(direct.server, proxy).client(seconds=0.5)
        with pytest.raises(botocore.exceptions.BotoCoreError):
            through.get("a")
        assert 0.4 < time.monotonic() - begun < 5
    proxy.clear()
    assert through.get("a") == BODY


def test_an_answer_can_come_twice_or_slowly(line):
    proxy, through, _ = line
    proxy.fault(("drip", 0.4), method="GET")
    begun = time.monotonic()
    assert through.get("a") == BODY
    assert time.monotonic() - begun > 0.35
    proxy.fault(("late", 0.4), method="GET")
    begun = time.monotonic()
    assert through.get("a") == BODY
    assert time.monotonic() - begun > 0.35
    fault = proxy.fault("twice", method="HEAD")
    through.head("a")
    assert fault.hits == 1


def test_every_fault_has_a_name_that_is_known():
    with pytest.raises(AssertionError):
        httpproxy.Fault("gremlin", None, "", 1, 1, "")
