"""What the second reader must refuse: objects that somebody damaged, and well-sealed lies."""

import hashlib
import os
import random
import re
import shutil
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

import trees
from conftest import Site, flip, rewrite
from secondreader import Forger, Reader, container, opened, repository, snapshot
from format1 import maps
from format1.text import Bad

# Mutilations: whoever can write to the store.


@pytest.fixture(name="whole", scope="module")
def whole_fixture(tmp_path_factory):
    """Two small snapshots, proved clean."""
    site = Site(tmp_path_factory.mktemp("whole"), tiers=("local",))
    trees.make_plain(site.source, files=6)
    site.init()
    site.first = site.backup()
    trees.write(os.path.join(os.fsencode(site.source), b"large"),
                trees.noise(2_900_000, 1) + b"x" * 200_000)
    site.second = site.backup()
    Reader(site, site.tier("local")).check()
    return site


@pytest.fixture(name="hurt")
def hurt_fixture(whole, tmp_path):
    """A copy to mutilate."""
    tier = str(tmp_path / "tier")
    shutil.copytree(whole.tier("local"), tier)
    reader = Reader(whole, tier)
    reader.at = lambda *parts: os.path.join(tier, *parts)
    reader.names = container.Tier(tier).names
    return reader


@pytest.mark.parametrize("prefix,at,rule", [
    ("pack/", None, "its name is not the hash of its bytes"),
    ("pack/", -1, "its name is not the hash of its bytes"),
    ("snap/", 9, "the hash in its trailer is wrong"),
    ("snap/", None, "the hash in its trailer is wrong"),
    ("snap/", -100, "the hash in its trailer is wrong"),
    ("snap/", -70, "which repo/0 does not list"),
    ("snap/", -1, "the signature of .* is wrong"),
    ("key/", 30, "it belongs to another repository|is not 32 hex"),
    ("key/", -3, "the signature of .* is wrong|is not 128 hex"),
    ("repo/", 30, "is wrong|is not 32 hex"),
])
def test_one_wrong_bit_is_found(hurt, prefix, at, rule):
    name = hurt.names(prefix)[0]
    flip(hurt.at(name), at)
    hurt.refuses("%s.*(%s)" % (re.escape(name), rule))


def test_every_byte_of_a_manifest_counts(hurt, whole):
    """In process, for there are many: no flipped bit may go unseen."""
    name = "snap/" + whole.first
    where, believed, keys = opened(whole, hurt.tier, whole.path("etc", "kek"))
    snapshot.Manifest(where, name, believed, keys)
    for at in range(0, os.path.getsize(hurt.at(name)), 7):
        flip(hurt.at(name), at)
        with pytest.raises(Bad):
            snapshot.Manifest(where, name, believed, keys)
        flip(hurt.at(name), at)
    snapshot.Manifest(where, name, believed, keys)


def test_a_missing_pack_is_named(hurt):
    name = hurt.names("pack/")[0]
    os.unlink(hurt.at(name))
    hurt.refuses(re.escape(name) + ": it is not on this tier")


def test_a_pack_in_place_of_another_is_refused(hurt):
    one, two = hurt.names("pack/")[:2]
    shutil.copy(hurt.at(one), hurt.at(two) + "+")
    os.rename(hurt.at(two) + "+", hurt.at(two))
    hurt.refuses(re.escape(two) + ": its name is not the hash")


def test_a_short_object_is_refused(hurt):
    name = hurt.names("snap/")[0]
    rewrite(hurt.at(name), lambda data: data[:60])
    hurt.refuses("60 bytes are no container")


def test_a_manifest_under_another_name_is_refused(hurt, whole):
    other = "snap/vol.data/20300101T000000Z-00000000"
    shutil.copy(hurt.at("snap", whole.first), hurt.at(other))
    hurt.refuses(re.escape(other) + ": it was sealed under another name")


