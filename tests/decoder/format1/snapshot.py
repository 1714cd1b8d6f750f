"""The manifest and its list."""

import base64
import binascii
import collections
import re

from . import maps
from .container import LIST, ZEROS, grain_id, open_signed
from .text import (SNAPSHOT, SOURCE, Bad, Lines, ascii_of, need, number, seconds, show, unescape,
                   unhex)

MIB = 1 << 20
COUNTS = ("entries", "files", "bytes", "read", "new", "changed")
TIME = re.compile(r"-?(0|[1-9][0-9]{0,18})\.[0-9]{9}")
PLACE = re.compile(r"\.".join([r"(0|[1-9][0-9]{0,9})"] * 3))
Pack = collections.namedtuple("Pack", "number sha size epoch uploaded grains wanted")
Chunk = collections.namedtuple("Chunk", "place id length first")


def place_of(where, word):
    match = PLACE.fullmatch(word)
    need(match, where, "'%s' is no place", word)
    pack, frame, grain = (int(n) for n in match.groups())
    need(pack < 1 << 32 and frame < 1 << 16 and grain < 1 << 16, where, "'%s' is no place", word)
    return pack, frame, grain


class Manifest:
    """A manifest, parsed and verified as far as it goes by itself."""

    def __init__(self, tier, name, trust, keys):
        self.name = name
        inside = None if name.startswith("snap/") else SNAPSHOT
        self.object, self.sha = open_signed(tier, name, "M", trust, keys, inside)
        self.data = self.object.text()
        self.table, self.chunks = {}, []
        lines = Lines(name, self.data)
        need(lines.take() == b"ffdr-manifest 1", name, "it does not begin with 'ffdr-manifest 1'")
        self._head(lines)
        self._packs(lines)
        self._chunks(lines)
        self.inline = lines.raw(lines.number("list"))
        need(not (self.chunks and self.inline), name, "a list in the manifest beside chunks")
        need(len(self.inline) <= MIB, name, "a list of %d bytes in the manifest", len(self.inline))
        end = [number(name, w) for w in lines.words("end", 3)]
        need(end == [self.counts[k] for k in COUNTS[:3]], name, "the last line has other counts")
        lines.done()

    def _head(self, lines):
        name = self.name
        match = SNAPSHOT.fullmatch(self.object.own)
        need(match, name, "'%s' is no name of a snapshot", self.object.own)
        self.source = lines.value("source")
        need(re.fullmatch(SOURCE, self.source) and self.source == match.group(1), name,
             "its source is '%s'", self.source)
        self.sequence = lines.number("sequence")
        parent = lines.value("parent").split(" ")
        self.parent = None
        if parent != ["-"]:
            need(len(parent) == 2 and SNAPSHOT.fullmatch(parent[0]), name, "'%s' is no parent",
                 " ".join(parent))
            self.parent = (parent[0], unhex(name, parent[1], 32))
        self.started, self.finished, self.compared = (seconds(name, lines.value(k)) for k in (
            "started", "finished", "compared"))
        need(self.compared <= self.started <= self.finished, name, "its times are out of order")
        self.partial = lines.maybe("partial")
        need(self.partial in (None, b"yes"), name, "'partial' is not yes")
        for key in ("host", "job", "slot"):
            if (word := lines.maybe(key)) is not None:
                unescape(name, word)
        self.root = unescape(name, lines.bytes_of("root"))
        self.next_pack = lines.number("next-pack")
        self.counts = {key: lines.number(key) for key in COUNTS}
        while (detail := lines.maybe("detail")) is not None:
            key, _, value = detail.partition(b" ")
            need(key, name, "a detail without a key")
            unescape(name, value)

    def _packs(self, lines):
        name, last = self.name, -1
        for _ in range(lines.number("packs")):
            words = lines.words("P", 7)
            n, size, uploaded, grains, wanted = (number(name, words[i]) for i in (0, 2, 4, 5, 6))
            need(n > last, name, "pack %d is listed twice or out of order", n)
            need(n < self.next_pack, name, "pack %d, and next-pack is %d", n, self.next_pack)
            last = n
            sha, epoch = unhex(name, words[1], 32).hex(), unhex(name, words[3], 4).hex()
            self.table[n] = Pack(n, sha, size, epoch, uploaded, grains, wanted)
        shas = {p.sha for p in self.table.values()}
        need(len(shas) == len(self.table), name, "a pack has two numbers")

    def _chunks(self, lines):
        name = self.name
        for _ in range(lines.number("chunks")):
            words = lines.bytes_of("C").split(b" ")
            need(len(words) == 4, name, "'C' has %d values, expected 4", len(words))
            place, ident, length = (ascii_of(name, w) for w in words[:3])
            self.chunks.append(Chunk(place_of(name, place), unhex(name, ident, 12),
                                     number(name, length), unescape(name, words[3])))

    def verify_packs(self, packs):
        """Every pack of the table is there and as the table says."""
        for pack in self.table.values():
            opened = packs.open(pack.sha)
            where = "%s, pack %d" % (self.name, pack.number)
            need(len(opened.data) == pack.size, where, "%s has %d bytes, expected %d", opened.name,
                 len(opened.data), pack.size)
            need(opened.epoch == pack.epoch, where, "%s is of epoch %s, expected %s", opened.name,
                 opened.epoch, pack.epoch)
            need(len(opened.grains) == pack.grains, where, "%s has %d grains, expected %d", opened.name,
                 len(opened.grains), pack.grains)

    def entries(self, packs):
        """The entries in order; at the end the counts have been compared."""
        reader = List(self, packs)
        yield from reader
        need(reader.counts == [self.counts[k] for k in COUNTS[:3]], self.name,
             "the list has %d entries, %d files, %d bytes, and the manifest says otherwise",
             *reader.counts)


