"""A part of a snapshot is found by its list, which is read first: what lies in an archive is asked for by its own sum each time, and to
look is no wait."""

import os

import trees
from conftest import Site
from s3 import before_fixture, fresh_server_fixture  # noqa: F401
from test_s3_thaw import REFUSED, Cold, moto_fixture, on_terminal  # noqa: F401


def fill(site):
    """So many long names that the list lies in a pack of its own."""
    for i in range(5000):
        trees.write(os.fsencode(os.path.join(site.source, "many", "%d-%s" % (i, os.urandom(110).hex()))), b"x")
    trees.finish(os.fsencode(site.source))


def test_a_yes_to_the_list_is_none_to_what_it_names(moto, before, tmp_path):
    cold = Cold(tmp_path, moto, before(moto))
    fill(cold)
    cold.fill(size=4 << 20).freeze()
    status, shown, ordered = on_terminal(cold, (b"y\n", b"n\n"), "restore", "vol.data", "--path", "d0", "--path", "d1", "--to",
                                         cold.path("restored"))
    assert status == REFUSED and len(ordered) == 2, shown
    lists = ordered[1]
    assert ordered[0] == 0 < lists == len(cold.ordered()) < len(cold.packs()), (ordered, cold.ordered(), shown)
    assert "nothing of it was ordered back" in shown.split("[y/N]")[2], shown


def test_a_list_that_comes_slowly_from_a_disk_is_no_archive_that_was_waited_for(tmp_path):
    site = Site(tmp_path, ("local",))
    fill(site)
    trees.write(os.fsencode(os.path.join(site.source, "d1", "file")), b"that one")
    trees.finish(os.fsencode(site.source))
    site.init()
    site.backup()
    site.write_config(tier={"local": "rate = 200k"})
    done = site.json("restore", "vol.data", "--path", "d1", "--to", site.path("restored"))
    assert done["seconds"] > 1.5 and done["waited"] == 0, done
    assert "archive" not in site.run("export", "vol.data", "--path", "d1").err
