"""A snapshot into a directory: holes, links, devices, owners, modes, attributes, times."""

import os
import stat

from . import maps
from .text import Bad, need, show


class Restore:
    """`left` collects what this user or file system could not be given."""

    def __init__(self, manifest, packs, target):
        need(manifest.partial is None, manifest.name, "it is partial: never restored")
        self.manifest, self.packs, self.target = manifest, packs, os.fsencode(target)
        self.reader = maps.Reader(manifest.name, packs, manifest.table, packs.keys.id)
        self.left, self.directories = [], []

    def run(self):
        os.makedirs(self.target, exist_ok=True)
        if os.listdir(self.target):
            raise Bad(show(self.target), "it is not empty")
        os.chmod(self.target, 0o700)
        for entry in self.manifest.entries(self.packs):
            self.make(entry, self.path(entry.path))
        # Directories last, the deepest first: what is made in them changes their times, and a
        # mode may forbid to make it.
        for entry in reversed(self.directories):
            self.dress(entry, self.path(entry.path))

    def path(self, path):
        return os.path.join(self.target, path) if path != b"." else self.target

    def make(self, entry, path):
        kind = entry.type
        if kind == "d":
            if entry.parts:
                os.mkdir(path, 0o700)
            self.directories.append(entry)
            return
        if kind == "h":
            if os.path.lexists(self.path(entry.target)):
                os.link(self.path(entry.target), path, follow_symlinks=False)
            return
        if kind == "f":
            self.file(entry, path)
        elif kind == "l":
            os.symlink(entry.target, path)
        elif kind == "p":
            os.mkfifo(path, 0o600)
        elif kind == "s":
            os.mknod(path, stat.S_IFSOCK | 0o600)
        elif not self.device(entry, path):
            return
        self.dress(entry, path)

    def file(self, entry, path):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            os.ftruncate(fd, entry.size)
            for offset, data in maps.Contents(self.reader, entry).read():
                done = 0
                while done < len(data):
                    done += os.pwrite(fd, data[done:], offset + done)
        finally:
            os.close(fd)
        if entry.note & 2:
            self.left.append("'%s' could not be read when it was backed up" % entry.shown)

    def device(self, entry, path):
        kind = stat.S_IFBLK if entry.type == "b" else stat.S_IFCHR
        try:
            os.mknod(path, kind | 0o600, os.makedev(*entry.device))
            return True
        except PermissionError:
            self.left.append("'%s' is a device, which only root can make" % entry.shown)
            return False

    def dress(self, entry, path):
        """Owner first, for it takes away set-user bits and capabilities; the time at the end."""
        if entry.note & 4:
            self.left.append("'%s' may have had more attributes" % entry.shown)
        link, mode, st = entry.type == "l", entry.mode, os.lstat(path)
        if (entry.uid, entry.gid) != (st.st_uid, st.st_gid):
            try:
                os.chown(path, entry.uid, entry.gid, follow_symlinks=False)
            except PermissionError:
                self.left.append("'%s' belongs to %d:%d" % (entry.shown, entry.uid, entry.gid))
                # What was to act as that owner must not act as this one.
                mode &= 0o1777
        for name, value in entry.attributes.items():
            try:
                os.setxattr(path, name, value, follow_symlinks=False)
            except OSError as why:
                self.left.append("attribute '%s' of '%s': %s" % (show(name), entry.shown, why.strerror))
        if not link:
            os.chmod(path, mode)
        os.utime(path, ns=(entry.mtime, entry.mtime), follow_symlinks=False)