class Entry:
    """One line of the list."""

    def __init__(self, where, line):
        words = line.split(b" ")
        if len(words) < 9:
            raise Bad(where, "'%s' is no entry" % show(line))
        self.path = unescape(where, words[-1])
        self.shown = show(self.path)
        where = "%s, '%s'" % (where, self.shown)
        self.attributes = {}
        self.type = ascii_of(where, words[0])
        head = [ascii_of(where, w) for w in words[1:8]]
        need(re.fullmatch("[0-7]{4}", head[0]), where, "'%s' is no mode", head[0])
        self.mode = int(head[0], 8)
        self.uid, self.gid = (number(where, w, 1 << 32) for w in head[1:3])
        self.mtime, self.ctime = (nanoseconds(where, w) for w in head[3:5])
        device = head[5].split(":")
        need(len(device) == 2, where, "'%s' is no DEV:INO", head[5])
        self.inode = tuple(number(where, w) for w in device)
        self.note = number(where, head[6])
        need(self.note <= 15, where, "a note %d is not known", self.note)
        need(not self.note & 8 or self.type == "d", where, "only a directory can be elsewhere")
        self._path(where)
        self._fields(where, words[8:-1])

    def _path(self, where):
        self.parts = [] if self.path == b"." else self.path.split(b"/")
        for part in self.parts:
            need(part not in (b"", b".", b"..") and b"\0" not in part, where, "it is no path of a list")

    def _fields(self, where, words):
        count = {"f": 5, "d": 0, "l": 1, "h": 1, "b": 1, "c": 1, "p": 0, "s": 0}.get(self.type)
        need(count is not None, where, "type '%s' is not known", self.type)
        need(len(words) == count, where, "%d fields of type '%s', expected %d", len(words), self.type,
             count)
        if self.type in "lh":
            self.target = unescape(where, words[0])
        elif self.type in "bc":
            numbers = ascii_of(where, words[0]).split(":")
            need(len(numbers) == 2, where, "'%s' is no MAJOR:MINOR", words[0].decode())
            self.device = tuple(number(where, w, 1 << 32) for w in numbers)
        elif self.type == "f":
            self._file(where, *(ascii_of(where, w) for w in words))

    def _file(self, where, size, g, ident, place, needs):
        self.size, self.g = number(where, size, 1 << 63), number(where, g)
        need(self.g in (13, 17), where, "grains of 2^%d bytes, expected 13 or 17", self.g)
        self.id = None if ident == "-" else unhex(where, ident, 12)
        self.single, self.maps, self.needs = None, [], {}
        if place.startswith("g"):
            self.single = place_of(where, place[1:])
            need(0 < self.size <= 1 << self.g, where, "one grain for %d bytes", self.size)
        elif place.startswith("m"):
            need(self.size > 1 << self.g, where, "maps for %d bytes", self.size)
            self.maps = [self._map(where, w) for w in place[1:].split(",")]
            need(len(self.maps) == -(-self.size // maps.GIB), where, "%d maps for %d bytes",
                 len(self.maps), self.size)
            need(any(p for p, _ in self.maps), where, "maps, and all are '-'")
        else:
            need(place == "-", where, "'%s' is no place", place)
        need((self.id is None) == (place == "-"), where, "id '%s' with place '%s'", ident, place)
        need((needs == "-") == (place == "-"), where, "needs '%s' with place '%s'", needs, place)
        for word in [] if needs == "-" else needs.split(","):
            match = re.fullmatch("([0-9]+):([0-9]+)", word)
            need(match, where, "'%s' is no need", word)
            pack, count = (number(where, w) for w in match.groups())
            need(pack not in self.needs and count > 0, where, "'%s' is no need", needs)
            self.needs[pack] = count

    @staticmethod
    def _map(where, word):
        if word == "-":
            return None, ZEROS
        place, slash, digest = word.partition("/")
        need(slash, where, "'%s' is no map", word)
        return place_of(where, place), unhex(where, digest, 12)

    def attribute(self, where, line):
        words = line.split(b" ")
        need(len(words) == 3, where, "'%s' is no attribute", show(line))
        name = unescape(where, words[1])
        need(name and name not in self.attributes, where, "attribute '%s' twice", show(name))
        try:
            value = base64.b64decode(words[2], validate=True)
        except binascii.Error:
            value = None
        # Encoded again, for one value has one writing.
        need(value is not None and base64.b64encode(value) == words[2], where,
             "the value of '%s' is no base64", show(name))
        self.attributes[name] = value


def nanoseconds(where, word):
    need(TIME.fullmatch(word), where, "'%s' is no time", word)
    whole, _, rest = word.partition(".")
    return int(whole) * 10**9 + int(rest)


class List:
    """The entries of a manifest, from itself or from its chunks, in their order and place."""

    def __init__(self, manifest, packs):
        self.manifest, self.packs, self.name = manifest, packs, manifest.name
        self.counts = [0, 0, 0]
        self.types, self.last = {}, None

    def texts(self):
        m = self.manifest
        if not m.chunks:
            yield m.inline, None
        total = 0
        for i, chunk in enumerate(m.chunks):
            where = "%s, chunk %d" % (self.name, i)
            need(chunk.place[0] in m.table, where, "pack %d is not in the table", chunk.place[0])
            sha = m.table[chunk.place[0]].sha
            data = self.packs.grain(sha, chunk.place[1], chunk.place[2], (LIST,), where)
            need(len(data) == chunk.length, where, "%d bytes, expected %d", len(data), chunk.length)
            need(grain_id(self.packs.keys.id, data) == chunk.id, where, "it has not the id %s",
                 chunk.id.hex())
            total += len(data)
            yield data, chunk.first
        need(not m.chunks or total > MIB, self.name, "a list of %d bytes in chunks", total)

    def __iter__(self):
        for text, first in self.texts():
            lines = Lines(self.name, text)
            need(first is None or text, self.name, "an empty chunk")
            while lines.more():
                entry = Entry(self.name, lines.take())
                need(first in (None, entry.path), self.name, "the chunk of '%s' begins with '%s'",
                     show(first), entry.shown)
                first = None
                where = "%s, '%s'" % (self.name, entry.shown)
                while lines.peek().startswith(b"x "):
                    entry.attribute(where, lines.take())
                self._accept(where, entry)
                yield entry

    def _accept(self, where, entry):
        if self.last is None:
            need(entry.parts == [], where, "the first entry, expected '.'")
        else:
            need(self.last < entry.parts, where, "it is out of order")
            parent = b"/".join(entry.parts[:-1]) or b"."
            need(self.types.get(parent) == "d", where, "no directory '%s' is listed", show(parent))
        if entry.type == "h":
            target = self.types.get(entry.target)
            need(target, where, "'%s' is not listed before it", show(entry.target))
            need(target not in "dh", where, "'%s' is of type '%s'", show(entry.target), target)
        self.last = entry.parts
        self.types[entry.path] = entry.type
        self.counts[0] += 1
        if entry.type == "f":
            self.counts[1] += 1
            self.counts[2] += entry.size