def test_a_manifest_on_its_way_may_come_before_its_packs(hurt, whole):
    pend = "pend/%s.12345678" % whole.second
    os.makedirs(hurt.at("pend", "vol.data"))
    os.rename(hurt.at("snap", whole.second), hurt.at(pend))
    shutil.rmtree(hurt.at("snap"))
    shutil.rmtree(hurt.at("pack"))
    hurt.check()
    os.rename(hurt.at(pend), hurt.at("pend/%s.12345678" % whole.first))
    hurt.refuses("it holds snap/" + re.escape(whole.second))


def test_an_object_of_another_repository_is_refused(hurt, tmp_path):
    os.makedirs(tmp_path / "other")
    other = Site(tmp_path / "other", tiers=("local",))
    trees.make_plain(other.source, files=2)
    name = other.init().backup()
    shutil.copy(other.tier("local", "snap", name), hurt.at("snap", name))
    hurt.refuses("snap/%s: it belongs to repository" % re.escape(name))
    key = other.objects("local", "key/")[0]
    shutil.copy(other.tier("local", key), hurt.at(key))
    hurt.refuses(re.escape(key) + ": it belongs to another repository")


def test_an_unknown_name_is_left_alone(hurt):
    with open(hurt.at("stranger"), "wb") as f:
        f.write(b"?")
    assert "left alone: stranger" in hurt.run("check")


# Forgeries: whoever has the keys, or a program that is wrong.


@pytest.fixture(name="forger")
def forger_fixture(whole, hurt):
    return Forger(whole, hurt)


def resized(text):
    """The line 'list' made true again."""
    head, rest = re.split(rb"(?m)^list \d+\n", text)
    return head + b"list %d\n" % rest.rindex(b"end ") + rest


def test_what_the_forger_seals_is_taken_when_it_is_right(hurt, whole, forger):
    """Else every refusal below could have another reason."""
    name = "snap/" + whole.second
    forger.manifest(name, forger.text(name))
    hurt.check()


# What is looked for in the text of a manifest, what is put there, what the reader must say.
LIES = [
    (rb"^entries (\d+)$", rb"entries 1\1", "the last line has other counts"),
    (rb"^end (\d+)", rb"end 1\1", "the last line has other counts"),
    (rb"^source vol.data$", b"source vol.other", "its source is 'vol.other'"),
    (rb"^ffdr-manifest 1$", b"ffdr-manifest 2", "does not begin with 'ffdr-manifest 1'"),
    (rb"^next-pack \d+$", b"next-pack 0", "next-pack is 0"),
    (rb"^started ", b"stopped ", "expected a line 'started'"),
    (rb"^started .*$", b"started 2026-02-30T00:00:00Z", "is no time"),
    (rb"^packs (\d+)$", b"packs 0", "expected a line 'chunks'"),
    (rb"^(P \d+ \S+) \d+ ", rb"\1 81 ", "bytes, expected 81"),
    (rb"^(P \d+ \S+ \d+) \S+ ", rb"\1 00000000 ", "expected 00000000"),
    (rb"^(P .*) \d+ (\d+)$", rb"\1 99 \2", "grains, expected 99"),
    (rb"^(P .*) (\d+)$", rb"\1 9\2", "are wanted, it says 9"),
    (rb"^(P \d+) .{64}", rb"\1 " + b"ab" * 32, "pack/ab/(ab){32}: it is not on this tier"),
    (rb"^(parent \S+) .{64}", rb"\1 " + b"ab" * 32, "the hash of its parent .* is another"),
    (rb"^compared 2", b"compared 9", "its times are out of order"),
    (rb"^(f 0644 .* )m(\d+)\.0\.0", rb"\1m\2.0.9", "has no grain 9|digest|kind"),
    (rb"^(f 0644 .*/)[0-9a-f]{24}", rb"\1" + b"ab" * 12, "its ids have not the digest|have not the id"),
    (rb"^(f 0644 .* 17) [0-9a-f]{24} (g)", rb"\1 " + b"ab" * 12 + rb" \2", "expected (ab){12}"),
    (rb"^(f 0644 .* 17) [0-9a-f]{24} (m)", rb"\1 " + b"ab" * 12 + rb" \2", "have not the id (ab){12}"),
    (rb"^(f 0644 .*) (\d+):(\d+) ", rb"\1 \2:9\3 ", "it needs .* and lists"),
    (rb"^(f 0644 .* 0) \d+ 17 (\S+ g)", rb"\1 7 17 \2", "bytes long, expected 7"),
    (rb"^f 0644", b"f 644", "is no mode"),
    (rb"^f 0644", b"q 0644", "type 'q' is not known"),
    (rb"^f (.*) d0/f000$", rb"f \1 d0/../f000", "it is no path of a list"),
    (rb"^f (.*) d0/f000$", rb"f \1 d0/\\x66000", "not escaped as it should be"),
    (rb"^f (.*) d0/f000$", rb"f \1 e0/f000", "no directory 'e0' is listed"),
    (rb"^f (.*) d0/f000$", rb"f \1 d9/f000", "no directory 'd9' is listed"),
    (rb"^(f .* d0/f000)$", rb"\1\n\1", "it is out of order"),
    (rb"^(f .* d0/f000)$", rb"\1\nx user.a /x==", "is no base64"),
    (rb"^(f .* d0/f000)$", rb"\1\nx user.a YQ==\nx user.a YQ==", "attribute 'user.a' twice"),
]


