"""A rotation that was cut short: what it left seals nothing, is named, and is finished."""

import os
import re
import time

import pytest

from conftest import DEGRADED, DONE, VERIFY


def escrow_of(site, epoch):
    return [n for n in site.objects("local", "key/%s.e" % epoch)]


@pytest.fixture(name="half")
def half_fixture(site):
    """As it lies when the disks were full between the two objects of an epoch; and that epoch."""
    site.backup()
    time.sleep(1.1)  # of two in one second no order is promised
    epoch = site.json("key", "rotate")["epoch"]
    name = escrow_of(site, epoch)[0]
    for tier in site.tiers:
        os.unlink(site.tier(tier, name))
    return site, epoch


def sealing(site):
    return {k["epoch"] for k in site.json("key", "list")["keys"] if k["current"]}


def opens(site):
    site.run("key", "escrow-test", "--private", site.path("etc", "escrow-private.pem"))


def test_an_epoch_without_the_escrow_seals_nothing_and_is_named(half):
    site, epoch = half
    assert sealing(site) and epoch not in sealing(site)
    listed = site.run("key", "list")
    assert re.search(r"%s +\S+ +not yet +kek" % epoch, listed.out), listed
    assert "`ffdr key rotate` finishes it" in listed.err, listed
    found = site.json("verify", status=VERIFY)["findings"]
    assert {f["tier"] for f in found} == set(site.tiers)
    assert all(f["object"].startswith("key/%s.e" % epoch) for f in found), found
    assert "escrow key does not open key epoch " + epoch in site.run("check", status=None).text


@pytest.mark.parametrize("how", [["backup", "vol.data"], ["key", "rotate"], ["verify", "--repair"]])
def test_it_is_finished(half, how):
    site, epoch = half
    site.run(*how, status=DEGRADED if "--repair" in how else DONE)
    site.run("copy", status=DONE)
    if how != ["key", "rotate"]:  # a young one may be another host's, under way
        assert sealing(site) == {epoch}
    opens(site)
    site.run("verify", status=DONE)


def test_what_is_sealed_in_between_opens_with_the_key_in_the_safe(half):
    site, _ = half
    before = site.scan()
    site.run("backup", "vol.data")
    site.write_config(keys="kek = file:%s\nsigning = file:%s\nescrow = %s\n" % (
        site.path("etc", "escrow-private.pem"), site.path("etc", "signing.pem"),
        site.path("etc", "escrow.pem")))
    site.assert_restores(before)
