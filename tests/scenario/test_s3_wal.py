"""What the writing side of WAL asks a bucket for: it puts, over one connection, and never lists what is there."""

import os
import re
import time

import pytest

from databases import eventually
from postgres import servers_fixture  # noqa: F401
from s3 import before_fixture, versitygw_fixture  # noqa: F401
from s3_databases import BucketDatabase
from test_pg_archive import segments
from test_pg_push_behind import Queue

PIECE = "/wal/.*/[0-9a-f]{16}-[0-9a-f]{16}$"
PIECES = 100  # six seconds of a thousand a minute
OPENING = 5   # requests of a process that opens the repository


@pytest.fixture(name="site")
def site_fixture(servers, versitygw, before):
    proxy = before(versitygw)
    site = BucketDatabase(servers.path("site"), servers.new(15, "--wal-segsize=1").start(), {"regional": (versitygw.bucket(), proxy.url)})
    site.proxy = proxy
    site.run("init")
    site.server.sql("CREATE TABLE t (i int)")
    yield site
    site.end_all()


def streaming(site):
    """A receiver that has found out where it is."""
    site.stream()
    eventually(lambda: site.objects("regional", "beat/pg.pay"), what="the first sample")
    site.wait_shipped(site.server.lsn())
    site.proxy.forget()


def test_a_thousand_small_pieces_a_minute_are_as_many_requests_over_one_connection(site):
    streaming(site)
    site.server.sql("SELECT pg_switch_wal()")
    site.wait_shipped(site.server.lsn() >> 20 << 20)
    site.proxy.forget()
    begun = time.monotonic()
    for _ in range(PIECES):
        site.server.sql("INSERT INTO t VALUES (1)")
        site.server.sql("SELECT pg_switch_wal()")
    eventually(lambda: len(site.proxy.seen("PUT", PIECE)) >= PIECES, what=lambda: "%d pieces" % len(site.proxy.seen("PUT", PIECE)))
    took = time.monotonic() - begun
    seen = site.proxy.seen()
    assert len({r.connection for r in seen}) == 1
    # Beside them nothing but the sign of life, once in ship-every; and a look where one was cut within its segment.
    others = [r for r in seen if not re.search(PIECE, r.path) or r.method != "PUT"]
    assert not [r for r in others if r.method not in ("PUT", "GET") or r.lists], others
    assert len([r for r in others if "/beat/" in r.path]) <= took + 2
    assert len([r for r in others if r.method == "GET"]) <= 2 * took, others


def test_parts_of_a_segment_look_for_a_pushed_one_twice_and_not_each(site):
    streaming(site)
    before = len(site.pieces("regional"))
    segment = site.server.lsn() >> 20
    for _ in range(6):
        site.server.sql("INSERT INTO t VALUES (1)")
        site.wait_shipped(site.server.lsn())
    site.server.sql("SELECT pg_switch_wal()")
    site.wait_shipped((segment + 1) << 20)
    pieces = [p for p in site.pieces("regional")[before:] if p[0] >> 20 == segment]
    assert len(pieces) >= 5
    looks = [r for r in site.proxy.seen("GET", PIECE) if r.path.endswith("%016x-%016x" % (segment << 20, (segment + 1) << 20))]
    assert 1 <= len(looks) <= 2, looks
    assert not [r for r in site.proxy.seen() if r.lists or r.method == "HEAD"]


def push(site):
    """One segment; what for the bucket was asked."""
    site.server.sql("INSERT INTO t VALUES (1)")
    name = site.server.value("SELECT pg_walfile_name(pg_switch_wal())")
    site.proxy.forget()
    site.run("wal", "push", os.path.join(site.server.data, "pg_wal", name))
    return site.proxy.seen()


def test_a_push_opens_the_repository_and_puts(site):
    site.backup("--tier", "regional")
    push(site)
    for _ in range(2):
        seen = push(site)
        assert [r.method for r in seen if "/wal/" in r.path] == ["PUT"]
        # Whose repository it is, by two prefixes with a few names; never what was stored before.
        assert {re.search("prefix=([^&]*)", r.query).group(1) for r in seen if r.lists} == {"prod%2Frepo%2F", "prod%2Fkey%2F"}
        assert len(seen) <= OPENING + 1, seen
        assert len({r.connection for r in seen}) == 1


def test_what_is_pushed_behind_a_call_costs_one_request_each(site):
    site.backup("--tier", "regional")
    for _ in range(6):
        site.server.sql("INSERT INTO t VALUES (1)")
        site.server.sql("SELECT pg_switch_wal()")
    queue = Queue(site, segments(site)[-6:])
    site.proxy.forget()
    queue.archive(queue.names[0])
    queue.all_there()
    seen = site.proxy.seen()
    assert sorted(int(r.path.split("/")[-1].split("-")[0], 16) >> 20 for r in seen if r.method == "PUT") == \
        [int(name[16:], 16) for name in queue.names]
    opening = [r for r in seen if r.method != "PUT"]
    # Two processes have opened the repository: the call, and the worker behind it.
    assert len(opening) <= 2 * OPENING, opening
    site.proxy.forget()
    for name in queue.names[1:]:
        queue.archive(name)
    assert not site.proxy.seen()
