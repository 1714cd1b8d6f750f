"""A second backup stores what changed, and says so."""

import os
import re

import trees


def test_nothing_changed_stores_almost_nothing(site):
    site.backup()
    before = site.store_bytes("local")
    result = site.run("backup", "vol.data")
    assert site.store_bytes("local") - before < 40_000, result
    assert re.search(r"100 % reused", result.out), result


def test_one_grain_of_a_large_file(site):
    path = os.path.join(site.source, "big")
    trees.write(os.fsencode(path), trees.noise(24 << 20, 3))
    site.backup()
    before = site.store_bytes("local")
    with open(path, "r+b") as f:
        f.seek(7 << 20)
        f.write(b"!" * 100)
    site.backup()
    grown = site.store_bytes("local") - before
    assert 128_000 < grown < 400_000, grown
    site.assert_restores(site.scan())


def test_a_renamed_directory_stores_nothing_of_its_files(site):
    site.backup()
    before = site.store_bytes("local")
    os.rename(os.path.join(site.source, "d1"), os.path.join(site.source, "renamed"))
    site.backup()
    assert site.store_bytes("local") - before < 60_000
    site.assert_restores(site.scan())


def test_appending_stores_the_tail(site):
    path = os.path.join(site.source, "log")
    trees.write(os.fsencode(path), trees.noise(8_000_000, 4))
    site.backup()
    before = site.store_bytes("local")
    with open(path, "ab") as f:
        f.write(trees.noise(300_000, 5))
    site.backup()
    assert site.store_bytes("local") - before < 700_000
    site.assert_restores(site.scan())


def test_old_snapshots_stay_what_they_were(site):
    states = []
    for i in range(4):
        trees.write(os.fsencode(os.path.join(site.source, "d1", "f%03d" % (5 * i + 1))),
                    trees.noise(50_000, 90 + i))
        if i == 2:
            os.unlink(os.path.join(site.source, "d2", "f002"))
        if i == 3:
            trees.write(os.fsencode(os.path.join(site.source, "large")), b"much smaller now")
        trees.finish(os.fsencode(site.source))
        states.append((site.backup(), site.scan()))
    for number, (snapshot, before) in enumerate(states):
        site.assert_restores(before, snapshot, to="r%d" % number)


def test_a_file_becomes_a_directory_and_back(site):
    path = os.path.join(site.source, "d1", "f001")
    site.backup()
    os.unlink(path)
    trees.write(os.fsencode(os.path.join(path, "inside")), b"x")
    first = site.backup(), site.scan()
    os.unlink(os.path.join(path, "inside"))
    os.rmdir(path)
    os.symlink("elsewhere", path)
    second = site.backup(), site.scan()
    site.assert_restores(first[1], first[0], to="one")
    site.assert_restores(second[1], second[0], to="two")


def test_list_and_show_tell_what_was_stored(site):
    first = site.backup()
    second = site.backup()
    listed = {s["snapshot"]: s for s in site.json("list")["snapshots"]}
    assert set(listed) == {first, second}
    assert listed[first]["new"] > 3_000_000 > 40_000 > listed[second]["new"]
    assert listed[first]["tiers"] == ["local"]
    shown = site.json("show", second)
    assert shown["parent"] == first
    assert shown["files"] == 41


def test_the_catalog_is_only_a_cache(site):
    import shutil
    first = site.backup()
    shutil.rmtree(site.path("state", "catalog"))
    item = site.json("list")["snapshots"][0]
    assert item["snapshot"] == first and not item["known"]
    item = site.json("list", "--refresh")["snapshots"][0]
    assert item["known"] and item["files"] == 41
    assert site.json("list")["snapshots"][0]["known"]
