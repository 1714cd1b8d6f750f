"""Trees of files: made with every oddity a file system allows, and compared without ffdr's help.

The comparison is the judge of every scenario, so it shares nothing with the program: it looks with
lstat, listxattr and its own SHA-256, and says the first differences in words.
"""

import hashlib
import os
import random
import socket
import stat
import struct
import sys

GRAIN = 128 << 10
ROOT = os.geteuid() == 0
RESTORED = "user.ffdr.restored"


def noise(size, seed=1):
    """Bytes that do not compress, the same each time."""
    rng = random.Random(seed)
    return b"".join(rng.randbytes(min(1 << 20, size - at)) for at in range(0, size, 1 << 20))


def write(path, data, mode=0o644, mtime=None):
    os.makedirs(os.path.dirname(path) or b".", exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, mode)
    if mtime is not None:
        os.utime(path, ns=(mtime, mtime))


def make_sizes(top):
    """Files around the size of a grain, of a frame and of zero."""
    for size in (0, 1, 511, 4096, GRAIN - 1, GRAIN, GRAIN + 1, 3 * GRAIN, 2_500_003):
        write(os.path.join(top, b"sizes", b"%d" % size), noise(size, size))
    write(os.path.join(top, b"sizes", b"zeros"), bytes(700_000))
    write(os.path.join(top, b"sizes", b"text"), b"the same line again and again\n" * 40_000)
    for i in range(200):
        write(os.path.join(top, b"many", b"d%d" % (i % 7), b"f%03d" % i), noise(i * 37, i))


def make_sparse(top):
    path = os.path.join(top, b"sparse", b"holes")
    os.makedirs(os.path.dirname(path))
    with open(path, "wb") as f:
        f.seek(5 << 20)
        f.write(noise(300_000, 77))
        f.seek(40 << 20)
        f.write(b"end of a hole")
        f.truncate(64 << 20)


def make_names(top):
    """Names that a shell, a line, a path or an encoding would trip over."""
    names = [b"blank in it", b" leading", b"trailing ", b"new\nline", b"tab\there", b"back\\slash",
             b"-rf", b"--", b"*", b"'quote\"s", b"\xff\xfe\x80 not UTF-8", "Grüße-日本".encode(),
             b"esc\x1b[31mred", b"a" * 255, b"...", b".hidden", b"\\x41", b"\\-", b"%s%n", b"~", b"#"]
    for i, name in enumerate(names):
        write(os.path.join(top, b"names", name), b"%d" % i)
    # Path order is by component, not by byte: '-' and ' ' sort below '/'.
    for name in (b"ab/x", b"ab-c", b"ab c/y", b"ab.d", b"ab0", b"abc/z"):
        write(os.path.join(top, b"order", name), name)
    deep = os.path.join(top, b"deep", *[b"level%d" % i for i in range(60)])
    write(os.path.join(deep, b"bottom"), b"deep")
    os.makedirs(os.path.join(top, b"empty", b"of", b"everything"))


def make_links(top):
    base = os.path.join(top, b"links")
    write(os.path.join(base, b"z-original"), noise(200_000, 5))
    os.link(os.path.join(base, b"z-original"), os.path.join(base, b"a-second"))
    os.makedirs(os.path.join(base, b"far", b"away"))
    os.link(os.path.join(base, b"z-original"), os.path.join(base, b"far", b"away", b"third"))
    os.symlink(b"z-original", os.path.join(base, b"short"))
    os.symlink(b"/nowhere/at all\n", os.path.join(base, b"dangling"))
    os.symlink(b"far", os.path.join(base, b"to-directory"))
    os.symlink(b".", os.path.join(base, b"loop"))
    os.symlink(b"x" * 1000, os.path.join(base, b"long"))
    os.mkfifo(os.path.join(base, b"fifo"))
    os.link(os.path.join(base, b"fifo"), os.path.join(base, b"fifo-again"))
    with socket.socket(socket.AF_UNIX) as s:
        here = os.getcwd()
        os.chdir(base)  # the address of a socket is short
        try:
            s.bind(b"socket")
        finally:
            os.chdir(here)


def acl(user, perm):
    """system.posix_acl_access: owner rw, one named user, group r, mask rw, others none."""
    undefined = 0xFFFFFFFF
    entries = [(0x01, 6, undefined), (0x02, perm, user), (0x04, 4, undefined),
               (0x10, 6, undefined), (0x20, 0, undefined)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)


def set_attribute(path, name, value):
    """Where the file system of the tests has no such attributes, the tree is a poorer one."""
    try:
        os.setxattr(path, name, value, follow_symlinks=False)
    except OSError as why:
        print("no %s on this file system: %s" % (name, why), file=sys.stderr)


