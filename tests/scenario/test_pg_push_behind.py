"""What is pushed behind a call: a mark answers for the very bytes that are durable where they must be, and for nothing else."""

import os
import shutil

import pytest

from conftest import flip
from databases import database_fixture  # noqa: F401 (a fixture)
from postgres import eventually, servers_fixture  # noqa: F401
from test_pg_archive import get, read, segments, wal
from test_pg_stream import fill

WORKER = 20  # seconds in which a worker has ended that has nothing left to do


class Queue:
    """A directory of WAL as the archiver sees it: segments, and marks of those that are ready."""

    def __init__(self, site, names, top="queue"):
        self.site, self.names, self.top = site, names, site.path(top)
        os.makedirs(os.path.join(self.top, "archive_status"))
        for name in names:
            shutil.copy(wal(site, name), self.path(name))
            self.status(name, "ready")

    def path(self, name):
        return os.path.join(self.top, name)

    def status(self, name, what):
        with open(os.path.join(self.top, "archive_status", "%s.%s" % (name, what)), "wb"):
            pass

    def push(self, name, status=0, env=None):
        return self.site.run("wal", "push", self.path(name), status=status, env=env)

    def archive(self, name, **kw):
        """As the archiver does it."""
        result = self.push(name, **kw)
        os.unlink(os.path.join(self.top, "archive_status", name + ".ready"))
        return result

    def on_tier(self, name, tier="regional"):
        start = "%016x" % (int(name[16:], 16) << 20)
        return any("/%s-" % start in o for o in self.site.objects(tier, "wal/"))

    def all_there(self):
        eventually(lambda: all(self.on_tier(n) for n in self.names), what="pushing of all that is ready")
        eventually(self.idle, seconds=WORKER, what="the worker's end")

    def idle(self):
        """No worker holds its lock."""
        import fcntl
        folder = self.site.path("state", "push")
        for name in os.listdir(folder):
            if name.endswith(".lock"):
                with open(os.path.join(folder, name), "rb") as f:
                    try:
                        fcntl.flock(f, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    except BlockingIOError:
                        return False
        return True


@pytest.fixture(name="queue")
def queue_fixture(database):
    database.run("backup", "pg.pay")
    fill(database.server, 4)
    database.server.sql("SELECT pg_switch_wal()")
    return Queue(database, segments(database)[-5:])


@pytest.fixture(name="marked")
def marked_fixture(queue):
    """The first was archived by its call, the others by the worker; and now nothing more can be stored."""
    queue.archive(queue.names[0])
    queue.all_there()
    for tier in ("local", "regional"):
        os.rename(queue.site.tier(tier), queue.site.tier(tier) + ".away")
    yield queue
    for tier in ("local", "regional"):
        if os.path.exists(queue.site.tier(tier) + ".away"):
            os.rename(queue.site.tier(tier) + ".away", queue.site.tier(tier))


def back(queue):
    for tier in ("local", "regional"):
        os.rename(queue.site.tier(tier) + ".away", queue.site.tier(tier))


def refused(result):
    assert 1 <= result.status <= 125 and result.err, result


def test_what_is_ready_is_pushed_behind_one_call_and_the_next_ones_only_look(marked):
    for name in marked.names[1:]:
        marked.archive(name)
    back(marked)
    for name in marked.names:
        assert read(get(marked.site, name, "--tiers", "regional")) == read(marked.path(name))


def test_a_segment_written_anew_under_its_name_is_not_taken_for_the_old_one(marked):
    first, second, third = marked.names[1:4]
    # another file
    os.rename(marked.path(first), marked.path("old"))
    shutil.copy2(marked.path("old"), marked.path(first))
    refused(marked.push(first, status=None))
    # other bytes in the same file, of the same length and time
    before = os.stat(marked.path(second))
    flip(marked.path(second))
    os.utime(marked.path(second), ns=(before.st_atime_ns, before.st_mtime_ns))
    refused(marked.push(second, status=None))
    # one that was recycled: the inode of another segment under this name
    os.rename(marked.path(marked.names[4]), marked.path(third))
    refused(marked.push(third, status=None))
    back(marked)
    result = marked.push(second, status=None)
    refused(result)
    marked.archive(first)


def test_a_copy_of_the_server_is_another_one(marked):
    """Same system, same names, same state directory."""
    clone = Queue(marked.site, [], top="clone")
    for name in marked.names[1:3]:
        shutil.copy2(marked.path(name), clone.path(name))
        clone.status(name, "ready")
        refused(clone.push(name, status=None))
    marked.push(marked.names[1])


def test_a_mark_counts_for_the_tiers_it_was_made_for(marked):
    name = marked.names[1]
    marked.push(name)
    marked.site.wal = "regional"
    marked.site.write_config()
    refused(marked.push(name, status=None))
    marked.site.wal = "local, regional"
    marked.site.write_config(push_ack="2")
    refused(marked.push(name, status=None))
    marked.site.write_config(push_ack="1")
    marked.push(name)


@pytest.mark.parametrize("point", ["push-behind-stored:2", "store.put.linked:3", "store.put.written:2", "store.put.before:2"])
def test_a_worker_that_dies_leaves_no_mark_of_what_is_not_there(queue, point):
    name, _, number = point.partition(":")
    if name.startswith("store"):
        number = str(int(number) + 2)  # the call itself puts on two tiers
    queue.archive(queue.names[0], env={"FFDR_TEST_STOP": "%s:%s" % (name, number)})
    eventually(queue.idle, seconds=WORKER, what="the worker's end")
    for segment in queue.names[1:]:
        queue.archive(segment)
        assert queue.on_tier(segment)
        assert read(get(queue.site, segment, "--tiers", "regional")) == read(queue.path(segment))


def test_what_the_worker_cannot_push_is_told_by_its_own_call(queue):
    bad = queue.names[2]
    flip(queue.path(bad), 8192 + 4)
    queue.archive(queue.names[0])
    queue.archive(queue.names[1])
    refused(queue.push(bad, status=None))
    shutil.copy(wal(queue.site, bad), queue.path(bad))
    for name in queue.names[2:]:
        queue.archive(name)
    queue.all_there()


def test_marks_that_cannot_be_written_cost_nothing_but_time(queue):
    """As on a full disk of the state directory: /dev/full stands in the place of the marks."""
    folder = queue.site.path("state", "push")
    os.makedirs(folder, exist_ok=True)
    st = os.stat(queue.top)
    os.symlink("/dev/full", os.path.join(folder, "pg.pay.%x-%x.new" % (st.st_dev, st.st_ino)))
    for name in queue.names:
        queue.archive(name)
        assert queue.on_tier(name)


def test_a_tier_that_is_away_is_told_of_by_the_calls_that_only_look(queue):
    os.rename(queue.site.tier("local"), queue.site.tier("local") + ".away")
    queue.archive(queue.names[0], status=None)
    queue.all_there()
    os.rename(queue.site.tier("regional"), queue.site.tier("regional") + ".away")
    assert "owed" in queue.archive(queue.names[1]).err
    back(queue)
    fill(queue.site.server, 1)
    queue.site.server.sql("SELECT pg_switch_wal()")
    queue.site.run("wal", "push", wal(queue.site, segments(queue.site)[-1]))
    queue.site.run("wal", "push", wal(queue.site, segments(queue.site)[-1]))
    eventually(lambda: queue.on_tier(queue.names[0], "local"), what="paying what is owed")
