#!/usr/bin/env python3
"""A PostgreSQL server of about 4 GiB: ffdr beside pg_basebackup, Barman, pgBackRest and pg_receivewal, in turn, in one run.

For each task the ratio to the peer first, what was aimed at, and whether it is met; then medians, processor time of the program and of
the server, the highest memory, and what the machine can do at most. Peers that are not installed are left out. Needs PostgreSQL 15 of
Debian and four times the size below --dir; nothing but the standard library.

    postgres.py [--ffdr PATH] [--limits PATH] [--dir DIR] [--scale 200] [--runs 5] [--only TASK,...] [--markdown FILE]
"""

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import pgcluster
from pgcluster import Cluster, Sample, adopt_orphans, make_dir, peak_mib, tree_seconds, write_file
from pgprograms import Barman, BaseBackup, Ffdr, PgBackRest, PgBackRestOne

MEMORY_MIB = 256
LIMIT_SETTLE = 60  # seconds in which a receiver has what pgbench wrote


class Aim:
    """What the ratio to a peer should be; of=None: what the value itself should be at most."""

    def __init__(self, text, of, least):
        self.text, self.of, self.least = text, of, least


class Task:
    """rate: more is better. `who` are the programs, ffdr first; `measure` does it once for one of them."""
    rate = False
    unit = "s"
    needs = ()

    def __init__(self, bench):
        self.bench, self.cluster = bench, bench.cluster
        self.samples = {p: [] for p in self.who()}

    def who(self):
        return self.bench.local

    def prepare(self, turn):
        """Once a run, for all."""

    def measure(self, program):
        raise NotImplementedError

    def once(self, turn):
        self.prepare(turn)
        programs = list(self.samples)
        # Another one goes first each time: whoever does pays for memory that the machine has not touched yet.
        for p in programs[turn % len(programs):] + programs[:turn % len(programs)]:
            sample = self.measure(p)
            self.samples[p].append(sample)
            print("run %d  %-10s %-26s %9.3f %-4s %s" % (turn + 1, self.name, p.name, sample.value, self.unit, sample.extra), flush=True)

    def median(self, program):
        return statistics.median(s.value for s in self.samples[program])

    def ratio(self, program):
        """How many times better ffdr, the first, is."""
        ours, theirs = self.median(next(iter(self.samples))), self.median(program)
        if self.rate:
            ours, theirs = theirs, ours
        return theirs / ours if ours else float("inf")


class Stream(Task):
    name, title = "stream", "full backup, by a stream over the socket, zstd 1, sealed"
    aims = [Aim("not slower than pg_basebackup with client zstd 1", "pg_basebackup", 1.0),
            Aim("1.5 times as fast as Barman with zstd", "Barman", 1.5)]

    def who(self):
        return self.bench.stream

    def measure(self, program):
        program.fresh()
        return program.full()


class Local(Task):
    name, title = "local", "full backup, of the directory, two readers, zstd 1, sealed"
    aims = [Aim("1.4 times as fast as pgBackRest with two processes", "pgBackRest", 1.4)]

    def measure(self, program):
        program.fresh()
        return program.full()


class Again(Task):
    """Sample.extra says what was stored for it."""
    needs = ("local",)

    def measure(self, program):
        before = program.new_bytes()
        sample = program.again()
        sample.new = program.new_bytes() - before
        sample.extra = "%.2f MB new" % (sample.new / 1e6)
        return sample


class Same(Again):
    name, title = "same", "nothing changed (ffdr reads and hashes every byte, pgBackRest goes by time stamps)"
    aims = [Aim("not slower than pgBackRest's incremental", "pgBackRest", 1.0)]


class Changed(Again):
    name, title = "changed", "1 % of the pages of the large table changed, scattered"
    needs = ("local", "same")
    aims = [Aim("1.8 times as fast as pgBackRest's incremental", "pgBackRest", 1.8)]

    def prepare(self, turn):
        self.cluster.change_one_percent(turn)

    def verdicts(self):
        most = max(s.new for s in self.samples[self.bench.local[0]]) / 1e6
        return ["**%.2f MB** of new bytes, aim: at most 3 MB at the default scale: %s" % (most, met(most <= 3.0))]


