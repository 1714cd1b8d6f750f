"""wal status, wal forget, exposure: what is known is right, what is not is said."""

import os
import time

import pytest

from databases import Database, database_fixture, make_database  # noqa: F401 (a fixture)
from postgres import Ledger, eventually, lsn, servers_fixture  # noqa: F401

DEGRADED, REFUSED, USAGE = 3, 5, 2


def status(site, code=None):
    return site.json("wal", "status", "pay", status=code)["sources"][0]


def tier(found, name):
    return next(t for t in found["tiers"] if t["tier"] == name)


def line(report, name):
    return next(x for x in report["lines"] if x["tier"] == name)


@pytest.fixture(name="streaming")
def streaming_fixture(database):
    """A receiver that runs, and a base backup on both tiers."""
    database.child = database.stream()
    eventually(lambda: database.objects("regional", "beat/pg.pay"), what="the first sample")
    database.backup()
    database.run("copy", status=None)
    database.wait_shipped(database.server.lsn())
    return database


def settled(site):
    """Waits until the server rests and every tier has all."""
    def there():
        return all(site.frontier(t) >= site.server.lsn() for t in ("local", "regional"))
    eventually(there, what="the tiers to have everything")


def test_all_is_well_and_said_so(streaming):
    settled(streaming)
    found = eventually(lambda: (lambda s: s if not s["attention"] else None)(status(streaming)), what="no alarm")
    assert status(streaming, 0)["attention"] == []
    assert found["server"]["reached"] and not found["server"]["standby"]
    assert found["system"] == str(streaming.server.sysid)
    assert found["shipped_by"]
    for name in ("local", "regional"):
        at = tier(found, name)
        assert at["known"] and at["timeline"] == 1 and at["holes"] == [] and at["owed"] == 0
        assert lsn(at["frontier"]) == streaming.frontier(name)
        assert lsn(at["restorable_from"]) <= lsn(at["restorable_to"]) == lsn(at["frontier"])
    assert {s["of"]: s["there"] for s in found["slots"]} == {"own": True, "hold": True}
    out = streaming.run("wal", "status").out
    assert "all is well" in out and "regional" in out


def test_a_server_and_a_tier_that_are_away_are_unknown_and_no_error(streaming):
    settled(streaming)
    streaming.server.stop()
    os.rename(streaming.tier("regional"), streaming.tier("regional") + ".away")
    found = status(streaming, DEGRADED)
    assert not found["server"]["reached"] and found["slots"] is None
    assert not tier(found, "regional")["known"] and tier(found, "regional")["frontier"] is None
    assert tier(found, "local")["known"] and tier(found, "local")["frontier"]
    text = streaming.run("wal", "status", status=DEGRADED).out
    assert "unknown" in text and "cannot be asked" in text


def test_a_hole_between_the_base_backup_and_the_frontier_is_named(streaming):
    for _ in range(4):
        streaming.server.sql("CREATE TABLE junk AS SELECT repeat('x', 500) FROM generate_series(1, 4000)")
        streaming.server.sql("DROP TABLE junk")
    settled(streaming)
    base = lsn(tier(status(streaming), "regional")["restorable_from"])
    victim = next(p for p in streaming.pieces("regional") if p[0] > base + (1 << 20))
    os.unlink(streaming.tier("regional", streaming.piece(victim)))
    found = status(streaming, DEGRADED)
    assert [(lsn(h["from"]), lsn(h["to"])) for h in tier(found, "regional")["holes"]] == [victim]
    assert lsn(tier(found, "regional")["restorable_to"]) == victim[0]
    assert tier(found, "local")["holes"] == []
    # and what lies behind it is not counted as safe there
    report = streaming.json("exposure", "pay", status=None)
    assert line(report, "regional")["bytes"] >= lsn(tier(found, "regional")["frontier"]) - victim[0]
    assert line(report, "local")["bytes"] == 0


def test_a_slot_of_a_vanished_host_is_an_alarm_and_forget_drops_it(streaming):
    server = streaming.server
    server.sql("SELECT pg_create_physical_replication_slot('ffdr_bastion_2', true)")
    found = status(streaming, DEGRADED)
    assert any("ffdr_bastion_2" in a for a in found["attention"])
    got = streaming.run("wal", "forget", "Bastion-2", "pay", "--dry-run")
    assert "would drop" in got.out
    assert server.sql("SELECT 1 FROM pg_replication_slots WHERE slot_name = 'ffdr_bastion_2'")
    assert streaming.json("wal", "forget", "bastion-2", "pay")["dropped"]
    assert not server.sql("SELECT 1 FROM pg_replication_slots WHERE slot_name = 'ffdr_bastion_2'")
    assert not any("ffdr_bastion_2" in a for a in status(streaming)["attention"])
    assert "no slot" in streaming.run("wal", "forget", "bastion-2", "pay", status=USAGE).err


def test_forget_refuses_a_host_that_lives(streaming):
    host = status(streaming)["shipped_by"]
    before = streaming.server.sql("SELECT slot_name FROM pg_replication_slots ORDER BY 1")
    assert "ships the WAL" in streaming.run("wal", "forget", host, "pay", status=REFUSED).err
    # the hold slot is no host's
    streaming.run("wal", "forget", "hold", "pay", status=78)
    assert streaming.server.sql("SELECT slot_name FROM pg_replication_slots ORDER BY 1") == before


def test_nobody_who_ships_is_an_alarm(streaming):
    streaming.end(streaming.child)
    assert any("no host ships" in a for a in status(streaming, DEGRADED)["attention"])


