"""Mistakes in the configuration: every one named with file and line, nothing done before that."""

import os

import pytest

from conftest import CONFIGURATION


def broken(site, old, new):
    with open(site.config, encoding="utf-8") as f:
        text = f.read()
    assert old in text
    with open(site.config, "w", encoding="utf-8") as f:
        f.write(text.replace(old, new, 1))


@pytest.mark.parametrize("old, new, words", [
    ("pack-size = 16m", "pack-sise = 16m", ["pack-sise", "pack-size"]),
    ("pack-size = 16m", "pack-size = sixteen", ["pack-size", "sixteen"]),
    ("pack-size = 16m", "pack-size = 1k", ["pack-size"]),
    ("keep = 7d", "keep = 7", ["keep"]),
    ("keep = 7d", "keep = -3d", ["keep"]),
    ("[volume data]", "[volumes data]", ["volumes", "volume"]),
    ("[volume data]", "[volume Data!]", ["Data!"]),
    ("tiers = local", "tiers = locals", ["locals", "local"]),
    ("url = file://", "url = filing://", ["filing"]),
    ("kek = file:", "kek = flie:", ["kek"]),
    ("[keys]", "[keys", ["ffdr.ini"]),
    ("site = here", "site here", ["ffdr.ini"]),
])
def test_mistakes(site, old, new, words):
    broken(site, old, new)
    for args in (["backup", "vol.data"], ["list"], ["check"]):
        result = site.run(*args, status=CONFIGURATION)
        assert "ffdr.ini:" in result.text, result
        for word in words:
            assert word in result.text, result
    assert not site.objects("local", "snap/")


def test_all_mistakes_at_once(site):
    broken(site, "pack-size = 16m", "pack-sise = 16m")
    broken(site, "tiers = local", "tires = local")
    result = site.run("list", status=CONFIGURATION)
    assert "pack-sise" in result.err and "tires" in result.err


def test_no_configuration(bare):
    os.unlink(bare.config)
    result = bare.run("list", status=CONFIGURATION)
    assert bare.config in result.err


def test_config_show_says_where_each_value_came_from(site):
    result = site.run("config", "show")
    assert "%s:" % site.config in result.out
    os.makedirs(site.path("etc", "conf.d"))
    with open(site.path("etc", "conf.d", "50-more.ini"), "w", encoding="utf-8") as f:
        f.write("[tier more]\nurl = file://%s\nkeep = 77d\n" % site.path("more"))
    result = site.run("config", "show")
    assert "77d" in result.out and "50-more.ini:3" in result.out


def test_help_of_every_command(site):
    listed = site.run("help").out
    for name in ("backup", "list", "show", "restore", "export", "verify", "copy", "expire", "gc"):
        assert name in listed
        text = site.run("help", name).out
        assert "ffdr %s" % name in text and len(text.splitlines()) > 8, name
