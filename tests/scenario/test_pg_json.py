"""docs/json.md once more: what only a database shows."""

import os

from databases import Database, database_fixture, make_database  # noqa: F401 (a fixture)
from postgres import eventually, servers_fixture  # noqa: F401
from test_json import DATABASE, DATABASE_MEMBERS, documented, members
from test_keep import later


def every_command(site):
    site.stream()
    eventually(lambda: site.objects("regional", "beat/pg.pay"), what="the first sample")
    first = site.backup()
    yield "copy", site.json("copy", "--to", "regional", first)
    site.server.sql("SELECT pg_create_physical_replication_slot('ffdr_gone', true)")
    for _ in range(4):
        site.server.sql("CREATE TABLE junk AS SELECT repeat('x', 500) FROM generate_series(1, 4000)")
        site.server.sql("DROP TABLE junk")
    site.wait_shipped(site.server.lsn())
    os.unlink(site.tier("regional", site.piece(site.pieces("regional")[-2])))
    yield "wal status", site.json("wal", "status", status=None)
    yield "wal forget", site.json("wal", "forget", "gone", "pay")
    yield "exposure", site.json("exposure", status=None)
    site.backup(env=later(20))
    yield "expire", site.json("expire", "--dry-run", env=later(22))


def test_the_page_names_what_a_database_shows(fault_points, database):
    page = documented()
    seen = {}
    for name, printed in every_command(database):
        assert "error" not in printed, (name, printed)
        seen.setdefault(name, set()).update(members(printed))
    for name, found in seen.items():
        empty = {m for m in found if any(d.startswith(m + "[]") or d.startswith(m + ".") for d in page[name])}
        assert found - empty - page[name] == set(), "%s: the page lacks these" % name
    # A gap is a matter of test_pg_stream.py.
    rare = {m for m in page["wal status"] if m.startswith("sources[].gaps[].")}
    for name in DATABASE:
        assert page[name] - seen[name] - rare == set(), "%s: never printed" % name
    assert {m for m in page["expire"] if DATABASE_MEMBERS.match(m)} <= seen["expire"]
