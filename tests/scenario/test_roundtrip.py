"""What goes in comes out, to the last bit of the last attribute."""

import os
import shutil
import subprocess
import tarfile

import pytest

import trees
from conftest import DEGRADED, LATER, REFUSED, USAGE, VERIFY, Site, flip, program


@pytest.fixture(name="odd", scope="module")
def odd_fixture(tmp_path_factory):
    """One of everything, backed up once."""
    site = Site(tmp_path_factory.mktemp("odd"))
    trees.make_odd(site.source)
    site.init()
    site.snapshot = site.backup()
    return site


def test_one_of_everything_comes_back_the_same(odd):
    odd.assert_restores(odd.scan())


def test_a_snapshot_restores_from_a_copy_alone(odd):
    odd.run("copy", "--to", "dr", odd.snapshot)
    os.rename(odd.tier("local"), odd.tier("away"))
    try:
        before = odd.scan()
        target = odd.path("from-copy")
        result = odd.run("restore", odd.snapshot, "--to", target, status=None)
        assert result.status in (0, DEGRADED), result
        trees.assert_same(before, trees.scan(target))
        assert "dr" in result.text
    finally:
        os.rename(odd.tier("away"), odd.tier("local"))


def test_holes_stay_holes(odd):
    target = odd.restore(to="sparse")
    name = os.path.join(target, "sparse", "holes")
    assert os.path.getsize(name) == 64 << 20
    assert trees.disk_use(name) < 4 << 20


def test_zeros_cost_nothing(odd):
    before = odd.store_bytes("local")
    with open(os.path.join(odd.source, "sizes", "more-zeros"), "wb") as f:
        f.write(bytes(30 << 20))
    odd.backup()
    assert odd.store_bytes("local") - before < 300_000
    os.unlink(os.path.join(odd.source, "sizes", "more-zeros"))
    trees.finish(os.fsencode(odd.source))
    odd.backup()


def test_export_is_a_tar_that_others_read(odd):
    path = odd.path("export.tar")
    with open(path, "wb") as out:
        child = subprocess.run([program(), "export", "vol.data"], stdout=out,
                               stderr=subprocess.PIPE, env=odd.environment(), check=False)
    # Degraded: the tree has a socket, and no tar holds one.
    assert child.returncode == DEGRADED and b"links/socket" in child.stderr, child.stderr
    with tarfile.open(path) as tar:
        members = {os.path.normpath(os.fsencode(m.name)): m for m in tar.getmembers()}
        plain = [p for p, f in odd.scan().items() if f["kind"] == "0o100000"]
        for name in plain:
            assert os.path.normpath(name) in members, name
        for name in (b"sizes/2500003", b"sizes/text", b"names/\xff\xfe\x80 not UTF-8"):
            with open(os.path.join(os.fsencode(odd.source), name), "rb") as f:
                assert tar.extractfile(members[name]).read() == f.read()
    with open(odd.path("export.err"), "wb") as err:
        assert subprocess.run(["tar", "-tf", path], stdout=subprocess.DEVNULL, stderr=err,
                              check=False).returncode == 0


def test_export_unpacked_by_tar_is_the_same_tree(odd):
    tool = shutil.which("bsdtar") or shutil.which("tar")
    target = odd.path("unpacked")
    os.makedirs(target)
    export = odd.start("export", odd.snapshot)
    subprocess.run([tool, "-xpf", "-", "-C", target], stdin=export.stdout, check=False,
                   stderr=subprocess.DEVNULL)
    assert export.wait(timeout=60) == DEGRADED
    before, after = odd.scan(), trees.scan(target)
    # No archive holds a socket; attributes and times depend on the tool that unpacks.
    for facts in list(before.values()) + list(after.values()):
        for key in ("attributes", "mtime", "owner", "mode"):
            facts.pop(key, None)
    before.pop(b"links/socket")
    trees.assert_same(before, after)


@pytest.mark.parametrize("tool", [["bsdtar", "-xpf", "-"], ["tar", "-xpf", "-", "--xattrs", "--xattrs-include=*"]],
                         ids=lambda t: t[0])