@pytest.mark.parametrize("pattern,to,rule", LIES, ids=[lie[2] for lie in LIES])
def test_a_manifest_that_is_not_true_is_refused(hurt, whole, forger, pattern, to, rule):
    name = "snap/" + whole.second
    text, count = re.subn(pattern, to, forger.text(name), count=1, flags=re.M)
    assert count == 1, text.decode()
    forger.manifest(name, resized(text))
    hurt.refuses(r"%s.*(%s)|%s" % (re.escape(name), rule, rule))


def test_a_link_to_what_is_not_listed_is_refused(hurt, whole, forger):
    name = "snap/" + whole.second
    text = re.sub(rb"(?m)^f (\S+ \S+ \S+ \S+ \S+ \S+ \S+) .* d0/f000$", rb"h \1 d4/f004 d0/f000",
                  forger.text(name))
    forger.manifest(name, resized(text))
    hurt.refuses("'d4/f004' is not listed before it")


def test_a_grain_that_is_not_its_id_is_refused(hurt, forger):
    forger.pack([(container.DATA, [b"one", b"two"], [None, b"x" * 12])])
    hurt.refuses("frame 0, grain 1: the content is not that of its id")


def test_stored_zeros_are_refused(hurt, forger):
    forger.pack([(container.DATA, [bytes(4096)], None)])
    hurt.refuses("grain 0 is all zeros")


@pytest.mark.parametrize("kind,rule", [(container.NAME, "does not belong into type 'P'"),
                                       (9, "kind 9 does not belong")])
def test_a_frame_of_a_strange_kind_is_refused(hurt, forger, kind, rule):
    forger.pack([(kind, [b"what"], None)])
    hurt.refuses(rule)


def test_a_manifest_of_nonsense_is_refused_in_words(whole, forger):
    """Whatever is changed in the text, the reader says what is wrong or finds nothing; it never falls."""
    name = "snap/" + whole.second
    true = forger.text(name)
    packs = container.Packs(forger.where, forger.believed, forger.keys)
    rng = random.Random(5)
    refused = 0
    for _ in range(400):
        lie = bytearray(true)
        at = rng.randrange(len(lie))
        words = [b"", b"\n", b" ", b"9", b"-", b"\\", b"\xff", b":"]
        lie[at:at + rng.choice([0, 1, 1, 1, 30])] = rng.choice(words)
        forger.manifest(name, bytes(lie))
        try:
            manifest = snapshot.Manifest(forger.where, name, forger.believed, forger.keys)
            reader = maps.Reader(name, packs, manifest.table, forger.keys.id)
            for entry in manifest.entries(packs):
                if entry.type == "f":
                    list(maps.Contents(reader, entry).checked())
        except Bad:
            refused += 1
    assert refused > 200


