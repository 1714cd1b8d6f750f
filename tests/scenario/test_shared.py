"""Two hosts, one tier: each lets go of its own only, and says so when it does."""

import os
import shutil
import subprocess
import time

import pytest

import trees
from conftest import DEGRADED, USAGE, VERIFY, Result, Site, program
from test_keep import later, snapshots


def other_host(site, name="other"):
    """A second host with the same keys and tiers, that backs up vol.theirs."""
    b = Site(site.path(name), tiers=())
    b.tiers = site.tiers
    shutil.rmtree(b.path("etc"))
    shutil.copytree(site.path("etc"), b.path("etc"))
    b.tier = site.tier
    b.write_config()
    with open(b.config, encoding="utf-8") as f:
        text = f.read().replace("[volume data]", "[volume theirs]")
    with open(b.config, "w", encoding="utf-8") as f:
        f.write(text)
    trees.make_plain(b.source)
    return b


def elsewhere(site, *args, env=None):
    """The program on a host with another name: a namespace of its own has one."""
    if os.geteuid() != 0:
        pytest.skip("another host name needs root")
    done = subprocess.run(["unshare", "--uts", "sh", "-c", 'hostname elsewhere && exec "$0" "$@"', program(),
                           *args], env=site.environment(env), capture_output=True, check=False,
                          timeout=60)
    if b"unshare" in done.stderr:
        pytest.skip("no namespace here")
    assert done.returncode in (0, DEGRADED), done
    return Result(list(args), done.returncode, done.stdout, done.stderr)


def test_expire_leaves_what_another_host_backs_up(site, fault_points):
    site.write_config(tier={t: "keep = 1d" for t in site.tiers})
    b = other_host(site)
    made = [site.backup(env=later(day)) for day in (0, 3, 6, 9)]
    # The host's name is what tells them apart.
    result = elsewhere(b, "expire", "--yes-more-than-half", env=later(9.5))
    assert "not ours" in result.out and snapshots(site) == sorted(made)
    report = elsewhere(b, "expire", "--json", env=later(9.5)).json()
    assert {p["left_to"] for p in report["parts"] if p["source"] == "vol.data"} == {os.uname().nodename}
    # Named, it is judged; and by the host that made it, it is without a name.
    result = elsewhere(b, "expire", "--dry-run", "vol.data", env=later(9.5))
    assert "not ours" not in result.out and made[0] in result.out
    site.run("expire", "--yes-more-than-half", env=later(9.5), status=None)
    assert len(snapshots(site)) < len(made)


def test_a_retired_source_is_not_missed_by_the_other_host(site):
    b = other_host(site)
    site.backup()
    b.run("list")
    b.run("verify", "--level", "0")
    time.sleep(1.1)  # names have seconds; what was let go of in the same one is missed
    b.run("expire", "--retire", "vol.data", "--why", "moved to another repository")
    result = site.run("list")
    assert "is gone" not in result.text
    site.run("verify", "--level", "0")
    # What comes after is missed again.
    time.sleep(1.1)
    new = site.backup()
    os.unlink(site.tier("local", "snap", new))
    assert "is gone" in site.run("list", status=DEGRADED).text


def test_a_deletion_without_a_record_is_missed(site):
    only = site.backup()
    site.run("copy")
    os.unlink(site.tier("local", "snap", only))
    assert site.run("verify", "--level", "0", status=VERIFY)


def test_retiring_wants_a_source_that_is_there_and_a_reason(site):
    b = other_host(site)
    site.backup()
    result = b.run("expire", "--retire", "vol.dta", "--why", "slip", status=USAGE)
    assert "did you mean 'vol.data'" in result.err
    result = b.run("expire", "--retire", "vol.zzzzzzzz", "--why", "slip", status=USAGE)
    assert "no tier" in result.err
    result = b.run("expire", "--retire", "vol.data", status=USAGE)
    assert "--why" in result.err
    assert len(snapshots(site)) == 1
