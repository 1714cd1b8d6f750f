"""ffdr and those it is measured against, each with the same tasks under the same names; tests/bench/postgres.py calls them."""

import os
import shlex
import shutil
import subprocess
import time

from pgcluster import BIN, DATABASE, Sample, USER, below, make_dir, run, start, write_file

PASSWORD = "bench"
AHEAD_SECONDS = 30  # in which what works behind the answers must have ended


def version_of(*argv):
    got = subprocess.run(argv, capture_output=True, text=True, check=False)
    return (got.stdout or got.stderr).strip().split("\n")[0]


class Program:
    """`at` is a directory of its own; commands: the lines a report names."""

    def __init__(self, at, cluster):
        self.at, self.cluster = make_dir(at), cluster
        self.log = os.path.join(at, "log")
        self.out = os.path.join(at, "out")
        self.repo = os.path.join(at, "repo")
        self.commands = {}

    def run(self, task, *argv, cwd="/"):
        self.commands.setdefault(task, shlex.join(argv).replace(self.at, "DIR").replace(self.cluster.top, "SERVER"))
        return self.cluster.measured(list(argv), self.log, cwd)

    def quietly(self, *argv):
        run(list(argv), self.log)

    def wipe(self, *names):
        for name in names:
            shutil.rmtree(os.path.join(self.at, name), ignore_errors=True)

    def wipe_out(self):
        shutil.rmtree(self.out, ignore_errors=True)

    def warm_out(self):
        for directory, _, names in os.walk(self.out):
            for name in names:
                with open(os.path.join(directory, name), "rb", buffering=0) as f:
                    while f.read(1 << 20):
                        pass

    def push(self, names):
        """Segments a second, by the server's archiver."""
        self.prepare_push()
        self.commands.setdefault("push", self.archive_command().replace(self.at, "DIR"))
        took = self.cluster.archive(names, self.archive_command())
        return Sample(len(names) / took)

    def prepare_push(self):
        self.fresh()

    def get(self, names):
        """Segments a second, one call behind the other, as a recovery does without replaying."""
        target = os.path.join(make_dir(os.path.join(self.at, "standby")), "RECOVERYXLOG")
        call = self.restore_command("$f", target)
        self.commands.setdefault("get", call.replace(self.at, "DIR"))
        loop = "for f in %s; do %s || exit 1; cmp -s %s %s/$f || exit 2; done" % (" ".join(names), call, target, self.cluster.wal)
        sample = self.cluster.measured(["sh", "-c", loop], self.log)
        sample.value = len(names) / sample.value
        self.wipe("standby")
        return sample


class Ffdr(Program):
    name = "ffdr"

    def __init__(self, at, cluster, program, method="local"):
        super().__init__(at, cluster)
        self.program, self.method = program, method
        self.version = version_of(program, "version")
        self.config = os.path.join(at, "ffdr.ini")

    def ffdr(self, task, *argv):
        return self.run(task, self.program, *argv, "--config", self.config)

    def fresh(self):
        self.wipe("repo", "state", "keys")
        for name in ("repo", "keys", "state"):
            make_dir(os.path.join(self.at, name))
        write_file(self.config, """[ffdr]
state = {at}/state
scratch = {at}/scratch
[keys]
kek = file:{at}/keys/kek
signing = file:{at}/keys/signing.pem
escrow =
[tier local]
url = file://{at}/repo
shared = yes
keep = 7d
[postgres bench]
conninfo = {conninfo}
method = {method}
data = {data}
tiers = local
wal = local
ship-every = 1s
""".format(at=self.at, conninfo=self.cluster.conninfo(), method=self.method, data=self.cluster.data))
        self.quietly(self.program, "init", "--config", self.config)

    def full(self):
        return self.ffdr("full", "backup", "pg.bench")

    def again(self):
        return self.ffdr("again", "backup", "pg.bench")

    def new_bytes(self):
        return below(self.repo, without=("wal",))

    def restore(self):
        self.wipe_out()
        return self.ffdr("restore", "restore", "pg.bench", "--to", self.out)

    def delta(self):
        return self.ffdr("delta", "restore", "pg.bench", "--to", self.out, "--delta")

    def prepare_push(self):
        """The repository stays, for a server is known by its first backup; only the WAL goes."""
        if not os.path.exists(os.path.join(self.repo, "snap")):
            self.fresh()
            self.full()
        shutil.rmtree(os.path.join(self.repo, "wal"), ignore_errors=True)
        shutil.rmtree(os.path.join(self.at, "state", "push"), ignore_errors=True)

    def archive_command(self):
        return "%s wal push --config %s --source bench %%p" % (self.program, self.config)

    def restore_command(self, name, target):
        return "%s wal get --config %s --source bench %s %s" % (self.program, self.config, name, target)

    # ---- the receiver ----

    sync_name = "ffdr"

    def receive(self):
        self.commands.setdefault("receive", "ffdr wal stream bench --config DIR/ffdr.ini")
        return start([self.program, "wal", "stream", "bench", "--config", self.config], self.log)

    def shipped(self):
        """The highest position on the tier."""
        newest = 0
        for _, _, files in os.walk(os.path.join(self.repo, "wal")):
            for name in files:
                if len(name) == 33 and name[16] == "-":
                    newest = max(newest, int(name[17:], 16))
        return newest