def test_export_unpacked_as_its_help_says_has_the_attributes(bare, tool):
    if not shutil.which(tool[0]):
        pytest.skip("%s is not installed" % tool[0])
    path = os.path.join(bare.source, "program")
    shutil.copy("/bin/true", path)
    os.setxattr(path, "user.note", b"kept")
    if trees.ROOT:
        subprocess.run(["setcap", "cap_net_raw+ep", path], check=True)
    names = sorted(os.listxattr(path))
    bare.init().backup()
    target = bare.path("unpacked")
    os.makedirs(target)
    export = bare.start("export", "vol.data")
    subprocess.run([*tool, "-C", target], stdin=export.stdout, check=True, stderr=subprocess.DEVNULL)
    assert export.wait(timeout=60) == 0
    there = os.path.join(target, "program")
    assert {n: os.getxattr(there, n) for n in names} == {n: os.getxattr(path, n) for n in names}


def test_one_path_alone(odd):
    target = odd.restore("vol.data", "--path", "names", "--path", "sizes/text", to="part")
    before = odd.scan()
    after = trees.scan(target)
    assert any(p.startswith(b"names/") for p in after)
    for path in after:
        assert path in (b".", b"names", b"sizes", b"sizes/text") or path.startswith(b"names/")
    names = {p: f for p, f in before.items() if p.startswith(b"names/") or p == b"sizes/text"}
    trees.assert_same(names, {p: f for p, f in after.items() if p in names})


def test_a_path_that_is_not_there_is_said(odd):
    result = odd.run("restore", "vol.data", "--path", "sizes/nothing", "--to",
                     odd.path("nothing"), status=USAGE)
    assert "sizes/nothing" in result.err


def test_dry_run_writes_nothing(odd):
    target = odd.path("dry")
    odd.run("restore", "vol.data", "--to", target, "--dry-run")
    assert not os.path.exists(target) or not os.listdir(target)


def test_show_lists_every_entry(odd):
    shown = odd.json("show", "vol.data", "--files")
    assert len(shown["files"]) == len(odd.scan())
    by_path = {f["path"]: f for f in shown["files"]}
    assert by_path["names/new\nline"]["type"] == "f"
    assert by_path["sizes/2500003"]["size"] == 2_500_003
    text = odd.run("show", "vol.data", "names").out
    assert "\x1b[31m" not in text and "esc\\x1b" in text


def test_empty_volume(bare):
    bare.init()
    trees.finish(os.fsencode(bare.source))
    bare.backup()
    bare.assert_restores(bare.scan())


def test_every_byte_compared(site):
    site.backup()
    site.backup("--read", "all")
    site.assert_restores(site.scan())


def test_silent_change_is_found_by_reading_all(site):
    """Same size, same times: only --read all can know. (compare = stat asks inode and ctime, too.)"""
    site.backup()
    path = os.path.join(site.source, "large")
    st = os.stat(path)
    with open(path, "r+b") as f:
        f.seek(1_000_000)
        f.write(b"changed behind its back")
    os.utime(path, ns=(st.st_atime_ns, st.st_mtime_ns))
    site.backup("--read", "all")
    site.assert_restores(site.scan())


def test_excluded_names_stay_out(site):
    trees.write(os.fsencode(os.path.join(site.source, "d1", "x.tmp")), b"temporary")
    trees.write(os.fsencode(os.path.join(site.source, "cache", "y")), b"cached")
    site.write_config(volume="exclude = *.tmp, cache/")
    site.backup()
    after = trees.scan(site.restore())
    assert b"d1/x.tmp" not in after and b"cache/y" not in after and b"d1/f001" in after


def test_unreadable_file_is_named_and_the_rest_is_safe(plain_user):
    site = plain_user
    path = os.path.join(site.source, "d1", "secret")
    trees.write(os.fsencode(path), b"x", 0)
    result = site.run("backup", "vol.data", status=DEGRADED)
    assert "d1/secret" in result.err
    restored = trees.scan(site.restore(status=DEGRADED))
    assert b"d1/f001" in restored and b"d1/secret" not in restored


