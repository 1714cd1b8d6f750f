"""The replication protocol: every byte of WAL once and in order, and only what is durable confirmed."""

import os
import re
import signal
import time

import pytest

from pgprobe import COPY_BOTH, Fake, Probe, message, one, probe, scratch, wal
from postgres import VERSIONS, eventually, lsn, servers_fixture  # noqa: F401

SEGMENT = 16 << 20
START = "0/1000000"


def text(at):
    return "%X/%X" % (at >> 32, at & 0xFFFFFFFF)


def fill(server, rows=20000, table="t"):
    server.sql("CREATE TABLE IF NOT EXISTS %s (n int, pad text)" % table)
    server.sql("INSERT INTO %s SELECT g, repeat('x', 200) FROM generate_series(1, %d) g" % (table, rows))


def read(path):
    with open(path, "rb") as f:
        return f.read()


def pg_wal(server, tli, at, end):
    """The server's own bytes of [at, end)."""
    out = b""
    for number in range(at // SEGMENT, (end + SEGMENT - 1) // SEGMENT):
        name = "%08X%08X%08X" % (tli, number >> 8, number & 0xFF)
        out += read(os.path.join(server.data, "pg_wal", name))
    return out[at % SEGMENT:at % SEGMENT + end - at]


def segment_start(server):
    return server.lsn() // SEGMENT * SEGMENT


def stream(server, top, begin, end="-", slot="-", tli=1, mode="", to="wal"):
    """Arguments of a run."""
    begin, end = (at if isinstance(at, str) else text(at) for at in (begin, end))
    return ["stream", server.conninfo, slot, tli, begin, end, os.path.join(top, to)] + ([mode] if mode else [])


@pytest.mark.parametrize("version", VERSIONS)
def test_what_comes_is_what_the_server_wrote(servers, version):
    server = servers.new(version).start()
    begin = segment_start(server)
    fill(server, 100000)  # crosses a segment
    end = server.lsn()
    with scratch() as top:
        lines = probe(*stream(server, top, begin, end))
        assert lines[1]["error"] == "" and lines[1]["unknown"] == 0
        assert lsn(lines[1]["received"]) >= end > begin + SEGMENT
        # The connection has gone on to its next command.
        assert lines[2]["sysid"] == server.sysid
        assert read(os.path.join(top, "wal"))[:end - begin] == pg_wal(server, 1, begin, end)


def slot(server, kind, what, *more, name="ffdr_a"):
    return one("slot", server.conninfo, kind, what, name, *more)


def test_a_slot_moves_with_what_was_confirmed_and_with_nothing_else(servers):
    server = servers.new(15).start()
    assert slot(server, "repl", "create")["result"] == 1
    begin = lsn(slot(server, "sql", "read")["restart"]) // SEGMENT * SEGMENT
    fill(server)
    with scratch() as top:
        for mode, moved in (("mute", False), ("", True)):
            end = server.lsn()
            lines = probe(*stream(server, top, begin, end, slot="ffdr_a", mode=mode))
            assert lsn(lines[1]["received"]) >= end
            eventually(lambda: not slot(server, "sql", "read")["active"], what="the slot's rest")
            assert (lsn(slot(server, "sql", "read")["restart"]) >= end) == moved


def test_the_end_of_a_timeline_names_the_next_one(servers):
    primary = servers.new(15).start()
    standby = servers.clone(primary).start()
    fill(primary)
    begin = segment_start(primary)
    with scratch() as top:
        p = Probe(*stream(standby, top, begin))
        assert p.line() == {"started": True}
        fill(primary)
        end = primary.lsn()
        eventually(lambda: lsn(standby.value("SELECT pg_last_wal_replay_lsn()")) >= end)
        standby.promote()
        lines = p.end()
        assert lines[0]["how"] == "timeline" and lines[0]["next_tli"] == 2
        assert begin < lsn(lines[0]["next_lsn"]) <= lsn(lines[0]["received"])
        assert lines[1]["tli"] == 2
        history = one("history", standby.conninfo, 2)
        assert history["result"] == 1
        assert history["text"].encode() == read(os.path.join(standby.data, "pg_wal", "00000002.history"))
        assert one("history", standby.conninfo, 3)["result"] == 0
        assert one("history", standby.conninfo, 1)["result"] == 0
        # Who comes late is told at once, also right at the fork; the new timeline begins with its segment.
        fork = lsn(lines[0]["next_lsn"])
        for at in (begin, fork):
            again = probe(*stream(standby, top, at, to="x"))
            assert again[1]["how"] == "timeline" and again[1]["next_tli"] == 2
        fill(standby)
        end, there = standby.lsn(), fork // SEGMENT * SEGMENT
        lines = probe(*stream(standby, top, there, end, tli=2, to="second"))
        assert lsn(lines[1]["received"]) >= end
        assert read(os.path.join(top, "second"))[:end - there] == pg_wal(standby, 2, there, end)


def test_a_server_that_shuts_down_gets_its_last_byte_confirmed(servers):
    server = servers.new(15).start()
    with scratch() as top:
        p = Probe(*stream(server, top, segment_start(server)))
        p.line()
        fill(server)
        begun = time.monotonic()
        server.stop()
        # Not the ten seconds until the next report.
        assert time.monotonic() - begun < 8
        last = p.end()[0]
        assert last["how"] == "closed" and last["error"] == ""
        assert last["received"] == last["confirmed"] == last["server_end"]


def leave_behind(server, segments):
    for _ in range(segments):
        fill(server, 1000)
        server.value("SELECT pg_switch_wal()")
    for _ in range(2):
        server.sql("CHECKPOINT")


def test_removed_wal_is_an_outcome_of_its_own(servers):
    server = servers.new(15, max_wal_size="32MB", wal_keep_size="0").start()
    begin = segment_start(server)
    leave_behind(server, 4)
    with scratch() as top:
        lines = probe(*stream(server, top, begin))
    assert lines[1]["how"] == "removed" and "has already been removed" in lines[1]["why"]
    assert lines[1]["error"] == "" and lines[2]["tli"] == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_slot_that_lost_its_wal_is_such_an_outcome_too(servers, version):
    server = servers.new(version, max_wal_size="32MB", wal_keep_size="0", max_slot_wal_keep_size="16MB").start()
    assert slot(server, "sql", "create")["result"] == 1
    begin = lsn(slot(server, "sql", "read")["restart"]) // SEGMENT * SEGMENT
    leave_behind(server, 6)
    assert slot(server, "sql", "read")["wal"] == "lost"
    with scratch() as top:
        lines = probe(*stream(server, top, begin, slot="ffdr_a"))
    assert lines[1]["how"] == "removed", lines
    assert "error" in slot(server, "sql", "advance", text(server.lsn()))


def test_a_start_beyond_the_server_is_refused_and_no_outcome(servers):
    server = servers.new(15).start()
    with scratch() as top:
        got = probe(*stream(server, top, segment_start(server) + 10 * SEGMENT))[1]
        assert got["kind"] == "refused" and "ahead of the WAL flush position" in got["error"]
        assert "error" in one(*stream(server, top, START, tli=7))
        got = one(*stream(server, top, START, slot="ffdr_none"))
        assert got["error"] == "not-found" and "ffdr_none" in got["text"]


def test_a_killed_server_is_remote(servers):
    server = servers.new(15).start()
    with scratch() as top:
        p = Probe(*stream(server, top, segment_start(server)))
        p.line()
        server.kill()
        last = p.end()[0]
        assert last["how"] == "runs" and "postgres at" in last["error"] and p.status == 1


def test_a_server_that_fell_silent_is_asked_and_then_given_up(servers):
    server = servers.new(15).start()
    with scratch() as top:
        p = Probe(*stream(server, top, segment_start(server), mode="quick"))
        p.line()
        query = "SELECT pid FROM pg_stat_replication WHERE application_name = 'ffdr'"
        pid = eventually(lambda: server.sql(query))[0][0]
        # Idle for longer than the silence allows: it answers when it is asked.
        time.sleep(3)
        assert p.process.poll() is None
        os.kill(pid, signal.SIGSTOP)
        try:
            last = p.end()[0]
        finally:
            os.kill(pid, signal.SIGCONT)
        assert "nothing came for" in last["error"]


def test_a_synchronous_commit_waits_for_our_confirmation(servers):
    server = servers.new(15, synchronous_commit="remote_apply").start()
    server.sql("CREATE TABLE t (n int)")
    begin = segment_start(server)
    server.set(synchronous_standby_names="ffdr").restart()
    sync = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    with scratch() as top:
        mute = Probe(*stream(server, top, begin, mode="mute"))
        mute.line()
        writer = Probe("sql", server.conninfo, "INSERT INTO public.t VALUES (1)")
        # It received everything, and reports that (a second time, so the wait lasts), yet nobody may go on.
        eventually(lambda: server.value(waits) == 1, what="the commit's wait")
        time.sleep(1)
        assert writer.process.poll() is None and server.value(waits) == 1
        mute.stop()
        mute.end()
        eager = Probe(*stream(server, top, begin, mode="eager"))
        eager.line()
        assert writer.end() == [{"rows": []}]
        eventually(lambda: server.value(sync) == 1, what="the synchronous standby")
        begun = time.monotonic()
        with server.connect() as c:
            for n in range(5):
                c.execute("INSERT INTO t VALUES (%s)", (n,))
        assert time.monotonic() - begun < 8
        eager.stop()
        eager.end()


# ---- a server that does not keep to the rules ----

def fake_stream(*messages):
    with Fake("15.1", COPY_BOTH + b"".join(messages)) as server, scratch() as top:
        return probe(*stream(server, top, START, "0/1000010"))[1], read(os.path.join(top, "wal"))


def test_a_hole_is_refused_also_before_the_first_byte():
    at = lsn(START)
    for messages in ([wal(at + 8, b"x" * 8)], [wal(at, b"x" * 8), wal(at + 9, b"y" * 8)]):
        got, _ = fake_stream(*messages)
        assert "hole" in got["error"]


def test_what_came_already_is_refused():
    at = lsn(START)
    got, written = fake_stream(wal(at, b"x" * 8), wal(at, b"z" * 8))
    assert "repetition" in got["error"] and written == b"x" * 8


def test_unknown_messages_are_left_aside_and_counted():
    at = lsn(START)
    got, written = fake_stream(message(b"d", b"s" + b"\0" * 40), wal(at, b"x" * 8), message(b"d", b"\xff"),
                               wal(at + 8, b""), wal(at + 8, b"y" * 8))
    assert got["error"] == "" and got["unknown"] == 2 and written == b"x" * 8 + b"y" * 8


@pytest.mark.parametrize("body", [b"w", b"w" + b"\0" * 23, b"k" + b"\0" * 16, b"w" + b"\xff" * 24 + b"data"])
def test_messages_that_are_none_are_refused(body):
    got, _ = fake_stream(message(b"d", body))
    assert re.search("stream of WAL|beyond the last", got["error"])


def test_a_keepalive_that_asks_is_answered_at_once():
    ask = message(b"d", b"k" + b"\0" * 16 + b"\1")
    with Fake("15.1", COPY_BOTH + ask) as server, scratch() as top:
        p = Probe(*stream(server, top, START))
        eventually(lambda: len(server.heard) >= 39, 5, what="the answer")
        p.stop()
        p.end()
    # A report: received up to the start, nothing flushed.
    report = server.heard[5:]
    assert report[:1] == b"r" and report[1:9] == lsn(START).to_bytes(8, "big") and report[9:25] == b"\0" * 16


# ---- slots ----

@pytest.mark.parametrize("version", VERSIONS)
def test_slots_are_made_read_moved_and_dropped(servers, version):
    server = servers.new(version).start()
    for kind in ("repl", "sql"):
        if kind == "sql" or version >= 15:
            assert slot(server, kind, "read")["result"] == 0
        assert slot(server, kind, "create")["result"] == 1
        assert slot(server, kind, "create")["result"] == 0
        fill(server, 100)
        got = slot(server, "sql", "read")
        assert got["physical"] and got["reserves"] and got["full"] and not got["active"]
        assert got["wal"] == "reserved" and not got["limited"] and got["behind"] > 0
        if version >= 15:
            short = slot(server, "repl", "read")
            assert (short["restart"], short["tli"], short["full"]) == (got["restart"], 1, False)
        else:
            assert slot(server, "repl", "read")["error"] == "unsupported"
        to = server.lsn()
        assert lsn(slot(server, "sql", "advance", text(to))["at"]) == to
        # Back is nowhere.
        assert lsn(slot(server, "sql", "advance", START)["at"]) == to
        assert lsn(slot(server, "sql", "read")["restart"]) == to
        assert slot(server, kind, "drop")["result"] == 1
        assert slot(server, kind, "drop")["result"] == 0
    assert slot(server, "sql", "advance", START)["error"] == "not-found"
    assert slot(server, "repl", "temporary")["result"] == 1
    eventually(lambda: slot(server, "sql", "read")["result"] == 0, 5, what="its end")


def test_a_logical_slot_of_the_name_is_refused(servers):
    server = servers.new(15, wal_level="logical").start()
    server.sql("SELECT pg_create_logical_replication_slot('ffdr_a', 'test_decoding')")
    for kind in ("repl", "sql"):
        got = slot(server, kind, "create")
        assert got["error"] == "exists" and "logical" in got["text"]


def test_a_slot_in_use_is_busy_and_bad_names_never_reach_the_server(servers):
    server = servers.new(15).start()
    slot(server, "sql", "create")
    begin = lsn(slot(server, "sql", "read")["restart"]) // SEGMENT * SEGMENT
    with scratch() as top:
        p = Probe(*stream(server, top, begin, slot="ffdr_a"))
        p.line()
        assert slot(server, "sql", "read")["active"]
        assert slot(server, "sql", "drop")["error"] == "busy"
        p.stop()
        p.end()
    for name in ("", "A", "a-b", 'x"; DROP', "x" * 64):
        assert slot(server, "repl", "create", name=name)["error"] == "config"