class BaseBackup(Program):
    name = "pg_basebackup"
    sync_name = "pg_receivewal"

    def __init__(self, at, cluster):
        super().__init__(at, cluster)
        self.version = version_of(BIN + "/pg_basebackup", "--version")

    def fresh(self):
        self.wipe("out")

    def full(self):
        return self.run("full", BIN + "/pg_basebackup", "-d", self.cluster.conninfo(), "-D", self.out, "-Ft", "-c", "fast", "-X", "fetch",
                        "--compress=client-zstd:1", "--no-password")

    def receive(self):
        self.wipe("wal")
        argv = [BIN + "/pg_receivewal", "-d", self.cluster.conninfo(), "-D", make_dir(os.path.join(self.at, "wal")), "--synchronous"]
        self.commands.setdefault("receive", shlex.join(argv).replace(self.at, "DIR").replace(self.cluster.top, "SERVER"))
        return start(argv, self.log)


class Barman(Program):
    name = "Barman"

    def __init__(self, at, cluster):
        super().__init__(at, cluster)
        self.version = version_of("barman", "--version")
        self.config = os.path.join(at, "barman.conf")

    def fresh(self):
        self.wipe("home")
        home = make_dir(os.path.join(self.at, "home"))
        write_file(self.config, """[barman]
barman_user = {user}
barman_home = {home}
barman_lock_directory = {home}
log_file = {home}/log
log_level = WARNING
[bench]
description = bench
conninfo = {conninfo}
streaming_conninfo = {conninfo}
backup_method = postgres
backup_compression = zstd
backup_compression_level = 1
backup_compression_location = client
archiver = on
immediate_checkpoint = true
path_prefix = {bin}
""".format(user=USER.pw_name, home=home, conninfo=self.cluster.conninfo(), bin=BIN))
        incoming = make_dir(os.path.join(make_dir(os.path.join(home, "bench")), "incoming"))
        # It wants to have seen WAL come in.
        self.cluster.set("archive_command", "cp %%p %s/%%f" % incoming)
        self.cluster.sql("SELECT pg_logical_emit_message(false, 'bench', 'bench'), pg_switch_wal()")
        end = time.monotonic() + AHEAD_SECONDS
        while not os.listdir(incoming) and time.monotonic() < end:
            time.sleep(0.05)
        self.quietly("barman", "-c", self.config, "cron")
        time.sleep(2)
        self.quietly("barman", "-c", self.config, "archive-wal", "bench")
        self.cluster.checkpoint()

    def full(self):
        sample = self.run("full", "barman", "-c", self.config, "backup", "bench")
        self.cluster.set("archive_command", "/bin/true")
        return sample


class PgBackRest(Program):
    name = "pgBackRest"
    processes = 2

    def __init__(self, at, cluster):
        super().__init__(at, cluster)
        self.version = version_of("pgbackrest", "version")
        self.config = os.path.join(at, "pgbackrest.conf")
        self.spool = os.path.join(at, "spool")

    def pgbackrest(self, task, *argv):
        return self.run(task, "pgbackrest", "--config=" + self.config, "--stanza=bench", *argv)

    def fresh(self):
        self.wipe("repo", "spool")
        for name in ("repo", "spool", "lock", "logs"):
            make_dir(os.path.join(self.at, name))
        write_file(self.config, """[global]
repo1-path={at}/repo
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass={password}
repo1-retention-full=99
spool-path={at}/spool
lock-path={at}/lock
log-path={at}/logs
log-level-console=warn
compress-type=zst
compress-level=1
process-max={processes}
start-fast=y
archive-check=n
archive-async=y
[bench]
pg1-path={data}
pg1-socket-path={socket}
pg1-port={port}
pg1-user=postgres
pg1-database={database}
""".format(at=self.at, password=PASSWORD, processes=self.processes, data=self.cluster.data, socket=self.cluster.top,
           port=self.cluster.port, database=DATABASE))
        self.quietly("pgbackrest", "--config=" + self.config, "--stanza=bench", "stanza-create")

    def full(self):
        return self.pgbackrest("full", "--type=full", "backup")

    def again(self):
        return self.pgbackrest("again", "--type=incr", "backup")

    def new_bytes(self):
        return below(self.repo)

    def restore(self):
        self.wipe_out()
        make_dir(self.out)
        os.chmod(self.out, 0o700)
        return self.pgbackrest("restore", "--pg1-path=" + self.out, "restore")

    def delta(self):
        return self.pgbackrest("delta", "--pg1-path=" + self.out, "--delta", "restore")

    def push(self, names):
        sample = super().push(names)
        self.settle()
        return sample

    def get(self, names):
        self.settle()
        sample = super().get(names)
        self.settle()
        return sample

    def settle(self):
        """What it started in the background has ended: its lock is free."""
        end = time.monotonic() + AHEAD_SECONDS
        while time.monotonic() < end and any(self.busy(n) for n in os.listdir(os.path.join(self.at, "lock")) if n.endswith(".lock")):
            time.sleep(0.1)

    def busy(self, name):
        got = subprocess.run(["flock", "-n", os.path.join(self.at, "lock", name), "true"], check=False)
        return got.returncode != 0

    def archive_command(self):
        return "pgbackrest --config=%s --stanza=bench archive-push %%p" % self.config

    def restore_command(self, name, target):
        return "pgbackrest --config=%s --stanza=bench archive-get %s %s" % (self.config, name, target)


class PgBackRestOne(PgBackRest):
    name = "pgBackRest, one process"
    processes = 1
