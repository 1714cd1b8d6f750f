"""What a snapshot could not capture, and whose it is: neither may cost what lives in the target."""

import os
import resource
import shutil
import subprocess
import tempfile

import pytest

import conftest
from conftest import DEGRADED, REFUSED, Site

USER = 12345  # anybody but root


def write(path, text="precious"):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def below(top):
    return sorted(os.path.relpath(os.path.join(at, name), top)
                  for at, dirs, files in os.walk(top) for name in dirs + files)


class Other:
    """The program as another user, or on a host of another name."""

    def __init__(self, site, *before):
        self.site, self.before = site, before

    def run(self, *args, status=0):
        done = subprocess.run([*self.before, conftest.program(), *args], capture_output=True,
                              text=True, env=self.site.environment(), cwd=self.site.top,
                              check=False, timeout=conftest.SECONDS)
        assert status is None or done.returncode == status, done
        return done


@pytest.fixture(name="weak")
def weak_fixture():
    """A site whose backups are made by a user who may not read everything."""
    if os.geteuid() != 0:
        pytest.skip("being two users needs root")
    # Not in tmp_path, which nobody else may enter.
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o755)
        site = Site(top).init()
        for at, _, files in os.walk(top):
            for path in [at] + [os.path.join(at, f) for f in files]:
                if not path.startswith(site.source):
                    os.chown(path, USER, USER)
        os.chmod(site.source, 0o755)
        yield site, Other(site, "setpriv", "--reuid", str(USER), "--regid", str(USER),
                          "--clear-groups")


