"""What ffdr reads in WAL, held against pg_waldump and against what the servers themselves say.

tests/tools/pg_walk prints the product's view: a line a record, below it what recovery could stop at.
"""

import os
import re
import subprocess

import pytest

from postgres import DEBIAN_BIN, VERSIONS, eventually, lsn, servers_fixture  # noqa: F401

WALK = os.path.join(os.path.abspath(os.environ.get("FFDR_BUILDDIR", ".")), "tests", "tools", "pg_walk")
SEGMENT = re.compile("[0-9A-F]{24}")
DUMPED = re.compile(r"rmgr: (\S+) +len \(rec/tot\): +\d+/ *(\d+), tx: +(\d+), lsn: (\S+), prev (\S+), desc: (.*)")
NOTED = re.compile(r"\t(\w+) xid (\d+) prepared (\d) time (-?\d+) \(.*?\) name '(.*)' redo (\S+) timeline (\d+) parent (\d+)")


def walk(paths, *options, status=0):
    """Records [(length, xid, lsn, prev)] and, by LSN, what was noted of them."""
    got = subprocess.run([WALK, *options, *paths], capture_output=True, text=True, check=False)
    assert got.returncode == status, got.stderr
    records, notes = [], {}
    for line in got.stdout.splitlines():
        note = NOTED.match(line)
        if note:
            notes[records[-1][2]] = note.groups()
        else:
            word = line.split()
            records.append((int(word[1]), int(word[2]), lsn(word[3]), lsn(word[4])))
    return records, notes


def dump(directory, names):
    """The same by pg_waldump, and the description of each record."""
    got = subprocess.run([os.path.join(DEBIAN_BIN, "pg_waldump"), "-p", directory, names[0], names[-1]],
                         capture_output=True, text=True, check=False)
    records, words = [], {}
    for line in got.stdout.splitlines():
        kind, length, xid, start, prev, described = DUMPED.match(line).groups()
        records.append((int(length), int(xid), lsn(start), lsn(prev)))
        words[lsn(start)] = (kind, described)
    return records, words


def segments(directory, timeline=1):
    return sorted(n for n in os.listdir(directory) if SEGMENT.fullmatch(n) and int(n[:8], 16) == timeline)


def full(directory, names):
    return [os.path.join(directory, n) for n in names]


def archiving(servers, version=15, **settings):
    """A server with small segments and an archive beside it."""
    server = servers.new(version, "--wal-segsize=1", archive_mode="on", max_prepared_transactions=10,
                         track_commit_timestamp="on", autovacuum="off", **settings)
    archive = os.path.join(server.top, "archive")
    server.set(archive_command="mkdir -p %s && cp %%p %s/%%f" % (archive, archive))
    return server.start(), archive


def busy(server):
    """Everything that makes a record of its own shape."""
    with server.connect() as c:
        for text in (
                "CREATE TABLE t (a int PRIMARY KEY, b text)", "CREATE TABLE gone (a int)",
                "INSERT INTO t SELECT g, repeat('x', g % 90) FROM generate_series(1, 3000) g",
                "CHECKPOINT", "UPDATE t SET b = b || 'y'", "SELECT pg_create_restore_point('it''s here')",
                "BEGIN", "INSERT INTO t VALUES (-1)", "ROLLBACK",
                "BEGIN", "SAVEPOINT a", "INSERT INTO t VALUES (-2)", "SAVEPOINT b", "DROP TABLE gone",
                "INSERT INTO t VALUES (-3)", "PREPARE TRANSACTION 'one'",
                "BEGIN", "INSERT INTO t VALUES (-4)", "PREPARE TRANSACTION 'two'",
                "COMMIT PREPARED 'one'", "ROLLBACK PREPARED 'two'", "SELECT pg_switch_wal()",
                # across four segments, in one record
                "SELECT length(pg_logical_emit_message(true, 'big', repeat('abcdefgh', 400000))::text)",
                "CREATE INDEX ON t (b)", "VACUUM t", "SELECT pg_switch_wal()",
                "INSERT INTO t VALUES (-5)", "SELECT pg_switch_wal()"):
            c.execute(text)


