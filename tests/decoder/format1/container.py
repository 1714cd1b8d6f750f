"""Containers: a header, sealed frames, an index, for some a trailer; and the tier that holds them."""

import collections
import hashlib
import hmac
import mmap
import os
import struct

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .text import Bad, need

HEADER = struct.Struct("<4sBBH4sIQQ16s32s")
FRAME = struct.Struct("<IIIBBH")
GRAIN = struct.Struct("<I12s")
TAG = 16
# Kinds of frames.
DATA, MAP, LIST, TEXT, WAL, NAME, INDEX = 1, 2, 3, 4, 5, 6, 255
KINDS = {"P": (DATA, MAP, LIST), "M": (NAME, TEXT), "W": (NAME, TEXT, WAL), "R": (NAME, TEXT)}
TRAILER = {"P": 0, "M": 32 + 8 + 64, "W": 32, "R": 32 + 8 + 64}
DATA_MAX, FRAME_MAX, OBJECT_MAX = 128 << 10, 4 << 20, 160 << 20
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
ZEROS = bytes(12)


class Tier:
    """The objects of a file: tier."""

    def __init__(self, root):
        self.root = os.fspath(root)
        need(os.path.isdir(self.root), self.root, "there is no such directory")

    def names(self, prefix=""):
        found = []
        for at, below, files in os.walk(os.path.join(self.root, os.path.dirname(prefix))):
            relative = os.path.relpath(at, self.root)
            if relative == ".":
                below[:] = [b for b in below if b != "tmp"]
            for name in files:
                found.append(os.path.normpath(os.path.join(relative, name)))
        return sorted(n for n in found if n.startswith(prefix))

    def open(self, name):
        try:
            return open(os.path.join(self.root, name), "rb")
        except FileNotFoundError:
            raise Bad(name, "it is not on this tier") from None

    def read(self, name):
        with self.open(name) as f:
            return f.read()


Frame = collections.namedtuple("Frame", "offset length raw kind first grains")


class Container:
    """One object, header and index verified; frames are opened when asked for."""

    def __init__(self, name, data, kind, repository, keys):
        self.name, self.data, self.type, self.keys = name, data, kind, keys
        need(len(data) >= HEADER.size, name, "%d bytes are no container", len(data))
        self.header = bytes(data[:HEADER.size])
        (magic, letter, suite, flags, epoch, frames, total, index, ident,
         salt) = HEADER.unpack(self.header)
        need(magic == b"FFD1", name, "it does not begin with 'FFD1'")
        need(letter == ord(kind), name, "type '%c', expected '%s'", letter, kind)
        need(suite == 1, name, "suite %d is not known", suite)
        need(flags == 0, name, "flags %#x are not known", flags)
        need(ident == repository, name, "it belongs to repository %s", ident.hex())
        need(total == len(data), name, "%d bytes long, its header says %d", len(data), total)
        need(total <= OBJECT_MAX, name, "%d bytes, expected 160 MiB at most", total)
        need(1 <= frames <= 65536, name, "%d frames, expected 1 to 65536", frames)
        self.epoch = epoch.hex()
        self.end = total - TRAILER[kind]
        need(HEADER.size <= index <= self.end - 1 - TAG, name, "the index is at %d of %d bytes", index,
             total)
        hkdf = HKDF(hashes.SHA256(), 32, salt, kind.encode() + repository)
        self.aead = AESGCM(hkdf.derive(keys.of(name, self.epoch)))
        self._index(index, frames - 1)

    def _open(self, offset, length, kind):
        """(codec, payload) of the frame there."""
        nonce = bytes(4) + struct.pack(">Q", offset)
        try:
            plain = self.aead.decrypt(nonce, bytes(self.data[offset:offset + length]),
                                      self.header + bytes([kind]))
        except InvalidTag:
            raise Bad(self.name, "the frame of kind %d at %d does not open: changed, moved or sealed "
                      "under another key" % (kind, offset)) from None
        return plain[0], plain[1:]

    def _index(self, at, frames):
        codec, raw = self._open(at, self.end - at, INDEX)
        need(codec == 0, self.name, "the index has codec %d, expected 0", codec)
        need(len(raw) >= 8, self.name, "the index is too short")
        count, grains = struct.unpack_from("<II", raw)
        need(count == frames, self.name, "the index has %d frames, the header %d", count, frames)
        need(len(raw) == 8 + count * FRAME.size + grains * GRAIN.size, self.name,
             "an index of %d bytes for %d frames and %d grains", len(raw), count, grains)
        self.grains = list(GRAIN.iter_unpack(raw[8 + count * FRAME.size:]))
        self.frames, expected = [], HEADER.size
        used = 0
        for i in range(count):
            offset, length, size, kind, zero, own = FRAME.unpack_from(raw, 8 + i * FRAME.size)
            where = "%s, frame %d" % (self.name, i)
            need(offset == expected, where, "it is at %d, expected %d", offset, expected)
            need(1 + TAG <= length <= min(at - offset, size + 1 + TAG), where, "%d bytes do not fit",
                 length)
            need(kind in KINDS[self.type], where, "kind %d does not belong into type '%s'", kind,
                 self.type)
            need((kind == NAME) == (i == 0 and self.type != "P"), where,
                 "kind %d: the name is the first frame, and only that", kind)
            need(zero == 0, where, "a byte of the index that must be 0 is %d", zero)
            need(1 <= own <= grains - used, where, "%d grains, %d are left", own, grains - used)
            need(sum(g[0] for g in self.grains[used:used + own]) == size, where,
                 "the lengths of its grains do not add up to %d", size)
            need(size <= (DATA_MAX if kind == DATA else FRAME_MAX), where, "%d raw bytes", size)
            self.frames.append(Frame(offset, length, size, kind, used, own))
            expected, used = offset + length, used + own
        need(expected == at, self.name, "the frames end at %d, the index begins at %d", expected, at)
        need(used == grains, self.name, "%d grains belong to no frame", grains - used)

    def raw(self, number):
        """The raw bytes of a frame."""
        where = "%s, frame %d" % (self.name, number)
        need(number < len(self.frames), where, "there is no such frame")
        frame = self.frames[number]
        codec, payload = self._open(frame.offset, frame.length, frame.kind)
        need(codec in (0, 1), where, "codec %d is not known", codec)
        if codec == 1:
            payload = inflate(where, payload, frame.raw)
        need(len(payload) == frame.raw, where, "%d raw bytes, the index says %d", len(payload),
             frame.raw)
        return payload

    def split(self, number):
        """The grains of a frame, their ids verified."""
        raw, frame, out, at = self.raw(number), self.frames[number], [], 0
        for i in range(frame.grains):
            length, ident = self.grains[frame.first + i]
            grain = raw[at:at + length]
            need(grain_id(self.keys.id, grain) == ident, "%s, frame %d, grain %d" % (
                self.name, number, i), "the content is not that of its id")
            out.append(grain)
            at += length
        return out

    def text(self):
        return b"".join(g for i, f in enumerate(self.frames) if f.kind == TEXT for g in self.split(i))


