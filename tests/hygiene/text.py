"""Checks of the other text: scripts, spelling, names that must not be in a tree, units."""

import os
import re
import shutil
import tempfile

import tree as trees

# Written in two pieces, so that this file does not hold what it looks for.
REGISTRIES = [a + b for a, b in (
    ("pypi.", "org"), ("files.pythonhosted.", "org"), ("registry.npmjs.", "org"),
    ("repo1.maven.", "org"), ("repo.maven.", "apache.org"), ("proxy.golang.", "org"),
    ("sum.golang.", "org"), ("crates.", "io"), ("deb.debian.", "org"),
    ("security.debian.", "org"), ("ftp.debian.", "org"), ("rubygems.", "org"),
    ("registry-1.docker.", "io"), ("quay.", "io"), ("ghcr.", "io"))]
MACHINE_PATHS = [re.compile(p) for p in (
    r"(?<![\w.$}/])/work" + r"/", r"(?<![\w.$}/])/root" + r"/\w", r"(?<![\w.$}/])/home" + r"/\w+/",
    r"/Users" + r"/\w")]

# Words that are right here and strange to codespell.
SPELLING_IGNORE = "te,fo,ot,hist,nd,inout,ans,missings,nnumber"
# Mistakes that a test makes on purpose.
SPELLING_MEANT = {"tests/scenario/test_config.py": ("fl" + "ie",)}
# An exposure (systemd-analyze security) above this is a unit somebody forgot to harden; 10 is open.
EXPOSURE = 2.0


def is_shell(tree, name):
    text = tree.read(name)
    return bool(text and re.match(r"#!\s*/(usr/)?bin/(env )?(ba|da)?sh\b", text))


def scripts(tree):
    """shellcheck has nothing to say about any shell script"""
    trees.need("shellcheck", "shellcheck")
    names = [n for n in tree.names if n.endswith(".sh") or is_shell(tree, n)]
    if not names:
        return ["no shell script found, expected at least bootstrap"]
    status, out = trees.run(["shellcheck", "--format=gcc"] + names, cwd=tree.src)
    return out.splitlines() if status != 0 else []


def meant(line):
    """Is it a mistake made on purpose? The line is FILE:NUMBER: WORD ==> WORD."""
    match = re.match(r"(.+?):\d+: (\S+) ==>", line)
    return bool(match) and match.group(2) in SPELLING_MEANT.get(match.group(1), ())


def spelling(tree):
    """codespell finds no misspelt word"""
    trees.need("codespell", "codespell")
    names = [n for n in tree.names if "/corpus/" not in n and tree.read(n) is not None]
    _, out = trees.run(["codespell", "-q", "7", "-L", SPELLING_IGNORE] + names, cwd=tree.src)
    return [line for line in out.splitlines() if "==>" in line and not meant(line)]


def places(tree):
    """no file names a package registry's host or a path of somebody's machine"""
    found = []
    for name in tree.names:
        for number, line in enumerate(tree.lines(name), 1):
            for host in REGISTRIES:
                if host in line:
                    found.append("%s:%d: names the registry %s" % (name, number, host))
            for path in MACHINE_PATHS:
                match = path.search(line)
                if match:
                    found.append("%s:%d: names the path %s" % (name, number, match.group(0)))
    return found


def links(tree):
    """links between documents lead somewhere"""
    found = []
    for name in tree.files((".md",)):
        for target in re.findall(r"\]\(([^)\s]+)\)", tree.read(name) or ""):
            if re.match(r"[a-z]+:", target) or target.startswith("#"):
                continue
            path = os.path.normpath(os.path.join(os.path.dirname(name), target.split("#")[0]))
            if not os.path.exists(tree.path(path)):
                found.append("%s: link to '%s', which is not there" % (name, target))
    return found


def files(tree):
    """the files that tools look for are there and executable where they must be"""
    found = ["%s: missing" % n for n in (
        ".clang-format", ".editorconfig", ".gitignore", "README.md", "docs/style.md",
        "storage-backends/README.md", "runbooks/README.md", "schedules/README.md")
        if not os.path.exists(tree.path(n)) and not (n == ".gitignore" and not in_git(tree))]
    for name in tree.names:
        text = tree.read(name)
        if text and text.startswith("#!") and not os.access(tree.path(name), os.X_OK):
            found.append("%s: has a #! line and is not executable" % name)
    return found


def in_git(tree):
    return os.path.exists(tree.path(".git"))


def units(tree):
    """systemd accepts the units, and they are hardened"""
    tool = trees.need("systemd-analyze", "systemd")
    found = []
    with tempfile.TemporaryDirectory() as tmp:
        names = []
        for name in tree.files((".service.in", ".timer"), ("systemd",)):
            text = tree.read(name).replace("@sysconfdir@", "/etc")
            # The command must exist for systemd-analyze; the program has that name at install.
            text = text.replace("@bindir@/ffdr", shutil.which("true"))
            plain = os.path.basename(name).replace(".service.in", ".service")
            with open(os.path.join(tmp, plain), "w", encoding="utf-8") as f:
                f.write(text)
            names.append(os.path.join(tmp, plain.replace("@.", "@vol.uploads.")))
            if "@." in plain:
                os.symlink(plain, names[-1])
        if not names:
            return ["no unit found in systemd/"]
        status, out = trees.run([tool, "verify", "--man=no"] + names)
        noise = re.compile(r"^(/usr)?/lib/systemd/|SO_PASSSEC|Failed to (connect|initialize)")
        lines = [line for line in out.splitlines() if not noise.search(line)]
        if status != 0 or lines:
            found += lines or ["systemd-analyze verify ended with %d" % status]
        for name in names:
            if name.endswith(".service"):
                found += exposed(tool, name)
    return found


def exposed(tool, name):
    """The finding for one service whose exposure is above the limit."""
    _, out = trees.run([tool, "security", "--offline=yes", "--no-pager", name])
    match = re.search(r"exposure level for \S+ ?: ([\d.]+)", out)
    if not match:
        return ["%s: no exposure level: %s" % (os.path.basename(name), out.strip()[-200:])]
    if float(match.group(1)) > EXPOSURE:
        return ["%s: exposure %s, expected at most %s" % (
            os.path.basename(name), match.group(1), EXPOSURE)]
    return []


CHECKS = [scripts, spelling, places, links, files, units]