class Restore(Task):
    name, title = "restore", "restore into an empty directory"
    needs = ("local",)
    aims = [Aim("1.5 times as fast as pgBackRest with two processes", "pgBackRest", 1.5)]

    def measure(self, program):
        return program.restore()


class Delta(Task):
    name, title = "delta", "restore over it, nothing differs, all of it in the page cache"
    needs = ("local", "restore")
    aims = [Aim("1.1 times as fast as pgBackRest with two processes", "pgBackRest", 1.1)]

    def measure(self, program):
        # ffdr restores past the page cache, pgBackRest through it: both begin with what is in memory.
        program.warm_out()
        return program.delta()


class Push(Task):
    name, title = "push", "archive_command, by the server's own archiver"
    unit, rate = "/s", True
    aims = [Aim("1.5 times pgBackRest's asynchronous push", "pgBackRest", 1.5)]

    def prepare(self, turn):
        self.bench.segments = self.cluster.archived(self.bench.options.segments)

    def measure(self, program):
        return program.push(self.bench.segments)


class Get(Task):
    name, title = "get", "restore_command, one call behind the other, nothing replayed"
    unit, rate = "/s", True
    needs = ("push",)
    aims = [Aim("1.5 times pgBackRest's asynchronous get", "pgBackRest", 1.5)]

    def measure(self, program):
        return program.get(self.bench.segments)


class Receiving(Task):
    """Tasks with a receiver beside pgbench; its first connection is waited for."""

    def who(self):
        return self.bench.receivers

    def begin(self, program):
        if isinstance(program, Ffdr) and not os.path.exists(os.path.join(program.repo, "snap")):
            program.fresh()
            program.full()
        child = program.receive()
        self.until(program, "true", child)
        return child

    def until(self, program, what, child):
        """Until that holds of the receiver's line in pg_stat_replication."""
        end = time.monotonic() + LIMIT_SETTLE
        query = "SELECT count(*) FROM pg_stat_replication WHERE application_name = '%s' AND %s" % (program.sync_name, what)
        while self.cluster.sql(query) == "0":
            if time.monotonic() > end or child.poll() is not None:
                sys.exit("%s does not receive: see %s" % (program.name, open(program.log, encoding="utf-8").read()[-2000:]))
            time.sleep(0.01)

    @staticmethod
    def finish(child):
        child.send_signal(signal.SIGINT)
        _, _, usage = os.wait4(child.pid, 0)
        child.returncode = 0
        return usage


class Receive(Receiving):
    name, title = "receive", "receiving beside pgbench at full speed, per cent of one core"
    unit = "%"
    aims = [Aim("below 15 % of a core", None, 15.0)]

    def measure(self, program):
        child = self.begin(program)
        before, wal = tree_seconds(child.pid), self.cluster.lsn()
        begun = time.monotonic()
        self.cluster.bench(self.bench.options.seconds, "-c", "4", "-j", "2").wait()
        took = time.monotonic() - begun
        written = self.cluster.lsn() - wal
        self.until(program, "flush_lsn >= pg_current_wal_flush_lsn()", child)
        behind = time.monotonic() - begun - took
        cpu = tree_seconds(child.pid) - before
        sample = Sample(100 * cpu / took, cpu, peak=peak_mib(child.pid))
        sample.extra = "%.1f MB/s of WAL, behind by %.2f s at the end" % (written / took / 1e6, behind)
        if isinstance(program, Ffdr):
            sample.extra += ", on the tier %.2f s after a commit (ship-every 1 s)" % self.durable(program)
        self.finish(child)
        return sample

    def durable(self, program):
        worst = 0.0
        for _ in range(3):
            self.cluster.sql("SELECT pg_logical_emit_message(true, 'bench', 'bench')")
            begun, wanted = time.monotonic(), self.cluster.lsn()
            while program.shipped() < wanted and time.monotonic() - begun < LIMIT_SETTLE:
                time.sleep(0.02)
            worst = max(worst, time.monotonic() - begun)
        return worst


