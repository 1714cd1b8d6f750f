"""Other compilers and other eyes over the same tests: AddressSanitizer with
UndefinedBehaviorSanitizer, valgrind, and (full) clang.

The source tree may be configured itself, and automake then refuses a second build directory. So
the builds here start from a copy of what `make dist` ships, which proves on the way that it ships
all. A program under one of these tools counts as one case, whatever cases it has: they were counted.
"""

import concurrent.futures
import os
import shutil
import subprocess
import time

# libcrypto's GHASH with carry-less multiplication keeps scratch on the stack that valgrind takes for ours.
VALGRIND = ["env", "OPENSSL_ia32cap=~0x200000000", "valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full",
            "--errors-for-leak-kinds=definite,indirect", "--track-fds=no"]
# Minutes each under valgrind: they make RSA keys or many megabytes. Only make check-deep does these.
HEAVY = {"tests/unit/test_" + name for name in (
    "init key history newest record contents writer parent fetch commit restore repo_audit keyring "
    "proc cut volume tar packer scrub list zip backend walk tree reader walread any_order spool sorter "
    "wal_keep wal_worlds pg_walrecord pg_walend replaced bundle").split()}
# Of the histories, which are played by the thousand elsewhere: enough to go over every line.
SEEDS = {"sanitized": "300", "valgrind": "20"}


def make(tests, *args):
    """make without the flags of the make that runs us: its jobserver is not ours."""
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    return tests.run_program([env.get("MAKE", "make")] + list(args), 1800, env=env)


def one(tests, tally, name, status, output):
    if status == 0:
        tally.ok()
    else:
        tally.fail(name, "%s\n%s" % (tests.describe(status), output[-3000:]))
    return status == 0


def collapse(tests, inner, name):
    """Many cases of a program as one."""
    tally = tests.Tally()
    if inner.failed:
        tally.fail(name, "\n".join("%s\n%s" % case for case in inner.failed))
    else:
        tally.ok()
    return tally


def programs_under(tests, total, label, programs, **how):
    """Side by side, shown in the order in which they are listed."""
    def timed(program):
        start = time.monotonic()
        args = ("--seeds", "1", SEEDS[label]) if "/sim/" in program else ()
        tally = collapse(tests, tests.one_program(program, args=args, **how), "%s %s" % (label, program))
        return tally, time.monotonic() - start

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for program, (tally, seconds) in zip(programs, pool.map(timed, programs)):
            tests.show("%s %s" % (label, program), tally, seconds)
            total.add(tally)


def copy_of_source(tests):
    """deep/src: what a release would hold."""
    source = os.path.join(tests.BUILD, "deep", "src")
    os.makedirs(os.path.dirname(source), exist_ok=True)
    status, output = make(tests, "-C", tests.BUILD, "--no-print-directory", "distdir",
                          "distdir=deep/src")
    return source, status, output


def build(tests, source, name, flags, env, targets):
    """Configure and build deep/NAME; (directory, status, output)."""
    folder = os.path.join(tests.BUILD, "deep", name)
    os.makedirs(folder, exist_ok=True)
    if not os.path.exists(os.path.join(folder, "Makefile")):
        done = subprocess.run([os.path.join(source, "configure"), "--quiet"] + flags, cwd=folder,
                              env=dict(os.environ, **env), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            return folder, done.returncode, done.stdout.decode("utf-8", "replace")
    status, output = make(tests, "-C", folder, "--no-print-directory",
                          "-j%d" % (os.cpu_count() or 1), *targets)
    return folder, status, output


def step(tests, total, name, action):
    """One build as one case; what it made, or None."""
    start = time.monotonic()
    tally = tests.Tally()
    made, status, output = action()
    good = one(tests, tally, name, status, output)
    tests.show(name, tally, time.monotonic() - start)
    total.add(tally)
    return made if good else None


def run(tests, total, full, programs):
    if full:
        tests.PROGRAM_SECONDS = tests.LONG_SECONDS
    source = step(tests, total, "deep: the release holds all sources",
                  lambda: copy_of_source(tests))
    if source:
        folder = step(tests, total, "deep: built with ASan and UBSan", lambda: build(
            tests, source, "sanitize",
            ["--enable-sanitize", "--enable-werror", "--enable-fault-points", "CFLAGS=-O1 -g"],
            {"CC": "gcc"}, ["ffdr"] + programs))
        if folder:
            programs_under(tests, total, "sanitized",
                           [p for p in programs if full or "/sim/" not in p], build=folder)
    if source and full:
        if shutil.which("clang"):
            step(tests, total, "deep: built with clang, no warning", lambda: build(
                tests, source, "clang", ["--enable-werror", "--enable-fault-points"],
                {"CC": "clang"}, ["ffdr"] + programs))
        else:
            total.skip("deep: built with clang", "clang is not installed (apt-get install clang)")
    if shutil.which("valgrind"):
        units = [p for p in programs
                 if full or (p.startswith("tests/unit/") and p not in HEAVY)]
        programs_under(tests, total, "valgrind", units, prefix=VALGRIND)
    else:
        total.skip("valgrind", "valgrind is not installed (apt-get install valgrind)")


def fuzz(tests, total, programs, seconds):
    """Each fuzz target under libFuzzer. What it learns stays in deep/fuzz/corpus, what breaks the
    target in deep/fuzz; both are for a person to carry into tests/fuzz/corpus."""
    if not shutil.which("clang"):
        total.skip("fuzzers", "clang is not installed (apt-get install clang libclang-rt-14-dev)")
        return
    source = step(tests, total, "fuzz: the release holds all sources",
                  lambda: copy_of_source(tests))
    folder = source and step(tests, total, "fuzz: built with libFuzzer", lambda: build(
        tests, source, "fuzz", ["--enable-fuzz", "CFLAGS=-O1 -g"], {"CC": "clang"}, programs))
    if not folder:
        return
    for program in programs:
        name = os.path.basename(program)[len("fuzz_"):]
        learnt = os.path.join(folder, "corpus", name)
        os.makedirs(learnt, exist_ok=True)
        step(tests, total, "fuzz: %s for %d s" % (name, seconds), lambda: (True,) +
             tests.run_program([os.path.join(folder, program), "-max_total_time=%d" % seconds,
                                "-rss_limit_mb=2048", "-print_final_stats=1", learnt,
                                os.path.join(tests.SRC, "tests", "fuzz", "corpus", name)],
                               seconds + 600, cwd=folder))
