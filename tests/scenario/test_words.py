"""What people read and type: names as they are, numbers that mean what they say, ways out."""

import os
import re
import subprocess

import pytest

from conftest import CONFIGURATION, DEGRADED, INTERNAL, USAGE, program


def write(path, text="x"):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


@pytest.fixture(name="odd")
def odd_fixture(bare):
    """Names that a terminal must not get, and a file of two names."""
    write(os.path.join(bare.source, b"nl\nline".decode()))
    write(os.path.join(bare.source, "esc\x1b[31mred"))
    write(os.path.join(bare.source, "first"), "hello")
    os.link(os.path.join(bare.source, "first"), os.path.join(bare.source, "second"))
    return bare.init()


def test_names_in_a_list_of_files_stay_on_their_lines(odd):
    odd.backup()
    lines = odd.run("show", "vol.data", "--files").out.splitlines()
    assert len(lines) == 5, lines
    assert any(line.endswith(" nl\\x0aline") for line in lines), lines
    assert any(line.endswith(" esc\\x1b[31mred") for line in lines), lines
    assert any(" - " in line and line.endswith(" second = first") for line in lines), lines
    paths = [f["path"] for f in odd.json("show", "vol.data", "--files")["files"]]
    assert "nl\nline" in paths and "esc\x1b[31mred" in paths, paths


def test_a_quiet_first_backup_has_no_changed_files(odd):
    first = odd.backup()
    result = odd.run("show", first)
    assert "changed" not in result.out and "differ" not in result.out, result
    assert "took 0 ms" not in result.out, result
    write(os.path.join(odd.source, "new"))
    result = odd.run("show", odd.backup())
    assert "differ    1 file from the snapshot before" in result.out, result
    assert "while" not in result.out, result
    assert odd.json("show", "vol.data")["differ"] == 1


def test_a_dry_run_counts_what_the_backup_stores(odd):
    dry = odd.json("backup", "vol.data", "--dry-run")["backups"][0]
    real = odd.json("backup", "vol.data")["backups"][0]
    for word in ("files", "entries", "bytes"):
        assert dry[word] == real[word], (word, dry, real)


