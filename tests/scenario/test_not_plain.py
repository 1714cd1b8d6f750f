"""What has an object's name on a tier and is no file: a fifo must not be waited for, a link not followed."""

import os
import socket

import pytest

from conftest import DEGRADED, VERIFY


def fifo(path):
    os.mkfifo(path)


def link(path):
    os.symlink("/etc/hostname", path)


def dangling(path):
    os.symlink("nowhere", path)


def link_to_directory(path):
    os.symlink("/", path)


def unix_socket(path):
    here = os.getcwd()
    os.chdir(os.path.dirname(path))
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(os.path.basename(path))
    finally:
        os.chdir(here)


KINDS = [fifo, link, dangling, link_to_directory, unix_socket]


@pytest.fixture(name="copied")
def copied_fixture(site):
    """One snapshot on local and regional."""
    site.only = site.backup()
    site.run("copy", "--to", "regional", site.only)
    site.manifest = site.tier("local", "snap", site.only)
    return site


def put_in_its_place(make, path):
    os.unlink(path)
    make(path)


@pytest.mark.parametrize("make", KINDS)
def test_in_the_place_of_a_manifest(copied, make):
    site, only = copied, copied.only
    put_in_its_place(make, site.manifest)
    packs = site.objects("local", "pack/")
    for args in (["copy", "--to", "local"], ["copy", "--to", "local", only],
                 ["gc", "--tier", "local"], ["expire", "--tier", "local"]):
        result = site.run(*args, status=VERIFY)
        assert "not a plain file" in result.text and only in result.text, result
        assert "copied" not in result.out
    result = site.run("verify", "--level", "0", "--tier", "local", status=VERIFY)
    assert "not a plain file" in result.text
    assert site.objects("local", "pack/") == packs
    site.run("verify", "--repair", "--tier", "local", status=DEGRADED)
    assert os.path.isfile(site.manifest) and not os.path.islink(site.manifest)
    # Set aside, not destroyed.
    aside = os.listdir(os.path.dirname(site.tier("local", "bad", "snap", only)))
    assert [name.split(".")[0] for name in aside] == [os.path.basename(only)]
    site.run("verify", "--tier", "local")
    site.assert_restores(site.scan(), only, "--tier", "local")


@pytest.mark.parametrize("make", KINDS)
def test_in_the_place_of_a_pack(copied, make):
    site, only = copied, copied.only
    for name in site.objects("local", "pack/"):
        put_in_its_place(make, site.tier("local", name))
    site.run("verify", "--level", "0", "--tier", "local", status=VERIFY)
    site.assert_restores(site.scan(), only, status=None)
    site.run("verify", "--repair", "--tier", "local", status=DEGRADED)
    site.assert_restores(site.scan(), only, "--tier", "local")


@pytest.mark.parametrize("full", [False, True])
def test_a_directory_in_the_place_of_a_manifest(copied, full):
    site, only = copied, copied.only
    put_in_its_place(os.mkdir, site.manifest)
    if full:
        with open(os.path.join(site.manifest, "x"), "w", encoding="utf-8") as f:
            f.write("x")
    result = site.run("copy", "--to", "local", only, status=VERIFY)
    assert only in result.err and "copied" not in result.out
    os.rename(site.manifest, site.path("away"))
    site.run("copy", "--to", "dr", only)
    assert site.objects("dr", "snap/") == ["snap/" + only]
