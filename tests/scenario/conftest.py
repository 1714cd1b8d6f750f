"""An installation of ffdr in a temporary directory, and the program as people run it.

FFDR names the program (FFDR_BIN is another word for it). Nothing of the product is imported: what a
scenario knows of the inside is in docs/format.md.
"""

import atexit
import functools
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile

import pytest

import trees

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE_DIR = os.path.dirname(os.path.dirname(HERE))
TIERS = ("local", "regional", "dr")
# Nothing here takes long; a hang must not hold the run.
SECONDS = 120
ESCROW = ("escrow.pem", "escrow-private.pem")

DONE, INTERNAL, USAGE, DEGRADED, VERIFY, REFUSED = 0, 1, 2, 3, 4, 5
PARTLY, UNREACHABLE, BUSY, LATER, DENIED, CONFIGURATION = 9, 11, 12, 75, 77, 78


@functools.cache
def program():
    path = os.environ.get("FFDR_BIN") or os.environ.get("FFDR") or os.path.join(SOURCE_DIR, "ffdr")
    path = os.path.abspath(path)
    above = os.path.dirname(path)
    while above != "/" and os.stat(above).st_mode & stat.S_IXOTH:
        above = os.path.dirname(above)
    if above == "/" or os.geteuid() != 0:
        return path
    # Some scenarios run it as somebody else, who may not come there.
    folder = tempfile.mkdtemp(prefix="ffdr-program-")
    os.chmod(folder, 0o711)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return shutil.copy(path, folder)


class Result:
    """What one run of ffdr said."""

    def __init__(self, argv, status, out, err):
        self.argv, self.status, self.raw = argv, status, out
        self.out = out.decode("utf-8", "replace")
        self.err = err.decode("utf-8", "replace")

    @property
    def text(self):
        return self.out + self.err

    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return "$ %s\n%s%s[exit %s]" % (" ".join(self.argv), self.out[-3000:], self.err[-3000:],
                                       self.status)


