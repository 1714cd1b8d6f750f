"""The receiver where the line, the disk or the machine fail: it goes on, and no byte is missing."""

import os
import random
import subprocess
import time

import pytest

from databases import Database, database_fixture, make_database  # noqa: F401 (a fixture)
from postgres import Ledger, eventually, servers_fixture  # noqa: F401
from proxy import Proxy
from test_pg_stream import fill, same_as_server


@pytest.fixture(name="line")
def line_fixture(database):
    """The database behind a line that can be cut."""
    proxy = Proxy(database.server.port)
    database.write_config(conninfo="host=127.0.0.1 port=%d user=postgres dbname=postgres" % proxy.port)
    yield proxy
    proxy.close()


def test_a_line_that_is_silent_for_half_a_minute(database, line):
    database.stream()
    ledger = Ledger(database.server, pause=0.02).start().wait(20)
    database.wait_shipped(database.server.lsn())
    line.silent.set()
    time.sleep(30)
    before = database.frontier("regional")
    end = database.server.lsn()
    assert before < end
    line.silent.clear()
    ledger.stop()
    fill(database.server, 1)
    end = database.server.lsn()
    database.wait_shipped(end)
    database.assert_no_hole("regional")
    assert same_as_server(database) > 0


def test_a_line_that_breaks_all_the_time(database, line):
    rng = random.Random(11)
    database.stream()
    ledger = Ledger(database.server).start().wait(5)
    for _ in range(8):
        time.sleep(rng.uniform(0.1, 0.6))
        line.reset()
    ledger.stop()
    end = database.server.lsn()
    database.wait_shipped(end)
    database.assert_no_hole("regional")
    assert database.objects("regional", "rec/gap/") == []


def test_a_server_that_cannot_be_reached_at_the_start(database, line):
    line.refuse.set()
    child = database.stream()
    eventually(lambda: "interrupted" in database.stream_log())
    assert child.poll() is None
    line.refuse.clear()
    Ledger(database.server).start().wait(5).stop()
    database.wait_shipped(database.server.lsn())
    assert database.end(child) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small file system")
def test_a_disk_that_is_full_holds_the_receiver_up_and_loses_nothing(servers):
    site = make_database(servers, 15, "--wal-segsize=1", wal="regional")
    spool = site.path("state", "spool")
    os.makedirs(spool)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", spool], check=True)
    try:
        with open(site.tier("regional", "wal"), "w", encoding="utf-8"):
            pass  # nothing gets there
        child = site.stream()
        for _ in range(6):
            fill(site.server, 2)
        eventually(lambda: "interrupted" in site.stream_log(), what="the receiver noticing")
        assert child.poll() is None
        assert "space" in site.stream_log().lower()
        said = site.run("wal", "status", "pay", status=None)
        assert "the disk of the spool '%s/pg.pay' is full" % spool in said.out + said.err, said
        assert "receives from another server" not in said.out + said.err, said
        os.unlink(site.tier("regional", "wal"))
        end = site.server.lsn()
        site.wait_shipped(end)
        site.assert_no_hole("regional")
        assert same_as_server(site) > 0
    finally:
        site.end_all()
        subprocess.run(["umount", "-l", spool], check=True)


def test_two_receivers_of_one_host_do_not_share_a_spool(database):
    database.stream()
    eventually(lambda: database.server.sql("SELECT 1 FROM pg_stat_replication WHERE application_name = 'ffdr'"))
    second = database.stream()
    assert second.wait(30) == 12


def test_another_host_receives_and_ships_when_the_first_dies(servers, database):
    """A second installation with its own state, the same tiers and coordination place."""
    first = database.stream()
    ledger = Ledger(database.server, pause=0.005).start().wait(20)
    database.wait_shipped(database.server.lsn())
    other = database.path("other")
    os.makedirs(os.path.join(other, "state"))
    with open(database.config, encoding="utf-8") as f:
        text = f.read().replace("state = %s" % database.path("state"), "state = %s/state" % other)
    text = text.replace("[postgres pay]", "[coordination]\nplace = file:%s\nttl = 3s\nrenew = 1s\nskew = 1s\n[postgres pay]"
                        % database.path("state", "coord"))
    text += "replication-slot = ffdr_other\n"
    config = os.path.join(other, "ffdr.ini")
    with open(config, "w", encoding="utf-8") as f:
        f.write(text)
    assert first.poll() is None
    second = database.stream(env={"FFDR_CONFIG": config})
    eventually(lambda: database.server.sql("SELECT 1 FROM pg_replication_slots WHERE slot_name = 'ffdr_other' AND active"))
    first.kill()
    first.wait()
    ledger.wait(ledger.count() + 50).stop()
    database.wait_shipped(database.server.lsn())
    database.assert_no_hole("regional")
    assert second.poll() is None
