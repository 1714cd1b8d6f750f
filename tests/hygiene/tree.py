"""The tree that a check looks at: which files there are, what they hold, how to run a tool."""

import os
import shutil
import subprocess

# Folders a build makes. They count only where git is not there to say what belongs to us.
BUILD_FOLDERS = {".git", ".deps", "autom4te.cache", "build-aux", "deep", "__pycache__"}
BUILD_FILES = {"configure", "aclocal.m4", "Makefile.in", "config.status", "config.log", "Makefile"}


class Skip(Exception):
    """A check that cannot be made here; the text is the reason."""


class Tree:
    """A source tree and the build directory that belongs to it."""

    def __init__(self, src, build):
        self.src = os.path.abspath(src)
        self.build = os.path.abspath(build)
        self.names = self._list()

    def _list(self):
        if os.path.exists(os.path.join(self.src, ".git")) and shutil.which("git"):
            git = subprocess.run(
                ["git", "-c", "safe.directory=*", "-C", self.src, "ls-files", "-z", "--cached",
                 "--others", "--exclude-standard"], capture_output=True, check=False)
            if git.returncode == 0:
                names = git.stdout.decode().split("\0")
                return sorted(n for n in names if n and os.path.isfile(self.path(n)))
        found = []
        for folder, below, files in os.walk(self.src):
            below[:] = [b for b in below if b not in BUILD_FOLDERS
                        and not os.path.exists(os.path.join(folder, b, "config.status"))]
            for name in set(files) - BUILD_FILES:
                found.append(os.path.relpath(os.path.join(folder, name), self.src))
        return sorted(found)

    def path(self, name):
        return os.path.join(self.src, name)

    def built(self, name):
        return os.path.join(self.build, name)

    def files(self, suffixes, under=()):
        """Names with one of the suffixes, below one of the folders (all when none is named)."""
        return [n for n in self.names if n.endswith(tuple(suffixes))
                and (not under or n.startswith(tuple(u + "/" for u in under)))]

    def read(self, name):
        """The text of a file of the tree; None when it is not there or not text."""
        try:
            with open(self.path(name), "rb") as f:
                data = f.read()
            return None if b"\0" in data else data.decode("utf-8")
        except (FileNotFoundError, UnicodeDecodeError):
            return None

    def lines(self, name):
        return (self.read(name) or "").splitlines()


def need(tool, package):
    """The path of a tool; Skip names the package that has it."""
    path = shutil.which(tool)
    if path is None:
        raise Skip("%s is not installed (apt-get install %s)" % (tool, package))
    return path


def run(argv, **kwargs):
    """(status, stdout and stderr together)"""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, **kwargs)
    return done.returncode, done.stdout.decode("utf-8", "replace")