class Site:
    """A configuration with tiers and one volume, vol.data."""

    escrow = {}

    def __init__(self, top, tiers=TIERS):
        self.top = str(top)
        self.tiers = tiers
        self.source = self.path("source")
        self.config = self.path("etc", "ffdr.ini")
        for name in ["etc", "state", "source"] + ["tier-" + t for t in tiers]:
            os.makedirs(self.path(name))
        self.write_config()
        self.runs_as = {}  # for subprocess.Popen

    def path(self, *parts):
        return os.path.join(self.top, *parts)

    def tier(self, name, *parts):
        return self.path("tier-" + name, *parts)

    def place(self, name):
        """A tier's url, and the lines that belong to it."""
        return "file://" + self.tier(name)

    def write_config(self, more="", volume="", tier=None, keys=None):
        """tier: {name: lines} to add to a tier's section."""
        text = "[ffdr]\nsite = here\nstate = %s\nscratch = %s\n" % (
            self.path("state"), self.path("scratch"))
        text += "[keys]\n" + (keys or "kek = file:%s\nsigning = file:%s\nescrow = %s\n" % (
            self.path("etc", "kek"), self.path("etc", "signing.pem"),
            self.path("etc", "escrow.pem")))
        text += "[repository]\npack-size = 16m\n"
        for name in self.tiers:
            text += "[tier %s]\nurl = %s\n%s\n" % (name, self.place(name), (tier or {}).get(name, "keep = 7d"))
        text += "[volume data]\npath = %s\ntiers = %s\n%s\n%s\n" % (
            self.source, ", ".join(self.tiers), volume, more)
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(text)

    def environment(self, more=None):
        env = {k: v for k, v in os.environ.items() if not k.startswith("FFDR_")}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if name in os.environ:
                env[name] = os.environ[name]
        env.update({"FFDR_CONFIG": self.config, **(more or {})})
        return env

    def start(self, *args, env=None, **kw):
        """The program, running."""
        argv = [program()] + [os.fspath(a) for a in args]
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env=self.environment(env), cwd=self.top,
                                **{**self.runs_as, **kw})

    def run(self, *args, status=DONE, env=None, **kw):
        """Run to the end; the exit code must be `status` (None: any)."""
        child = self.start(*args, env=env, **kw)
        try:
            out, err = child.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
            pytest.fail("out of time: %r" % Result(child.args, "none", out, err))
        result = Result([str(a) for a in child.args], child.returncode, out, err)
        if status is not None:
            assert result.status == status, "expected exit %s: %r" % (status, result)
        # What no run may ever say, whatever its end.
        assert "Sanitizer" not in result.err and "runtime error" not in result.err, result
        return result

    def json(self, *args, **kw):
        return self.run(*args, "--json", **kw).json()

    def lend_escrow(self):
        """RSA keys take seconds to make: one escrow pair serves all sites of a run."""
        for name in ESCROW:
            if name in Site.escrow:
                with open(self.path("etc", name), "wb") as f:
                    os.fchmod(f.fileno(), 0o600)
                    f.write(Site.escrow[name])

    def init(self):
        self.lend_escrow()
        self.run("init")
        for name in ESCROW:
            with open(self.path("etc", name), "rb") as f:
                Site.escrow[name] = f.read()
        return self

    def backup(self, *more, **kw):
        """A snapshot of vol.data; its id."""
        result = self.run("backup", "vol.data", *more, **kw)
        match = re.search(r"backed up (vol\.data/\S+) to (\S+):", result.out)
        assert match, result
        return match.group(1)

    def restore(self, what="vol.data", *more, to="restored", **kw):
        """Into a new directory; its path."""
        target = self.path(to)
        shutil.rmtree(target, ignore_errors=True)
        self.run("restore", what, "--to", target, *more, **kw)
        return target

    def assert_restores(self, before, what="vol.data", *more, **kw):
        trees.assert_same(before, trees.scan(self.restore(what, *more, **kw)))

    def scan(self):
        return trees.scan(self.source)

    def objects(self, tier, prefix=""):
        """Names of all objects of a tier below a prefix, in order."""
        top = self.tier(tier)
        found = []
        for at, _, files in os.walk(top):
            for name in files:
                path = os.path.relpath(os.path.join(at, name), top)
                if path.startswith(prefix) and not path.startswith("tmp/"):
                    found.append(path)
        return sorted(found)

    def store_bytes(self, tier):
        return sum(os.path.getsize(self.tier(tier, n)) for n in self.objects(tier))


def rewrite(path, change):
    """Change an object's bytes in place, whatever its mode says."""
    with open(path, "rb") as f:
        data = bytearray(f.read())
    data = change(data)
    os.chmod(path, 0o600)
    with open(path, "wb") as f:
        f.write(data)


def flip(path, at=None):
    """One wrong bit."""
    def change(data):
        data[len(data) // 2 if at is None else at] ^= 0x10
        return data
    rewrite(path, change)


@pytest.fixture(name="bare")
def bare_fixture(tmp_path):
    """Configured, not initialised."""
    return Site(tmp_path)


@pytest.fixture(name="site")
def site_fixture(bare):
    """Initialised, with a plain tree in vol.data."""
    trees.make_plain(bare.source)
    return bare.init()


@pytest.fixture(scope="session", name="fault_points")
def fault_points_fixture(tmp_path_factory):
    """Skips unless the program was built with --enable-fault-points."""
    site = Site(tmp_path_factory.mktemp("fault-points"))
    result = site.run("init", status=None, env={"FFDR_TEST_STOP": "store.put.before:1"})
    if result.status != -signal.SIGKILL:
        pytest.skip("ffdr was built without --enable-fault-points")


def pytest_report_header():
    return "ffdr: %s" % program()


@pytest.fixture
def plain_user(site):
    """The site, and somebody who is not root runs ffdr there: root may read and write everything."""
    if os.geteuid() == 0:
        at = site.top
        while at not in ("/", "/tmp"):
            os.chmod(at, os.stat(at).st_mode | 0o011)
            at = os.path.dirname(at)
        subprocess.run(["chown", "-R", "12345:12345", site.top], check=True)
        site.runs_as = {"user": 12345, "group": 12345, "extra_groups": []}
    return site
