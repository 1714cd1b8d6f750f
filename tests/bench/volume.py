#!/usr/bin/env python3
"""Directory trees: ffdr beside restic and borg, in turn, on the same tree, in one run.

Prints for each task the medians and the ratio to the better peer, and what the machine could do at most. Peers that are not
installed are left out. Nothing but the standard library.

    volume.py [--ffdr PATH] [--limits PATH] [--dir DIR] [--mib 2048] [--runs 5] [--markdown FILE]
"""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

PASSWORD = "bench"


def make_tree(root, mib, seed=1):
    """Mixed files: a third text-like, a third half compressible records, a sixth random, a sixth very compressible; sizes from
    a few bytes to 128 MiB."""
    rng = random.Random(seed)
    words = [bytes(rng.choice(b"etaoinshrdlucmfwypvbgkjqxz") for _ in range(rng.randint(2, 9))) for _ in range(4096)]
    text = b" ".join(rng.choice(words) for _ in range(700_000))[: 4 << 20]
    log = b"".join(b"2026-11-21T%02d:%02d:%02dZ info request served in %d ms\n" % (i // 3600 % 24, i // 60 % 60, i % 60,
                                                                                i * 7919 % 97) for i in range(60_000))

    def records(n):
        out = bytearray(os.urandom(n))
        for at in range(0, n, 64):
            out[at:at + 32] = text[at % (3 << 20):at % (3 << 20) + 32]
        return bytes(out)

    half = records(8 << 20)

    def data(kind, n):
        if kind == "random":
            return rng.randbytes(n)
        pool = {"text": text, "log": log, "half": half}[kind]
        out = bytearray()
        while len(out) < n:
            at = rng.randrange(len(pool) - 4096)
            out += pool[at:at + min(n - len(out), len(pool) - at, 1 << 20)]
            out += rng.randbytes(16)
        return bytes(out[:n])

    # A quarter of the bytes in small files, a third in middling ones, the rest in large ones.
    sizes = [(mib / 4, lambda: rng.randint(100, 96 << 10)), (mib / 3, lambda: rng.randint(256 << 10, 8 << 20)),
             (mib * 5 / 12, lambda: rng.randint(24 << 20, 128 << 20))]
    number = 0
    kinds = ["text", "text", "half", "half", "random", "log"]
    for share, size_of in sizes:
        number = make_files(root, int(share * (1 << 20)), size_of, kinds, data, number)
    return number


def make_files(root, left, size_of, kinds, data, number):
    while left > 0:
        size = size_of()
        size = min(size, left)
        kind = kinds[number % len(kinds)]
        folder = os.path.join(root, "d%02d" % (number % 37), "e%02d" % (number // 37 % 50))
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "%s-%06d" % (kind, number)), "wb") as f:
            done = 0
            while done < size:
                done += f.write(data(kind, min(size - done, 8 << 20)))
        left -= size
        number += 1
    return number


class Figure:
    def __init__(self):
        self.wall, self.cpu, self.peak = [], [], []

    def add(self, wall, usage):
        self.wall.append(wall)
        self.cpu.append(usage.ru_utime + usage.ru_stime)
        self.peak.append(usage.ru_maxrss / 1024)

    def median(self):
        return statistics.median(self.wall), statistics.median(self.cpu), max(self.peak)


def run(argv, env, log):
    start = time.monotonic()
    with open(log, "ab") as out:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env)
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        with open(log, "rb") as f:
            sys.exit("%s: exit %d\n%s" % (" ".join(argv), child.returncode, f.read()[-2000:].decode(errors="replace")))
    return time.monotonic() - start, usage


class Program:
    """One way to do the tasks; `at` is a directory of its own."""

    def __init__(self, at, tree):
        self.at, self.tree = at, tree
        self.log = os.path.join(at, "log")
        self.out = os.path.join(at, "out")
        self.env = dict(os.environ)
        os.makedirs(at, exist_ok=True)

    def go(self, *argv):
        return run(list(argv), self.env, self.log)

    def wipe(self, *names):
        for name in names:
            shutil.rmtree(os.path.join(self.at, name), ignore_errors=True)