def test_exposure_is_nothing_while_the_server_rests(streaming):
    settled(streaming)
    report = streaming.json("exposure", "pay")
    for name in ("local", "regional"):
        found = line(report, name)
        assert (found["by"], found["seconds"], found["bytes"], found["commits"]) == ("wal", 0, 0, 0)


def test_exposure_grows_while_the_server_cannot_be_asked(streaming):
    settled(streaming)
    streaming.server.kill()
    time.sleep(2)
    first = line(streaming.json("exposure", "pay", status=None), "regional")
    time.sleep(2)
    second = line(streaming.json("exposure", "pay", status=None), "regional")
    assert first["seconds"] >= 1 and first["bytes"] is None and first["commits"] is None
    assert second["seconds"] >= first["seconds"] + 1.9
    assert second["unseen_seconds"] >= 3 and second["known_seconds"] + second["unseen_seconds"] == pytest.approx(second["seconds"])
    assert "unseen" in streaming.run("exposure", "pay", status=None).out


def test_the_loss_is_at_most_what_exposure_claims(streaming):
    """The receiver stops; what is written after is what would be lost."""
    ledger = Ledger(streaming.server, pause=0.01).start().wait(30)
    streaming.end(streaming.child)
    time.sleep(1.5)
    ledger.wait(ledger.count() + 20)
    before = time.time()
    report = line(streaming.json("exposure", "pay", status=None), "regional")
    ledger.stop()
    end = streaming.frontier("regional")
    assert report["bytes"] > 0 and report["seconds"] > 1
    # The oldest commit that is not there is no older than claimed: its row went in behind the frontier.
    rows = streaming.server.sql("SELECT count(*) FROM ffdr_ledger WHERE id > 0")[0][0]
    assert rows >= ledger.count()
    since = [t for _, t in ledger.acknowledged if t > before - report["seconds"]]
    assert len(since) > 0 and end > 0
    assert report["seconds"] < 60


def test_a_source_that_only_pushes_is_as_old_as_its_last_commit_there(database):
    database.write_config(wal_from="push")
    database.backup()
    database.run("copy", status=None)
    server = database.server
    server.sql("CREATE TABLE t (n int)")

    def archive():
        last = server.value("SELECT pg_walfile_name(pg_switch_wal())")
        for name in sorted(n for n in os.listdir(os.path.join(server.data, "pg_wal")) if len(n) == 24 and n <= last):
            database.run("wal", "push", os.path.join(server.data, "pg_wal", name))

    time.sleep(4)
    server.sql("INSERT INTO t VALUES (1)")
    committed = time.time()
    archive()
    # Not lost yet, and what would be is younger than the commit that is there.
    server.sql("INSERT INTO t VALUES (2)")
    time.sleep(2)
    report = line(database.json("exposure", "pay", status=None), "regional")
    after = time.time()
    assert report["bytes"] > 0, report
    assert 2 <= report["seconds"] <= after - committed + 1.5, (report, after - committed)
    # A segment without a commit tells nothing: the bound is the commit before it.
    server.sql("CHECKPOINT")
    archive()
    server.sql("INSERT INTO t VALUES (3)")
    server.kill()
    second = line(database.json("exposure", "pay", status=None), "regional")
    assert second["seconds"] <= time.time() - committed + 1.5, second
    assert second["seconds"] >= 2, second


def test_without_a_base_backup_exposure_is_unknown(database):
    database.stream()
    eventually(lambda: database.objects("regional", "beat/pg.pay"), what="the first sample")
    report = database.json("exposure", "pay", status=DEGRADED)
    assert line(report, "regional")["seconds"] is None
    assert "no base backup" in line(report, "regional")["why"]["message"]


def test_the_headline_counts_only_tiers_elsewhere(streaming):
    settled(streaming)
    site = streaming.json("exposure", status=None)["sites"][0]
    assert site["site"] == "here" and site["tier"] is None and site["seconds"] is None
    streaming.write_config(tier={"local": "keep = 7d", "regional": "keep = 7d\nsite = there"})
    site = streaming.json("exposure")["sites"][0]
    assert site["tier"] == "regional" and site["seconds"] == 0


def test_the_status_of_all_tells_of_a_database_by_its_wal(streaming):
    streaming.server.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
    settled(streaming)
    found = streaming.json("status", status=None)
    lines = {x["tier"]: x for x in found["lines"] if x["source"] == "pg.pay"}
    assert set(lines) == {"local", "regional"}
    for x in lines.values():
        assert x["by"] == "wal" and x["answers"] and x["newest"].startswith("pg.pay/") and x["owed"] == 0
        assert x["loss_seconds"] is not None and x["loss_bytes"] is not None
    eventually(lambda: streaming.json("status", status=None)["attention"] == [], what="no attention")
    streaming.run("status")
    streaming.server.sql("SELECT pg_create_physical_replication_slot('ffdr_gone', true)")
    attention, = streaming.json("status", status=DEGRADED)["attention"]
    assert "slot ffdr_gone is of a host that does not receive" in attention and "`ffdr wal status pay`" in attention
    streaming.server.stop()
    time.sleep(1.1)
    later = {x["tier"]: x for x in streaming.json("status", "pay", status=None)["lines"]}
    assert all(later[t]["loss_seconds"] > lines[t]["loss_seconds"] for t in lines), (later, lines)
    assert {t["tier"]: t["owed_wal"] for t in found["tiers"]} == {"local": 0, "regional": 0}
