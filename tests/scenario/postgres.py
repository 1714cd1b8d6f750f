"""Real PostgreSQL servers for the scenarios, started by tests/services/pg.sh, and a client that keeps its own ledger.

The ledger is the judge of every loss: a row counts as acknowledged once COMMIT has answered, and it is written down here, outside of
the server, with the time.
"""

import contextlib
import os
import pwd
import random
import re
import shutil
import subprocess
import tempfile
import threading
import time

import psycopg
import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
SERVICE = os.path.join(os.path.dirname(HERE), "services", "pg.sh")
DEBIAN_BIN = "/usr/lib/postgresql/15/bin"
VERSIONS = (14, 15, 16, 17, 18)
SECONDS = 60


def service(*args, check=True):
    """Output of pg.sh."""
    got = subprocess.run([SERVICE, *map(str, args)], capture_output=True, text=True, check=False)
    if check and got.returncode != 0:
        raise RuntimeError("pg.sh %s: %s" % (" ".join(map(str, args)), got.stderr))
    return got.stdout.strip()


def need(version):
    """Skips where that version cannot be had; with services required, a skip is a failure."""
    got = subprocess.run([SERVICE, "install", str(version)], capture_output=True, text=True, check=False)
    if got.returncode != 0:
        pytest.skip("PostgreSQL %s: %s" % (version, got.stderr.strip() or "not to be had"))


def eventually(check, seconds=SECONDS, every=0.05, what="it"):
    """Waits until check() gives something true, and returns that. what: or a function that tells it in the end."""
    end = time.monotonic() + seconds
    while True:
        got = check()
        if got:
            return got
        if time.monotonic() > end:
            pytest.fail("%s did not happen within %d s" % (what() if callable(what) else what, seconds))
        time.sleep(every)


def lsn(text):
    """5/7C0000F8 as a number."""
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


