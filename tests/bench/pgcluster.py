"""The cluster that tests/bench/postgres.py measures on, and how it measures: a PostgreSQL 15 of tests/services/pg.sh with nothing else
to do, and for every command its time, the processor time of its process tree and of the server meanwhile, and its peak memory."""

import contextlib
import ctypes
import os
import pwd
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SERVICE = os.path.join(HERE, "..", "services", "pg.sh")
BIN = "/usr/lib/postgresql/15/bin"
SEGMENT = 16 << 20
TICK = os.sysconf("SC_CLK_TCK")
PR_SET_CHILD_SUBREAPER = 36
DATABASE = "bench"
ROW = 980   # bytes of a random row: eight fill a page
CHUNK = 64  # rows that are sent at once

USER = pwd.getpwnam(subprocess.run([SERVICE, "user"], capture_output=True, text=True, check=True).stdout.strip())


def user_prefix():
    """PostgreSQL refuses root, and its peers want to be its user; all of them are."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=%d" % USER.pw_uid, "--regid=%d" % USER.pw_gid, "--clear-groups"]


def adopt_orphans():
    """What a command leaves running behind becomes a child of this process, so that its end is seen and its time counted."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def make_dir(path):
    os.makedirs(path, mode=0o750, exist_ok=True)
    if os.geteuid() == 0:
        os.chown(path, USER.pw_uid, USER.pw_gid)
    return path


def write_file(path, text, mode=0o600):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)
    if os.geteuid() == 0:
        os.chown(path, USER.pw_uid, USER.pw_gid)
    return path


class Sample:
    """One command, or several behind each other."""

    def __init__(self, value=0.0, cpu=0.0, server=0.0, peak=0.0, extra=""):
        self.value, self.cpu, self.server, self.peak, self.extra = value, cpu, server, peak, extra


def environment():
    env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin") + ":" + BIN, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    env["HOME"] = USER.pw_dir
    return env


def fail(argv, code, log):
    with open(log, "rb") as f:
        said = f.read()[-3000:].decode(errors="replace")
    sys.exit("%s: exit %d\n%s" % (" ".join(argv), code, said))


def start(argv, log, cwd="/"):
    with open(log, "ab") as out:
        return subprocess.Popen(user_prefix() + argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment(), cwd=cwd)


def run(argv, log, cwd="/"):
    """(seconds, usage) of a command that must end with 0."""
    begun = time.monotonic()
    child = start(argv, log, cwd)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        fail(argv, child.returncode, log)
    return time.monotonic() - begun, usage


# ---- processes, as the kernel counts them ----

def stat_of(pid):
    """(parent, ticks of its own, ticks of children that ended) or None."""
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as f:
            field = f.read().rpartition(")")[2].split()
    except OSError:
        return None
    return int(field[1]), int(field[11]) + int(field[12]), int(field[13]) + int(field[14])


def tree_seconds(top):
    """Processor time of a process and all below it, ended or not."""
    known = {int(p): stat_of(int(p)) for p in os.listdir("/proc") if p.isdigit()}
    total = 0
    for pid, stat in known.items():
        up = pid
        while up != top and known.get(up):
            up = known[up][0]
        if stat and up == top:
            total += stat[1] + stat[2]
    return total / TICK


def peak_mib(pid):
    with open("/proc/%d/status" % pid, encoding="utf-8") as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)) / 1024


def below(path, without=()):
    """Bytes of all files there."""
    total = 0
    for folder, folders, files in os.walk(path):
        folders[:] = [f for f in folders if f not in without]
        total += sum(os.lstat(os.path.join(folder, f)).st_size for f in files)
    return total


# ---- the server ----