class Ffdr(Program):
    name = "ffdr"
    pack = "32m"

    def __init__(self, at, tree, program):
        super().__init__(at, tree)
        self.program = program
        self.version = subprocess.run([program, "version"], capture_output=True, text=True).stdout.split("\n")[0]

    def fresh(self):
        self.wipe("repo", "state", "keys")
        os.makedirs(os.path.join(self.at, "keys"), mode=0o700)
        os.makedirs(os.path.join(self.at, "repo"), mode=0o700)
        with open(os.path.join(self.at, "ffdr.ini"), "w") as f:
            f.write("""[ffdr]
state = {0}/state
credentials = {0}/keys
[keys]
kek = file:{0}/keys/kek
signing = file:{0}/keys/signing.pem
escrow =
[repository]
pack-size = {2}
[tier local]
url = file://{0}/repo
keep = 7d
[volume read]
path = {1}
compare = content
[volume look]
path = {1}
compare = stat
""".format(self.at, self.tree, self.pack))
        self.env["FFDR_CONFIG"] = os.path.join(self.at, "ffdr.ini")
        self.go(self.program, "init")

    def first(self):
        return self.go(self.program, "backup", "vol.read")

    def again_read(self):
        return self.go(self.program, "backup", "vol.read")

    def prepare_look(self):
        self.go(self.program, "backup", "vol.look")

    def again_look(self):
        return self.go(self.program, "backup", "vol.look")

    def restore(self):
        self.wipe("out")
        return self.go(self.program, "restore", "vol.read", "--to", self.out)


class FfdrSmallPacks(Ffdr):
    name = "ffdr, packs of 16 MiB"
    pack = "16m"


class Restic(Program):
    name = "restic"

    def __init__(self, at, tree):
        super().__init__(at, tree)
        self.env.update(RESTIC_REPOSITORY=os.path.join(at, "repo"), RESTIC_PASSWORD=PASSWORD,
                        RESTIC_CACHE_DIR=os.path.join(at, "cache"))
        self.version = subprocess.run(["restic", "version"], capture_output=True, text=True).stdout.strip()

    def fresh(self):
        self.wipe("repo", "cache")
        self.go("restic", "init", "--repository-version", "2")

    def first(self):
        return self.go("restic", "backup", self.tree)

    def again_read(self):
        return self.go("restic", "backup", "--force", self.tree)

    def prepare_look(self):
        pass

    def again_look(self):
        return self.go("restic", "backup", self.tree)

    def restore(self):
        self.wipe("out")
        return self.go("restic", "restore", "latest", "--target", self.out)


class Borg(Program):
    name = "borg"

    def __init__(self, at, tree):
        super().__init__(at, tree)
        self.repo = os.path.join(at, "repo")
        self.env.update(BORG_PASSPHRASE=PASSWORD, BORG_BASE_DIR=os.path.join(at, "base"), LANG="C.UTF-8")
        self.version = subprocess.run(["borg", "--version"], capture_output=True, text=True).stdout.strip()
        self.count = 0

    def fresh(self):
        self.wipe("repo", "base")
        self.go("borg", "init", "--encryption", "repokey", self.repo)

    def create(self, *options):
        self.count += 1
        return self.go("borg", "create", "--compression", "zstd,1", *options, "%s::a%d" % (self.repo, self.count), self.tree)

    def first(self):
        return self.create()

    def again_read(self):
        return self.create("--files-cache", "disabled")

    def prepare_look(self):
        self.create()

    def again_look(self):
        return self.create()

    def restore(self):
        self.wipe("out")
        os.makedirs(self.out)
        here = os.getcwd()
        os.chdir(self.out)
        try:
            return self.go("borg", "extract", "%s::a%d" % (self.repo, self.count))
        finally:
            os.chdir(here)


TASKS = [
    ("first", "first backup"),
    ("again_read", "unchanged, every byte read"),
    ("again_look", "unchanged, by stat"),
    ("restore", "restore"),
]


def measure(programs, runs):
    figures = {(p, task): Figure() for p in programs for task, _ in TASKS}
    for i in range(runs):
        # Another one goes first each time: whoever does pays for memory that the machine has not touched yet.
        turn = programs[i % len(programs):] + programs[:i % len(programs)]
        for task, _ in TASKS:
            for p in turn:
                if task == "first":
                    p.fresh()
                if task == "again_look":
                    p.prepare_look()
                wall, usage = getattr(p, task)()
                figures[p, task].add(wall, usage)
                print("run %d  %-28s %-22s %6.2f s" % (i + 1, dict(TASKS)[task], p.name, wall), flush=True)
                if task == "restore":
                    p.wipe("out")
    return figures


