"""What somebody who looks on is shown."""

import os
import pty
import re
import subprocess

from conftest import flip, program


def on_terminal(site, *args):
    """What the program writes to a terminal, and how it ends."""
    here, there = pty.openpty()
    with subprocess.Popen([program(), *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=there, env=site.environment({"TERM": "xterm"}),
                          cwd=site.top) as child:
        os.close(there)
        shown = b""
        while True:
            try:
                some = os.read(here, 65536)
            except OSError:  # the other side is closed
                break
            if not some:
                break
            shown += some
        child.communicate()
    os.close(here)
    return shown.decode("utf-8", "replace"), child.returncode


def size(text):
    number, unit = text.split()
    return float(number) * {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]


def test_verify_knows_how_much_there_is_to_read(site):
    site.backup()
    site.run("copy", "--to", "regional")
    site.backup()  # names the same packs: they are read once
    shown, status = on_terminal(site, "verify")
    assert status == 0, shown
    found = re.findall(r"verifying (\S+ \S+) of (\S+ \S+), (\d+) %", shown)
    assert found, shown
    packs = sum(os.path.getsize(site.tier(t, n)) for t in site.tiers for n in site.objects(t, "pack/"))
    for done, total, percent in found:
        assert abs(size(total) - packs) <= packs / 100, (packs, shown)
        assert size(done) <= size(total) and int(percent) <= 100


def test_verify_names_an_object_once_a_line(site):
    site.backup()
    name = site.objects("local", "pack/")[0]
    flip(site.tier("local", name))
    lines = [n for n in site.run("verify", status=None).err.splitlines() if name in n]
    assert lines and all(line.count(name) == 1 for line in lines), lines