class Commit(Receiving):
    name, title = "commit", "a commit that waits for the receiver's flush"
    unit = "ms"
    aims = [Aim("not slower than with pg_receivewal --synchronous", "pg_basebackup", 1.0)]

    def prepare(self, turn):
        self.cluster.sql("CREATE TABLE IF NOT EXISTS latency (n int)")
        self.local = self.latency()

    def latency(self):
        script = write_file(os.path.join(self.bench.place, "insert.sql"), "INSERT INTO latency VALUES (1);\n", 0o644)
        argv = pgcluster.user_prefix() + [pgcluster.BIN + "/pgbench", *self.cluster.where(), "-n", "-c", "1", "-f", script, "-T",
                                          str(max(2, self.bench.options.seconds // 2)), pgcluster.DATABASE]
        got = subprocess.run(argv, capture_output=True, text=True, check=True, cwd="/", env=pgcluster.environment()).stdout
        return float(next(line for line in got.split("\n") if "latency average" in line).split()[3])

    def measure(self, program):
        child = self.begin(program)
        self.cluster.set("synchronous_standby_names", program.sync_name)
        self.until(program, "sync_state = 'sync'", child)
        sample = Sample(self.latency())
        self.cluster.set("synchronous_standby_names", "")
        sample.extra = "%.3f ms without" % self.local
        sample.peak = peak_mib(child.pid)
        sample.cpu = tree_seconds(child.pid)
        self.finish(child)
        return sample


class Effect(Task):
    name, title = "effect", "what a running pgbench loses while full backups run, per cent"
    unit = "%"
    aims = [Aim("at most what pgBackRest with one process takes", "pgBackRest, one process", 1.0)]

    def who(self):
        return self.bench.gentle

    def measure(self, program):
        seconds = self.bench.options.seconds
        program.fresh()
        load = self.cluster.bench(20 * seconds, "-c", "4", "-j", "2")
        time.sleep(1)
        alone = self.per_second(lambda: time.sleep(seconds))
        sample = Sample()
        end = time.monotonic() + seconds

        def backups():
            while True:
                done = program.full()
                sample.peak = max(sample.peak, done.peak)
                sample.cpu += done.cpu
                if time.monotonic() > end:
                    return
                program.fresh()
        beside = self.per_second(backups)
        load.terminate()
        load.wait()
        self.cluster.checkpoint()
        sample.value = max(0.01, 100 * (1 - beside / alone))
        sample.extra = "%.0f/s alone, %.0f/s beside" % (alone, beside)
        return sample

    def per_second(self, during):
        before, begun = self.cluster.transactions(), time.monotonic()
        during()
        return (self.cluster.transactions() - before) / (time.monotonic() - begun)


TASKS = [Stream, Local, Same, Changed, Restore, Delta, Push, Get, Receive, Commit, Effect]


def met(yes):
    return "met" if yes else "NOT MET"


class Bench:
    def __init__(self, place, options):
        self.place, self.options, self.segments = place, options, []
        self.cluster = Cluster(os.path.join(place, "server"), options.scale)

    def begin(self):
        def at(name):
            return os.path.join(self.place, name)
        ffdr = os.path.abspath(self.options.ffdr)
        stream, local = Ffdr(at("ffdr-stream"), self.cluster, ffdr, "stream"), Ffdr(at("ffdr"), self.cluster, ffdr)
        base = BaseBackup(at("pg_basebackup"), self.cluster)
        self.stream, self.local, self.receivers, self.gentle = [stream, base], [local], [local, base], [local]
        if shutil.which("barman"):
            self.stream.append(Barman(at("barman"), self.cluster))
        if shutil.which("pgbackrest"):
            self.local.append(PgBackRest(at("pgbackrest"), self.cluster))
            self.gentle.append(PgBackRestOne(at("pgbackrest1"), self.cluster))

    def tasks(self):
        """Those wanted, and what they need before them."""
        wanted = set(self.options.only.split(",")) if self.options.only else {t.name for t in TASKS}
        unknown = wanted - {t.name for t in TASKS}
        if unknown:
            sys.exit("--only %s: expected some of %s" % (self.options.only, ",".join(t.name for t in TASKS)))
        for t in reversed(TASKS):
            if t.name in wanted:
                wanted.update(t.needs)
        return [t(self) for t in TASKS if t.name in wanted]

    def run(self, out):
        self.cluster.make(self.options.segments)
        self.begin()
        tasks = self.tasks()
        size = self.cluster.size()
        for turn in range(self.options.runs):
            for t in tasks:
                t.once(turn)
        out("")
        out("A server of %.2f GB (pgbench -s %d, a quarter of it random values, checksums), %d runs in turn, medians; peak is the highest. "
            "%s." % (size / 1e9, self.options.scale, self.options.runs, "; ".join(sorted(self.versions(tasks)))))
        for t in tasks:
            report(t, out)
        self.commands(tasks, out)
        self.limits(out)

    @staticmethod
    def versions(tasks):
        return {p.version for t in tasks for p in t.samples}

    @staticmethod
    def commands(tasks, out):
        out("")
        out("Commands:")
        out("")
        for line in sorted({"* %s, %s: `%s`" % (p.name, task, text) for t in tasks for p in t.samples
                            for task, text in p.commands.items()}):
            out(line)

    def limits(self, out):
        if not self.options.limits:
            return
        for title, table in (("pages of pgbench", "pgbench_accounts"), ("pages of random values", "noise")):
            path = os.path.join(self.cluster.data, self.cluster.sql("SELECT pg_relation_filepath('%s')" % table))
            got = subprocess.run([self.options.limits.name, path], capture_output=True, text=True, check=False).stdout
            out("")
            out("The machine, one core, %s: %s." % (title, ", ".join(got.strip().split("\n"))))


def report(task, out):
    out("")
    out("**%s**" % task.title)
    out("")
    names = {p.name: p for p in task.samples}
    ours = next(iter(task.samples))
    for aim in task.aims:
        if aim.of is None:
            out("* **%.1f %s**, aim: %s: %s" % (task.median(ours), task.unit, aim.text, met(task.median(ours) < aim.least)))
        elif aim.of in names:
            ratio = task.ratio(names[aim.of])
            out("* **%.2f**, aim: %s: %s" % (ratio, aim.text, met(ratio >= aim.least)))
        else:
            out("* not measured: %s is not installed" % aim.of)
    for line in task.verdicts() if hasattr(task, "verdicts") else []:
        out("* " + line)
    most = max(s.peak for s in task.samples[ours])
    if most > 0:
        out("* **%.0f MiB** of memory, aim: below %d: %s" % (most, MEMORY_MIB, met(most < MEMORY_MIB)))
    out("")
    out("| program | %s | CPU s | server's CPU s | peak MiB | |" % task.unit)
    out("|---|---|---|---|---|---|")
    for p, samples in task.samples.items():
        out("| %s | %.3f | %.2f | %.2f | %.0f | %s |" % (
            "pg_receivewal" if isinstance(task, Receiving) and isinstance(p, BaseBackup) else p.name, task.median(p),
            statistics.median(s.cpu for s in samples), statistics.median(s.server for s in samples), max(s.peak for s in samples),
            samples[-1].extra))


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser()
    parser.add_argument("--ffdr", default=os.path.join(here, "..", "..", "ffdr"))
    parser.add_argument("--limits", type=argparse.FileType("rb"), help="the program that tells what the machine can do")
    parser.add_argument("--dir", help="where servers and repositories lie (default: a temporary directory)")
    parser.add_argument("--scale", type=int, default=200, help="of pgbench; 200 makes about 4 GiB")
    parser.add_argument("--segments", type=int, default=64, help="that are archived and fetched")
    parser.add_argument("--seconds", type=int, default=10, help="that pgbench runs beside something")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", help="some of " + ",".join(t.name for t in TASKS))
    parser.add_argument("--markdown", help="appends the tables to this file")
    parser.add_argument("--stay", action="store_true", help="leave the directory behind, to look for something")
    o = parser.parse_args()
    adopt_orphans()
    # Whoever ends it wants the servers ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    place = make_dir(tempfile.mkdtemp(prefix="ffdr-bench-", dir=o.dir))
    os.chmod(place, 0o755)
    lines = []

    def out(text):
        print(text, flush=True)
        lines.append(text)

    bench = Bench(place, o)
    try:
        bench.run(out)
    finally:
        bench.cluster.stop()
        if o.stay:
            print("left in %s" % place)
        else:
            shutil.rmtree(place, ignore_errors=True)
    if o.markdown:
        with open(o.markdown, "a", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
