"""Where the grains of a file lie: maps, and patches that rest on maps."""

import collections
import struct

from .container import DATA, MAP, ZEROS, grain_id
from .text import Bad, need

GIB = 1 << 30
LINKS_MAX = 32
WHOLE = struct.Struct("<BBHIII")
PATCH = struct.Struct("<BBHIIIHHII")
CHANGED = struct.Struct("<I12s")
RUN = struct.Struct("<IHHHHI")
LINK = struct.Struct("<IHH")

# One map as it is read for a file: `grains` is a list of (id, place) with place None for zeros or
# (pack number, frame, grain); `used` are the places of the map itself and of the chain it rests on.
Map = collections.namedtuple("Map", "grains used")
Parsed = collections.namedtuple("Parsed", "g count ids places links chain whole")


class Cursor:
    def __init__(self, where, data):
        self.where, self.data, self.at = where, data, 0

    def one(self, form):
        need(len(self.data) - self.at >= form.size, self.where, "the map is cut short")
        self.at += form.size
        return form.unpack_from(self.data, self.at - form.size)

    def many(self, form, count):
        # Asked before a count that the bytes cannot hold costs memory.
        size = form.size * count
        need(len(self.data) - self.at >= size, self.where, "the map is cut short")
        part = self.data[self.at:self.at + size]
        self.at += size
        return list(form.iter_unpack(part))


def parse(where, data):
    """A map or patch by itself: which grains it gives an id, and which a place."""
    cursor = Cursor(where, data)
    need(data[:1] in (b"\x01", b"\x02"), where, "neither a map nor a patch")
    links, chain, whole = [], 0, 0
    if data[0] == 1:
        _, g, packs, count, runs, zero = cursor.one(WHOLE)
    else:
        _, g, packs, count, changed, runs, nlinks, zero, chain, whole = cursor.one(PATCH)
        need(1 <= nlinks <= LINKS_MAX, where, "%d links, expected 1 to %d", nlinks, LINKS_MAX)
        links = cursor.many(LINK, nlinks)
    need(zero == 0, where, "a number that must be 0 is %d", zero)
    need(g in (13, 17), where, "grains of 2^%d bytes, expected 13 or 17", g)
    need(1 <= count <= GIB >> g, where, "%d grains, expected 1 to %d", count, GIB >> g)
    numbers = [n for n, in cursor.many(struct.Struct("<I"), packs)]
    need(len(set(numbers)) == len(numbers), where, "it names a pack twice")
    if data[0] == 1:
        ids = {i: ident for i, (ident,) in enumerate(cursor.many(struct.Struct("12s"), count))}
    else:
        pairs = cursor.many(CHANGED, changed)
        need(all(a[0] < b[0] for a, b in zip(pairs, pairs[1:])), where, "changed grains out of order")
        need(not pairs or pairs[-1][0] < count, where, "a changed grain is not in the map")
        ids = dict(pairs)
    places = read_runs(where, cursor.many(RUN, runs), numbers, ids)
    need(cursor.at == len(data), where, "%d bytes follow the map", len(data) - cursor.at)
    for grain, ident in ids.items():
        need((ident == ZEROS) == (grain not in places), where,
             "grain %d has %s" % (grain, "no place" if grain not in places else "a place and is zero"))
    return Parsed(g, count, ids, places, links, chain, whole)


def read_runs(where, runs, numbers, ids):
    places, after, used = {}, 0, set()
    for grain, pack, frame, own, first, count in runs:
        need(grain >= after, where, "the run at grain %d overlaps or is out of order", grain)
        need(count >= 1, where, "the run at grain %d is empty", grain)
        need(pack < len(numbers), where, "a run names pack %d of %d", pack, len(numbers))
        need(count <= own, where, "a run of %d grains, the frame received %d", count, own)
        need(first + count <= 65536, where, "a run goes beyond the grains of a frame")
        for i in range(count):
            need(grain + i in ids, where, "a run covers grain %d, which is not of this map", grain + i)
            places[grain + i] = (numbers[pack], frame, first + i)
        after = grain + count
        used.add(pack)
    need(len(used) == len(numbers), where, "it names a pack that no run uses")
    return places