def test_a_reader_that_stops_early_is_named(site):
    write(os.path.join(site.source, "large"), "x" * 4000000)
    site.backup()
    with subprocess.Popen([program(), "export", "vol.data"], env=site.environment(),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        child.stdout.read(1)
        child.stdout.close()
        said = child.stderr.read().decode()
        assert child.wait() == INTERNAL
    assert said.strip() == "ffdr: the reader of the tar went away before its end", said


def test_a_file_is_no_place_to_restore_to(site):
    site.backup()
    write(site.path("file"))
    result = site.run("restore", "vol.data", "--to", site.path("file"), status=USAGE)
    assert "is a file, expected a directory" in result.err and "fix" in result.err, result
    with open(site.path("file"), encoding="utf-8") as f:
        assert f.read() == "x"


def test_restoring_all_says_that_each_needs_a_directory(site):
    site.backup()
    result = site.run("restore", "all", "--to", site.path("x"), status=USAGE)
    assert "takes one source" in result.err and "directory of its own" in result.err, result
    assert not os.path.exists(site.path("x"))


def test_the_path_of_the_host_is_turned_into_one_of_the_volume(site):
    write(os.path.join(site.source, "photos", "one"))
    site.backup()
    whole = os.path.join(site.source, "photos", "one")
    result = site.run("restore", "vol.data", "--to", site.path("x"), "--path", whole, status=USAGE)
    assert "fix       'photos/one'" in result.err, result
    result = site.run("restore", "vol.data", "--to", site.path("x"), "--path", "nowhere",
                      status=USAGE)
    assert "below the root of the volume, " + site.source in result.err, result


@pytest.mark.parametrize("when", ["2199-01-01", "2199-01-01 15:00", "2199-01-01T15:00Z"])
def test_a_time_may_be_as_short_as_people_say_it(site, when):
    snapshot = site.backup()
    assert snapshot in site.run("restore", "vol.data", "--at", when, "--to", site.path("x")).out


def test_patterns_that_mean_something_else_are_found_by_check(site):
    site.write_config(volume="exclude = *.tmp, [abc")
    result = site.run("check", status=CONFIGURATION)
    assert "has a '[' without its ']'" in result.text, result
    site.write_config(volume="exclude = %s/cache/" % site.source)
    result = site.run("check", status=None)
    assert "patterns begin at the root of the volume" in result.text, result
    assert "exclude = /cache/" in result.text, result
    site.write_config(volume="exclude = /cache/, *.tmp")
    assert "patterns begin" not in site.run("check", status=None).text


def test_a_warning_is_no_failure_of_the_listing_itself(site):
    """What is no snapshot on a tier is named, and what is one is listed."""
    snapshot = site.backup()
    site.run("copy", "--to", "regional")
    os.makedirs(site.tier("local", "snap", "vol.data"), exist_ok=True)
    write(site.tier("local", "snap", "vol.data", "odd"))
    result = site.run("list", status=DEGRADED)
    assert snapshot in result.out and "'snap/vol.data/odd' on 'local'" in result.err, result


def test_a_dry_run_of_a_restore_in_place_names_what_goes_and_what_changes(site):
    write(os.path.join(site.source, "kept"), "kept")
    write(os.path.join(site.source, "edited"), "before")
    site.backup()
    write(os.path.join(site.source, "edited"), "after it")
    for name in ("new/deep/one", "new/two", "zz"):
        write(os.path.join(site.source, name), "x")
    write(os.path.join(site.source, b"nl\nline".decode()))
    words = ("restore", "vol.data", "--to", site.source, "--delta")
    dry = site.json(*words, "--dry-run")
    assert dry["removes"] == ["new", "nl\nline", "zz"] and dry["changes"] == ["edited"], dry
    assert dry["removed"] == 3
    result = site.run(*words, "--dry-run")
    for line in ("  remove    new", "  remove    nl\\x0aline", "  remove    zz", "  change    edited"):
        assert line in result.out.splitlines(), result
    assert os.path.exists(os.path.join(site.source, "new", "deep", "one"))
    assert site.json(*words)["removed"] == dry["removed"]
    assert not os.path.exists(os.path.join(site.source, "new"))
    for number in range(25):
        write(os.path.join(site.source, "many%02d" % number))
    result = site.run(*words, "--dry-run")
    assert result.out.count("  remove    many") == 20, result
    assert "  remove    and 5 more; --json names all" in result.out, result


def test_what_is_excluded_only_now_survives_the_restore_of_an_older_snapshot(site):
    site.backup()
    write(os.path.join(site.source, "cache", "c"), "never saved")
    site.write_config(volume="exclude = cache/")
    assert site.json("restore", "vol.data", "--to", site.source, "--delta")["excluded"] == 1
    assert os.path.exists(os.path.join(site.source, "cache", "c"))


@pytest.mark.parametrize("ref, fix", [
    ("env:FFDR_NOWHERE", "set that variable"), ("command:false", "run that command by hand"),
    ("file:/nowhere/kek", "ffdr init makes it"), ("passphrase:env:FFDR_NOWHERE", "set that variable"),
])
def test_check_says_how_that_kind_of_key_is_brought(site, ref, fix):
    site.write_config(keys="kek = %s\nsigning = file:%s\nescrow = %s\n" % (
        ref, site.path("etc", "signing.pem"), site.path("etc", "escrow.pem")))
    lines = {line["what"]: line for line in site.json("check", status=None)["lines"]}
    assert lines["key kek"]["verdict"] == "FAIL" and fix in lines["key kek"]["fix"], lines


def test_a_signing_key_in_the_place_of_the_kek_is_named_as_the_kek(site):
    site.write_config(keys="kek = file:%s\nsigning = file:%s\nescrow = %s\n" % (
        site.path("etc", "signing.pem"), site.path("etc", "signing.pem"),
        site.path("etc", "escrow.pem")))
    lines = site.json("check", status=CONFIGURATION)["lines"]
    assert [n["verdict"] for n in lines if n["what"] == "key kek"] == ["FAIL"], lines
    assert "RSA" in [n["text"] for n in lines if n["what"] == "key kek"][0]


def test_init_says_that_a_new_escrow_key_was_served(site):
    assert site.run("init").out.startswith("everything is there")
    subprocess.run("openssl genrsa 3072 2>/dev/null | openssl rsa -pubout -out %s 2>/dev/null" %
                   site.path("etc", "escrow.pem"), shell=True, check=True)
    result = site.run("init")
    assert re.match(r"brought what was missing of repository \w+ to 3 tiers\n", result.out), result
    assert site.run("init").out.startswith("everything is there")
    assert len({k["recipient"] for k in site.json("key", "list")["keys"] if k["kind"] == "escrow"}) == 2


def test_a_recipient_has_one_name_wherever_it_is_shown(site):
    shown = site.run("key", "list").out
    for key in site.json("key", "list")["keys"]:
        assert key["recipient"] in shown


def test_what_show_was_asked_for_is_no_noise(site):
    snapshot = site.backup()
    assert site.run("show", snapshot, "--quiet").out == site.run("show", snapshot).out != ""
