#!/usr/bin/env python3
"""Does memory stay where it is when things grow? A tree of a million small files, and a repository of a hundred thousand objects.

Prints peak memory and time of each command and fails when a bound is passed: 256 MiB by default, 128 MiB with packs of
16 MiB.

    scale.py [--ffdr PATH] [--dir DIR] [--files 1000000] [--objects 100000] [--markdown FILE]
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time

BOUND = {"32m": 256, "16m": 128}


def make_tree(root, files):
    for number in range(files):
        if number % 1000 == 0:
            folder = os.path.join(root, "%03d" % (number // 100_000), "%03d" % (number // 1000))
            os.makedirs(folder)
        fd = os.open(os.path.join(folder, "file-%07d" % number), os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(fd, b"%d: a small file\n" % number * (1 + number % 30))
        os.close(fd)


def make_objects(root, objects):
    """Objects under pack/ as another source could have left them: names of the right form, a few bytes each."""
    for number in range(objects):
        body = b"object %d" % number
        name = hashlib.sha256(body).hexdigest()
        folder = os.path.join(root, "pack", name[:2])
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, name), "wb") as f:
            f.write(body)


class Bench:
    def __init__(self, ffdr, place, pack):
        self.ffdr, self.place, self.bound, self.rows, self.bad = ffdr, place, BOUND[pack], [], 0
        self.pack = pack
        self.repo = os.path.join(place, "repo-" + pack)
        self.config = os.path.join(place, pack + ".ini")
        keys = os.path.join(place, "keys-" + pack)
        os.mkdir(keys, 0o700)
        os.mkdir(self.repo, 0o700)
        with open(self.config, "w") as f:
            f.write("[ffdr]\nstate = {0}/state-{1}\ncredentials = {2}\n[keys]\nkek = file:{2}/kek\nsigning = file:{2}/signing.pem\n"
                    "escrow =\n[repository]\npack-size = {1}\n[tier local]\nurl = file://{3}\nkeep = 7d\n"
                    "[volume many]\npath = {0}/tree\n[volume look]\npath = {0}/tree\ncompare = stat\n".format(
                        place, pack, keys, self.repo))

    def run(self, title, *argv):
        start = time.monotonic()
        child = subprocess.Popen([self.ffdr, *argv, "--config", self.config], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = child.stderr.read().decode(errors="replace")
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            sys.exit("%s: exit %d\n%s" % (title, child.returncode, said[-2000:]))
        peak = usage.ru_maxrss / 1024
        self.bad += peak >= self.bound
        self.rows.append("| %s | %s | %.1f | %.1f | %.0f | %d |" % (
            self.pack, title, time.monotonic() - start, usage.ru_utime + usage.ru_stime, peak, self.bound))
        print(self.rows[-1], flush=True)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser()
    parser.add_argument("--ffdr", default=os.path.join(here, "..", "..", "ffdr"))
    parser.add_argument("--dir")
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--markdown")
    o = parser.parse_args()
    place = tempfile.mkdtemp(prefix="ffdr-scale-", dir=o.dir)
    head = ["", "%d small files in a repository that holds %d objects besides" % (o.files, o.objects), "",
            "| packs | task | wall s | CPU s | peak MiB | bound |", "|---|---|---|---|---|---|"]
    rows, bad = [], 0
    try:
        os.mkdir(os.path.join(place, "tree"))
        make_tree(os.path.join(place, "tree"), o.files)
        print("\n".join(head), flush=True)
        for pack in BOUND:
            b = Bench(os.path.abspath(o.ffdr), place, pack)
            b.run("init", "init")
            make_objects(b.repo, o.objects)
            b.run("first backup", "backup", "vol.many")
            b.run("unchanged, every byte read", "backup", "vol.many")
            b.run("by stat, first", "backup", "vol.look")
            b.run("unchanged, by stat", "backup", "vol.look")
            b.run("list", "list", "--refresh")
            b.run("verify, level 2", "verify", "vol.many", "--level", "2")
            b.run("gc, dry run", "gc", "--dry-run")
            out = os.path.join(place, "out")
            b.run("restore", "restore", "vol.many", "--to", out)
            b.run("restore over it", "restore", "vol.many", "--to", out, "--delta")
            shutil.rmtree(out)
            shutil.rmtree(b.repo)
            rows += b.rows
            bad += b.bad
    finally:
        shutil.rmtree(place, ignore_errors=True)
    if o.markdown:
        with open(o.markdown, "a") as f:
            f.write("\n".join(head + rows) + "\n")
    print("%d passed, %d failed" % (len(rows) - bad, bad))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