class Reader:
    """Maps of one manifest: pack numbers become packs by its table."""

    def __init__(self, where, packs, table, id_key):
        self.where, self.packs, self.table, self.id_key = where, packs, table, id_key

    def sha(self, number, where):
        need(number in self.table, where, "pack %d is not in the table of the manifest", number)
        return self.table[number].sha

    def grain(self, place, kind, where):
        return self.packs.grain(self.sha(place[0], where), place[1], place[2], (kind,), where)

    def about(self, place, where):
        """(length, id) of a data grain."""
        return self.packs.about(self.sha(place[0], where), place[1], place[2], (DATA,), where)

    def map(self, place, g, count, digest, where):
        """The map of one GiB, which must have so many grains and this digest."""
        at = "%s, map %d.%d.%d" % ((where,) + place)
        data = self.grain(place, MAP, at)
        top = parse(at, data)
        chain, sizes, used = [top], [len(data)], [place]
        for link in top.links:
            below = "%s, link %d.%d.%d" % ((at,) + link)
            raw = self.grain(link, MAP, below)
            chain.append(parse(below, raw))
            sizes.append(len(raw))
            used.append(link)
            need(len(chain) <= len(top.links) or not chain[-1].links, below,
                 "the last link is a patch, expected a whole map")
            need(len(chain) > len(top.links) or chain[-1].links, below,
                 "a whole map that is not the last link")
        need(len(set(used)) == len(used), at, "the chain names an object twice")
        if top.links:
            self.check_chain(at, chain, sizes, used)
        need(all(m.g == g for m in chain), at, "grains of 2^%d bytes, expected 2^%d",
             top.g, g)
        grains = self.apply(at, chain)
        need(top.count == count, at, "%d grains, expected %d", top.count, count)
        need(grain_id(self.id_key, b"".join(i for i, _ in grains)) == digest, at,
             "its ids have not the digest %s", digest.hex())
        need(digest != ZEROS and any(p for _, p in grains), at, "a map of zeros only")
        return Map(grains, used)

    @staticmethod
    def check_chain(at, chain, sizes, used):
        for i, one in enumerate(chain[:-1]):
            need(list(one.links) == used[i + 1:], at, "the links of the patch at %d.%d.%d are others",
                 *used[i])
            need(one.chain == sum(sizes[i:-1]), at, "chain bytes %d, the patches have %d", one.chain,
                 sum(sizes[i:-1]))
            need(one.whole == sizes[-1], at, "whole bytes %d, the map has %d", one.whole, sizes[-1])

    @staticmethod
    def apply(at, chain):
        grains = []
        for one in reversed(chain):
            need(all(i in one.ids for i in range(len(grains), one.count)), at,
                 "a new grain is not among the changed")
            grains = grains[:one.count] + [None] * (one.count - len(grains))
            for i, ident in one.ids.items():
                grains[i] = (ident, one.places.get(i))
        return grains


class Contents:
    """The grains of a file in order: iterate for (offset, length, id, place); place None for zeros."""

    def __init__(self, reader, entry):
        self.reader, self.entry = reader, entry
        self.where = "%s, '%s'" % (reader.where, entry.shown)
        self.used = []          # places of maps and links
        self.digests = []

    def __iter__(self):
        entry, grain = self.entry, 1 << self.entry.g
        if entry.single:
            yield 0, entry.size, entry.id, entry.single
            return
        if not entry.maps:
            return
        for n, (place, digest) in enumerate(entry.maps):
            start, length = n * GIB, min(GIB, entry.size - n * GIB)
            self.digests.append(digest)
            if place is None:
                continue
            one = self.reader.map(place, entry.g, -(-length // grain), digest, self.where)
            self.used += one.used
            for i, (ident, where) in enumerate(one.grains):
                yield start + i * grain, min(grain, length - i * grain), ident, where
        if grain_id(self.reader.id_key, b"".join(self.digests)) != entry.id:
            raise Bad(self.where, "its maps have not the id %s" % entry.id.hex())

    def checked(self):
        """The same without zeros, each place looked up in the index of its pack."""
        for offset, length, ident, place in self:
            if place is None:
                continue
            size, found = self.reader.about(place, self.where)
            need(found == ident, self.where, "the grain at %d is %s, expected %s", offset, found.hex(),
                 ident.hex())
            need(size == length, self.where, "the grain at %d is %d bytes long, expected %d", offset,
                 size, length)
            yield offset, length, ident, place

    def read(self):
        """(offset, bytes) of all that is not zero."""
        for offset, _, _, place in self.checked():
            yield offset, self.reader.grain(place, DATA, self.where)
