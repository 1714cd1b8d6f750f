"""wal push and wal get, by PostgreSQL's rules: what they say decides whether a server forgets WAL, or promotes itself."""

import glob
import os
import subprocess

import pytest

from conftest import flip
from databases import Database, database_fixture, make_database  # noqa: F401 (a fixture)
from postgres import Ledger, eventually, own, servers_fixture  # noqa: F401
from test_pg_stream import fill

MIB = 1 << 20
ABSENT, UNKNOWN = 1, 255


@pytest.fixture(name="archived")
def archived_fixture(database):
    """Some finished segments of the server are on both tiers, by push."""
    database.run("backup", "pg.pay")
    fill(database.server, 2)
    database.server.sql("SELECT pg_switch_wal()")
    database.names = segments(database)[-4:-1]
    for name in database.names:
        database.run("wal", "push", wal(database, name))
    return database


def wal(site, name):
    return os.path.join(site.server.data, "pg_wal", name)


def segments(site):
    """Finished ones, oldest first: those before the current one."""
    current = site.server.value("SELECT pg_walfile_name(pg_current_wal_lsn())")
    return [n for n in sorted(os.listdir(os.path.join(site.server.data, "pg_wal"))) if len(n) == 24 and n < current]


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)
    return path


def get(site, name, *more, status=0):
    target = site.path("got")
    if os.path.exists(target):
        os.unlink(target)
    site.get(name, target, "--segment-size", "1m", *more, status=status)
    return target


# ---- push ----

def test_the_archiver_gets_every_segment_to_the_tiers(servers):
    site = make_database(servers, 15, "--wal-segsize=1")
    site.run("backup", "pg.pay")
    own(site.top)
    site.server.set(archive_mode="on", archive_command="%s wal push --config %s %%p" % (site.program(), site.config)).restart()
    fill(site.server, 8)
    site.server.sql("SELECT pg_switch_wal()")
    last = segments(site)[-1]
    eventually(lambda: (site.server.value("SELECT last_archived_wal FROM pg_stat_archiver") or "") >= last,
               what="archiving of %s\n%s" % (last, site.server.log()[-2000:]))
    assert site.server.value("SELECT failed_count FROM pg_stat_archiver") == 0
    site.assert_no_hole("regional")
    for name in segments(site)[-5:]:
        assert read(get(site, name, "--tiers", "regional")) == read(wal(site, name))


def test_the_same_again_is_fine_and_other_bytes_are_refused(archived):
    name = archived.names[0]
    archived.run("wal", "push", wal(archived, name))
    os.makedirs(archived.path("clone"))
    data = bytearray(read(wal(archived, name)))
    data[20_000] ^= 1
    other = write(archived.path("clone", name), data)
    before = archived.objects("regional", "wal/")
    result = archived.run("wal", "push", other, status=None)
    assert 1 <= result.status <= 125
    assert "other" in result.err
    assert archived.objects("regional", "wal/") == before
    assert read(get(archived, name)) == read(wal(archived, name))


@pytest.mark.parametrize("name", ["x", "000000010000000000000001.gz", "00000001000000000000000", "000000010000000000000001.",
                                  "00000001000000000000000g", ".history", "0000000A.histor"])
def test_what_is_no_file_of_an_archive_is_refused(archived, name):
    path = write(archived.path(name), b"x" * MIB)
    result = archived.run("wal", "push", path, status=None)
    assert 1 <= result.status <= 125 and result.err