def test_restored_directory_takes_a_delta(site):
    site.backup()
    target = site.restore()
    before = site.scan()
    with open(os.path.join(target, "large"), "r+b") as f:
        f.seek(500_000)
        f.write(b"damage")
    os.unlink(os.path.join(target, "d1", "f001"))
    trees.write(os.fsencode(os.path.join(target, "d1", "stranger")), b"not of the snapshot")
    result = site.run("restore", "vol.data", "--to", target, "--delta", "--dry-run")
    assert os.path.exists(os.path.join(target, "d1", "stranger")), result
    site.run("restore", "vol.data", "--to", target, "--delta")
    trees.assert_same(before, trees.scan(target))


def test_delta_onto_its_own_source(site):
    site.backup()
    before = site.scan()
    trees.write(os.fsencode(os.path.join(site.source, "d2", "f002")), b"overwritten")
    site.run("restore", "vol.data", "--to", site.source, "--delta")
    trees.assert_same(before, site.scan())


def test_a_directory_with_something_in_it_is_refused(site):
    site.backup()
    target = site.path("occupied")
    os.makedirs(target)
    with open(os.path.join(target, "precious"), "w", encoding="utf-8") as f:
        f.write("mine")
    for more in ([], ["--delta"]):
        result = site.run("restore", "vol.data", "--to", target, *more, status=REFUSED)
        assert "checked" in result.err and "fix" in result.err, result
        assert os.listdir(target) == ["precious"]


def test_at_picks_the_newest_until_then(site):
    first = site.backup()
    trees.write(os.fsencode(os.path.join(site.source, "d1", "later")), b"x")
    times = [s["time"] for s in site.json("list")["snapshots"]]
    import time
    time.sleep(1.1)
    second = site.backup()
    assert first != second
    target = site.restore("vol.data", "--at", times[0], to="then")
    assert b"d1/later" not in trees.scan(target)
    result = site.run("restore", "vol.data", "--at", "2001-01-01T00:00:00Z", "--to",
                      site.path("never"), status=USAGE)
    assert "possible" in result.err


def test_disk_full_while_restoring(site):
    """The target is too small: said as such, and the repository is none the worse."""
    if not trees.ROOT:
        pytest.skip("mounting a small file system needs root")
    site.backup()
    target = site.path("small")
    os.makedirs(target)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", target]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("no tmpfs can be mounted here")
    try:
        result = site.run("restore", "vol.data", "--to", target, status=LATER)
        assert "space" in result.err.lower(), result
        # Said before the first byte, so that nobody waits for the end of it.
        note, failure = result.err.index("will not fit"), result.err.lower().index("no space")
        assert note < failure, result
    finally:
        subprocess.run(["umount", target], check=True)
    site.assert_restores(site.scan())


def test_holes_need_no_room(bare):
    """A file of a GB that is all hole fits in a MiB, and nobody is told that it might not."""
    if not trees.ROOT:
        pytest.skip("mounting a small file system needs root")
    with open(os.path.join(bare.source, "sparse"), "wb") as f:
        f.truncate(1 << 30)
    bare.init().backup()
    target = bare.path("small")
    os.makedirs(target)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", target], check=False,
                      capture_output=True).returncode != 0:
        pytest.skip("no tmpfs can be mounted here")
    try:
        assert "will not fit" not in bare.run("restore", "vol.data", "--to", target).text
        assert os.path.getsize(os.path.join(target, "sparse")) == 1 << 30
    finally:
        subprocess.run(["umount", target], check=True)


def test_a_restore_for_practice(odd):
    """verify --restore: restored, read back, compared, removed; and `show` remembers it."""
    result = odd.run("verify", "--restore", "vol.data")
    assert "compared" in result.out
    assert not os.path.exists(odd.path("scratch")) or os.listdir(odd.path("scratch")) == []
    shown = odd.json("show", "vol.data")
    assert 3 in [v["level"] for v in shown["verified"]], shown


def test_a_restore_for_practice_tells_what_cannot_be_restored(site):
    site.backup()
    for name in site.objects("local", "pack/"):
        flip(site.tier("local", name), 300)
    site.run("verify", "--restore", "vol.data", status=VERIFY)
    assert not os.path.exists(site.path("scratch")) or os.listdir(site.path("scratch")) == []