def make_attributes(top):
    base = os.path.join(top, b"attributes")
    for mode in (0o600, 0o640, 0o755, 0o400, 0o444, 0o777, 0o1666, 0o2755, 0o4711, 0o6777):
        write(os.path.join(base, b"mode-%04o" % mode), b"%o" % mode, mode)
    if ROOT:
        write(os.path.join(base, b"mode-0000"), b"nobody may", 0)
        write(os.path.join(base, b"owned"), b"of another", 0o640)
        os.chown(os.path.join(base, b"owned"), 12345, 54321)
        os.symlink(b"owned", os.path.join(base, b"owned-link"))
        os.lchown(os.path.join(base, b"owned-link"), 777, 778)
        os.mknod(os.path.join(base, b"null"), stat.S_IFCHR | 0o622, os.makedev(1, 3))
        os.mknod(os.path.join(base, b"disk"), stat.S_IFBLK | 0o600, os.makedev(7, 200))
        write(os.path.join(base, b"capable"), b"#!/bin/sh\n", 0o755)
        set_attribute(os.path.join(base, b"capable"), "security.capability",
                      struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0))
    write(os.path.join(base, b"attributed"), b"x")
    set_attribute(os.path.join(base, b"attributed"), "user.plain", b"value")
    set_attribute(os.path.join(base, b"attributed"), "user.bytes", bytes(range(256)))
    set_attribute(os.path.join(base, b"attributed"), "user.empty", b"")
    set_attribute(base, "user.directory", b"too")
    write(os.path.join(base, b"with-acl"), b"x", 0o640)
    set_attribute(os.path.join(base, b"with-acl"), "system.posix_acl_access", acl(4242, 6))
    for name, when in ((b"epoch", 0), (b"before-1970", -86400 * 10**9 - 1), (b"nanoseconds",
                       1234567890_123456789), (b"future", 4102444800 * 10**9)):
        write(os.path.join(base, b"time-" + name), name, mtime=when)
    # Names are no part of what a directory's own time says: set last, deepest first, by finish().
    os.makedirs(os.path.join(base, b"closed", b"inside"))
    write(os.path.join(base, b"closed", b"inside", b"file"), b"in a read-only directory")
    os.chmod(os.path.join(base, b"closed", b"inside"), 0o555)
    os.chmod(os.path.join(base, b"closed"), 0o500)


def finish(top):
    """Directories get times of the past, so that a restore that forgets them is seen."""
    for at, _, _ in os.walk(top, topdown=False):
        os.utime(at, ns=(10**18, 10**18 + len(at)))


def make_odd(top):
    """The tree that holds one of everything."""
    top = os.fsencode(top)
    os.makedirs(top, exist_ok=True)
    for make in (make_sizes, make_sparse, make_names, make_links, make_attributes):
        make(top)
    finish(top)


def make_plain(top, files=40, size=60_000, seed=1):
    """A quick tree for scenarios that are about something else."""
    top = os.fsencode(top)
    for i in range(files):
        write(os.path.join(top, b"d%d" % (i % 5), b"f%03d" % i),
              noise(size + i * 1000, seed * 1000 + i), mtime=10**18 + i)
    write(os.path.join(top, b"large"), noise(3_000_000, seed), mtime=10**18)
    finish(top)


def digest(path):
    """SHA-256 over what is not zero and where it is, and the size: a hole of gibibytes costs nothing."""
    sha = hashlib.sha256()
    zeros = bytes(64 << 10)
    with open(path, "rb") as f:
        size, at = os.fstat(f.fileno()).st_size, 0
        sha.update(b"%d" % size)
        while at < size:
            try:
                at = os.lseek(f.fileno(), at, os.SEEK_DATA)
            except OSError:  # ENXIO: only a hole is left
                break
            end = os.lseek(f.fileno(), at, os.SEEK_HOLE)
            at -= at % len(zeros)
            while at < end:
                block = os.pread(f.fileno(), len(zeros), at)
                if block != zeros[:len(block)]:
                    sha.update(b":%d:" % at + block)
                at += len(zeros)
    return sha.hexdigest()


def look(path, st, contents):
    """What must be the same of one entry."""
    kind = stat.S_IFMT(st.st_mode)
    facts = {"kind": oct(kind), "mode": oct(stat.S_IMODE(st.st_mode)), "mtime": st.st_mtime_ns}
    if ROOT:
        facts["owner"] = (st.st_uid, st.st_gid)
    facts["attributes"] = {n: os.getxattr(path, n, follow_symlinks=False)
                           for n in sorted(os.listxattr(path, follow_symlinks=False))}
    if kind == stat.S_IFLNK:
        facts["target"] = os.readlink(path)
    elif kind == stat.S_IFREG:
        facts["size"] = st.st_size
        if contents:
            facts["sha256"] = digest(path)
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        facts["device"] = st.st_rdev
    return facts


def scan(top, contents=True):
    """{relative path: facts}; names of one file share a group, named after the first of them."""
    top = os.fsencode(top)
    found, groups = {}, {}
    for at, directories, files in os.walk(top):
        for name in [b"."] + directories + files if at == top else directories + files:
            path = os.path.join(at, name)
            st = os.lstat(path)
            relative = os.path.relpath(path, top)
            found[relative] = look(path, st, contents)
            if st.st_nlink > 1 and not stat.S_ISDIR(st.st_mode):
                groups.setdefault((st.st_dev, st.st_ino), []).append(relative)
    # The mark of a restore is the one thing it adds (docs: restore --delta); it is never captured.
    found[b"."]["attributes"].pop(RESTORED, None)
    for members in groups.values():
        for member in members:
            found[member]["names"] = sorted(members)
    return found


def differences(before, after):
    """Words for what is not the same in two scans; [] when nothing."""
    words = []
    for path in sorted(set(before) | set(after)):
        one, two = before.get(path), after.get(path)
        if one is None or two is None:
            words.append("%r is %s" % (path, "new" if one is None else "missing"))
        elif one != two:
            keys = [k for k in sorted(set(one) | set(two)) if one.get(k) != two.get(k)]
            words.append("%r differs in %s" % (path, ", ".join(
                "%s: %r, was %r" % (k, two.get(k), one.get(k)) for k in keys)))
    return words


def assert_same(before, after):
    words = differences(before, after)
    assert not words, "%d differences:\n%s" % (len(words), "\n".join(words[:20]))


def disk_use(path):
    return os.stat(path).st_blocks * 512
