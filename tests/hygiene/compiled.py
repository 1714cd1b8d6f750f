"""Checks that ask a compiler or look at what it made."""

import concurrent.futures
import os
import shlex
import subprocess
import tempfile

import source
import tree as trees

WARNINGS = ["-std=gnu17", "-D_GNU_SOURCE", "-DFFDR_FAULT_POINTS", "-DPACKAGE_VERSION=\"0\"",
            "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wstrict-prototypes",
            "-Wmissing-prototypes", "-Wvla", "-Wformat=2", "-Werror", "-fsyntax-only"]
PACKAGES = ["libarchive", "libpq", "libzstd", "libcrypto", "inih", "jansson",
            "libcurl", "libxml-2.0"]


def flags(tree):
    libs = subprocess.run(["pkg-config", "--cflags"] + PACKAGES, capture_output=True, check=False)
    folders = ["-I" + tree.path(folder) for folder in ("src", ".", "tests")]
    return WARNINGS + folders + shlex.split(libs.stdout.decode())


def compile_all(commands):
    """Run (name, argv) side by side; one finding for each that fails, with its first lines."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = pool.map(lambda c: trees.run(c[1]), commands)
        return ["%s: %s" % (name, "\n  ".join(out.splitlines()[:6]))
                for (name, _), (status, out) in zip(commands, results) if status != 0]


def headers(tree):
    """every header compiles alone"""
    compiler = shlex.split(os.environ.get("CC") or "cc")
    with tempfile.TemporaryDirectory() as tmp:
        commands = []
        for i, name in enumerate(tree.files((".h",), source.C_FOLDERS)):
            alone = os.path.join(tmp, "h%d.c" % i)
            with open(alone, "w", encoding="utf-8") as f:
                # Twice: a header without a guard shows, too.
                f.write('#include "%s"\n#include "%s"\n' % (tree.path(name), tree.path(name)))
            commands.append((name, compiler + flags(tree) + [alone]))
        return compile_all(commands)


def clang(tree):
    """clang has no warning on any source, as gcc has none"""
    compiler = trees.need("clang", "clang")
    return compile_all([(name, [compiler] + flags(tree) + [tree.path(name)])
                        for name in tree.files((".c",), source.C_FOLDERS)])


def allowed(tree, name, symbol):
    """May the object of the file export the symbol? A file without a header of its own is a part
    of the one it is named after: list_read.c may define what list.h declares."""
    stem = os.path.basename(name)[:-2]
    if name[:-1] + "h" not in tree.names and name.rsplit("_", 1)[0] + ".h" in tree.names:
        stem = stem.rsplit("_", 1)[0]
    if symbol.startswith("__"):             # what compilers and sanitizers add
        return True
    if name == "src/cmd/ffdr.c" and symbol == "main":
        return True
    if name == "src/base/mem.c" and symbol.startswith("x"):     # xmalloc is malloc that dies
        return True
    part = name.rsplit("_", 1)[0] + ".c" in tree.names  # fs_walk.c of fs.c
    if name.startswith("storage-backends/") and not part:
        return symbol == "store_" + stem
    return symbol == stem or symbol.startswith(stem + "_")


def symbols(tree):
    """an object exports only names that begin with its file's name"""
    trees.need("nm", "binutils")
    found = []
    seen = 0
    for name in tree.files((".c",), source.PRODUCT):
        made = tree.built(name[:-2] + ".o")
        if not os.path.exists(made):
            continue
        seen += 1
        status, out = trees.run(["nm", "-g", "--defined-only", "-P", made])
        if status != 0:
            found.append("%s: nm: %s" % (name, out.strip()))
            continue
        for line in out.splitlines():
            symbol = line.split(" ")[0]
            if not allowed(tree, name, symbol):
                found.append("%s exports '%s'" % (name, symbol))
    if seen == 0:
        found.append("no object in %s, expected a finished build" % tree.build)
    return found


def hardened(tree):
    """the program is position independent with read-only relocations, bound at start"""
    trees.need("readelf", "binutils")
    program = tree.built("ffdr")
    status, out = trees.run(["readelf", "-W", "-h", "-l", "-d", program])
    if status != 0:
        return ["readelf: %s" % out.strip()]
    wanted = {"DYN (": "is not position independent", "GNU_RELRO": "has no RELRO segment",
              "NOW": "is not bound at start (-z now)"}
    found = ["ffdr %s" % text for word, text in wanted.items() if word not in out]
    if "RWE" in out:
        found.append("ffdr has a segment that can be written and executed")
    return found


CHECKS = [headers, clang, symbols, hardened]
