"""The write-ahead log: pieces, bundles of them, and the bytes of a timeline from both."""

import hashlib
import re
import struct

from .container import HEADER, TEXT as TEXT_FRAME, TRAILER, WAL, Container
from .text import SOURCE, Bad, Lines, need

PLACE = r"(%s)/(0|[1-9][0-9]{0,19})/([0-9a-f]{8})" % SOURCE
RANGE = r"([0-9a-f]{16})-([0-9a-f]{16})"
PIECE = re.compile(r"wal/%s/([0-9a-f]{8})/%s" % (PLACE, RANGE))
BUNDLE = re.compile(r"walb/%s/([0-9a-f]{8})/%s" % (PLACE, RANGE))
TEXT = re.compile(r"wal/%s/([0-9a-f]{8}\.history|from)|beat/%s" % (PLACE, SOURCE))
PIECE_MAX, SPAN = 16 << 20, 1 << 30
WAL_FRAME = 128 << 10


def parts(pattern, name):
    """((source, sysid, epoch, timeline), start, end) of a name."""
    match = pattern.fullmatch(name)
    need(match, name, "it is no name of a piece or bundle")
    start, end = int(match.group(5), 16), int(match.group(6), 16)
    need(start < end, name, "it ends before it begins")
    need(int(match.group(4), 16) > 0, name, "timelines count from 1")
    return match.groups()[:4], start, end


def frames(obj, kind):
    return b"".join(g for i, f in enumerate(obj.frames) if f.kind == kind for g in obj.split(i))


class Piece:
    """[start, end) of a timeline, whole and verified; `name` None: whatever it calls itself."""

    def __init__(self, name, data, trust, keys, where=None):
        where = where or name
        size = TRAILER["W"]
        need(len(data) >= HEADER.size + size, where, "%d bytes are no container of type 'W'", len(data))
        need(hashlib.sha256(data[:-size]).digest() == data[-size:], where, "the hash in its trailer is wrong")
        obj = Container(where, data, "W", trust.id, keys)
        need(obj.frames, where, "it has no frame with its name")
        self.name = obj.raw(0).decode("utf-8", "replace")
        need(name in (None, self.name), where, "it was sealed under another name")
        self.place, self.start, self.end = parts(PIECE, self.name)
        kinds = [f.kind for f in obj.frames[1:]]
        texts = kinds.count(TEXT_FRAME)
        need(texts > 0 and kinds == [TEXT_FRAME] * texts + [WAL] * (len(kinds) - texts), where,
             "its frames are not a head and then WAL")
        lengths = [f.raw for f in obj.frames[1 + texts:]]
        need(all(n == WAL_FRAME for n in lengths[:-1]), where, "a frame of WAL has not 128 KiB")
        self.head(where, Lines(where, frames(obj, TEXT_FRAME)))
        self.bytes = frames(obj, WAL)
        need(len(self.bytes) == self.end - self.start, where, "%d bytes of WAL, its name says %d", len(self.bytes),
             self.end - self.start)
        need(len(self.bytes) <= PIECE_MAX, where, "%d bytes of WAL, expected 16 MiB at most", len(self.bytes))
        need(self.start // self.segment == (self.end - 1) // self.segment, where, "it crosses the end of a segment")

    def head(self, where, lines):
        self.segment = lines.number("segment-size")
        need(self.segment in [1 << n for n in range(20, 31)], where, "segments of %d bytes", self.segment)
        lines.number("version")
        lines.bytes_of("host")
        if lines.more():
            for key in ("time", "flush", "last-commit", "commits"):
                lines.value(key)
        lines.done()


def bundle(name, data, trust, keys):
    """The pieces of a bundle, in order."""
    place, start, end = parts(BUNDLE, name)
    need(end - start <= SPAN, name, "it covers more than 2^30 bytes")
    found, at, offset = [], start, 0
    while offset < len(data):
        where = "%s, at byte %d" % (name, offset)
        need(len(data) - offset >= HEADER.size, where, "%d bytes are no container", len(data) - offset)
        total, = struct.unpack_from("<Q", data, offset + 16)
        need(HEADER.size <= total <= len(data) - offset, where, "the header says %d bytes, there are %d", total,
             len(data) - offset)
        piece = Piece(None, data[offset:offset + total], trust, keys, where)
        need(piece.place == place, where, "'%s' does not belong here", piece.name)
        need(piece.start == at, where, "it begins at %016x, expected %016x", piece.start, at)
        found.append(piece)
        at, offset = piece.end, offset + total
    need(at == end, name, "it ends at %016x", at)
    return found


def read(tier, trust, keys, place, start, end):
    """Those bytes of a timeline; place: SOURCE/SYSID/EPOCH/TIMELINE."""
    out, have = bytearray(end - start), bytearray(end - start)
    pieces = [Piece(n, tier.read(n), trust, keys) for n in tier.names("wal/%s/" % place)
              if PIECE.fullmatch(n) and parts(PIECE, n)[1] < end and parts(PIECE, n)[2] > start]
    for name in tier.names("walb/%s/" % place):
        _, a, b = parts(BUNDLE, name)
        if a < end and b > start:
            pieces += bundle(name, tier.read(name), trust, keys)
    for piece in pieces:
        a, b = max(piece.start, start), min(piece.end, end)
        if a >= b:
            continue
        new, at = piece.bytes[a - piece.start:b - piece.start], slice(a - start, b - start)
        for i, known in enumerate(have[at]):
            if known and out[a - start + i] != new[i]:
                raise Bad(piece.name, "another piece has other bytes at %016x" % (a + i))
        out[at], have[at] = new, b"\1" * (b - a)
    missing = have.find(0)
    need(missing < 0, place, "there is no WAL at %016x", start + missing)
    return bytes(out)
