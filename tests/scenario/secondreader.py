"""The second reader as the scenarios run it, and a forger: whoever has the keys, or a wrong program."""

import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from conftest import SOURCE_DIR

DECODER = os.path.join(SOURCE_DIR, "tests", "decoder")
sys.path.insert(0, DECODER)
# pylint: disable=wrong-import-position,import-error
from format1 import container, snapshot, trust


class Reader:
    """The decoder on one tier of a site."""

    def __init__(self, site, tier, *opener):
        self.site, self.tier = site, tier
        self.opener = opener or ("--kek", site.path("etc", "kek"))

    def run(self, *args, status=0, before=()):
        argv = [sys.executable, os.path.join(DECODER, "ffdr_decode.py"), "--tier", self.tier,
                *self.opener, *before, *args]
        done = subprocess.run(argv, capture_output=True, env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1"),
                              timeout=300, check=False)
        text = (done.stdout + done.stderr).decode("utf-8", "replace")
        assert "Traceback" not in text, text
        assert done.returncode == status, "%s: exit %d\n%s" % (args, done.returncode, text[-4000:])
        return text

    def check(self):
        text = self.run("check")
        assert text.rstrip().endswith(": clean") and "left alone" not in text, text

    def refuses(self, pattern, *args):
        text = self.run(*(args or ("check",)), status=1)
        assert re.search(pattern, text), "expected '%s' in\n%s" % (pattern, text[-4000:])

    def restore(self, name, to="decoded"):
        target = self.site.path(to)
        if os.path.lexists(target):
            shutil.rmtree(target)
        self.run("restore", name, target)
        return target

    def manifest(self, name):
        return self.run("manifest", name)


def opened(site, tier, kek):
    where = container.Tier(tier)
    believed = trust.Trust(where)
    keys = trust.Keys(where, believed, trust.Kek(kek))
    return where, believed, keys


class Forger:
    """Seals again what was changed, as docs/format.md says, without a regard for its meaning."""

    def __init__(self, whole, reader):
        self.where, self.believed, self.keys = opened(whole, reader.tier, whole.path("etc", "kek"))
        with open(whole.path("etc", "signing.pem"), "rb") as f:
            self.private = serialization.load_pem_private_key(f.read(), None)

    def seal(self, kind, frames, name=None):
        """frames: (kind, raw bytes in grains, ids or None)."""
        epoch, data_key = next(iter(self.keys.data.items()))
        salt = os.urandom(32)
        head = b"".join(struct.pack("<IIIBBH", 0, 0, 0, 0, 0, 0) for _ in frames)
        grains = [(g, i) for _, gs, ids in frames for g, i in zip(gs, ids or [None] * len(gs))]
        index = 8 + len(head) + 16 * len(grains)
        at = 80 + sum(17 + sum(map(len, gs)) for _, gs, _ in frames)
        total = at + 17 + index + container.TRAILER[kind]
        header = struct.pack("<4scBH4sIQQ16s32s", b"FFD1", kind.encode(), 1, 0, bytes.fromhex(epoch),
                             len(frames) + 1, total, at, self.believed.id, salt)
        hkdf = container.HKDF(container.hashes.SHA256(), 32, salt, kind.encode() + self.believed.id)
        aead = AESGCM(hkdf.derive(data_key))
        out, table = bytearray(header), struct.pack("<II", len(frames), len(grains))
        for number, (what, parts, _) in enumerate(frames):
            raw = b"".join(parts)
            table += struct.pack("<IIIBBH", len(out), 17 + len(raw), len(raw), what, 0, len(parts))
            out += self.frame(aead, len(out), header, what, raw)
        for grain, ident in grains:
            table += struct.pack("<I12s", len(grain), ident or container.grain_id(self.keys.id, grain))
        out += self.frame(aead, len(out), header, container.INDEX, table)
        if kind != "P":
            sha = hashlib.sha256(out).digest()
            public = self.private.public_key().public_bytes_raw()
            out += sha + hashlib.sha256(public).digest()[:8]
            out += self.private.sign(b"ffdr-" + kind.encode() + name.encode() + sha)
        assert len(out) == total
        return bytes(out)

    @staticmethod
    def frame(aead, at, header, kind, raw):
        nonce = bytes(4) + struct.pack(">Q", at)
        return aead.encrypt(nonce, b"\0" + raw, header + bytes([kind]))

    def write(self, name, data):
        path = os.path.join(self.where.root, name)
        if os.path.exists(path):
            os.unlink(path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)

    def text(self, name):
        return snapshot.Manifest(self.where, name, self.believed, self.keys).data

    def manifest(self, name, text):
        self.write(name, self.seal("M", [(container.NAME, [name.encode()], None),
                                         (container.TEXT, [text], None)], name))

    def pack(self, frames):
        data = self.seal("P", frames)
        sha = hashlib.sha256(data).hexdigest()
        self.write("pack/%s/%s" % (sha[:2], sha), data)
        return sha, len(data)


def repository(previous, signers, by, ident, replaced=()):
    """A repo/<n> on top of `previous` (None: the first); signers: (key, year from which it signs)."""
    number = 0 if previous is None else int(re.search(rb"number (\d+)", previous).group(1)) + 1
    text = "ffdr-repository 1\nrepository %s\n" % ident
    text += "number %d\ncreated 2026-11-21T00:00:00Z\n" % number
    text += "horizon 2592000\npack-size 16777216\nprevious %s\n" % (
        "-" if previous is None else hashlib.sha256(previous).hexdigest())
    for key, year in signers:
        text += "signer %s %d-01-01T00:00:00Z\n" % (key.public_key().public_bytes_raw().hex(), year)
    for who in replaced:
        text += "replaced %s 2026-01-01T00:00:00Z\n" % who
    name = "repo/%d" % number
    message = b"ffdr-C" + name.encode() + hashlib.sha256(text.encode()).digest()
    for key in by:
        who = hashlib.sha256(key.public_key().public_bytes_raw()).digest()[:8].hex()
        text += "signature %s %s\n" % (who, key.sign(message).hex())
    return name, text.encode()
