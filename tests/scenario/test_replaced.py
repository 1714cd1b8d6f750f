"""A kek or an escrow pair that was replaced: no host makes anything for it again, and no tier brings it back."""

import os
import shutil

from conftest import DEGRADED, DONE, REFUSED
from secondreader import Reader


def keys(site, kek="kek", escrow="escrow.pem"):
    site.write_config(keys="kek = file:%s\nsigning = file:%s\nescrow = %s\n" % (
        site.path("etc", kek), site.path("etc", "signing.pem"), site.path("etc", escrow)))


def recipients(site, tier):
    return {name.split(".")[1] for name in site.objects(tier, "key/")}


def set_back(site, tier, image):
    """Only the key objects of the image come back: the chain of repository objects may be younger."""
    for name in os.listdir(os.path.join(image, "key")):
        shutil.copy(os.path.join(image, "key", name), site.tier(tier, "key", name))


def test_a_tier_that_was_set_back_brings_a_replaced_kek_nowhere(site):
    site.run("backup", "vol.data")
    site.run("copy")
    image = site.path("image")
    shutil.copytree(site.tier("regional"), image)
    before = recipients(site, "local")
    site.run("key", "rotate", "--kek", "file:" + site.path("etc", "kek2"))
    old = before - recipients(site, "local")
    assert len(old) == 1 and next(iter(old)).startswith("k")
    # The whole tier is an older image.
    shutil.rmtree(site.tier("regional"))
    os.rename(image, site.tier("regional"))
    # A host that nobody told: it is told now, and what it makes is for the new one alone.
    told = site.run("backup", "vol.data", status=DEGRADED)
    assert "was replaced" in told.err and "[keys] kek must name the new one" in told.err, told
    assert not old & recipients(site, "local")
    for how in (["init"], ["key", "rotate"]):
        assert "was replaced" in site.run(*how, status=REFUSED).err
    lines = {n["what"]: n for n in site.json("check", status=None)["lines"]}
    assert lines["keys"]["verdict"] == "FAIL" and "replaced" in lines["keys"]["text"]
    keys(site, kek="kek2")
    warned = site.run("check", status=None)
    assert "opens there by a key that was replaced" in warned.text, warned
    site.run("copy")
    assert not old & recipients(site, "regional")
    site.run("backup", "vol.data", status=DONE)
    assert "was replaced" not in site.run("check", status=None).text
    site.run("verify", status=DONE)


def test_a_new_escrow_pair_opens_all_and_the_old_one_nothing(site):
    site.run("backup", "vol.data")
    site.run("key", "rotate")
    site.run("copy")
    image = site.path("image")
    shutil.copytree(site.tier("local"), image)
    assert not os.path.exists(site.path("etc", "escrow-2.pem"))
    done = site.run("key", "rotate", "--escrow", site.path("etc", "escrow-2.pem"))
    assert site.path("etc", "escrow-2-private.pem") in done.text and "escrow = " in done.text
    # The configuration still names the old pair.
    assert "[keys] escrow must name the new one" in site.run("backup", "vol.data", status=DEGRADED).err
    told = site.run("check", status=None).text
    assert "escrow.pem was replaced by a rotation" in told and "ffdr init" not in told, told
    keys(site, escrow="escrow-2.pem")
    set_back(site, "local", image)
    site.run("backup", "vol.data", status=DONE)
    site.run("copy")
    site.run("key", "rotate")
    site.run("key", "escrow-test", "--private", site.path("etc", "escrow-2-private.pem"), status=DONE)
    site.run("verify", status=DONE)
    for tier in site.tiers:
        Reader(site, site.tier(tier), "--escrow", site.path("etc", "escrow-2-private.pem")).check()
        Reader(site, site.tier(tier), "--escrow", site.path("etc", "escrow-private.pem")).refuses(
            "no key object is for the key given", "list")
    again = site.run("key", "rotate", "--escrow", site.path("etc", "escrow.pem"), status=REFUSED)
    assert "taken out of use" in again.err, again
