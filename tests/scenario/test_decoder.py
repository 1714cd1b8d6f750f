"""The second reader, written from docs/format.md alone, must agree with the program about every byte.

The program writes histories; tests/decoder/ffdr_decode.py restores each snapshot and opens every
object. What must be refused is in test_decoder_lies.py.
"""

import os
import random
import re
import shutil
import struct

import pytest
from cryptography.hazmat.primitives import serialization

import trees
from conftest import Site
from secondreader import Reader, container, opened

GIB = 1 << 30


def put(path, at, data):
    with open(path, "r+b" if os.path.exists(path) else "w+b") as f:
        f.seek(at)
        f.write(data)


def make_history(site):
    """The first tree: one of everything, and files whose maps have something to say."""
    source = os.fsencode(site.source)
    trees.make_odd(source)
    for i, name in enumerate(["c1\x85control", "line\u2028separator", "del\x7f", "\ufffe", "nbsp\u00a0",
                              "\U0010ffff", "-", "\\-", "\\x2f"]):
        trees.write(os.path.join(source, b"more names", os.fsencode(name)), b"%d" % i)
    # A surrogate, an overlong slash, the first byte alone: none of it is UTF-8.
    for i, name in enumerate([b"\xed\xa0\x80", b"\xc0\xaf", b"\xe2\x82", b"ok\xc3\xa4\xc3"]):
        trees.write(os.path.join(source, b"more names", name), b"%d" % i)
    huge = os.path.join(source, b"huge")
    for gib, at in ((0, 0), (0, GIB - 200_000), (2, 5 << 20), (2, 100 << 20)):
        put(huge, gib * GIB + at, trees.noise(2_000_000 if at else 9_000_000, gib + at))
    os.truncate(huge, 2 * GIB + (110 << 20) + 12345)
    trees.write(os.path.join(source, b"mapped"), trees.noise(30_000_000, 9))
    trees.write(os.path.join(source, b"shrinks"), trees.noise(5_000_000, 10))
    trees.write(os.path.join(source, b"grows"), trees.noise(131_000, 11))
    # The same content often: one grain wanted by many entries, and twice by one.
    trees.write(os.path.join(source, b"twins"), trees.noise(131_072, 12) * 5 + b"end")
    for i in range(9):
        trees.write(os.path.join(source, b"alike%d" % i), trees.noise(131_072, 12))
    trees.finish(source)