@pytest.mark.parametrize("compression", ["off", "pglz", "lz4", "zstd"])
def test_records_are_those_of_pg_waldump(servers, compression):
    server, archive = archiving(servers, wal_level="logical", wal_compression=compression)
    busy(server)
    server.stop()
    names = segments(archive)
    assert len(names) > 5
    expected, words = dump(archive, names)
    records, notes = walk(full(archive, names))
    assert records == expected
    for slices in ("1", "333", "8192", "100000"):
        assert walk(full(archive, names), "--slice", slices) == (records, notes), slices
    said = {start: text for start, (kind, text) in words.items()
            if re.match("COMMIT|ABORT|RESTORE_POINT|CHECKPOINT_[SO]", text)}
    assert set(notes) == set(said)
    for start, text in said.items():
        what, xid, prepared, _, name, redo, timeline, _ = notes[start]
        if text.startswith("RESTORE_POINT"):
            assert (what, name) == ("point", "it's here") and text == "RESTORE_POINT it's here"
        elif text.startswith("CHECKPOINT"):
            assert (redo, timeline) == re.search(r"redo (\S+); tli (\d+)", text).groups()
        else:
            assert what == ("commit" if text.startswith("COMMIT") else "abort")
            assert (prepared == "1") == ("PREPARED" in text)
            if prepared == "1":
                assert xid == re.match(r"\w+ (\d+):", text).group(1)


def test_a_walk_goes_on_behind_a_promotion_and_a_record_that_a_crash_cut_off(servers):
    server, archive = archiving(servers)
    busy(server)
    first = server.value("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
    server.sql("SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1000000))")
    server.sql("SELECT pg_logical_emit_message(true, 'cut off', repeat('y', 1500000))")
    last = server.value("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
    server.stop("immediate")
    os.unlink(os.path.join(server.data, "pg_wal", last))
    server.start()
    server.sql("INSERT INTO t VALUES (-6)")
    server.stop()
    with open(os.path.join(server.data, "standby.signal"), "w", encoding="utf-8"):
        pass
    server.own()
    server.start()
    server.promote()
    server.sql("INSERT INTO t VALUES (-7)")
    finished = server.value("SELECT pg_walfile_name(pg_switch_wal())")
    eventually(lambda: os.path.exists(os.path.join(archive, finished)), what="archiving")
    server.stop()
    new = segments(archive, 2)
    # the segment in which the new timeline began repeats the old one's beginning
    old = [n for n in segments(archive, 1) if first <= n and n[8:] < new[0][8:]]
    records, notes = walk(full(archive, old + new))
    assert [n[6:] for n in notes.values() if n[0] == "recovered"] == [("2", "1")]
    assert len(records) > 10 and len(old) > 2
    for before, record in zip(records, records[1:]):
        assert record[3] == before[2]
    dumped = dump(archive, old)[0] + dump(archive, new)[0]
    assert records == sorted(set(dumped), key=lambda r: r[2])
    got = subprocess.run([WALK, "--check", *full(archive, new)], capture_output=True, text=True, check=False)
    assert got.returncode == 0, got.stderr


@pytest.mark.parametrize("version", VERSIONS)
def test_each_commit_has_the_time_that_its_server_says(servers, version):
    server, archive = archiving(servers, version)
    busy(server)
    with server.connect() as c:
        for i in range(50):
            c.execute("INSERT INTO t VALUES (%s)", (10000 + i,))
    server.sql("SELECT pg_switch_wal()")
    said = dict(server.sql(
        "SELECT x::text, (extract(epoch FROM pg_xact_commit_timestamp(x::text::xid)) * 1000000)::bigint * 1000 "
        "FROM generate_series((SELECT oldest_xid::text::bigint FROM pg_control_checkpoint()) + 10, "
        "txid_snapshot_xmin(txid_current_snapshot()) - 1) x"))
    server.stop()
    records, notes = walk(full(archive, segments(archive)))
    commits = {n[1]: int(n[3]) for n in notes.values() if n[0] == "commit"}
    assert len(commits) > 55
    for xid, at in commits.items():
        if xid in said:
            assert said[xid] == at
    assert sum(xid in said for xid in commits) > 50
    got = subprocess.run([WALK, "--check", *full(archive, segments(archive))], capture_output=True, text=True,
                         check=False)
    assert got.returncode == 0, got.stderr
    assert {line.split()[1] for line in got.stdout.splitlines()} == {str(version)}


def test_a_segment_with_a_hole_or_a_padded_stub_is_no_finished_one(servers, tmp_path):
    server, archive = archiving(servers)
    busy(server)
    server.stop()
    name = segments(archive)[1]
    whole = open(os.path.join(archive, name), "rb").read()

    def check(content):
        path = os.path.join(tmp_path, name)
        with open(path, "wb") as f:
            f.write(content)
        return subprocess.run([WALK, "--check", path], capture_output=True, text=True, check=False)

    assert check(whole).returncode == 0
    page = 8192
    for content, says in (
            (whole[:5 * page] + bytes(page) + whole[6 * page:], "and WAL behind them"),
            (whole[:5 * page] + bytes(len(whole) - 5 * page), "without a switch"),
            (whole[:5 * page], "corrupt"),
            (whole[:5 * page + 100] + b"\xff" + whole[5 * page + 101:], "wrong checksum")):
        got = check(content)
        assert got.returncode == 1 and says in got.stderr, got.stderr