class Cluster:
    def __init__(self, top, scale):
        self.top, self.scale = top, scale
        self.data = os.path.join(top, "data")
        self.wal = os.path.join(self.data, "pg_wal")
        self.status = os.path.join(self.wal, "archive_status")
        self.log = os.path.join(os.path.dirname(top), "cluster.log")
        self.port = None

    def service(self, *args):
        got = subprocess.run([SERVICE, *args], capture_output=True, text=True, check=False)
        if got.returncode != 0:
            sys.exit("pg.sh %s: %s" % (" ".join(args), got.stderr))
        return got.stdout.strip()

    def make(self, keep):
        """keep: so many segments stay for the tasks that archive."""
        self.service("init", "15", self.top)
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as f:
            f.write("shared_buffers = 512MB\nmax_wal_size = 8GB\ncheckpoint_timeout = 1h\nautovacuum = off\narchive_mode = on\n"
                    "archive_command = '/bin/true'\nwal_keep_size = %dMB\nmax_connections = 60\n" % ((keep + 8) * 16))
        self.port = self.service("start", self.top)
        self.sql("CREATE DATABASE %s" % DATABASE, database="postgres")
        self.go("pgbench", "-i", "-q", "-F", "90", "-s", str(self.scale), DATABASE)
        self.fill_random(self.scale * 5)
        self.sql("VACUUM (FREEZE)")
        self.checkpoint()

    def fill_random(self, mib):
        """What does not compress: a quarter of it all."""
        self.sql("CREATE TABLE noise (id serial, bytes bytea); ALTER TABLE noise ALTER bytes SET STORAGE PLAIN")
        copy = subprocess.Popen(user_prefix() + self.psql(DATABASE) + ["-c", "COPY noise (bytes) FROM STDIN"], stdin=subprocess.PIPE,
                                stdout=subprocess.DEVNULL, env=environment(), cwd="/")
        for _ in range((mib << 20) // (ROW * CHUNK)):
            text = os.urandom(ROW * CHUNK).hex()
            copy.stdin.write("".join("\\\\x%s\n" % text[i:i + 2 * ROW] for i in range(0, len(text), 2 * ROW)).encode())
        copy.stdin.close()
        if copy.wait() != 0:
            sys.exit("the random table could not be filled")

    def stop(self):
        if self.port:
            self.service("stop", self.top, "immediate")

    # ---- talking ----

    def psql(self, database):
        return [BIN + "/psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.top, "-p", self.port, "-U", "postgres",
                "-d", database]

    def sql(self, text, database=DATABASE):
        got = subprocess.run(user_prefix() + self.psql(database) + ["-c", text], capture_output=True, text=True, env=environment(),
                             check=False, cwd="/")
        if got.returncode != 0:
            sys.exit("%s: %s" % (text, got.stderr))
        return got.stdout.strip()

    def where(self):
        return ["-h", self.top, "-p", self.port, "-U", "postgres"]

    def conninfo(self, database="postgres"):
        return "host=%s port=%s user=postgres dbname=%s" % (self.top, self.port, database)

    def go(self, program, *args):
        return run([os.path.join(BIN, program), *self.where(), *args], self.log)

    def checkpoint(self):
        self.sql("CHECKPOINT")

    def size(self):
        return int(self.sql("SELECT sum(pg_database_size(oid)) FROM pg_database"))

    def lsn(self):
        high, low = self.sql("SELECT pg_current_wal_flush_lsn()").split("/")
        return (int(high, 16) << 32) + int(low, 16)

    def set(self, name, value):
        self.sql("ALTER SYSTEM SET %s = '%s'" % (name, value.replace("'", "''")))
        self.sql("SELECT pg_reload_conf()")

    def postmaster(self):
        with open(os.path.join(self.data, "postmaster.pid"), encoding="utf-8") as f:
            return int(f.readline())

    def seconds(self):
        return tree_seconds(self.postmaster())

    @contextlib.contextmanager
    def watched(self, sample):
        """The server's own processor time goes into the sample."""
        before = self.seconds()
        yield
        sample.server += self.seconds() - before

    def measured(self, argv, log, cwd="/"):
        sample = Sample()
        with self.watched(sample):
            sample.value, usage = run(argv, log, cwd)
        sample.cpu = usage.ru_utime + usage.ru_stime
        sample.peak = usage.ru_maxrss / 1024
        return sample

    # ---- work for it ----

    def change_one_percent(self, turn):
        """One row in every hundredth page, which the page has room for: scattered, and nothing but that."""
        rows = int(self.sql("SELECT reltuples / relpages FROM pg_class WHERE relname = 'pgbench_accounts'").split(".")[0])
        self.sql("UPDATE pgbench_accounts SET abalance = abalance + 1 FROM generate_series(%d, %d, %d) g WHERE aid = g" % (
            turn * rows + 1, self.scale * 100_000, rows * 100))
        self.checkpoint()

    def bench(self, seconds, *more, options=""):
        """pgbench, started; options: settings of its sessions."""
        return start([BIN + "/pgbench", *self.where(), "-n", "-T", str(seconds), *more, "dbname=%s options='%s'" % (DATABASE, options)],
                     self.log)

    def transactions(self):
        return int(self.sql("SELECT txid_snapshot_xmax(txid_current_snapshot())"))

    # ---- segments that are ready to be archived ----

    def archived(self, count):
        """Names of the newest segments that are done with; more are written when there are not so many."""
        while True:
            names = sorted(n[:24] for n in os.listdir(self.status) if re.fullmatch(r"[0-9A-F]{24}\.done", n))
            names = [n for n in names if os.path.exists(os.path.join(self.wal, n))]
            if len(names) >= count:
                return names[-count:]
            if len(names) % 8 == 0:
                self.checkpoint()  # whole pages go into the WAL again
            begun = self.lsn()
            load = self.bench(60, "-c", "4", "-j", "2", "-N", options="-c synchronous_commit=off")
            while self.lsn() - begun < SEGMENT and load.poll() is None:
                time.sleep(0.05)
            load.terminate()
            load.wait()
            self.sql("SELECT pg_switch_wal()")
            time.sleep(0.2)

    def archive(self, names, command):
        """Seconds until the archiver has taken all of them by that command."""
        self.set("archive_command", "")
        time.sleep(0.2)
        for name in names:
            os.rename(os.path.join(self.status, name + ".done"), os.path.join(self.status, name + ".ready"))
        begun = time.monotonic()
        self.set("archive_command", command)
        wanted = {n + ".done" for n in names}
        while not wanted <= set(os.listdir(self.status)):
            if time.monotonic() - begun > 30 + 2 * len(names):
                sys.exit("the archiver does not get on with: %s\n%s" % (command, self.server_log()))
            time.sleep(0.005)
        took = time.monotonic() - begun
        self.set("archive_command", "/bin/true")
        return took

    def server_log(self):
        with open(os.path.join(self.top, "server.log"), encoding="utf-8", errors="replace") as f:
            return f.read()[-3000:]
