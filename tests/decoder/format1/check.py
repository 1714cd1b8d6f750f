"""Every object of a tier: opened, hashed, its signatures verified, its numbers counted."""

import collections
import re

from . import maps, wal
from .container import DATA, open_signed
from .snapshot import Manifest
from .text import SNAPSHOT, SOURCE, STAMP, Bad, Lines, need, show, unhex

PACK = re.compile(r"pack/([0-9a-f]{2})/(\1[0-9a-f]{62})")
PEND = re.compile(r"pend/(%s/%s)\.[0-9a-f]{8}" % (SOURCE, STAMP))
RECORD = re.compile(r"rec/([a-z]{2,16})/%s/%s" % (SOURCE, STAMP))
GC = re.compile(r"gc/[0-9]{8}T[0-9]{6}Z")
RECORD_KEYS = {"verified": ("snapshot", "level", "tier"), "broken": ("snapshot", "level", "tier"), "hold": ("snapshot", "state", "by")}


class Check:
    """`problems` in the order found, `counts` of what was opened, `alone` names of unknown kinds."""

    def __init__(self, tier, trust, keys, packs):
        self.tier, self.trust, self.keys, self.packs = tier, trust, keys, packs
        self.problems = trust.bad + keys.bad
        self.counts = collections.Counter()
        self.alone, self.manifests = [], {}

    def run(self):
        steps = ((PACK, self.pack), (SNAPSHOT, self.snapshot), (PEND, self.pending),
                 (RECORD, self.record), (GC, self.tombstones), (wal.PIECE, self.piece), (wal.BUNDLE, self.bundle),
                 (wal.TEXT, self.wal_text))
        known = re.compile(r"repo/[0-9]+|key/.*")
        names = self.tier.names()
        for pattern, step in steps:
            for name in names:
                if match := pattern.fullmatch(name):
                    self.attempt(step, name, match)
        for manifest in self.manifests.values():
            self.attempt(self.lineage, manifest, None)
        self.alone = [n for n in names if not known.fullmatch(n)
                      and not any(p.fullmatch(n) for p, _ in steps)]
        # A wrong pack fails once by itself and once for all that names it.
        return not self.problems

    def attempt(self, step, what, match):
        try:
            step(what, match)
        except Bad as why:
            self.problems.append(why)

    def pack(self, name, match):
        pack = self.packs.open(match.group(2))
        self.counts["packs"] += 1
        for i, frame in enumerate(pack.frames):
            for n, grain in enumerate(pack.split(i)):
                need(grain, "%s, frame %d" % (name, i), "grain %d is empty", n)
                need(frame.kind != DATA or grain.count(0) != len(grain), "%s, frame %d" % (name, i),
                     "grain %d is all zeros, which is not stored", n)
                self.counts["grains"] += 1
            self.counts["frames"] += 1

    def pending(self, name, match):
        """Its packs may be on their way as well: only the manifest itself is proved."""
        manifest = Manifest(self.tier, name, self.trust, self.keys)
        self.counts["manifests"] += 1
        need(manifest.object.own == "snap/" + match.group(1), name, "it holds %s", manifest.object.own)

    def snapshot(self, name, _):
        manifest = self.manifests[name] = Manifest(self.tier, name, self.trust, self.keys)
        self.counts["manifests"] += 1
        manifest.verify_packs(self.packs)
        reader = maps.Reader(name, self.packs, manifest.table, self.keys.id)
        wanted = collections.Counter(c.place[0] for c in manifest.chunks)
        for entry in manifest.entries(self.packs):
            self.counts["entries"] += 1
            if entry.type == "f":
                wanted += self.file(name, reader, entry)
        for pack in manifest.table.values():
            need(wanted[pack.number] == pack.wanted, name, "%d grains of pack %d are wanted, it says %d",
                 wanted[pack.number], pack.number, pack.wanted)

    def file(self, name, reader, entry):
        """Every place of a file is looked up, and its needs are counted."""
        contents = maps.Contents(reader, entry)
        needs = collections.Counter(place[0] for _, _, _, place in contents.checked())
        needs.update(place[0] for place in contents.used)
        need(needs == entry.needs, "%s, '%s'" % (name, entry.shown), "it needs %s, and lists %s",
             dict(needs), entry.needs)
        return needs

    def lineage(self, manifest, _):
        if manifest.parent is None or manifest.parent[0] not in self.manifests:
            return
        parent = self.manifests[manifest.parent[0]]
        need(parent.sha == manifest.parent[1], manifest.name, "the hash of its parent %s is another",
             parent.name)
        need(parent.source == manifest.source, manifest.name, "its parent is of source %s", parent.source)
        need(manifest.next_pack >= parent.next_pack, manifest.name, "next-pack went back")
        for n in manifest.table:
            if n in parent.table:
                same = parent.table[n]._replace(wanted=0) == manifest.table[n]._replace(wanted=0)
                need(same, manifest.name, "pack %d is another than in %s", n, parent.name)
            else:
                need(n >= parent.next_pack, manifest.name, "pack %d is new, the parent's next was %d", n,
                     parent.next_pack)

    def lines(self, name):
        self.counts["records"] += 1
        obj, _ = open_signed(self.tier, name, "R", self.trust, self.keys)
        return Lines(name, obj.text())

    def record(self, name, match):
        lines, values = self.lines(name), {}
        while lines.more():
            key, _, value = lines.take().partition(b" ")
            need(key and key not in values, name, "the key '%s' is there twice", show(key))
            values[key.decode("utf-8", "replace")] = value
        for key in RECORD_KEYS.get(match.group(1), ()):
            need(key in values, name, "the line '%s' is missing", key)
        need(values.get("asked", b"2") in (b"0", b"1", b"2"), name, "'asked' is no level")
        need(values.get("state", b"on") in (b"on", b"off"), name, "'state' is neither on nor off")

    def piece(self, name, _):
        wal.Piece(name, self.tier.read(name), self.trust, self.keys)
        self.counts["pieces"] += 1

    def bundle(self, name, _):
        self.counts["pieces"] += len(wal.bundle(name, self.tier.read(name), self.trust, self.keys))
        self.counts["bundles"] += 1

    def wal_text(self, name, _):
        """Histories and where epochs come from."""
        open_signed(self.tier, name, "R", self.trust, self.keys)
        self.counts["records"] += 1

    def tombstones(self, name, _):
        lines = self.lines(name)
        lines.value("tier")
        while lines.more():
            unhex(name, lines.value("pack"), 32)
