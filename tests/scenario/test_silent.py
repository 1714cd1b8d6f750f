"""Stores that take connections and say nothing: they are waited for at once and only once, and the tiers that answer do the work."""

import contextlib
import os
import re
import socket
import time

import pytest

import conftest
import s3
from conftest import DEGRADED, VERIFY
from s3 import before_fixture, versitygw_fixture  # noqa: F401

SILENT = ("two", "three")
# So long one silent store is waited for: an answer to one question, and a listing with its second try.
ONE, LISTING = 20, 45


class Mute(conftest.Site):
    """Beside the directory `local` two buckets of which nothing ever comes but the connection."""

    def __init__(self, top):
        self.listeners = {}
        super().__init__(top, ("local",))

    def fall_silent(self):
        self.listeners = {name: socket.create_server(("127.0.0.1", 0), backlog=64) for name in SILENT}
        with open(self.path("etc", "access"), "w", encoding="utf-8") as f:
            os.fchmod(f.fileno(), 0o600)
            f.write("nobody")
        self.tiers = ("local",) + SILENT
        self.write_config()

    def place(self, name):
        if name not in self.listeners:
            return super().place(name)
        key = self.path("etc", "access")
        return "s3://bucket/prod\nendpoint = http://127.0.0.1:%d\naccess-key = file:%s\nsecret-key = file:%s" % (
            self.listeners[name].getsockname()[1], key, key)

    def asked(self, name):
        """How many connections there were."""
        listener, count = self.listeners[name], 0
        listener.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                listener.accept()[0].close()
                count += 1
        return count

    def close(self):
        for listener in self.listeners.values():
            listener.close()


@pytest.fixture(name="mute")
def mute_fixture(tmp_path):
    site = Mute(tmp_path)
    site.init()
    yield site
    site.close()


def test_two_silent_stores_take_the_time_of_one_and_are_asked_once(mute):
    snapshot = mute.backup()
    mute.fall_silent()
    began = time.monotonic()
    children = [mute.start("list"), mute.start("status"), mute.start("restore", "vol.data", "--to", mute.path("restored"))]
    said = [tuple(text.decode() for text in child.communicate(timeout=conftest.SECONDS)) for child in children]
    took = time.monotonic() - began
    assert ONE - 2 < took < 2 * ONE - 4, took
    assert [child.returncode for child in children] == [DEGRADED, DEGRADED, DEGRADED], said
    assert snapshot in said[0][0]
    for out, err in said:
        # In the order of the configuration, whoever was the first to be given up.
        where = [(out + err).find("'%s'" % name) for name in SILENT]
        assert -1 < where[0] < where[1], (out, err)
    assert [mute.asked(name) for name in SILENT] == [len(children)] * 2


def test_stores_that_let_us_in_and_list_nothing_are_waited_for_at_once(versitygw, before, tmp_path):
    proxies = {name: before(versitygw) for name in SILENT}
    site = s3.Site(tmp_path, {name: (versitygw.bucket(), proxies[name].url) for name in SILENT}, tiers=("local",) + SILENT)
    site.init()
    snapshot = site.backup()
    site.run("copy")
    faults = [proxies[name].fault("stall", method="GET", query="prefix=prod%2Frepo", times=None) for name in SILENT]
    began = time.monotonic()
    result = site.run("show", snapshot, status=DEGRADED)
    took = time.monotonic() - began
    assert snapshot in result.out and took < 2 * LISTING - 10, (took, result)
    assert all("'%s' cannot be reached" % name in result.err for name in SILENT), result
    assert [fault.hits for fault in faults] == [2, 2], faults


def test_a_damaged_snapshot_is_not_given_up_while_a_tier_is_silent_that_may_have_it(versitygw, before, tmp_path):
    proxy = before(versitygw)
    site = s3.Site(tmp_path, {"regional": (versitygw.bucket(), proxy.url)}, tiers=("local", "regional"))
    site.init()
    snapshot = site.backup()
    site.run("copy")
    conftest.flip(site.tier("local", "snap", snapshot))
    proxy.fault("stall", times=None, path="/snap/")
    result = site.run("restore", "vol.data", "--to", site.path("out"), status=VERIFY)
    assert re.search(r"fix +bring back regional, which may have it whole", result.err), result
    assert "--discard" not in result.err, result