def test_a_segment_that_is_not_whole_is_refused(archived):
    fill(archived.server, 1)
    archived.server.sql("SELECT pg_switch_wal()")
    name = segments(archived)[-1]
    data = read(wal(archived, name))
    os.makedirs(archived.path("part"))
    for bad in (data[:MIB // 2], b"", data + b"x", b"\0" * MIB, data[:8192] + b"\0" * 8192 + data[16384:],
                data[:65536] + data[:8192] + data[65536 + 8192:]):
        result = archived.run("wal", "push", write(archived.path("part", name), bad), status=None)
        assert 1 <= result.status <= 125, len(bad)
    later = "%s%08X" % (name[:16], int(name[16:], 16) + 1)
    result = archived.run("wal", "push", write(archived.path("part", later), data), status=None)
    assert 1 <= result.status <= 125


def test_another_system_is_refused(servers, archived):
    other = servers.new(15, "--wal-segsize=1").start()
    fill(other, 1)
    other.sql("SELECT pg_switch_wal()")
    name = sorted(n for n in os.listdir(os.path.join(other.data, "pg_wal")) if len(n) == 24)[0]
    result = archived.run("wal", "push", os.path.join(other.data, "pg_wal", name), status=None)
    assert 1 <= result.status <= 125
    assert "system" in result.err


def test_a_clone_that_promoted_itself_is_off_the_timeline_once_another_took_over(servers, archived):
    clone = servers.clone(archived.server).start()
    clone.promote()
    fill(clone, 1)
    clone.sql("SELECT pg_switch_wal()")
    name = sorted(n for n in os.listdir(os.path.join(clone.data, "pg_wal")) if len(n) == 24 and n.startswith("00000002"))[0]
    before = archived.objects("regional", "wal/")
    os.unlink(os.path.join(clone.data, "pg_wal", "00000002.history"))
    result = archived.run("wal", "push", os.path.join(clone.data, "pg_wal", name), status=10)
    assert "stale epoch" in result.err
    assert archived.objects("regional", "wal/") == before


def test_a_tier_that_is_away_gets_it_later(servers):
    site = make_database(servers, 15, "--wal-segsize=1")
    site.run("backup", "pg.pay")
    site.write_config(push_ack="1")
    os.rename(site.tier("local"), site.tier("local") + ".away")
    fill(site.server, 1)
    site.server.sql("SELECT pg_switch_wal()")
    names = segments(site)[-2:]
    site.run("wal", "push", wal(site, names[0]), status=None)
    assert read(get(site, names[0], "--tiers", "regional")) == read(wal(site, names[0]))
    os.rename(site.tier("local") + ".away", site.tier("local"))
    site.run("wal", "push", wal(site, names[1]))
    for name in names:
        assert read(get(site, name, "--tiers", "local")) == read(wal(site, name))


@pytest.mark.parametrize("arguments", [
    ["--no-such-option"], ["--source", "nobody"], ["--config", "/nonexistent/ffdr.ini"], ["/nonexistent/000000010000000000000001"],
    ["two", "files"], [],
])
def test_a_push_that_cannot_be_does_not_end_the_archiver(archived, arguments):
    """Above 125 the server's archiver would end, and count no failure."""
    more = [wal(archived, archived.names[0])] if arguments[:1] and arguments[0].startswith("--") else []
    result = archived.run("wal", "push", *arguments, *more, status=None)
    assert 1 <= result.status <= 125 and result.err, result


def test_with_no_tier_that_survives_the_host_it_is_not_acknowledged(archived):
    os.rename(archived.tier("regional"), archived.tier("regional") + ".away")
    fill(archived.server, 1)
    archived.server.sql("SELECT pg_switch_wal()")
    result = archived.run("wal", "push", wal(archived, segments(archived)[-1]), status=None)
    assert 1 <= result.status <= 125
    os.rename(archived.tier("regional") + ".away", archived.tier("regional"))


def test_a_history_is_taken_from_the_server_that_took_over(servers, archived):
    standby = servers.clone(archived.server).start()
    archived.server.stop()
    standby.promote()
    archived.write_config(conninfo=standby.conninfo)
    history = os.path.join(standby.data, "pg_wal", "00000002.history")
    archived.run("wal", "push", history)
    archived.run("wal", "push", history)
    assert read(get(archived, "00000002.history")) == read(history)


# ---- get ----

def test_what_is_on_no_tier_is_absent_only_when_all_answered(archived):
    nothing = "0000000100000000000000FF"
    get(archived, nothing, status=ABSENT)
    get(archived, "00000002.history", status=ABSENT)
    os.rename(archived.tier("regional"), archived.tier("regional") + ".away")
    for name in (nothing, "00000002.history"):
        get(archived, name, status=UNKNOWN)
        get(archived, name, "--tiers", "local", status=ABSENT)
        result = archived.run("wal", "get", "--source", "pay", "--no-prefetch", "--mode", "standby", name, archived.path("got"),
                              status=ABSENT)
        assert "regional" in result.err
    # what one of them has is there all the same
    assert read(get(archived, archived.names[0])) == read(wal(archived, archived.names[0]))
    os.rename(archived.tier("regional") + ".away", archived.tier("regional"))


def test_a_damaged_segment_is_taken_from_the_other_tier_or_not_at_all(archived):
    name = archived.names[0]
    start = int(name[16:], 16) * MIB
    for tier in ("regional", "local"):
        for piece in archived.objects(tier, "wal/"):
            if piece.endswith("%016x" % (start + MIB)) or "/%016x-" % start in piece:
                flip(archived.tier(tier, piece))
        if tier == "regional":
            assert read(get(archived, name)) == read(wal(archived, name))
    target = get(archived, name, status=UNKNOWN)
    assert not os.path.exists(target)


def test_the_unfinished_segment_is_for_bounded_recoveries_only(database):
    database.stream()
    Ledger(database.server).start().wait(20).stop()
    database.wait_shipped(database.server.lsn())
    name = database.server.value("SELECT pg_walfile_name(pg_current_wal_lsn())")
    known = database.frontier("regional") % MIB
    got = read(get(database, name, "--tiers", "regional"))
    assert got[:known] == read(wal(database, name))[:known]
    assert len(got) == MIB and not any(got[known:])
    get(database, name, "--tiers", "regional", "--mode", "standby", status=ABSENT)
    assert read(get(database, name, "--tiers", "regional", "--mode", "standby", "--final")) == got


@pytest.mark.parametrize("arguments", [
    ["--no-such-option"], ["--mode", "nonsense"], ["--source", "nobody"], ["--tiers", "nowhere"], ["--segment-size", "17"],
    ["--config", "/nonexistent/ffdr.ini"], ["--epoch", "77"],
])
def test_a_wrong_call_never_says_absent(archived, arguments):
    result = archived.run("wal", "get", "--source", "pay", "--no-prefetch", *arguments, archived.names[0], archived.path("got"),
                          status=None)
    assert result.status == UNKNOWN or (arguments[0] == "--epoch" and result.status == ABSENT), result


def test_segments_are_fetched_ahead_and_nothing_is_left(archived):
    target = archived.path("pgdata", "pg_wal", "RECOVERYXLOG")
    os.makedirs(os.path.dirname(target))
    fill(archived.server, 6)
    archived.server.sql("SELECT pg_switch_wal()")
    names = segments(archived)
    for name in names:
        archived.run("wal", "push", wal(archived, name))
    names = [n for n in names if n >= archived.names[0]]
    folder = os.path.join(os.path.dirname(target), ".ffdr-fetched")
    for i, name in enumerate(names):
        archived.run("wal", "get", "--source", "pay", "--segment-size", "1m", name, target)
        assert read(target) == read(wal(archived, name))
        if i == 0:
            eventually(lambda: glob.glob(os.path.join(folder, names[2] + ".*")), what="fetching in advance")
    eventually(lambda: not os.path.exists(folder), seconds=60, every=0.5, what="the fetchers' end")


def test_what_was_fetched_before_the_machine_was_started_anew_is_not_handed_out(archived):
    """Files in advance are not synced: after a crash there may be zeros under a good name."""
    target = archived.path("pgdata", "pg_wal", "RECOVERYXLOG")
    folder = os.path.join(os.path.dirname(target), ".ffdr-fetched")
    os.makedirs(folder)
    first, second = archived.names[:2]
    ask = ("wal", "get", "--source", "pay", "--segment-size", "1m")
    archived.run(*ask, first, target)
    eventually(lambda: glob.glob(os.path.join(folder, second + ".*")), what="fetching in advance")
    mark = glob.glob(os.path.join(folder, second + ".*"))[0].rpartition(".")[2]
    other = "%08x" % (int(mark[:8], 16) ^ 1) + mark[8:]
    eventually(lambda: not os.path.exists(folder), seconds=60, every=0.5, what="the fetchers' end")
    os.makedirs(folder)
    stale = [write(os.path.join(folder, name), b"\0" * MIB) for name in ("%s.%s" % (second, other), second)]
    archived.run(*ask, second, target)
    assert read(target) == read(wal(archived, second))
    eventually(lambda: not os.path.exists(stale[0]), what="the rubbish's end")


def test_another_question_is_not_answered_by_what_was_fetched_for_this_one(archived):
    target = archived.path("pgdata", "pg_wal", "RECOVERYXLOG")
    os.makedirs(os.path.dirname(target))
    folder = os.path.join(os.path.dirname(target), ".ffdr-fetched")
    first, second = archived.names[:2]
    archived.run("wal", "get", "--source", "pay", "--segment-size", "1m", first, target)
    eventually(lambda: glob.glob(os.path.join(folder, second + ".*")), what="fetching in advance")
    # no such epoch: absent, although it lies there
    archived.run("wal", "get", "--source", "pay", "--segment-size", "1m", "--epoch", "77", second, target, status=ABSENT)


def test_push_and_get_need_no_stdout(archived):
    name = archived.names[0]
    program = archived.program()
    got = subprocess.run([program, "wal", "get", "--source", "pay", "--no-prefetch", "--segment-size", "1m", name,
                          archived.path("got")], env=archived.environment(), stdout=open("/dev/full", "wb"), check=False)
    assert got.returncode == 0


def test_a_partial_segment_too_long_for_an_object_goes_in_parts(archived):
    """Of a server with segments of 256 MiB, which do not compress."""
    name, size = "000000010000000000000001.partial", 256 * MIB
    data = bytearray(read(wal(archived, archived.names[0]))[:8192])
    data[8:16] = size.to_bytes(8, "little")    # where its first page begins
    data[32:36] = size.to_bytes(4, "little")
    path = write(archived.path(name), bytes(data) + os.urandom(size - len(data)))
    for _ in range(2):
        archived.run("wal", "push", path)
    parts = [n.rsplit("/", 1)[1] for n in archived.objects("regional", "wal/") if "/other/" in n]
    assert parts == ["%s.%016x-%016x" % (name, at, at + 16 * MIB) for at in range(0, size, 16 * MIB)]
    with open(path, "r+b") as f:
        f.seek(100 * MIB)
        f.write(b"other")
    result = archived.run("wal", "push", path, status=None)
    assert 1 <= result.status <= 125 and "other" in result.err, result