# Maps, told to the reader without a tier.


ID_KEY = b"k" * 32


def ident(n):
    return struct.pack("<I8x", n)


def whole_map(ids, runs, packs=(7,), g=17):
    return struct.pack("<BBHIII", 1, g, len(packs), len(ids), len(runs), 0) + b"".join(
        [struct.pack("<I", p) for p in packs] + ids + [struct.pack("<IHHHHI", *r) for r in runs])


def patch(count, changed, runs, links, packs=(8,), g=17, older=0, whole=0):
    """`older`: bytes of the patches below; `whole`: how wrong the bytes of the whole map are."""
    body = b"".join(
        [struct.pack("<IHH", *link) for link in links] + [struct.pack("<I", p) for p in packs]
        + [struct.pack("<I12s", *c) for c in changed] + [struct.pack("<IHHHHI", *r) for r in runs])
    return struct.pack("<BBHIIIHHII", 2, g, len(packs), count, len(changed), len(runs), len(links), 0,
                       28 + len(body) + older, len(BASE) + whole) + body


class Told(maps.Reader):
    """A reader that is told what lies where."""

    def __init__(self, told):
        super().__init__("told", None, {}, ID_KEY)
        self.told = told

    def grain(self, place, kind, where):
        assert kind == container.MAP
        return self.told[place]

    def read(self, place, ids, g=17):
        digest = container.grain_id(ID_KEY, b"".join(ids))
        return self.map(place, g, len(ids), digest, "told")


BASE = whole_map([ident(1), ident(2), container.ZEROS, ident(4)], [(0, 0, 5, 2, 1, 2), (3, 0, 6, 1, 0, 1)])
LINK, TOP = (1, 2, 3), (4, 5, 6)


def test_a_map_and_its_patches_are_read_as_written():
    reader = Told({LINK: BASE})
    one = reader.read(LINK, [ident(1), ident(2), container.ZEROS, ident(4)])
    assert [p for _, p in one.grains] == [(7, 5, 1), (7, 5, 2), None, (7, 6, 0)]
    # A hole where there was a grain, a grain where there was a hole, and two more at the end.
    first = patch(6, [(1, container.ZEROS), (2, ident(30)), (4, ident(50)), (5, ident(60))],
                  [(2, 0, 9, 1, 0, 1), (4, 0, 9, 3, 1, 2)], [LINK])
    reader.told[TOP] = first
    ids = [ident(1), container.ZEROS, ident(30), ident(4), ident(50), ident(60)]
    two = reader.read(TOP, ids)
    assert [p for _, p in two.grains] == [(7, 5, 1), None, (8, 9, 0), (7, 6, 0), (8, 9, 1), (8, 9, 2)]
    assert two.used == [TOP, LINK]
    # Cut to one grain, and grown again: what was cut off does not come back.
    ends, older = [], len(first)
    grown = ((10, 0, 0), 3, [(1, container.ZEROS), (2, ident(70))], [(2, 0, 0, 1, 0, 1)])
    for place, count, changed, runs in (((9, 9, 9), 1, [], []), grown):
        links = list(reversed(ends)) + [TOP, LINK]
        reader.told[place] = patch(count, changed, runs, links, (11,) if runs else (), older=older)
        older += len(reader.told[place])
        ends.append(place)
    assert reader.read((9, 9, 9), [ident(1)]).grains == [(ident(1), (7, 5, 1))]
    last = reader.read((10, 0, 0), [ident(1), container.ZEROS, ident(70)])
    assert [p for _, p in last.grains] == [(7, 5, 1), None, (11, 0, 0)]


def patched(count=4, changed=((1, ident(9)),), runs=((1, 0, 0, 1, 0, 1),), links=(LINK,), **wrong):
    return patch(count, changed, runs, links, **wrong)


