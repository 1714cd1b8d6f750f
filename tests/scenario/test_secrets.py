"""What must never be seen is not seen: not in arguments, not in output, not in the stores."""

import os
import resource
import stat

import trees
from conftest import CONFIGURATION


def secrets_of(site):
    found = []
    for name in ("kek", "signing.pem"):
        with open(site.path("etc", name), "rb") as f:
            data = f.read()
        found.append(data.strip())
        found += [line for line in data.split(b"\n") if len(line) > 40 and b"-----" not in line]
    return found


def every_byte_below(top):
    for at, _, files in os.walk(top):
        for name in files:
            path = os.path.join(at, name)
            with open(path, "rb") as f:
                yield path, f.read()


def test_keys_are_in_no_store_no_state_no_output(site):
    secrets = secrets_of(site)
    assert secrets
    said = []
    for args in (["init"], ["check"], ["backup", "vol.data"], ["list"], ["copy"], ["verify"],
                 ["show", "vol.data"], ["config", "show"], ["key", "list"],
                 ["backup", "vol.data", "--json"], ["backup", "vol.data", "--events"]):
        result = site.run(*args, status=None)
        said.append((args, result.raw + result.err.encode()))
    for top in [site.path("state")] + [site.tier(t) for t in site.tiers]:
        said += list(every_byte_below(top))
    for where, data in said:
        for secret in secrets:
            assert secret not in data, where
            assert bytes.fromhex(secret.decode()) not in data if len(secret) == 64 and \
                all(c in b"0123456789abcdef" for c in secret) else True, where


def test_contents_and_names_are_in_no_store(site):
    marker = b"the-name-of-a-secret-file"
    text = b"this sentence must not be legible anywhere in a store. " * 3000
    trees.write(os.path.join(os.fsencode(site.source), marker), text)
    site.backup()
    site.run("copy")
    for tier in site.tiers:
        for path, data in every_byte_below(site.tier(tier)):
            assert marker not in data and b"must not be legible" not in data, path


def test_made_files_are_nobody_elses(site):
    site.backup()
    for path in [site.path("etc", "kek"), site.path("etc", "signing.pem")]:
        assert stat.S_IMODE(os.stat(path).st_mode) & 0o027 == 0, path
    for at, _, files in os.walk(site.path("state")):
        for name in files:
            assert stat.S_IMODE(os.stat(os.path.join(at, name)).st_mode) & 0o007 == 0, name


def test_no_core_is_dumped_and_nothing_made_for_others(site):
    site.write_config(volume="before = (ulimit -c; umask) > %s" % site.path("seen"))
    limits = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    if os.geteuid() != 0:
        limits = (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2
    site.run("backup", "vol.data",
             preexec_fn=lambda: (resource.setrlimit(resource.RLIMIT_CORE, limits), os.umask(0)))
    with open(site.path("seen"), encoding="ascii") as f:
        assert f.read().split() == ["0", "0077"]


def test_another_process_of_the_same_user_cannot_look_into_it(plain_user):
    """Its memory holds keys, and its environment may."""
    plain_user.write_config(volume="before = cat /proc/$PPID/environ > %s 2>&1; true" % plain_user.path("seen"))
    plain_user.run("backup", "vol.data", env={"A_SECRET": "hunter2"})
    with open(plain_user.path("seen"), encoding="utf-8", errors="replace") as f:
        seen = f.read()
    assert "ermission denied" in seen and "hunter2" not in seen, seen


def test_a_passphrase_from_the_environment_stays_there(site, tmp_path):
    from conftest import Site
    os.makedirs(tmp_path / "p")
    other = Site(tmp_path / "p", tiers=("local",))
    trees.make_plain(other.source, files=2)
    other.write_config(keys="kek = passphrase:env:MY_WORDS\nsigning = file:%s\nescrow =\n" %
                       other.path("etc", "signing.pem"))
    words = "correct horse battery staple"
    env = {"MY_WORDS": words}
    other.run("init", env=env)
    other.run("backup", "vol.data", env=env)
    result = other.run("config", "show", env=env)
    assert words not in result.text
    wrong = other.run("show", "vol.data", env={"MY_WORDS": "another"}, status=CONFIGURATION)
    assert "another" not in wrong.text.replace("another tier", "")
    # And what hooks and commands see of our environment has no keys of ours in it.
    child = other.start("backup", "vol.data", env=env)
    with open("/proc/%d/cmdline" % child.pid, "rb") as f:
        assert words.encode() not in f.read()
    child.communicate()


def test_the_escrow_half_opens_everything(site):
    """Host and key are gone; the paper from the safe is not."""
    site.backup()
    private = site.path("etc", "escrow-private.pem")
    assert os.path.exists(private)
    site.run("key", "escrow-test", "--private", private)