def many_names(site, count=4000):
    """A list of more than a MiB, which is cut into chunks."""
    for i in range(count):
        trees.write(os.path.join(os.fsencode(site.source), b"crowd", b"%02d" % (i % 40),
                                 b"a name of some length %06d " % i + b"x" * 150), b"%d" % (i // 3))


def change(site, turn):
    """One round of what happens to files; every turn differs."""
    rng = random.Random(turn)
    source = os.fsencode(site.source)
    for _ in range(rng.randint(1, 6)):
        put(os.path.join(source, b"mapped"), rng.randrange(29_000_000),
            rng.randbytes(rng.randint(1, 300_000)))
    with open(os.path.join(source, b"grows"), "ab") as f:
        f.write(rng.randbytes(rng.choice([10, 200_000, 1_500_000])))
    os.truncate(os.path.join(source, b"shrinks"), 5_000_000 - turn * 613_111)
    put(os.path.join(source, b"huge"), rng.randrange(6_000_000), b"here %d" % turn)
    if turn == 2:
        put(os.path.join(source, b"huge"), 2 * GIB + (6 << 20), b"a second map changes")
        put(os.path.join(source, b"huge"), GIB + 77, b"the GiB between was a hole")
        os.rename(os.path.join(source, b"names"), os.path.join(source, b"renamed"))
        os.unlink(os.path.join(source, b"links", b"a-second"))
    if turn == 3:
        put(os.path.join(source, b"mapped"), 5 << 20, bytes(10 << 20))
        os.truncate(os.path.join(source, b"huge"), GIB + 100)
        shutil.rmtree(os.path.join(source, b"many"))
    if turn == 4:
        os.truncate(os.path.join(source, b"grows"), 100)
        os.truncate(os.path.join(source, b"huge"), 7 << 20)
        many_names(site)
    if turn == 5:
        shutil.rmtree(os.path.join(source, b"crowd", b"07"))
        trees.write(os.path.join(source, b"crowd", b"21", b"new"), b"new")


@pytest.fixture(name="history", scope="module")
def history_fixture(tmp_path_factory):
    """Six snapshots under four data keys, two signing keys and two key-encryption keys."""
    site = Site(tmp_path_factory.mktemp("history"), tiers=("local", "regional"))
    site.write_config(volume="compare = content")
    site.init()
    make_history(site)
    site.past = {}
    for turn in range(1, 7):
        if turn > 1:
            change(site, turn)
        site.past[site.backup()] = site.scan()
        if turn in (1, 3, 5):
            site.run("key", "rotate")
        if turn == 2:
            site.run("key", "rotate", "--signing", "file:" + site.path("etc", "signing2.pem"))
            switch(site, "signing.pem", "signing2.pem")
        if turn == 4:
            site.run("key", "rotate", "--kek", "file:" + site.path("etc", "kek2"))
            switch(site, "etc/kek\n", "etc/kek2\n")
    site.run("copy")
    return site


def switch(site, old, new):
    with open(site.config, encoding="utf-8") as f:
        text = f.read()
    assert old in text
    with open(site.config, "w", encoding="utf-8") as f:
        f.write(text.replace(old, new))


def kek2(site):
    return ("--kek", site.path("etc", "kek2"))


def public_of(path):
    with open(path, "rb") as f:
        key = serialization.load_pem_private_key(f.read(), None)
    return key.public_key().public_bytes_raw().hex()


def test_every_snapshot_of_a_history_comes_back(history):
    reader = Reader(history, history.tier("local"), *kek2(history))
    for name, before in history.past.items():
        target = reader.restore(name)
        trees.assert_same(before, trees.scan(target))
        assert trees.disk_use(os.path.join(target, "huge")) < 64 << 20
        shutil.rmtree(target)


def test_a_copy_opened_with_the_escrow_key_is_the_same(history):
    reader = Reader(history, history.tier("regional"), "--escrow",
                    history.path("etc", "escrow-private.pem"))
    reader.check()
    name = max(history.past)
    trees.assert_same(history.past[name], trees.scan(reader.restore(name)))


def test_every_object_of_a_history_is_clean(history):
    Reader(history, history.tier("local"), *kek2(history)).check()


def test_the_history_holds_what_it_is_there_for(history):
    """Chunks, patches of patches, several epochs and signers: else the tests above prove little."""
    reader = Reader(history, history.tier("local"), *kek2(history))
    texts = [reader.manifest(name) for name in sorted(history.past)]
    assert re.search(r"^chunks 0$", texts[0], re.M) and re.search(r"^chunks [1-9]", texts[-1], re.M)
    assert len({m for t in texts for m in re.findall(r"^P .* ([0-9a-f]{8}) \d+ \d+ \d+$", t, re.M)}) >= 3
    listed = reader.run("list")
    assert all(name in listed for name in history.past)
    assert history.objects("local", "repo/") == ["repo/0", "repo/1", "repo/2"]
    assert longest_chain(history) >= 2


def longest_chain(site):
    where, believed, keys = opened(site, site.tier("local"), site.path("etc", "kek2"))
    packs = container.Packs(where, believed, keys)
    links = [0]
    for name in where.names("pack/"):
        pack = packs.open(name[8:])
        for i, frame in enumerate(pack.frames):
            if frame.kind == container.MAP:
                links += [struct.unpack_from("<H", g, 16)[0] for g in pack.split(i) if g[0] == 2]
    return max(links)


def test_the_old_kek_opens_nothing_after_its_rotation(history):
    Reader(history, history.tier("local")).refuses("no key object is for the key given", "list")


def test_a_pinned_key_is_asked_for(history):
    reader = Reader(history, history.tier("local"), *kek2(history))
    for key in ("signing.pem", "signing2.pem"):
        reader.run("list", before=("--pin", public_of(history.path("etc", key))))
    text = reader.run("list", before=("--pin", "17" * 32), status=1)
    assert "does not list the pinned key" in text
    assert "repo/7 was there once" in reader.run("list", before=("--seen", "7"), status=1)


def test_what_other_commands_leave_behind_is_clean(bare):
    """Records, holds and tombstones; the packs are made old, so that a collection has candidates."""
    trees.make_plain(bare.source, files=4)
    bare.init()
    gone = bare.backup()
    trees.write(os.path.join(os.fsencode(bare.source), b"large"), b"another")
    kept = bare.backup()
    bare.run("hold", kept, "--why", "odd words: \\ \u00e9\nand lines")
    bare.run("verify")
    os.unlink(bare.tier("local", "snap", gone))
    for name in bare.objects("local", "pack/"):
        os.utime(bare.tier("local", name), (10**9, 10**9))
    bare.run("gc", "--tier", "local", status=None)
    text = Reader(bare, bare.tier("local")).run("check")
    assert ": clean" in text and "left alone" not in text, text
    kinds = {name.split("/")[1] if name.startswith("rec/") else "gc"
             for name in bare.objects("local", "rec/") + bare.objects("local", "gc/")}
    assert kinds == {"hold", "verified", "gc"}


def test_a_passphrase_opens_as_well(bare):
    trees.make_plain(bare.source, files=3)
    word = bare.path("etc", "word")
    with open(word, "w", encoding="utf-8") as f:
        f.write("correct horse\n")
    os.chmod(word, 0o600)
    bare.write_config(keys="kek = passphrase:file:%s\nsigning = file:%s\nescrow =\n" % (
        word, bare.path("etc", "signing.pem")))
    bare.init()
    name = bare.backup()
    reader = Reader(bare, bare.tier("local"), "--passphrase", word)
    reader.check()
    trees.assert_same(bare.scan(), trees.scan(reader.restore(name)))