class Server:
    """A cluster of its own below `top`."""

    def __init__(self, top, version=15):
        self.top, self.version = str(top), version
        self.data = os.path.join(self.top, "data")
        self.running = False

    # ---- life ----

    def init(self, *options, **settings):
        service("init", self.version, self.top, *options)
        self.set(**settings)
        return self

    def set(self, **settings):
        """Lines for postgresql.conf; later ones win."""
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as f:
            for name, value in settings.items():
                f.write("%s = '%s'\n" % (name.replace("__", "."), str(value).replace("'", "''")))
        return self

    def start(self):
        service("start", self.top)
        self.running = True
        return self

    def stop(self, mode="fast"):
        service("stop", self.top, mode, check=mode != "kill")
        self.running = False

    def kill(self):
        """All of it, at once, with -9."""
        self.stop("kill")

    def lives(self):
        """Is there a postmaster of it?"""
        try:
            with open(os.path.join(self.data, "postmaster.pid"), encoding="utf-8") as f:
                pid = f.readline().strip()
            with open("/proc/%s/stat" % pid, encoding="utf-8") as f:
                return f.read().rsplit(")", 1)[1].split()[0] != "Z"
        except FileNotFoundError:
            return False

    def restart(self):
        self.stop()
        return self.start()

    def destroy(self):
        """Killed, and its directory gone: the disk is dead."""
        self.kill()
        shutil.rmtree(self.data)

    # ---- talking ----

    def recovered(self):
        """Has its recovery ended? What was restored answers only then, unless it is a standby or is to pause."""
        try:
            return not self.value("SELECT pg_is_in_recovery()")
        except psycopg.OperationalError:
            if not self.lives():
                pytest.fail("the server ended\n" + self.log()[-1500:])
            return False

    @property
    def port(self):
        with open(os.path.join(self.top, "port"), encoding="utf-8") as f:
            return int(f.read())

    @property
    def conninfo(self):
        """What stands in ffdr's configuration."""
        return "host=%s port=%d user=postgres dbname=postgres" % (self.top, self.port)

    def connect(self, **more):
        return psycopg.connect(self.conninfo, autocommit=True, **more)

    def sql(self, text, *values):
        """All rows of the last statement; [] where there are none."""
        with self.connect() as c:
            cursor = c.execute(text, values or None)
            return cursor.fetchall() if cursor.description else []

    def value(self, text, *values):
        return self.sql(text, *values)[0][0]

    def lsn(self):
        return lsn(self.value("SELECT pg_current_wal_flush_lsn()"))

    @property
    def sysid(self):
        return int(self.value("SELECT system_identifier FROM pg_control_system()"))

    def log(self):
        with open(os.path.join(self.top, "server.log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    @property
    def bin(self):
        return service("bin", self.version)

    # ---- others of the same blood ----

    def clone(self, top, standby=True):
        """A copy made as the manual says (start, copy, stop), not started. standby: follows this one by streaming."""
        other = Server(top, self.version)
        os.makedirs(other.top, exist_ok=True)
        old = self.version < 15
        with self.connect() as c:
            c.execute("SELECT pg_start_backup('clone', true, false)" if old else
                      "SELECT pg_backup_start('clone', true)")
            subprocess.run(["cp", "-a", self.data, other.data], check=False, capture_output=True)
            label = c.execute("SELECT labelfile FROM pg_stop_backup(false, false)" if old else
                              "SELECT labelfile FROM pg_backup_stop(false)").fetchone()[0]
        # With the WAL up to here, so that it starts by itself.
        for last in (False, False, False, True):  # one may be removed while it is copied
            if subprocess.run("cp -a %s/pg_wal/0* %s/pg_wal/" % (self.data, other.data), shell=True, check=last).returncode == 0:
                break
        for name in ("postmaster.pid", "postmaster.opts"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(other.data, name))
        with open(os.path.join(other.data, "backup_label"), "w", encoding="utf-8") as f:
            f.write(label)
        with open(os.path.join(other.top, "version"), "w", encoding="utf-8") as f:
            f.write(str(self.version))
        other.set(unix_socket_directories=other.top)
        if standby:
            open(os.path.join(other.data, "standby.signal"), "w", encoding="utf-8").close()
            other.set(primary_conninfo=self.conninfo, recovery_target_timeline="latest")
        other.own()
        return other

    def promote(self):
        self.value("SELECT pg_promote(true, 60)")
        eventually(lambda: not self.value("SELECT pg_is_in_recovery()"), what="the promotion")

    def own(self):
        """All of it belongs to the servers' user."""
        own(self.top)
        return self

    def adopt(self, directory):
        """A restored data directory becomes this server's."""
        os.makedirs(self.top, exist_ok=True)
        self.data = str(directory)
        with open(os.path.join(self.top, "version"), "w", encoding="utf-8") as f:
            f.write(str(self.version))
        link = os.path.join(self.top, "data")
        if link != self.data:
            os.symlink(self.data, link)
            self.data = link
        return self


def own(path):
    if os.geteuid() == 0:
        user = pwd.getpwnam(service("user"))
        for last in (False, False, False, True):
            # What goes away while it walks, of a receiver that runs, is a failure, too.
            if subprocess.run(["chown", "-RH", "%d:%d" % (user.pw_uid, user.pw_gid), path], check=last).returncode == 0:
                break


class Ledger:
    """A client that commits as fast as it is let, and writes down outside what was acknowledged."""

    TABLE = "ffdr_ledger"

    def __init__(self, server, clients=1, pause=0.0, seed=1):
        self.server, self.pause = server, pause
        self.acknowledged = []   # (id, time, LSN after), in order of acknowledgement
        self.lock = threading.Lock()
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(n, seed), daemon=True) for n in range(clients)]
        server.sql("CREATE TABLE IF NOT EXISTS %s (id bigint PRIMARY KEY, amount int NOT NULL, pad text)" % self.TABLE)

    def work(self, number, seed):
        rng = random.Random("%d/%d" % (seed, number))
        n = 0
        try:
            with psycopg.connect(self.server.conninfo) as c:
                while not self.ending.is_set():
                    n += 1
                    key = seed * 1_000_000_000 + number * 10_000_000 + n
                    amount = rng.randint(1, 1000)
                    # Two rows that sum to nothing: half a transaction would show.
                    c.execute("INSERT INTO %s VALUES (%%s, %%s, %%s), (%%s, %%s, '')" % self.TABLE,
                              (key, amount, "x" * rng.randint(0, 300), -key, -amount))
                    c.commit()
                    with self.lock:
                        self.acknowledged.append((key, time.time()))
                    if self.pause:
                        time.sleep(self.pause)
        except psycopg.Error:
            pass  # the server died: that is what we are here for

    def start(self):
        for t in self.threads:
            t.start()
        return self

    def stop(self):
        self.ending.set()
        for t in self.threads:
            t.join(SECONDS)
        return self

    def count(self):
        with self.lock:
            return len(self.acknowledged)

    def wait(self, rows, seconds=SECONDS):
        eventually(lambda: self.count() >= rows, seconds, what="%d commits" % rows)
        return self

    def lost(self, server):
        """Acknowledged commits that the server does not have, oldest first; what it has must add up."""
        assert server.value("SELECT coalesce(sum(amount), 0) FROM %s" % self.TABLE) == 0
        there = {row[0] for row in server.sql("SELECT id FROM %s WHERE id > 0" % self.TABLE)}
        return [row for row in self.acknowledged if row[0] not in there]


class Servers:
    """Makes servers and ends every one of them, however the test ends."""

    def __init__(self):
        # Not below pytest's directory: the servers' user must come there.
        self.top = tempfile.mkdtemp(prefix="ffdr-pg-")
        os.chmod(self.top, 0o755)
        self.all = []

    def path(self, name):
        return os.path.join(self.top, name)

    def new(self, version=15, *options, name=None, **settings):
        need(version)
        server = Server(self.path(name or "s%d" % len(self.all)), version)
        self.all.append(server)
        return server.init(*options, **settings)

    def clone(self, server, name=None, **kw):
        other = server.clone(self.path(name or "s%d" % len(self.all)), **kw)
        self.all.append(other)
        return other

    def adopt(self, directory, version=15, name=None):
        server = Server(self.path(name or "s%d" % len(self.all)), version).adopt(directory)
        self.all.append(server)
        # What was restored would use the socket of the server it came from.
        server.set(unix_socket_directories=server.top)
        return server.own()

    def end(self):
        for server in self.all:
            with contextlib.suppress(Exception):
                server.kill()
        shutil.rmtree(self.top, ignore_errors=True)


@pytest.fixture(name="servers")
def servers_fixture():
    made = Servers()
    yield made
    made.end()


def newest_wal(directory):
    """The highest segment name in pg_wal."""
    return max(n for n in os.listdir(os.path.join(directory, "pg_wal")) if re.fullmatch("[0-9A-F]{24}", n))