def report(programs, figures, out):
    ours, peers = programs[0], [p for p in programs if not isinstance(p, Ffdr)]
    out("| task | program | wall s | CPU s | peak MiB | ratio to ffdr |")
    out("|---|---|---|---|---|---|")
    best = {}
    for task, title in TASKS:
        base = figures[ours, task].median()[0]
        for p in programs:
            wall, cpu, peak = figures[p, task].median()
            out("| %s | %s | %.2f | %.2f | %.0f | %.2f |" % (title, p.name, wall, cpu, peak, wall / base))
        if peers:
            best[title] = min(figures[p, task].median()[0] for p in peers) / base
    out("")
    for title, ratio in best.items():
        out("* %s: **%.2f times** as fast as the better peer" % (title, ratio))


def sample(tree, most=256 << 20):
    """Files from all over the tree, as many bytes as the program of limits keeps, in the tree's mixture."""
    paths = sorted(os.path.join(d, f) for d, _, names in os.walk(tree) for f in names)
    paths = [p for p in paths if os.path.isfile(p) and not os.path.islink(p)]
    step = max(1, sum(map(os.path.getsize, paths)) // most)
    random.Random(1).shuffle(paths)
    return paths[::step], sum(map(os.path.getsize, paths))


def report_limits(program, tree, figures, ours, out):
    paths, size = sample(tree)
    got = subprocess.run([program] + paths, capture_output=True, text=True, check=True).stdout.split("\n")
    lines = dict(line.split(" ", 1) for line in got if line)
    out("")
    out("The machine, one core, a part of that tree: %s." % ", ".join("%s %s" % line for line in lines.items()))
    for task, word in (("first", "backup"), ("restore", "restore")):
        bound = float(lines[word].split()[0]) * size / 1e9 / os.cpu_count()
        took = figures[ours, task].median()[0]
        out("* %s: the work alone, on all %d processors, would take %.2f s: %.0f %% of what ffdr took" % (
            dict(TASKS)[task], os.cpu_count(), bound, 100 * bound / took))


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser()
    parser.add_argument("--ffdr", default=os.path.join(here, "..", "..", "ffdr"))
    parser.add_argument("--limits", type=argparse.FileType("rb"), help="the program that tells what the machine can do")
    parser.add_argument("--dir", help="where tree and repositories lie (default: a temporary directory)")
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--markdown", help="appends the tables to this file")
    parser.add_argument("--make-tree", help=argparse.SUPPRESS)
    o = parser.parse_args()
    if o.make_tree:
        print(make_tree(o.make_tree, o.mib))
        return

    place = tempfile.mkdtemp(prefix="ffdr-bench-", dir=o.dir)
    lines = []

    def out(text):
        print(text)
        lines.append(text)

    try:
        tree = os.path.join(place, "tree")
        os.makedirs(tree)
        # In a process of its own: a child counts the peak of the process it was started from as its own.
        files = int(subprocess.run([sys.executable, __file__, "--make-tree", tree, "--mib", str(o.mib)], check=True,
                                   capture_output=True, text=True).stdout)
        programs = [Ffdr(os.path.join(place, "ffdr"), tree, os.path.abspath(o.ffdr)),
                    FfdrSmallPacks(os.path.join(place, "ffdr16"), tree, os.path.abspath(o.ffdr))]
        programs += [c(os.path.join(place, c.name), tree) for c in (Restic, Borg) if shutil.which(c.name)]
        figures = measure(programs, o.runs)
        out("")
        out("%d MiB in %d files, %d runs in turn, medians; peak is the highest. %s" % (
            o.mib, files, o.runs, "; ".join(p.version for p in programs if p.name != FfdrSmallPacks.name)))
        out("")
        report(programs, figures, out)
        if o.limits:
            report_limits(o.limits.name, tree, figures, programs[0], out)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    if o.markdown:
        with open(o.markdown, "a") as f:
            f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