MAPS = [
    (b"", "neither a map nor a patch"),
    (b"\x03" + BASE[1:], "neither a map nor a patch"),
    (BASE[:-1], "cut short"),
    (BASE + b"\0", "1 bytes follow"),
    (BASE[:4] + b"\xff\xff\xff\xff" + BASE[8:], "expected 1 to 8192"),
    (BASE[:8] + b"\xff\xff\xff\xff" + BASE[12:], "cut short"),
    (BASE[:1] + b"\x0c" + BASE[2:], "grains of 2.12"),
    (whole_map([ident(1)], [(0, 0, 0, 1, 0, 1)], g=13), "grains of 2.13 bytes, expected 2.17"),
    (whole_map([ident(1)], [(0, 1, 0, 1, 0, 1)]), "names pack 1 of 1"),
    (whole_map([ident(1)], [(0, 0, 0, 1, 0, 2)]), "the frame received 1"),
    (whole_map([ident(1)], [(0, 0, 0, 2, 0, 2)]), "which is not of this map"),
    (whole_map([ident(1)], []), "a pack that no run uses"),
    (whole_map([ident(1)], [], packs=()), "no place"),
    (whole_map([container.ZEROS], [(0, 0, 0, 1, 0, 1)]), "a place and is zero"),
    (whole_map([ident(1), ident(2)], [(1, 0, 0, 1, 0, 1), (0, 0, 0, 1, 0, 1)]), "out of order"),
    (whole_map([ident(1)] * 4, [(0, 0, 0, 4, 0, 4)]), "not the digest"),
    (whole_map([ident(1)] * 3, [(0, 0, 0, 4, 0, 3)]), "3 grains, expected 4"),
    (patched(), None),
    (patched(links=()), "0 links"),
    (patched(links=[LINK] * 33), "33 links"),
    (patched(links=[LINK, LINK]), "a whole map that is not the last"),
    (patched(links=[TOP]), "the last link is a patch"),
    (patched(older=1), "chain bytes"),
    (patched(whole=-1), "whole bytes"),
    (patched(runs=[(0, 0, 0, 1, 0, 1)]), "which is not of this map"),
    (patched(changed=[(1, ident(9)), (1, ident(9))]), "changed grains out of order"),
    (patched(changed=[(4, ident(9))]), "is not in the map"),
    (patched(count=6), "a new grain is not among the changed"),
]


@pytest.mark.parametrize("data,rule", MAPS, ids=[str(m[1]) for m in MAPS])
def test_a_map_that_is_not_true_is_refused(data, rule):
    reader = Told({LINK: BASE, TOP: data})
    ids = [ident(1), ident(9), container.ZEROS, ident(4)]
    if rule is None:
        assert reader.read(TOP, ids).grains[1] == (ident(9), (8, 0, 0))
        return
    with pytest.raises(Bad, match=rule):
        reader.read(TOP, ids)


def test_a_partial_manifest_is_never_restored(hurt, whole, forger):
    name = "snap/" + whole.second
    forger.manifest(name, re.sub(rb"(?m)^(compared .*)$", rb"\1\npartial yes", forger.text(name)))
    hurt.check()
    hurt.refuses("it is partial", "restore", name, whole.path("partial"))
    assert not os.path.exists(whole.path("partial"))


def test_a_signer_that_the_repository_does_not_list_is_refused(hurt, whole, forger):
    forger.private = ed25519.Ed25519PrivateKey.generate()
    name = "snap/" + whole.second
    forger.manifest(name, forger.text(name))
    hurt.refuses("which repo/0 does not list")


# Forged identities. V is the victim, who pins their own key; T and O are a thief's.


def keys_of(forger):
    return {"V": forger.private, "T": ed25519.Ed25519PrivateKey.generate(),
            "O": ed25519.Ed25519PrivateKey.generate()}