def on_host(site, name):
    if os.geteuid() != 0:
        pytest.skip("another host name needs root")
    there = Other(site, "unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name)
    if subprocess.run([*there.before, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no other host name here")
    return there


def test_what_could_not_be_read_is_never_removed(weak):
    site, user = weak
    kept = {"locked/a": 0o700, "locked/d/b": 0o755, "list-only/c": 0o744, "file": 0o644}
    for name in kept:
        write(os.path.join(site.source, name), name)
    write(os.path.join(site.source, "open"), "open")
    os.link(os.path.join(site.source, "file"), os.path.join(site.source, "link"))
    os.chmod(os.path.join(site.source, "locked"), 0o700)
    os.chmod(os.path.join(site.source, "list-only"), 0o744)
    os.chmod(os.path.join(site.source, "file"), 0o600)
    user.run("backup", "vol.data", status=DEGRADED)
    # Another file by the link's name: what was linked could not be read.
    os.unlink(os.path.join(site.source, "link"))
    write(os.path.join(site.source, "link"), "another")
    write(os.path.join(site.source, "list-only", "fresh"), "goes")
    write(os.path.join(site.source, "extra"), "goes")
    write(os.path.join(site.source, "open"), "changed")
    os.chmod(os.path.join(site.source, "list-only"), 0o755)

    args = ("restore", "vol.data", "--to", site.source, "--delta")
    preview = site.json(*args, "--dry-run", status=None)
    assert sorted(preview["removes"]) == ["extra", "list-only/fresh"]
    done = site.run(*args, "--json", status=DEGRADED)
    assert done.json()["removed"] == 2
    assert preview["missing"] == done.json()["missing"] == 3
    for name in kept:
        assert read(os.path.join(site.source, name)) == name, done
    assert read(os.path.join(site.source, "link")) == "another"
    assert read(os.path.join(site.source, "open")) == "open"
    assert not os.path.exists(os.path.join(site.source, "extra"))
    assert "locked" in done.err and "could not be read when the snapshot was made" in done.err


def test_an_unread_directory_is_told_in_a_new_place_too(weak):
    site, user = weak
    write(os.path.join(site.source, "locked", "a"))
    os.chmod(os.path.join(site.source, "locked"), 0o700)
    user.run("backup", "vol.data", status=DEGRADED)
    target = site.path("restored")
    done = site.run("restore", "vol.data", "--to", target, status=DEGRADED)
    assert "'locked'" in done.err and os.listdir(os.path.join(target, "locked")) == []


def test_the_dry_run_counts_as_the_run_does(site):
    site.backup()
    for name in ("gone/a", "gone/b/c", "gone/b/d", "here/new"):
        write(os.path.join(site.source, name))
    top = sorted(os.listdir(site.source))
    file = next(n for n in top if os.path.isfile(os.path.join(site.source, n)))
    os.unlink(os.path.join(site.source, file))
    for name in ("x", "y"):
        write(os.path.join(site.source, file, name))
    args = ("restore", "vol.data", "--to", site.source, "--delta")
    preview = site.json(*args, "--dry-run")
    assert sorted(preview["removes"]) == sorted(["gone", "here", file])
    assert site.json(*args)["removed"] == preview["removed"] == 3


def test_the_dry_run_names_twenty_and_says_how_many_more(site):
    site.backup()
    for i in range(23):
        write(os.path.join(site.source, "zz%02d" % i))
    done = site.run("restore", "vol.data", "--to", site.source, "--delta", "--dry-run")
    assert "zz19" in done.text and "zz20" not in done.text
    assert "and 3 more" in done.text


def test_a_snapshot_of_another_host_does_not_come_over_what_lives_here(site):
    there = on_host(site, "other-host")
    own = site.backup()
    before = site.scan()
    shutil.move(site.source, site.path("mine"))
    write(os.path.join(site.source, "theirs"), "theirs")
    there.run("backup", "vol.data", status=DEGRADED)
    shutil.rmtree(site.source)
    shutil.move(site.path("mine"), site.source)
    args = ("restore", "vol.data", "--to", site.source, "--delta")
    for more in ((), ("--dry-run",)):
        done = site.run(*args, *more, status=REFUSED)
        for word in ("other-host", "checked", "possible", "fix", "--from-another-host"):
            assert word in done.err, done
    assert site.scan() == before
    # One of this host, by its name, is as good as ever.
    site.run("restore", own, "--to", site.source, "--delta")
    assert site.scan() == before
    site.run(*args, "--from-another-host")
    assert below(site.source) == ["theirs"]
    # That was no restore of its own which may go on: the next one asks again.
    write(os.path.join(site.source, "new"))
    site.run(*args, status=REFUSED)


def test_a_restore_on_a_new_host_goes_on_by_its_mark(site):
    there = on_host(site, "new-host")
    site.backup()
    before = site.scan()
    shutil.rmtree(site.source)
    there.run("restore", "vol.data", "--to", site.source)
    write(os.path.join(site.source, "new"))
    there.run("restore", "vol.data", "--to", site.source, "--delta")
    assert site.scan() == before


def test_the_same_source_with_another_path_is_refused_in_place(site):
    site.backup()
    shutil.copytree(site.source, site.path("moved"), symlinks=True)
    write(os.path.join(site.path("moved"), "new"))
    site.source = site.path("moved")
    site.write_config()
    args = ("restore", "vol.data", "--to", site.source, "--delta")
    assert "from '%s'" % site.path("source") in site.run(*args, status=REFUSED).err
    site.run(*args, "--from-another-host")
    assert not os.path.exists(os.path.join(site.source, "new"))


def test_two_hosts_with_one_source_are_told(site):
    there = on_host(site, "other-host")
    site.backup()
    assert "captured on" not in site.run("check", status=None).text
    done = there.run("backup", "vol.data", status=DEGRADED)
    assert "this host is 'other-host'" in done.stderr
    assert "was captured on 'other-host'" in site.run("check", status=None).text
    # Whoever wrote last has the newest: that settles a host that was renamed ...
    there.run("backup", "vol.data")
    # ... and is told to the other one at each of its turns.
    assert "was captured on 'other-host'" in site.run("backup", "vol.data", status=DEGRADED).err
    assert "was captured on" not in site.run("check", status=None).text


@pytest.mark.parametrize("left, told", [(0, True), (4, True), (5, False), (50, False)])
def test_a_volume_that_lost_nearly_everything_is_told(bare, left, told):
    site = bare
    for i in range(50):
        write(os.path.join(site.source, "f%02d" % i))
    site.init().backup()
    for i in range(left, 50):
        os.unlink(os.path.join(site.source, "f%02d" % i))
    done = site.run("backup", "vol.data", status=DEGRADED if told else 0)
    assert ("is it mounted?" in done.err) == told
    if told:
        assert "%d files in '%s' now, 50 in the snapshot before" % (left, site.source) in done.err
    # It may have been meant: there is a snapshot, and the next one is compared with it.
    assert len(site.objects("local", "snap/")) == 2
    assert "is it mounted?" not in site.run("backup", "vol.data").err


def test_an_export_says_what_it_lacks(weak):
    site, user = weak
    write(os.path.join(site.source, "locked", "a"))
    os.chmod(os.path.join(site.source, "locked"), 0o700)
    user.run("backup", "vol.data", status=DEGRADED)
    done = site.run("export", "vol.data", status=DEGRADED)
    assert "'locked': could not be read when the snapshot was made" in done.err, done


def test_show_and_a_dry_run_say_what_a_snapshot_lacks(weak):
    site, user = weak
    write(os.path.join(site.source, "locked", "a"))
    os.chmod(os.path.join(site.source, "locked"), 0o700)
    user.run("backup", "vol.data", status=DEGRADED)
    assert site.json("show", "vol.data")["unreadable"] == 1
    assert "1 entry that could not be read" in site.run("show", "vol.data").out
    result = site.run("restore", "vol.data", "--to", site.path("out"), "--dry-run", status=DEGRADED)
    assert "1 entry could not be read when the snapshot was made" in result.err, result


@pytest.mark.parametrize("files", range(9, 24, 2))
def test_running_out_of_descriptors_is_said_of_no_file(site, files):
    """A file that another process could read is not unreadable."""
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    os.makedirs(os.path.join(site.source, *"abcdefghijklmnopqrstuvwxyz"))
    result = site.run("backup", "vol.data", status=None, preexec_fn=few)
    assert "could not be read" not in result.err and result.status != DEGRADED, result
    assert result.status == 0 or not site.objects("local", "snap/"), result


def test_a_file_whose_size_is_not_told_is_had_whole(site):
    """Contents that are made as they are read: procfs, some file systems by FUSE."""
    source = "/proc/sys/net/ipv4/conf/lo"
    if not os.path.isdir(source):
        pytest.skip("no procfs here")
    with open(site.config, encoding="utf-8") as f:
        text = f.read()
    with open(site.config, "w", encoding="utf-8") as f:
        f.write(text.replace("path = %s\n" % site.source, "path = %s\n" % source))
    for _ in range(2):
        site.backup()
    site.run("restore", "vol.data", "--to", site.path("r"))
    for name in ("rp_filter", "forwarding"):
        with open(os.path.join(source, name), "rb") as f, open(site.path("r", name), "rb") as g:
            assert f.read() == g.read() != b"", name