def inflate(where, payload, size):
    need(payload[:4] == ZSTD_MAGIC, where, "codec 1, and the payload is no zstd frame")
    try:
        about = zstandard.get_frame_parameters(payload)
        need(about.content_size == size, where, "zstd says %d raw bytes, the index %d",
             about.content_size, size)
        need(about.dict_id == 0, where, "the zstd frame asks for a dictionary")
        return zstandard.ZstdDecompressor().decompress(payload, max_output_size=size,
                                                       allow_extra_data=False)
    except zstandard.ZstdError as why:
        raise Bad(where, "zstd: %s" % why) from None


def grain_id(key, grain):
    return hmac.digest(key, hashlib.sha256(grain).digest(), "sha256")[:12]


def open_signed(tier, name, kind, trust, keys, inside=None):
    """A manifest or record: its trailer, name and signature verified. Returns it and its hash."""
    data = tier.read(name)
    size = TRAILER[kind]
    need(len(data) >= HEADER.size + size, name, "%d bytes are no container of type '%s'", len(data),
         kind)
    body, trailer = data[:-size], data[-size:]
    sha = hashlib.sha256(body).digest()
    need(trailer[:32] == sha, name, "the hash in its trailer is wrong")
    obj = Container(name, data, kind, trust.id, keys)
    need(obj.frames, name, "it has no frame with its name")
    own = obj.raw(0)
    if inside is None:
        need(own == name.encode(), name, "it was sealed under another name")
    else:
        need(inside.fullmatch(own.decode("utf-8", "replace")), name, "the name in it is no snapshot's")
    trust.verify(name, trailer[32:40], trailer[40:], b"ffdr-" + kind.encode() + own + sha)
    obj.own = own.decode()
    return obj, sha


class Packs:
    """Open packs, and frames that were used lately. Every pack's hash is proved when it is opened."""

    OPEN, FRAMES = 64, 256

    def __init__(self, tier, trust, keys):
        self.tier, self.trust, self.keys = tier, trust, keys
        self.packs = collections.OrderedDict()
        self.cache = collections.OrderedDict()

    def open(self, sha):
        if sha in self.packs:
            self.packs.move_to_end(sha)
            return self.packs[sha]
        name = "pack/%s/%s" % (sha[:2], sha)
        with self.tier.open(name) as f:
            need(os.fstat(f.fileno()).st_size >= HEADER.size, name, "it is no container")
            data = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
        need(hashlib.sha256(data).hexdigest() == sha, name, "its name is not the hash of its bytes")
        self.packs[sha] = Container(name, data, "P", self.trust.id, self.keys)
        if len(self.packs) > self.OPEN:
            self.packs.popitem(last=False)
        return self.packs[sha]

    def frame(self, sha, number):
        """(container, grains) of a frame."""
        at = (sha, number)
        if at not in self.cache:
            self.cache[at] = self.open(sha).split(number)
            if len(self.cache) > self.FRAMES:
                self.cache.popitem(last=False)
        self.cache.move_to_end(at)
        return self.cache[at]

    def about(self, sha, number, grain, kinds, where):
        """(length, id) of a grain as the index has it, after making sure that it is of these kinds."""
        pack = self.open(sha)
        need(number < len(pack.frames), where, "%s has no frame %d", pack.name, number)
        frame = pack.frames[number]
        need(frame.kind in kinds, where, "frame %d of %s is of kind %d, expected %d", number, pack.name,
             frame.kind, kinds[0])
        need(grain < frame.grains, where, "frame %d of %s has no grain %d", number, pack.name, grain)
        return pack.grains[frame.first + grain]

    def grain(self, sha, number, grain, kinds, where):
        self.about(sha, number, grain, kinds, where)
        return self.frame(sha, number)[grain]