def test_an_unsigned_successor_of_the_repository_does_not_count(hurt, whole, forger):
    first = forger.where.read("repo/0")
    thief = keys_of(forger)["T"]
    lines = re.search(rb"signer \S+ (\d{4})", first)
    forger.write(*repository(first, [(forger.private, int(lines.group(1))), (thief, 2030)], [thief],
                             forger.believed.id.hex()))
    hurt.refuses("repo/1: (no signer of repo/0 has signed it|it does not begin with)")
    # What was signed before is still to be had.
    assert whole.second in hurt.run("list")


def test_a_repository_of_another_format_is_refused(hurt, forger):
    forger.write("repo/1", b"ffdr-repository 2\nwhat: we cannot know\n")
    hurt.refuses("repo/1: it is of another format than 1", "list")


@pytest.mark.parametrize("signers,by,rule", [
    ("T2020 V2030 O2031", "TO", "it adds 2 signers"),
    ("T2020 V2030", "T", "its newest signer has not signed it"),
    ("T2020 V2010", "T", "its newest signer has not signed it"),
    ("T2020 V2020", "T", "its newest signer has not signed it"),
    ("V2010 T2020", "T", "it does not begin with the signers of repo/0"),
    ("V2030 T2030", "T", "it does not begin with the signers of repo/0"),
    ("T2021", "T", "it does not begin with the signers of repo/0"),
    ("T2020 O2030", "O", "no signer of repo/0 has signed it"),
])
def test_a_chain_that_only_lists_the_pinned_key_is_refused(hurt, forger, signers, by, rule):
    """A thief makes a repository of their own and slips the victim's key between theirs."""
    keys, ident = keys_of(forger), forger.believed.id.hex()
    pin = ("--pin", forger.private.public_key().public_bytes_raw().hex())
    hurt.run("check", before=pin)
    _, first = repository(None, [(keys["T"], 2020)], [keys["T"]], ident)
    forger.write("repo/0", first)
    forger.write(*repository(first, [(keys[w[0]], int(w[1:])) for w in signers.split()],
                             [keys[k] for k in by], ident))
    assert "repo/0: it does not list the pinned key" in hurt.run("list", before=pin, status=1)
    hurt.refuses("repo/1: " + rule)


def test_what_was_replaced_may_grow_and_not_shrink(hurt, whole, forger):
    first = forger.where.read("repo/0")
    year = int(re.search(rb"signer \S+ (\d{4})", first).group(1))
    ident, kek, escrow = forger.believed.id.hex(), "k0123456789abcdef", "e0123456789abcdef"
    since = re.search(rb"signer \S+ (\S+)", first).group(1)

    def follow(previous, replaced):
        name, text = repository(previous, [(forger.private, year)], [], ident, replaced)
        text = re.sub(rb"(signer \S+) \S+", rb"\1 " + since, text)
        message = b"ffdr-C" + name.encode() + hashlib.sha256(text).digest()
        public = forger.private.public_key().public_bytes_raw()
        text += b"signature %s %s\n" % (hashlib.sha256(public).digest()[:8].hex().encode(),
                                        forger.private.sign(message).hex().encode())
        forger.write(name, text)
        return text

    second = follow(first, [kek])
    assert whole.second in hurt.run("list")
    third = follow(second, [kek, escrow])
    hurt.run("list", before=("--seen", "2"))
    follow(third, [escrow])
    hurt.refuses("repo/3: it does not begin with what repo/2 says was replaced")


def test_a_chain_that_the_pinned_key_has_joined_is_taken(hurt, whole, forger):
    """Else the refusals above could have another reason: here the victim has signed."""
    keys, ident = keys_of(forger), forger.believed.id.hex()
    pin = ("--pin", forger.private.public_key().public_bytes_raw().hex())
    _, first = repository(None, [(keys["T"], 2020)], [keys["T"]], ident)
    forger.write("repo/0", first)
    forger.write(*repository(first, [(keys["T"], 2020), (keys["V"], 2030)], [keys["T"], keys["V"]], ident))
    assert whole.second in hurt.run("list", before=pin)
    hurt.check()
